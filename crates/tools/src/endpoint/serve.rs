//! The server's life: from its start by the agent to the end of its input, or of its patience.

use std::{
    fs::File,
    io,
    os::fd::AsFd,
    path::Path,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use musher_runtime::{Secrets, keys_among};
use rmcp::{ServiceExt, service::ServerInitializeError};
use rustix::fs::{FlockOperation, flock};
use secrecy::SecretString;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    signal::unix::{SignalKind, signal},
};
use tokio_util::sync::CancellationToken;

use super::{FILE, server::Server, terms::Terms};
use crate::{Host, HostError, kept, rules::RuleError, run};

/// Why a run's tools cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error(
        "{FILE} of this run cannot be read: {0}; `musher mcp` is started by an agent of Musher's"
    )]
    Terms(io::Error),
    #[error("{0}")]
    Rules(#[from] RuleError),
    #[error("{0}")]
    Host(#[from] HostError),
    #[error("standard input and output cannot be used: {0}")]
    Streams(io::Error),
    #[error("the run's folder cannot be used: {0}")]
    Folder(io::Error),
    #[error("the agent did not greet as a client of this protocol does: {0}")]
    Greeting(#[from] Box<ServerInitializeError>),
}

/// The keys that are kept; asked for before each call.
pub type KeptKeys = Box<dyn Fn() -> Vec<SecretString> + Send + Sync>;

/// Serves on stdin and stdout until the agent ends it: by the end of input or a signal. `keys` and the
/// keys in its own environment are not told to the agent.
///
/// # Errors
/// When it cannot be begun.
pub async fn serve(run_dir: &Path, keys: KeptKeys) -> Result<(), ServeError> {
    let ending = CancellationToken::new();
    let streams = (standard(std::io::stdin())?, standard(std::io::stdout())?);
    let environment = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let serving = serve_on(run_dir, (environment, keys), streams, &ending);
    tokio::pin!(serving);
    tokio::select! {
        served = &mut serving => served,
        () = asked_to_end() => {
            ending.cancel();
            serving.await
        }
    }
}

/// The same on other streams, with another environment, until `ending`.
///
/// # Errors
/// When it cannot be begun.
pub async fn serve_on<R, W>(
    run_dir: &Path,
    (environment, keys): (impl IntoIterator<Item = (String, String)>, KeptKeys),
    (input, output): (R, W),
    ending: &CancellationToken,
) -> Result<(), ServeError>
where
    R: AsyncRead + Send + Unpin + 'static,
    W: AsyncWrite + Send + Unpin + 'static,
{
    let terms = Terms::load(run_dir).map_err(ServeError::Terms)?;
    let environment: Vec<(String, String)> = environment.into_iter().collect();
    let known: Vec<_> = keys_among(&environment).chain(keys()).collect();
    let secrets = Secrets::new(&known);
    let host = Host::new(terms.config(run_dir, environment, secrets.clone())?)?;
    let _alone = alone(run_dir, &terms.mark, &secrets).await.map_err(ServeError::Folder)?;
    let learn = move || secrets.add(&keys());
    let server = Arc::new(Server::new(run_dir, host, Arc::new(learn), ending.clone()));
    let input = Input { input, ended: ending.clone() };
    let greeted = Arc::clone(&server).serve_with_ct((input, output), ending.clone()).await;
    let served = match greeted {
        Ok(serving) => {
            // Nothing of its reasons is news to anybody.
            let _ = serving.waiting().await;
            Ok(())
        }
        // Who was ended before it was greeted has nothing to complain of.
        Err(_) if ending.is_cancelled() => Ok(()),
        Err(error) => Err(Box::new(error).into()),
    };
    ending.cancel();
    server.finish().await;
    served
}

/// A standard stream, read and written off the threads that wait.
fn standard(stream: impl AsFd) -> Result<tokio::fs::File, ServeError> {
    let own = stream.as_fd().try_clone_to_owned().map_err(ServeError::Streams)?;
    Ok(tokio::fs::File::from_std(own.into()))
}

/// Ends what a server before this one has left, unless it lives: an agent may start a second one.
/// Holding the folder says that this one does.
async fn alone(run_dir: &Path, mark: &str, secrets: &Secrets) -> io::Result<File> {
    let folder = run_dir.join(kept::FOLDER);
    std::fs::create_dir_all(&folder)?;
    let folder = File::open(folder)?;
    if flock(&folder, FlockOperation::NonBlockingLockExclusive).is_ok() {
        let left = run::end_left_over(run_dir, mark, secrets).await;
        if !left.is_empty() {
            tracing::warn!(?left, "processes of an earlier server's commands could not be ended");
        }
    }
    Ok(folder)
}

/// Without signals (never seen) the end of input is what is left.
async fn asked_to_end() {
    let kinds = [SignalKind::terminate(), SignalKind::interrupt(), SignalKind::hangup()];
    let (Ok(mut term), Ok(mut int), Ok(mut hup)) =
        (signal(kinds[0]), signal(kinds[1]), signal(kinds[2]))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
        _ = hup.recv() => {}
    }
}

/// What the agent says. Its end ends the calls: nobody is left to hear their answers.
struct Input<R> {
    input: R,
    ended: CancellationToken,
}

impl<R: AsyncRead + Unpin> AsyncRead for Input<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.input).poll_read(context, buffer);
        let ended = match &polled {
            Poll::Ready(Ok(())) => buffer.filled().len() == before && buffer.remaining() > 0,
            Poll::Ready(Err(_)) => true,
            Poll::Pending => false,
        };
        if ended {
            self.ended.cancel();
        }
        polled
    }
}
