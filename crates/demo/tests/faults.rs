//! The bad agents are as bad as they promise.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::{
    io::{BufRead, BufReader, Write},
    process::{Command, Stdio},
};

use common::{FLAGS, Session};
use musher_testkit::wait;
use serde_json::json;

#[test]
fn failures_of_the_service_are_successes_that_are_errors() {
    for (script, status, exit) in
        [("api_error", 500, 1), ("auth_error", 401, 1), ("rate_limited", 429, 1)]
    {
        let mut session = Session::start(&["--demo-script", script]);
        session.say("go", None);
        let result = session.one("result");
        assert_eq!(
            (&result["subtype"], &result["is_error"]),
            (&json!("success"), &json!(true)),
            "{script}"
        );
        assert_eq!(result["api_error_status"], status, "{script}");
        assert_eq!(session.finish().1, Some(exit), "{script}");
    }
}

#[test]
fn all_good_lines_are_there_between_the_malformed_ones() {
    let mut session = Session::start(&["--demo-script", "garbage"]);
    session.say("go", None);
    let seen = session.until("result");
    let good = seen
        .iter()
        .filter(|line| {
            line["message"]["content"][0]["text"]
                .as_str()
                .is_some_and(|text| text.starts_with("good "))
        })
        .count();
    let bad = seen
        .iter()
        .filter(|line| {
            !line.is_object() || line["type"].as_str().is_none_or(|kind| kind.starts_with("noise"))
        })
        .count();
    assert_eq!(good, 20);
    assert!(bad >= 17, "{bad}");
}

#[test]
fn burst_writes_as_many_lines_as_it_was_told_to() {
    let mut session = Session::start(&["--demo-script", "burst", "--lines", "5000"]);
    session.say("go", None);
    let seen = session.until("result");
    assert_eq!(seen.len(), 5000 + 3, "the lines, and: running, init, result");
}

/// Processes whose environment has this mark, once there are so many; a program that is just being
/// exchanged for another shows no environment.
#[cfg(target_os = "linux")]
fn await_marked(mark: &str, count: usize) -> Vec<String> {
    let all = || Some(marked(mark)).filter(|found| found.len() == count);
    wait::until_some(&format!("{count} processes"), all)
}

/// Processes whose environment has this mark.
#[cfg(target_os = "linux")]
fn marked(mark: &str) -> Vec<String> {
    let entries = std::fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    let pids = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    pids.filter(|pid| {
        let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|entry| entry == mark.as_bytes())
    })
    .collect()
}

#[test]
#[cfg(target_os = "linux")]
fn terminate_ends_the_tool_in_its_own_session_and_exits_as_the_real_program_does() {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("long.json");
    let json = json!({"about": "x", "turns": [[{"tools": [{"run": {"command": "sleep 300 & echo $$ > pid; wait"}}]}]]});
    std::fs::write(&script, json.to_string()).unwrap();
    let mut session =
        Session::start(&["--demo-script", script.to_str().unwrap(), "--allowedTools", "Bash"]);
    session.say("go", None);
    session.one("assistant/tool_use");
    let pid_file = session.path().join("pid");
    let pid = wait::until_some("the tool starts", || {
        let text = std::fs::read_to_string(&pid_file).ok()?;
        text.strip_suffix('\n').map(str::to_owned)
    });
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let session_id = stat.rsplit_once(") ").unwrap().1.split(' ').nth(3).unwrap().to_owned();
    assert_eq!(session_id, pid, "a tool has a session of its own");
    Command::new("kill").arg(session.child.id().to_string()).status().unwrap();
    assert_eq!(session.child.wait().unwrap().code(), Some(143));
    // Who collects it is not our concern.
    let lives = || {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
    };
    wait::until_some("the tool ends", || (!lives()).then_some(()));
}

#[test]
#[cfg(target_os = "linux")]
fn grandchildren_are_where_the_script_says() {
    let mark = format!("MUSHER_DEMO_TEST={}", std::process::id());
    let folder = tempfile::tempdir().unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_musher-demo-agent"))
        .args(FLAGS)
        .args(["--demo-script", "stubborn"])
        .env("MUSHER_DEMO_TEST", std::process::id().to_string())
        .current_dir(folder.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    writeln!(
        child.stdin.as_mut().unwrap(),
        "{}",
        json!({"type": "user", "message": {"role": "user", "content": "x"}})
    )
    .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let said = lines.find_map(|line| line.ok().filter(|line| line.contains("spawned"))).unwrap();
    assert!(
        said.contains("group=") && said.contains("session=") && said.contains("daemon="),
        "{said}"
    );
    // The agent and its three.
    await_marked(&mark, 4);
    Command::new("kill").arg(child.id().to_string()).status().unwrap();
    assert!(child.try_wait().unwrap().is_none(), "it ignores TERM");
    child.kill().unwrap();
    child.wait().unwrap();
    for pid in await_marked(&mark, 3) {
        Command::new("kill").args(["-KILL", &pid]).status().unwrap();
    }
}
