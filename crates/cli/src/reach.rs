//! How a command reaches an engine: the one that holds the data directory, or one of its own.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use musher_api::{
    Api, Client, EngineApi, HOLDER_LIMIT, TerminalHost,
    serve::{Serving, serve_socket},
};
use musher_engine::{Engine, EngineConfig};
use musher_protocol::{
    ApiError, DoctorReport, ErrorCode, HostKind, RunEventsParams, RunId, RunSummary,
};
use musher_runtime::{
    Registry,
    claude::{ClaudeCode, Demo},
};
use serde::{Serialize, de::DeserializeOwned};
use tokio_util::sync::CancellationToken;

/// A wait for a holder that takes longer is told.
const SILENT_WAIT: Duration = Duration::from_secs(2);
/// The command that waits long: what it waits for, the next engine tells as well.
const LONG: &str = "run_events";
/// How often a guest's end is looked for, if nothing tells it.
const GUEST_LOOK_MS: u32 = 1_000;
const ASK_AGAIN: Duration = Duration::from_millis(50);

/// An engine, near or far. When the one that was asked ends (it was another command's own), the next
/// one is found, or run here: its agents go on meanwhile.
pub struct Reach {
    data_dir: PathBuf,
    at: Mutex<Arc<At>>,
    /// Held by the one call that looks for the next engine.
    looking: tokio::sync::Mutex<()>,
}

enum At {
    Far(Client),
    Own(Own),
    /// A Musher that stays takes over.
    GivenWay,
}

/// An engine for the duration of a command. Others reach it through its socket meanwhile.
pub struct Own {
    pub engine: Engine,
    pub api: Arc<EngineApi>,
    /// `None`: it was ended.
    serving: Mutex<Option<Serving>>,
    /// Cancelled when a Musher that stays asks for the engine.
    way: CancellationToken,
}

/// The runtimes of this program.
pub fn registry(data_dir: &Path) -> Registry {
    musher_engine::with_models(Registry::default().with(ClaudeCode::default()).with(Demo), data_dir)
}

impl Reach {
    pub async fn open(data_dir: &Path) -> Result<Self, ApiError> {
        let at = Arc::new(At::open(data_dir).await?);
        Ok(Self { data_dir: data_dir.to_owned(), at: Mutex::new(at), looking: Default::default() })
    }

    /// Whether this command runs the engine itself.
    pub fn is_own(&self) -> bool {
        matches!(*self.at(), At::Own(_))
    }

    pub async fn call<T: DeserializeOwned>(
        &self,
        name: &str,
        params: &impl Serialize,
    ) -> Result<T, ApiError> {
        let params = serde_json::to_string(params).map_err(|error| unreadable(&error))?;
        let text = loop {
            let at = self.at();
            let answer = tokio::select! {
                answer = at.call(name, &params) => answer,
                () = at.asked_to_give_way(), if name == LONG => self.give_way(&at).await,
            };
            match answer {
                Err(error) if error.code == ErrorCode::EngineGone => {
                    let lost = Arc::downgrade(&at);
                    // Its lock goes with the last who has it.
                    drop(at);
                    self.go_on(&lost).await?;
                }
                other => break other?,
            }
        };
        serde_json::from_str(&text).map_err(|error| unreadable(&error))
    }

    fn at(&self) -> Arc<At> {
        self.at.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, at: At) {
        *self.at.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(at);
    }

    /// Takes the next engine in place of a lost one. One call does for all: a second one would meet
    /// the engine that the first one opened in this process, and take it for another's.
    async fn go_on(&self, lost: &Weak<At>) -> Result<(), ApiError> {
        let _looking = self.looking.lock().await;
        if std::ptr::eq(lost.as_ptr(), Arc::as_ptr(&self.at())) {
            self.set(self.next().await?);
        }
        Ok(())
    }

    /// The engine after one that is gone: that of who asked for the way, if it comes.
    async fn next(&self) -> Result<At, ApiError> {
        let deadline = tokio::time::Instant::now() + HOLDER_LIMIT;
        while matches!(*self.at(), At::GivenWay) && tokio::time::Instant::now() < deadline {
            if let Some(client) = Client::connect(&self.data_dir).await? {
                return Ok(At::Far(client));
            }
            tokio::time::sleep(ASK_AGAIN).await;
        }
        At::open(&self.data_dir).await
    }

    /// Lets go of an engine of our own; the answer is that it is gone.
    async fn give_way(&self, at: &At) -> Result<String, ApiError> {
        if let At::Own(own) = at {
            own.end().await;
            self.set(At::GivenWay);
        }
        Err(given_way())
    }

    /// Whether the run's agent lives in this process and would end with it.
    pub fn is_bound(&self, run: &RunId) -> bool {
        matches!(&*self.at(), At::Own(own) if own.engine.bound_runs().contains(run))
    }

    /// Lets go of an engine of our own at once.
    pub async fn let_go(&self) {
        if let At::Own(own) = &*self.at() {
            own.engine.shutdown().await;
        }
    }

    /// Lets go of an engine of our own. Agents in keepers live on; those that live in this process,
    /// begun by other commands, are waited for, or ended by Ctrl-C.
    pub async fn close(self) {
        if let At::Own(own) = &*self.at() {
            tokio::select! {
                () = own.without_guests() => {}
                () = crate::serve::interrupted() => {}
            }
        }
        let at = self.at.into_inner().unwrap_or_else(PoisonError::into_inner);
        if let Ok(At::Own(own)) = Arc::try_unwrap(at) {
            own.close().await;
        }
    }

    /// A run by its id, or by the beginning of one.
    pub async fn find_run(&self, named: &str) -> Result<RunSummary, ApiError> {
        let runs: Vec<RunSummary> = self.call("run_list", &serde_json::json!({})).await?;
        let mut found: Vec<_> =
            runs.into_iter().filter(|run| run.id.as_str().starts_with(named)).collect();
        match found.len() {
            1 => Ok(found.remove(0)),
            0 => Err(no_run(named)),
            many => Err(ApiError::new(
                ErrorCode::BadRequest,
                format!("{many} runs begin with {named}."),
            )
            .with_hint("Give more of the id.")),
        }
    }
}

pub fn no_run(named: &str) -> ApiError {
    ApiError::new(ErrorCode::NotFound, format!("There is no run {named}."))
        .with_hint("`musher runs` lists them.")
}

/// What `doctor` sees where the data cannot be opened.
pub async fn doctor_without_engine(data_dir: &Path, trouble: &ApiError) -> DoctorReport {
    let config = EngineConfig::new(data_dir.to_owned());
    musher_engine::doctor_without_engine(&config, &registry(data_dir), trouble).await
}

impl At {
    async fn open(data_dir: &Path) -> Result<Self, ApiError> {
        let begun = tokio::time::Instant::now();
        let mut told = false;
        loop {
            if let Some(client) = Client::connect(data_dir).await? {
                return Ok(At::Far(client));
            }
            match Own::open(data_dir, HostKind::Terminal).await {
                Ok(own) => {
                    own.engine.settle().await;
                    return Ok(At::Own(own));
                }
                // Its holder is just starting or just ending.
                Err(error)
                    if error.code == ErrorCode::DataDirLocked && begun.elapsed() < HOLDER_LIMIT =>
                {
                    if !told && begun.elapsed() > SILENT_WAIT {
                        told = true;
                        eprintln!("note: {} Its answer or its end is waited for.", error.message);
                    }
                    tokio::time::sleep(ASK_AGAIN).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    async fn call(&self, name: &str, params: &str) -> Result<String, ApiError> {
        match self {
            At::Far(client) => client.call(name, params).await,
            At::Own(own) => own.api.call(name, params).await,
            At::GivenWay => Err(given_way()),
        }
    }

    async fn asked_to_give_way(&self) {
        match self {
            At::Own(own) => own.way.cancelled().await,
            At::Far(_) | At::GivenWay => std::future::pending().await,
        }
    }
}

impl Own {
    pub async fn open(data_dir: &Path, kind: HostKind) -> Result<Self, ApiError> {
        // A command's end would cut off half way what it began for others.
        let begins_runs = kind == HostKind::Server;
        let config = EngineConfig { begins_runs, ..EngineConfig::new(data_dir.to_owned()) };
        let engine = Engine::open(config, registry(data_dir)).await?;
        engine.notices().iter().for_each(|notice| eprintln!("note: {notice}"));
        let host = TerminalHost::new(kind);
        let way = host.way.clone();
        let api = Arc::new(EngineApi { engine: engine.clone(), host: Arc::new(host) });
        let serving = Mutex::new(Some(serve_socket(api.clone(), data_dir)?));
        Ok(Self { engine, api, serving, way })
    }

    /// Opens it for as long as this program runs; a command that holds it gives way.
    pub async fn open_to_stay(data_dir: &Path) -> Result<Self, ApiError> {
        let mut deadline = tokio::time::Instant::now() + HOLDER_LIMIT;
        let mut told = None;
        loop {
            let locked = match Self::open(data_dir, HostKind::Server).await {
                Err(error) if error.code == ErrorCode::DataDirLocked => error,
                opened => return opened,
            };
            let gives_way = match Client::connect(data_dir).await? {
                Some(client) => client.give_way().await,
                None => Ok(()),
            };
            match gives_way {
                Err(error) if error.code == ErrorCode::Unsupported => return Err(locked),
                // It is just ending, as one that has no socket may be.
                Err(error) if error.code == ErrorCode::EngineGone => {}
                // Agents live in it.
                Err(error) if error.code == ErrorCode::Conflict => {
                    deadline = tokio::time::Instant::now() + HOLDER_LIMIT;
                    tell_once(&mut told, error);
                }
                asked => asked?,
            }
            if tokio::time::Instant::now() > deadline {
                return Err(locked);
            }
            tokio::time::sleep(ASK_AGAIN).await;
        }
    }

    async fn without_guests(&self) {
        let mut told = false;
        while let Some(run) = self.engine.bound_runs().first() {
            if !told {
                eprintln!(
                    "note: the agent of run {run} lives in this process, which waits for its end."
                );
                eprintln!(
                    "hint: `musher serve` in a terminal of its own spares that; Ctrl-C ends it."
                );
                told = true;
            }
            let over = RunEventsParams {
                run: run.clone(),
                from_seq: u64::MAX,
                max_bytes: None,
                wait_ms: Some(GUEST_LOOK_MS),
            };
            // A run that cannot be asked is looked for again.
            if self.engine.run_events(over).await.is_err() {
                tokio::time::sleep(ASK_AGAIN).await;
            }
        }
    }

    pub async fn close(self) {
        self.end().await;
    }

    /// Those who asked it something are answered first; what is left has the lock until it is dropped.
    async fn end(&self) {
        let serving = self.serving.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(serving) = serving {
            serving.end().await;
        }
        self.engine.shutdown().await;
    }
}

/// Says why it is waited, when that is something new.
fn tell_once(told: &mut Option<String>, refusal: ApiError) {
    if told.as_ref() != Some(&refusal.message) {
        eprintln!("note: {} Its end is waited for.", refusal.message);
        refusal.hint.iter().for_each(|hint| eprintln!("hint: {hint}"));
        *told = Some(refusal.message);
    }
}

fn given_way() -> ApiError {
    ApiError::new(ErrorCode::EngineGone, "Another Musher takes over.")
}

fn unreadable(error: &serde_json::Error) -> ApiError {
    ApiError::new(ErrorCode::Internal, format!("The engine's words could not be read: {error}."))
        .with_hint("Are two versions of Musher installed? Restart both.")
}
