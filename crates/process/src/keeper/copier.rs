//! Copies one stream of the child to its spool: append-only segments, named by their first byte.
//!
//! Nothing is dropped, ever. When too much waits unreleased, or the disk takes no more, it stops
//! reading, so that the child waits; what was read already stays in memory until it is written.

use std::{fs::File, io::Write, path::PathBuf};

use crate::{Stream, files};

/// Bytes taken before they are written.
pub const BATCH: usize = 64 << 10;
const LARGEST_SEGMENT: u64 = 16 << 20;
/// What a child that is being ended may say beyond the limit, so that its last words fit.
const LAST_WORDS: u64 = 16 << 20;

pub struct Copier<S> {
    dir: PathBuf,
    stream: Stream,
    /// Nothing once the child's side is closed.
    pub(super) source: Option<S>,
    /// Read and not yet written: `batch[taken..]`.
    pub(super) batch: Vec<u8>,
    pub(super) taken: usize,
    segment: Option<(u64, File)>,
    segment_size: u64,
    written: u64,
    released: u64,
    limit: u64,
    trouble: Option<String>,
}

impl<S> Copier<S> {
    pub fn new(dir: PathBuf, stream: Stream, source: S, limit: u64) -> Self {
        Self {
            dir,
            stream,
            source: Some(source),
            batch: Vec::with_capacity(BATCH),
            taken: 0,
            segment: None,
            segment_size: (limit / 8).clamp(4 << 10, LARGEST_SEGMENT),
            written: 0,
            released: 0,
            limit,
            trouble: None,
        }
    }

    /// Bytes that readers can see.
    pub fn written(&self) -> u64 {
        self.written
    }

    /// Why the disk takes nothing, while that is so.
    pub fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }

    /// Everything that the child said is written, and it can say no more.
    pub fn is_done(&self) -> bool {
        self.source.is_none() && self.unwritten() == 0
    }

    /// Lets go of a stream that somebody outside the tree holds open.
    pub fn give_up(&mut self) {
        self.source = None;
    }

    /// Forgets what cannot be written, because its folder is gone for good.
    pub fn abandon(&mut self) {
        self.give_up();
        self.batch.clear();
        self.taken = 0;
        self.trouble = None;
    }

    pub fn unwritten(&self) -> usize {
        self.batch.len() - self.taken
    }

    pub fn terminal(&self) -> Option<&S> {
        self.source.as_ref()
    }

    /// The descriptor to wait on, unless the child shall wait.
    pub fn wants(&self, ceiling: Ceiling) -> Option<&S> {
        let waiting = self.written - self.released;
        let open = match ceiling {
            Ceiling::Running => waiting < self.limit,
            Ceiling::Ending => waiting < self.limit.saturating_add(LAST_WORDS),
            Ceiling::Dead => true,
        };
        self.source.as_ref().filter(|_| open && self.unwritten() == 0)
    }

    /// Writes what waits. On an error it stays and is tried again later.
    pub fn write_out(&mut self) {
        while self.unwritten() > 0 {
            match self.write_once() {
                Ok(count) => {
                    self.taken += count;
                    self.written += count as u64;
                    self.trouble = None;
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.trouble = Some(trouble(&error));
                    return;
                }
            }
        }
    }

    fn write_once(&mut self) -> std::io::Result<usize> {
        let full = |(start, _): &(u64, File)| self.written - start >= self.segment_size;
        if self.segment.as_ref().is_none_or(full) {
            let path = files::segment(&self.dir, self.stream, self.written);
            self.segment = Some((self.written, files::append_private(&path)?));
        }
        let Some((_, file)) = &mut self.segment else { return Ok(0) };
        match file.write(&self.batch[self.taken..])? {
            0 => Err(std::io::ErrorKind::WriteZero.into()),
            count => Ok(count),
        }
    }

    /// Removes the segments that lie wholly below `to`; the one being written stays.
    pub fn release(&mut self, to: u64) {
        let to = to.min(self.written);
        if to <= self.released {
            return;
        }
        self.released = to;
        files::remove_segments_below(&self.dir, self.stream, to);
    }
}

/// How much may wait unreleased.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ceiling {
    Running,
    Ending,
    /// The tree is gone: what is left in the kernel's buffer is small.
    Dead,
}

fn trouble(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
            "The disk is full: the agent waits. Free some space and it goes on by itself.".into()
        }
        _ => format!("The agent's output cannot be written ({error}): the agent waits."),
    }
}
