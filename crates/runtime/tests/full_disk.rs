//! An agent on a full disk: its keeper takes no more output, so it can say nothing, and that is no silence.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_methods)]
#![cfg(target_os = "linux")]

#[path = "contract/harness.rs"]
mod harness;

use std::time::Duration;

use harness::*;
use musher_protocol::*;
use musher_testkit::disk;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn waiting_for_the_disk_is_no_silence() {
    let test = "waiting_for_the_disk_is_no_silence";
    let Some(disk) = disk::small(test, 5, &[]).unwrap() else { return };
    let ballast = disk.join("ballast");
    std::fs::write(&ballast, vec![0; 4 << 20]).unwrap();
    let run_dir = disk.join("run");
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
}
