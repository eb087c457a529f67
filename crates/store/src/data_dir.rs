//! The data directory: private to its owner, and held by one engine at a time.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, Permissions},
    io::{Read, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use rustix::fs::{Access, FlockOperation, flock};

use crate::{StoreError, StoreErrorKind};

const PRIVATE: u32 = 0o700;
const LOCK_FILE: &str = "engine.lock";
/// An engine that has just ended may still hold its lock: a program that it was starting has a copy of
/// the descriptor until it is executed.
const LETTING_GO: Duration = Duration::from_millis(500);

/// Holds the data directory until dropped. The lock is the kernel's (`flock`), so it goes with the
/// process however that ends; the pid in the file only informs.
#[derive(Debug)]
pub struct DataDirLock {
    _file: File,
    path: PathBuf,
    /// What was put right on the way, for people.
    pub notices: Vec<String>,
}

impl DataDirLock {
    /// `Locked` names the process that holds it. Blocks for [`LETTING_GO`] at most.
    pub fn acquire(dir: &Path) -> Result<Self, StoreError> {
        Self::try_acquire(dir).map_err(|error| error.where_it_is_full(dir).at_start())
    }

    fn try_acquire(dir: &Path) -> Result<Self, StoreError> {
        let notices = prepare_data_dir(dir)?;
        let path = dir.join(LOCK_FILE);
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(|e| StoreError::io("open", &path, &e))?;
        if let Err(error) = lock(&file) {
            return Err(refusal(&mut file, dir, error));
        }
        write_pid(&mut file).map_err(|e| StoreError::io("write", &path, &e))?;
        Ok(Self { _file: file, path, notices })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }
}

#[expect(clippy::disallowed_methods, reason = "nobody tells when a lock is free again")]
fn lock(file: &File) -> Result<(), rustix::io::Errno> {
    let until = Instant::now() + LETTING_GO;
    loop {
        match flock(file, FlockOperation::NonBlockingLockExclusive) {
            Err(rustix::io::Errno::WOULDBLOCK) if Instant::now() < until => {
                std::thread::sleep(Duration::from_millis(10));
            }
            locked => return locked,
        }
    }
}

fn write_pid(file: &mut File) -> std::io::Result<()> {
    file.set_len(0)?;
    file.write_all(format!("{}\n", std::process::id()).as_bytes())
}

fn refusal(file: &mut File, dir: &Path, error: rustix::io::Errno) -> StoreError {
    if error != rustix::io::Errno::WOULDBLOCK {
        return StoreError::io("lock", dir, &error.into());
    }
    let mut text = String::new();
    let pid = match file.read_to_string(&mut text) {
        Ok(_) if !text.trim().is_empty() => format!(" (process {})", text.trim()),
        _ => String::new(),
    };
    StoreError::new(
        StoreErrorKind::Locked,
        format!("Another Musher{pid} is using the data directory {}.", dir.display()),
    )
}

/// Makes the directory (0700), or checks the one that is there. Returns what was put right.
///
/// A folder that others may write to is closed when it is empty or Musher's own; any other is refused,
/// because it may be a folder like `/tmp` that must stay open.
pub fn prepare_data_dir(dir: &Path) -> Result<Vec<String>, StoreError> {
    refuse_a_file(dir)?;
    make_private_dir(dir)?;
    let meta = fs::metadata(dir).map_err(|e| StoreError::io("read", dir, &e))?;
    let open_to_write = meta.mode() & 0o022 != 0;
    let empty = fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_none());
    if meta.mode() & 0o077 == 0 || (!open_to_write && !empty) {
        // What Musher puts into it is private by itself.
        return Ok(Vec::new());
    }
    if !may_be_closed(dir, &meta, empty) {
        return Err(open_to_others(dir));
    }
    fs::set_permissions(dir, Permissions::from_mode(PRIVATE))
        .map_err(|e| StoreError::io("make private", dir, &e))?;
    let told = format!("Others could write to the data directory {}; not any more.", dir.display());
    Ok(if empty { Vec::new() } else { vec![told] })
}

/// Whether there is a data directory, for who only looks: nothing is made. An error where it cannot be
/// seen, or could not be made.
pub fn is_there(dir: &Path) -> Result<bool, StoreError> {
    match fs::metadata(dir) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            may_be_made(dir).map(|()| false)
        }
        Err(error) => Err(StoreError::io("look into", dir, &error)),
    }
}

fn may_be_made(dir: &Path) -> Result<(), StoreError> {
    let Some(nearest) = dir.ancestors().find(|above| above.is_dir()) else { return Ok(()) };
    rustix::fs::access(nearest, Access::WRITE_OK | Access::EXEC_OK)
        .map_err(|error| StoreError::io("make the folder", dir, &error.into()))
}

/// A file where the directory, or one above it, should be.
fn refuse_a_file(dir: &Path) -> Result<(), StoreError> {
    let is_file = |path: &&Path| fs::metadata(path).is_ok_and(|meta| !meta.is_dir());
    let Some(file) = dir.ancestors().find(is_file) else { return Ok(()) };
    let what = match file == dir {
        true => format!("The data directory {} is a file, not a folder.", dir.display()),
        false => {
            format!("The data directory {} cannot be: {} is a file.", dir.display(), file.display())
        }
    };
    Err(StoreError::new(StoreErrorKind::Io, what)
        .with_hint("Choose another data directory with --data-dir."))
}

fn may_be_closed(dir: &Path, meta: &fs::Metadata, empty: bool) -> bool {
    let owned = meta.uid() == rustix::process::geteuid().as_raw();
    let sticky = meta.mode() & 0o1000 != 0;
    let known = dir.join(LOCK_FILE).exists() || dir.join("musher.db").exists();
    owned && !sticky && (known || empty)
}

fn open_to_others(dir: &Path) -> StoreError {
    let what = format!(
        "Others may write to the folder {}, so Musher does not keep its data there.",
        dir.display()
    );
    StoreError::new(StoreErrorKind::NoPermission, what)
        .with_hint("Choose a new or empty folder with --data-dir.")
}

/// Makes a folder, and those above it, for the owner alone.
pub(crate) fn make_private_dir(dir: &Path) -> Result<(), StoreError> {
    DirBuilder::new()
        .recursive(true)
        .mode(PRIVATE)
        .create(dir)
        .map_err(|e| StoreError::io("make the folder", dir, &e))
}

/// Makes a new file's name, or a rename, survive a power cut.
pub(crate) fn sync_dir(dir: &Path) -> Result<(), StoreError> {
    File::open(dir).and_then(|d| d.sync_all()).map_err(|e| StoreError::io("sync", dir, &e))
}
