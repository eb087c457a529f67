//! A full disk holds a run up, and nothing is lost; a person can stop the agent all the same.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, clippy::disallowed_methods)]
#![cfg(target_os = "linux")]

mod fake;

use std::time::Duration;

use fake::{Heard, SOON, World};
use musher_engine::{Engine, EngineConfig};
use musher_protocol::*;
use musher_runtime::{Registry, claude::Demo};
use musher_testkit::{disk, executable, proof};
use tokio::time::timeout;

/// A worktree is not made with less than 200 MiB free.
const MEGABYTES: u32 = 250;

fn waits_for_space(summary: &RunSummary) -> bool {
    summary.detail.as_ref().is_some_and(|detail| detail.contains("disk is full"))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_is_stopped_while_the_disk_is_full() {
    let test = "an_agent_is_stopped_while_the_disk_is_full";
    let Some(disk) = disk::small(test, MEGABYTES, &[]).unwrap() else { return };
    let mut world = World::open(&disk, 1, chrono::Utc::now).await;
    let run = world.start(|_| {}).await.id;
    let mut agent = world.started().await;
    world.until(&run, |s| s.phase == RunPhase::Running).await;
    let ballast = disk.join("ballast");
    disk::fill(&ballast).unwrap();
    // More than fits into what is left of the transcript's last page.
    let message = "x".repeat(64 << 10);
    agent.say(AgentEvent::Warning { code: "test".into(), message }).await;
    world.until(&run, waits_for_space).await;

    let (engine, params) = (world.engine.clone(), RunParams { run: run.clone() });
    let stopping = tokio::spawn(async move { engine.run_stop(params).await });
    assert_eq!(agent.hear().await, Heard::Stop, "although nothing can be stored");
    std::fs::remove_file(ballast).unwrap();
    agent.end(RunOutcome::Failed { exit_code: Some(143), last_lines: vec![] });
    let stopped = timeout(SOON, stopping).await.unwrap().unwrap().unwrap();
    assert_eq!(stopped.outcome, Some(RunOutcome::Stopped { by: StoppedBy::User }));
    let events = world.events(&run).await;
    let kept = |e: &EventEnvelope| matches!(&e.event, AgentEvent::Warning { message, .. } if message.len() == 64 << 10);
    assert_eq!(events.iter().filter(|e| kept(e)).count(), 1, "nothing is lost");
}

/// With the real runtime, its keeper, and an agent that says a lot.
#[tokio::test(flavor = "multi_thread")]
async fn a_program_is_ended_while_the_disk_is_full_and_all_it_said_is_stored_before_the_end() {
    let test = "a_program_is_ended_while_the_disk_is_full_and_all_it_said_is_stored_before_the_end";
    let agent = executable("demo", "musher-demo-agent").unwrap();
    let keeper = executable("cli", "musher-keeper").unwrap();
    let env = [("MUSHER_KEEPER", keeper.as_path())];
    let Some(disk) = disk::small(test, MEGABYTES, &env).unwrap() else { return };
    let config = EngineConfig::new(disk.join("data"));
    let engine = Engine::open(config, Registry::default().with(Demo)).await.unwrap();
    let world = World { engine, started: tokio::sync::mpsc::unbounded_channel().1 };
    let talkative = |settings: &mut RunSettings| {
        settings.runtime = "demo".into();
        settings.command = Some(agent.to_string_lossy().into_owned());
        // More than the disk could ever hold, so that it never comes to its end.
        let endless = ["--demo-script", "big", "--demo-speed", "fast", "--bytes", "100000000000"];
        settings.args = endless.map(Into::into).into();
    };
    let run = world.start(talkative).await.id;
    let run_dir = disk.join("data/runs").join(run.as_str());
    world.until(&run, |s| s.last_seq > 100).await;
    let ballast = disk.join("ballast");
    disk::fill(&ballast).unwrap();
    world.until(&run, waits_for_space).await;

    let (engine, params) = (world.engine.clone(), RunParams { run: run.clone() });
    let stopping = tokio::spawn(async move { engine.run_stop(params).await });
    let left = proof::wait_none_with_mark(run.as_str(), SOON);
    assert_eq!(left, [0_u32; 0], "the disk does not hold its end up");
    // Longer than the end of the keeper was ever waited for.
    tokio::time::sleep(Duration::from_secs(12)).await;
    let summary = world.engine.run_get(RunParams { run: run.clone() }).await.unwrap().summary;
    assert_ne!(summary.phase, RunPhase::Done, "its output is not stored");

    std::fs::remove_file(ballast).unwrap();
    let stopped = timeout(SOON, stopping).await.unwrap().unwrap().unwrap();
    assert_eq!(stopped.outcome, Some(RunOutcome::Stopped { by: StoppedBy::User }));
    let record: serde_json::Value =
        serde_json::from_slice(&std::fs::read(run_dir.join("exit.json")).unwrap()).unwrap();
    let said = record["stdout"].as_u64().unwrap();
    let stored = stored_to(&world, &run).await;
    assert!(said > 1 << 20 && stored == said, "said {said} bytes, {stored} are stored");
}

/// How far into the agent's output the transcript goes.
async fn stored_to(world: &World, run: &RunId) -> u64 {
    let (mut from_seq, mut stored) = (1, 0);
    loop {
        let params =
            RunEventsParams { run: run.clone(), from_seq, max_bytes: Some(8 << 20), wait_ms: None };
        let text = world.engine.run_events(params).await.unwrap();
        let batch: EventBatch = serde_json::from_str(&text).unwrap();
        let Some(last) = batch.events.last() else { return stored };
        from_seq = last.seq + 1;
        stored = batch.events.iter().filter_map(|e| e.spool).fold(stored, u64::max);
    }
}
