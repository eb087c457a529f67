//! What a run's record does when it cannot be kept.
#![allow(clippy::unwrap_used)]

use musher_protocol::*;
use musher_store::Header;

use super::*;
use crate::{Engine, EngineConfig};

async fn log_in(dir: &std::path::Path) -> (Engine, RunLog) {
    let config = EngineConfig::new(dir.join("data"));
    let engine = Engine::open(config, Default::default()).await.unwrap();
    let (story, project) = (story(), project());
    let summary = RunSummary::queued(RunId::fresh(), &story, engine.core.now());
    let header = Header::new(&summary, &story, &project);
    let log = RunLog::create(engine.core.clone(), header).await.unwrap();
    (engine, log)
}

fn project() -> Project {
    let added_at = chrono::Utc::now();
    Project { id: ProjectId::fresh(), name: "p".into(), root: "/p".into(), added_at }
}

fn story() -> Story {
    Story {
        id: StoryId::fresh(),
        project: ProjectId::fresh(),
        title: "Do it".into(),
        worktree: "/p".into(),
        owns_worktree: false,
        branch: None,
        base_commit: None,
        base_name: None,
        created_at: chrono::Utc::now(),
        settings: RunSettings::default(),
    }
}

fn warning() -> AgentEvent {
    AgentEvent::Warning { code: "test".into(), message: "Something.".into() }
}

#[tokio::test]
async fn an_event_that_does_not_follow_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let (_engine, mut log) = log_in(dir.path()).await;
    log.say(warning()).await.unwrap();
    log.fold.last_seq = 7;
    let there = log.say(warning()).await.unwrap_err();
    assert!(there.message.contains("was there already"), "{there:?}");
    log.fold.last_seq = 1;
    let gap = log.say(warning()).await.unwrap_err();
    assert!(gap.message.contains("events are missing"), "{gap:?}");
}

#[tokio::test]
async fn a_row_that_cannot_be_kept_is_told_at_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let (engine, mut log) = log_in(dir.path()).await;
    log.say(warning()).await.unwrap();
    log.flush().await.unwrap();
    engine.core.store.close().await;
    log.say(warning()).await.unwrap();
    log.flush().await.unwrap_err();
    assert_eq!(log.summary().last_seq, 2, "the transcript has it");
}

#[tokio::test]
async fn an_event_is_told_only_once_lists_show_what_it_changed() {
    let dir = tempfile::tempdir().unwrap();
    let (_engine, mut log) = log_in(dir.path()).await;
    log.say(warning()).await.unwrap();
    let before = log.watch().borrow().clone();
    log.say(warning()).await.unwrap();
    let shown = log.watch().borrow().clone();
    for (summary, next) in [(before, 2), (shown, 3)] {
        let read = crate::runs::read_shown(&log.index(), &summary, 1, 1 << 20).await;
        assert_eq!(read.unwrap().0.next_seq, next);
    }
}
