//! What commands of an agent have said stays as long as somebody may look for it, and no longer.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

mod fake;

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use fake::{FakeRun, SOON, World};
use musher_protocol::*;

/// As a command's keeper leaves it.
fn said(agent: &FakeRun, name: &str, bytes: usize) {
    let folder = agent.context.run_dir.join("tools").join(name);
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("exit.json"), "{}").unwrap();
    fs::write(folder.join(format!("stdout-{:020}.spool", 0)), vec![b'x'; bytes]).unwrap();
}

/// The folders of a run's tools that hold any output.
fn kept(run_dir: &Path) -> Vec<String> {
    let mut kept = Vec::new();
    for folder in fs::read_dir(run_dir.join("tools")).unwrap() {
        let folder = folder.unwrap();
        assert!(folder.path().join("exit.json").exists(), "how it ended stays");
        if fs::read_dir(folder.path()).unwrap().count() > 1 {
            kept.push(folder.file_name().into_string().unwrap());
        }
    }
    kept.sort();
    kept
}

/// A run is tidied after its end is told.
async fn keeps(run_dir: &Path, wanted: &[&str]) {
    let limit = Instant::now() + SOON;
    while kept(run_dir) != wanted {
        assert!(Instant::now() < limit, "{:?} in place of {wanted:?}", kept(run_dir));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Ends a run of three tools; gives where its folder is.
async fn ends(world: &mut World, run: &RunId, outcome: RunOutcome) -> std::path::PathBuf {
    let agent = world.started().await;
    said(&agent, "c-short", 30_000);
    said(&agent, "c-long", 30_001);
    said(&agent, "mcp-a", 90_000);
    let run_dir = agent.context.run_dir.clone();
    agent.end(outcome);
    world.until(run, |summary| summary.phase == RunPhase::Done).await;
    run_dir
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_cut_stays_until_the_next_run_is_over_or_the_worktree_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::open(dir.path(), 4, chrono::Utc::now).await;
    let first = world.start(|_| {}).await;
    let first_dir = ends(&mut world, &first.id, RunOutcome::Completed).await;
    keeps(&first_dir, &["c-long"]).await;

    let resume = serde_json::from_value(serde_json::json!({"run": first.id})).unwrap();
    let second = world.engine.run_resume(resume).await.unwrap();
    let second_dir = ends(&mut world, &second.id, RunOutcome::Completed).await;
    keeps(&second_dir, &["c-long"]).await;
    keeps(&first_dir, &[]).await;

    let path = world.until(&second.id, |summary| !summary.worktree.is_empty()).await.worktree;
    let remove = WorktreeRemoveParams { project: second.project, path, force: true };
    let report = world.engine.worktree_remove(remove).await.unwrap();
    assert!(report.removed, "{report:?}");
    keeps(&second_dir, &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_cut_is_read_in_the_storys_next_run() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::open(dir.path(), 4, chrono::Utc::now).await;
    let first = world.start(|settings| settings.runtime = "ours".into()).await;
    let first_dir = ends(&mut world, &first.id, RunOutcome::Completed).await;
    keeps(&first_dir, &["c-long"]).await;
    world.engine.run_resume(fake::resume(&first.id)).await.unwrap();
    let agent = world.started().await;
    let host = agent.context.tools.host.as_ref().unwrap();
    let (id, name) = ("call-1".to_owned(), "read_output".to_owned());
    let input = serde_json::json!({"output": "c-long"});
    let call = musher_runtime::Call { id, name, input };
    host.intent(&call, PermissionMode::Ask).await.unwrap();
    let outcome = host.call(&call, tokio_util::sync::CancellationToken::new()).await;
    assert!(!outcome.is_error && outcome.text.starts_with("     1\txxx"), "{}", outcome.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_goes_while_something_may_live() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::open(dir.path(), 4, chrono::Utc::now).await;
    let run = world.start(|_| {}).await.id;
    let run_dir = ends(&mut world, &run, RunOutcome::Unconfirmed { left: vec![1] }).await;
    world.engine.shutdown().await;
    assert_eq!(kept(&run_dir), ["c-long", "c-short", "mcp-a"]);
}
