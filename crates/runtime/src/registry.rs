//! Runtimes by name. The engine knows only this; concrete runtimes are registered where the program
//! is put together.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use async_trait::async_trait;
use musher_protocol::{
    EndpointProbeParams, EndpointReport, EndpointSettings, LocalEndpoint, RunLimits, RuntimeInfo,
};
use secrecy::SecretString;

use crate::{AgentRuntime, Rule, RuntimeError};

/// One kind of runtime: makes a value for each run and says whether it can run here.
#[async_trait]
pub trait RuntimeKind: Send + Sync {
    /// `claude-code`, `demo`, ...: what settings and commands call it.
    fn name(&self) -> &'static str;

    /// What a person calls it.
    fn label(&self) -> &'static str {
        self.name()
    }

    /// Whether its agents have no tools of their own, and are given the engine's.
    fn needs_tools(&self) -> bool {
        false
    }

    /// Whether its agents can be given the engine's tools besides their own.
    fn takes_tools(&self) -> bool {
        false
    }

    fn new_run(&self) -> Arc<dyn AgentRuntime>;

    /// Looks for the program on `path` (the user's own PATH, see `musher_process::login_path`).
    /// Found on disk is found; the version only informs.
    async fn detect(&self, path: &str) -> RuntimeInfo;

    /// Whether its agents' model can be reached as a person wants it. `Err` is a sentence with the next
    /// step.
    fn check_endpoint(&self, wanted: &EndpointSettings) -> Result<(), String> {
        if *wanted == EndpointSettings::default() {
            return Ok(());
        }
        Err(format!(
            "{} reaches its model by itself: leave out the address and all that is said of it (dialect, \
             headers, account, effort, the limit of an answer), or choose the runtime openai or gemini.",
            self.name()
        ))
    }

    /// Where its agents' model is reached, in one way of writing it: two settings that are the same place
    /// give the same. `None`: its own, wherever that is.
    fn place(&self, wanted: &EndpointSettings) -> Option<String> {
        wanted.base_url.clone()
    }

    /// Whether an address was named that is not the provider's own: there may be no key to it, and none of
    /// the provider's models.
    fn is_elsewhere(&self, _wanted: &EndpointSettings) -> bool {
        false
    }

    /// The model that is there, for a run that names none. Only where [`Self::is_elsewhere`]; it goes to
    /// the network. `Err` is a sentence with the next step.
    async fn only_model(
        &self,
        _wanted: &EndpointSettings,
        _given: &BTreeMap<String, SecretString>,
    ) -> Result<String, String> {
        Err("Name the model (`--model`).".to_owned())
    }

    /// The variable of Musher's environment whose key goes to such an address, because nothing that was
    /// meant for it opens it.
    async fn environments_key(
        &self,
        _wanted: &EndpointSettings,
        _given: &BTreeMap<String, SecretString>,
    ) -> Option<&'static str> {
        None
    }

    /// Whether the key that would open the place may go there. Of the same kind as `check_endpoint`, and
    /// asked behind it: a keychain may take its time.
    async fn check_key(
        &self,
        _wanted: &EndpointSettings,
        _given: &BTreeMap<String, SecretString>,
    ) -> Result<(), String> {
        Ok(())
    }

    /// Why the run's limits cannot all end it, one sentence.
    fn cannot_limit(&self, _limits: &RunLimits) -> Option<String> {
        None
    }

    /// What of the person's own files for it cannot be used, one sentence with the next step.
    fn trouble(&self) -> Option<String> {
        None
    }

    /// Why its agents cannot be told this rule of a project, one sentence.
    fn cannot_keep(&self, _rule: &Rule) -> Option<String> {
        None
    }

    /// Asks the place where its models are. `None`: its models are not reached over HTTP. Only for a
    /// person who asked for it: it goes to the network.
    async fn probe(&self, _wanted: &EndpointProbeParams) -> Option<EndpointReport> {
        None
    }

    /// Looks for model servers on this machine; also only for a person who asked.
    async fn find_local(&self) -> Vec<LocalEndpoint> {
        Vec::new()
    }

    /// Whether a run left something in its folder that `AgentRuntime::start` can attach to.
    fn left_something(&self, run_dir: &Path) -> bool {
        run_dir.join("keeper.json").exists()
    }

    /// Removes what a run that is over, and whose events are all on disk, needs no more.
    fn clear(&self, run_dir: &Path) -> Result<(), RuntimeError> {
        musher_process::clean(run_dir).map_err(|error| RuntimeError::Process(error.to_string()))
    }
}

/// The runtimes of this program.
#[derive(Clone, Default)]
pub struct Registry {
    kinds: BTreeMap<&'static str, Arc<dyn RuntimeKind>>,
}

impl Registry {
    pub fn with(mut self, kind: impl RuntimeKind + 'static) -> Self {
        self.kinds.insert(kind.name(), Arc::new(kind));
        self
    }

    pub fn get(&self, name: &str) -> Option<Arc<dyn RuntimeKind>> {
        self.kinds.get(name).cloned()
    }

    pub fn all(&self) -> impl Iterator<Item = &Arc<dyn RuntimeKind>> {
        self.kinds.values()
    }
}
