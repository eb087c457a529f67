//! Every command of the API: its name, its parameters, its reply. `api` implements each once; the
//! page's client (`ui/src/contract/table.ts`) is generated from [`COMMANDS`].

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use ts_rs::TS;

use crate::*;

/// Name of a command, its parameters' type and its reply's type in TypeScript.
pub const COMMANDS: &[(&str, &str, &str)] = &[
    ("app_info", "Empty", "AppInfo"),
    ("doctor", "Empty", "DoctorReport"),
    ("folder_inspect", "PathParams", "FolderReport"),
    ("folder_pick", "Empty", "PickedFolders"),
    ("open_external", "OpenParams", "Empty"),
    ("project_add", "PathParams", "Project"),
    ("project_list", "Empty", "Project[]"),
    ("project_remove", "ProjectParams", "Empty"),
    ("project_bases", "ProjectParams", "BaseChoice[]"),
    ("project_worktrees", "ProjectParams", "Worktree[]"),
    ("trust_get", "TrustParams", "TrustReport"),
    ("trust_set", "TrustSetParams", "TrustReport"),
    ("rule_list", "ProjectParams", "ProjectRule[]"),
    ("rule_add", "RuleParams", "ProjectRule[]"),
    ("rule_remove", "RuleParams", "ProjectRule[]"),
    ("worktree_changes", "WorktreeParams", "WorktreeChanges"),
    ("worktree_diff", "DiffParams", "FileDiff"),
    ("worktree_remove", "WorktreeRemoveParams", "RemovalReport"),
    ("run_start", "RunStartParams", "RunSummary"),
    ("run_list", "Empty", "RunSummary[]"),
    ("run_get", "RunParams", "RunDetail"),
    ("run_events", "RunEventsParams", "EventBatch"),
    ("run_send", "RunSendParams", "RunSummary"),
    ("run_answer", "RunAnswerParams", "Empty"),
    ("run_interrupt", "RunParams", "Empty"),
    ("run_stop", "RunParams", "RunSummary"),
    ("run_stop_all", "Empty", "Empty"),
    ("run_resume", "RunResumeParams", "RunSummary"),
    ("run_set_model", "RunSetModelParams", "Empty"),
    ("run_set_permission_mode", "RunSetModeParams", "Empty"),
    ("run_mark_read", "RunParams", "Empty"),
    ("key_list", "Empty", "KeptKey[]"),
    ("key_set", "KeySetParams", "KeptKey"),
    ("key_remove", "KeyPlaceParams", "KeyRemoved"),
    ("endpoint_probe", "EndpointProbeParams", "EndpointReport"),
    ("find_local_endpoints", "Empty", "LocalEndpoint[]"),
    ("page_log", "PageLogParams", "Empty"),
];

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export_to = "contract.ts", type = "Record<string, never>")]
pub struct Empty {}

#[derive(Clone, Debug, Serialize, Deserialize, TS)]
#[ts(export_to = "contract.ts")]
pub struct PathParams {
    /// Absolute, or beginning with `~/`.
    pub path: String,
}

#[derive(Clone, Debug, Serialize, Deserialize, TS)]
#[ts(export_to = "contract.ts")]
pub struct PickedFolders {
    /// Empty when the person chose none.
    pub paths: Vec<String>,
}

/// A link or a file to show with the system's own program. Only `https`, `http` and `mailto` links,
/// and files inside a known worktree.
#[derive(Clone, Debug, Serialize, Deserialize, TS)]
#[ts(export_to = "contract.ts")]
pub struct OpenParams {
    pub target: String,
}

#[derive(Clone, Debug, Serialize, Deserialize, TS)]
#[ts(export_to = "contract.ts")]
pub struct ProjectParams {
    pub project: ProjectId,
}

#[derive(Clone, Debug, Serialize, Deserialize, TS)]
#[ts(export_to = "contract.ts")]
pub struct TrustParams {
    pub project: ProjectId,
    /// The worktree to look at; the project's main checkout when absent.
    #[serde(default)]
    pub worktree: Option<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize, TS)]
#[ts(export_to = "contract.ts")]
pub struct TrustSetParams {
    pub project: ProjectId,
    #[serde(default)]
    pub worktree: Option<String>,
    /// Of the report that the person saw: an answer to something else is refused.
    pub digest: String,
    pub decision: TrustDecision,
}

/// A rule of a project, as it is written: `deny run git push*`.
#[derive(Clone, Debug, Serialize, Deserialize, TS)]
#[ts(export_to = "contract.ts")]
pub struct RuleParams {
    pub project: ProjectId,
    pub rule: String,
}

/// A worktree by the run that uses it, or by its project and path.
#[derive(Clone, Debug, Serialize, Deserialize, TS)]
#[ts(export_to = "contract.ts")]
pub struct WorktreeParams {
    pub run: RunId,
}

#[derive(Clone, Debug, Serialize, Deserialize, TS)]
#[ts(export_to = "contract.ts")]
pub struct DiffParams {
    pub run: RunId,
    /// Relative to the worktree.
    pub path: String,
}

#[derive(Clone, Debug, Serialize, Deserialize, TS)]
#[ts(export_to = "contract.ts")]
pub struct WorktreeRemoveParams {
    pub project: ProjectId,
    pub path: String,
    /// Remove although work is in it; a rescue ref keeps it.
    #[serde(default)]
    pub force: bool,
}

#[derive(Clone, Debug, Serialize, Deserialize, TS)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[ts(export_to = "contract.ts")]
pub enum RunPlace {
    /// A new worktree of the project that this folder lies in, from `base` (its current branch when
    /// absent). The repository `demo` is a throw-away one of Musher's own.
    Fresh {
        repository: String,
        #[serde(default)]
        base: Option<String>,
        /// The new branch's name; made from the prompt when absent.
        #[serde(default)]
        branch: Option<String>,
    },
    /// This worktree as it is.
    Worktree { path: String },
}

#[derive(Clone, Debug, Serialize, Deserialize, TS)]
#[ts(export_to = "contract.ts")]
pub struct RunStartParams {
    pub prompt: String,
    pub place: RunPlace,
    #[serde(default)]
    #[ts(as = "Option<RunSettings>", optional)]
    pub settings: RunSettings,
    /// When the trust question is open: start with the project's own settings off, in place of
    /// refusing with `trust_needed`.
    #[serde(default)]
    #[ts(as = "Option<bool>", optional)]
    pub restrict_untrusted: bool,
}

#[derive(Clone, Debug, Serialize, Deserialize, TS)]
#[ts(export_to = "contract.ts")]
pub struct RunParams {
    pub run: RunId,
}

#[derive(Clone, Debug, Serialize, Deserialize, TS)]
#[ts(export_to = "contract.ts")]
pub struct RunDetail {
    pub summary: RunSummary,
    pub story: Story,
    /// All runs of the story, oldest first.
    pub story_runs: Vec<RunId>,
}

/// Asks for events from `from_seq` on; with `wait_ms` waits that long (25,000 at most) for one.
#[derive(Clone, Debug, Serialize, Deserialize, TS)]
#[ts(export_to = "contract.ts")]
pub struct RunEventsParams {
    pub run: RunId,
    #[ts(type = "number")]
    pub from_seq: u64,
    /// 1 MiB when absent; a single larger event is sent alone.
    #[serde(default)]
    #[ts(optional)]
    pub max_bytes: Option<u32>,
    #[serde(default)]
    #[ts(optional)]
    pub wait_ms: Option<u32>,
}

/// Stored lines as they are. Its JSON is assembled from the stored bytes, never parsed on the way.
#[derive(Clone, Debug, Serialize, Deserialize, TS)]
#[ts(export_to = "contract.ts")]
pub struct EventBatch {
    pub events: Vec<EventEnvelope>,
    /// Where to go on.
    #[ts(type = "number")]
    pub next_seq: u64,
    /// No event will follow: the run is over and all of it was sent.
    pub end: bool,
}

#[derive(Clone, Debug, Serialize, Deserialize, TS)]
#[ts(export_to = "contract.ts")]
pub struct RunSendParams {
    pub run: RunId,
    pub text: String,
    /// `queue` or `steer`.
    pub delivery: Delivery,
}

#[derive(Clone, Debug, Serialize, Deserialize, TS)]
#[ts(export_to = "contract.ts")]
pub struct RunAnswerParams {
    pub run: RunId,
    pub request: String,
    pub answer: Answer,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[ts(export_to = "contract.ts")]
pub enum Answer {
    Allow,
    Deny {
        /// Told to the agent.
        #[serde(default)]
        #[ts(optional)]
        message: Option<String>,
    },
    /// Question text to the chosen label, or free text.
    Answers {
        answers: BTreeMap<String, String>,
    },
}

#[derive(Clone, Debug, Serialize, Deserialize, TS)]
#[ts(export_to = "contract.ts")]
pub struct RunResumeParams {
    pub run: RunId,
    /// "Continue." when absent.
    #[serde(default)]
    #[ts(optional)]
    pub prompt: Option<String>,
    /// Variables for the agent. Their values are never stored, so a run that is gone on with by another
    /// Musher needs them again.
    #[serde(default)]
    #[ts(as = "Option<BTreeMap<String, String>>", optional)]
    pub env: BTreeMap<String, String>,
    /// Headers for the model's requests; the same holds for them.
    #[serde(default)]
    #[ts(as = "Option<BTreeMap<String, String>>", optional)]
    pub headers: BTreeMap<String, String>,
    /// Another agent, for the story's later runs too. With it, model and address are chosen anew: what
    /// is absent is that runtime's own choice.
    #[serde(default)]
    #[ts(optional)]
    pub runtime: Option<String>,
    #[serde(default)]
    #[ts(optional)]
    pub model: Option<String>,
    /// With another address it is the whole of the new place, where nothing goes that was given for
    /// the old one (headers, account, key); without an address, what it holds is changed.
    #[serde(default)]
    #[ts(optional)]
    pub endpoint: Option<EndpointSettings>,
}

#[derive(Clone, Debug, Serialize, Deserialize, TS)]
#[ts(export_to = "contract.ts")]
pub struct RunSetModelParams {
    pub run: RunId,
    /// The runtime's default when absent.
    #[serde(default)]
    pub model: Option<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize, TS)]
#[ts(export_to = "contract.ts")]
pub struct RunSetModeParams {
    pub run: RunId,
    pub mode: PermissionMode,
}

/// An error of the page, for the log.
#[derive(Clone, Debug, Serialize, Deserialize, TS)]
#[ts(export_to = "contract.ts")]
pub struct PageLogParams {
    pub message: String,
}

#[derive(Clone, Debug, Serialize, Deserialize, TS)]
#[ts(export_to = "contract.ts")]
pub struct AppInfo {
    pub version: String,
    pub api_version: u32,
    pub data_dir: String,
    pub host: HostKind,
    pub runtimes: Vec<RuntimeInfo>,
    pub max_live_runs: u32,
    /// Sentences that a person should read now, for example that the store was restored.
    pub notices: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
#[ts(export_to = "contract.ts")]
pub enum HostKind {
    Window,
    Server,
    Terminal,
}

/// A runtime and whether it can run here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export_to = "contract.ts")]
pub struct RuntimeInfo {
    /// `claude-code`, `demo`.
    pub name: String,
    /// For people: `Claude Code`, `Demo agent`.
    pub label: String,
    /// The program is there; for a model over HTTP: its key is.
    pub found: bool,
    /// Its model is reached over HTTP, at an address that can be chosen.
    pub over_http: bool,
    pub path: Option<String>,
    pub version: Option<String>,
    /// When not found: how to get it.
    pub hint: Option<String>,
    pub models: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export_to = "contract.ts")]
pub struct DoctorReport {
    pub checks: Vec<DoctorCheck>,
    pub ok: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export_to = "contract.ts")]
pub struct DoctorCheck {
    pub name: String,
    pub state: CheckState,
    /// What was found, one sentence.
    pub sentence: String,
    /// The next step when it is not well.
    pub hint: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
#[ts(export_to = "contract.ts")]
pub enum CheckState {
    Good,
    Notice,
    Bad,
}

/// Pushed to the page, coalesced to at most ten a second: what changed since the last one.
#[derive(Clone, Debug, Default, Serialize, Deserialize, TS)]
#[ts(export_to = "contract.ts")]
pub struct News {
    /// Runs whose summary changed, or that have new events (`last_seq`).
    pub runs: Vec<RunSummary>,
    /// The list of projects changed, or it is known now which runtimes are here: ask again
    /// (`project_list`, `app_info`).
    pub projects: bool,
}
