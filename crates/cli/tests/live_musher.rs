//! The main job with the real `claude` and a scripted model: a worktree, a turn, a crash of the
//! engine, a later message.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
// A test starts real programs and waits for them itself.
#![allow(clippy::disallowed_methods)]

mod world;

use musher_protocol::{AgentEvent, EventEnvelope, RunOutcome};
use musher_testkit::{Live, proof};
use world::{Following, World, nothing_left, text_of};

/// Arguments that start the real program on this prompt.
fn run_args(world: &World, live: &Live, prompt: &str, more: &[&str]) -> Vec<String> {
    world.set_up(live);
    let repo = world.repo.path().display().to_string();
    let claude = live.claude.display().to_string();
    let args = ["--json", "run", prompt, "--repo", &repo, "--command", &claude];
    args.iter().chain(more).map(|arg| (*arg).to_owned()).collect()
}

fn strs(args: &[String]) -> Vec<&str> {
    args.iter().map(String::as_str).collect()
}

fn outcome(events: &[EventEnvelope]) -> RunOutcome {
    let seqs: Vec<u64> = events.iter().map(|event| event.seq).collect();
    assert_eq!(seqs, (1..=events.len() as u64).collect::<Vec<_>>(), "no gap, nothing twice");
    match &events.last().unwrap().event {
        AgentEvent::Done { outcome } => outcome.clone(),
        other => panic!("the last event is {other:?}"),
    }
}

#[test]
#[ignore = "needs the claude package: cargo xtask test --live"]
fn works_in_a_worktree_and_answers_later() {
    let (world, live) = (World::new(), Live::new().unwrap());
    let more = ["--permission-mode", "accept-edits", "--answer", "allow"];
    let ran = world.call(&strs(&run_args(&world, &live, "do it [[model:agentic]]", &more)));
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    let events = ran.events();
    assert_eq!(outcome(&events), RunOutcome::Completed);
    let run = events[0].run.clone();
    let listed = world.runs();
    let summary = listed.iter().find(|summary| summary.id == run).unwrap();
    let worktree = std::path::Path::new(&summary.worktree);
    assert!(worktree.join("greeting.txt").exists(), "{summary:?}");
    assert!(!world.repo.path().join("greeting.txt").exists(), "the user's checkout is as it was");
    nothing_left(&run);

    let again = world.call(&["--json", "resume", run.as_str(), "a second word [[model:hello]]"]);
    assert_eq!(again.code, 0, "{}{}", again.stdout, again.stderr);
    assert!(text_of(&again.events()).contains("Hello from the scripted model."));
    let last =
        live.model.requests().into_iter().rfind(|request| request.scenario.is_some()).unwrap();
    let said = last.body["messages"].to_string();
    assert!(said.contains("do it") && said.contains("a second word"), "one conversation: {said}");
}

#[test]
#[ignore = "needs the claude package: cargo xtask test --live"]
fn a_killed_engine_loses_nothing_of_a_turn() {
    let (world, live) = (World::new(), Live::new().unwrap());
    let args = run_args(&world, &live, "do it [[model:unhurried]]", &[]);
    let mut first = Following::of(world.musher(&strs(&args)));
    let run = first.until(|event| matches!(event, AgentEvent::Text { delta: true, .. })).run;
    first.kill_hard();
    assert!(!proof::alive_with_mark(run.as_str()).is_empty(), "the agent outlives the engine");

    let rest = world.call(&["--json", "events", run.as_str(), "--follow"]);
    let events = rest.events();
    assert_eq!(outcome(&events), RunOutcome::Completed, "{}", rest.stderr);
    assert_eq!(text_of(&events).trim(), "unhurried words ".repeat(50).trim(), "the whole text");
    nothing_left(&run);
}
