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

/// What waits until the page listens.
#[derive(Default)]
pub(crate) struct Page {
    ready: bool,
    folders: Vec<String>,
    run: Option<RunId>,
}

impl Page {
    /// With the folders that the program was started with.
    pub(crate) fn with(folders: Vec<String>) -> Self {
        Self { folders, ..Self::default() }
    }

    /// Keeps what the page must be told, while it does not listen yet; whether it did.
    fn keep(&mut self, what: impl FnOnce(&mut Self)) -> bool {
        if !self.ready {
            what(self);
        }
        !self.ready
    }
}

impl Shell {
    /// What the page has not heard yet; nothing after 25 seconds.
    pub(crate) async fn page_news(&self, fresh: bool) -> Result<News, ApiError> {
        let api = self.api().await?;
        if fresh {
            self.mailbox.clear();
            let runs = api.engine.run_list().await?;
            return Ok(News { runs, projects: true });
        }
        let news = tokio::time::timeout(NEWS_LIMIT, self.mailbox.take()).await;
        Ok(news.unwrap_or_default())
    }

    pub(crate) fn page_is_loading(&self) {
        locked(&self.page).ready = false;
    }

    /// Gives it what waited.
    pub(crate) fn page_is_ready(&self) {
        tracing::debug!("the page listens");
        let waited = {
            let mut page = locked(&self.page);
            page.ready = true;
            (std::mem::take(&mut page.folders), page.run.take())
        };
        if !waited.0.is_empty() {
            self.tell_drop(dropped(waited.0));
        }
        if let Some(run) = waited.1 {
            self.emit("open-run", run);
        }
    }

    /// As if they were dropped on the window.
    pub(crate) fn take_folders(&self, folders: Vec<String>) {
        if folders.is_empty() {
            return;
        }
        let waits = locked(&self.page).keep(|page| page.folders.extend(folders.iter().cloned()));
        if !waits {
            self.tell_drop(dropped(folders));
        }
    }

    /// Brings the window forward, with this run in it.
    pub(crate) fn open_run(&self, run: Option<RunId>) {
        window::show(&self.app);
        let Some(run) = run else { return };
        let waits = locked(&self.page).keep(|page| page.run = Some(run.clone()));
        if !waits {
            self.emit("open-run", run);
        }
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

fn dropped(paths: Vec<String>) -> DropNote {
    DropNote { kind: "drop", paths, x: 0.0, y: 0.0 }
}
