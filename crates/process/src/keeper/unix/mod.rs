//! The keeper on Unix: one thread around `poll`, a session of its own, and on Linux a subreaper with a
//! cgroup for the run.

mod child;
mod connection;
mod poll;
#[cfg(any(test, not(target_os = "linux")))]
mod sigchld;
mod streams;

use std::{
    io,
    os::{fd::OwnedFd, unix::process::CommandExt},
    path::PathBuf,
    process::ExitCode,
    time::{Duration, Instant},
};

use rustix::{
    process::{Pid, WaitStatus},
    termios::Winsize,
};

pub use child::{Child, spawn};
pub use connection::Connection;

use super::state::{Ended, Keeper, Seen};
use crate::{
    Signal, SpawnSpec, Transport,
    cgroup::Cgroup,
    socket::Listener,
    tree::{self, ProcessId},
};

pub type Stdin = OwnedFd;
pub type Stdout = OwnedFd;
pub type Stderr = OwnedFd;

/// How often to look for the child's end should it not be possible to wait for it.
const LOOK_FOR_EXIT: Duration = Duration::from_millis(100);

/// What holds the child's tree together.
pub struct Containment {
    cgroup: Option<Cgroup>,
    #[cfg_attr(target_os = "linux", expect(dead_code, reason = "nothing leaves a subreaper"))]
    mark: String,
    /// What was seen of the tree, where it can leave us.
    #[cfg(not(target_os = "linux"))]
    known: std::cell::RefCell<std::collections::HashSet<ProcessId>>,
}

impl Containment {
    /// What is started from now on is held.
    pub fn enter(spec: &SpawnSpec) -> io::Result<Self> {
        // Fails only where we are a session's leader already, which is as good.
        let _ = rustix::process::setsid();
        become_subreaper();
        Ok(Self {
            cgroup: Cgroup::enter_new(&spec.mark),
            mark: spec.mark.clone(),
            #[cfg(not(target_os = "linux"))]
            known: Default::default(),
        })
    }

    pub fn cgroup(&self) -> Option<PathBuf> {
        self.cgroup.as_ref().map(|cgroup| cgroup.path().to_owned())
    }

    /// What is started from now on is not held by the cgroup; the child is.
    pub fn leave(&mut self) {
        if let Some(cgroup) = &mut self.cgroup {
            cgroup.leave();
        }
    }

    /// The living that have left the tree.
    #[cfg(not(target_os = "linux"))]
    fn listed(&self) -> Vec<ProcessId> {
        let mut known = self.known.borrow_mut();
        let found = tree::of_run(&self.mark, &known);
        known.clone_from(&found);
        found.into_iter().collect()
    }

    /// The living in the cgroup; what left the tree and is in none is still below the subreaper.
    #[cfg(target_os = "linux")]
    fn listed(&self) -> Vec<ProcessId> {
        let listed = self.cgroup.as_ref().map(Cgroup::processes).unwrap_or_default();
        listed.into_iter().filter_map(ProcessId::of).collect()
    }
}

#[cfg(target_os = "linux")]
fn become_subreaper() {
    let _ = rustix::process::set_child_subreaper(Some(rustix::process::getpid()));
}

#[cfg(not(target_os = "linux"))]
fn become_subreaper() {}

/// The child and its tree.
pub struct Host {
    child: Pid,
    ended: bool,
    /// Readable when the child has ended.
    exit_watch: Option<OwnedFd>,
    has_terminal: bool,
    containment: Containment,
}

impl Host {
    pub fn new(
        child: Child,
        containment: Containment,
        spec: &SpawnSpec,
    ) -> (Stdin, Stdout, Stderr, Self) {
        let host = Self {
            child: child.pid,
            ended: false,
            exit_watch: watch_exit(child.pid),
            has_terminal: spec.transport == Transport::Pty,
            containment,
        };
        (child.stdin, child.stdout, child.stderr, host)
    }

    pub fn child(&self) -> u32 {
        self.child.as_raw_nonzero().get().unsigned_abs()
    }

    /// Collects the dead.
    pub fn look(&mut self) -> Seen {
        #[cfg(not(target_os = "linux"))]
        self.exit_watch.iter().for_each(sigchld::drain);
        let mut seen = Seen { ended: None, alone: false };
        loop {
            match reap() {
                Reaped::One(pid, status) if pid == self.child => {
                    self.ended = true;
                    self.exit_watch = None;
                    let (code, signal) = (status.exit_status(), status.terminating_signal());
                    seen.ended = Some(Ended { code, signal });
                }
                Reaped::One(..) => {}
                Reaped::NoneDead => return seen,
                Reaped::NoChildren => {
                    seen.alone = self.containment.listed().is_empty();
                    return seen;
                }
            }
        }
    }

    pub fn next_look(&self, now: Instant) -> Option<Instant> {
        (!self.ended && self.exit_watch.is_none()).then(|| now + LOOK_FOR_EXIT)
    }

    pub fn living(&self) -> Vec<u32> {
        self.below().iter().map(|process| process.pid).collect()
    }

    /// True: everybody was asked.
    pub fn terminate(&self) -> bool {
        use rustix::process::Signal;
        for process in self.below() {
            process.signal(Signal::TERM);
            // A stopped process takes TERM only when it goes on.
            process.signal(Signal::CONT);
        }
        true
    }

    /// The pids that were sent KILL.
    pub fn kill(&mut self) -> Vec<u32> {
        let below = self.below();
        below.iter().for_each(|process| process.kill());
        if let Some(cgroup) = &self.containment.cgroup {
            cgroup.kill();
        }
        below.iter().map(|process| process.pid).collect()
    }

    /// All that came from the child and lives.
    fn below(&self) -> Vec<ProcessId> {
        let mut found = tree::descendants(std::process::id());
        for more in self.containment.listed() {
            if !found.contains(&more) {
                found.push(more);
            }
        }
        found
    }

    pub fn resize(&self, cols: u16, rows: u16, terminal: Option<&Stdout>) -> Option<String> {
        if !self.has_terminal {
            return Some("The agent has no terminal to resize.".into());
        }
        let size = Winsize { ws_row: rows, ws_col: cols, ws_xpixel: 0, ws_ypixel: 0 };
        let done = rustix::termios::tcsetwinsize(terminal?, size);
        done.err().map(|error| format!("The agent's terminal could not be resized: {error}."))
    }

    /// The child's pid is its group's id, and stays taken until the child is collected.
    pub fn signal(&mut self, signal: Signal) -> Option<String> {
        if self.ended {
            return Some("The agent has ended already.".into());
        }
        let sent = rustix::process::kill_process_group(self.child, signal.native());
        sent.err().map(|error| format!("The agent could not be signalled: {error}."))
    }
}

/// Collects one dead child of ours, if there is one.
fn reap() -> Reaped {
    match rustix::process::wait(rustix::process::WaitOptions::NOHANG) {
        Ok(Some((pid, status))) => Reaped::One(pid, status),
        Ok(None) => Reaped::NoneDead,
        Err(error) if error == rustix::io::Errno::INTR => Reaped::NoneDead,
        Err(_) => Reaped::NoChildren,
    }
}

enum Reaped {
    One(Pid, WaitStatus),
    /// Children live, none is dead.
    NoneDead,
    /// There is no child at all. For a subreaper: no descendant either.
    NoChildren,
}

#[cfg(target_os = "linux")]
fn watch_exit(child: Pid) -> Option<OwnedFd> {
    use rustix::process::{PidfdFlags, pidfd_open};
    pidfd_open(child, PidfdFlags::empty()).ok()
}

#[cfg(not(target_os = "linux"))]
fn watch_exit(_child: Pid) -> Option<OwnedFd> {
    sigchld::watch().ok()
}

/// Runs a keeper that `start` has made, or does what `failed` says.
pub fn main<E>(
    start: impl FnOnce() -> Result<(Keeper, Listener), E>,
    failed: impl FnOnce(E),
) -> ExitCode {
    match start() {
        Ok((keeper, listener)) => {
            keeper.run(&listener);
            ExitCode::SUCCESS
        }
        Err(error) => {
            failed(error);
            ExitCode::FAILURE
        }
    }
}

/// A session of its own has no terminal, so an interactive shell in it cannot be stopped for reading
/// one.
pub fn become_program(mut args: impl Iterator<Item = std::ffi::OsString>) -> ExitCode {
    let _ = rustix::process::setsid();
    if let Some(program) = args.next() {
        let error = std::process::Command::new(&program).args(args).exec();
        eprintln!("{}: {error}", program.display());
    }
    ExitCode::from(127)
}

/// Lets go of the streams that the engine started us with.
pub fn detach() -> io::Result<()> {
    let null = std::fs::OpenOptions::new().read(true).write(true).open("/dev/null")?;
    rustix::stdio::dup2_stdin(&null)?;
    rustix::stdio::dup2_stdout(&null)?;
    rustix::stdio::dup2_stderr(&null)?;
    Ok(())
}
