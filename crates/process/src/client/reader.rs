//! Reads a spool from any byte on, while it grows and after.

use std::{fs::File, io, path::PathBuf, sync::Arc};

use tokio::sync::watch;

use super::link::{Link, Progress};
use crate::{ProcessError, Stream, files};

/// Most bytes of one read.
const CHUNK: usize = 256 << 10;

/// One stream of a child, as bytes. It reads the spool files themselves: readers do not share anything.
pub struct SpoolReader {
    dir: PathBuf,
    stream: Stream,
    position: u64,
    segment: Option<(u64, File)>,
    /// The files held nothing more when they were last looked at.
    caught_up: bool,
    /// Nothing for a run that is over: then the files hold all there will be.
    live: Option<Live>,
}

struct Live {
    progress: watch::Receiver<Progress>,
    /// Keeps the connection that brings `progress`.
    _link: Arc<Link>,
}

impl SpoolReader {
    pub(super) fn live(dir: PathBuf, stream: Stream, from: u64, link: Arc<Link>) -> Self {
        let live = Live { progress: link.progress(), _link: link };
        Self { dir, stream, position: from, segment: None, caught_up: false, live: Some(live) }
    }

    /// Reads what the run that ended (`Attached::Ended`, `Attached::Lost`) has left.
    pub fn of_ended(run_dir: impl Into<PathBuf>, stream: Stream, from: u64) -> Self {
        let dir = run_dir.into();
        Self { dir, stream, position: from, segment: None, caught_up: false, live: None }
    }

    /// From now on it reads what is there and then ends, as if the run was over: its keeper is given up.
    pub fn expect_no_more(&mut self) {
        self.live = None;
    }

    /// Offset of the next byte.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Appends what there is, at most 256 KiB, to `out`; waits while there is nothing. 0: the child's
    /// whole tree has ended and everything was read. May be dropped while it waits.
    ///
    /// # Errors
    /// `Released` when the bytes asked for are no longer kept.
    pub async fn read(&mut self, out: &mut Vec<u8>) -> Result<usize, ProcessError> {
        loop {
            let over = match &mut self.live {
                Some(live) => news(live, self.stream, self.position, self.caught_up).await?,
                None => true,
            };
            let count = self.read_now(out)?;
            self.caught_up = count == 0;
            if count > 0 || over {
                return Ok(count);
            }
        }
    }

    /// Reads without waiting. Fresh output is in the page cache, so this does not block for long.
    fn read_now(&mut self, out: &mut Vec<u8>) -> Result<usize, ProcessError> {
        loop {
            if self.segment.is_none() && !self.find_segment()? {
                return Ok(0);
            }
            let count = self.read_segment(out).map_err(self.failed())?;
            if count > 0 {
                self.position += count as u64;
                return Ok(count);
            }
            if !self.next_segment().map_err(self.failed())? {
                return Ok(0);
            }
        }
    }

    fn read_segment(&self, out: &mut Vec<u8>) -> io::Result<usize> {
        let Some((start, file)) = &self.segment else { return Ok(0) };
        read_at(file, out, self.position - start)
    }

    /// Segments follow each other without a gap, so the next one is named by our position.
    fn next_segment(&mut self) -> io::Result<bool> {
        if self.segment.as_ref().is_some_and(|(start, _)| *start == self.position) {
            return Ok(false);
        }
        match File::open(files::segment(&self.dir, self.stream, self.position)) {
            Ok(file) => {
                self.segment = Some((self.position, file));
                Ok(true)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn find_segment(&mut self) -> Result<bool, ProcessError> {
        let starts = match files::segments(&self.dir, self.stream) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            starts => starts.map_err(self.failed())?,
        };
        let Some(&oldest) = starts.first() else { return Ok(false) };
        let Some(&start) = starts.iter().rev().find(|start| **start <= self.position) else {
            return Err(ProcessError::Released { asked: self.position, oldest });
        };
        let path = files::segment(&self.dir, self.stream, start);
        self.segment = Some((start, File::open(path).map_err(self.failed())?));
        Ok(true)
    }

    fn failed(&self) -> impl FnOnce(io::Error) -> ProcessError + use<> {
        ProcessError::io(format!("reading the agent's output in {}", self.dir.display()))
    }
}

/// Waits until there may be something behind `position`; true when the child's whole tree has ended.
/// What the keeper told is looked at before the files are: what comes after wakes the next wait.
async fn news(
    live: &mut Live,
    stream: Stream,
    position: u64,
    caught_up: bool,
) -> Result<bool, ProcessError> {
    let told = live.progress.wait_for(|progress| {
        !caught_up || progress.exit.is_some() || progress.written(stream) > position
    });
    Ok(told.await.map_err(|_| ProcessError::Gone)?.exit.is_some())
}

#[cfg(unix)]
fn read_at(file: &File, out: &mut Vec<u8>, offset: u64) -> io::Result<usize> {
    out.reserve(CHUNK);
    Ok(rustix::io::pread(file, rustix::buffer::spare_capacity(out), offset)?)
}

#[cfg(windows)]
fn read_at(file: &File, out: &mut Vec<u8>, offset: u64) -> io::Result<usize> {
    let before = out.len();
    out.resize(before + CHUNK, 0);
    let read = std::os::windows::fs::FileExt::seek_read(file, &mut out[before..], offset);
    out.truncate(before + *read.as_ref().unwrap_or(&0));
    read
}
