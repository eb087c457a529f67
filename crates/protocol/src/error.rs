//! The one error that leaves the engine: a code for the program, a sentence for the person, and the
//! next step.

use serde::{Deserialize, Serialize};
use ts_rs::TS;

/// What the window and `musher` branch on; never on the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
#[ts(export_to = "contract.ts")]
pub enum ErrorCode {
    /// A value of the request does not fit; the message names it.
    BadRequest,
    NotFound,
    /// The thing is in a state in which this cannot be done.
    Conflict,
    /// git is not installed, or too old.
    GitMissing,
    GitFailed,
    NotARepository,
    /// Removing would lose work; the message lists what.
    WouldLoseWork,
    /// The project's own settings and hooks were not approved or rejected yet.
    TrustNeeded,
    /// The story was given variables or headers whose values this engine does not know.
    ValuesMissing,
    /// The runtime's program was not found.
    RuntimeMissing,
    RuntimeFailed,
    /// The engine that was asked is ending, and did not begin on it: ask the next one.
    EngineGone,
    /// Another Musher holds the data directory.
    DataDirLocked,
    StoreFailed,
    DiskFull,
    NoPermission,
    /// This host cannot do that (for example a folder dialog without a window).
    Unsupported,
    Unauthorized,
    #[serde(other)]
    Internal,
}

/// An error at the edge. `message` is one sentence; `hint` is the next step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS, thiserror::Error)]
#[error("{message}")]
#[ts(export_to = "contract.ts")]
pub struct ApiError {
    pub code: ErrorCode,
    pub message: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl ApiError {
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), hint: None }
    }

    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}
