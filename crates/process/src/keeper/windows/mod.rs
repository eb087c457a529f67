//! The keeper on Windows: one thread around a `tokio` loop, and a Job Object for the run.
//!
//! The keeper puts *itself* in a job before it starts the child, so the child and all that it starts are
//! in it from their first moment and cannot leave. Its handle is the only one: when the keeper is
//! killed, Windows kills the tree. To end the tree and live on, the child is put in a second job inside
//! the first, which is closed; what had escaped the second before it was closed is killed one by one.
//!
//! Outside of any job stays what another process starts for the child: a service, the task scheduler,
//! WMI. The mark in the environment does not find those either.

mod child;
mod connection;
mod events;
mod streams;

use std::{io, path::PathBuf, process::ExitCode, time::Instant};

use tokio::process::{ChildStderr, ChildStdout};

pub use child::{Child, spawn};
pub use connection::Connection;
pub use streams::Stdin;

use super::state::{Ended, Keeper, Seen};
use crate::{Signal, SpawnSpec, console, job::Job, socket::Listener, tree::ProcessId};

pub type Stdout = ChildStdout;
pub type Stderr = ChildStderr;

/// The job that the keeper shares with the child's tree.
pub struct Containment {
    job: Job,
}

impl Containment {
    /// What is started from now on is held.
    pub fn enter(_spec: &SpawnSpec) -> io::Result<Self> {
        let job = Job::new()?;
        job.take_in_self()?;
        Ok(Self { job })
    }

    pub fn cgroup(&self) -> Option<PathBuf> {
        None
    }

    /// A job cannot be left.
    pub fn leave(&mut self) {}
}

impl Drop for Containment {
    /// The keeper is in the job as well: closed as it is, it would take the keeper along, in the middle
    /// of its last words. A keeper that is killed does not come here.
    fn drop(&mut self) {
        self.job.spare();
    }
}

/// The child and its tree.
pub struct Host {
    pid: u32,
    child: tokio::process::Child,
    /// Seen by the loop, not looked at yet.
    just_ended: Option<Ended>,
    ended: bool,
    containment: Containment,
    /// Closed to kill what is in it.
    tree: Option<Job>,
}

impl Host {
    pub fn new(
        child: Child,
        containment: Containment,
        _spec: &SpawnSpec,
    ) -> (Stdin, Stdout, Stderr, Self) {
        let tree = Job::new().ok();
        let taken = tree.as_ref().zip(child.process.raw_handle());
        // Without it, the first job's list is enough.
        let inside = taken.is_some_and(|(job, process)| job.take_in(process).is_ok());
        let host = Self {
            pid: child.pid,
            child: child.process,
            just_ended: None,
            ended: false,
            containment,
            tree: tree.filter(|_| inside),
        };
        (Stdin::new(child.stdin), child.stdout, child.stderr, host)
    }

    pub fn child(&self) -> u32 {
        self.pid
    }

    /// Waits for the child's end; the next look shows it. For ever, once it was seen.
    async fn wait(&mut self) {
        if self.ended {
            std::future::pending::<()>().await;
        }
        let status = self.child.wait().await;
        self.ended = true;
        let code = status.ok().and_then(|status| status.code());
        self.just_ended = Some(Ended { code, signal: None });
    }

    pub fn look(&mut self) -> Seen {
        Seen { ended: self.just_ended.take(), alone: self.ended && self.living().is_empty() }
    }

    pub fn next_look(&self, _now: Instant) -> Option<Instant> {
        None
    }

    /// A tree too large to be listed is at least the child.
    pub fn living(&self) -> Vec<u32> {
        let mut found = self.containment.job.processes().unwrap_or_else(|| vec![self.pid]);
        found.retain(|&pid| pid != std::process::id());
        found
    }

    /// False: nobody can be asked.
    pub fn terminate(&self) -> bool {
        console::send_break(self.pid).is_ok()
    }

    /// The pids that were killed.
    pub fn kill(&mut self) -> Vec<u32> {
        let found = self.living();
        if self.tree.take().is_none() {
            found.iter().copied().filter_map(ProcessId::of).for_each(ProcessId::kill);
        }
        found
    }

    /// A terminal of Windows draws and does not carry bytes, so no agent has one (decision 6).
    pub fn resize(&self, _cols: u16, _rows: u16, _terminal: Option<&Stdout>) -> Option<String> {
        Some("The agent has no terminal to resize.".into())
    }

    pub fn signal(&mut self, signal: Signal) -> Option<String> {
        if self.ended {
            return Some("The agent has ended already.".into());
        }
        match signal {
            Signal::Interrupt | Signal::Hangup | Signal::Terminate => {
                let sent = console::send_break(self.pid);
                sent.err().map(|error| format!("The agent could not be signalled: {error}."))
            }
            Signal::Kill => {
                self.kill();
                None
            }
            Signal::Stop | Signal::Continue => {
                Some("Windows cannot stop an agent and let it go on.".into())
            }
        }
    }
}

/// Runs a keeper that `start` has made, or does what `failed` says.
pub fn main<E>(
    start: impl FnOnce() -> Result<(Keeper, Listener), E>,
    failed: impl FnOnce(E),
) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("musher-keeper: {error}");
            return ExitCode::FAILURE;
        }
    };
    let code = runtime.block_on(async {
        match start() {
            Ok((keeper, listener)) => {
                keeper.run(listener).await;
                ExitCode::SUCCESS
            }
            Err(error) => {
                failed(error);
                ExitCode::FAILURE
            }
        }
    });
    // A read of a stream that a stranger holds open is not waited for.
    runtime.shutdown_background();
    code
}

/// Nothing to let go of: the engine closes its ends, and ours hold up nobody.
pub fn detach() -> io::Result<()> {
    Ok(())
}
