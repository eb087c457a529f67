//! A question at a terminal that is answered elsewhere, or ends with its run, while it stands there.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]
// A test starts real programs and waits for them itself.
#![allow(clippy::disallowed_methods)]
#![cfg(unix)]

mod world;

use musher_protocol::*;
use world::{
    World, nothing_left,
    seat::{Seat, plain},
};

const PROMPT: &str = "allow? [y/N]> ";
const AGAIN: &str = "note: What was begun before this question is no answer to it.";
/// As a terminal in its usual mode takes it: the end of the input.
const CTRL_D: &str = "\u{4}";

fn seat(world: &World, script: &str, more: &[&str]) -> Seat {
    let repo = world.repo.path().to_string_lossy().into_owned();
    Seat::at(world.musher(&plain(&repo, script, more)))
}

/// The one run, and what happened in it.
fn events(world: &World) -> (RunId, Vec<AgentEvent>) {
    let run = world.runs().remove(0).id;
    let events = world.call(&["--json", "events", run.as_str()]).events();
    (run, events.into_iter().map(|envelope| envelope.event).collect())
}

/// The requests of the one run, oldest first.
fn asked(world: &World) -> (RunId, Vec<String>) {
    let (run, events) = events(world);
    let requests = events.into_iter().filter_map(|event| match event {
        AgentEvent::PermissionRequest(asked) => Some(asked.request),
        AgentEvent::Question(asked) => Some(asked.request),
        _ => None,
    });
    (run, requests.collect())
}

fn decisions(world: &World) -> Vec<PermissionDecision> {
    let given = events(world).1.into_iter().filter_map(|event| match event {
        AgentEvent::PermissionAnswer { decision, by: AnsweredBy::User, .. } => Some(decision),
        _ => None,
    });
    given.collect()
}

fn answer(world: &World, run: &RunId, request: &str, words: &[&str]) {
    let mut args = vec!["answer", run.as_str(), request];
    args.extend(words);
    let said = world.call(&args);
    assert_eq!(said.code, 0, "{}", said.stderr);
}

#[test]
fn a_permission_that_was_given_elsewhere_leaves_the_prompt() {
    let world = World::new();
    let mut seat = seat(&world, "edit", &[]);
    seat.until(PROMPT);
    let (run, requests) = asked(&world);
    answer(&world, &run, &requests[0], &["allow"]);
    let (code, said) = seat.end();
    assert_eq!(code, 0, "{said}");
    assert!(said.contains(&format!("{PROMPT}\r\nnote: answered elsewhere: allowed\r\n")), "{said}");
    assert!(said.contains("completed"), "{said}");
    assert_eq!(said.matches(PROMPT).count(), 1, "{said}");
    nothing_left(&run);
}

#[test]
fn a_question_that_was_answered_elsewhere_says_with_what() {
    let world = World::new();
    let mut seat = seat(&world, "question", &[]);
    seat.until("answer (a number, or words; empty: none)> ");
    let (run, requests) = asked(&world);
    answer(&world, &run, &requests[0], &["choose", "--message", "Blue"]);
    let (code, said) = seat.end();
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("none)> \r\nnote: answered elsewhere: Blue\r\n"), "{said}");
    assert!(said.contains("You chose Blue."), "{said}");
    let calls = said.matches("AskUserQuestion Which colour?").count();
    assert_eq!(said.matches("Which colour?").count(), 1 + calls, "asked once: {said}");
}

#[test]
fn a_run_that_was_stopped_elsewhere_leaves_the_prompt() {
    let world = World::new();
    let mut seat = seat(&world, "edit", &[]);
    seat.until(PROMPT);
    let (run, _) = asked(&world);
    let stopped = world.call(&["stop", run.as_str()]);
    assert_eq!(stopped.code, 0, "{}", stopped.stderr);
    let (code, said) = seat.end();
    assert_eq!(code, 4, "{said}");
    assert!(said.contains(&format!("{PROMPT}\r\n")), "on a line of its own: {said}");
    nothing_left(&run);
}

#[test]
fn what_was_begun_for_one_question_never_answers_the_next() {
    let world = World::new();
    let mut seat = seat(&world, "two_asks", &[]);
    seat.until(PROMPT);
    // The line's end comes when another question stands there.
    seat.write("y");
    let (run, requests) = asked(&world);
    answer(&world, &run, &requests[0], &["allow"]);
    seat.until("note: answered elsewhere: allowed");
    seat.until(PROMPT);
    seat.write("\n");
    seat.until(AGAIN);
    seat.until(PROMPT);
    seat.write("y\n");
    let (code, said) = seat.end();
    assert_eq!(code, 0, "{said}");
    assert_eq!(decisions(&world), [PermissionDecision::Allow; 2], "{said}");
}

#[test]
fn the_next_question_is_answered_here_at_once() {
    let world = World::new();
    let mut seat = seat(&world, "two_asks", &[]);
    seat.until(PROMPT);
    let (run, requests) = asked(&world);
    answer(&world, &run, &requests[0], &["deny"]);
    seat.until("note: answered elsewhere: denied");
    seat.until(PROMPT);
    seat.write("y\n");
    let (code, said) = seat.end();
    assert_eq!(code, 0, "{said}");
    assert_eq!(decisions(&world), [PermissionDecision::Deny, PermissionDecision::Allow], "{said}");
    let second = said.find("? wants leave: Write").unwrap();
    assert!(second > said.find(PROMPT).unwrap(), "each above its own prompt: {said}");
    assert_eq!(said.matches("? wants leave: ").count(), 2, "each once: {said}");
    assert!(!said.contains(AGAIN), "{said}");
}

#[test]
fn what_was_typed_ahead_answers_nothing() {
    let world = World::new();
    let mut seat = seat(&world, "edit", &[]);
    seat.write("y\n");
    seat.until(AGAIN);
    seat.until(PROMPT);
    seat.write("n\n");
    let (_, said) = seat.end();
    assert_eq!(decisions(&world), [PermissionDecision::Deny], "{said}");
}

#[test]
fn the_end_of_the_input_denies() {
    let world = World::new();
    let mut seat = seat(&world, "edit", &[]);
    seat.until(PROMPT);
    seat.write(CTRL_D);
    let (_, said) = seat.end();
    assert_eq!(decisions(&world), [PermissionDecision::Deny], "{said}");
}
