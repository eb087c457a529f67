//! The keeper: a small, single-threaded process that holds one child.
//!
//! It copies the child's output to spool files and never looks into it, feeds the child's input, takes
//! orders over a socket, and ends only when the child and all its descendants are gone and `exit.json`
//! says so. It outlives the engine on purpose: a session of its own, no terminal, no open descriptor
//! of the engine's. It is a *child subreaper*: what leaves the child's tree as a daemon becomes the
//! keeper's own child, so that everything the child ever started stays below the keeper. Where it may, it
//! makes a cgroup for the run as well, so that even a killed keeper's daemons are found.
//!
//! It reads its [`SpawnSpec`] as JSON from standard input up to the end, says one [`FirstWord`] line on
//! standard output, and then lets go of both.

mod attempt;
mod clients;
mod copier;
mod ending;
mod input;
mod orders;
mod record;
mod spawning;
mod state;
#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

use std::{
    io::{self, Read, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use chrono::Utc;
#[cfg(unix)]
use unix as platform;
#[cfg(windows)]
use windows as platform;

use crate::{
    ExitRecord, SpawnSpec,
    files::{self, EXIT_FILE, KEEPER_FILE, Outlives},
    socket::{self, Listener},
    tree,
    tree::ProcessId,
    wire::{FirstWord, KeeperFile},
};
use platform::Containment;
use state::Keeper;

/// First argument of the keeper when it only opens a session and becomes the program that follows.
#[cfg(unix)]
pub(crate) const IN_NEW_SESSION: &str = "--in-new-session";

/// The whole `musher-keeper` executable. Arguments: the run's folder.
pub fn keeper_main() -> ExitCode {
    let mut args = std::env::args_os().skip(1);
    match args.next() {
        #[cfg(unix)]
        Some(flag) if flag == IN_NEW_SESSION => platform::become_program(args),
        Some(dir) => platform::main(|| start(Path::new(&dir)), |started| say(&started)),
        None => {
            eprintln!("musher-keeper is started by Musher, with a run's folder.");
            ExitCode::from(2)
        }
    }
}

fn start(dir: &Path) -> Result<(Keeper, Listener), FirstWord> {
    let failed = |doing: &str| {
        let place = format!("{doing} in {}", dir.display());
        move |error: io::Error| FirstWord::Failed(format!("{place}: {error}"))
    };
    let spec = read_spec().map_err(failed("reading the order to start"))?;
    let listener = socket::bind(dir).map_err(failed("opening the socket"))?;
    let mut containment = Containment::enter(&spec).map_err(failed("holding the agent"))?;
    let mut file = own_file(&spec, &containment);
    files::write_json(dir, KEEPER_FILE, &file, Outlives::Processes)
        .map_err(failed("writing keeper.json"))?;
    let child = platform::spawn(&spec).map_err(|why| record_spawn_error(dir, why))?;
    containment.leave();
    let pid = child.pid();
    file.child = ProcessId::of(pid);
    let written = files::write_json(dir, KEEPER_FILE, &file, Outlives::Processes);
    say(&FirstWord::Started { pid });
    let _ = platform::detach();
    let mut keeper = Keeper::new(PathBuf::from(dir), child, containment, &spec);
    if written.is_err() {
        // Without the child's pid on disk only the mark would find it: that is not enough to go on.
        keeper.end_now();
    }
    Ok((keeper, listener))
}

fn read_spec() -> io::Result<SpawnSpec> {
    let mut text = Vec::new();
    io::stdin().read_to_end(&mut text)?;
    Ok(serde_json::from_slice(&text)?)
}

fn own_file(spec: &SpawnSpec, containment: &Containment) -> KeeperFile {
    let pid = std::process::id();
    let keeper = ProcessId::of(pid).unwrap_or(ProcessId { pid, start: 0 });
    KeeperFile {
        keeper,
        child: None,
        mark: spec.mark.clone(),
        boot: tree::boot(),
        cgroup: containment.cgroup(),
    }
}

fn record_spawn_error(dir: &Path, why: String) -> FirstWord {
    let record = ExitRecord {
        code: None,
        signal: None,
        at: Utc::now(),
        killed: Vec::new(),
        left: Vec::new(),
        spawn_error: Some(why.clone()),
        lost: false,
        stdout: 0,
        stderr: 0,
    };
    let _ = files::write_json(dir, EXIT_FILE, &record, Outlives::PowerCut);
    let _ = std::fs::remove_file(dir.join(files::SOCKET));
    FirstWord::SpawnError(why)
}

fn say(started: &FirstWord) {
    let mut line = serde_json::to_vec(started).unwrap_or_default();
    line.push(b'\n');
    let _ = io::stdout().write_all(&line).and_then(|()| io::stdout().flush());
}
