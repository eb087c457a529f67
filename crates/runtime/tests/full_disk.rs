//! An agent on a full disk: its keeper takes no more output, so it can say nothing, and that is no silence.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_methods)]
#![cfg(target_os = "linux")]

#[path = "contract/harness.rs"]
#[allow(dead_code)]
mod harness;

use std::{path::Path, process::Command, time::Duration};

use harness::*;
use musher_protocol::*;

/// A disk of its own, for this process and its children only.
#[test]
fn waiting_for_the_disk_is_no_silence() {
    let folder = tempfile::tempdir().unwrap();
    let disk = folder.path().to_str().unwrap();
    let script = format!(
        "mount -t tmpfs -o size=5m none {disk} || exit 77
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
    assert!(output.status.success() && said.contains("waited and completed"), "{said}");
}

/// Not a test: runs where `waiting_for_the_disk_is_no_silence` has mounted a small disk.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "run by another test"]
async fn on_a_small_disk() {
    let Ok(disk) = std::env::var("TEST_DISK") else { return };
    let ballast = Path::new(&disk).join("ballast");
    std::fs::write(&ballast, vec![0; 4 << 20]).unwrap();
    let run_dir = Path::new(&disk).join("run");
    std::fs::create_dir(&run_dir).unwrap();
    let setup = Setup::new(Transport::Pipe, "burst").env("MUSHER_DEMO_LINES", "4000");
    let setup = setup.with(|context| {
        context.inactivity_timeout_secs = 2;
        context.run_dir = run_dir;
    });
    let stalled = |event: &AgentEvent| matches!(event, AgentEvent::Warning { code, .. } if code == "output_stalled");
    let mut agent = setup.start();
    agent.until(stalled).await;
    // Longer than it may be silent.
    tokio::time::sleep(Duration::from_secs(5)).await;
    std::fs::remove_file(ballast).unwrap();
    let over = agent.finish().await;
    assert_eq!(over.result.outcome, RunOutcome::Completed, "{:?}", over.events.last());
    assert_eq!(over.count(stalled), 1, "told once");
    println!("waited and completed");
}
