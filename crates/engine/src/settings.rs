//! The engine's own figures: what waits how long, and how much may be at once.

use std::time::Duration;

/// Live runs at once unless the caller says otherwise. Claude Code idles at 155 MB and works at 190
/// to 330 MB resident (measured, version 2.1.330), so eight stay under 3 GB.
pub const DEFAULT_MAX_LIVE_RUNS: usize = 8;

/// How long a permission or a question waits for a person before it denies itself.
pub const ANSWER_WITHIN: Duration = Duration::from_secs(10 * 60);

/// The largest prompt or message. A runtime takes it through a pipe, so no argument limit applies.
pub const MAX_PROMPT_BYTES: usize = 4 << 20;

/// After something that may have changed files: how long to wait for more before git is asked.
pub const CHANGES_SETTLE: Duration = Duration::from_millis(300);

/// How long the end of a run waits for git's last word about the worktree.
pub const CHANGES_AT_END: Duration = Duration::from_secs(5);

/// What the list says of a run that cannot store what happens in it.
pub const WAITS_FOR_SPACE: &str = "The disk is full: this run waits for space";
/// How long a batch that found the disk full waits before it is tried again.
pub const DISK_FULL_RETRY: Duration = Duration::from_secs(1);

/// Requests for events: bytes in one answer unless asked otherwise, and the longest wait.
pub const BATCH_BYTES: usize = 1 << 20;
pub const LONGEST_WAIT: Duration = Duration::from_millis(25_000);
