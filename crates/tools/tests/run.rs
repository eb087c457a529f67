//! Commands, with real processes: however one ends, nothing of it lives on.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::time::{Duration, Instant};

use common::{Place, call, done, done_until, ok, until, within};
use musher_protocol::PermissionMode;
use musher_runtime::ToolHost;
use serde_json::json;
use tokio_util::sync::CancellationToken;

/// Ignores every polite signal, with a child in its group, one in a session of its own, and a daemon.
const STUBBORN: &str = "trap '' TERM INT HUP
sleep 1000 &
setsid sh -c 'sleep 1000 & wait' &
(setsid sh -c 'sleep 1000; true' &)
";

/// Living processes of the calls of this place.
fn alive(place: &Place) -> Vec<u32> {
    let folders = std::fs::read_dir(place.run_dir().join("tools")).into_iter().flatten().flatten();
    let marks = folders.map(|f| format!("{}.{}", place.mark, f.file_name().to_string_lossy()));
    marks.flat_map(|mark| musher_process::processes_with_mark(&mark)).map(|it| it.pid).collect()
}

#[tokio::test]
async fn a_command_says_its_output_and_code() {
    let place = Place::new();
    let host = place.host();
    for (command, expected) in [
        ("echo out; echo err >&2; echo out", "out\nerr\nout\n[exit code 0]"),
        ("pwd", &format!("{}\n[exit code 0]", place.root().display())),
        ("printf 'no end'", "no end\n[exit code 0]"),
        ("true", "[exit code 0]"),
        ("cat", "[exit code 0]"),
        ("exit 3", "[exit code 3]"),
        ("kill -9 $$", "[ended by signal 9]"),
        ("printf '%s\\n' \"$0\" \"$#\"", "/bin/sh\n0\n[exit code 0]"),
        ("printf '\\377\\n'", "\u{fffd}\n[exit code 0]"),
        ("echo 'a  b' \"c'd\" e\\ f", "a  b c'd e f\n[exit code 0]"),
        (
            "env | grep -v -e ^PWD -e ^MUSHER_RUN -e ^_ -e ^SHLVL -e ^OLDPWD",
            "PATH=/usr/local/bin:/usr/bin:/bin\n[exit code 0]",
        ),
    ] {
        let outcome = done(&host, "run_command", json!({"command": command})).await;
        assert_eq!(outcome.text, expected, "{command}");
        assert_eq!(outcome.is_error, !expected.ends_with("[exit code 0]"), "{command}");
        assert!(outcome.left.is_empty());
    }
    assert_eq!(alive(&place), [0; 0]);
}

#[tokio::test]
async fn long_output_is_cut_and_kept_on_disk() {
    let place = Place::new();
    let host = place.host();
    let command = "i=0; while [ $i -lt 20000 ]; do echo \"line $i\"; i=$((i+1)); done";
    let text = ok(&host, "run_command", json!({"command": command})).await;
    assert!(text.len() < 31_000 && text.starts_with("line 0\nline 1\n"), "{}", text.len());
    assert!(text.contains("bytes left out …]\n") && text.contains("\nline 19999\n[exit code 0; "));
    let path = text.rsplit_once("the whole output is in ").unwrap().1.trim_end_matches(']');
    let kept = std::fs::read_to_string(path).unwrap();
    assert_eq!(kept.lines().count(), 20_000);
    ok(&host, "run_command", json!({"command": "echo short"})).await;
    let spools = || {
        let folders = std::fs::read_dir(place.run_dir().join("tools")).unwrap();
        let files = folders.flat_map(|folder| std::fs::read_dir(folder.unwrap().path()).unwrap());
        files.filter(|file| file.as_ref().unwrap().path().extension() == Some("spool".as_ref()))
    };
    let all = spools().count();
    musher_tools::clean_told(&place.run_dir()).unwrap();
    assert!(std::path::Path::new(path).exists(), "what was cut stays");
    assert!(spools().count() < all, "what was told whole goes");
    musher_tools::clean(&place.run_dir()).unwrap();
    assert!(!std::path::Path::new(path).exists());
}

#[tokio::test]
async fn a_command_without_an_end_to_its_words_is_ended() {
    let place = Place::new();
    let host = place.host();
    let begun = Instant::now();
    let outcome = done(&host, "run_command", json!({"command": "yes 'many words'"})).await;
    assert!(outcome.text.contains("said more than 67108864 bytes"), "{}", &outcome.text[29_000..]);
    assert!(outcome.is_error && outcome.text.len() < 31_000);
    assert!(begun.elapsed() < common::LIMIT);
    assert_eq!(alive(&place), [0; 0]);
}

#[tokio::test]
async fn a_stopped_command_is_dead_with_all_its_own() {
    let place = Place::new();
    let host = place.host();
    let stop = CancellationToken::new();
    let command = format!("{STUBBORN} echo begun > begun; while :; do sleep 1; done");
    let running = done_until(&host, "run_command", json!({"command": command}), stop.clone());
    let stopping = async {
        until("the tree has grown", || alive(&place).len() >= 6).await;
        stop.cancel();
        Instant::now()
    };
    let (outcome, stopped) = tokio::join!(running, stopping);
    // The grace of 500 ms, and a second.
    assert!(stopped.elapsed() < Duration::from_millis(1500 + 1000), "{:?}", stopped.elapsed());
    println!("stopped in {:?}", stopped.elapsed());
    assert_eq!(alive(&place), [0; 0]);
    assert!(outcome.is_error && outcome.left.is_empty());
    assert!(outcome.text.contains("[stopped before it was done]"), "{}", outcome.text);
}

#[tokio::test]
async fn a_command_whose_time_is_over_is_dead_with_all_its_own() {
    let place = Place::new();
    let host = place.host();
    let command = format!("echo said; {STUBBORN} while :; do sleep 1; done");
    let input = json!({"command": command, "timeout_seconds": 1});
    let outcome = done(&host, "run_command", input).await;
    assert_eq!(outcome.text, "said\n[ended after 1 s, its time limit]");
    assert!(outcome.is_error && outcome.left.is_empty());
    assert_eq!(alive(&place), [0; 0]);
}

#[tokio::test]
async fn what_a_command_leaves_behind_is_ended_with_it() {
    let place = Place::new();
    let host = place.host();
    let outcome =
        done(&host, "run_command", json!({"command": format!("{STUBBORN} echo gone")})).await;
    assert_eq!(outcome.text, "gone\n[exit code 0]");
    assert_eq!(alive(&place), [0; 0]);
}

#[tokio::test]
async fn a_command_that_is_stopped_before_it_begins_does_nothing() {
    let place = Place::new();
    let host = place.host();
    let stop = CancellationToken::new();
    stop.cancel();
    let outcome = done_until(&host, "run_command", json!({"command": "echo x > made"}), stop).await;
    assert!(outcome.is_error && !place.path("made").exists());
}

#[tokio::test]
async fn what_a_lost_engine_left_is_ended_by_the_next() {
    let place = Place::new();
    {
        let host = place.host();
        let command = format!("{STUBBORN} while :; do sleep 1; done");
        let call = call("run_command", json!({"command": command}));
        host.intent(&call, PermissionMode::Bypass).await.unwrap();
        // Dropped while it runs, as in an engine that is killed.
        tokio::select! {
            _ = host.call(&call, CancellationToken::new()) => panic!("it ended"),
            () = until("the tree has grown", || alive(&place).len() >= 6) => {}
        }
    }
    assert!(alive(&place).len() >= 6);
    let next = place.host();
    assert_eq!(within(next.end_left_over()).await, [0; 0]);
    assert_eq!(alive(&place), [0; 0]);
    assert_eq!(within(next.end_left_over()).await, [0; 0]);
}

#[tokio::test]
async fn a_killed_keeper_ends_the_call_and_its_tree() {
    let place = Place::new();
    let host = place.host();
    let command = format!("{STUBBORN} while :; do sleep 1; done");
    let running = done(&host, "run_command", json!({"command": command}));
    let killing = async {
        until("the tree has grown", || alive(&place).len() >= 6).await;
        let folder = std::fs::read_dir(place.run_dir().join("tools")).unwrap().next().unwrap();
        let text = std::fs::read(folder.unwrap().path().join("keeper.json")).unwrap();
        let file: serde_json::Value = serde_json::from_slice(&text).unwrap();
        let pid = i32::try_from(file["keeper"]["pid"].as_i64().unwrap()).unwrap();
        let pid = rustix::process::Pid::from_raw(pid).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    };
    let (outcome, ()) = tokio::join!(running, killing);
    assert!(outcome.is_error && outcome.text.contains("keeper was killed"), "{}", outcome.text);
    assert_eq!(alive(&place), [0; 0]);
}

#[tokio::test]
async fn ids_of_all_kinds_have_a_folder_each() {
    let place = Place::new();
    let host = place.host();
    let begun = Instant::now();
    for id in ["../../x", "", "a/b", "é", ".", &"x".repeat(500), "a/b", "a_b"] {
        let mut call = call("run_command", json!({"command": "true"}));
        call.id = id.to_owned();
        host.intent(&call, PermissionMode::Bypass).await.unwrap();
        let outcome = within(host.call(&call, CancellationToken::new())).await;
        assert!(!outcome.is_error, "{id:?}: {}", outcome.text);
    }
    println!("8 commands in {:?}", begun.elapsed());
    assert_eq!(std::fs::read_dir(place.run_dir().join("tools")).unwrap().count(), 8);
    place.assert_whole();
}
