//! Opening the engine, or handing over to the Musher that holds the data directory already.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use musher_api::{Client, HOLDER_LIMIT, Host};
use musher_engine::{Engine, EngineConfig};
use musher_protocol::{ApiError, ErrorCode};
use musher_runtime::{
    Registry,
    claude::{ClaudeCode, Demo},
};
use tokio::runtime::{Handle, Runtime};
use tokio_util::task::AbortOnDropHandle;

/// What came of opening the engine.
pub(crate) enum Opened {
    Engine(Engine),
    /// A `musher serve` has it, or a command in a terminal with agents that would end with it.
    Guest(Client),
    /// Another Musher has the data directory, and its window came forward.
    HandedOver,
    Failed(ApiError),
}

/// An engine that is being opened.
pub(crate) struct Opening {
    pub(crate) opened: AbortOnDropHandle<Opened>,
    /// The data directory is locked: there may be nothing to make a window for.
    pub(crate) locked: Arc<AtomicBool>,
    /// Folders named on the command line.
    pub(crate) folders: Vec<String>,
    pub(crate) data_dir: PathBuf,
}

impl Opening {
    /// What came of it, unless it takes longer than `limit`. A lock is waited for in any case.
    pub(crate) async fn early(&mut self, limit: Duration) -> Option<Opened> {
        let early = tokio::time::timeout(limit, &mut self.opened).await;
        match early {
            Ok(opened) => Some(finished(opened)),
            Err(_) if self.locked.load(Ordering::Relaxed) => {
                Some(finished((&mut self.opened).await))
            }
            Err(_) => None,
        }
    }
}

pub(crate) fn finished(opened: Result<Opened, tokio::task::JoinError>) -> Opened {
    opened.unwrap_or_else(|error| Opened::Failed(failed("Musher could not open its data", &error)))
}

/// Two threads carry the engine and the page's commands; SQLite and git have their own.
pub(crate) fn runtime() -> Result<Runtime, ApiError> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("musher")
        .enable_all()
        .build()
        .map_err(|error| failed("Musher's threads could not be started", &error))
}

pub(crate) fn open(runtime: &Handle, data_dir: PathBuf, folders: Vec<String>) -> Opening {
    let locked = Arc::new(AtomicBool::new(false));
    let work = open_or_hand_over(data_dir.clone(), folders.clone(), locked.clone());
    let opened = AbortOnDropHandle::new(runtime.spawn(work));
    Opening { opened, locked, folders, data_dir }
}

pub(crate) const ASK_AGAIN: Duration = Duration::from_millis(50);

pub(crate) async fn open_or_hand_over(
    data_dir: PathBuf,
    folders: Vec<String>,
    locked: Arc<AtomicBool>,
) -> Opened {
    let deadline = tokio::time::Instant::now() + HOLDER_LIMIT;
    loop {
        let config = EngineConfig::new(data_dir.clone());
        let error = match Engine::open(config, registry(&data_dir)).await {
            Ok(engine) => return Opened::Engine(engine),
            Err(error) => error,
        };
        if error.code != ErrorCode::DataDirLocked || tokio::time::Instant::now() > deadline {
            return Opened::Failed(error);
        }
        locked.store(true, Ordering::Relaxed);
        match hand_over(&data_dir, &folders).await {
            Ok(Holder::CameForward) => return Opened::HandedOver,
            Ok(Holder::Goes) => {}
            Ok(Holder::Stays(client)) => return Opened::Guest(client),
            // It is just ending.
            Err(refusal) if refusal.code == ErrorCode::EngineGone => {}
            Err(refusal) => return Opened::Failed(in_a_box(refusal)),
        }
        tokio::time::sleep(ASK_AGAIN).await;
    }
}

/// Who has the data directory, and what it does now.
enum Holder {
    CameForward,
    /// A command in a terminal lets go soon, and goes on with our engine; or it is just starting, or
    /// just ending, and does not answer.
    Goes,
    /// A `musher serve`, or a command with agents in it.
    Stays(Client),
}

async fn hand_over(data_dir: &Path, folders: &[String]) -> Result<Holder, ApiError> {
    let Some(client) = Client::connect(data_dir).await? else { return Ok(Holder::Goes) };
    match client.show(folders).await {
        Err(error) if error.code == ErrorCode::Unsupported => {}
        shown => return shown.map(|()| Holder::CameForward),
    }
    match client.give_way().await {
        // Agents live in it, or it is a `musher serve`.
        Err(error) if matches!(error.code, ErrorCode::Conflict | ErrorCode::Unsupported) => {
            Ok(with_its_guest(data_dir, folders, client).await)
        }
        given => given.map(|()| Holder::Goes),
    }
}

/// One window is enough for an engine of another's.
async fn with_its_guest(data_dir: &Path, folders: &[String], client: Client) -> Holder {
    let Ok(Some(guest)) = Client::connect_to_guest(data_dir).await else {
        return Holder::Stays(client);
    };
    match guest.show(folders).await {
        Ok(()) => Holder::CameForward,
        Err(_) => Holder::Stays(client),
    }
}

/// A refusal as the system's own box shows it: that has no form for code.
fn in_a_box(mut refusal: ApiError) -> ApiError {
    refusal.message = refusal.message.replace('`', "");
    refusal.hint = refusal.hint.map(|hint| hint.replace('`', ""));
    refusal
}

fn registry(data_dir: &Path) -> Registry {
    musher_engine::with_models(Registry::default().with(ClaudeCode::default()).with(Demo), data_dir)
}

/// Waits for the signal that ends a session, or Ctrl-C in the terminal.
#[cfg(unix)]
pub(crate) async fn asked_to_end() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}

#[cfg(not(unix))]
pub(crate) async fn asked_to_end() {
    // Fails only where there is no terminal.
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending().await
    }
}

pub(crate) fn failed(what: &str, error: &dyn std::fmt::Display) -> ApiError {
    ApiError::new(ErrorCode::Internal, format!("{what}: {error}."))
}

/// The engine behind its doors.
pub(crate) fn api(engine: &Engine, host: Arc<dyn Host>) -> Arc<musher_api::EngineApi> {
    Arc::new(musher_api::EngineApi { engine: engine.clone(), host })
}
