//! Values for the store's tests.
#![allow(dead_code, reason = "each test program uses a part")]

use std::path::{Path, PathBuf};

use chrono::{DateTime, TimeDelta, Utc};
use musher_protocol::*;
use musher_store::{AgentLogWriter, Header, LineBatch};

pub fn run_id() -> RunId {
    RunId::parse("run-1").unwrap()
}

pub fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::<Utc>::UNIX_EPOCH + TimeDelta::days(20_000) + TimeDelta::seconds(seconds)
}

pub fn project() -> Project {
    Project {
        id: ProjectId::parse("project-1").unwrap(),
        name: "shop".into(),
        root: "/home/u/shop".into(),
        added_at: at(0),
    }
}

pub fn story() -> Story {
    let mut settings = RunSettings { runtime: "demo".into(), ..RunSettings::default() };
    settings.env.insert("SECRET".into(), "hush".into());
    Story {
        id: StoryId::parse("story-1").unwrap(),
        project: project().id,
        title: "Mend the till".into(),
        worktree: "/home/u/wt".into(),
        owns_worktree: true,
        branch: Some("mend".into()),
        base_commit: None,
        base_name: Some("main".into()),
        created_at: at(1),
        settings,
    }
}

pub fn summary() -> RunSummary {
    summary_of("run-1", 2)
}

pub fn summary_of(id: &str, created: i64) -> RunSummary {
    RunSummary::queued(RunId::parse(id).unwrap(), &story(), at(created))
}

pub fn header() -> Header {
    Header::new(&summary(), &story(), &project())
}

pub fn text(n: u64) -> AgentEvent {
    let text = format!("piece {n} ünd möre");
    AgentEvent::Text { block: "b".into(), text, delta: true, parent: None }
}

pub fn envelope(seq: u64, event: AgentEvent, spool: Option<u64>) -> EventEnvelope {
    EventEnvelope { run: run_id(), seq, at: at(seq as i64), event, spool }
}

pub fn batch(first: u64, count: u64) -> LineBatch {
    let mut batch = LineBatch::new(first);
    for seq in first..first + count {
        batch.push(&envelope(seq, text(seq), Some(seq * 100))).unwrap();
    }
    batch
}

/// A transcript in a folder with the run's name.
pub fn transcript_in(dir: &Path) -> PathBuf {
    let run = dir.join("run-1");
    std::fs::create_dir_all(&run).unwrap();
    run.join("transcript.jsonl")
}

/// Writes these events and closes.
pub async fn written(dir: &Path, events: &[EventEnvelope]) -> PathBuf {
    let path = transcript_in(dir);
    let mut log = AgentLogWriter::create(&path, &header()).await.unwrap();
    let mut batch = LineBatch::new(1);
    for event in events {
        batch.push(event).unwrap();
    }
    log.append(&mut batch).await.unwrap();
    log.close().await.unwrap();
    path
}

pub fn parse(json: &str) -> Vec<EventEnvelope> {
    serde_json::from_str(json).unwrap()
}
