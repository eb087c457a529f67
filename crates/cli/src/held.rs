//! What holds a run up that its events cannot say, told on stderr while a command waits for it.

use std::{cell::Cell, convert::Infallible, future::Future, time::Duration};

use musher_engine::WAITS_FOR_SPACE;
use musher_protocol::{RunDetail, RunId, RunParams};

use crate::{print, reach::Reach};

/// A wait that is shorter is not explained; after that the run is looked at as often.
const QUIET: Duration = Duration::from_secs(2);

const GOES_ON: &str = "Free some space there; everything goes on by itself then.";

/// Tells each thing once, until it is over.
pub struct Held<'a> {
    reach: &'a Reach,
    run: RunId,
    /// What is told when nothing holds the run up.
    otherwise: Option<&'static str>,
    told: Cell<Option<&'static str>>,
}

impl<'a> Held<'a> {
    pub fn new(reach: &'a Reach, run: &RunId) -> Self {
        Self { reach, run: run.clone(), otherwise: None, told: Cell::new(None) }
    }

    pub fn or_else(self, otherwise: &'static str) -> Self {
        Self { otherwise: Some(otherwise), ..self }
    }

    /// What `wait` comes to.
    pub async fn during<T>(&self, wait: impl Future<Output = T>) -> T {
        tokio::select! {
            over = wait => over,
            never = self.watch() => match never {},
        }
    }

    async fn watch(&self) -> Infallible {
        loop {
            tokio::time::sleep(QUIET).await;
            self.look().await;
        }
    }

    async fn look(&self) {
        let params = RunParams { run: self.run.clone() };
        // Who cannot be asked has nothing to tell; the wait itself says what is wrong.
        let Ok(detail) = self.reach.call::<RunDetail>("run_get", &params).await else { return };
        let is_full = detail.summary.detail.as_deref() == Some(WAITS_FOR_SPACE);
        let now = if is_full { Some(WAITS_FOR_SPACE) } else { self.otherwise };
        if self.told.replace(now) == now {
            return;
        }
        if let Some(text) = now {
            print::end_line();
            eprintln!("note: {text}.");
        }
        if is_full {
            eprintln!("hint: {GOES_ON}");
        }
    }
}
