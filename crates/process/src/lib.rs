//! The one door to spawn: nothing else in Musher starts a process.
//!
//! * [`Keeper`] starts an agent's child under a *keeper*, a small process that outlives the engine,
//!   copies what the child says to spool files and ends the whole process tree with proof.
//!   [`Keeper::attach`] finds it again after a crash. [`keeper_main`] is the keeper itself.
//! * [`run`] runs short-lived commands (git), in a process group of their own, and kills them whole.
//! * [`Environment`], [`login_path`] and [`find_program`] say what a child may know and where it is.
//!
//! Linux is complete. On other Unix systems the tree is read from `ps`, daemons that left the tree
//! are not found again (there is no subreaper), a socket path over the system's limit is refused, and
//! the mark of a lost run is not searched for. On Windows starting and attaching say that they are not
//! yet supported; ConPTY (through `portable-pty`) and a Job Object belong there.

#[cfg_attr(windows, allow(dead_code, reason = "nobody makes one there"))]
mod cgroup;
mod client;
#[cfg(windows)]
mod console;
mod environment;
mod error;
mod files;
#[cfg(windows)]
mod job;
mod keeper;
mod login_path;
mod program;
mod run;
mod socket;
mod spec;
mod tree;
mod wire;

pub use client::{Attached, Keeper, SpoolReader, clean, keeper_program};
pub use environment::Environment;
pub use error::ProcessError;
pub use keeper::keeper_main;
pub use login_path::{LoginPath, LoginPathCache, PathSource, login_path};
pub use program::find_program;
pub use run::{Cmd, Finished, Input, run};
pub use spec::{Ending, ExitRecord, Signal, SpawnSpec, Stream, Transport};
pub use tree::{ProcessId, processes_with_mark};
