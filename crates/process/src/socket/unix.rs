//! The keeper's Unix socket, for run folders of any length.
//!
//! `sun_path` holds 108 bytes on Linux. A longer path is reached through `/proc/self/fd/<folder>/`.

use std::{
    fs::File,
    io,
    os::fd::AsRawFd,
    os::unix::net::{UnixListener, UnixStream as StdStream},
    path::{Path, PathBuf},
};

use tokio::net::{
    UnixStream,
    unix::{OwnedReadHalf, OwnedWriteHalf},
};

use crate::files::SOCKET;

pub type Listener = UnixListener;
pub type Stream = UnixStream;
pub type Reader = OwnedReadHalf;
pub type Writer = OwnedWriteHalf;

/// Bytes that are sure to fit everywhere with the ending zero (104 on macOS).
const LONGEST: usize = 100;

/// A path to the socket that fits; valid while the file, if any, is open.
fn short_path(dir: &Path) -> io::Result<(PathBuf, Option<File>)> {
    let path = dir.join(SOCKET);
    if path.as_os_str().len() <= LONGEST {
        return Ok((path, None));
    }
    if !cfg!(target_os = "linux") {
        return Err(io::Error::new(
            io::ErrorKind::InvalidFilename,
            format!("the path {} is too long for a socket", path.display()),
        ));
    }
    let folder = File::open(dir)?;
    let path = PathBuf::from(format!("/proc/self/fd/{}", folder.as_raw_fd())).join(SOCKET);
    Ok((path, Some(folder)))
}

/// Takes the place of a socket that nobody listens on any more. Mode 0600.
pub fn bind(dir: &Path) -> io::Result<UnixListener> {
    let (path, _folder) = short_path(dir)?;
    let _ = std::fs::remove_file(&path);
    let before = rustix::process::umask(rustix::fs::Mode::from_bits_truncate(0o177));
    let listener = UnixListener::bind(&path);
    rustix::process::umask(before);
    let listener = listener?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Not found or refused: nobody listens. Connecting does not wait.
pub fn connect(dir: &Path) -> io::Result<Stream> {
    let (path, _folder) = short_path(dir)?;
    let stream = StdStream::connect(path)?;
    stream.set_nonblocking(true)?;
    UnixStream::from_std(stream)
}

pub fn split(stream: Stream) -> (Reader, Writer) {
    stream.into_split()
}

/// Only our own user may give orders. The file's mode says so too, where credentials are not known.
pub fn is_own_user(stream: &StdStream) -> bool {
    #[cfg(target_os = "linux")]
    {
        rustix::net::sockopt::socket_peercred(stream)
            .is_ok_and(|peer| peer.uid == rustix::process::getuid())
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = stream;
        true
    }
}
