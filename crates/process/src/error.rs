//! What can go wrong, as sentences for a person.

use std::{io, path::PathBuf, time::Duration};

/// Why a process could not be started, reached or ended.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// The child could not be started; nothing of it is left. The text is a whole sentence.
    #[error("{0}")]
    Spawn(String),
    #[error(
        "the program that holds agents (musher-keeper) was not found beside {0}; reinstall Musher, or name it in MUSHER_KEEPER"
    )]
    KeeperMissing(PathBuf),
    #[error("the agent's keeper could not be started: {0}")]
    Keeper(String),
    /// The keeper understood, and said no. The text is a whole sentence.
    #[error("{0}")]
    Refused(String),
    #[error("the agent is no longer running")]
    Gone,
    #[error("the agent's end could not be confirmed within {} s{}", .after.as_secs(), .why)]
    Unconfirmed { after: Duration, why: String },
    #[error("the output before byte {oldest} is no longer kept (byte {asked} was asked for)")]
    Released { asked: u64, oldest: u64 },
    #[error("{program} did not finish within {} s and was ended", .after.as_secs())]
    TimedOut { program: String, after: Duration },
    #[error("{doing}: {source}")]
    Io { doing: String, source: io::Error },
}

impl ProcessError {
    pub(crate) fn io(doing: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let doing = doing.into();
        move |source| Self::Io { doing, source }
    }
}
