//! The commands over HTTP/1.1: `POST /rpc/<command>` with JSON in and out, `GET /news` as a WebSocket
//! that pushes `News`, and the page's files.
//!
//! Two ways in. The engine's socket is always there: its file mode is the door, and it serves no
//! page. Loopback TCP is there only when a person asked for it, and then each request needs the
//! token. What both refuse is in [`door`]; everything that is let in reaches the same table.

#[cfg(unix)]
mod caller;
mod door;
mod page;
mod routes;
#[cfg(unix)]
mod socket;
mod tcp;

use std::time::Duration;

use axum::Router;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

#[cfg(unix)]
pub(crate) use socket::{GUEST_SOCKET, SOCKET, SOCKET_HOST, SocketPath};
#[cfg(unix)]
pub use socket::{serve_guest, serve_socket};
pub use tcp::{ServeInfo, serve_tcp};

/// How long requests that act may take to end after [`Serving::end`]: a start of a run looks through
/// its repository with git.
const END_GRACE: Duration = Duration::from_secs(5);

/// Requests are answered until this is ended or dropped.
#[derive(Debug)]
pub struct Serving {
    cancel: CancellationToken,
    tasks: JoinSet<()>,
    /// Nothing on TCP.
    socket: Option<std::path::PathBuf>,
}

impl Serving {
    /// `cancel` ends it; `last` says that no connection is taken any more.
    fn start<L>(
        listener: L,
        router: Router,
        cancel: CancellationToken,
        last: CancellationToken,
    ) -> Self
    where
        L: axum::serve::Listener,
        L::Addr: std::fmt::Debug,
    {
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let served =
                axum::serve(listener, router).with_graceful_shutdown(last.cancelled_owned()).await;
            if let Err(error) = served {
                tracing::error!("the server ended: {error}");
            }
        });
        Self { cancel, tasks, socket: None }
    }

    /// Lets nobody in any more, ends the pushed news, and gives open requests [`END_GRACE`].
    pub async fn end(mut self) {
        self.close();
        if tokio::time::timeout(END_GRACE, self.tasks.join_next()).await.is_err() {
            self.tasks.abort_all();
        }
    }

    /// Waits until the server is over by itself; for a program that does nothing else.
    pub async fn wait(&mut self) {
        self.tasks.join_next().await;
    }
}

impl Serving {
    /// The name goes first: who is at the door by then is still answered, and nobody else comes.
    fn close(&mut self) {
        if let Some(socket) = self.socket.take() {
            // Gone already is as good.
            let _ = std::fs::remove_file(socket);
        }
        self.cancel.cancel();
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.close();
    }
}
