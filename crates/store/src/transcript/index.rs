//! The sparse index of one transcript: where some lines begin, and how far it may be read.

use std::{
    ops::Range,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::{
    LineBatch, MARK_EVERY,
    read::{Request, StoredBatch, read_request},
    tail::Tail,
};
use crate::StoreError;

/// A line of a transcript: its event's number and the byte it begins at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    pub seq: u64,
    pub offset: u64,
}

/// Shared by a run's writer and its readers; knows what is published.
#[derive(Debug)]
pub struct TranscriptIndex {
    path: PathBuf,
    /// Damaged lines are in it, so what is read must be checked.
    damaged: bool,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    marks: Vec<Mark>,
    next_seq: u64,
    tail: Tail,
}

impl TranscriptIndex {
    pub(super) fn new(path: PathBuf, marks: Vec<Mark>, next_seq: u64, damaged: bool) -> Self {
        let state = State { marks, next_seq, tail: Tail::default() };
        Self { path, damaged, state: Mutex::new(state) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The number that the next event will have: everything before it is stored and may be shown.
    pub fn next_seq(&self) -> u64 {
        self.state().next_seq
    }

    /// The last known line at or before `seq`.
    pub fn mark_before(&self, seq: u64) -> Option<Mark> {
        mark_before(&self.state().marks, seq)
    }

    /// Stored events with a number in `seqs`, at most `max_bytes` of them, but at least one if there is one.
    pub async fn read(
        &self,
        seqs: Range<u64>,
        max_bytes: usize,
    ) -> Result<StoredBatch, StoreError> {
        let tail = self.state().tail.from(seqs.start);
        if let Some(tail) = tail {
            return Ok(tail.read(seqs, max_bytes));
        }
        let request = self.request(seqs, max_bytes);
        let path = self.path.clone();
        tokio::task::spawn_blocking(move || read_request(&path, &request))
            .await
            .map_err(|_| StoreError::closed())?
    }

    fn request(&self, seqs: Range<u64>, max_bytes: usize) -> Request {
        let state = self.state();
        Request {
            hint: mark_before(&state.marks, seqs.start),
            from_seq: seqs.start,
            limit_seq: state.next_seq.min(seqs.end),
            last_seq: 0,
            max_bytes,
            checked: self.damaged,
        }
    }

    /// Publishes lines that are in the page cache, from byte `start` on. Returns the marks that are new.
    pub(super) fn publish(&self, lines: &LineBatch, start: u64) -> Vec<Mark> {
        let mut state = self.state();
        let before = state.marks.len();
        for mark in lines.marks() {
            note(&mut state.marks, Mark { seq: mark.seq, offset: start + mark.offset });
        }
        state.next_seq = lines.next_seq();
        state.tail.push(lines);
        state.marks[before..].to_vec()
    }
}

/// Keeps `mark` when it is far enough behind the last one.
pub(super) fn note(marks: &mut Vec<Mark>, mark: Mark) {
    if marks.last().is_none_or(|last| mark.offset.saturating_sub(last.offset) >= MARK_EVERY) {
        marks.push(mark);
    }
}

fn mark_before(marks: &[Mark], seq: u64) -> Option<Mark> {
    let behind = marks.partition_point(|m| m.seq <= seq);
    behind.checked_sub(1).and_then(|i| marks.get(i)).copied()
}
