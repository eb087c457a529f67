//! When a server was heard last. It outlives the requests of one answer: a server that is asked again and
//! again and never says anything is silent all the time.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::{Instant, sleep_until};

#[derive(Clone, Debug)]
pub(crate) struct Heard(Arc<Mutex<Last>>);

#[derive(Debug)]
struct Last {
    at: Instant,
    /// What was heard is being told; who takes their time over it is not the server.
    telling: bool,
}

impl Default for Heard {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Last { at: Instant::now(), telling: false })))
    }
}

impl Heard {
    /// The silence begins anew.
    pub fn now(&self) {
        self.put(false);
    }

    /// There is no silence until [`Self::now`].
    pub fn tells(&self) {
        self.put(true);
    }

    fn put(&self, telling: bool) {
        *self.last() = Last { at: Instant::now(), telling };
    }

    fn last(&self) -> MutexGuard<'_, Last> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns when nothing was heard for so long.
    pub async fn silent_for(&self, limit: Duration) {
        loop {
            let (ends, telling) = {
                let last = self.last();
                (last.at + limit, last.telling)
            };
            match Instant::now() < ends {
                true => sleep_until(ends).await,
                false if telling => self.tells(),
                false => return,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn nobody_is_silent_while_what_they_said_is_told() {
        const LIMIT: Duration = Duration::from_millis(50);
        let heard = Heard::default();
        heard.tells();
        let silent = timeout(4 * LIMIT, heard.silent_for(LIMIT)).await;
        assert!(silent.is_err(), "it is not their silence");
        heard.now();
        let from = Instant::now();
        let silent = timeout(200 * LIMIT, heard.silent_for(LIMIT)).await;
        assert!(silent.is_ok() && from.elapsed() + LIMIT / 10 >= LIMIT, "{:?}", from.elapsed());
    }
}
