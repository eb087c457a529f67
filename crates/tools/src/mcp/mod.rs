//! Tools of other programs: the servers of the Model Context Protocol that a run's settings name, and
//! those of the project once it is trusted.
//!
//! What holds:
//! - Nothing of a project is read, and nothing started, before it is trusted ([`config`]).
//! - A server that is a child has a keeper of its own in `tools/mcp-<name>` of the run's folder, as a
//!   command has ([`crate::run`]): it ends with its whole tree when the run does, and the next engine
//!   finds it when ours was killed.
//! - A server that does not start, is slow, or dies is a warning or a failed call; nothing waits for it
//!   longer than [`Patience`] says. One that was there and died is started again once in a run, when
//!   one of its tools is called; a person is warned of that.
//! - What a server has is told again when it says that its list has changed. A tool keeps its name.
//! - None of them is there in plan mode. That a tool changes nothing is its server's own word
//!   (`readOnlyHint`); the protocol says itself that no decision may rest on it, and no rule of ours can
//!   see what a call does.
//! - A call is judged by the tool's name (`allow tool mcp__<server>__*`); what a server says of its own
//!   tools decides nothing but whether calls may run side by side.
//! - Names, descriptions, schemas and answers have limits.

mod client;
mod config;
mod offer;
mod pipe;
mod server;
mod tool;

use std::{
    collections::BTreeSet,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
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

use crate::{HostConfig, Tool, kept::FOLDER, show::visible};
pub use config::check as check_servers;
use offer::{Offer, Source};
use server::{Again, Plan, State};
use tool::unique;

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
    /// What came of the start, as warnings for a person.
    opened: OnceCell<Vec<String>>,
    offer: Mutex<Offer>,
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
            offer: Mutex::default(),
        }
    }

    /// Starts them side by side and waits until each is there or known not to come. A second time it
    /// does nothing. When this is dropped half-way, [`Self::close`] ends what was started.
    pub async fn open(&self) -> &[String] {
        self.opened.get_or_init(|| self.start_all()).await
    }

    /// What they have now; nothing before they are there.
    pub fn tools(&self) -> Vec<(ToolSpec, Arc<dyn Tool>)> {
        let mut offer = self.offer();
        for left_out in offer.look() {
            tracing::warn!("{left_out}");
        }
        offer.tools().map(|tool| (tool.spec(), tool.clone() as Arc<dyn Tool>)).collect()
    }

    /// One that was told of, or is there by now.
    pub fn tool(&self, name: &str) -> Option<Arc<dyn Tool>> {
        let offer = self.offer();
        let found = offer.tools().find(|tool| tool.named() == name);
        found.map(|tool| tool.clone() as Arc<dyn Tool>)
    }

    fn offer(&self) -> MutexGuard<'_, Offer> {
        self.offer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn start_all(&self) -> Vec<String> {
        let config = self.config.clone();
        let read = tokio::task::spawn_blocking(move || config::read(&config)).await;
        let (wanted, mut warnings) = read.unwrap_or_default();
        let mut folders = BTreeSet::new();
        let mut started = Vec::new();
        for wanted in wanted {
            started.push(self.start(wanted, &mut folders));
        }
        for source in started {
            let name = visible(&source.server);
            let mut state = source.state.clone();
            let known = state.wait_for(|state| !matches!(state, State::Starting)).await;
            match known.as_deref() {
                Ok(State::Ended(why) | State::Away(why)) => {
                    warnings.push(format!("The tool server `{name}` did not start: {why}."));
                }
                _ => self.offer().add(source),
            }
        }
        warnings.extend(self.offer().look());
        warnings
    }

    fn start(&self, wanted: config::Wanted, folders: &mut BTreeSet<String>) -> Source {
        let config::Wanted { name, via } = wanted;
        let mut folder = |name: String| self.folder(&unique(&name, LONGEST_FOLDER, folders));
        let (state, receiver) = watch::channel(State::Starting);
        let again = Arc::new(Again::default());
        let plan = Plan {
            via,
            config: self.config.clone(),
            folders: [folder(format!("mcp-{name}")), folder(format!("mcp-{name}-again"))],
            limit: self.config.servers.patience.start,
            ending: self.ending.clone(),
            state,
            again: again.clone(),
        };
        let task = self.tasks.spawn(plan.live());
        self.running().push(task);
        let limit = self.config.servers.patience.call;
        let secrets = self.config.secrets.clone();
        Source { server: name, state: receiver, again, limit, secrets }
    }

    fn folder(&self, name: &str) -> PathBuf {
        self.config.run_dir.join(FOLDER).join(name)
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

    fn running(&self) -> MutexGuard<'_, Vec<JoinHandle<Vec<u32>>>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
