//! The one door to spawn: nothing else in Musher starts a process.
//!
//! * [`Keeper`] starts an agent's child under a *keeper*, a small process that outlives the engine,
//!   copies what the child says to spool files and ends the whole process tree with proof.
//!   [`Keeper::attach`] finds it again after a crash. [`keeper_main`] is the keeper itself.
//! * [`run`] runs short-lived commands (git), in a process group of their own, and kills them whole.
//! * [`Environment`], [`login_path`] and [`find_program`] say what a child may know and where it is.
//!
//! What holds a tree together, and what is left when the keeper itself is killed:
//!
//! | | while the keeper lives | after its death, by the next attach |
//! | --- | --- | --- |
//! | Linux | subreaper, and a cgroup where one may be made | the mark, the cgroup, their descendants |
//! | macOS | descendants, the keeper's session, the mark, what was seen before | the mark, and its descendants |
//! | Windows | a Job Object that nobody can leave | nothing: the job ends with its keeper |
//!
//! On macOS a daemon that opened a session of its own, was left by its parent and does not show its
//! environment (Apple's own programs do not) is not found. On Windows every stream is a pipe
//! (`docs/decisions/0006-windows-streams-and-jobs.md`). Windows was run under Wine only, macOS was
//! type-checked and not run.

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

pub use client::{Attached, Keeper, SpoolReader, clean, keeper_program, living};
pub use environment::Environment;
pub use error::ProcessError;
pub use keeper::keeper_main;
pub use login_path::{LoginPath, LoginPathCache, PathSource, login_path};
pub use program::find_program;
pub use run::{Cmd, Finished, Input, run};
pub use spec::{Ending, ExitRecord, Signal, SpawnSpec, Stream, Transport};
pub use tree::{ProcessId, processes_with_mark};
