//! The tools that an agent is given when its model is reached over HTTP: the runtime calls them in
//! process, the engine brings them. What they do, and who may call them, is not the runtime's.

use std::{io, path::PathBuf};

use async_trait::async_trait;
use musher_protocol::{EditDiff, PermissionMode, PlanEntry, ToolKind};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

/// A tool as the model is told of it.
#[derive(Clone, Debug, PartialEq)]
pub struct ToolSpec {
    /// Letters, digits, `_` and `-`, at most 64: what every provider takes.
    pub name: String,
    pub description: String,
    /// JSON Schema of the arguments, an object.
    pub parameters: Value,
}

/// Whether a call may run beside others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    Reads,
    /// Also whatever is not known to only read.
    Changes,
}

/// What was decided about a call before it runs. The texts are one clause each: the rule as it is
/// written, or the mode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    Allow {
        reason: String,
    },
    /// The model is told the reason.
    Deny {
        reason: String,
    },
    /// A person decides.
    Ask {
        reason: String,
    },
}

/// A rule of a project, for whoever has rules of its own to make of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// As it is written.
    pub text: String,
    pub allow: bool,
    pub about: About,
    /// Words of a command, or a glob; empty is all.
    pub pattern: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum About {
    Read,
    Edit,
    Run,
    Fetch,
    Tool,
}

/// What a call would do, known before it is done.
#[derive(Clone, Debug, PartialEq)]
pub struct Intent {
    pub kind: ToolKind,
    /// One line: the path, the whole command, the pattern.
    pub title: String,
    pub effect: Effect,
    pub verdict: Verdict,
}

/// One call of the model.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// Unique within the run.
    pub id: String,
    pub name: String,
    pub input: Value,
}

/// What came of a call.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ToolOutcome {
    /// What the model reads; capped by the tool.
    pub text: String,
    pub is_error: bool,
    pub edit: Option<EditDiff>,
    /// The agent's list of steps, when the tool was for that.
    pub plan: Option<Vec<PlanEntry>>,
    /// Processes of it that may still live.
    pub left: Vec<u32>,
    /// What a person should know of it, a sentence each; the model is not told.
    pub warnings: Vec<String>,
}

impl ToolOutcome {
    pub fn text(text: impl Into<String>) -> Self {
        Self { text: text.into(), ..Self::default() }
    }

    /// For the model: one sentence with what to do in its place.
    pub fn error(text: impl Into<String>) -> Self {
        Self { text: text.into(), is_error: true, ..Self::default() }
    }
}

/// The tools of one run.
#[async_trait]
pub trait ToolHost: Send + Sync {
    /// Makes ready what takes time, such as tool servers. Called once, before all else; may be dropped
    /// half-way. Gives what is missing, as warnings for a person.
    async fn open(&self) -> Vec<String> {
        Vec::new()
    }

    /// Ends everything that belongs to the run and not to one call; names what would not end. Called
    /// at the run's end, however it ends, also when `open` was not.
    async fn close(&self) -> Vec<u32> {
        Vec::new()
    }

    /// Asked before each request. In an order that does not change within a run, so that providers can
    /// cache it; what is new comes last.
    fn specs(&self, mode: PermissionMode) -> Vec<ToolSpec>;

    /// What the call would do, and whether it may. `Err` goes back to the model: an unknown tool,
    /// arguments that do not fit.
    async fn intent(&self, call: &Call, mode: PermissionMode) -> Result<Intent, String>;

    /// Does it. Returns soon after `stop`, with everything that it started dead, or named in `left`.
    async fn call(&self, call: &Call, stop: CancellationToken) -> ToolOutcome;

    /// Ends what the calls of an engine that is gone have left; names what would not end.
    async fn end_left_over(&self) -> Vec<u32>;
}

/// The tools of one run for an agent that has a loop of its own: a tool server (Model Context Protocol
/// over stdin and stdout) that the agent starts itself. It lives as long as the agent does and needs no
/// engine.
#[async_trait]
pub trait ToolEndpoint: Send + Sync {
    fn server(&self) -> ToolServer;

    /// From now on calls are judged so; the runtime says it whenever the agent's mode changes. It writes
    /// a small file and waits for nothing else.
    fn set_mode(&self, mode: PermissionMode) -> io::Result<()>;

    /// Ends what the calls have left, once the agent is gone; names what would not end.
    async fn end_left_over(&self) -> Vec<u32>;
}

/// How an agent starts its tool server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolServer {
    pub name: String,
    pub program: PathBuf,
    pub args: Vec<String>,
    /// Those of its tools that only read: nobody needs to be asked for them.
    pub readers: Vec<String>,
}
