//! The transcript's bytes: whole batches or nothing.

use std::{fs::File, io, os::unix::fs::FileExt};

use super::{LineBatch, out_of_order};
use crate::StoreError;

/// What a transcript is written to; tests put a full disk in its place.
pub(super) trait Medium: Send {
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;
    fn set_len(&self, len: u64) -> io::Result<()>;
}

impl Medium for File {
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        FileExt::write_all_at(self, bytes, offset)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        File::set_len(self, len)
    }
}

/// Why a batch was not stored.
pub(super) enum Refused {
    Io(io::Error),
    Store(StoreError),
}

/// The file, its length up to the last whole line, and the number that comes next.
pub(super) struct LogFile {
    medium: Box<dyn Medium>,
    len: u64,
    next_seq: u64,
    /// Part of a batch may lie behind `len`.
    ragged: bool,
}

impl LogFile {
    pub fn new(medium: Box<dyn Medium>, len: u64, next_seq: u64) -> Self {
        Self { medium, len, next_seq, ragged: false }
    }

    /// Writes the batch at the end and returns where it begins. When that fails, the file ends on the
    /// last whole line again, and the same batch can be tried later.
    pub fn append(&mut self, batch: &LineBatch) -> Result<u64, Refused> {
        if batch.first_seq() != self.next_seq {
            return Err(Refused::Store(out_of_order(self.next_seq, batch.first_seq())));
        }
        self.trim().map_err(Refused::Io)?;
        let start = self.len;
        if let Err(error) = self.medium.write_all_at(batch.bytes(), start) {
            self.ragged = true;
            // A failure here is met again, and told, by the next append.
            let _ = self.trim();
            return Err(Refused::Io(error));
        }
        self.len += batch.bytes().len() as u64;
        self.next_seq = batch.next_seq();
        Ok(start)
    }

    fn trim(&mut self) -> io::Result<()> {
        if self.ragged {
            self.medium.set_len(self.len)?;
            self.ragged = false;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use std::sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    };

    use chrono::{DateTime, Utc};
    use musher_protocol::{AgentEvent, EventEnvelope, RunId};

    use super::*;

    /// Takes at most `room` bytes, like a disk that fills up in the middle of a write.
    #[derive(Clone, Default)]
    struct Small {
        bytes: Arc<Mutex<Vec<u8>>>,
        room: Arc<AtomicU64>,
    }

    impl Medium for Small {
        fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
            let mut held = self.bytes.lock().unwrap();
            held.truncate(offset as usize);
            let room = self.room.load(Ordering::SeqCst).saturating_sub(offset) as usize;
            held.extend_from_slice(&bytes[..bytes.len().min(room)]);
            if room < bytes.len() { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
        }

        fn set_len(&self, len: u64) -> io::Result<()> {
            self.bytes.lock().unwrap().truncate(len as usize);
            Ok(())
        }
    }

    fn batch(first_seq: u64, count: u64) -> LineBatch {
        let mut batch = LineBatch::new(first_seq);
        for seq in first_seq..first_seq + count {
            let event = AgentEvent::Checkpoint { commit: "c".into(), label: "l".into() };
            let run = RunId::parse("r").unwrap();
            let at = DateTime::<Utc>::UNIX_EPOCH;
            batch.push(&EventEnvelope { run, seq, at, event, spool: None }).unwrap();
        }
        batch
    }

    #[test]
    fn a_disk_that_fills_at_any_byte_leaves_whole_lines_and_takes_the_batch_later() {
        let first = batch(1, 2);
        let second = batch(3, 3);
        let whole = (first.bytes().len() + second.bytes().len()) as u64;
        for room in first.bytes().len() as u64..whole {
            let disk = Small::default();
            disk.room.store(room, Ordering::SeqCst);
            let mut log = LogFile::new(Box::new(disk.clone()), 0, 1);
            assert!(log.append(&first).is_ok());
            match log.append(&second) {
                Err(Refused::Io(e)) => assert_eq!(e.kind(), io::ErrorKind::StorageFull),
                _ => panic!("a full disk must refuse"),
            }
            assert_eq!(*disk.bytes.lock().unwrap(), first.bytes(), "room {room}");
            assert_eq!(log.next_seq, 3);
            disk.room.store(whole, Ordering::SeqCst);
            assert!(log.append(&second).is_ok());
            assert_eq!(*disk.bytes.lock().unwrap(), [first.bytes(), second.bytes()].concat());
        }
    }

    #[test]
    fn a_batch_that_does_not_follow_is_refused_and_changes_nothing() {
        let disk = Small::default();
        disk.room.store(1 << 20, Ordering::SeqCst);
        let mut log = LogFile::new(Box::new(disk.clone()), 0, 1);
        assert!(log.append(&batch(1, 2)).is_ok());
        for first in [1, 2, 4] {
            assert!(matches!(log.append(&batch(first, 1)), Err(Refused::Store(_))));
        }
        assert_eq!(log.next_seq, 3);
    }
}
