//! What a command may ask of the program that hosts the engine. Deliberately narrow: no windows, no
//! dialogs but one, no way to start a program.

use std::path::PathBuf;

use async_trait::async_trait;
use musher_protocol::{ApiError, ErrorCode, HostKind};
use tokio_util::sync::CancellationToken;

/// Something to show with the system's own program; checked already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OpenTarget {
    /// An `https`, `http` or `mailto` link, normalised.
    Link(String),
    /// A file or folder inside a known worktree, absolute, symlinks resolved.
    File(PathBuf),
}

#[async_trait]
pub trait Host: Send + Sync {
    fn kind(&self) -> HostKind;

    /// Lets the person choose folders; empty when they chose none.
    async fn pick_folders(&self) -> Result<Vec<String>, ApiError>;

    async fn open_external(&self, target: OpenTarget) -> Result<(), ApiError>;

    /// Comes forward and takes these folders as if they were dropped on it.
    async fn show(&self, folders: Vec<String>) -> Result<(), ApiError>;

    /// Lets go of the engine soon, and goes on with the next one. Only a command does.
    async fn give_way(&self) -> Result<(), ApiError> {
        Err(stays())
    }
}

/// A host without a window: `musher` in a terminal, or `musher serve`.
#[derive(Clone, Debug)]
pub struct TerminalHost {
    pub kind: HostKind,
    /// Cancelled when a Musher that stays asks a command for the engine.
    pub way: CancellationToken,
}

impl TerminalHost {
    pub fn new(kind: HostKind) -> Self {
        Self { kind, way: CancellationToken::new() }
    }
}

fn stays() -> ApiError {
    ApiError::new(ErrorCode::Unsupported, "A Musher that stays has this data directory open.")
        .with_hint("End that one first. Its agents that talk to a model over HTTP end with it.")
}

fn without_a_window(what: &str, hint: &str) -> ApiError {
    ApiError::new(ErrorCode::Unsupported, format!("Without a window Musher cannot {what}."))
        .with_hint(hint)
}

#[async_trait]
impl Host for TerminalHost {
    fn kind(&self) -> HostKind {
        self.kind
    }

    async fn pick_folders(&self) -> Result<Vec<String>, ApiError> {
        Err(without_a_window("ask for a folder", "Type the folder's path."))
    }

    async fn open_external(&self, _target: OpenTarget) -> Result<(), ApiError> {
        Err(without_a_window(
            "open other programs",
            "Open it yourself; the page shows its address.",
        ))
    }

    async fn show(&self, _folders: Vec<String>) -> Result<(), ApiError> {
        Err(without_a_window(
            "come forward",
            "End the `musher` that runs with this data directory, or use another one with --data-dir.",
        ))
    }

    async fn give_way(&self) -> Result<(), ApiError> {
        if self.kind != HostKind::Terminal {
            return Err(stays());
        }
        self.way.cancel();
        Ok(())
    }
}
