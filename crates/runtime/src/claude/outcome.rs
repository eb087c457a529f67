//! How a run ended: a fold of what the agent said, how its process ended, and why it was ended.
//!
//! The traps, all seen in recordings: an API error has the subtype `success`; SIGINT exits 0; a run
//! can die without a result; a turn that failed can be followed by one that succeeds (the last one
//! counts); a quota can be `rejected` while paid overage goes on.

use musher_protocol::{RateLimitState, RunLimit, RunOutcome, StoppedBy};

use super::{
    decode::{Facts, TurnResult, is_resume_rejection},
    plain::plain,
};

const LOST: &str = "The agent's keeper was killed, so nobody saw how the agent ended.";

/// How many lines a failure keeps.
pub const LAST_LINES: usize = 20;

/// How the process ended, as its keeper proved it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exit {
    pub code: Option<i32>,
    pub signal: Option<i32>,
    /// Processes that may still live.
    pub left: Vec<u32>,
    pub spawn_error: Option<String>,
    /// Its keeper was killed, so nobody saw the end.
    pub lost: bool,
}

/// Why Musher ended the process, when it did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    Stopped(StoppedBy),
    /// `last_event` is the type of the last event, or `start` when there was none.
    Inactive {
        after_secs: u64,
        last_event: String,
    },
    Limit(RunLimit),
}

impl From<&musher_process::ExitRecord> for Exit {
    fn from(record: &musher_process::ExitRecord) -> Self {
        Self {
            code: record.code,
            signal: record.signal,
            left: record.left.clone(),
            spawn_error: record.spawn_error.clone(),
            lost: record.lost,
        }
    }
}

/// All that decides an outcome.
#[derive(Clone, Debug)]
pub struct Ended<'a> {
    pub facts: &'a Facts,
    pub exit: &'a Exit,
    pub cause: Option<Cause>,
    /// What the process said last on stderr.
    pub stderr: &'a [String],
    /// The session that was to be resumed.
    pub resumed: Option<&'a str>,
}

/// The one reason why the run is over.
pub fn outcome(ended: &Ended<'_>) -> RunOutcome {
    if !ended.exit.left.is_empty() {
        return RunOutcome::Unconfirmed { left: ended.exit.left.clone() };
    }
    if let Some(message) = &ended.exit.spawn_error {
        return RunOutcome::SpawnFailed { message: message.clone() };
    }
    match &ended.cause {
        Some(Cause::Stopped(by)) => RunOutcome::Stopped { by: *by },
        Some(Cause::Limit(limit)) => RunOutcome::LimitReached { limit: *limit },
        Some(Cause::Inactive { after_secs, last_event }) => {
            RunOutcome::Inactive { after_secs: *after_secs, last_event: last_event.clone() }
        }
        None => by_itself(ended),
    }
}

/// The process ended of its own accord, or by somebody else's.
fn by_itself(ended: &Ended<'_>) -> RunOutcome {
    if let Some(session_id) = ended.resumed.filter(|_| resume_rejected(ended)) {
        return RunOutcome::ResumeRejected { session_id: session_id.to_owned() };
    }
    match &ended.facts.last_result {
        Some(result) if !ended.facts.turn_open => by_result(ended, result),
        _ if ended.facts.started || ended.facts.last_result.is_some() => failed(ended, None),
        _ if ended.exit.lost => failed(ended, None),
        _ => RunOutcome::AbortedBeforeSession {
            signal: ended.exit.signal,
            last_lines: last_lines(ended.stderr.iter().map(String::as_str)),
        },
    }
}

/// Whether the session to resume was refused. Output formats without JSON say it on stderr only.
pub fn resume_rejected(ended: &Ended<'_>) -> bool {
    let said = || ended.stderr.iter().any(|line| is_resume_rejection(line));
    ended.resumed.is_some()
        && !ended.facts.init
        && (ended.facts.resume_rejected || (ended.facts.last_result.is_none() && said()))
}

fn by_result(ended: &Ended<'_>, result: &TurnResult) -> RunOutcome {
    if result.ok() {
        return RunOutcome::Completed;
    }
    match result.subtype.as_str() {
        "error_max_turns" => return RunOutcome::LimitReached { limit: RunLimit::Turns },
        "error_max_budget_usd" => return RunOutcome::LimitReached { limit: RunLimit::Money },
        _ => {}
    }
    if result.aborted() {
        // Only a person interrupts a turn; ended there, it is neither done nor failed.
        return RunOutcome::Stopped { by: StoppedBy::User };
    }
    if rate_limited(ended.facts, result) {
        let limit = ended.facts.rate_limit.as_ref();
        return RunOutcome::RateLimited {
            resets_at: limit.and_then(|limit| limit.resets_at),
            window: limit.and_then(|limit| limit.window.clone()),
        };
    }
    let words = result.words.as_deref();
    if needs_login(ended.facts, result) {
        let message = words.unwrap_or("The agent is not logged in.").to_owned();
        return RunOutcome::AuthenticationRequired { message };
    }
    failed(ended, words)
}

/// The typed news first, the status of the API second, never the text.
fn rate_limited(facts: &Facts, result: &TurnResult) -> bool {
    let rejected = facts
        .rate_limit
        .as_ref()
        .is_some_and(|limit| limit.state == RateLimitState::Rejected && !limit.using_overage);
    match result.api_error_status {
        Some(status) => status == 429,
        None => rejected || facts.api_error.as_deref() == Some("rate_limit"),
    }
}

fn needs_login(facts: &Facts, result: &TurnResult) -> bool {
    facts.api_error.as_deref() == Some("authentication_failed")
        || result.api_error_status == Some(401)
}

fn failed(ended: &Ended<'_>, words: Option<&str>) -> RunOutcome {
    let last_lines = match words {
        Some(words) => last_lines(words.lines()),
        None if ended.exit.lost => vec![LOST.to_owned()],
        None => last_lines(ended.stderr.iter().map(String::as_str)),
    };
    RunOutcome::Failed { exit_code: ended.exit.code, last_lines }
}

fn last_lines<'a>(lines: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut lines: Vec<String> = lines.map(plain).collect();
    lines.drain(..lines.len().saturating_sub(LAST_LINES));
    lines
}

#[cfg(test)]
#[path = "outcome_tests.rs"]
mod tests;
