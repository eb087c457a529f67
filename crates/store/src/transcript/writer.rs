//! The transcript's writer. `append` returns when the lines are in the page cache: they survive the
//! death of this process. A task that sleeps while nothing is written brings them to the disk, several
//! appends at a time, so that a power cut costs at most [`SYNC_WITHIN`].

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{sync::Notify, task::JoinSet};

use super::{
    Header, LineBatch, Mark, TranscriptIndex,
    file::{LogFile, Refused},
    recovery::{self, Recovered},
};
use crate::{StoreError, data_dir::sync_dir, database::Store};

/// What a power cut may cost, on a disk that syncs in 20 ms or less.
pub const SYNC_WITHIN: Duration = Duration::from_millis(100);
/// How long appends are collected before a sync.
const COLLECT_FOR: Duration = Duration::from_millis(80);
/// Marks that wait before they go to the database together.
const MARKS_TOGETHER: usize = 16;

/// The only writer of a run's transcript. Dropped without `close`, it leaves what it wrote to the
/// system's own write-back.
pub struct AgentLogWriter {
    shared: Arc<Shared>,
    /// Ends with the writer.
    _sync: JoinSet<()>,
    store: Option<Store>,
    marks: Vec<Mark>,
}

struct Shared {
    index: Arc<TranscriptIndex>,
    log: Mutex<LogFile>,
    disk: File,
    dirty: AtomicBool,
    wake: Notify,
    /// The last sync failed; told once, by the next call.
    failed: Mutex<Option<StoreError>>,
}

impl AgentLogWriter {
    /// A new transcript; its header is on disk when this returns. One that is there is never replaced.
    pub async fn create(path: &Path, header: &Header) -> Result<Self, StoreError> {
        let (path, header) = (path.to_owned(), header.clone());
        let (file, len) = blocking({
            let path = path.clone();
            move || create_file(&path, &header)
        })
        .await?;
        let index = TranscriptIndex::new(path, Vec::new(), 1, false);
        Self::over(file, len, index)
    }

    /// Goes on with a transcript whose writer is gone. What was torn off its end is kept in
    /// `transcript.torn` beside it.
    pub async fn recover(path: &Path) -> Result<(Self, Recovered), StoreError> {
        let owned = path.to_owned();
        let found = blocking(move || recovery::recover(&owned)).await?;
        let next_seq = found.recovered.next_seq;
        let damaged = found.recovered.damaged > 0;
        let index = TranscriptIndex::new(path.to_owned(), found.marks.clone(), next_seq, damaged);
        let mut writer = Self::over(found.file, found.len, index)?;
        writer.marks = found.marks;
        Ok((writer, found.recovered))
    }

    fn over(file: File, len: u64, index: TranscriptIndex) -> Result<Self, StoreError> {
        let disk = file.try_clone().map_err(|e| StoreError::io("open", index.path(), &e))?;
        let log = Mutex::new(LogFile::new(Box::new(file), len, index.next_seq()));
        let shared = Arc::new(Shared {
            index: Arc::new(index),
            log,
            disk,
            dirty: AtomicBool::new(false),
            wake: Notify::new(),
            failed: Mutex::new(None),
        });
        let mut sync = JoinSet::new();
        sync.spawn(sync_when_dirty(shared.clone()));
        Ok(Self { shared, _sync: sync, store: None, marks: Vec::new() })
    }

    /// Marks go to the database too, so that the run can be read fast once it is over.
    pub(crate) fn indexed_by(mut self, store: Store) -> Self {
        self.store = Some(store);
        self.offer_marks();
        self
    }

    /// For readers; it knows what may be read.
    pub fn index(&self) -> Arc<TranscriptIndex> {
        self.shared.index.clone()
    }

    pub fn next_seq(&self) -> u64 {
        self.shared.index.next_seq()
    }

    /// Stores the batch and empties it. When it fails nothing of it is stored, the batch is as it was
    /// and can be tried again.
    ///
    /// Not to be cancelled: a dropped call may still store the batch; `next_seq` tells.
    pub async fn append(&mut self, batch: &mut LineBatch) -> Result<(), StoreError> {
        if batch.is_empty() {
            return Ok(());
        }
        self.shared.sync_failure()?;
        let (shared, lines) = (self.shared.clone(), std::mem::take(batch));
        let (result, lines) = blocking(move || Ok((shared.append(&lines), lines))).await?;
        *batch = lines;
        self.marks.extend(result?);
        batch.restart();
        if self.marks.len() >= MARKS_TOGETHER {
            self.offer_marks();
        }
        Ok(())
    }

    /// Everything appended so far is on disk when this returns.
    pub async fn flush(&mut self) -> Result<(), StoreError> {
        let shared = self.shared.clone();
        blocking(move || {
            shared.sync();
            shared.sync_failure()
        })
        .await
    }

    /// Whether a power cut would cost something now.
    pub fn unsynced(&self) -> bool {
        self.shared.dirty.load(Ordering::Acquire)
    }

    /// Flushes, and hands the last marks to the database.
    pub async fn close(mut self) -> Result<(), StoreError> {
        self.offer_marks();
        self.flush().await
    }

    fn offer_marks(&mut self) {
        let Some(store) = &self.store else { return };
        if store.note_marks(self.shared.index.path(), &self.marks) {
            self.marks.clear();
        }
    }
}

impl Shared {
    fn append(&self, lines: &LineBatch) -> Result<Vec<Mark>, StoreError> {
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        let start = log.append(lines).map_err(|refused| match refused {
            Refused::Io(e) => StoreError::io("write the transcript", self.index.path(), &e),
            Refused::Store(e) => e,
        })?;
        let new = self.index.publish(lines, start);
        if !self.dirty.swap(true, Ordering::AcqRel) {
            self.wake.notify_one();
        }
        Ok(new)
    }

    fn sync(&self) {
        if !self.dirty.swap(false, Ordering::AcqRel) {
            return;
        }
        if let Err(e) = self.disk.sync_data() {
            self.dirty.store(true, Ordering::Release);
            let error = StoreError::io("bring to the disk the transcript", self.index.path(), &e);
            *self.failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
        }
    }

    fn sync_failure(&self) -> Result<(), StoreError> {
        let failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner).take();
        failed.map_or(Ok(()), Err)
    }
}

/// Ends when the writer is dropped; costs nothing until something was appended.
async fn sync_when_dirty(shared: Arc<Shared>) {
    loop {
        shared.wake.notified().await;
        tokio::time::sleep(COLLECT_FOR).await;
        let shared = shared.clone();
        let synced = blocking(move || {
            shared.sync();
            Ok(())
        });
        if synced.await.is_err() {
            return;
        }
    }
}

fn create_file(path: &Path, header: &Header) -> Result<(File, u64), StoreError> {
    let failed = |e: io::Error| StoreError::io("make the transcript", path, &e);
    let mut line = serde_json::to_vec(header).map_err(|e| failed(e.into()))?;
    line.push(b'\n');
    // Written aside and linked into place, so that a transcript always has its header.
    let aside = aside(path);
    let _ = fs::remove_file(&aside);
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&aside)
        .map_err(failed)?;
    file.write_all(&line).and_then(|()| file.sync_data()).map_err(failed)?;
    fs::hard_link(&aside, path).map_err(failed)?;
    fs::remove_file(&aside).map_err(failed)?;
    if let Some(dir) = path.parent() {
        sync_dir(dir)?;
    }
    Ok((file, line.len() as u64))
}

fn aside(path: &Path) -> PathBuf {
    path.with_extension("new")
}

/// A disk that stalls holds a thread made for it, not one that others run on.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    tokio::task::spawn_blocking(work).await.map_err(|_| StoreError::closed())?
}
