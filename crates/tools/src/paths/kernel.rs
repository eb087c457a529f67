//! Linux: the kernel resolves the path in one call, and says afterwards where it led.

use std::{
    ffi::OsString,
    os::{
        fd::{AsRawFd, BorrowedFd},
        unix::ffi::OsStringExt,
    },
    path::PathBuf,
};

use rustix::{
    fs::{CWD, Mode, OFlags, ResolveFlags, openat2, readlinkat},
    io::Errno,
};

use super::{Found, Links, PathError, Relative, error};

/// `RESOLVE_BENEATH` gives up with EAGAIN when something was renamed meanwhile (openat2(2)).
const TRIES: usize = 200;

pub fn find(
    root: BorrowedFd<'_>,
    path: &Relative,
    flags: OFlags,
    links: Links,
) -> Result<Found, PathError> {
    let mut how = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    if links == Links::Refuse {
        how |= ResolveFlags::NO_SYMLINKS;
    }
    for _ in 0..TRIES {
        match openat2(root, path.native(), flags | OFlags::NOCTTY, Mode::empty(), how) {
            Ok(fd) => {
                // None: renamed away or removed since; what is there now is another thing.
                if let Some(place) = place(root, fd.as_raw_fd()).map_err(|e| error::of(path, e))? {
                    return Ok(Found { fd, place });
                }
            }
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(errno) => return Err(error::of(path, errno)),
        }
    }
    Err(PathError::Changing(path.to_string()))
}

/// Where an open file is, beneath the root. The kernel tells its path as it is now (proc_pid_fd(5)).
fn place(root: BorrowedFd<'_>, fd: i32) -> Result<Option<PathBuf>, Errno> {
    let (top, full) = (full(root.as_raw_fd())?, full(fd)?);
    let Ok(inner) = full.strip_prefix(&top) else { return Ok(None) };
    // A removed file. One whose name ends so in earnest cannot be reached; nobody will miss it.
    if full.as_os_str().to_string_lossy().ends_with(" (deleted)") {
        return Ok(None);
    }
    Ok(Some(inner.to_owned()))
}

fn full(fd: i32) -> Result<PathBuf, Errno> {
    let link = readlinkat(CWD, format!("/proc/self/fd/{fd}"), Vec::new())?;
    Ok(PathBuf::from(OsString::from_vec(link.into_bytes())))
}
