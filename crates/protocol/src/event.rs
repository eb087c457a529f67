//! `AgentEvent`: everything an agent does or needs, and everything Musher did to it, in one list.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use ts_rs::TS;

use crate::{
    AnsweredBy, ModelStep, PermissionDecision, PermissionRequest, PlanEntry, Question, RunId,
    RunOutcome, RunPhase, RuntimeStatus, ToolCall, ToolDecision, ToolResult,
};

/// One event as it is stored and sent: one line of a transcript.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
#[ts(export_to = "contract.ts")]
pub struct EventEnvelope {
    pub run: RunId,
    /// Counts from 1 within the run, without gaps.
    #[ts(type = "number")]
    pub seq: u64,
    pub at: DateTime<Utc>,
    pub event: AgentEvent,
    /// For an event decoded from the child's output: the offset in the spool just behind its line,
    /// on the last event of that line; 0 on the line's earlier events. Where a reader goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(skip)]
    pub spool: Option<u64>,
}

/// What happened in a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
#[serde(tag = "type", rename_all = "snake_case")]
#[ts(export_to = "contract.ts")]
pub enum AgentEvent {
    /// The run is in another phase.
    Status {
        status: RuntimeStatus,
        phase: RunPhase,
        /// What it waits for or does, one sentence in the present.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        detail: Option<String>,
        /// When a wait ends by itself.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<DateTime<Utc>>,
    },
    /// The runtime named its session.
    Session(SessionInfo),
    /// A person's words, first as they were given; `MessageSent` says that the agent has them.
    Message {
        id: String,
        text: String,
        delivery: Delivery,
    },
    MessageSent {
        id: String,
    },
    /// Musher's own words to the agent.
    Instruction {
        text: String,
    },
    /// The run ended before the agent got this message; the text stays readable above.
    MessageDropped {
        id: String,
        why: String,
    },
    /// Words of the agent. With `delta` the text is a piece to be added to its block; without, it is
    /// the whole block and replaces what its pieces gave.
    Text {
        block: String,
        text: String,
        #[serde(default, skip_serializing_if = "is_false")]
        delta: bool,
        /// The tool call of the sub-agent that speaks, absent for the agent itself.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        parent: Option<String>,
    },
    /// Thoughts, in the same way; `redacted` ones have no text.
    Thinking {
        block: String,
        text: String,
        #[serde(default, skip_serializing_if = "is_false")]
        delta: bool,
        #[serde(default, skip_serializing_if = "is_false")]
        redacted: bool,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        parent: Option<String>,
    },
    ToolCall(ToolCall),
    ToolResult(ToolResult),
    /// One whole answer of a model that is reached over HTTP, see the type.
    ModelStep(ModelStep),
    /// Why a tool call was allowed, refused, or put before a person.
    ToolDecision(ToolDecision),
    /// What came before was too long for the model: from here on it knows this in its place.
    Summary {
        text: String,
        /// How many of the latest entries of the conversation it knows whole as well.
        kept: u32,
    },
    /// The agent's list of steps, whole each time.
    Plan {
        entries: Vec<PlanEntry>,
    },
    PermissionRequest(PermissionRequest),
    PermissionAnswer {
        request: String,
        decision: PermissionDecision,
        by: AnsweredBy,
        /// What the agent was told with a denial, or the rule that gave leave.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        message: Option<String>,
    },
    Question(Question),
    QuestionAnswer {
        request: String,
        /// Question text to the answer; empty when it was not answered.
        answers: BTreeMap<String, String>,
        by: AnsweredBy,
    },
    /// What the run has used so far, whole (not a difference).
    Usage {
        usage: TokenUsage,
        /// Tokens the model can hold, where known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[ts(type = "number", optional)]
        context_window: Option<u64>,
        /// Tokens in the model's context after the last answer, where known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[ts(type = "number", optional)]
        context_used: Option<u64>,
    },
    RateLimit(RateLimit),
    /// A turn ended: the agent waits for words or ends.
    TurnEnded {
        /// Whether the runtime called it a success.
        ok: bool,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// The worktree that was made for the run's story; one that was there already is in the header.
    Worktree(WorktreeMade),
    /// What the worktree holds that its base does not, whole each time.
    Changes {
        files: Vec<FileChange>,
    },
    Gate {
        name: String,
        state: GateState,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        output: Option<String>,
    },
    Checkpoint {
        commit: String,
        label: String,
    },
    /// Something a person should know; the run goes on.
    Warning {
        code: String,
        message: String,
    },
    /// Something went wrong, in the true words of whoever failed.
    Error {
        code: String,
        message: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        hint: Option<String>,
    },
    /// A line of the child that is no event of its protocol (stderr, stray output).
    Notice {
        stream: Stream,
        text: String,
    },
    /// A line of the child's protocol that Musher has no event for, kept whole.
    Raw {
        kind: String,
        #[ts(type = "unknown")]
        value: Value,
    },
    Done {
        outcome: RunOutcome,
    },
    /// Written by a newer Musher; the stored line has what it was.
    #[serde(other)]
    Unknown,
}

pub(crate) fn is_false(value: &bool) -> bool {
    !*value
}

/// What a runtime says of its session.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, TS)]
#[ts(export_to = "contract.ts")]
pub struct SessionInfo {
    pub session_id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runtime_version: Option<String>,
    #[serde(default)]
    pub billing: Billing,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub permission_mode: Option<String>,
    /// Tool servers that did not start, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failed_tool_servers: Vec<String>,
    /// The built-in demo agent speaks, no model.
    #[serde(default, skip_serializing_if = "is_false")]
    pub demo: bool,
}

/// Who pays for a session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
#[ts(export_to = "contract.ts")]
pub enum Billing {
    Subscription,
    ApiKey,
    /// Costs nothing: the demo agent, a local model.
    Free,
    #[default]
    #[serde(other)]
    Unknown,
}

/// How a message reaches the agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
#[ts(export_to = "contract.ts")]
pub enum Delivery {
    /// Starts the run.
    Prompt,
    /// Waits for the end of the turn.
    Queue,
    /// Reaches the agent at its next step.
    Steer,
    #[serde(other)]
    Unknown,
}

/// Tokens and money of a run. Input tokens do not include the cached ones.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export_to = "contract.ts")]
pub struct TokenUsage {
    #[ts(type = "number")]
    pub input_tokens: u64,
    #[ts(type = "number")]
    pub output_tokens: u64,
    #[ts(type = "number")]
    pub cache_creation_input_tokens: u64,
    #[ts(type = "number")]
    pub cache_read_input_tokens: u64,
    /// Whole micro-dollars; 0 when unknown (see `cost_source`).
    #[ts(type = "number")]
    pub cost_microdollars: u64,
    pub cost_source: CostSource,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
#[ts(export_to = "contract.ts")]
pub enum CostSource {
    Reported,
    Estimated,
    /// The figure is what is known; answers that were cut off cost more than it.
    AtLeast,
    #[default]
    #[serde(other)]
    Unknown,
}

/// News of the account's quota.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
#[ts(export_to = "contract.ts")]
pub struct RateLimit {
    pub state: RateLimitState,
    /// The runtime's name of the window, for example `five_hour`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<String>,
    /// 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub utilization: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resets_at: Option<DateTime<Utc>>,
    /// The quota is used up but paid overage goes on: no stop.
    pub using_overage: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
#[ts(export_to = "contract.ts")]
pub enum RateLimitState {
    Allowed,
    Warning,
    Rejected,
    #[serde(other)]
    Unknown,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
#[ts(export_to = "contract.ts")]
pub enum GateState {
    Running,
    Passed,
    #[serde(other)]
    Failed,
}

/// Where a line of the child came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
#[ts(export_to = "contract.ts")]
pub enum Stream {
    Stdout,
    #[serde(other)]
    Stderr,
}

/// A worktree of Musher's own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export_to = "contract.ts")]
pub struct WorktreeMade {
    pub path: String,
    pub branch: String,
    pub base_commit: String,
    /// The base as a person knows it: a branch, a tag, or a short commit.
    pub base_name: String,
}

/// A file that differs from the base.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export_to = "contract.ts")]
pub struct FileChange {
    /// Relative to the worktree, with `/`.
    pub path: String,
    pub kind: ChangeKind,
    /// For a rename: where it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub old_path: Option<String>,
    /// Lines; both 0 for a binary file.
    pub added: u32,
    pub removed: u32,
    #[serde(default, skip_serializing_if = "is_false")]
    pub binary: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
#[ts(export_to = "contract.ts")]
pub enum ChangeKind {
    Added,
    Modified,
    Deleted,
    Renamed,
    /// Not known to git yet.
    Untracked,
    Conflicted,
    #[serde(other)]
    Other,
}

impl AgentEvent {
    /// The event's `type` on the wire, for words like "the last thing heard was a tool_call".
    pub fn kind(&self) -> &'static str {
        match self {
            AgentEvent::Status { .. } => "status",
            AgentEvent::Session(_) => "session",
            AgentEvent::Message { .. } => "message",
            AgentEvent::MessageSent { .. } => "message_sent",
            AgentEvent::MessageDropped { .. } => "message_dropped",
            AgentEvent::Text { .. } => "text",
            AgentEvent::Thinking { .. } => "thinking",
            AgentEvent::ToolCall(_) => "tool_call",
            AgentEvent::ToolResult(_) => "tool_result",
            AgentEvent::Instruction { .. } => "instruction",
            AgentEvent::ModelStep(_) => "model_step",
            AgentEvent::ToolDecision(_) => "tool_decision",
            AgentEvent::Summary { .. } => "summary",
            AgentEvent::Plan { .. } => "plan",
            AgentEvent::PermissionRequest(_) => "permission_request",
            AgentEvent::PermissionAnswer { .. } => "permission_answer",
            AgentEvent::Question(_) => "question",
            AgentEvent::QuestionAnswer { .. } => "question_answer",
            AgentEvent::Usage { .. } => "usage",
            AgentEvent::RateLimit(_) => "rate_limit",
            AgentEvent::TurnEnded { .. } => "turn_ended",
            AgentEvent::Worktree(_) => "worktree",
            AgentEvent::Changes { .. } => "changes",
            AgentEvent::Gate { .. } => "gate",
            AgentEvent::Checkpoint { .. } => "checkpoint",
            AgentEvent::Warning { .. } => "warning",
            AgentEvent::Error { .. } => "error",
            AgentEvent::Notice { .. } => "notice",
            AgentEvent::Raw { .. } => "raw",
            AgentEvent::Done { .. } => "done",
            AgentEvent::Unknown => "unknown",
        }
    }
}
