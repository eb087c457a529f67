//! What the decoder remembers between lines. Small and serialisable: with it another decoder goes on
//! at the same byte.

use std::collections::BTreeMap;

use musher_protocol::{RateLimit, SessionInfo, TokenUsage};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// All of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct DecoderState {
    pub facts: Facts,
    /// What was said of the session last.
    pub session: Option<SessionInfo>,
    /// Requests of the agent that wait for an answer, by id.
    pub asks: BTreeMap<String, Ask>,
    /// Who speaks; few, the agent itself first.
    pub(super) speakers: Vec<Speaker>,
    /// The agent's totals when this process began, known from its first result on.
    pub(super) base: Option<TokenUsage>,
    pub(super) context_used: Option<u64>,
    /// The place where it stopped lies in an overlong line.
    pub(super) skipping: bool,
}

/// What decides how a run ended; see [`crate::claude::outcome`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Facts {
    pub session_id: Option<String>,
    /// A `system` line came: the agent is up.
    pub started: bool,
    /// It told of its session whole.
    pub init: bool,
    /// Something was said since the last result: without another one the turn has no end.
    pub turn_open: bool,
    pub last_result: Option<TurnResult>,
    /// The kind of the last API error of this turn, for example `authentication_failed`.
    pub api_error: Option<String>,
    pub rate_limit: Option<RateLimit>,
    /// The session that was to be resumed is not known to the agent.
    pub resume_rejected: bool,
    /// What this run used.
    pub usage: TokenUsage,
    /// The type of the last event.
    pub last_event: String,
}

/// How a turn ended, in the agent's own words.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TurnResult {
    pub subtype: String,
    pub is_error: bool,
    pub terminal_reason: Option<String>,
    pub api_error_status: Option<u64>,
    /// For people; the error when it is one.
    pub words: Option<String>,
}

impl TurnResult {
    /// An API error has the subtype `success`, so neither field is enough.
    pub fn ok(&self) -> bool {
        self.subtype == "success" && !self.is_error
    }

    /// Somebody interrupted the turn.
    pub fn aborted(&self) -> bool {
        self.terminal_reason.as_deref().is_some_and(|why| why.starts_with("aborted"))
    }
}

/// A request that waits for a person.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ask {
    pub tool: String,
    pub tool_call: Option<String>,
    pub input: Value,
    /// It was shown as a question, not as a permission.
    pub question: bool,
}

/// Where a speaker is in its message.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Speaker {
    /// The tool call of the sub-agent; the agent itself is "".
    pub parent: String,
    pub message: String,
    /// The index of the next whole block.
    pub next: u32,
    /// The block that streams now.
    pub open: Option<u32>,
    /// Pieces of the open block were shown and its whole was not: as text or as thinking.
    pub pieces: Option<Pieces>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Pieces {
    Text,
    Thinking,
}

impl Speaker {
    pub fn block(&self, index: u32) -> String {
        block_id(&self.message, index)
    }
}

pub(super) fn block_id(message: &str, index: u32) -> String {
    let mut id = String::with_capacity(message.len() + 4);
    id.push_str(message);
    id.push(':');
    let mut digits = [0; 10];
    let mut at = digits.len();
    let mut rest = index;
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    id.extend(digits[at..].iter().map(|digit| char::from(*digit)));
    id
}
