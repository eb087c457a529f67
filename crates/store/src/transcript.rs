//! A run's transcript: JSON Lines. The first line is a [`Header`], every other one an
//! `EventEnvelope`; numbers start at 1 and have no gaps.
//!
//! One writer ([`AgentLogWriter`]), any number of readers. Readers stop at the last line end that the
//! writer has published, so part of a line is never seen. Damage costs the damaged lines and no others.

mod file;
mod gap;
mod index;
mod lines;
mod read;
mod recovery;
mod tail;
mod writer;

pub use index::{Mark, TranscriptIndex};
pub use read::{Folded, StoredBatch, fold_transcript, header_of, read_batch};
pub(crate) use read::{Request, read_request, run_of};
pub use recovery::Recovered;
pub use writer::{AgentLogWriter, SYNC_WITHIN};

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use musher_protocol::{
    EventEnvelope, Project, RunId, RunSummary, Story, StoryId, TRANSCRIPT_FORMAT,
};
use serde::{Deserialize, Serialize};

use crate::{StoreError, StoreErrorKind};

/// Bytes between two marks of the sparse index: what a reader scans at most before its first line.
pub(crate) const MARK_EVERY: u64 = 64 * 1024;

/// The first line: what the database must know about the run and no event says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Header {
    /// See [`TRANSCRIPT_FORMAT`].
    #[serde(rename = "musher_transcript")]
    pub format: u32,
    pub run: RunId,
    pub story: StoryId,
    pub created_at: DateTime<Utc>,
    /// As the run started.
    pub summary: RunSummary,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub story_facts: Option<Story>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<Project>,
}

impl Header {
    /// The story's extra environment and headers stay out: a transcript may be shown and passed on.
    pub fn new(summary: &RunSummary, story: &Story, project: &Project) -> Self {
        let mut facts = story.clone();
        facts.settings.env = BTreeMap::new();
        facts.settings.endpoint.headers = BTreeMap::new();
        Self {
            format: TRANSCRIPT_FORMAT,
            run: summary.id.clone(),
            story: story.id.clone(),
            created_at: summary.created_at,
            summary: summary.clone(),
            story_facts: Some(facts),
            project: Some(project.clone()),
        }
    }
}

/// Events as lines, ready to be appended; its buffer is used again from batch to batch.
#[derive(Clone, Debug, Default)]
pub struct LineBatch {
    bytes: Vec<u8>,
    first_seq: u64,
    count: u64,
    /// Lines that begin at least [`MARK_EVERY`] behind each other, offsets within the batch.
    marks: Vec<Mark>,
}

impl LineBatch {
    pub fn new(first_seq: u64) -> Self {
        Self { first_seq, ..Self::default() }
    }

    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub fn count(&self) -> u64 {
        self.count
    }

    pub fn first_seq(&self) -> u64 {
        self.first_seq
    }

    /// The number the next pushed event must have.
    pub fn next_seq(&self) -> u64 {
        self.first_seq + self.count
    }

    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(crate) fn marks(&self) -> &[Mark] {
        &self.marks
    }

    pub fn push(&mut self, envelope: &EventEnvelope) -> Result<(), StoreError> {
        if envelope.seq != self.next_seq() {
            return Err(out_of_order(self.next_seq(), envelope.seq));
        }
        let start = self.bytes.len();
        if let Err(error) = serde_json::to_writer(&mut self.bytes, envelope) {
            self.bytes.truncate(start);
            let what = format!("Event {} could not be written as JSON: {error}.", envelope.seq);
            return Err(StoreError::new(StoreErrorKind::Io, what));
        }
        self.bytes.push(b'\n');
        self.mark(envelope.seq, start as u64);
        self.count += 1;
        Ok(())
    }

    fn mark(&mut self, seq: u64, offset: u64) {
        if self.marks.last().is_none_or(|m| offset - m.offset >= MARK_EVERY) {
            self.marks.push(Mark { seq, offset });
        }
    }

    pub(crate) fn restart(&mut self) {
        self.first_seq = self.next_seq();
        self.count = 0;
        self.bytes.clear();
        self.marks.clear();
    }
}

pub(crate) fn out_of_order(expected: u64, found: u64) -> StoreError {
    StoreError::new(
        StoreErrorKind::OutOfOrder,
        format!("Event {found} was given where event {expected} must follow."),
    )
}
