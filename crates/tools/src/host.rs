//! The tools of one run, as its runtime sees them.

use std::{
    collections::{BTreeMap, VecDeque},
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use musher_protocol::PermissionMode;
use musher_runtime::{
    Call, Intent, Secrets, ToolHost, ToolOutcome, ToolSpec, Verdict, model::MOST_CALLS,
};
use tokio_util::sync::CancellationToken;

use crate::{
    Demand, LiveRules, Tool,
    edit::EditFile,
    fetch::FetchUrl,
    files::OnFiles,
    list::ListFiles,
    mcp::{ServerSources, Servers},
    paths::{PathError, Root},
    plan::UpdatePlan,
    read::ReadFile,
    read_output::ReadOutput,
    run::RunCommand,
    search::Search,
    site::Site,
};

/// Judgements that may wait for their calls: those of one answer, which are all judged before any of
/// them runs, and as many that were never called.
const MOST_JUDGED: usize = 2 * MOST_CALLS;

/// What the tools of one run are made of. It has no `Debug`: `env` may hold secrets.
#[derive(Clone)]
pub struct HostConfig {
    /// Absolute. Files are reached beneath it, commands run in it.
    pub worktree: PathBuf,
    /// The run's own folder; each command gets one of its own in `tools/` there.
    pub run_dir: PathBuf,
    /// The same of the story's runs before it, the latest first. What commands have said there can still
    /// be read, and no command of this run is named like one of theirs.
    pub earlier: Vec<PathBuf>,
    /// A command's whole environment: cleaned, and without keys of providers.
    pub env: BTreeMap<String, String>,
    /// Unique to the run; goes into every command's environment (see `SpawnSpec::mark`).
    pub mark: String,
    /// They may change while the run lives: what they are when a call is judged, and when it is done,
    /// counts.
    pub rules: LiveRules,
    /// Whether pages of the network may be fetched, as far as the rules tell at the start.
    pub fetch: bool,
    /// The keeper's program, when it is not the one that is found.
    pub keeper: Option<PathBuf>,
    pub servers: ServerSources,
    /// What no model is told, and no file keeps.
    pub secrets: Secrets,
}

/// Why a run cannot be given its tools.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    #[error("the worktree cannot be opened: {}", .0.to_string().trim_end_matches('.'))]
    Worktree(#[from] PathError),
}

/// The tools of one run.
pub struct Host {
    tools: Vec<(ToolSpec, Arc<dyn Tool>)>,
    /// Comes once a rule allows pages.
    late: Option<(ToolSpec, Arc<dyn Tool>)>,
    /// Theirs are there once the host was opened.
    servers: Option<Servers>,
    rules: LiveRules,
    secrets: Secrets,
    judged: Mutex<VecDeque<Judged>>,
}

/// A call that was judged and is yet to come.
struct Judged {
    call: Call,
    demand: Demand,
    denied: bool,
}

impl Host {
    /// The engine's own tools.
    ///
    /// # Errors
    /// When the worktree cannot be opened.
    pub fn new(config: HostConfig) -> Result<Self, HostError> {
        let (rules, secrets) = (config.rules.clone(), config.secrets.clone());
        let site =
            Arc::new(Site::new(Root::open(&config.worktree)?, rules.clone(), secrets.clone()));
        let mut tools: Vec<Arc<dyn Tool>> = vec![
            OnFiles::<ReadFile>::tool(&site),
            OnFiles::<ListFiles>::tool(&site),
            OnFiles::<Search>::tool(&site),
            OnFiles::<EditFile>::tool(&site),
        ];
        if config.fetch {
            tools.push(Arc::new(FetchUrl));
        }
        tools.push(Arc::new(RunCommand::new(site, config.clone())));
        tools.push(Arc::new(ReadOutput::of(&config)));
        tools.push(Arc::new(UpdatePlan));
        let late = (!config.fetch).then(|| with_spec(Arc::new(FetchUrl)));
        let servers = Some(Servers::new(Arc::new(config)));
        Ok(Self { late, servers, secrets, ..Self::of(tools, rules) })
    }

    /// These tools and no others.
    pub fn of(tools: Vec<Arc<dyn Tool>>, rules: impl Into<LiveRules>) -> Self {
        let tools = tools.into_iter().map(with_spec).collect();
        let (rules, secrets) = (rules.into(), Secrets::default());
        Self { tools, late: None, servers: None, rules, secrets, judged: Mutex::default() }
    }

    /// Those of servers come behind the engine's own.
    fn served(&self) -> Vec<(ToolSpec, Arc<dyn Tool>)> {
        self.servers.as_ref().map(Servers::tools).unwrap_or_default()
    }

    fn late(&self) -> Option<&(ToolSpec, Arc<dyn Tool>)> {
        self.late.as_ref().filter(|_| self.rules.now().open_pages())
    }

    fn tool(&self, name: &str) -> Result<Arc<dyn Tool>, String> {
        let own = self
            .tools
            .iter()
            .chain(self.late())
            .find(|(spec, _)| spec.name == name)
            .map(|(_, tool)| tool);
        let served = || self.servers.as_ref().and_then(|servers| servers.tool(name));
        // Which there are, whoever offers them says.
        own.cloned().or_else(served).ok_or_else(|| "There is no tool of this name.".to_owned())
    }

    fn hide_all(&self, texts: Vec<String>) -> Vec<String> {
        texts.into_iter().map(|text| self.secrets.hide(text)).collect()
    }

    /// What may be told of it.
    fn harmless(&self, mut outcome: ToolOutcome) -> ToolOutcome {
        self.secrets.hide_in(&mut outcome.edit);
        self.secrets.hide_in(&mut outcome.plan);
        ToolOutcome {
            text: self.secrets.hide(outcome.text),
            warnings: self.hide_all(outcome.warnings),
            ..outcome
        }
    }

    fn rule_against(&self, demand: &Demand) -> Option<String> {
        // In this mode nothing is denied but by a rule.
        match self.rules.now().judge(demand, PermissionMode::Ask) {
            Verdict::Deny { reason } => Some(reason),
            _ => None,
        }
    }

    fn remember(&self, judged: Judged) {
        let mut all = self.judged.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|other| other.call.id != judged.call.id);
        if all.len() >= MOST_JUDGED {
            all.pop_front();
        }
        all.push_back(judged);
    }

    /// What was judged of exactly this call, once.
    fn judged(&self, call: &Call) -> Option<Judged> {
        let mut all = self.judged.lock().unwrap_or_else(PoisonError::into_inner);
        let at = all.iter().position(|judged| judged.call == *call)?;
        all.remove(at)
    }
}

fn with_spec(tool: Arc<dyn Tool>) -> (ToolSpec, Arc<dyn Tool>) {
    (tool.spec(), tool)
}

#[async_trait]
impl ToolHost for Host {
    async fn open(&self) -> Vec<String> {
        match &self.servers {
            Some(servers) => self.hide_all(servers.open().await.to_vec()),
            None => Vec::new(),
        }
    }

    async fn close(&self) -> Vec<u32> {
        match &self.servers {
            Some(servers) => servers.close().await,
            None => Vec::new(),
        }
    }

    fn specs(&self, mode: PermissionMode) -> Vec<ToolSpec> {
        let all = self.tools.iter().cloned().chain(self.served()).chain(self.late().cloned());
        let offered = all.filter(|(_, tool)| mode != PermissionMode::Plan || tool.only_reads());
        offered.map(|(spec, _)| spec).collect()
    }

    async fn intent(&self, call: &Call, mode: PermissionMode) -> Result<Intent, String> {
        let planned = self.tool(&call.name)?.plan(&call.input).await;
        let planned = planned.map_err(|why| self.secrets.hide(why))?;
        let verdict = self.rules.now().judge(&planned.demand, mode);
        let denied = matches!(verdict, Verdict::Deny { .. });
        self.remember(Judged { call: call.clone(), demand: planned.demand, denied });
        let (kind, title, effect) = (planned.kind, planned.title, planned.effect);
        Ok(Intent { kind, title, effect, verdict })
    }

    /// Does only what `intent` has judged, word for word, and not denied; nor does it what a rule denies
    /// that was made since then.
    async fn call(&self, call: &Call, stop: CancellationToken) -> ToolOutcome {
        let tool = match self.tool(&call.name) {
            Ok(tool) => tool,
            Err(text) => return ToolOutcome::error(text),
        };
        match self.judged(call) {
            Some(Judged { demand, denied: false, .. }) => match self.rule_against(&demand) {
                Some(reason) => ToolOutcome::error(format!("Not allowed: {reason}.")),
                None => self.harmless(tool.call(call, Some(&demand), stop).await),
            },
            Some(_) => ToolOutcome::error("This call is denied."),
            None => ToolOutcome::error("This call was not judged, so it was not done."),
        }
    }

    async fn end_left_over(&self) -> Vec<u32> {
        let mut left = Vec::new();
        for (_, tool) in &self.tools {
            left.extend(tool.end_left_over().await);
        }
        left
    }
}
