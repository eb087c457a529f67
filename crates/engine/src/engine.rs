//! Opening and closing an engine.

use std::{
    path::Path,
    sync::{Arc, Mutex, atomic::AtomicU64},
    time::Duration,
};

use musher_protocol::*;
use musher_runtime::Registry;
use musher_store::{DataDirLock, Store};
use tokio::sync::{OnceCell, Semaphore};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    NewsReader,
    core::{Core, EngineConfig, RunTable},
    news::NewsHub,
};

/// How long `app_info` waits for the login shell before it says what is known without it.
const RUNTIMES_WITHIN: Duration = Duration::from_millis(250);

/// How long `settle` waits.
const SETTLE_WITHIN: Duration = Duration::from_secs(5);

/// How long the end of an engine waits for its actors to let go; one may be making a worktree.
const LET_GO_WITHIN: Duration = Duration::from_secs(5);

/// The one engine of a data directory. Cheap to clone.
#[derive(Clone)]
pub struct Engine {
    pub(crate) core: Arc<Core>,
    pub(crate) notices: Arc<Vec<String>>,
    /// Held until the last clone is gone.
    _lock: Arc<DataDirLock>,
}

impl Engine {
    /// Takes the data directory's lock, opens the store, attaches to live keepers.
    pub async fn open(config: EngineConfig, registry: Registry) -> Result<Self, ApiError> {
        let dir = config.data_dir.clone();
        let opened = tokio::task::spawn_blocking(move || {
            let lock = DataDirLock::acquire(&dir)?;
            let (store, notices) = Store::open(&dir)?;
            Ok::<_, ApiError>((lock, store, notices))
        });
        let (lock, store, mut notices) = opened.await.map_err(|_| broken())??;
        notices.splice(0..0, lock.notices.iter().cloned());
        let core = Core {
            registry,
            store,
            programs: OnceCell::new(),
            news: NewsHub::default(),
            slots: Arc::new(Semaphore::new(config.max_live_runs.max(1))),
            runs: RunTable::default(),
            claims: Arc::default(),
            strays: Mutex::default(),
            env: Mutex::default(),
            headers: Mutex::default(),
            headers_left: Mutex::default(),
            keys_set: Mutex::default(),
            rule_readings: AtomicU64::default(),
            tasks: TaskTracker::new(),
            closing: CancellationToken::new(),
            config,
        };
        let engine =
            Self { core: Arc::new(core), notices: Arc::new(notices), _lock: Arc::new(lock) };
        engine.take_in().await?;
        engine.ask_login_shell();
        Ok(engine)
    }

    /// A login shell can take seconds, and nothing that is only looked at needs it.
    fn ask_login_shell(&self) {
        let core = self.core.clone();
        self.core.tasks.spawn(async move {
            tokio::select! {
                _ = core.login() => core.news.runtimes_changed(),
                () = core.closing.cancelled() => {}
            }
        });
    }

    pub fn data_dir(&self) -> &Path {
        &self.core.config.data_dir
    }

    pub fn news(&self) -> NewsReader {
        self.core.news.reader()
    }

    /// Waits until what agents said and did while no engine lived is taken in; 5 s at most. For a
    /// program that looks once and ends; a window shows it as it comes.
    pub async fn settle(&self) {
        let runs = self.core.runs.all();
        let settled = runs.iter().map(|(_, handle)| match handle.left_over {
            true => handle.gone.cancelled(),
            false => handle.caught_up.cancelled(),
        });
        let all = futures::future::join_all(settled);
        if tokio::time::timeout(SETTLE_WITHIN, all).await.is_err() {
            tracing::debug!("some runs are still being taken in");
        }
    }

    /// What was put right while the data was opened.
    pub fn notices(&self) -> &[String] {
        &self.notices
    }

    /// Runs whose agents live in this process, and would end with the engine.
    pub fn bound_runs(&self) -> Vec<RunId> {
        let lives_here = |summary: &RunSummary| {
            let kind = self.core.registry.get(&summary.runtime);
            summary.phase != RunPhase::Done && kind.is_some_and(|kind| kind.needs_tools())
        };
        let runs = self.core.runs.all();
        let bound = runs.into_iter().filter(|(_, handle)| lives_here(&handle.summary.borrow()));
        bound.map(|(run, _)| run).collect()
    }

    /// Lets go: agents live on in their keepers, and the next engine goes on with them.
    pub async fn shutdown(&self) {
        self.core.closing.cancel();
        self.core.news.close();
        self.core.tasks.close();
        if tokio::time::timeout(LET_GO_WITHIN, self.core.tasks.wait()).await.is_err() {
            tracing::warn!("some runs did not let go in time; the next start takes them in");
        }
    }

    pub async fn app_info(&self, host: HostKind) -> Result<AppInfo, ApiError> {
        let runtimes = self.runtimes().await;
        Ok(AppInfo {
            version: env!("CARGO_PKG_VERSION").into(),
            api_version: API_VERSION,
            data_dir: self.data_dir().to_string_lossy().into_owned(),
            host,
            runtimes,
            max_live_runs: u32::try_from(self.core.config.max_live_runs).unwrap_or(u32::MAX),
            notices: self.notices.iter().cloned().chain(self.core.stray_notices()).collect(),
        })
    }
}

impl Engine {
    /// While the login shell has not answered, what Musher's own PATH finds; news tell when to ask again.
    async fn runtimes(&self) -> Vec<RuntimeInfo> {
        let login = tokio::time::timeout(RUNTIMES_WITHIN, self.core.login()).await.ok();
        let own = || std::env::var("PATH").unwrap_or_default();
        let path = login.map_or_else(own, |login| login.path.clone());
        let mut runtimes = Vec::new();
        for kind in self.core.registry.all() {
            let mut info = kind.detect(&path).await;
            if login.is_none() && !info.found {
                info.hint = Some(STILL_LOOKING.into());
            }
            runtimes.push(info);
        }
        runtimes
    }
}

const STILL_LOOKING: &str = "Musher waits for your login shell to say where your programs are.";

fn broken() -> ApiError {
    ApiError::new(ErrorCode::Internal, "A part of Musher failed while it opened its data.")
}
