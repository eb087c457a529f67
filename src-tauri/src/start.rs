//! Opening the engine, or handing over to the Musher that holds the data directory already.

use std::{path::PathBuf, sync::Arc};

use musher_api::{Client, Host};
use musher_engine::{Engine, EngineConfig};
use musher_protocol::{ApiError, ErrorCode};
use musher_runtime::{
    Registry,
    claude::{ClaudeCode, Demo},
};
use tokio::{
    runtime::{Handle, Runtime},
    sync::oneshot,
    task::JoinHandle,
};

/// What came of opening the engine.
pub(crate) enum Opened {
    Engine(Engine),
    /// Another Musher has the data directory, and its window came forward.
    HandedOver,
    Failed(ApiError),
}

/// An engine that is being opened.
pub(crate) struct Opening {
    pub(crate) opened: oneshot::Receiver<Opened>,
    /// Folders named on the command line.
    pub(crate) folders: Vec<String>,
    pub(crate) data_dir: PathBuf,
    pub(crate) task: JoinHandle<()>,
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
    let (sender, opened) = oneshot::channel();
    let (dir, handed) = (data_dir.clone(), folders.clone());
    let task = runtime.spawn(async move {
        // Nobody waits any more only when the program ends.
        let _ = sender.send(open_or_hand_over(dir, handed).await);
    });
    Opening { opened, folders, data_dir, task }
}

async fn open_or_hand_over(data_dir: PathBuf, folders: Vec<String>) -> Opened {
    match Engine::open(EngineConfig::new(data_dir.clone()), registry()).await {
        Ok(engine) => Opened::Engine(engine),
        Err(error) if error.code == ErrorCode::DataDirLocked => hand_over(&data_dir, &folders)
            .await
            .unwrap_or_else(|own| Opened::Failed(own.unwrap_or(error))),
        Err(error) => Opened::Failed(error),
    }
}

/// `Err(None)`: nobody answers on the socket, so the lock's own error says it best.
async fn hand_over(
    data_dir: &std::path::Path,
    folders: &[String],
) -> Result<Opened, Option<ApiError>> {
    let client = Client::connect(data_dir).await.map_err(Some)?.ok_or(None)?;
    client.show(folders).await.map_err(Some)?;
    Ok(Opened::HandedOver)
}

fn registry() -> Registry {
    Registry::default().with(ClaudeCode::default()).with(Demo)
}

pub(crate) fn failed(what: &str, error: &dyn std::fmt::Display) -> ApiError {
    ApiError::new(ErrorCode::Internal, format!("{what}: {error}."))
}

/// The engine behind its doors.
pub(crate) fn api(engine: &Engine, host: Arc<dyn Host>) -> Arc<musher_api::EngineApi> {
    Arc::new(musher_api::EngineApi { engine: engine.clone(), host })
}
