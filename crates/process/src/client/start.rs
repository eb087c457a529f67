//! Starts a keeper, detached.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    process::{Child, Command},
};

use super::{Keeper, attach, link::Link};
use crate::{
    ProcessError, SpawnSpec,
    files::{self, EXIT_FILE, KEEPER_FILE},
    socket,
    wire::FirstWord,
};

const NAME: &str = "musher-keeper";
/// A start is a fork and an exec; this long only on a machine in trouble.
const START_LIMIT: Duration = Duration::from_secs(20);

/// The keeper's executable: `MUSHER_KEEPER`, else beside this one, else one folder up (where cargo
/// puts it for tests).
pub fn keeper_program() -> Result<PathBuf, ProcessError> {
    if let Some(named) = std::env::var_os("MUSHER_KEEPER") {
        return Ok(named.into());
    }
    let own = std::env::current_exe().map_err(ProcessError::io("finding our own program"))?;
    let name = format!("{NAME}{}", std::env::consts::EXE_SUFFIX);
    let folders = own.ancestors().skip(1).take(2);
    let mut candidates = folders.map(|folder| folder.join(&name));
    candidates.find(|path| path.is_file()).ok_or(ProcessError::KeeperMissing(own))
}

pub async fn start(keeper: &Path, run_dir: &Path, spec: SpawnSpec) -> Result<Keeper, ProcessError> {
    let order = prepare(run_dir, &spec)?;
    let mut child = spawn(keeper, run_dir)?;
    let started = tokio::time::timeout(START_LIMIT, hand_over(&mut child, &order)).await;
    let pid = match started {
        Ok(Ok(FirstWord::Started { pid })) => pid,
        Ok(Ok(FirstWord::SpawnError(why))) => return failed(child, ProcessError::Spawn(why)).await,
        Ok(Ok(FirstWord::Failed(why))) => return failed(child, ProcessError::Keeper(why)).await,
        Ok(Err(error)) => return failed(child, ProcessError::Keeper(error.to_string())).await,
        Err(_) => {
            let why = format!("it did not answer within {} s", START_LIMIT.as_secs());
            return failed(child, ProcessError::Keeper(why)).await;
        }
    };
    let link = link_to(run_dir, child).await;
    Ok(Keeper { dir: run_dir.to_owned(), child: Some(pid), link: link.into() })
}

/// A child can have ended, and its keeper with it, before we get here; or the keeper was killed, and
/// what the child was begun with is ended here.
async fn link_to(run_dir: &Path, mut child: Child) -> Link {
    let Ok(stream) = socket::connect(run_dir) else {
        let _ = tokio::time::timeout(START_LIMIT, child.wait()).await;
        return Link::over(attach::end_of(run_dir.to_owned()).await);
    };
    Link::open(run_dir.to_owned(), stream, Some(child))
}

fn prepare(run_dir: &Path, spec: &SpawnSpec) -> Result<Vec<u8>, ProcessError> {
    let doing = format!("making the run's folder {}", run_dir.display());
    files::make_private_dir(run_dir).map_err(ProcessError::io(doing))?;
    if run_dir.join(KEEPER_FILE).exists() || run_dir.join(EXIT_FILE).exists() {
        let why = format!("the folder {} has had its run already", run_dir.display());
        return Err(ProcessError::Keeper(why));
    }
    serde_json::to_vec(spec).map_err(|error| ProcessError::Keeper(error.to_string()))
}

/// The keeper's environment is empty: the child's comes with the order.
fn spawn(keeper: &Path, run_dir: &Path) -> Result<Child, ProcessError> {
    let run_dir = std::path::absolute(run_dir).map_err(ProcessError::io("finding the folder"))?;
    let mut command = Command::new(keeper);
    command
        .arg(run_dir)
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    spawn_detached(command)
        .map_err(|error| ProcessError::Keeper(format!("{}: {error}", keeper.display())))
}

/// The keeper opens its own session, so it must not be a group's leader here.
#[cfg(unix)]
fn spawn_detached(mut command: Command) -> std::io::Result<Child> {
    command.spawn()
}

/// A console of its own that nobody sees (so what it starts opens no windows, and can be sent
/// CTRL_BREAK), and outside of a job that the engine may be in, if that job lets it go.
#[cfg(windows)]
fn spawn_detached(mut command: Command) -> std::io::Result<Child> {
    use windows_sys::Win32::System::Threading::{
        CREATE_BREAKAWAY_FROM_JOB, CREATE_NEW_PROCESS_GROUP, CREATE_NO_WINDOW,
    };
    // Windows' own libraries do not load without it.
    if let Some(root) = std::env::var_os("SYSTEMROOT") {
        command.env("SYSTEMROOT", root);
    }
    let detached = CREATE_NO_WINDOW | CREATE_NEW_PROCESS_GROUP;
    command.creation_flags(detached | CREATE_BREAKAWAY_FROM_JOB);
    match command.spawn() {
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            command.creation_flags(detached).spawn()
        }
        spawned => spawned,
    }
}

async fn hand_over(child: &mut Child, order: &[u8]) -> std::io::Result<FirstWord> {
    let missing = || std::io::Error::other("a stream is missing");
    let mut stdin = child.stdin.take().ok_or_else(missing)?;
    stdin.write_all(order).await?;
    drop(stdin);
    let mut line = String::new();
    BufReader::new(child.stdout.take().ok_or_else(missing)?).read_line(&mut line).await?;
    if line.is_empty() {
        return Err(std::io::Error::other("it ended without a word"));
    }
    Ok(serde_json::from_str(&line)?)
}

/// A keeper that failed ends by itself; one that does not answer is ended.
async fn failed(mut child: Child, error: ProcessError) -> Result<Keeper, ProcessError> {
    if tokio::time::timeout(Duration::from_secs(2), child.wait()).await.is_err() {
        let _ = child.kill().await;
    }
    Err(error)
}
