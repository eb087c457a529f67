//! What the page is told, and what waits until it listens.

use std::time::Duration;

use musher_protocol::{ApiError, News, RunId};
use tauri::Emitter;

use crate::{
    drop::{Dragged, DropNote},
    shell::{Shell, locked},
    window,
};

/// The longest wait of the page for news.
const NEWS_LIMIT: Duration = Duration::from_secs(25);

/// What the page is to open.
#[derive(Default)]
pub(crate) struct Wanted {
    pub(crate) folders: Vec<String>,
    pub(crate) run: Option<RunId>,
}

impl Shell {
    /// What the page has not heard yet; nothing after 25 seconds.
    pub(crate) async fn page_news(&self, fresh: bool) -> Result<News, ApiError> {
        if fresh {
            self.mailbox.clear();
            return Ok(News { runs: self.ask("run_list").await?, projects: true });
        }
        let news = tokio::time::timeout(NEWS_LIMIT, self.mailbox.take()).await;
        Ok(news.unwrap_or_default())
    }

    pub(crate) fn page_is_loading(&self) {
        locked(&self.waits).get_or_insert_default();
        *locked(&self.shown) = None;
    }

    /// Gives it what waited.
    pub(crate) fn page_is_ready(&self) {
        tracing::debug!("the page listens");
        let waited = locked(&self.waits).take();
        self.open(waited.unwrap_or_default());
    }

    /// As if the folders were dropped on the window. A page that does not listen yet gets it later.
    pub(crate) fn open(&self, wanted: Wanted) {
        if let Some(waits) = locked(&self.waits).as_mut() {
            waits.folders.extend(wanted.folders);
            waits.run = wanted.run.or(waits.run.take());
            return;
        }
        if !wanted.folders.is_empty() {
            self.tell_drop(DropNote { kind: "drop", paths: wanted.folders, x: 0.0, y: 0.0 });
        }
        if let Some(run) = wanted.run {
            self.emit("open-run", run);
        }
    }

    /// Brings the window forward, with this run in it.
    pub(crate) fn open_run(&self, run: Option<RunId>) {
        window::show(&self.app);
        self.open(Wanted { run, ..Wanted::default() });
    }

    pub(crate) fn dragged(&self, dragged: Dragged) {
        // A full queue loses movements of a hand, nothing else: an end is never so far behind.
        let _ = self.drags.try_send(dragged);
    }

    pub(crate) fn tell_drop(&self, note: DropNote) {
        self.emit("drop", note);
    }

    fn emit(&self, event: &str, payload: impl serde::Serialize + Clone) {
        if let Err(error) = self.app.emit_to(window::LABEL, event, payload) {
            tracing::warn!("the page did not get `{event}`: {error}");
        }
    }
}
