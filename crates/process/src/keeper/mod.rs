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

mod child;
mod clients;
mod copier;
mod ending;
mod input;
mod orders;
mod poll;
mod record;

use std::{
    io::{self, Read, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use chrono::Utc;

use crate::{
    ExitRecord, SpawnSpec,
    cgroup::Cgroup,
    files::{self, EXIT_FILE, KEEPER_FILE, Outlives},
    socket, tree,
    tree::ProcessId,
    wire::{FirstWord, KeeperFile},
};

/// First argument of the keeper when it only opens a session and becomes the program that follows.
pub(crate) const IN_NEW_SESSION: &str = "--in-new-session";

/// The whole `musher-keeper` executable. Arguments: the run's folder.
pub fn keeper_main() -> ExitCode {
    let mut args = std::env::args_os().skip(1);
    match args.next() {
        Some(flag) if flag == IN_NEW_SESSION => become_program(args),
        Some(dir) => keep(Path::new(&dir)),
        None => {
            eprintln!("musher-keeper is started by Musher, with a run's folder.");
            ExitCode::from(2)
        }
    }
}

/// A session of its own has no terminal, so an interactive shell in it cannot be stopped for reading
/// one.
fn become_program(mut args: impl Iterator<Item = std::ffi::OsString>) -> ExitCode {
    use std::os::unix::process::CommandExt;
    let _ = rustix::process::setsid();
    if let Some(program) = args.next() {
        let error = std::process::Command::new(&program).args(args).exec();
        eprintln!("{}: {error}", program.display());
    }
    ExitCode::from(127)
}

fn keep(dir: &Path) -> ExitCode {
    match start(dir) {
        Ok(keeper) => {
            keeper.run();
            ExitCode::SUCCESS
        }
        Err(started) => {
            say(&started);
            ExitCode::FAILURE
        }
    }
}

fn start(dir: &Path) -> Result<poll::Keeper, FirstWord> {
    let failed = |doing: &str| {
        let place = format!("{doing} in {}", dir.display());
        move |error: io::Error| FirstWord::Failed(format!("{place}: {error}"))
    };
    let spec = read_spec().map_err(failed("reading the order to start"))?;
    // Fails only where we are a session's leader already, which is as good.
    let _ = rustix::process::setsid();
    become_subreaper();
    let listener = socket::bind(dir).map_err(failed("opening the socket"))?;
    let mut cgroup = Cgroup::enter_new(&spec.mark);
    let mut file = own_file(&spec, cgroup.as_ref());
    files::write_json(dir, KEEPER_FILE, &file, Outlives::Processes)
        .map_err(failed("writing keeper.json"))?;
    let child = child::spawn(&spec).map_err(|why| record_spawn_error(dir, why))?;
    if let Some(cgroup) = &mut cgroup {
        cgroup.leave();
    }
    let pid = child.pid.as_raw_nonzero().get().unsigned_abs();
    file.child = ProcessId::of(pid);
    let written = files::write_json(dir, KEEPER_FILE, &file, Outlives::Processes);
    say(&FirstWord::Started { pid });
    let _ = detach();
    let mut keeper = poll::Keeper::new(PathBuf::from(dir), listener, child, cgroup, &spec);
    if written.is_err() {
        // Without the child's pid on disk only the mark would find it: that is not enough to go on.
        keeper.end_now();
    }
    Ok(keeper)
}

fn read_spec() -> io::Result<SpawnSpec> {
    let mut text = Vec::new();
    io::stdin().read_to_end(&mut text)?;
    Ok(serde_json::from_slice(&text)?)
}

#[cfg(target_os = "linux")]
fn become_subreaper() {
    let _ = rustix::process::set_child_subreaper(Some(rustix::process::getpid()));
}

#[cfg(not(target_os = "linux"))]
fn become_subreaper() {}

fn own_file(spec: &SpawnSpec, cgroup: Option<&Cgroup>) -> KeeperFile {
    let pid = std::process::id();
    let keeper = ProcessId::of(pid).unwrap_or(ProcessId { pid, start: 0 });
    KeeperFile {
        keeper,
        child: None,
        mark: spec.mark.clone(),
        boot: tree::boot(),
        cgroup: cgroup.map(|cgroup| cgroup.path().to_owned()),
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

fn detach() -> io::Result<()> {
    let null = std::fs::OpenOptions::new().read(true).write(true).open("/dev/null")?;
    rustix::stdio::dup2_stdin(&null)?;
    rustix::stdio::dup2_stdout(&null)?;
    rustix::stdio::dup2_stderr(&null)?;
    Ok(())
}
