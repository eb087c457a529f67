//! Every command once, generic over a [`Host`]; the server that is one of its hosts; and the client
//! that another `musher` uses to reach an engine that runs already.
//!
//! - [`dispatch`] is the one table of commands: parameters in as JSON text, checked, reply out as
//!   JSON text. No host knows a command by itself.
//! - [`serve`] puts the same table behind HTTP: on the engine's socket (always), and on loopback TCP
//!   with the page (only when asked for). What may come in is decided in one place, its `door`.
//! - [`Client`] speaks to the socket; a [`Guest`] is the same for a program with a host of its own.

mod check;
mod client;
mod guest;
mod host;
mod open;
mod place;
pub mod serve;
mod table;

pub use client::{Client, HOLDER_LIMIT};
pub use guest::Guest;
pub use host::{Host, OpenTarget, TerminalHost};
pub use place::{DATA_DIR_VARIABLE, data_dir};
pub use table::{dispatch, names};

use std::{pin::Pin, sync::Arc};

use async_trait::async_trait;
use futures::Stream;
use musher_engine::Engine;
use musher_protocol::{ApiError, ErrorCode, News};

/// News as they come; ends with the engine.
pub type NewsStream = Pin<Box<dyn Stream<Item = News> + Send>>;

/// What stands behind a door: commands by name, and news. The server knows no more than this.
#[async_trait]
pub trait Api: Send + Sync {
    /// Answers a command; parameters and reply are JSON text.
    async fn call(&self, name: &str, params: &str) -> Result<String, ApiError>;

    /// First everything there is, then what changes.
    async fn news(&self) -> Result<NewsStream, ApiError>;

    /// Another start of the program asks this one to come forward and take these folders.
    async fn show(&self, folders: Vec<String>) -> Result<(), ApiError>;

    /// A Musher that stays asks the one that holds the data directory for a command only to let go.
    async fn give_way(&self) -> Result<(), ApiError>;
}

/// An engine with the host it runs in.
pub struct EngineApi {
    pub engine: Engine,
    pub host: Arc<dyn Host>,
}

#[async_trait]
impl Api for EngineApi {
    async fn call(&self, name: &str, params: &str) -> Result<String, ApiError> {
        dispatch(&self.engine, self.host.as_ref(), name, params).await
    }

    async fn news(&self) -> Result<NewsStream, ApiError> {
        // The reader comes before the list: what changes between the two is told twice, never lost.
        let reader = self.engine.news();
        let first = News { runs: self.engine.run_list().await?, projects: true };
        Ok(Box::pin(futures::stream::unfold((Some(first), reader), next_news)))
    }

    async fn show(&self, folders: Vec<String>) -> Result<(), ApiError> {
        self.host.show(folders).await
    }

    async fn give_way(&self) -> Result<(), ApiError> {
        match self.engine.bound_runs().first() {
            None => self.host.give_way().await,
            Some(run) => Err(ApiError::new(
                ErrorCode::Conflict,
                format!("The agent of run {run} lives in a `musher` in a terminal and would end with it."),
            )
            .with_hint(format!("`musher stop {run}` stops it; Ctrl-C there does too."))),
        }
    }
}

type NewsState = (Option<News>, musher_engine::NewsReader);

async fn next_news((first, mut reader): NewsState) -> Option<(News, NewsState)> {
    let news = match first {
        Some(first) => first,
        None => reader.next().await?,
    };
    Some((news, (None, reader)))
}
