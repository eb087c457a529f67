//! What the engine and a keeper say to each other: one JSON object a line, both ways.
//!
//! Every [`Call`] is answered by one [`Message::Reply`] with its `seq`. An operation that a keeper does
//! not know is answered with an error; a message that an engine does not know is skipped. So either
//! may be older than the other.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::{ExitRecord, Signal, Stream, tree::ProcessId};

/// Bytes of input that may wait. A child that leaves that much unread is not listening.
pub const INPUT_LIMIT: usize = 8 << 20;

#[derive(Debug, Serialize, Deserialize)]
pub struct Call {
    pub seq: u64,
    #[serde(flatten)]
    pub request: Request,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
pub enum Request {
    /// From now on this client is told how far the spools have grown, and of the end.
    Attach,
    /// Answered when the child has it all. An id that was taken before is not written again.
    Input {
        id: String,
        text: String,
    },
    /// Closes the child's input behind what is queued.
    CloseInput,
    Resize {
        cols: u16,
        rows: u16,
    },
    Signal {
        signal: Signal,
    },
    /// Ends the child and all its descendants, even if the caller dies now. A second one can only
    /// shorten the first.
    End {
        eof_grace_ms: u64,
        term_grace_ms: u64,
    },
    /// Everything below `to` is not needed any more.
    Release {
        stream: Stream,
        to: u64,
    },
    /// Answered with [`Message::Status`] as well.
    Status,
}

impl Request {
    /// Doing it twice is doing it once.
    pub fn may_be_repeated(&self) -> bool {
        !matches!(self, Self::Signal { .. })
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Message {
    Reply {
        seq: u64,
        error: Option<String>,
    },
    Grown {
        stdout: u64,
        stderr: u64,
    },
    /// Why the child's output is not being taken at the moment; nothing when it is again.
    Trouble {
        text: Option<String>,
    },
    Status {
        child: u32,
        alive: bool,
        phase: String,
        queued_input: usize,
    },
    /// Nothing that came from the child lives, but `left`, which could not be ended. What it has said
    /// may not all be written yet; `Exited` follows when it is.
    Gone {
        left: Vec<u32>,
    },
    Exited(ExitRecord),
}

/// The one line that a keeper says on its standard output.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FirstWord {
    Started { pid: u32 },
    SpawnError(String),
    Failed(String),
}

/// `keeper.json`: who holds the run. A pid means something only with its start time and boot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeeperFile {
    pub keeper: ProcessId,
    pub child: Option<ProcessId>,
    pub mark: String,
    /// The system's boot; processes of another boot are gone.
    pub boot: String,
    /// The run's own cgroup, where one could be made.
    #[serde(default)]
    pub cgroup: Option<PathBuf>,
}
