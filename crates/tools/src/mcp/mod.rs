//! Tools of other programs: the servers of the Model Context Protocol that a run's settings name, and
//! those of the project once it is trusted.
//!
//! What holds:
//! - Nothing of a project is read, and nothing started, before it is trusted ([`config`]).
//! - A server that is a child has a keeper of its own in `tools/mcp-<name>` of the run's folder, as a
//!   command has ([`crate::run`]): it ends with its whole tree when the run does, and the next engine
//!   finds it when ours was killed.
//! - A server that does not start, is slow, or dies is a warning or a failed call; nothing waits for it
//!   longer than [`Patience`] says. It is not started again within the run.
//! - A call is judged by the tool's name (`allow tool mcp__<server>__*`); what a server says of its own
//!   tools decides nothing but whether calls may run side by side.
//! - Names, descriptions, schemas and answers have limits.

mod client;
mod config;
mod pipe;
mod server;
mod tool;

use std::{
    collections::BTreeSet,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use musher_runtime::ToolSpec;
use tokio::{
    sync::{OnceCell, watch},
    task::JoinHandle,
};
use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::TaskTracker,
};

use crate::{HostConfig, Tool, run::FOLDER, show::visible};
use server::{Plan, State};
use tool::{Served, Source, unique};

/// Tools of all servers together: providers take about 128 in all.
const MOST_TOOLS: usize = 100;
const LONGEST_FOLDER: usize = 40;

/// Where a run's tool servers come from. By default there are none.
#[derive(Clone, Default)]
pub struct ServerSources {
    /// The run's own: a file or JSON text.
    pub settings: Option<String>,
    /// Whether the project is trusted, and with it its `.mcp.json`.
    pub trusted: bool,
    pub patience: Patience,
}

/// How long a server is waited for.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// From its start to the list of its tools.
    pub start: Duration,
    /// For the answer to a call.
    pub call: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { start: Duration::from_secs(10), call: Duration::from_secs(120) }
    }
}

/// The servers of one run, and what their tools are. When it is dropped they end all the same, but
/// nobody hears whether they did.
pub struct Servers {
    config: Arc<HostConfig>,
    ending: CancellationToken,
    _end_with_us: DropGuard,
    tasks: TaskTracker,
    /// Each gives what would not end. Empty before the start and after the end.
    running: Mutex<Vec<JoinHandle<Vec<u32>>>>,
    opened: OnceCell<Opened>,
}

/// What came of the start.
pub struct Opened {
    pub tools: Vec<(ToolSpec, Arc<dyn Tool>)>,
    pub warnings: Vec<String>,
}

struct Started {
    name: String,
    state: watch::Receiver<State>,
}

impl Servers {
    pub fn new(config: Arc<HostConfig>) -> Self {
        let ending = CancellationToken::new();
        Self {
            config,
            _end_with_us: ending.clone().drop_guard(),
            ending,
            tasks: TaskTracker::new(),
            running: Mutex::default(),
            opened: OnceCell::new(),
        }
    }

    /// Starts them side by side and waits until each is there or known not to come. A second time it
    /// does nothing. When this is dropped half-way, [`Self::close`] ends what was started.
    pub async fn open(&self) -> &Opened {
        self.opened.get_or_init(|| self.start_all()).await
    }

    pub fn opened(&self) -> Option<&Opened> {
        self.opened.get()
    }

    async fn start_all(&self) -> Opened {
        let config = self.config.clone();
        let read = tokio::task::spawn_blocking(move || config::read(&config)).await;
        let (wanted, mut warnings) = read.unwrap_or_default();
        let mut folders = BTreeSet::new();
        let mut started = Vec::new();
        for config::Wanted { name, via } in wanted {
            let folder = unique(&format!("mcp-{name}"), LONGEST_FOLDER, &mut folders);
            let (state, receiver) = watch::channel(State::Starting);
            let plan = Plan {
                via,
                config: self.config.clone(),
                folder: self.folder(&folder),
                limit: self.config.servers.patience.start,
                ending: self.ending.clone(),
                state,
            };
            let task = self.tasks.spawn(plan.live());
            self.running().push(task);
            started.push(Started { name, state: receiver });
        }
        let tools = self.tools(&started, &mut warnings).await;
        let tools = tools.into_iter().map(|tool| (tool.spec(), tool)).collect();
        Opened { tools, warnings }
    }

    fn folder(&self, name: &str) -> PathBuf {
        self.config.run_dir.join(FOLDER).join(name)
    }

    async fn tools(&self, started: &[Started], warnings: &mut Vec<String>) -> Vec<Arc<dyn Tool>> {
        let mut tools: Vec<Arc<dyn Tool>> = Vec::new();
        let mut taken = BTreeSet::new();
        for server in started {
            let name = visible(&server.name);
            let mut state = server.state.clone();
            let known = state.wait_for(|state| !matches!(state, State::Starting)).await;
            let listed = match known.as_deref() {
                Ok(State::Ready(_, listed)) => listed.clone(),
                Ok(State::Ended(why)) => {
                    warnings.push(format!("The tool server `{name}` did not start: {why}."));
                    continue;
                }
                _ => continue,
            };
            drop(known);
            let patience = self.config.servers.patience;
            let source =
                Source { server: &server.name, state: &server.state, limit: patience.call };
            let room = MOST_TOOLS - tools.len();
            let mut left_out = listed.len().saturating_sub(room);
            for listed in listed.iter().take(room) {
                match Served::new(&source, listed, &mut taken) {
                    Some(tool) => tools.push(Arc::new(tool)),
                    None => left_out += 1,
                }
            }
            if left_out > 0 {
                warnings.push(format!(
                    "{left_out} tools of the tool server `{name}` are left out: there are too \
                     many, or their description is too large."
                ));
            }
        }
        tools
    }

    /// Ends them; names the processes that would not end.
    pub async fn close(&self) -> Vec<u32> {
        self.ending.cancel();
        let running = std::mem::take(&mut *self.running());
        let mut left = Vec::new();
        for task in running {
            left.extend(task.await.unwrap_or_default());
        }
        left
    }

    fn running(&self) -> std::sync::MutexGuard<'_, Vec<JoinHandle<Vec<u32>>>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
