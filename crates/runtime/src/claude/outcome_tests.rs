use musher_protocol::{RateLimit, RateLimitState};

use super::*;

fn facts(result: Option<TurnResult>) -> Facts {
    Facts { started: true, last_result: result, ..Facts::default() }
}

fn result(subtype: &str, is_error: bool) -> TurnResult {
    TurnResult { subtype: subtype.into(), is_error, ..TurnResult::default() }
}

fn of(facts: &Facts, exit: Exit, cause: Option<Cause>) -> RunOutcome {
    outcome(&Ended { facts, exit: &exit, cause, stderr: &["said last".into()], resumed: None })
}

fn code(code: i32) -> Exit {
    Exit { code: Some(code), ..Exit::default() }
}

#[test]
fn proof_comes_first_then_the_cause_then_the_agents_words() {
    let done = facts(Some(result("success", false)));
    let stop = Some(Cause::Stopped(StoppedBy::Engine));
    let left = Exit { left: vec![7], ..code(0) };
    assert_eq!(of(&done, left, stop.clone()), RunOutcome::Unconfirmed { left: vec![7] });
    assert_eq!(of(&done, code(0), stop), RunOutcome::Stopped { by: StoppedBy::Engine });
    assert_eq!(of(&done, code(0), None), RunOutcome::Completed);
    let none = Exit { spawn_error: Some("no such file".into()), ..Exit::default() };
    let message = "no such file".into();
    assert_eq!(of(&Facts::default(), none, None), RunOutcome::SpawnFailed { message });
}

#[test]
fn the_last_result_counts_and_an_open_turn_has_none() {
    let mut open = facts(Some(result("success", false)));
    open.turn_open = true;
    let failed =
        |code| RunOutcome::Failed { exit_code: Some(code), last_lines: vec!["said last".into()] };
    assert_eq!(of(&open, code(0), None), failed(0));
    assert_eq!(of(&facts(None), code(0), None), failed(0));
    assert_eq!(of(&facts(Some(result("error_during_execution", true))), code(1), None), failed(1));
}

#[test]
fn last_lines_are_words_and_no_colours() {
    let exit = code(1);
    let stderr = ["\u{1b}[31mError:\u{1b}[39m no key".to_owned()];
    let (dead, mut failed) =
        (Facts::default(), facts(Some(result("error_during_execution", true))));
    for (facts, words) in [(&dead, "Error: no key"), (&failed, "Error: no key")] {
        let ended = Ended { facts, exit: &exit, cause: None, stderr: &stderr, resumed: None };
        assert_eq!(said(outcome(&ended)), [words]);
    }
    if let Some(result) = &mut failed.last_result {
        result.words = Some("\u{1b}[1mAPI Error\u{1b}[0m: 500".into());
    }
    assert_eq!(said(of(&failed, exit, None)), ["API Error: 500"]);
}

fn said(outcome: RunOutcome) -> Vec<String> {
    match outcome {
        RunOutcome::Failed { last_lines, .. }
        | RunOutcome::AbortedBeforeSession { last_lines, .. } => last_lines,
        _ => Vec::new(),
    }
}

#[test]
fn a_death_before_the_session_names_the_signal() {
    let exit = Exit { signal: Some(6), ..Exit::default() };
    let outcome = of(&Facts::default(), exit, None);
    assert_eq!(outcome.aborted_signal(), Some(6));
}

#[test]
fn overage_is_no_stop_and_a_429_needs_no_event() {
    let rejected = |using_overage| RateLimit {
        state: RateLimitState::Rejected,
        window: Some("five_hour".into()),
        utilization: None,
        resets_at: None,
        using_overage,
    };
    let mut error = facts(Some(result("error_during_execution", true)));
    error.rate_limit = Some(rejected(true));
    assert!(!of(&error, code(1), None).rate_limit_exit());
    error.rate_limit = Some(rejected(false));
    assert!(of(&error, code(1), None).rate_limit_exit());
    error.rate_limit = None;
    error.last_result = Some(TurnResult { api_error_status: Some(429), ..result("success", true) });
    assert!(of(&error, code(1), None).rate_limit_exit());
}

#[test]
fn a_rejected_resume_is_known_from_json_and_from_stderr() {
    let stderr = ["No conversation found with session ID: s".to_owned()];
    let exit = code(1);
    let of = |facts: &Facts| {
        outcome(&Ended { facts, exit: &exit, cause: None, stderr: &stderr, resumed: Some("s") })
    };
    let rejected = RunOutcome::ResumeRejected { session_id: "s".into() };
    assert_eq!(of(&Facts::default()), rejected);
    assert_ne!(of(&Facts { init: true, ..facts(None) }), rejected);
}
