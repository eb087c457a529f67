//! What a dropped or named folder is, and what can be done with it.

use serde::{Deserialize, Serialize};
use ts_rs::TS;

use crate::{FileChange, Hunk, ProjectId};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
#[ts(export_to = "contract.ts")]
pub enum FolderKind {
    MainCheckout,
    LinkedWorktree,
    BareRepository,
    /// A folder that is in no repository.
    PlainFolder,
    File,
    Missing,
    /// Something that Musher cannot read (rights, a broken repository, git missing).
    #[serde(other)]
    Unusable,
}

/// What a path is. `sentence` says it to a person, `next` what can be done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export_to = "contract.ts")]
pub struct FolderReport {
    pub path: String,
    pub kind: FolderKind,
    /// The checkout the path lies in, when it lies in one: absolute.
    pub top: Option<String>,
    /// The repository's main checkout or bare folder: absolute.
    pub root: Option<String>,
    pub branch: Option<String>,
    /// The commit checked out, absent in a repository without commits.
    pub head: Option<String>,
    pub sentence: String,
    pub next: String,
    /// The project that it belongs to already.
    pub project: Option<ProjectId>,
    /// Whether dropping it does something.
    pub usable: bool,
}

/// A checkout of a project.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export_to = "contract.ts")]
pub struct Worktree {
    /// Absolute.
    pub path: String,
    pub branch: Option<String>,
    pub head: Option<String>,
    pub main: bool,
    /// Made by Musher.
    pub owned: bool,
    pub locked: bool,
    /// git's record of it is there, the folder is not.
    pub missing: bool,
}

/// A branch or tag that work can start from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export_to = "contract.ts")]
pub struct BaseChoice {
    pub name: String,
    pub commit: String,
    /// Of the commit, its first line.
    pub subject: String,
    /// The one that is offered first: the branch checked out in the main checkout.
    pub default: bool,
    /// Commits that its remote branch has and it has not; absent without a remote branch.
    pub behind: Option<u32>,
}

/// What differs between a worktree and its base.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export_to = "contract.ts")]
pub struct WorktreeChanges {
    pub files: Vec<FileChange>,
    pub branch: Option<String>,
    pub head: Option<String>,
    /// Commits since the base.
    pub ahead: u32,
}

/// The diff of one file against the base.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
#[ts(export_to = "contract.ts")]
pub struct FileDiff {
    pub change: FileChange,
    pub hunks: Vec<Hunk>,
    /// The diff was longer than what is sent; what is shown is its beginning.
    pub truncated: bool,
}

/// Why a worktree is not removed: each is work or a process that would be lost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(tag = "reason", rename_all = "snake_case")]
#[ts(export_to = "contract.ts")]
pub enum RemovalRefusal {
    TrackedChanges {
        files: Vec<String>,
    },
    UntrackedFiles {
        files: Vec<String>,
    },
    /// Commits that no other ref reaches.
    UniqueCommits {
        commits: Vec<String>,
    },
    DetachedHead {
        commit: String,
    },
    ProcessInside {
        pid: u32,
        name: String,
    },
    RunUsesIt {
        run: String,
    },
    MainCheckout,
    /// Locked by `git worktree lock`.
    Locked {
        why: String,
    },
}

/// What came of a removal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export_to = "contract.ts")]
pub struct RemovalReport {
    pub removed: bool,
    pub refusals: Vec<RemovalRefusal>,
    /// The ref that keeps all the worktree held.
    pub rescue_ref: Option<String>,
    pub sentence: String,
}
