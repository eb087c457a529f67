//! Writes a file whole: a new file beside it, then in its place. Nothing is ever written through a
//! link or into what is there.

use std::{
    io::{Read, Write},
    os::fd::{AsFd, OwnedFd},
    sync::atomic::{AtomicU64, Ordering},
};

use rustix::{
    fs::{AtFlags, FileType, Mode, OFlags},
    io::Errno,
};

use super::{FOLDER, Folder, Links, PathError, Relative, Root, Stamp, error};

/// A file that may be written, or the place of one that is to be.
#[derive(Debug)]
pub struct Target {
    folder: OwnedFd,
    name: String,
    /// Where it is, without links.
    pub place: Relative,
    pub old: Option<Old>,
}

/// What is there now.
#[derive(Debug)]
pub struct Old {
    pub bytes: Vec<u8>,
    stamp: Stamp,
    mode: Mode,
}

impl Root {
    /// Makes ready to write a file. Folders that are not there are made when `make` says so.
    ///
    /// # Errors
    /// As [`Root::open_file`]; also for a file over `limit` bytes and one that is read-only.
    pub fn target(&self, path: &Relative, limit: u64, make: bool) -> Result<Target, PathError> {
        match self.open_file(path) {
            Ok(opened) => self.existing(path, opened, limit),
            Err(PathError::Missing(_)) => self.coming(path, make),
            Err(error) => Err(error),
        }
    }

    fn existing(
        &self,
        path: &Relative,
        mut opened: super::Opened,
        limit: u64,
    ) -> Result<Target, PathError> {
        if !opened.mode.contains(Mode::WUSR) {
            return Err(PathError::ReadOnly(path.to_string()));
        }
        let mut bytes = Vec::new();
        let read = (&mut opened.file).take(limit + 1).read_to_end(&mut bytes);
        read.map_err(|error| PathError::Io { path: path.to_string(), error })?;
        if bytes.len() as u64 > limit {
            return Err(PathError::Name { path: path.to_string(), why: "the file is too large" });
        }
        let moved = || PathError::Changing(path.to_string());
        let (parent, name) = opened.place.split().ok_or_else(moved)?;
        let Folder { fd: folder, place } = self.folder(&parent, Links::Refuse)?;
        if place != parent {
            return Err(moved());
        }
        let old = Old { bytes, stamp: opened.stamp, mode: opened.mode };
        let name = name.to_owned();
        Ok(Target { folder, name, place: opened.place, old: Some(old) })
    }

    fn coming(&self, path: &Relative, make: bool) -> Result<Target, PathError> {
        let missing = || PathError::Missing(path.to_string());
        let (parent, name) = path.split().ok_or_else(missing)?;
        let folder = match self.open_folder(&parent) {
            Err(PathError::Missing(_)) if make => self.make_folder(&parent)?,
            folder => folder?,
        };
        if let Ok(stat) = rustix::fs::statat(&folder.fd, name, AtFlags::SYMLINK_NOFOLLOW) {
            let kind = error::kind(FileType::from_raw_mode(stat.st_mode));
            return Err(PathError::Kind { path: path.to_string(), kind });
        }
        let place = folder.place.join(name);
        Ok(Target { folder: folder.fd, name: name.to_owned(), place, old: None })
    }

    fn make_folder(&self, path: &Relative) -> Result<Folder, PathError> {
        let missing = || PathError::Missing(path.to_string());
        let (parent, name) = path.split().ok_or_else(missing)?;
        let above = match self.open_folder(&parent) {
            Err(PathError::Missing(_)) => self.make_folder(&parent)?,
            folder => folder?,
        };
        let failed = |errno| error::of(path, errno);
        match rustix::fs::mkdirat(&above.fd, name, Mode::from_raw_mode(0o777)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(failed(errno)),
        }
        let flags = FOLDER | OFlags::NOFOLLOW;
        let fd = rustix::fs::openat(&above.fd, name, flags, Mode::empty()).map_err(failed)?;
        Ok(Folder { fd, place: above.place.join(name) })
    }

    /// Puts `bytes` in the target's place, with the mode of what was there.
    ///
    /// # Errors
    /// `Changing` when what is there is no longer what `target` found; then nothing is changed.
    pub fn write(&self, target: &Target, bytes: &[u8]) -> Result<(), PathError> {
        let failed = |error| PathError::Io { path: target.place.to_string(), error };
        let temporary = Temporary::new(target).map_err(|e| error::of(&target.place, e))?;
        temporary.fill(bytes, target.old.as_ref()).map_err(failed)?;
        if !target.is_as_found() || !self.still_holds(target) {
            return Err(PathError::Changing(target.place.to_string()));
        }
        temporary.take_place().map_err(|errno| match errno {
            Errno::EXIST => PathError::Changing(target.place.to_string()),
            errno => error::of(&target.place, errno),
        })
    }

    /// Whether the target's folder is still where it was: it may have been moved out of the worktree.
    fn still_holds(&self, target: &Target) -> bool {
        let Some((parent, _)) = target.place.split() else { return false };
        let Ok(folder) = self.folder(&parent, Links::Refuse) else { return false };
        let same = |a: &OwnedFd, b: &OwnedFd| {
            let (a, b) = (rustix::fs::fstat(a), rustix::fs::fstat(b));
            matches!((a, b), (Ok(a), Ok(b)) if (a.st_dev, a.st_ino) == (b.st_dev, b.st_ino))
        };
        same(&folder.fd, &target.folder)
    }
}

impl Target {
    fn is_as_found(&self) -> bool {
        let now = rustix::fs::statat(&self.folder, self.name.as_str(), AtFlags::SYMLINK_NOFOLLOW);
        match (&self.old, now) {
            (Some(old), Ok(stat)) => Stamp::of(&stat) == old.stamp,
            (None, Err(Errno::NOENT)) => true,
            _ => false,
        }
    }
}

/// A new file in the target's folder; removed unless it took the target's place.
struct Temporary<'a> {
    target: &'a Target,
    file: std::fs::File,
    name: String,
    placed: bool,
}

impl<'a> Temporary<'a> {
    fn new(target: &'a Target) -> Result<Self, Errno> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        loop {
            let number = NUMBER.fetch_add(1, Ordering::Relaxed);
            let name = format!(".musher-{}-{number}.tmp", std::process::id());
            let mode = Mode::from_raw_mode(0o666);
            match rustix::fs::openat(target.folder.as_fd(), name.as_str(), flags, mode) {
                Ok(fd) => return Ok(Self { target, file: fd.into(), name, placed: false }),
                Err(Errno::EXIST | Errno::INTR) => {}
                Err(errno) => return Err(errno),
            }
        }
    }

    fn fill(&self, bytes: &[u8], old: Option<&Old>) -> std::io::Result<()> {
        (&self.file).write_all(bytes)?;
        if let Some(old) = old {
            rustix::fs::fchmod(&self.file, old.mode)?;
        }
        self.file.sync_data()
    }

    fn take_place(mut self) -> Result<(), Errno> {
        let (folder, name) = (&self.target.folder, self.target.name.as_str());
        let plain = || rustix::fs::renameat(folder, self.name.as_str(), folder, name);
        let renamed = match self.target.old {
            Some(_) => plain(),
            None => fresh(folder, &self.name, name, plain),
        };
        self.placed = renamed.is_ok();
        renamed
    }
}

/// Renames to a name that must be free. Not every file system can promise that.
#[cfg(any(target_os = "linux", target_os = "macos"))]
fn fresh(
    folder: &OwnedFd,
    from: &str,
    to: &str,
    plain: impl Fn() -> Result<(), Errno>,
) -> Result<(), Errno> {
    let free = rustix::fs::RenameFlags::NOREPLACE;
    match rustix::fs::renameat_with(folder, from, folder, to, free) {
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => plain(),
        renamed => renamed,
    }
}

#[cfg(not(any(target_os = "linux", target_os = "macos")))]
fn fresh(
    _folder: &OwnedFd,
    _from: &str,
    _to: &str,
    plain: impl Fn() -> Result<(), Errno>,
) -> Result<(), Errno> {
    plain()
}

impl Drop for Temporary<'_> {
    fn drop(&mut self) {
        if !self.placed {
            let _ = rustix::fs::unlinkat(&self.target.folder, self.name.as_str(), AtFlags::empty());
        }
    }
}
