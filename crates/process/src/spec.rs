//! What a child is started from, and how it ended.

use std::{collections::BTreeMap, fmt, path::PathBuf, time::Duration};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

const DEFAULT_SPOOL_LIMIT: u64 = 256 << 20;

/// What carries the child's standard output. Standard input and error are pipes always.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Transport {
    /// A terminal in raw mode: bytes pass unchanged, and the child flushes as it speaks.
    #[default]
    Pty,
    Pipe,
}

/// One of the two things that a child says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stream {
    Stdout,
    Stderr,
}

/// A child's program and surroundings. It travels to the keeper over a pipe and is never on disk,
/// because `env` may hold secrets; for the same reason `Debug` shows the names of `env` only.
#[derive(Clone, Serialize, Deserialize)]
pub struct SpawnSpec {
    /// A path, or a name that is looked for in the `PATH` of `env`.
    pub program: PathBuf,
    pub args: Vec<String>,
    /// Absolute.
    pub cwd: PathBuf,
    /// The whole environment, apart from `MUSHER_RUN`, which is added from `mark`.
    pub env: BTreeMap<String, String>,
    pub transport: Transport,
    /// Columns and rows of the terminal.
    pub size: (u16, u16),
    /// Bytes of a stream that may wait unreleased; then the child waits until some are released.
    pub spool_limit: u64,
    /// Goes into the child's environment as `MUSHER_RUN`, so that what is left of a run is found even
    /// when its keeper was killed. Unique to the run.
    pub mark: String,
}

impl SpawnSpec {
    pub fn new(
        program: impl Into<PathBuf>,
        cwd: impl Into<PathBuf>,
        mark: impl Into<String>,
    ) -> Self {
        Self {
            program: program.into(),
            args: Vec::new(),
            cwd: cwd.into(),
            env: BTreeMap::new(),
            transport: Transport::default(),
            size: (200, 50),
            spool_limit: DEFAULT_SPOOL_LIMIT,
            mark: mark.into(),
        }
    }
}

impl fmt::Debug for SpawnSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SpawnSpec")
            .field("program", &self.program)
            .field("args", &self.args)
            .field("cwd", &self.cwd)
            .field("env", &self.env.keys().collect::<Vec<_>>())
            .field("transport", &self.transport)
            .field("size", &self.size)
            .field("spool_limit", &self.spool_limit)
            .field("mark", &self.mark)
            .finish()
    }
}

/// How a child ended. Written by the keeper when the whole tree is gone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExitRecord {
    pub code: Option<i32>,
    pub signal: Option<i32>,
    pub at: DateTime<Utc>,
    /// Descendants that had to be killed, after a polite signal did not end them.
    pub killed: Vec<u32>,
    /// Processes that could not be ended: the tree is not proved dead.
    pub left: Vec<u32>,
    pub spawn_error: Option<String>,
    /// The keeper itself died, so neither code nor signal is known.
    #[serde(default)]
    pub lost: bool,
    /// Bytes that the child said, in all. Of a lost run: 0, the spool files tell.
    #[serde(default)]
    pub stdout: u64,
    #[serde(default)]
    pub stderr: u64,
}

/// How long each step of an ending may take: end of input, then TERM, then KILL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ending {
    /// From the end of input to TERM.
    pub eof_grace: Duration,
    /// From TERM to KILL.
    pub term_grace: Duration,
}

impl Ending {
    /// TERM and KILL at once.
    pub const NOW: Self = Self { eof_grace: Duration::ZERO, term_grace: Duration::ZERO };
}

/// What a child's process group can be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Signal {
    Interrupt,
    Hangup,
    Terminate,
    Kill,
    Stop,
    Continue,
}

#[cfg(unix)]
impl Signal {
    pub(crate) fn native(self) -> rustix::process::Signal {
        use rustix::process::Signal as S;
        match self {
            Self::Interrupt => S::INT,
            Self::Hangup => S::HUP,
            Self::Terminate => S::TERM,
            Self::Kill => S::KILL,
            Self::Stop => S::STOP,
            Self::Continue => S::CONT,
        }
    }
}
