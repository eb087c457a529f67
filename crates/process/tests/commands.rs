//! Short-lived commands, and the login shell's PATH.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::time::{Duration, Instant};

use common::{Run, alive, until, within};
use musher_process::{Cmd, Input, ProcessError, run};

fn shell(run: &Run, script: &str) -> Cmd {
    let mut cmd = Cmd::new("sh", run.folder.path()).args(["-c", script]);
    cmd.env.insert("PATH".into(), "/usr/bin:/bin".into());
    cmd.env.insert("MUSHER_RUN".into(), run.mark.clone());
    cmd
}

#[tokio::test]
async fn a_command_gives_what_it_said() {
    let test = Run::new();
    let mut cmd = shell(&test, "cat; echo err >&2; pwd; exit 3");
    cmd.input = Input::Bytes(vec![b'a'; 300_000]);
    let finished = run(cmd).await.unwrap();
    assert_eq!((finished.code, finished.signal, finished.truncated), (Some(3), None, false));
    assert_eq!(finished.stderr, b"err\n");
    let (read, rest) = finished.stdout.split_at(300_000);
    assert!(read.iter().all(|&byte| byte == b'a'));
    let folder = test.folder.path().canonicalize().unwrap();
    assert_eq!(String::from_utf8_lossy(rest).trim(), folder.to_str().unwrap());
}

#[tokio::test]
async fn input_that_is_not_wanted_is_no_failure() {
    let test = Run::new();
    let mut cmd = shell(&test, "exec <&-; echo fine");
    cmd.input = Input::Bytes(vec![b'a'; 1 << 20]);
    let finished = within(run(cmd)).await.unwrap();
    assert_eq!(finished.stdout, b"fine\n");
}

#[tokio::test]
async fn a_command_that_takes_too_long_is_killed_whole() {
    let test = Run::new();
    let mut cmd = shell(&test, "trap '' TERM; sleep 1000 & sleep 1000");
    cmd.timeout = Duration::from_millis(300);
    let begun = Instant::now();
    let error = run(cmd).await.unwrap_err();
    assert!(matches!(error, ProcessError::TimedOut { .. }), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(5));
    until("all are gone", || alive(&test.mark).is_empty()).await;
}

#[tokio::test]
async fn a_dropped_command_is_killed_whole() {
    let test = Run::new();
    let work = run(shell(&test, "sleep 1000 & sleep 1000"));
    tokio::select! {
        _ = work => panic!("it sleeps"),
        () = until("both run", || alive(&test.mark).len() >= 2) => {}
    }
    until("all are gone", || alive(&test.mark).is_empty()).await;
}

/// As git does with its lock files.
#[tokio::test]
async fn a_dropped_command_may_tidy_up() {
    let test = Run::new();
    let lock = test.folder.path().join("lock");
    let work = run(shell(&test, "trap 'rm lock; exit' TERM; touch lock; sleep 1000 & wait"));
    tokio::select! {
        _ = work => panic!("it sleeps"),
        () = until("it works", || lock.exists()) => {}
    }
    assert!(!lock.exists(), "it was killed at once");
    until("all are gone", || alive(&test.mark).is_empty()).await;
}

/// As a login shell does whose start-up files leave something at work that holds a lock.
#[tokio::test]
async fn what_a_command_leaves_behind_may_tidy_up() {
    let test = Run::new();
    let lock = test.folder.path().join("lock");
    let holder = "(trap 'sleep 0.4; rm lock; exit' TERM; touch lock; sleep 1000 & wait) &
        until test -e lock; do :; done";
    within(run(shell(&test, holder))).await.unwrap();
    assert!(!lock.exists(), "it was killed at once");
    until("all are gone", || alive(&test.mark).is_empty()).await;
}

#[tokio::test]
async fn a_command_that_says_too_much_is_ended() {
    let test = Run::new();
    let mut cmd = shell(&test, "yes");
    cmd.output_limit = 10_000;
    let finished = within(run(cmd)).await.unwrap();
    assert!(finished.truncated && !finished.success());
    assert_eq!(finished.stdout.len(), 10_000);
}

#[tokio::test]
async fn what_a_command_leaves_behind_does_not_hold_it_up() {
    let test = Run::new();
    let begun = Instant::now();
    let finished = within(run(shell(&test, "echo done; sleep 1000 &"))).await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(10));
    assert_eq!((finished.code, finished.stdout), (Some(0), b"done\n".to_vec()));
    until("all are gone", || alive(&test.mark).is_empty()).await;
}

#[tokio::test]
async fn a_command_that_is_missing_is_named() {
    let test = Run::new();
    let mut cmd = shell(&test, "true");
    cmd.program = "no-such-git".into();
    let error = run(cmd).await.unwrap_err().to_string();
    assert!(error.contains("no-such-git was not found"), "{error}");
    let mut cmd = shell(&test, "true");
    cmd.cwd = "/no/such/folder".into();
    let error = run(cmd).await.unwrap_err().to_string();
    assert!(error.contains("folder does not exist"), "{error}");
}
