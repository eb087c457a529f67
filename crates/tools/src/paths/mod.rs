//! Paths that stay in the worktree.
//!
//! A [`Root`] is a descriptor of the worktree's folder. Everything else is reached from it by
//! descriptor, beneath it, and what was opened is then looked at (never the other way round), so a
//! folder or a link that is swapped meanwhile changes nothing: on Linux the kernel resolves the path
//! (`openat2` with `RESOLVE_BENEATH`, openat2(2)), elsewhere [`steps`] walks it component by component.
//!
//! What holds for everything that a `Root` opens: it lay beneath the root when it was opened, in no
//! folder of git's, and it is a regular file or a folder. Links are followed when they stay beneath.
//! A hard link is the file itself: it is read as any other, and a write makes a new file in its place.

mod error;
#[cfg(target_os = "linux")]
mod kernel;
mod name;
mod steps;
mod write;

use std::{
    fs::File,
    os::fd::{AsFd, OwnedFd},
    path::{Path, PathBuf},
};

use rustix::fs::{FileType, Mode, OFlags, Stat};

pub use error::PathError;
pub use name::{Relative, is_git};
pub use write::Target;

/// Read only; a FIFO does not make us wait.
const READ: OFlags = OFlags::RDONLY.union(OFlags::NONBLOCK).union(OFlags::CLOEXEC);
const FOLDER: OFlags = READ.union(OFlags::DIRECTORY);

/// The worktree.
#[derive(Debug)]
pub struct Root {
    folder: OwnedFd,
    /// As it was given, and without links: absolute paths that begin so are ours.
    names: [PathBuf; 2],
    way: Way,
}

/// Who resolves a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// `openat2`, and `/proc` to say where it led.
    Kernel,
    Steps,
}

/// Whether links on the way are followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Links {
    Follow,
    Refuse,
}

/// Something open, and where it is: relative to the root, without links.
#[derive(Debug)]
struct Found {
    fd: OwnedFd,
    place: PathBuf,
}

/// A regular file, open for reading.
#[derive(Debug)]
pub struct Opened {
    pub file: File,
    /// Where it is, without links.
    pub place: Relative,
    pub stamp: Stamp,
    pub mode: Mode,
}

/// A folder, open.
#[derive(Debug)]
pub struct Folder {
    pub fd: OwnedFd,
    pub place: Relative,
}

/// Which file it is, and in what state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    device: u64,
    inode: u64,
    pub size: u64,
    changed: (i64, i64),
}

impl Stamp {
    // Types of the fields differ between systems.
    #[allow(clippy::cast_sign_loss, clippy::unnecessary_cast)]
    fn of(stat: &Stat) -> Self {
        Self {
            device: stat.st_dev as u64,
            inode: stat.st_ino as u64,
            size: stat.st_size as u64,
            changed: (stat.st_mtime as i64, stat.st_mtime_nsec as i64),
        }
    }
}

impl Root {
    /// # Errors
    /// When the folder cannot be opened.
    pub fn open(path: &Path) -> Result<Self, PathError> {
        let shown = path.display().to_string();
        let failed = |error: std::io::Error| PathError::Io { path: shown.clone(), error };
        let flags = OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::RDONLY;
        let folder = rustix::fs::open(path, flags, Mode::empty()).map_err(|e| failed(e.into()))?;
        let real = path.canonicalize().map_err(failed)?;
        let way = if kernel_resolves(&folder) { Way::Kernel } else { Way::Steps };
        Ok(Self { folder, names: [path.to_owned(), real], way })
    }

    /// The same root, resolved in the way given; for tests of the other systems' way.
    #[must_use]
    pub fn by(self, way: Way) -> Self {
        Self { way, ..self }
    }

    pub fn way(&self) -> Way {
        self.way
    }

    /// Takes a path as a model writes it.
    ///
    /// # Errors
    /// When its text alone tells that it may not be reached.
    pub fn relative(&self, text: &str) -> Result<Relative, PathError> {
        name::relative(text, &self.names)
    }

    /// # Errors
    /// When it is not there, not beneath, git's, or not a regular file.
    pub fn open_file(&self, path: &Relative) -> Result<Opened, PathError> {
        let found = self.find(path, READ, Links::Follow)?;
        let stat = rustix::fs::fstat(&found.fd).map_err(|e| error::of(path, e))?;
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => {}
            kind => {
                return Err(PathError::Kind { path: path.to_string(), kind: error::kind(kind) });
            }
        }
        let place = name::of_place(&found.place)?;
        let mode = Mode::from_raw_mode(stat.st_mode & 0o777);
        Ok(Opened { file: File::from(found.fd), place, stamp: Stamp::of(&stat), mode })
    }

    /// # Errors
    /// When it is not there, not beneath, git's, or not a folder.
    pub fn open_folder(&self, path: &Relative) -> Result<Folder, PathError> {
        self.folder(path, Links::Follow)
    }

    fn folder(&self, path: &Relative, links: Links) -> Result<Folder, PathError> {
        let found = self.find(path, FOLDER, links)?;
        Ok(Folder { place: name::of_place(&found.place)?, fd: found.fd })
    }

    /// Where a path leads: the file or folder itself, or where a new one would come to be.
    ///
    /// # Errors
    /// When it may not be reached.
    pub fn place(&self, path: &Relative) -> Result<Relative, PathError> {
        match self.find(path, READ, Links::Follow) {
            Ok(found) => name::of_place(&found.place),
            // What may not be read has a place all the same.
            Err(PathError::Missing(_)) => match path.split() {
                Some((parent, name)) => Ok(self.place(&parent)?.join(name)),
                None => Ok(path.clone()),
            },
            Err(error) => Err(error),
        }
    }

    fn find(&self, path: &Relative, flags: OFlags, links: Links) -> Result<Found, PathError> {
        let found = match self.way {
            #[cfg(target_os = "linux")]
            Way::Kernel => kernel::find(self.folder.as_fd(), path, flags, links)?,
            _ => steps::find(self.folder.as_fd(), path, flags, links)?,
        };
        if name::place_is_git(&found.place) {
            return Err(PathError::Git(path.to_string()));
        }
        Ok(found)
    }
}

#[cfg(target_os = "linux")]
fn kernel_resolves(folder: &OwnedFd) -> bool {
    kernel::find(folder.as_fd(), &Relative::root(), FOLDER, Links::Follow).is_ok()
}

#[cfg(not(target_os = "linux"))]
fn kernel_resolves(_folder: &OwnedFd) -> bool {
    false
}
