//! What Musher keeps: projects, stories, runs, sessions, trust.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use ts_rs::TS;

use crate::{ProjectId, RunId, RunOutcome, RunPhase, RuntimeStatus, StoryId, TokenUsage};

/// A git repository that the user added.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export_to = "contract.ts")]
pub struct Project {
    pub id: ProjectId,
    pub name: String,
    /// The main checkout, or the bare repository: absolute, symlinks resolved.
    pub root: String,
    pub added_at: DateTime<Utc>,
}

/// A piece of work. Its runs follow each other in one worktree and one session.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
#[ts(export_to = "contract.ts")]
pub struct Story {
    pub id: StoryId,
    pub project: ProjectId,
    /// The first line of the prompt, at most 80 characters.
    pub title: String,
    /// Absolute path of the worktree its agent works in; empty until it is made.
    pub worktree: String,
    /// The worktree was made by Musher (and may be removed by it).
    pub owns_worktree: bool,
    /// The branch in the worktree, if it is on one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
    /// What changes are compared with: a commit id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_commit: Option<String>,
    /// The name the base was chosen by, for example `main`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_name: Option<String>,
    pub created_at: DateTime<Utc>,
    pub settings: RunSettings,
}

/// How runs of a story are started; kept with the story so that a restart needs nobody.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
#[serde(default)]
#[ts(export_to = "contract.ts")]
pub struct RunSettings {
    /// A runtime's name: `claude-code`, `demo`.
    pub runtime: String,
    pub agent_name: String,
    pub model: Option<String>,
    pub permission_mode: PermissionMode,
    /// How permissions are answered when nobody looks.
    pub answer: AnswerPolicy,
    /// A program in place of the one that would be found.
    pub command: Option<String>,
    /// More arguments for it.
    pub args: Vec<String>,
    /// More variables for it; the only ones that pass the allow-list unnamed. Never shown again.
    #[ts(skip)]
    pub env: BTreeMap<String, String>,
    /// The names of those variables. They alone are stored, so that a run is never begun without a
    /// variable that it was given; the engine fills them in.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[ts(as = "Option<Vec<String>>", optional)]
    pub env_names: Vec<String>,
    pub transport: Transport,
    pub limits: RunLimits,
    /// Seconds without any output after which the run ends as inactive; 0 is never.
    #[ts(type = "number")]
    pub inactivity_timeout_secs: u64,
    pub allowed_tools: Vec<String>,
    pub disallowed_tools: Vec<String>,
    pub append_system_prompt: Option<String>,
    /// Where the model is, for runtimes that reach it over HTTP.
    pub endpoint: EndpointSettings,
    /// A file or JSON text of tool servers, passed on to the runtime.
    pub mcp_config: Option<String>,
    /// An agent with tools of its own is given Musher's besides, as the tool server `musher`.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[ts(as = "Option<bool>", optional)]
    pub engine_tools: bool,
}

impl Default for RunSettings {
    fn default() -> Self {
        Self {
            runtime: "claude-code".into(),
            agent_name: "coder-1".into(),
            model: None,
            permission_mode: PermissionMode::Ask,
            answer: AnswerPolicy::Ask,
            command: None,
            args: Vec::new(),
            env: BTreeMap::new(),
            env_names: Vec::new(),
            transport: Transport::default(),
            limits: RunLimits::default(),
            inactivity_timeout_secs: 0,
            allowed_tools: Vec::new(),
            disallowed_tools: Vec::new(),
            append_system_prompt: None,
            endpoint: EndpointSettings::default(),
            mcp_config: None,
            engine_tools: false,
        }
    }
}

/// Where a model is reached; empty is the provider itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(default)]
#[ts(export_to = "contract.ts")]
pub struct EndpointSettings {
    /// `http://127.0.0.1:11434/v1`.
    pub base_url: Option<String>,
    /// `openai-responses` or `openai-chat`, where an endpoint speaks only one of them.
    pub dialect: Option<String>,
    /// Sent with each request. They may hold secrets: in memory only, never shown again.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[ts(as = "Option<BTreeMap<String, String>>", optional)]
    pub headers: BTreeMap<String, String>,
    /// The names of those headers. They alone are stored, so that a run is never begun without a
    /// header that it was given; the engine fills them in.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[ts(as = "Option<Vec<String>>", optional)]
    pub header_names: Vec<String>,
    /// OpenAI's: whose account pays, and which project of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub organization: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub account_project: Option<String>,
    /// How long the model may think before it answers; its own choice when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub effort: Option<Effort>,
    /// The longest answer, thoughts included, in tokens; the model's own limit when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub max_answer_tokens: Option<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
#[ts(export_to = "contract.ts")]
pub enum Effort {
    Low,
    Medium,
    High,
}

/// What a run may spend. `None` is no limit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(default)]
#[ts(export_to = "contract.ts")]
pub struct RunLimits {
    /// Answers of the model.
    pub max_turns: Option<u32>,
    pub max_tool_calls: Option<u32>,
    /// Of all answers together, in and out, the cached ones included.
    #[ts(type = "number | null")]
    pub max_tokens: Option<u64>,
    #[ts(type = "number | null")]
    pub max_cost_microdollars: Option<u64>,
    #[ts(type = "number | null")]
    pub max_seconds: Option<u64>,
}

/// What an agent may do unasked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "kebab-case")]
#[ts(export_to = "contract.ts")]
pub enum PermissionMode {
    /// Reads only, then proposes a plan.
    Plan,
    /// Asks before it changes anything.
    #[default]
    Ask,
    /// Edits files in the worktree unasked, asks before commands.
    AcceptEdits,
    /// Asks nothing. Shown as a badge for the whole run.
    Bypass,
}

/// What answers a permission when no window is open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
#[ts(export_to = "contract.ts")]
pub enum AnswerPolicy {
    Allow,
    Deny,
    #[default]
    Ask,
}

/// What carries the child's output. Input is a pipe in both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
#[ts(export_to = "contract.ts")]
pub enum Transport {
    #[default]
    Pty,
    Pipe,
}

/// A run as lists show it: the fold of its events up to `last_seq`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
#[ts(export_to = "contract.ts")]
pub struct RunSummary {
    pub id: RunId,
    pub story: StoryId,
    pub project: ProjectId,
    pub title: String,
    pub agent_name: String,
    pub runtime: String,
    pub model: Option<String>,
    pub worktree: String,
    pub branch: Option<String>,
    pub status: RuntimeStatus,
    pub phase: RunPhase,
    /// What it does or waits for, one sentence in the present.
    pub detail: Option<String>,
    pub until: Option<DateTime<Utc>>,
    pub outcome: Option<RunOutcome>,
    pub session_id: Option<String>,
    pub usage: TokenUsage,
    pub added: u32,
    pub removed: u32,
    pub files_changed: u32,
    /// Permissions and questions that wait for an answer.
    pub waiting: u32,
    pub unread: bool,
    pub demo: bool,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    #[ts(type = "number")]
    pub last_seq: u64,
}

impl RunSummary {
    /// Of a run that is just made.
    pub fn queued(id: RunId, story: &Story, now: DateTime<Utc>) -> Self {
        Self {
            id,
            story: story.id.clone(),
            project: story.project.clone(),
            title: story.title.clone(),
            agent_name: story.settings.agent_name.clone(),
            runtime: story.settings.runtime.clone(),
            model: story.settings.model.clone(),
            worktree: story.worktree.clone(),
            branch: story.branch.clone(),
            status: RuntimeStatus::Idle,
            phase: RunPhase::Queued,
            detail: None,
            until: None,
            outcome: None,
            session_id: None,
            usage: TokenUsage::default(),
            added: 0,
            removed: 0,
            files_changed: 0,
            waiting: 0,
            unread: false,
            demo: story.settings.runtime == "demo",
            created_at: now,
            updated_at: now,
            last_seq: 0,
        }
    }
}

/// The runtime's own conversation, which a later run can resume.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export_to = "contract.ts")]
pub struct SessionRef {
    pub runtime: String,
    pub id: String,
    pub model: Option<String>,
    /// Absolute.
    pub cwd: String,
    pub story: StoryId,
    pub run: RunId,
    pub seen_at: DateTime<Utc>,
}

/// What the user decided about a project's own settings, hooks and tool servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
#[ts(export_to = "contract.ts")]
pub enum TrustDecision {
    /// They may run.
    Trusted,
    /// They stay off.
    Restricted,
}

/// What in a repository can run by itself, and what was decided about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export_to = "contract.ts")]
pub struct TrustReport {
    pub items: Vec<TrustItem>,
    /// SHA-256 over the items; an answer holds for one digest only.
    pub digest: String,
    /// `None`: not asked yet, or something changed since.
    pub decision: Option<TrustDecision>,
    /// The items that are new or differ since the last answer, by path.
    pub changed: Vec<String>,
}

/// What a person wants to be allowed or denied in every run of a project.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export_to = "contract.ts")]
pub struct ProjectRule {
    /// As it is written: `allow run cargo test*`.
    pub rule: String,
    pub allow: bool,
    /// The same for people, one sentence.
    pub sentence: String,
    /// Which runtimes cannot be told it, one sentence each.
    pub notes: Vec<String>,
}

/// One thing that can run by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export_to = "contract.ts")]
pub struct TrustItem {
    /// Relative to the worktree, or `git config: core.hooksPath`.
    pub path: String,
    /// What it can do, one sentence.
    pub what: String,
    /// SHA-256 of its content.
    pub digest: String,
}
