//! The agent's standard error: every line a notice, the last ones kept for the outcome.
//!
//! How far it was read is kept in the run's folder after each batch, since these events carry no
//! offset: a crash between the two repeats that batch, and never loses one.

use std::{collections::VecDeque, path::PathBuf};

use musher_process::{ProcessError, SpoolReader, Stream as Spool};
use musher_protocol::{AgentEvent, Stream};
use serde::{Deserialize, Serialize};

use super::{
    decode::frame::{Frame, Framer, LINE_LIMIT},
    live::Live,
    opening::{load, save},
    outcome::LAST_LINES,
    plain::plain,
    process::Child,
};
use crate::{EventSink, RuntimeError, Sourced};

pub(super) const FILE: &str = "stderr.json";

#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Told {
    to: u64,
}

/// Reads it to its end and gives the last lines.
pub(super) async fn follow(
    child: &Child,
    live: &Live,
    sink: &EventSink,
) -> Result<Vec<String>, RuntimeError> {
    let told: Told = load(&child.dir, FILE).await.unwrap_or_default();
    let mut stderr = Stderr {
        reader: child.output(Spool::Stderr, 0),
        dir: child.dir.clone(),
        framer: Framer::at(0, false),
        told: told.to,
        last: VecDeque::new(),
    };
    let mut bytes = Vec::new();
    let mut abandoned = false;
    loop {
        let read = tokio::select! {
            biased;
            read = stderr.reader.read(&mut bytes) => read,
            () = live.abandoned(), if !abandoned => {
                abandoned = true;
                stderr.reader.expect_no_more();
                continue;
            }
        };
        match read {
            Ok(0) | Err(ProcessError::Gone) => break,
            Ok(_) => {}
            Err(ProcessError::Released { oldest, .. }) => {
                stderr.reader = child.output(Spool::Stderr, oldest);
                stderr.framer = Framer::at(oldest, false);
            }
            Err(error) => return Err(RuntimeError::Process(error.to_string())),
        }
        let notices = stderr.take(|framer, each| framer.feed(&bytes, each));
        stderr.tell(notices, child, sink).await?;
        bytes.clear();
    }
    let notices = stderr.take(|framer, each| framer.finish(each));
    stderr.tell(notices, child, sink).await?;
    Ok(stderr.last.into())
}

struct Stderr {
    reader: SpoolReader,
    dir: PathBuf,
    framer: Framer,
    /// Lines up to here were told by an earlier engine.
    told: u64,
    last: VecDeque<String>,
}

impl Stderr {
    fn take(
        &mut self,
        read: impl FnOnce(&mut Framer, &mut dyn FnMut(Frame<'_>, u64)),
    ) -> Vec<Sourced> {
        let mut notices = Vec::new();
        let (told, last) = (self.told, &mut self.last);
        read(&mut self.framer, &mut |frame, end| {
            let text = match frame {
                Frame::Line(line) => plain(&String::from_utf8_lossy(line)).trim_end().to_owned(),
                Frame::TooLong => format!("(a line of over {} MiB was left out)", LINE_LIMIT >> 20),
            };
            if text.is_empty() {
                return;
            }
            if last.len() == LAST_LINES {
                last.pop_front();
            }
            last.push_back(text.clone());
            if end > told {
                notices.push(AgentEvent::Notice { stream: Stream::Stderr, text }.into());
            }
        });
        notices
    }

    async fn tell(
        &mut self,
        notices: Vec<Sourced>,
        child: &Child,
        sink: &EventSink,
    ) -> Result<(), RuntimeError> {
        if notices.is_empty() {
            return Ok(());
        }
        sink.emit(notices).await?;
        self.told = self.framer.place().0;
        if let Err(error) = save(&self.dir, FILE, &Told { to: self.told }).await {
            tracing::warn!(%error, "a later start may repeat some lines");
        }
        if let Some(keeper) = child.keeper() {
            keeper.release(Spool::Stderr, self.told).await;
        }
        Ok(())
    }
}
