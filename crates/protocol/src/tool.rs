//! What an agent does with tools: calls, their results, how they were judged, and its plan.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use ts_rs::TS;

use crate::event::is_false;

/// What a tool does, for the icon and the words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
#[ts(export_to = "contract.ts")]
pub enum ToolKind {
    Read,
    Edit,
    Run,
    Search,
    Fetch,
    Plan,
    /// A sub-agent.
    Agent,
    #[serde(other)]
    Other,
}

/// The agent uses a tool.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
#[ts(export_to = "contract.ts")]
pub struct ToolCall {
    pub id: String,
    /// The runtime's name of the tool.
    pub name: String,
    pub kind: ToolKind,
    /// One line: the path, the command, the pattern.
    pub title: String,
    #[ts(type = "unknown")]
    pub input: Value,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
}

/// What came of a tool call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
#[ts(export_to = "contract.ts")]
pub struct ToolResult {
    /// Of its call.
    pub id: String,
    pub text: String,
    #[serde(default, skip_serializing_if = "is_false")]
    pub is_error: bool,
    /// The edit as hunks, for tools that change files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edit: Option<EditDiff>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
}

/// What a model answered to one request, in its provider's own words. The next request repeats the
/// items as they are: signatures and encrypted thoughts in them are lost otherwise. A step is
/// committed by this event; a tool of it runs only once it is stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
#[ts(export_to = "contract.ts")]
pub struct ModelStep {
    /// `openai-responses`, `openai-chat`, `gemini`: how `items` are to be read.
    pub dialect: String,
    /// Whose opaque items these are; they are worth nothing to another model.
    pub model: String,
    /// The address that they came from; nor are they anything to another. Absent where an older Musher
    /// wrote it: then the run's own settings say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub place: Option<String>,
    #[ts(type = "unknown[]")]
    pub items: Vec<Value>,
}

/// How a tool call was judged before it ran.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
#[ts(export_to = "contract.ts")]
pub struct ToolDecision {
    pub tool_call: String,
    pub verdict: ToolVerdict,
    /// One clause: the rule as it is written, or the mode.
    pub reason: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
#[ts(export_to = "contract.ts")]
pub enum ToolVerdict {
    Allowed,
    Asked,
    #[serde(other)]
    Denied,
}

/// What an edit changed in one file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
#[ts(export_to = "contract.ts")]
pub struct EditDiff {
    pub path: String,
    pub created: bool,
    pub hunks: Vec<Hunk>,
}

/// A hunk of a unified diff; `lines` begin with ` `, `+` or `-`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
#[ts(export_to = "contract.ts")]
pub struct Hunk {
    pub old_start: u32,
    pub old_lines: u32,
    pub new_start: u32,
    pub new_lines: u32,
    pub lines: Vec<String>,
}

/// A step of the agent's plan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
#[ts(export_to = "contract.ts")]
pub struct PlanEntry {
    pub text: String,
    pub state: PlanState,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
#[ts(export_to = "contract.ts")]
pub enum PlanState {
    Pending,
    InProgress,
    #[serde(other)]
    Done,
}
