//! News for subscribers: which runs changed, coalesced.
//!
//! A reader that is slow misses nothing and costs nothing: what changed meanwhile is kept once per
//! run, and the events themselves are read from the store.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use musher_protocol::{News, RunId, RunSummary};
use tokio::{sync::Notify, time::Instant};

/// The shortest time between two pieces of news to one reader.
const PACE: Duration = Duration::from_millis(100);

/// Where changes are told.
#[derive(Default)]
pub(crate) struct NewsHub {
    readers: Mutex<Vec<Weak<Desk>>>,
}

/// What one reader has not been told yet.
#[derive(Default)]
struct Desk {
    waiting: Mutex<Waiting>,
    wake: Notify,
}

#[derive(Default)]
struct Waiting {
    runs: HashMap<RunId, Arc<RunSummary>>,
    projects: bool,
    closed: bool,
}

impl NewsHub {
    pub fn reader(&self) -> NewsReader {
        let desk = Arc::new(Desk::default());
        self.readers().push(Arc::downgrade(&desk));
        NewsReader { desk, told: None }
    }

    pub fn run_changed(&self, summary: &Arc<RunSummary>) {
        self.tell(|waiting| {
            waiting.runs.insert(summary.id.clone(), summary.clone());
        });
    }

    pub fn projects_changed(&self) {
        self.tell(|waiting| waiting.projects = true);
    }

    /// Goes the same way: both are asked for again, seldom.
    pub fn runtimes_changed(&self) {
        self.projects_changed();
    }

    /// Ends every reader once it has what is waiting.
    pub fn close(&self) {
        self.tell(|waiting| waiting.closed = true);
    }

    fn tell(&self, change: impl Fn(&mut Waiting)) {
        self.readers().retain(|desk| {
            let Some(desk) = desk.upgrade() else { return false };
            change(&mut desk.waiting.lock().unwrap_or_else(PoisonError::into_inner));
            desk.wake.notify_one();
            true
        });
    }

    fn readers(&self) -> std::sync::MutexGuard<'_, Vec<Weak<Desk>>> {
        self.readers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One subscriber of news.
pub struct NewsReader {
    desk: Arc<Desk>,
    told: Option<Instant>,
}

impl NewsReader {
    /// Waits for news; `None` when the engine is closed. At most ten a second.
    pub async fn next(&mut self) -> Option<News> {
        loop {
            if let Some(told) = self.told {
                tokio::time::sleep_until(told + PACE).await;
            }
            let (news, closed) = self.take();
            if news.projects || !news.runs.is_empty() {
                self.told = Some(Instant::now());
                return Some(news);
            }
            if closed {
                return None;
            }
            self.told = None;
            self.desk.wake.notified().await;
        }
    }

    fn take(&self) -> (News, bool) {
        let mut waiting = self.desk.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let runs = std::mem::take(&mut waiting.runs);
        let projects = std::mem::take(&mut waiting.projects);
        let runs = runs.into_values().map(|summary| RunSummary::clone(&summary)).collect();
        (News { runs, projects }, waiting.closed)
    }
}
