//! `musher` from outside: what it prints, how it ends, and what is left of a run after a crash.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]
// A test starts real programs and waits for them itself.
#![allow(clippy::disallowed_methods)]
#![cfg(unix)]

mod world;

use std::{
    io::{BufRead, BufReader},
    os::unix::net::UnixListener,
    process::Child,
    time::Duration,
};

use musher_protocol::*;
use musher_testkit::{proof, wait};
use world::{Following, World, nothing_left, text_of};

fn whole(events: &[EventEnvelope]) -> &RunOutcome {
    let seqs: Vec<_> = events.iter().map(|e| e.seq).collect();
    assert_eq!(seqs, (1..=events.len() as u64).collect::<Vec<_>>(), "no gap, nothing twice");
    let done: Vec<_> = events
        .iter()
        .filter_map(|e| match &e.event {
            AgentEvent::Done { outcome } => Some(outcome),
            _ => None,
        })
        .collect();
    assert_eq!(done.len(), 1, "one end");
    done[0]
}

#[test]
fn json_is_all_of_stdout() {
    let world = World::new();
    let ran = world.run("hello", &[]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let events = ran.events();
    assert_eq!(whole(&events), &RunOutcome::Completed);
    assert!(matches!(&events[0].event, AgentEvent::Message { text, .. } if text == "go"));
    let again = world.call(&["--json", "events", events[0].run.as_str()]);
    assert_eq!(again.stdout, ran.stdout, "stored as shown");
    nothing_left(&events[0].run);
}

#[test]
fn the_demo_does_the_whole_job_in_a_worktree_of_its_own() {
    let world = World::new();
    let ran = world.run("demo", &["--permission-mode", "accept-edits", "--answer", "allow"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let events = ran.events();
    assert_eq!(whole(&events), &RunOutcome::Completed);
    let kinds: Vec<_> = events.iter().map(|e| e.event.kind()).collect();
    for kind in ["thinking", "plan", "tool_call", "tool_result", "permission_request", "changes"] {
        assert!(kinds.contains(&kind), "the demo shows a {kind}");
    }
    let run = &world.runs()[0];
    assert!(run.demo && run.files_changed > 0);
    assert!(run.worktree.starts_with(&*world.data_dir().to_string_lossy()), "{}", run.worktree);
    assert_eq!(
        world.repo.git(["status", "--porcelain"]).unwrap(),
        "",
        "the user's checkout is as it was"
    );
}

#[test]
fn a_worktree_with_work_in_it_is_removed_only_by_force() {
    let world = World::new();
    world.run("edit", &["--answer", "allow"]);
    let worktree = world.runs().remove(0).worktree;
    let refused = world.call(&["remove", &worktree]);
    assert!(refused.stderr.contains("--force"), "the next step: {}", refused.stderr);
    assert_eq!(refused.code, 1, "{}{}", refused.stdout, refused.stderr);
    assert!(std::path::Path::new(&worktree).is_dir() && !refused.stdout.trim().is_empty());
    let removed = world.call(&["--json", "remove", "--force", &worktree]);
    assert_eq!(removed.code, 0, "{}{}", removed.stdout, removed.stderr);
    assert!(!std::path::Path::new(&worktree).exists());
    let report: RemovalReport = serde_json::from_str(&removed.stdout).unwrap();
    let kept = world.repo.git(["rev-parse", "--verify", &report.rescue_ref.unwrap()]);
    assert!(kept.is_ok(), "the rescue ref is there");
}

#[test]
fn exit_codes_say_how_it_ended() {
    let world = World::new();
    for (script, code) in [
        ("hello", 0),
        ("crash_mid_turn", 1),
        ("api_error", 1),
        ("exit_no_result", 1),
        ("rate_overage", 0),
        ("rate_limited", 3),
        ("max_turns", 3),
    ] {
        let ran = world.run(script, &[]);
        assert_eq!(ran.code, code, "{script}: {}{}", ran.stdout, ran.stderr);
    }
    assert_eq!(world.call(&["run", "", "--repo", "/"]).code, 2, "no words");
}

#[test]
fn a_wrong_command_line_is_told_what_it_lacks() {
    let world = World::new();
    for (line, named) in [
        (&["run", "x"][..], &["--repo", "--worktree"][..]),
        (&["run", "x", "--worktree", "/", "--repo", "/"], &["--repo", "--worktree"]),
        (&["run", "x", "--worktree", "/", "--base", "main"], &["--base", "--worktree"]),
        (&["run", "x", "--worktree", "/", "--branch", "b"], &["--branch", "--worktree"]),
        (&["no-such-command"], &["no-such-command"]),
        (&["--json"], &["serve"]),
    ] {
        let said = world.call(line);
        assert_eq!(said.code, 2, "{line:?}: {}", said.stderr);
        assert!(named.iter().all(|name| said.stderr.contains(name)), "{line:?}: {}", said.stderr);
        assert!(!said.stderr.contains("bench"), "{}", said.stderr);
    }
}

#[test]
fn a_request_that_nobody_can_answer_ends_the_command_and_not_the_run() {
    let world = World::new();
    let ran = world.run("edit", &[]);
    assert_eq!(ran.code, 5, "{}{}", ran.stdout, ran.stderr);
    let run = world.runs().remove(0);
    assert_eq!(run.phase, RunPhase::WaitingPermission);
    let events = world.call(&["--json", "events", run.id.as_str()]).events();
    let request = events.iter().find_map(|e| match &e.event {
        AgentEvent::PermissionRequest(asked) => Some(asked.request.clone()),
        _ => None,
    });
    assert!(ran.stderr.contains(&format!("musher answer {} {}", run.id, request.clone().unwrap())));

    let answered = world.call(&["answer", run.id.as_str(), &request.unwrap(), "allow"]);
    assert_eq!(answered.code, 0, "{}", answered.stderr);
    let rest = world.call(&["--json", "events", run.id.as_str(), "--follow"]);
    assert_eq!(whole(&rest.events()), &RunOutcome::Completed);
    nothing_left(&run.id);
}

#[test]
fn another_command_reaches_the_engine_of_the_first() {
    let world = World::new();
    // A terminal is not there, so the first command would leave; `follow` on a paused script stays.
    let mut first = world.follow("slow", &["--answer", "allow"]);
    let run = first.until(|e| matches!(e, AgentEvent::Text { .. })).run;
    assert_eq!(world.runs()[0].phase, RunPhase::Running);
    let stopped = world.call(&["--json", "stop", run.as_str()]);
    assert_eq!(stopped.code, 0, "{}", stopped.stderr);
    let ended = first.until(|e| matches!(e, AgentEvent::Done { .. }));
    assert!(matches!(ended.event, AgentEvent::Done { outcome: RunOutcome::Stopped { .. } }));
    assert_eq!(first.end(), 4);
    nothing_left(&run);
}

#[test]
fn a_killed_engine_loses_nothing_and_the_agent_goes_on() {
    let world = World::new();
    let mut first = world.follow("steer", &[]);
    let run = first.until(|e| matches!(e, AgentEvent::ToolResult(_))).run;
    first.kill_hard();
    let alive = proof::alive_with_mark(run.as_str());
    assert!(!alive.is_empty(), "the agent outlives the engine");

    let follow = ["--json", "events", run.as_str(), "--follow"];
    let mut second = Following::of(world.musher(&follow));
    second.until(|e| matches!(e, AgentEvent::Session(_)));
    let sent = world.call(&["send", run.as_str(), "the second word", "--steer"]);
    assert_eq!(sent.code, 0, "{}", sent.stderr);
    second.until(|e| matches!(e, AgentEvent::Done { .. }));
    assert_eq!(whole(&second.seen), &RunOutcome::Completed);
    assert!(text_of(&second.seen).contains("Steered: the second word"));
    second.end();
    nothing_left(&run);
}

#[test]
fn an_agent_that_ended_while_nobody_looked_is_taken_in() {
    let world = World::new();
    let mut first = world.follow("late", &["--arg", "--ms", "--arg", "1500"]);
    let run =
        first.until(|e| matches!(e, AgentEvent::Status { phase: RunPhase::Starting, .. })).run;
    first.until(|e| matches!(e, AgentEvent::MessageSent { .. }));
    first.kill_hard();
    let left = proof::wait_none_with_mark(run.as_str(), Duration::from_secs(3));
    // Without an engine nobody ends its input: it waits for words, or has ended by itself.
    drop(left);
    let rest = world.call(&["--json", "events", run.as_str(), "--follow"]);
    assert_eq!(whole(&rest.events()), &RunOutcome::Completed, "{}", rest.stderr);
    nothing_left(&run);
}

#[test]
fn a_stopped_run_leaves_no_process_ten_times_out_of_ten() {
    // Side by side, because each stop waits out every grace: the agent ignores all but KILL.
    std::thread::scope(|scope| {
        let stops: Vec<_> = (0..10).map(|_| scope.spawn(stop_a_stubborn_run)).collect();
        stops.into_iter().for_each(|stop| stop.join().unwrap());
    });
}

fn stop_a_stubborn_run() {
    let world = World::new();
    let mut following = world.follow("stubborn", &["--answer", "allow"]);
    let run =
        following.until(|e| matches!(e, AgentEvent::ToolCall(_) | AgentEvent::Text { .. })).run;
    assert!(!proof::alive_with_mark(run.as_str()).is_empty());
    let stopped = world.call(&["stop", run.as_str()]);
    let left = proof::alive_with_mark(run.as_str());
    assert!(left.is_empty(), "stop returned while {left:?} live");
    assert_eq!(stopped.code, 0, "{}", stopped.stderr);
    following.until(|e| matches!(e, AgentEvent::Done { .. }));
    whole(&following.seen);
}

#[test]
fn eight_demos_at_once_all_complete() {
    let world = World::new();
    let mut all: Vec<_> = (0..8)
        .map(|_| world.follow("demo", &["--permission-mode", "accept-edits", "--answer", "allow"]))
        .collect();
    for following in &mut all {
        following.until(|e| matches!(e, AgentEvent::Done { .. }));
        assert_eq!(whole(&following.seen), &RunOutcome::Completed);
    }
    let mut worktrees: Vec<_> = world.runs().into_iter().map(|run| run.worktree).collect();
    worktrees.sort();
    worktrees.dedup();
    assert_eq!(worktrees.len(), 8, "a worktree for each");
}

#[test]
fn what_is_there_is_shown() {
    let world = World::new();
    let path = world.repo.path().to_string_lossy().into_owned();
    let listed = world.call(&["--json", "worktrees", &path]);
    let worktree: Worktree = serde_json::from_str(listed.stdout.trim()).unwrap();
    assert!(worktree.main && worktree.path == path);
    let doctor = world.call(&["--json", "doctor"]);
    assert_eq!(doctor.code, 0, "{}", doctor.stdout);
    assert!(doctor.stdout.contains(r#""name":"git""#));
    let unknown = world.call(&["events", "nothing"]);
    assert_eq!(unknown.code, 1);
    assert_eq!(
        unknown.stderr,
        "error: There is no run nothing.\nhint: `musher runs` lists them.\n"
    );
}

#[test]
fn one_look_takes_in_what_the_keepers_hold() {
    let world = World::new();
    let mut first = world.follow("late", &["--arg", "--ms", "--arg", "800"]);
    let run = first.until(|e| matches!(e, AgentEvent::MessageSent { .. })).run;
    first.kill_hard();
    let spool =
        world.data_dir().join("runs").join(run.as_str()).join("stdout-00000000000000000000.spool");
    let result = || std::fs::read_to_string(&spool).ok()?.find("\"type\":\"result\"");
    wait::until_some("the agent ends its turn with nobody there", result);
    // One short command, and the run is over: its turn was, and nobody had more to say.
    let listed = world.runs().remove(0);
    assert_eq!(listed.phase, RunPhase::Done);
    assert_eq!(listed.outcome, Some(RunOutcome::Completed));
    let events = world.call(&["--json", "events", run.as_str()]).events();
    assert_eq!(whole(&events), &RunOutcome::Completed);
    nothing_left(&run);
}

#[test]
fn followers_of_a_killed_engine_go_on_without_it() {
    let world = World::new();
    let mut owner = world.follow("steer", &["--arg", "--times", "--arg", "20"]);
    let run = owner.until(|e| matches!(e, AgentEvent::ToolResult(_))).run;
    let mut follower = Following::of(world.musher(&["--json", "events", run.as_str(), "--follow"]));
    follower.until(|e| matches!(e, AgentEvent::ToolResult(_)));
    owner.kill_hard();
    follower.until(|e| matches!(e, AgentEvent::Done { .. }));
    whole(&follower.seen);
    assert_eq!(follower.end(), 0);
    nothing_left(&run);
}

#[test]
fn what_cannot_start_says_why_and_leaves_nothing() {
    let world = World::new();
    let repo = world.repo.path().to_string_lossy().into_owned();
    let ran = world.call(&["run", "go", "--repo", &repo, "--command", "/no/such/program"]);
    assert_eq!(ran.code, 1);
    assert!(ran.stderr.starts_with("error: /no/such/program is no program that can be run.\n"));
    assert_eq!(world.repo.git(["branch", "--list", "musher/*"]).unwrap(), "");
}

/// A command that ends has no socket any more and still the lock.
#[test]
fn a_musher_that_stays_waits_for_one_that_ends() {
    let world = World::new();
    let ending = musher_store::DataDirLock::acquire(&world.data_dir()).unwrap();
    let socket = world.data_dir().join("engine.sock");
    let door = UnixListener::bind(&socket).unwrap();
    let mut serve = world.musher(&["serve"]).spawn().unwrap();
    // It met the lock, and asks who has it.
    drop(door.accept().unwrap());
    drop(door);
    std::fs::remove_file(&socket).unwrap();
    drop(ending);
    let mut line = String::new();
    BufReader::new(serve.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    assert!(line.starts_with("socket "), "{line}");
    terminate(&serve);
    assert!(serve.wait().unwrap().success());
}

fn terminate(child: &Child) {
    let pid = rustix::process::Pid::from_child(child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
}

/// A command has the engine only until a Musher that stays asks for it, and follows its run there.
#[test]
fn a_command_gives_way_to_a_musher_that_stays() {
    let world = World::new();
    let mut following = world.follow("slow", &[]);
    let run = following.until(|e| matches!(e, AgentEvent::Session(_))).run;
    let mut serve = world.musher(&["serve"]).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(serve.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    assert!(line.starts_with("socket "), "{line}");
    assert!(world.runs().iter().all(|run| run.phase != RunPhase::Done), "the agent goes on");
    let stopped = world.call(&["stop", run.as_str()]);
    assert_eq!(stopped.code, 0, "{}", stopped.stderr);
    assert_eq!(following.end(), 4, "it heard the end from the other engine");
    terminate(&serve);
    assert!(serve.wait().unwrap().success());
    nothing_left(&run);
}
