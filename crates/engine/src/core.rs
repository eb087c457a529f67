//! What the parts of an engine share.

use std::{
    collections::{BTreeMap, HashMap},
    path::PathBuf,
    sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError, atomic::AtomicU64},
};

use chrono::{DateTime, Utc};
use futures::future::BoxFuture;
use musher_process::{LoginPath, LoginPathCache, login_path};
use musher_protocol::{ApiError, ErrorCode, RunId, RunSettings, RunSummary, StoryId};
use musher_runtime::{Registry, Secrets};
use musher_store::{Store, TranscriptIndex};
use musher_tools::LiveRules;
use musher_worktree::Git;
use secrecy::SecretString;
use tokio::sync::{Notify, OnceCell, Semaphore, mpsc, watch};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{actor::Mail, claims::Claims, news::NewsHub, runs::Place};

/// How an engine is opened.
#[derive(Clone, Debug)]
pub struct EngineConfig {
    pub data_dir: PathBuf,
    /// Runs that may live at once; more wait in line.
    pub max_live_runs: usize,
    /// Whether runs that an earlier engine left in line are begun at the start. An engine that lives
    /// for one command leaves them, and begins one only when it is followed or resumed: its end would
    /// cut them off half way.
    pub begins_runs: bool,
    /// Where the time comes from; tests have their own.
    pub now: fn() -> DateTime<Utc>,
    /// Where the person's PATH comes from; tests have their own.
    pub login: fn() -> BoxFuture<'static, LoginPath>,
}

/// The login shell is asked once for the process, however many engines it opens.
static LOGIN_PATH: LazyLock<LoginPathCache> = LazyLock::new(LoginPathCache::default);

impl EngineConfig {
    pub fn new(data_dir: PathBuf) -> Self {
        Self {
            data_dir,
            max_live_runs: crate::settings::DEFAULT_MAX_LIVE_RUNS,
            begins_runs: true,
            now: Utc::now,
            login: || Box::pin(login_path(&LOGIN_PATH)),
        }
    }
}

/// Why a run that is not over has no actor, by run: it is shown, and it cannot be spoken to.
pub(crate) type Strays = Mutex<HashMap<RunId, ApiError>>;

/// What was given to each story, by name.
pub(crate) type GivenTo = HashMap<StoryId, BTreeMap<String, String>>;

/// The parts that every actor and every command use.
pub(crate) struct Core {
    pub config: EngineConfig,
    pub registry: Registry,
    pub store: Store,
    /// Known once the login shell has answered.
    pub programs: OnceCell<Programs>,
    pub news: NewsHub,
    pub slots: Arc<Semaphore>,
    pub runs: RunTable,
    pub claims: Arc<Claims>,
    pub strays: Strays,
    /// Each story's own variables. They may hold keys, so they are in memory only.
    pub env: Mutex<GivenTo>,
    /// Each story's own headers for its model's requests; the same holds for them.
    pub headers: Mutex<GivenTo>,
    /// Those that were given for places that it left, for its return.
    pub headers_left: Mutex<HashMap<Place, GivenTo>>,
    /// Keys that were set since this engine began, to hide them.
    pub keys_set: Mutex<Vec<SecretString>>,
    /// How often rules of a project were read for runs that live; see [`LiveRules::set_of_project`].
    pub rule_readings: AtomicU64,
    pub tasks: TaskTracker,
    /// Cancelled when the engine lets go; agents live on in their keepers.
    pub closing: CancellationToken,
}

/// Where the person's programs are, and the first of them.
pub(crate) struct Programs {
    login: LoginPath,
    git: Git,
}

impl Core {
    /// Waits for the login shell, 5 s at most: only what starts a program may ask.
    pub async fn login(&self) -> &LoginPath {
        &self.programs().await.login
    }

    /// See `login`.
    pub async fn git(&self) -> &Git {
        &self.programs().await.git
    }

    async fn programs(&self) -> &Programs {
        let ask = || async {
            let login = (self.config.login)().await;
            Programs { git: Git::new(&login.path), login }
        };
        self.programs.get_or_init(ask).await
    }

    pub fn now(&self) -> DateTime<Utc> {
        (self.config.now)()
    }

    /// A story's variables, with `more` added for its runs to come.
    pub fn env_of(
        &self,
        story: &StoryId,
        more: BTreeMap<String, String>,
    ) -> BTreeMap<String, String> {
        given(&self.env, story, more)
    }

    /// The same for its headers.
    pub fn headers_of(
        &self,
        story: &StoryId,
        more: BTreeMap<String, String>,
    ) -> BTreeMap<String, String> {
        given(&self.headers, story, more)
    }

    /// Those that were given for a place where it was before.
    pub fn headers_at(&self, story: &StoryId, place: &Place) -> BTreeMap<String, String> {
        let left = self.headers_left.lock().unwrap_or_else(PoisonError::into_inner);
        left.get(place).and_then(|left| left.get(story)).cloned().unwrap_or_default()
    }

    /// Keeps what was given for a place that it leaves.
    pub fn keep_headers(&self, story: &StoryId, place: Place, given: BTreeMap<String, String>) {
        let mut left = self.headers_left.lock().unwrap_or_else(PoisonError::into_inner);
        left.entry(place).or_default().insert(story.clone(), given);
    }

    /// What a story has from now on, and nothing else.
    pub fn give(&self, story: &StoryId, settings: &RunSettings) {
        let given = [(&self.env, &settings.env), (&self.headers, &settings.endpoint.headers)];
        for (all, given) in given {
            let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
            all.insert(story.clone(), given.clone());
        }
    }

    /// Why the run cannot be reached although it is not over.
    pub fn stray(&self, run: &RunId) -> Option<ApiError> {
        self.strays.lock().unwrap_or_else(PoisonError::into_inner).get(run).cloned()
    }

    pub fn stray_notices(&self) -> Vec<String> {
        let strays = self.strays.lock().unwrap_or_else(PoisonError::into_inner);
        let told = strays.values().map(|why| match &why.hint {
            Some(hint) => format!("{} {hint}", why.message),
            None => why.message.clone(),
        });
        told.collect()
    }

    pub fn note_stray(&self, run: RunId, why: ApiError) {
        self.strays.lock().unwrap_or_else(PoisonError::into_inner).insert(run, why);
    }

    pub fn worktrees_dir(&self) -> PathBuf {
        self.config.data_dir.join("worktrees")
    }
}

/// How a live run is reached.
#[derive(Clone)]
pub(crate) struct RunHandle {
    pub mailbox: mpsc::Sender<Mail>,
    /// The run as lists show it; its `last_seq` is how far readers may read.
    pub summary: watch::Receiver<Arc<RunSummary>>,
    pub index: Arc<TranscriptIndex>,
    /// What no event of the agent's may hold, and no tool tell it. Others may add to them at any time.
    pub secrets: Secrets,
    /// Which calls of its own tools are allowed and denied; follows the project's rules while it lives.
    pub rules: LiveRules,
    /// Cancelled once the run is out of the table: its worktree and session are free.
    pub gone: CancellationToken,
    /// Cancelled to end the agent, beside the actor's own loop: a full disk holds that up.
    pub stopping: CancellationToken,
    /// Told when somebody waits for what the run does: one in line is begun then.
    pub followed: Arc<Notify>,
    /// Cancelled once what was said while no engine lived is taken in, and what follows from it is
    /// done.
    pub caught_up: CancellationToken,
    /// Its agent lived in an earlier engine and died with it: it is brought to its end, no more.
    pub left_over: bool,
}

/// The runs that have an actor. The actor alone removes itself, after its last event.
#[derive(Default)]
pub(crate) struct RunTable {
    live: Mutex<HashMap<RunId, RunHandle>>,
}

impl RunTable {
    pub fn insert(&self, run: RunId, handle: RunHandle) {
        self.lock().insert(run, handle);
    }

    pub fn remove(&self, run: &RunId) {
        self.lock().remove(run);
    }

    pub fn get(&self, run: &RunId) -> Option<RunHandle> {
        self.lock().get(run).cloned()
    }

    pub fn all(&self) -> Vec<(RunId, RunHandle)> {
        self.lock().iter().map(|(run, handle)| (run.clone(), handle.clone())).collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<RunId, RunHandle>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn given(
    all: &Mutex<GivenTo>,
    story: &StoryId,
    more: BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
    if more.is_empty() {
        return all.get(story).cloned().unwrap_or_default();
    }
    let given = all.entry(story.clone()).or_default();
    given.extend(more);
    given.clone()
}

pub(crate) fn not_found(what: &str, id: impl std::fmt::Display) -> ApiError {
    ApiError::new(ErrorCode::NotFound, format!("There is no {what} {id}."))
}

pub(crate) fn bad_request(message: impl Into<String>) -> ApiError {
    ApiError::new(ErrorCode::BadRequest, message)
}

pub(crate) fn conflict(message: impl Into<String>) -> ApiError {
    ApiError::new(ErrorCode::Conflict, message)
}
