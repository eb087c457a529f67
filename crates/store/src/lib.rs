//! The only room that writes state.
//!
//! - A run's **transcript** (`runs/<run>/transcript.jsonl`) is the truth: [`AgentLogWriter`] appends,
//!   [`read_batch`] sends stored lines on as they are, [`fold::RunFold`] says what they amount to.
//! - **SQLite** (`musher.db`, [`Store`]) holds what lists and searches need, and what no event says:
//!   projects, settings, trust, read marks. Runs in it can be rebuilt from the transcripts.
//! - One engine for each data directory: [`DataDirLock`].
//!
//! What must hold: an event is in the page cache before `append` returns and on disk within
//! [`SYNC_WITHIN`]; a stored line is never rewritten; a reader never sees part of a line; nothing
//! damaged is deleted, it is moved aside.

mod data_dir;
mod database;
mod error;
pub mod fold;
pub mod keys;
mod transcript;

pub use data_dir::{DataDirLock, is_there, prepare_data_dir};
pub use database::{Store, TrustAnswer};
pub use error::{StoreError, StoreErrorKind};
pub use transcript::{
    AgentLogWriter, Folded, Header, LineBatch, Mark, Recovered, SYNC_WITHIN, StoredBatch,
    TranscriptIndex, fold_transcript, header_of, read_batch,
};
