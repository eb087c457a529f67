//! The way of the systems that have no `openat2`: one component after the other, each opened in the
//! folder that is open already and never through a link; links are read and taken apart here.

use std::{
    ffi::{OsStr, OsString},
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::ffi::OsStrExt,
    },
    path::PathBuf,
};

use rustix::{
    fs::{Mode, OFlags, openat, readlinkat},
    io::Errno,
};

use super::{FOLDER, Found, Links, PathError, Relative, error, name};

/// As many links as Linux follows (path_resolution(7)).
const MOST_LINKS: u32 = 40;
const TRIES: u32 = 200;

pub fn find(
    root: BorrowedFd<'_>,
    path: &Relative,
    flags: OFlags,
    links: Links,
) -> Result<Found, PathError> {
    for _ in 0..TRIES {
        let mut walk = Walk::new(root, path, links);
        match walk.go(flags) {
            Ok(fd) => return Ok(Found { fd, place: walk.place() }),
            Err(Stop::Again) => {}
            Err(Stop::Git) => return Err(PathError::Git(path.to_string())),
            Err(Stop::Errno(errno)) => return Err(error::of(path, errno)),
        }
    }
    Err(PathError::Changing(path.to_string()))
}

enum Stop {
    /// Something was swapped between two looks at it.
    Again,
    Git,
    Errno(Errno),
}

impl From<Errno> for Stop {
    fn from(errno: Errno) -> Self {
        Self::Errno(errno)
    }
}

struct Walk<'a> {
    root: BorrowedFd<'a>,
    /// The folders from the root down to where we are. `..` goes back in it and never asks the system.
    folders: Vec<(OwnedFd, OsString)>,
    /// Components still to go, the next one last.
    rest: Vec<OsString>,
    last: Option<OsString>,
    links: u32,
}

impl<'a> Walk<'a> {
    fn new(root: BorrowedFd<'a>, path: &Relative, links: Links) -> Self {
        let rest = path.parts().rev_parts();
        let links = if links == Links::Follow { MOST_LINKS } else { 0 };
        Self { root, folders: Vec::new(), rest, last: None, links }
    }

    fn here(&self) -> BorrowedFd<'_> {
        self.folders.last().map_or(self.root, |(fd, _)| fd.as_fd())
    }

    fn go(&mut self, flags: OFlags) -> Result<OwnedFd, Stop> {
        while let Some(part) = self.rest.pop() {
            if part == "." || part.is_empty() {
                continue;
            }
            if part == ".." {
                self.folders.pop().ok_or(Stop::Errno(Errno::XDEV))?;
                continue;
            }
            if name::is_git_native(&part) {
                return Err(Stop::Git);
            }
            let is_last = self.rest.is_empty();
            let how = if is_last { flags } else { FOLDER };
            match openat(self.here(), &part, how | OFlags::NOFOLLOW | OFlags::NOCTTY, Mode::empty())
            {
                Ok(fd) if is_last => {
                    self.last = Some(part);
                    return Ok(fd);
                }
                Ok(fd) => self.folders.push((fd, part)),
                // A link, in the words of several systems; or something that is no folder.
                Err(errno @ (Errno::LOOP | Errno::NOTDIR | Errno::MLINK)) => {
                    self.follow(&part, errno)?;
                }
                Err(Errno::INTR) => return Err(Stop::Again),
                Err(errno) => return Err(errno.into()),
            }
        }
        Ok(openat(self.here(), ".", flags, Mode::empty())?)
    }

    fn follow(&mut self, part: &OsStr, errno: Errno) -> Result<(), Stop> {
        let target = match readlinkat(self.here(), part, Vec::new()) {
            Ok(target) => target.into_bytes(),
            // No link (any more).
            Err(Errno::INVAL) if errno == Errno::NOTDIR => return Err(errno.into()),
            Err(Errno::INVAL | Errno::NOENT) => return Err(Stop::Again),
            Err(errno) => return Err(errno.into()),
        };
        self.links = self.links.checked_sub(1).ok_or(Stop::Errno(Errno::LOOP))?;
        if target.first() == Some(&b'/') {
            return Err(Errno::XDEV.into());
        }
        self.rest.extend(OsStr::from_bytes(&target).as_bytes().split(|b| *b == b'/').rev_parts());
        Ok(())
    }

    fn place(&self) -> PathBuf {
        let folders = self.folders.iter().map(|(_, name)| name.as_os_str());
        folders.chain(self.last.as_deref()).collect()
    }
}

/// Components in the order in which they are popped.
trait Parts {
    fn rev_parts(self) -> Vec<OsString>;
}

impl<T: AsRef<[u8]>, I: Iterator<Item = T>> Parts for I {
    fn rev_parts(self) -> Vec<OsString> {
        let mut parts: Vec<OsString> =
            self.map(|part| OsStr::from_bytes(part.as_ref()).to_owned()).collect();
        parts.reverse();
        parts
    }
}
