//! Copies one stream of the child to its spool: append-only segments, named by their first byte.
//!
//! Nothing is dropped, ever. When too much waits unreleased, or the disk takes no more, it stops
//! reading, so that the child waits; what was read already stays in memory until it is written.

use std::{fs::File, io::Write, path::PathBuf, time::Instant};

use super::attempt::{self, Attempt};
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
    attempt: Attempt,
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
            attempt: Attempt::default(),
        }
    }

    /// Bytes that readers can see.
    pub fn written(&self) -> u64 {
        self.written
    }

    /// Whether the disk takes it, and when it is tried again.
    pub fn attempt(&self) -> &Attempt {
        &self.attempt
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
        self.attempt.forget();
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
    pub fn write_out(&mut self, now: Instant) {
        let tried = self.try_write_out();
        let why = |error| attempt::why(&error, "the agent's output");
        self.attempt.note(tried.map_err(why), now);
    }

    /// Tries again what was refused, if it is time. True: some of it was taken.
    pub fn retry(&mut self, now: Instant) -> bool {
        let before = self.written;
        if self.attempt.is_due(now) {
            self.write_out(now);
        }
        self.written > before
    }

    fn try_write_out(&mut self) -> std::io::Result<()> {
        while self.unwritten() > 0 {
            match self.write_once() {
                Ok(count) => {
                    self.taken += count;
                    self.written += count as u64;
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_the_disk_refused_is_written_once_it_takes_it() {
        let dir = tempfile::tempdir().unwrap();
        let mut copier = Copier::new(dir.path().to_owned(), Stream::Stdout, (), 1 << 20);
        // A folder in the place of the segment: it cannot be opened.
        let segment = files::segment(dir.path(), Stream::Stdout, 0);
        std::fs::create_dir(&segment).unwrap();
        copier.batch.extend(b"words");
        let now = Instant::now();
        copier.write_out(now);
        assert!(copier.attempt().trouble().is_some() && copier.wants(Ceiling::Dead).is_none());
        let again = copier.attempt().again_at().unwrap();
        assert!(!copier.retry(again), "still refused");
        let later = copier.attempt().again_at().unwrap();
        assert!(later > again, "tried, and put off anew");
        std::fs::remove_dir(&segment).unwrap();
        assert!(!copier.retry(later - Duration::from_millis(1)), "not before its time");
        assert!(copier.retry(later));
        assert_eq!((copier.written(), copier.unwritten()), (5, 0));
        assert!(copier.attempt().trouble().is_none() && copier.wants(Ceiling::Dead).is_some());
        assert_eq!(std::fs::read(&segment).unwrap(), b"words");
    }
}
