//! What a runtime is told about its run.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::Arc,
};

use musher_protocol::{
    EndpointSettings, PermissionMode, RunId, RunLimits, StoryId, Transport, TrustDecision,
};

use secrecy::SecretString;

use crate::{Rule, ToolEndpoint, ToolHost};

/// All that a runtime needs to know to run one agent once.
#[derive(Clone)]
pub struct RuntimeContext {
    pub run: RunId,
    pub story_id: StoryId,
    pub agent_name: String,
    /// The program, when it is not the one that the runtime would find.
    pub command: Option<PathBuf>,
    /// More arguments for it.
    pub args: Vec<String>,
    /// The child's whole environment, already made from the allow-list (see
    /// `musher_process::Environment`), the run's own variables included.
    pub env: BTreeMap<String, String>,
    pub prompt: String,
    /// The id under which the prompt is a `Message` event already.
    pub prompt_id: String,
    /// The worktree, absolute.
    pub cwd: PathBuf,
    /// Seconds without output after which the run ends as inactive; 0 is never.
    pub inactivity_timeout_secs: u64,
    pub tools: ToolAccess,
    pub session_id_to_resume: Option<String>,
    /// The whole prompt with what a new session must know, used once if the resume is rejected.
    pub fresh_prompt: Option<String>,
    /// The main checkout of the project.
    pub project_root: PathBuf,
    pub model: Option<String>,
    pub permission_mode: PermissionMode,
    pub limits: RunLimits,
    /// Anything but `Trusted`: the project's own settings, hooks and tool servers stay off.
    pub trust: Option<TrustDecision>,
    pub transport: Transport,
    pub append_system_prompt: Option<String>,
    /// What the project's own file says to agents, for those that do not read it themselves. Only of a
    /// project that is trusted, without keys, of a size that fits into every request.
    pub project_words: Option<String>,
    /// For agents whose model is reached over HTTP, when it is not where it usually is.
    pub endpoint: EndpointSettings,
    /// Variables that were named for this run alone; keys may be among them.
    pub secrets: BTreeMap<String, SecretString>,
    /// The run's own folder: keeper's socket, spools, exit record. Exists, mode 0700.
    pub run_dir: PathBuf,
    /// Take over the process of this run folder in place of starting one.
    pub attach: Option<AttachPoint>,
}

/// Which tools the agent may use.
#[derive(Clone, Default)]
pub struct ToolAccess {
    pub allowed: Vec<String>,
    pub disallowed: Vec<String>,
    /// A file or JSON text of tool servers.
    pub mcp_config: Option<String>,
    /// The project's rules, for agents that judge their tools themselves.
    pub rules: Vec<Rule>,
    /// For agents that have no tools of their own.
    pub host: Option<Arc<dyn ToolHost>>,
    /// For agents that bring their own loop and can be given a tool server besides.
    pub endpoint: Option<Arc<dyn ToolEndpoint>>,
}

/// Where a runtime goes on with a process that outlived its engine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AttachPoint {
    /// Offset in the standard output's spool behind the last line whose events are all stored.
    pub stored_to: u64,
    /// Codes of the warnings that are stored already: what is true for good is told once.
    pub warned: BTreeSet<String>,
}
