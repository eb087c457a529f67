//! The fold: the same events give the same state, whatever they are.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::*;
use musher_protocol::*;
use musher_store::fold::{FoldError, Pending, RunFold};
use proptest::prelude::*;
use serde_json::json;

fn folded(events: &[AgentEvent]) -> RunFold {
    let mut fold = RunFold::default();
    for (n, event) in events.iter().enumerate() {
        fold.apply(&envelope(n as u64 + 1, event.clone(), None)).unwrap();
    }
    fold
}

fn event(value: serde_json::Value) -> AgentEvent {
    serde_json::from_value(value).unwrap()
}

fn status(phase: &str) -> AgentEvent {
    event(json!({"type": "status", "status": "running", "phase": phase, "detail": "d"}))
}

fn ask(request: &str) -> AgentEvent {
    event(json!({"type": "permission_request", "request": request, "tool": "Bash", "kind": "run",
        "title": "rm -r build", "input": {"command": "rm -r build"}}))
}

fn done(outcome: serde_json::Value) -> AgentEvent {
    event(json!({"type": "done", "outcome": outcome}))
}

#[test]
fn a_run_from_start_to_end() {
    let mut events = vec![
        event(json!({"type": "message", "id": "p", "text": "do", "delivery": "prompt"})),
        status("starting"),
        event(
            json!({"type": "session", "session_id": "s", "model": "m", "runtime_version": "2", "demo": true}),
        ),
        event(json!({"type": "message_sent", "id": "p"})),
        ask("r1"),
        status("waiting_permission"),
    ];
    let waiting = folded(&events);
    assert_eq!(waiting.phase, RunPhase::WaitingPermission);
    assert!(
        matches!(waiting.pending("r1"), Some(Pending::Permission(p)) if p.title == "rm -r build")
    );
    assert!(waiting.prompt_sent && waiting.demo() && waiting.queued.is_empty());
    assert_eq!((waiting.session_id(), waiting.model()), (Some("s"), Some("m")));
    assert_eq!(waiting.runtime_version(), Some("2"));
    events.extend([
        event(json!({"type": "permission_answer", "request": "r1", "decision": "allow", "by": "user"})),
        event(json!({"type": "changes", "files": [
            {"path": "a", "kind": "added", "added": 3, "removed": 0},
            {"path": "b", "kind": "modified", "added": 1, "removed": 2}]})),
        event(json!({"type": "turn_ended", "ok": true})),
        done(json!({"reason": "completed"})),
    ]);
    let over = folded(&events);
    assert_eq!((over.status, over.phase), (RuntimeStatus::Completed, RunPhase::Done));
    assert_eq!((over.added, over.removed, over.files_changed, over.turns), (4, 2, 2, 1));
    assert!(over.pending.is_empty() && over.detail.is_none() && over.is_done());
    let mut filled = summary();
    over.fill(&mut filled);
    assert_eq!((filled.last_seq, filled.waiting, filled.phase), (10, 0, RunPhase::Done));
    assert_eq!(filled.updated_at, at(10));
    assert_eq!(filled.model.as_deref(), Some("m"));
}

#[test]
fn messages_wait_until_they_are_sent_or_dropped() {
    let say =
        |id: &str| event(json!({"type": "message", "id": id, "text": id, "delivery": "queue"}));
    let mut events = vec![say("a"), say("b"), say("c")];
    events.push(event(json!({"type": "message_sent", "id": "b"})));
    let ids = |f: &RunFold| f.queued.iter().map(|m| m.id.clone()).collect::<Vec<_>>();
    assert_eq!(ids(&folded(&events)), ["a", "c"]);
    events.push(done(json!({"reason": "completed"})));
    events.push(event(json!({"type": "message_dropped", "id": "a", "why": "over"})));
    assert_eq!(ids(&folded(&events)), ["c"]);
}

#[test]
fn only_the_first_done_counts_and_only_a_done_ends() {
    assert_ne!(folded(&[status("done")]).phase, RunPhase::Done);
    let stopped = done(json!({"reason": "stopped", "by": "user"}));
    let fold = folded(&[
        ask("r"),
        stopped,
        done(json!({"reason": "completed"})),
        status("running"),
        ask("q"),
    ]);
    assert_eq!(fold.outcome, Some(RunOutcome::Stopped { by: StoppedBy::User }));
    assert_eq!((fold.status, fold.phase), (RuntimeStatus::Idle, RunPhase::Done));
    assert!(fold.pending.is_empty());
}

#[test]
fn a_gap_and_another_run_are_told() {
    let mut fold = RunFold::default();
    fold.apply(&envelope(1, status("running"), Some(10))).unwrap();
    assert_eq!(fold.apply(&envelope(1, status("stopping"), None)), Ok(false));
    assert_eq!(fold.phase, RunPhase::Running);
    let gap = fold.apply(&envelope(4, status("stopping"), Some(0)));
    assert_eq!(gap, Err(FoldError::Gap { last: 1, found: 4 }));
    assert_eq!((fold.missing, fold.phase, fold.stored_to), (2, RunPhase::Stopping, 10));
    let mut other = envelope(5, status("running"), None);
    other.run = RunId::parse("run-2").unwrap();
    assert!(matches!(fold.apply(&other), Err(FoldError::OtherRun { .. })));
    assert_eq!(fold.last_seq, 4);
}

/// Every kind of event that the fold looks at, with ids that meet each other.
fn any_event() -> impl Strategy<Value = AgentEvent> {
    let id = || prop::sample::select(vec!["a", "b", "c"]);
    prop_oneof![
        prop::sample::select(vec![
            "queued",
            "running",
            "waiting_permission",
            "stopping",
            "done",
            "odd"
        ])
        .prop_map(status),
        id().prop_map(ask),
        id().prop_map(|r| event(json!({"type": "question", "request": r, "questions": []}))),
        id().prop_map(|r| event(
            json!({"type": "permission_answer", "request": r, "decision": "deny", "by": "expiry"})
        )),
        id().prop_map(|r| event(
            json!({"type": "question_answer", "request": r, "answers": {}, "by": "user"})
        )),
        (id(), prop::sample::select(vec!["prompt", "queue", "steer", "odd"])).prop_map(|(i, d)| {
            event(json!({"type": "message", "id": i, "text": "t", "delivery": d}))
        }),
        id().prop_map(|i| event(json!({"type": "message_sent", "id": i}))),
        id().prop_map(|i| event(json!({"type": "message_dropped", "id": i, "why": "w"}))),
        prop::sample::select(vec!["completed", "stopped", "odd"])
            .prop_map(|r| done(json!({"reason": r, "by": "user"}))),
        any::<u32>().prop_map(|n| event(json!({"type": "changes", "files": [
            {"path": "a", "kind": "added", "added": n, "removed": n},
            {"path": "b", "kind": "odd", "added": n, "removed": 1}]}))),
        id().prop_map(|s| event(json!({"type": "session", "session_id": s}))),
        Just(AgentEvent::Unknown),
    ]
}

fn any_envelopes() -> impl Strategy<Value = Vec<EventEnvelope>> {
    let one = (
        any_event(),
        prop_oneof![9 => 1u64..40, 1 => any::<u64>()],
        prop::option::of(any::<u64>()),
    );
    prop::collection::vec(one, 0..60).prop_map(|all| {
        all.into_iter()
            .map(|(e, seq, spool)| EventEnvelope { seq, spool, ..envelope(1, e, None) })
            .collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_same_transcript_gives_the_same_state_once_or_twice(events in prop::collection::vec(any_event(), 0..60)) {
        let mut fold = folded(&events);
        prop_assert_eq!(&fold, &folded(&events));
        let once = fold.clone();
        for (n, event) in events.iter().enumerate() {
            prop_assert_eq!(fold.apply(&envelope(n as u64 + 1, event.clone(), None)), Ok(false));
        }
        prop_assert_eq!(&fold, &once);
        let first = events.iter().find_map(|e| match e {
            AgentEvent::Done { outcome } => Some(outcome.clone()),
            _ => None,
        });
        prop_assert_eq!(fold.phase == RunPhase::Done, first.is_some());
        prop_assert_eq!(fold.outcome, first);
        prop_assert_eq!(fold.missing, 0);
    }

    #[test]
    fn no_order_of_events_panics(events in any_envelopes()) {
        let mut fold = RunFold::default();
        for envelope in &events {
            let before = fold.last_seq;
            let told = fold.apply(envelope);
            prop_assert_eq!(told.is_err(), envelope.seq > before.saturating_add(1));
            prop_assert_eq!(fold.last_seq, before.max(envelope.seq));
        }
    }
}

fn message(id: &str, delivery: &str) -> AgentEvent {
    event(json!({"type": "message", "id": id, "text": id, "delivery": delivery}))
}

fn sent(id: &str) -> AgentEvent {
    event(json!({"type": "message_sent", "id": id}))
}

fn turn_ended() -> AgentEvent {
    event(json!({"type": "turn_ended", "ok": true}))
}

/// It is told a moment later that a message was said, perhaps after the end of its turn: an engine that
/// comes back then must not wait for a second end.
#[test]
fn a_message_told_late_does_not_open_the_turn_that_ended() {
    let quick = [message("p", "prompt"), turn_ended(), sent("p")];
    assert!(folded(&quick).turn_over, "the prompt");
    let start = [message("p", "prompt"), sent("p")];
    let after = |more: &[AgentEvent]| folded(&[&start, more].concat()).turn_over;
    assert!(after(&[message("s", "steer"), turn_ended(), sent("s")]), "a steering message");
    let queued = [message("q", "queue"), turn_ended(), turn_ended(), sent("q")];
    assert!(after(&queued), "a queued message whose own turn ended");
    assert!(after(&[turn_ended(), message("q", "queue"), turn_ended(), sent("q")]));
    assert!(after(&[turn_ended(), sent("p")]), "told a second time");
}

#[test]
fn a_message_said_after_a_turn_begins_the_next() {
    let start = [message("p", "prompt"), sent("p")];
    let after = |more: &[AgentEvent]| folded(&[&start, more].concat()).turn_over;
    assert!(!after(&[]));
    assert!(!after(&[message("q", "queue"), turn_ended(), sent("q")]), "it waited for the turn");
    assert!(!after(&[turn_ended(), message("q", "queue"), sent("q")]));
    assert!(!after(&[turn_ended(), message("s", "steer"), sent("s")]));
    let two = [message("q1", "queue"), message("q2", "queue"), turn_ended(), sent("q1")];
    let two = [&two[..], &[turn_ended(), sent("q2")]].concat();
    assert!(!after(&two), "one message a turn");
    assert!(after(&[&two[..], &[turn_ended()]].concat()));
    let open = [message("q", "queue"), ask("r"), turn_ended()];
    let answer =
        json!({"type": "permission_answer", "request": "r", "decision": "allow", "by": "user"});
    let then = [event(answer), turn_ended(), sent("q")];
    assert!(!after(&[&open[..], &then].concat()), "nothing is said while an answer is waited for");
}
