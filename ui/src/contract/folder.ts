// Generated from crates/protocol by `cargo xtask generate`. Do not edit.

import type {
  FileChange,
} from './event';
import type {
  ProjectId,
} from './ids';
import type {
  Hunk,
} from './tool';

/**
 * A branch or tag that work can start from.
 */
export type BaseChoice = { name: string, commit: string, 
/**
 * Of the commit, its first line.
 */
subject: string, 
/**
 * The one that is offered first: the branch checked out in the main checkout.
 */
default: boolean, 
/**
 * Commits that its remote branch has and it has not; absent without a remote branch.
 */
behind: number | null, };

/**
 * The diff of one file against the base.
 */
export type FileDiff = { change: FileChange, hunks: Array<Hunk>, 
/**
 * The diff was longer than what is sent; what is shown is its beginning.
 */
truncated: boolean, };

export type FolderKind = "main_checkout" | "linked_worktree" | "bare_repository" | "plain_folder" | "file" | "missing" | "unusable";

/**
 * What a path is. `sentence` says it to a person, `next` what can be done.
 */
export type FolderReport = { path: string, kind: FolderKind, 
/**
 * The checkout the path lies in, when it lies in one: absolute.
 */
top: string | null, 
/**
 * The repository's main checkout or bare folder: absolute.
 */
root: string | null, branch: string | null, 
/**
 * The commit checked out, absent in a repository without commits.
 */
head: string | null, sentence: string, next: string, 
/**
 * The project that it belongs to already.
 */
project: ProjectId | null, 
/**
 * Whether dropping it does something.
 */
usable: boolean, };

/**
 * Why a worktree is not removed: each is work or a process that would be lost.
 */
export type RemovalRefusal = { "reason": "tracked_changes", files: Array<string>, } | { "reason": "untracked_files", files: Array<string>, } | { "reason": "unique_commits", commits: Array<string>, } | { "reason": "detached_head", commit: string, } | { "reason": "process_inside", pid: number, name: string, } | { "reason": "run_uses_it", run: string, } | { "reason": "main_checkout" } | { "reason": "locked", why: string, };

/**
 * What came of a removal.
 */
export type RemovalReport = { removed: boolean, refusals: Array<RemovalRefusal>, 
/**
 * The ref that keeps all the worktree held.
 */
rescue_ref: string | null, sentence: string, };

/**
 * A checkout of a project.
 */
export type Worktree = { 
/**
 * Absolute.
 */
path: string, branch: string | null, head: string | null, main: boolean, 
/**
 * Made by Musher.
 */
owned: boolean, locked: boolean, 
/**
 * git's record of it is there, the folder is not.
 */
missing: boolean, };

/**
 * What differs between a worktree and its base.
 */
export type WorktreeChanges = { files: Array<FileChange>, branch: string | null, head: string | null, 
/**
 * Commits since the base.
 */
ahead: number, };
