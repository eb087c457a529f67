//! What the next engine does with a run whose agent never began.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

mod fake;

use std::path::Path;

use fake::{World, resume};
use musher_engine::EngineConfig;
use musher_protocol::*;

/// A run in line, whose engine is gone.
async fn left_in_line(dir: &Path, change: impl FnOnce(&mut RunSettings)) -> RunId {
    let mut world = World::open(dir, 1, chrono::Utc::now).await;
    world.start(|_| {}).await;
    let agent = world.started().await;
    let waiting = world.start(change).await.id;
    world.until(&waiting, |s| s.detail.is_some()).await;
    world.engine.shutdown().await;
    drop((world, agent));
    waiting
}

fn with_key(settings: &mut RunSettings) {
    settings.env.insert("API_KEY".into(), "secret-value".into());
}

async fn looking(dir: &Path) -> World {
    let config = EngineConfig::new(dir.join("data"));
    World::open_as(EngineConfig { begins_runs: false, ..config }).await
}

fn transcript(dir: &Path, run: &RunId) -> String {
    let path = dir.join("data/runs").join(run.as_str()).join("transcript.jsonl");
    std::fs::read_to_string(path).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_whose_variables_are_gone_is_not_begun_without_them() {
    let dir = tempfile::tempdir().unwrap();
    let run = left_in_line(dir.path(), with_key).await;
    assert!(!transcript(dir.path(), &run).contains("secret-value"));

    let mut world = World::open(dir.path(), 4, chrono::Utc::now).await;
    let ended = world.until(&run, |s| s.phase == RunPhase::Done).await;
    let Some(RunOutcome::SpawnFailed { message }) = ended.outcome else {
        panic!("{ended:?}");
    };
    let next_step = format!("musher resume {run} --env API_KEY=");
    assert!(message.contains("API_KEY") && message.contains(&next_step), "{message}");

    let without = resume(&run);
    let refused = world.engine.run_resume(without.clone()).await.unwrap_err();
    assert!(refused.to_string().contains("API_KEY"), "{refused:?}");
    let env = [("API_KEY".to_owned(), "again".to_owned())].into();
    let next = world.engine.run_resume(RunResumeParams { env, ..without }).await.unwrap();
    let agent = started_as(&mut world, &next.id).await;
    assert_eq!(agent.context.prompt, "Do it\nwell", "no agent has heard its words yet");
    let vars = format!("{:?}", agent.context.env);
    assert!(vars.contains("API_KEY"), "{vars}");
    agent.end(RunOutcome::Completed);
    world.until(&next.id, |s| s.phase == RunPhase::Done).await;
}

/// Forty commands that look, forty times nothing: no event, no worktree, no agent.
#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_only_looks_begins_nothing_and_writes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let run = left_in_line(dir.path(), |_| {}).await;
    let before = transcript(dir.path(), &run);
    for _ in 0..3 {
        let mut world = looking(dir.path()).await;
        world.engine.settle().await;
        let listed = world.engine.run_list().await.unwrap();
        assert!(listed.iter().any(|s| s.id == run && s.phase != RunPhase::Done), "{listed:?}");
        world.events(&run).await;
        world.engine.run_mark_read(RunParams { run: run.clone() }).await.unwrap();
        assert!(world.started.try_recv().is_err());
        world.engine.shutdown().await;
    }
    assert_eq!(transcript(dir.path(), &run), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_in_line_can_be_stopped_without_being_begun() {
    let dir = tempfile::tempdir().unwrap();
    let run = left_in_line(dir.path(), with_key).await;
    let mut world = looking(dir.path()).await;
    let stopped = world.engine.run_stop(RunParams { run }).await.unwrap();
    assert_eq!(stopped.outcome, Some(RunOutcome::Stopped { by: StoppedBy::User }));
    assert!(world.started.try_recv().is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_follows_a_run_in_line_begins_it() {
    let dir = tempfile::tempdir().unwrap();
    let run = left_in_line(dir.path(), |_| {}).await;
    let mut world = looking(dir.path()).await;
    let params =
        RunEventsParams { run: run.clone(), from_seq: 1, max_bytes: None, wait_ms: Some(1) };
    world.engine.run_events(params).await.unwrap();
    let agent = started_as(&mut world, &run).await;
    agent.end(RunOutcome::Completed);
    world.until(&run, |s| s.phase == RunPhase::Done).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_in_line_is_resumed_with_the_variables_it_lacks() {
    let dir = tempfile::tempdir().unwrap();
    let run = left_in_line(dir.path(), with_key).await;
    let mut world = looking(dir.path()).await;
    let env = [("API_KEY".to_owned(), "again".to_owned())].into();
    let params = RunResumeParams { env, model: Some("haiku".into()), ..resume(&run) };
    let resumed = world.engine.run_resume(params).await.unwrap();
    assert_eq!(resumed.id, run, "it goes on where it waits");
    let agent = world.started().await;
    assert_eq!(agent.context.model.as_deref(), Some("haiku"));
    assert_eq!(agent.context.run, run);
    assert!(format!("{:?}", agent.context.env).contains("API_KEY"));
    agent.end(RunOutcome::Completed);
    world.until(&run, |s| s.phase == RunPhase::Done).await;
}

/// The branch that was asked for, and the worktree that was made, outlive the engine and the database.
#[tokio::test(flavor = "multi_thread")]
async fn where_a_run_works_is_never_forgotten() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::open(dir.path(), 1, chrono::Utc::now).await;
    world.start(|_| {}).await;
    let first = world.started().await;
    let place = RunPlace::Fresh {
        repository: musher_engine::DEMO_REPOSITORY.into(),
        base: Some("main".into()),
        branch: Some("foo/bar".into()),
    };
    let run = world.start_at(place, |_| {}).await.id;
    world.until(&run, |s| s.detail.is_some()).await;
    world.engine.shutdown().await;
    drop((world, first));

    let mut world = World::open(dir.path(), 4, chrono::Utc::now).await;
    started_as(&mut world, &run).await.end(RunOutcome::Completed);
    let made = world.until(&run, |s| s.phase == RunPhase::Done).await;
    assert_eq!(made.branch.as_deref(), Some("foo/bar"));
    assert!(Path::new(&made.worktree).is_dir(), "{made:?}");
    world.engine.shutdown().await;
    drop(world);

    for part in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(dir.path().join(format!("data/musher.db{part}")));
    }
    let mut world = World::open(dir.path(), 4, chrono::Utc::now).await;
    let rebuilt = world.engine.run_get(RunParams { run: run.clone() }).await.unwrap().summary;
    assert_eq!((&rebuilt.worktree, &rebuilt.branch), (&made.worktree, &made.branch));
    let next = world.engine.run_resume(resume(&run)).await.unwrap();
    let agent = started_as(&mut world, &next.id).await;
    assert_eq!(agent.context.cwd, Path::new(&made.worktree), "it goes on where its work is");
    agent.end(RunOutcome::Completed);
}

async fn started_as(world: &mut World, run: &RunId) -> fake::FakeRun {
    loop {
        let agent = world.started().await;
        if agent.context.run == *run {
            return agent;
        }
        agent.end(RunOutcome::Completed);
    }
}
