//! Runtimes by name. The engine knows only this; concrete runtimes are registered where the program
//! is put together.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use async_trait::async_trait;
use musher_protocol::{EndpointProbeParams, EndpointReport, LocalEndpoint, RuntimeInfo};

use crate::{AgentRuntime, RuntimeError};

/// One kind of runtime: makes a value for each run and says whether it can run here.
#[async_trait]
pub trait RuntimeKind: Send + Sync {
    /// `claude-code`, `demo`, ...: what settings and commands call it.
    fn name(&self) -> &'static str;

    /// Whether its agents have no tools of their own, and are given the engine's.
    fn needs_tools(&self) -> bool {
        false
    }

    fn new_run(&self) -> Arc<dyn AgentRuntime>;

    /// Looks for the program on `path` (the user's own PATH, see `musher_process::login_path`).
    /// Found on disk is found; the version only informs.
    async fn detect(&self, path: &str) -> RuntimeInfo;

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
