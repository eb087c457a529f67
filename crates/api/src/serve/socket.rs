//! The engine's socket: `engine.sock` in the data directory, for this user's own programs.

use std::{
    io,
    os::{fd::OwnedFd, unix::fs::PermissionsExt},
    path::{Path, PathBuf},
    sync::Arc,
};

use axum::serve::Listener;
use musher_protocol::{ApiError, ErrorCode};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tokio::net::{UnixListener, UnixStream, unix::SocketAddr};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{Serving, caller::Caller, door::Door, routes};
use crate::Api;

/// The file's name in the data directory.
pub(crate) const SOCKET: &str = "engine.sock";
/// That of a window whose engine is another's: it can be asked to come forward there.
pub(crate) const GUEST_SOCKET: &str = "guest.sock";
/// What our own client names as `Host`; no resolver knows it.
pub(crate) const SOCKET_HOST: &str = "musher";
/// `sun_path` holds 108 bytes on Linux, 104 on macOS, with the NUL at the end.
const LONGEST_PATH: usize = 103;

/// A path by which the socket can be named although the data directory's own path is too long for
/// one. Good while the value lives.
pub(crate) struct SocketPath {
    pub(crate) path: PathBuf,
    _dir: Option<OwnedFd>,
}

impl SocketPath {
    pub(crate) fn of(data_dir: &Path, name: &str) -> io::Result<Self> {
        let path = data_dir.join(name);
        if path.as_os_str().len() <= LONGEST_PATH {
            return Ok(Self { path, _dir: None });
        }
        Self::through_descriptor(data_dir, name)
    }

    #[cfg(target_os = "linux")]
    fn through_descriptor(data_dir: &Path, name: &str) -> io::Result<Self> {
        use rustix::fs::{Mode, OFlags};
        use std::os::fd::AsRawFd;
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let dir = rustix::fs::open(data_dir, flags, Mode::empty())?;
        let path = PathBuf::from(format!("/proc/self/fd/{}/{name}", dir.as_raw_fd()));
        Ok(Self { path, _dir: Some(dir) })
    }

    #[cfg(not(target_os = "linux"))]
    fn through_descriptor(data_dir: &Path, _name: &str) -> io::Result<Self> {
        let message = format!("the path is longer than a socket's may be: {}", data_dir.display());
        Err(io::Error::new(io::ErrorKind::InvalidInput, message))
    }
}

/// Answers on the data directory's socket. Only for who holds the engine's lock there: a socket file
/// that lies there is then nobody's, and is replaced.
pub fn serve_socket(api: Arc<dyn Api>, data_dir: &Path) -> Result<Serving, ApiError> {
    serve_at(api, data_dir, SOCKET)
}

/// Answers for a window whose engine is another's. The last that begins is asked.
pub fn serve_guest(api: Arc<dyn Api>, data_dir: &Path) -> Result<Serving, ApiError> {
    serve_at(api, data_dir, GUEST_SOCKET)
}

fn serve_at(api: Arc<dyn Api>, data_dir: &Path, name: &str) -> Result<Serving, ApiError> {
    let listener = listen(data_dir, name).map_err(|error| {
        ApiError::new(
            ErrorCode::StoreFailed,
            format!("The engine's socket in `{}` cannot be made: {error}.", data_dir.display()),
        )
        .with_hint(match error.kind() {
            io::ErrorKind::InvalidInput => {
                "Choose a data directory with a shorter path with --data-dir."
            }
            _ => "Choose another data directory with --data-dir.",
        })
    })?;
    let cancel = CancellationToken::new();
    let door = Door::Socket { host: SOCKET_HOST };
    let router = routes::router(api, door, None, cancel.clone());
    let last = CancellationToken::new();
    let listener = OwnUser::new(listener, cancel.clone(), last.clone());
    let mut serving = Serving::start(listener, router, cancel, last);
    serving.socket = Some(data_dir.join(name));
    Ok(serving)
}

fn listen(data_dir: &Path, name: &str) -> io::Result<UnixListener> {
    let socket = SocketPath::of(data_dir, name)?;
    match std::fs::remove_file(&socket.path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(&socket.path)?;
    // The directory is 0700, so nobody can come between the two calls.
    std::fs::set_permissions(&socket.path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// Takes connections of this process's own user only, whatever became of the file's mode. Those that
/// wait when the end comes are taken too, and all that were taken are answered: who sent a request
/// cannot know otherwise whether it was done.
struct OwnUser {
    listener: UnixListener,
    ending: CancellationToken,
    unanswered: TaskTracker,
    /// Says that nobody waits any more.
    last: CancellationToken,
}

impl OwnUser {
    fn new(listener: UnixListener, ending: CancellationToken, last: CancellationToken) -> Self {
        let unanswered = TaskTracker::new();
        // Its `wait` is over only when it is closed; it still counts.
        unanswered.close();
        Self { listener, ending, unanswered, last }
    }

    async fn next(&mut self) -> (UnixStream, SocketAddr) {
        let (ending, unanswered) = (&self.ending, &self.unanswered);
        let all_answered = || async {
            ending.cancelled().await;
            unanswered.wait().await;
        };
        loop {
            tokio::select! {
                biased;
                accepted = Listener::accept(&mut self.listener) => return accepted,
                () = all_answered(), if !self.last.is_cancelled() => {
                    if !somebody_waits(&self.listener) {
                        self.last.cancel();
                    }
                    // The runtime learns of who waits only between two looks.
                    tokio::task::yield_now().await;
                }
            }
        }
    }
}

fn somebody_waits(listener: &UnixListener) -> bool {
    let mut look = [PollFd::new(listener, PollFlags::IN)];
    poll(&mut look, Some(&Timespec::default())).is_ok_and(|ready| ready > 0)
}

impl Listener for OwnUser {
    type Io = Caller;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Caller, SocketAddr) {
        loop {
            let (stream, address) = self.next().await;
            let own = rustix::process::geteuid().as_raw();
            match stream.peer_cred() {
                Ok(peer) if peer.uid() == own => {
                    return (Caller::new(stream, self.unanswered.token()), address);
                }
                Ok(peer) => tracing::warn!(uid = peer.uid(), "refused another user on the socket"),
                Err(error) => tracing::warn!("refused a connection without a known user: {error}"),
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}
