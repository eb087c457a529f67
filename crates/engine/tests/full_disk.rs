//! A full disk holds a run up, and nothing is lost; a person can stop the agent all the same.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, clippy::disallowed_methods)]
#![cfg(target_os = "linux")]

#[allow(dead_code)]
mod fake;

use std::{io::Write, path::Path, process::Command};

use fake::{Heard, SOON, World};
use musher_protocol::*;
use tokio::time::timeout;

/// A disk of its own, for this process and its children only; a worktree is not made with less than
/// 200 MiB free.
#[test]
fn an_agent_is_stopped_while_the_disk_is_full() {
    let folder = tempfile::tempdir().unwrap();
    let disk = folder.path().to_str().unwrap();
    let script = format!(
        "mount -t tmpfs -o size=230m none {disk} || exit 77
        exec \"$0\" --ignored --exact on_a_small_disk --nocapture"
    );
    let output = Command::new("unshare")
        .args(["--map-root-user", "--mount", "sh", "-c", &script])
        .arg(std::env::current_exe().unwrap())
        .env("TEST_DISK", disk)
        .output();
    let Ok(output) = output else { return eprintln!("skipped: there is no unshare") };
    let said = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    if output.status.code() == Some(77) || said.contains("unshare failed") {
        return eprintln!("skipped: no disk may be mounted here: {said}");
    }
    assert!(output.status.success() && said.contains("stopped and stored"), "{said}");
}

/// Not a test: runs where `an_agent_is_stopped_while_the_disk_is_full` has mounted a small disk.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "run by another test"]
async fn on_a_small_disk() {
    let Ok(disk) = std::env::var("TEST_DISK") else { return };
    let disk = Path::new(&disk);
    let mut world = World::open(disk, 1, chrono::Utc::now).await;
    let run = world.start(|_| {}).await.id;
    let mut agent = world.started().await;
    world.until(&run, |s| s.phase == RunPhase::Running).await;
    let ballast = disk.join("ballast");
    let mut file = std::fs::File::create(&ballast).unwrap();
    for size in [1 << 20, 4 << 10] {
        while file.write_all(&vec![0; size]).is_ok() {}
    }
    // More than fits into what is left of the transcript's last page.
    let message = "x".repeat(64 << 10);
    agent.say(AgentEvent::Warning { code: "test".into(), message }).await;
    let full = |s: &RunSummary| s.detail.as_ref().is_some_and(|d| d.contains("disk is full"));
    world.until(&run, full).await;

    let (engine, params) = (world.engine.clone(), RunParams { run: run.clone() });
    let stopping = tokio::spawn(async move { engine.run_stop(params).await });
    assert_eq!(agent.hear().await, Heard::Stop, "although nothing can be stored");
    drop(file);
    std::fs::remove_file(ballast).unwrap();
    agent.end(RunOutcome::Failed { exit_code: Some(143), last_lines: vec![] });
    let stopped = timeout(SOON, stopping).await.unwrap().unwrap().unwrap();
    assert_eq!(stopped.outcome, Some(RunOutcome::Stopped { by: StoppedBy::User }));
    let events = world.events(&run).await;
    let kept = |e: &EventEnvelope| matches!(&e.event, AgentEvent::Warning { message, .. } if message.len() == 64 << 10);
    assert_eq!(events.iter().filter(|e| kept(e)).count(), 1, "nothing is lost");
    println!("stopped and stored");
}
