//! Speaks to the engine that holds a data directory, over its socket.

use std::{path::Path, time::Duration};

use futures::{StreamExt, future};
use musher_protocol::{API_VERSION, ApiError, AppInfo, Empty, ErrorCode, News};
use serde::{Serialize, de::DeserializeOwned};
use tokio_tungstenite::{client_async, tungstenite::Message};

use crate::NewsStream;
#[cfg(unix)]
use crate::serve::{GUEST_SOCKET, SOCKET, SOCKET_HOST, SocketPath};

/// Longer than any command of a healthy engine takes (the longest make a worktree of a huge
/// repository, or end a stubborn process tree).
const CALL_LIMIT: Duration = Duration::from_secs(300);
const GREETING_LIMIT: Duration = Duration::from_secs(5);
/// An engine that ends lets go of its data directory within this, and one that starts answers. What
/// others asked of it, its runs and its threads have some ten seconds to end.
pub const HOLDER_LIMIT: Duration = Duration::from_secs(15);

/// A connection to a running engine. Cheap to clone.
#[cfg(unix)]
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    /// Good while this lives.
    path: std::sync::Arc<SocketPath>,
}

#[cfg(unix)]
impl Client {
    /// `None` when no engine answers there; an error when one does that this program cannot speak to.
    pub async fn connect(data_dir: &Path) -> Result<Option<Client>, ApiError> {
        Self::connect_at(data_dir, SOCKET).await
    }

    /// To a window whose engine is another's.
    pub async fn connect_to_guest(data_dir: &Path) -> Result<Option<Client>, ApiError> {
        Self::connect_at(data_dir, GUEST_SOCKET).await
    }

    async fn connect_at(data_dir: &Path, name: &str) -> Result<Option<Client>, ApiError> {
        let Ok(path) = SocketPath::of(data_dir, name) else { return Ok(None) };
        let http = reqwest::Client::builder()
            .unix_socket(path.path.clone())
            // A connection that waits for its next request is closed at the engine's end, maybe just
            // when that request is sent.
            .pool_max_idle_per_host(0)
            .timeout(CALL_LIMIT)
            .build()
            .map_err(|error| internal("The client could not be made", &error))?;
        let client = Client { http, path: std::sync::Arc::new(path) };
        let greeting = client.typed::<AppInfo>("app_info", &Empty {});
        match tokio::time::timeout(GREETING_LIMIT, greeting).await {
            Err(_) => Err(silent()),
            Ok(Err(Failure::NoAnswer)) => Ok(None),
            // It is just ending.
            Ok(Err(Failure::Refused(error))) if error.code == ErrorCode::EngineGone => Ok(None),
            Ok(Err(Failure::Refused(error))) => Err(error),
            Ok(Ok(info)) => same_version(&info).map(|()| Some(client)),
        }
    }

    /// Answers a command; parameters and reply are JSON text.
    pub async fn call(&self, name: &str, params: &str) -> Result<String, ApiError> {
        Ok(self.post(&format!("rpc/{name}"), params).await?)
    }

    /// First everything there is, then what changes; ends with the engine.
    pub async fn news(&self) -> Result<NewsStream, ApiError> {
        let connected = async {
            let stream = tokio::net::UnixStream::connect(&self.path.path).await?;
            client_async(format!("ws://{SOCKET_HOST}/news"), stream).await
        };
        let connected = tokio::time::timeout(GREETING_LIMIT, connected).await;
        let (socket, _) = connected.map_err(|_| silent())?.map_err(|error| {
            tracing::debug!("no news: {error}");
            ApiError::from(Failure::NoAnswer)
        })?;
        let said =
            socket.take_while(|said| future::ready(matches!(said, Ok(said) if !said.is_close())));
        Ok(Box::pin(said.filter_map(|said| future::ready(said.ok().as_ref().and_then(read_news)))))
    }

    /// Asks the running program to come forward and take these folders.
    pub async fn show(&self, folders: &[String]) -> Result<(), ApiError> {
        let params = serde_json::json!({ "folders": folders }).to_string();
        self.post("show", &params).await?;
        Ok(())
    }

    /// Asks the program that has the engine for a command only to let go of it; it does soon.
    pub async fn give_way(&self) -> Result<(), ApiError> {
        match self.post("give_way", "{}").await {
            // It went before its answer came.
            Ok(_) | Err(Failure::NoAnswer) => Ok(()),
            Err(Failure::Refused(error)) => Err(error),
        }
    }

    /// A command with its types.
    pub async fn ask<T: DeserializeOwned>(
        &self,
        name: &str,
        params: &impl Serialize,
    ) -> Result<T, ApiError> {
        Ok(self.typed(name, params).await?)
    }

    async fn typed<T: DeserializeOwned>(
        &self,
        name: &str,
        params: &impl Serialize,
    ) -> Result<T, Failure> {
        let params = serde_json::to_string(params)
            .map_err(|error| internal("The parameters could not be written", &error))?;
        let text = self.post(&format!("rpc/{name}"), &params).await?;
        let reply = serde_json::from_str(&text)
            .map_err(|error| internal("The engine's reply could not be read", &error))?;
        Ok(reply)
    }

    async fn post(&self, path: &str, body: &str) -> Result<String, Failure> {
        let answer = self
            .http
            .post(format!("http://{SOCKET_HOST}/{path}"))
            .header("content-type", "application/json")
            .body(body.to_owned())
            .send()
            .await
            .map_err(|error| lost(error, path))?;
        let fine = answer.status().is_success();
        let text = answer.text().await.map_err(|error| lost(error, path))?;
        if fine {
            return Ok(text);
        }
        let error = serde_json::from_str(&text)
            .unwrap_or_else(|_| internal("The engine answered with no error it knows", &text));
        Err(Failure::Refused(error))
    }
}

/// `None` for what keeps the connection alive.
fn read_news(said: &Message) -> Option<News> {
    let text = said.to_text().ok().filter(|_| said.is_text())?;
    serde_json::from_str(text).inspect_err(|error| tracing::warn!("unread news: {error}")).ok()
}

/// How a call failed, as far as connecting must know.
enum Failure {
    /// Nobody is there.
    NoAnswer,
    Refused(ApiError),
}

impl From<ApiError> for Failure {
    fn from(error: ApiError) -> Self {
        Failure::Refused(error)
    }
}

impl From<Failure> for ApiError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Refused(error) => error,
            Failure::NoAnswer => {
                ApiError::new(ErrorCode::EngineGone, "The running Musher is gone.")
                    .with_hint("Try again: a new one starts.")
            }
        }
    }
}

/// Asked twice, these do once: the next engine may be asked again when one is lost half way.
const REPEATABLE: [&str; 6] =
    ["app_info", "project_list", "run_events", "run_get", "run_list", "run_stop"];

fn lost(error: reqwest::Error, path: &str) -> Failure {
    let repeatable = matches!(path, "give_way" | "show")
        || path.strip_prefix("rpc/").is_some_and(|name| REPEATABLE.contains(&name));
    if error.is_timeout() {
        return Failure::Refused(silent());
    }
    if error.is_connect() || repeatable {
        return Failure::NoAnswer;
    }
    Failure::Refused(internal("The running Musher ended the connection", &error))
}

fn silent() -> ApiError {
    ApiError::new(ErrorCode::Conflict, "The running Musher does not answer.")
        .with_hint("End it, then try again; its agents go on.")
}

fn internal(what: &str, error: &dyn std::fmt::Display) -> ApiError {
    ApiError::new(ErrorCode::Internal, format!("{what}: {error}."))
}

fn same_version(info: &AppInfo) -> Result<(), ApiError> {
    if info.api_version == API_VERSION {
        return Ok(());
    }
    Err(ApiError::new(
        ErrorCode::Conflict,
        format!(
            "The running Musher {} speaks version {} of the protocol, this one speaks {API_VERSION}.",
            info.version, info.api_version
        ),
    )
    .with_hint("Quit the running Musher (its agents go on), then try again."))
}
