//! One change to a repository's worktrees at a time: `git worktree add` fails when two run at once.
//!
//! Two locks, because a data directory can be used by two processes: an in-process one, so that many
//! creations wait in a fair queue, and a lock on a file next to the worktrees. The kernel gives the
//! file lock back when its holder dies.

use std::collections::HashMap;
use std::fs::{File, TryLockError};
use std::hash::{BuildHasher, Hasher};
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use tokio::sync::OwnedMutexGuard;

use crate::error::{Result, WorktreeError};

const LONGEST_WAIT: Duration = Duration::from_secs(120);

/// For the whole process: two `Git` values can work on the same repository.
static QUEUES: LazyLock<Mutex<HashMap<PathBuf, Weak<tokio::sync::Mutex<()>>>>> =
    LazyLock::new(Mutex::default);

/// Held while a repository's worktrees are changed.
pub(crate) struct Turn {
    _queue: OwnedMutexGuard<()>,
    _file: File,
}

/// Waits for the repository's turn. `lock_dir` exists.
pub(crate) async fn turn(root: &Path, lock_dir: &Path) -> Result<Turn> {
    let queue = queue_of(root);
    let waited = tokio::time::timeout(LONGEST_WAIT, queue.lock_owned()).await;
    let held = waited.map_err(|_| WorktreeError::Locked(root.to_owned()))?;
    let file = lock_file(&lock_dir.join(".turn.lock"), root).await?;
    Ok(Turn { _queue: held, _file: file })
}

fn queue_of(root: &Path) -> Arc<tokio::sync::Mutex<()>> {
    let mut queues = QUEUES.lock().unwrap_or_else(PoisonError::into_inner);
    queues.retain(|_, queue| queue.strong_count() > 0);
    let found = queues.get(root).and_then(Weak::upgrade);
    found.unwrap_or_else(|| {
        let made = Arc::new(tokio::sync::Mutex::new(()));
        queues.insert(root.to_owned(), Arc::downgrade(&made));
        made
    })
}

async fn lock_file(path: &Path, root: &Path) -> Result<File> {
    let file = File::create(path).map_err(|e| WorktreeError::io(path, e))?;
    let deadline = Instant::now() + LONGEST_WAIT;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => jitter(50).await,
            Err(TryLockError::WouldBlock) => return Err(WorktreeError::Locked(root.to_owned())),
            Err(TryLockError::Error(e)) => return Err(WorktreeError::io(path, e)),
        }
    }
}

/// Waits between half and all of `millis`, so that two that collided do not collide again.
pub(crate) async fn jitter(millis: u64) {
    let random = std::hash::RandomState::new().build_hasher().finish();
    tokio::time::sleep(Duration::from_millis(millis / 2 + random % (millis / 2 + 1))).await;
}
