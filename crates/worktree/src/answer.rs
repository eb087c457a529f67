//! What a git process left, and what its complaints mean.

use std::path::Path;

use crate::error::WorktreeError;

/// What a git process left.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) code: i32,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
    /// The output was longer than the limit: what is here is its beginning.
    pub(crate) cut: bool,
}

impl Answer {
    /// Lossy: a name that is not UTF-8 shows its broken bytes as `U+FFFD`.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    pub(crate) fn line(&self) -> String {
        self.text().trim_end_matches(['\n', '\r']).to_owned()
    }
}

/// Turns what git said into an error that a person can act on. The texts are git 2.47's, in `C`.
pub(crate) fn why(answer: &Answer, dir: &Path, what: &str) -> WorktreeError {
    let said = answer.stderr.trim();
    let says = |part: &str| said.contains(part);
    let path = dir.to_owned();
    if answer.cut {
        WorktreeError::TooMuch(what.to_owned())
    } else if let Some(missing) = WorktreeError::missing(dir) {
        missing
    } else if says("promisor remote") || says("lazy fetching disabled") {
        WorktreeError::NotFetched(path)
    } else if says("File name too long") {
        WorktreeError::NameTooLong(what.to_owned())
    } else if says("dubious ownership") {
        WorktreeError::OwnedByAnother(path)
    } else if says("not a git repository") && !says("gitdir") && !dir.join(".git").exists() {
        WorktreeError::NotARepository(path)
    } else if says("invalid gitfile format") || says("not a git repository") || says("bad config") {
        WorktreeError::Broken { path, said: first_line(said) }
    } else if says("No space left on device") {
        WorktreeError::DiskFull { path, free_mib: 0, need_mib: 1 }
    } else if says("Read-only file system") {
        WorktreeError::NoPermission(path)
    } else if is_passing(said) {
        WorktreeError::Locked(path)
    } else if says("Permission denied") {
        WorktreeError::NoPermission(path)
    } else {
        WorktreeError::Failed { what: what.to_owned(), said: first_line(said) }
    }
}

fn is_lock_error(said: &str) -> bool {
    (said.contains(".lock'") && said.contains("File exists"))
        || (said.contains("cannot lock ref")
            && !said.contains("reference already exists")
            && !said.contains("but expected")
            && !said.contains("Read-only file system")
            && !said.contains("File name too long"))
}

/// Another git is in the middle of something, and the same call will do in a moment: it holds a lock,
/// has made a worktree's `commondir` but not filled it (git 2.47, `get_common_dir_noenv`: "failed to
/// read ...: Success"), wrote into a record while it was deleted, or pruned a record in the moment in
/// which it was made and not yet locked (`worktree.c`, `add_worktree` and `should_prune_worktree`), or
/// deleted the folder of all records with the last of them while others looked (`abspath.c`).
pub(crate) fn is_passing(said: &str) -> bool {
    is_lock_error(said)
        || (said.contains("failed to read") && said.contains("commondir"))
        || (said.contains("failed to delete") && said.contains("Directory not empty"))
        || said.contains("for writing: No such file or directory")
        || (said.contains("Invalid path") && said.contains("/worktrees'"))
}

/// The line that says most, as the end of a sentence: the first `fatal:` or `error:`, else the first.
fn first_line(said: &str) -> String {
    let is_telling = |line: &&str| line.starts_with("fatal:") || line.starts_with("error:");
    let line = said.lines().find(is_telling).or(said.lines().next()).unwrap_or("git said nothing");
    let text = line.trim_start_matches("fatal: ").trim_start_matches("error: ");
    let text: String = text.trim_end_matches('.').chars().take(400).collect();
    format!("{text}.")
}
