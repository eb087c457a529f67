//! One follower of the engine's news: it feeds the page's mailbox, the tray and the notifications.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures::StreamExt;
use musher_api::Api;
use musher_protocol::{News, Project, ProjectId, RunId, RunSummary};
use tokio::sync::Notify;

use crate::{
    notify::{Note, note_of},
    shell::Shell,
    tray::TrayView,
};

/// What the page has not fetched yet. Bounded by the number of runs: of each only the latest is kept.
#[derive(Default)]
pub(crate) struct Mailbox {
    waiting: Mutex<Waiting>,
    wake: Notify,
}

#[derive(Default)]
struct Waiting {
    runs: HashMap<RunId, RunSummary>,
    projects: bool,
}

impl Mailbox {
    pub(crate) fn put(&self, news: News) {
        let mut waiting = self.lock();
        waiting.projects |= news.projects;
        waiting.runs.extend(news.runs.into_iter().map(|run| (run.id.clone(), run)));
        drop(waiting);
        self.wake.notify_one();
    }

    /// Waits until there is something and takes all of it.
    pub(crate) async fn take(&self) -> News {
        loop {
            let waiting = std::mem::take(&mut *self.lock());
            if waiting.projects || !waiting.runs.is_empty() {
                let runs = waiting.runs.into_values().collect();
                return News { runs, projects: waiting.projects };
            }
            self.wake.notified().await;
        }
    }

    pub(crate) fn clear(&self) {
        *self.lock() = Waiting::default();
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The runs and projects as the follower knows them.
#[derive(Default)]
pub(crate) struct Board {
    runs: HashMap<RunId, RunSummary>,
    projects: HashMap<ProjectId, String>,
}

impl Board {
    fn name_projects(&mut self, projects: Vec<Project>) {
        self.projects = projects.into_iter().map(|project| (project.id, project.name)).collect();
    }

    /// What a person should hear of the change.
    pub(crate) fn take_in(&mut self, run: RunSummary) -> Option<Note> {
        let project = self.projects.get(&run.project).map_or("", String::as_str);
        let note = note_of(self.runs.get(&run.id), &run, project);
        self.runs.insert(run.id.clone(), run);
        note
    }

    fn view(&self) -> TrayView {
        TrayView::of(self.runs.values())
    }
}

/// Follows until the engine is closed. `board` is what was known of an engine before.
pub(crate) async fn follow(shell: &Arc<Shell>, api: &dyn Api, board: &mut Board) {
    let mut stream = match api.news().await {
        Ok(stream) => stream,
        Err(error) => return tracing::warn!("nothing is heard of the engine: {error}"),
    };
    let mut is_first = true;
    while let Some(news) = stream.next().await {
        if news.projects {
            ask_for_projects(board, api).await;
        }
        for run in &news.runs {
            // What was so before this start is no news.
            let is_news = !is_first || board.runs.contains_key(&run.id);
            let note = board.take_in(run.clone()).filter(|_| is_news);
            if let Some(note) = note {
                shell.notify(note, &run.story);
            }
        }
        is_first = false;
        shell.show_in_tray(board.view());
        shell.mailbox.put(news);
    }
}

async fn ask_for_projects(board: &mut Board, api: &dyn Api) {
    let asked = api.call("project_list", "{}").await;
    match asked.map(|text| serde_json::from_str(&text)) {
        Ok(Ok(projects)) => board.name_projects(projects),
        Ok(Err(error)) => tracing::warn!("the projects' names are unread: {error}"),
        Err(error) => tracing::warn!("the projects' names are unknown: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::run;
    use musher_protocol::RunPhase;

    #[tokio::test]
    async fn the_mailbox_keeps_the_latest_of_each_run() {
        let mailbox = Mailbox::default();
        let news = |phase| News { runs: vec![run("a", phase)], projects: false };
        mailbox.put(news(RunPhase::Queued));
        mailbox.put(News { runs: vec![run("b", RunPhase::Running)], projects: true });
        mailbox.put(news(RunPhase::Running));
        let taken = mailbox.take().await;
        assert!(taken.projects);
        assert_eq!(taken.runs.len(), 2);
        assert!(taken.runs.iter().all(|run| run.phase == RunPhase::Running));
    }

    #[tokio::test]
    async fn who_waits_is_woken() {
        let mailbox = Mailbox::default();
        let put = async {
            tokio::task::yield_now().await;
            mailbox.put(News { runs: Vec::new(), projects: true });
        };
        assert!(tokio::join!(mailbox.take(), put).0.projects);
    }

    #[test]
    fn a_note_names_the_project() {
        let mut board = Board::default();
        board.name_projects(vec![Project {
            id: run("a", RunPhase::Done).project,
            name: "sundial".into(),
            root: "/s".into(),
            added_at: Default::default(),
        }]);
        board.runs.insert(run("a", RunPhase::Running).id, run("a", RunPhase::Running));
        let mut asks = run("a", RunPhase::WaitingPermission);
        asks.waiting = 1;
        let note = board.take_in(asks.clone());
        assert!(note.is_some_and(|note| note.summary.contains("in sundial")));
        assert_eq!(board.take_in(asks), None);
    }
}
