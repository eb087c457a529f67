//! Finds a run again after the engine was away.

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use chrono::Utc;
use tokio::{
    task::spawn_blocking,
    time::{Instant, timeout},
};

use super::{Keeper, link::Link};
use crate::{
    ExitRecord, ProcessError, Stream,
    files::{self, EXIT_FILE, KEEPER_FILE, Outlives, SOCKET},
    socket::{self, Stream as Socket},
    tree::{self, Swept},
    wire::{KeeperFile, Request},
};

/// How long a living keeper may be without its socket (it is starting, or has just ended).
const SOCKET_LIMIT: Duration = Duration::from_secs(2);
const SOCKET_LOOK: Duration = Duration::from_millis(20);
/// A keeper answers at once; one that does not in this time was stopped.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);

/// What became of a run.
pub enum Attached {
    Live(Keeper),
    /// It ended; [`super::SpoolReader::of_ended`] reads what it said.
    Ended(ExitRecord),
    /// Its keeper was killed. What was left of the tree is ended now, but for `left`. A later attach
    /// says `Ended` with `lost`.
    Lost {
        killed: Vec<u32>,
        left: Vec<u32>,
    },
}

pub async fn attach(dir: &Path) -> Result<Attached, ProcessError> {
    match find(dir).await? {
        Found::Listening(stream) => live(dir, stream).await,
        Found::Ended(record) => Ok(Attached::Ended(record)),
        Found::Dead => Ok(ended(end_of(dir.to_owned()).await)),
    }
}

/// A run's keeper, as it shows from outside.
pub enum Found {
    Listening(Socket),
    Ended(ExitRecord),
    /// There is none, or none that listens, and no record.
    Dead,
}

pub async fn find(dir: &Path) -> Result<Found, ProcessError> {
    let until = Instant::now() + SOCKET_LIMIT;
    loop {
        // First, because a keeper still listens for a moment when the end is recorded.
        if let Some(record) = files::read_json(dir, EXIT_FILE) {
            return Ok(Found::Ended(record));
        }
        match socket::connect(dir) {
            Ok(stream) => return Ok(Found::Listening(stream)),
            Err(error) if is_deaf(&error) => {}
            Err(error) => return Err(ProcessError::io("reaching the agent's keeper")(error)),
        }
        let file: Option<KeeperFile> = files::read_json(dir, KEEPER_FILE);
        let lives = file.is_some_and(|file| file.boot == tree::boot() && file.keeper.is_alive());
        if !lives || Instant::now() > until {
            return Ok(Found::Dead);
        }
        tokio::time::sleep(SOCKET_LOOK).await;
    }
}

/// What to say of an end that was found out just now.
fn ended(record: ExitRecord) -> Attached {
    if record.lost {
        return Attached::Lost { killed: record.killed, left: record.left };
    }
    Attached::Ended(record)
}

/// It lives only if it answers: a keeper that was just killed still takes connections.
async fn live(dir: &Path, stream: Socket) -> Result<Attached, ProcessError> {
    let file: Option<KeeperFile> = files::read_json(dir, KEEPER_FILE);
    let child = file.and_then(|file| file.child).map(|child| child.pid);
    let link = Link::open(dir.to_owned(), stream, None);
    match timeout(ANSWER_LIMIT, link.call(Request::Attach)).await {
        Ok(Ok(())) => Ok(Attached::Live(Keeper { dir: dir.to_owned(), child, link: link.into() })),
        Ok(Err(_)) => Ok(ended(link.exited().await)),
        Err(_) => Err(ProcessError::Refused(format!(
            "The keeper of the run in {} does not answer; end it, and look again.",
            dir.display()
        ))),
    }
}

fn is_deaf(error: &io::Error) -> bool {
    // Would block: on Windows, a keeper that is about to take the next connection.
    use io::ErrorKind::{ConnectionRefused, NotFound, WouldBlock};
    matches!(error.kind(), NotFound | ConnectionRefused | WouldBlock)
}

/// The end of a run whose keeper does not answer any more: as recorded, else as swept up now.
pub async fn end_of(dir: PathBuf) -> ExitRecord {
    let swept = spawn_blocking(move || {
        if let Some(record) = files::read_json(&dir, EXIT_FILE) {
            return record;
        }
        let file: Option<KeeperFile> = files::read_json(&dir, KEEPER_FILE);
        let swept = file.map(|file| tree::sweep(&file)).unwrap_or_default();
        // The keeper may have recorded the end while we looked.
        files::read_json(&dir, EXIT_FILE).unwrap_or_else(|| record_lost(&dir, swept))
    });
    swept.await.unwrap_or_else(|_| unknown_end())
}

/// What lives of a run, its keeper first; `None` when its folder does not tell.
pub async fn living(run_dir: &Path) -> Option<Vec<u32>> {
    let file: KeeperFile = files::read_json(run_dir, KEEPER_FILE)?;
    spawn_blocking(move || tree::living(&file)).await.ok()
}

fn record_lost(dir: &Path, swept: Swept) -> ExitRecord {
    let record = ExitRecord { killed: swept.killed, left: swept.left, ..unknown_end() };
    if dir.exists()
        && let Err(error) = files::write_json(dir, EXIT_FILE, &record, Outlives::PowerCut)
    {
        tracing::warn!(%error, "the end of a lost run could not be written down");
    }
    record
}

pub fn unknown_end() -> ExitRecord {
    ExitRecord {
        code: None,
        signal: None,
        at: Utc::now(),
        killed: Vec::new(),
        left: Vec::new(),
        spawn_error: None,
        lost: true,
        stdout: 0,
        stderr: 0,
    }
}

/// Removes what a run that is over needs no more: spools and socket. The records stay.
///
/// # Errors
/// `Refused` while the run is not over.
pub fn clean(run_dir: &Path) -> Result<(), ProcessError> {
    if !run_dir.join(EXIT_FILE).exists() {
        return Err(ProcessError::Refused("The run is not over; its output is kept.".into()));
    }
    let doing = || ProcessError::io(format!("tidying {}", run_dir.display()));
    for stream in [Stream::Stdout, Stream::Stderr] {
        for start in files::segments(run_dir, stream).map_err(doing())? {
            remove(&files::segment(run_dir, stream, start)).map_err(doing())?;
        }
    }
    remove(&run_dir.join(SOCKET)).map_err(doing())
}

fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
