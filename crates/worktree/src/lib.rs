//! What Musher knows about git: what a folder is, which worktrees and bases a repository has, how a
//! worktree is made and removed without losing work, what changed in it, and what in a repository can
//! run by itself.
//!
//! Rules that hold for the whole crate:
//! - Every git process is described in `git.rs` and nowhere else: arguments, never a shell; no
//!   prompt, pager, editor, hook, fsmonitor, external diff or network.
//! - A repository is hostile until its owner said otherwise: [`Git::new`] also turns off attributes,
//!   filters and drivers. [`Git::trusting`] lets the filters of a trusted project run (git-lfs);
//!   hooks stay off even then, because Musher's own git calls are none of the project's business.
//! - Nothing here writes to the index, the branch or the files of a checkout that Musher did not make.
//! - Only [`Git::remove`] deletes a worktree, and it first writes a ref that holds what was in it.
//!
//! Deliberately absent: landing, checkpoints, copying files into a new worktree, setup scripts.

mod answer;
mod changes;
mod create;
mod demo_repository;
mod diff;
mod error;
mod files;
mod git;
mod ignored;
mod inspect;
mod kept_bytes;
mod leave;
mod list;
mod memory;
mod naming;
mod occupants;
mod patch;
mod programs;
mod provision;
mod remove;
mod rescue;
mod trust;
mod turn;

pub use create::{CreateWorktree, Created, SPARE_MIB};
pub use error::WorktreeError;
pub use git::Git;
pub use naming::slug;
pub use remove::RemoveWorktree;
pub use trust::TrustItems;
