//! How a run ended: one tagged reason, and the questions that the founding design asks of it.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use ts_rs::TS;

use crate::{RuntimeStatus, TokenUsage};

/// Why a run is over.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
#[serde(tag = "reason", rename_all = "snake_case")]
#[ts(export_to = "contract.ts")]
pub enum RunOutcome {
    Completed,
    /// The agent or its process failed. `last_lines`: at most 20, what it said last on stderr, or
    /// the error it reported.
    Failed {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        exit_code: Option<i32>,
        last_lines: Vec<String>,
    },
    /// The process died before it named a session. `signal` is the number, when a signal ended it.
    AbortedBeforeSession {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        signal: Option<i32>,
        last_lines: Vec<String>,
    },
    /// The runtime does not know the session that was to be resumed.
    ResumeRejected {
        session_id: String,
    },
    /// The account's quota is used up.
    RateLimited {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        resets_at: Option<DateTime<Utc>>,
        /// The runtime's name of the window, for example `five_hour`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        window: Option<String>,
    },
    LimitReached {
        limit: RunLimit,
    },
    /// Nothing was heard for `after_secs`; `last_event` is the type of the last event.
    Inactive {
        after_secs: u64,
        last_event: String,
    },
    Stopped {
        by: StoppedBy,
    },
    SpawnFailed {
        message: String,
    },
    AuthenticationRequired {
        message: String,
    },
    /// The end could not be proved: these processes may still live.
    Unconfirmed {
        left: Vec<u32>,
    },
    /// Written by a newer Musher.
    #[serde(other)]
    Unknown,
}

/// Which of a run's own limits was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
#[ts(export_to = "contract.ts")]
pub enum RunLimit {
    Turns,
    ToolCalls,
    Tokens,
    Money,
    Time,
    #[serde(other)]
    Unknown,
}

/// Who stopped a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
#[ts(export_to = "contract.ts")]
pub enum StoppedBy {
    User,
    Engine,
    #[serde(other)]
    Unknown,
}

impl RunOutcome {
    /// Whether the agent did what it was asked.
    pub fn exit_ok(&self) -> bool {
        matches!(self, RunOutcome::Completed)
    }

    /// The signal that ended the process before a session was named.
    pub fn aborted_signal(&self) -> Option<i32> {
        match self {
            RunOutcome::AbortedBeforeSession { signal, .. } => *signal,
            _ => None,
        }
    }

    /// Whether a quota ended the run.
    pub fn rate_limit_exit(&self) -> bool {
        matches!(self, RunOutcome::RateLimited { .. })
    }

    /// When the quota that ended the run is back, if the runtime said so.
    pub fn rate_limit_reset_at(&self) -> Option<DateTime<Utc>> {
        match self {
            RunOutcome::RateLimited { resets_at, .. } => *resets_at,
            _ => None,
        }
    }

    /// The coarse status of a run that ended so: a stop is no failure and no success.
    pub fn status(&self) -> RuntimeStatus {
        match self {
            RunOutcome::Completed => RuntimeStatus::Completed,
            RunOutcome::Stopped { .. } => RuntimeStatus::Idle,
            _ => RuntimeStatus::Failed,
        }
    }

    /// The exit code of `musher run`, as README documents it: 0 completed, 1 failed, 3 a limit,
    /// 4 stopped.
    pub fn exit_code(&self) -> u8 {
        match self {
            RunOutcome::Completed => 0,
            RunOutcome::RateLimited { .. } | RunOutcome::LimitReached { .. } => 3,
            RunOutcome::Stopped { .. } => 4,
            _ => 1,
        }
    }
}

/// What a runtime's `start` returns once the process tree is gone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
#[ts(export_to = "contract.ts")]
pub struct RuntimeResult {
    pub session_id: Option<String>,
    pub token_usage: TokenUsage,
    pub outcome: RunOutcome,
}
