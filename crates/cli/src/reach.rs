//! How a command reaches an engine: the one that holds the data directory, or one of its own.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use musher_api::{
    Api, Client, EngineApi, TerminalHost,
    serve::{Serving, serve_socket},
};
use musher_engine::{Engine, EngineConfig};
use musher_protocol::{ApiError, DoctorReport, ErrorCode, HostKind, RunSummary};
use musher_runtime::{
    Registry,
    claude::{ClaudeCode, Demo},
};
use serde::{Serialize, de::DeserializeOwned};

/// An engine that just started answers within this, or the lock's holder is no engine.
const HOLDER_ANSWERS_WITHIN: Duration = Duration::from_secs(5);
const ASK_AGAIN: Duration = Duration::from_millis(50);

/// An engine, near or far. When the one that was asked ends (it was another command's own), the next
/// one is found, or run here: its agents go on meanwhile.
pub struct Reach {
    data_dir: PathBuf,
    at: Mutex<Arc<At>>,
}

enum At {
    Far(Client),
    Own(Own),
}

/// An engine for the duration of a command. Others reach it through its socket meanwhile.
pub struct Own {
    pub engine: Engine,
    pub api: Arc<EngineApi>,
    serving: Serving,
}

/// The runtimes of this program.
pub fn registry(data_dir: &Path) -> Registry {
    musher_engine::with_models(Registry::default().with(ClaudeCode::default()).with(Demo), data_dir)
}

impl Reach {
    pub async fn open(data_dir: &Path) -> Result<Self, ApiError> {
        let at = Arc::new(At::open(data_dir).await?);
        Ok(Self { data_dir: data_dir.to_owned(), at: Mutex::new(at) })
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
            match at.call(name, &params).await {
                Err(error) if error.code == ErrorCode::EngineGone => {
                    drop(at);
                    let next = Arc::new(At::open(&self.data_dir).await?);
                    *self.at.lock().unwrap_or_else(PoisonError::into_inner) = next;
                }
                other => break other?,
            }
        };
        serde_json::from_str(&text).map_err(|error| unreadable(&error))
    }

    fn at(&self) -> Arc<At> {
        self.at.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Lets go of an engine of our own; its agents live on in their keepers.
    pub async fn close(self) {
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
        let deadline = tokio::time::Instant::now() + HOLDER_ANSWERS_WITHIN;
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
                    if error.code == ErrorCode::DataDirLocked
                        && tokio::time::Instant::now() < deadline =>
                {
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
        let host = Arc::new(TerminalHost(kind));
        let api = Arc::new(EngineApi { engine: engine.clone(), host });
        let serving = serve_socket(api.clone(), data_dir)?;
        Ok(Self { engine, api, serving })
    }

    pub async fn close(self) {
        self.serving.end().await;
        self.engine.shutdown().await;
    }
}

fn unreadable(error: &serde_json::Error) -> ApiError {
    ApiError::new(ErrorCode::Internal, format!("The engine's words could not be read: {error}."))
        .with_hint("Are two versions of Musher installed? Restart both.")
}
