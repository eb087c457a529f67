//! The keeper's Unix socket, for run folders of any length.
//!
//! `sun_path` holds 108 bytes on Linux and 104 on macOS, where a person's own folder for a program's data
//! leaves no room for a run. A longer path is reached through a shorter one to the same folder: on Linux
//! `/proc/self/fd/<folder>/`, elsewhere a link in `/tmp` for the moment of the call.

use std::{
    io,
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

/// A path to the socket that fits; valid while the shortcut, if any, is held.
fn short_path(dir: &Path) -> io::Result<(PathBuf, Option<Shortcut>)> {
    let path = dir.join(SOCKET);
    if path.as_os_str().len() <= LONGEST {
        return Ok((path, None));
    }
    let shortcut = Shortcut::to(dir)?;
    Ok((shortcut.path().join(SOCKET), Some(shortcut)))
}

#[cfg(target_os = "linux")]
struct Shortcut(std::fs::File);

#[cfg(target_os = "linux")]
impl Shortcut {
    fn to(dir: &Path) -> io::Result<Self> {
        std::fs::File::open(dir).map(Self)
    }

    fn path(&self) -> PathBuf {
        use std::os::fd::AsRawFd;
        format!("/proc/self/fd/{}", self.0.as_raw_fd()).into()
    }
}

#[cfg(not(target_os = "linux"))]
use link::Shortcut;

#[cfg(any(test, not(target_os = "linux")))]
mod link {
    use std::{
        io,
        path::{Path, PathBuf},
        sync::atomic::{AtomicU32, Ordering},
    };

    static NEXT: AtomicU32 = AtomicU32::new(0);

    /// A link that is removed when dropped. Nobody else can put theirs in its place: `/tmp` is sticky,
    /// and a name that is taken is not used.
    pub struct Shortcut(PathBuf);

    impl Shortcut {
        pub fn to(dir: &Path) -> io::Result<Self> {
            let dir = std::path::absolute(dir)?;
            loop {
                let number = NEXT.fetch_add(1, Ordering::Relaxed);
                let link = format!("/tmp/musher-{}-{number}", std::process::id());
                match std::os::unix::fs::symlink(&dir, &link) {
                    Ok(()) => return Ok(Self(link.into())),
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                    Err(error) => return Err(error),
                }
            }
        }

        pub fn path(&self) -> PathBuf {
            self.0.clone()
        }
    }

    impl Drop for Shortcut {
        fn drop(&mut self) {
            let _ = std::fs::remove_file(&self.0);
        }
    }
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_link_makes_any_path_short_and_is_gone_after() {
        let folder = tempfile::tempdir().unwrap();
        let deep = folder.path().join("x".repeat(200));
        std::fs::create_dir(&deep).unwrap();
        let first = link::Shortcut::to(&deep).unwrap();
        let second = link::Shortcut::to(&deep).unwrap();
        assert_ne!(first.path(), second.path());
        let listener = UnixListener::bind(first.path().join(SOCKET)).unwrap();
        StdStream::connect(second.path().join(SOCKET)).unwrap();
        assert!(deep.join(SOCKET).exists());
        let paths = [first.path(), second.path()];
        drop((first, second, listener));
        assert!(paths.iter().all(|path| path.symlink_metadata().is_err()));
    }
}
