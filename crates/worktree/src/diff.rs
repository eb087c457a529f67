//! The diff of one file of a worktree against its base.

use std::path::Path;

use musher_protocol::{ChangeKind, FileChange, FileDiff};

use crate::changes::{blank, check_commit, diff_error, parse_diff, parse_status, untracked};
use crate::error::Result;
use crate::files::{Content, content, inside};
use crate::git::{Git, Prepared};
use crate::patch::{Patch, all_added, parse};

/// Read of a new file; what is longer is cut.
const SHOWN_BYTES: u64 = 4 << 20;

impl Git {
    /// The diff of `path` (relative, as [`Git::changes`] names it) against the commit `base` (empty:
    /// against nothing), of at most `max_lines` lines.
    pub async fn diff(
        &self,
        worktree: &Path,
        base: &str,
        path: &str,
        max_lines: usize,
    ) -> Result<FileDiff> {
        check_commit(base)?;
        let whole = inside(worktree, path)?;
        let ready = self.prepare(worktree).await?;
        let base_tree = if base.is_empty() { ready.empty_tree } else { base };
        let listing = self.diff_call(worktree, base_tree).prepared(&ready).answer().await?;
        if listing.code != 0 {
            return Err(diff_error(&listing, worktree, base));
        }
        let known = parse_diff(&listing.text()).remove(path);
        let untracked_now = self.untracked_or_conflicted(worktree, path, &ready).await?;
        match (known, untracked_now) {
            (Some(change), Some(kind)) if kind == ChangeKind::Conflicted => {
                self.tracked_diff(
                    worktree,
                    base_tree,
                    FileChange { kind, ..change },
                    max_lines,
                    &ready,
                )
                .await
            }
            (Some(change), None) => {
                self.tracked_diff(worktree, base_tree, change, max_lines, &ready).await
            }
            (_, Some(_)) => Ok(new_file_diff(worktree, path, &whole, max_lines)),
            (None, None) => Ok(FileDiff {
                change: blank(path, ChangeKind::Other),
                hunks: Vec::new(),
                truncated: false,
            }),
        }
    }

    async fn untracked_or_conflicted(
        &self,
        worktree: &Path,
        path: &str,
        ready: &Prepared,
    ) -> Result<Option<ChangeKind>> {
        let answer = self.status_call(worktree).arg("--").arg(path).prepared(ready).done().await?;
        let status = parse_status(&answer.text());
        Ok(match status {
            s if s.conflicted.iter().any(|p| p == path) => Some(ChangeKind::Conflicted),
            s if s.untracked.iter().any(|p| p == path) => Some(ChangeKind::Untracked),
            _ => None,
        })
    }

    async fn tracked_diff(
        &self,
        worktree: &Path,
        base: &str,
        change: FileChange,
        max_lines: usize,
        ready: &Prepared,
    ) -> Result<FileDiff> {
        let call = self
            .comparison(worktree)
            .args(["-U3", "--src-prefix=a/", "--dst-prefix=b/", "-p", base, "--", &change.path])
            .args(change.old_path.as_deref());
        let answer = call.prepared(ready).done().await?;
        let Patch { hunks, truncated } = parse(&answer.text(), max_lines);
        Ok(FileDiff { change, hunks, truncated: truncated || answer.cut })
    }
}

fn new_file_diff(worktree: &Path, path: &str, whole: &Path, max_lines: usize) -> FileDiff {
    let change = untracked(worktree, path);
    let patch = match content(whole, SHOWN_BYTES) {
        Content::Text { text, cut } => {
            let patch = all_added(&text, max_lines);
            Patch { truncated: patch.truncated || cut, ..patch }
        }
        Content::Binary | Content::Nothing => Patch::default(),
    };
    FileDiff { change, hunks: patch.hunks, truncated: patch.truncated }
}
