//! The ref that keeps what a worktree held before it goes: `refs/musher/rescue/<branch>-<time>`.
//!
//! It is a commit with the whole state of the files, untracked ones included, made through an index of
//! our own, so the worktree's index, branch and hooks are untouched. Its first parent is `HEAD`; when
//! something was staged that differs, a second parent holds that (as `git stash` does). Bytes are kept
//! as they are: no filter and no change of line ends. When nothing differs from `HEAD`, the ref is
//! `HEAD` itself. A last parent holds the commits that only the worktree remembered, when there are any.
//!
//! Not kept here: ignored files (they are copied), empty folders, and modes other than executable. What git would keep in
//! name only (a repository inside of the worktree, a filled submodule) stops the removal.

use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};

use crate::changes::Status;
use crate::error::{Result, WorktreeError};
use crate::git::{Call, Git, LONG_LIMIT, Place};
use crate::list::Listed;

const NAME: &str = "Musher";
const EMAIL: &str = "musher@localhost";
/// Bytes of a branch's name in the ref's.
const LONGEST_NAME: usize = 120;

/// What is to be kept.
pub(crate) struct Held<'a> {
    pub(crate) root: &'a Path,
    pub(crate) worktree: &'a Listed,
    /// Absent when the folder is gone: then only its commit can be kept.
    pub(crate) status: Option<&'a Status>,
    /// Its commit is on another branch, and no file differs from it.
    pub(crate) is_kept: bool,
    pub(crate) at: DateTime<Utc>,
}

impl Git {
    /// Writes the rescue ref and gives its name; `None` when all of it is elsewhere, or there is neither
    /// a file nor a commit.
    pub(crate) async fn rescue(&self, held: &Held<'_>) -> Result<Option<String>> {
        let dirty = held.status.is_some_and(|s| !s.tracked.is_empty() || !s.untracked.is_empty());
        let head = held.worktree.head.as_ref();
        let earlier = self.earlier(held).await?;
        let commit = match (dirty, head, earlier) {
            (true, _, earlier) => self.snapshot(held, earlier).await?,
            (false, Some(_), None) if held.is_kept => return Ok(None),
            (false, Some(head), None) => head.clone(),
            (false, None, Some(earlier)) => earlier,
            (false, None, None) => return Ok(None),
            (false, Some(head), Some(earlier)) => {
                let tree = format!("{head}^{{tree}}");
                self.commit(held, &tree, &[head.clone(), earlier], "all files").await?
            }
        };
        let name = ref_name(held);
        // An empty old value: a ref that is there already is never overwritten.
        let call = self.ask(held.root, &["update-ref", "-m", "musher: before removal"]);
        call.args([name.as_str(), commit.as_str(), ""]).done().await?;
        Ok(Some(name))
    }

    /// One commit on top of those that only this worktree remembers.
    async fn earlier(&self, held: &Held<'_>) -> Result<Option<String>> {
        let commits = self.remembered(held.root, held.worktree).await?;
        let Some(newest) = commits.first() else { return Ok(None) };
        let tree = format!("{newest}^{{tree}}");
        self.commit(held, &tree, &commits, "earlier commits").await.map(Some)
    }

    async fn snapshot(&self, held: &Held<'_>, earlier: Option<String>) -> Result<String> {
        let dir = &held.worktree.path;
        let place = tempfile::tempdir().map_err(|e| WorktreeError::io(std::env::temp_dir(), e))?;
        let index = self.copied_index(dir, place.path()).await?;
        let private = Place::WithIndex(dir, &index);
        let mut parents: Vec<String> = held.worktree.head.iter().cloned().collect();
        // Unmerged entries cannot be a tree; the files with their conflict marks are kept below.
        let staged = self.call(private, &["write-tree"]).answer().await?;
        self.look_again(private, held.status.map_or(&[], |status| &status.overlooked)).await?;
        let added = self.add_all(private, &[]).answer().await?;
        if added.code != 0 {
            let why = added.stderr.lines().next().unwrap_or("git could not read a file").to_owned();
            return Err(WorktreeError::CannotRescue { path: dir.clone(), why });
        }
        self.prove_complete(private).await?;
        self.keep_bytes(private, held.worktree.head.as_deref()).await?;
        let tree = self.call(private, &["write-tree"]).done().await?.line();
        if staged.code == 0 && self.adds_something(dir, &staged.line(), &tree).await {
            parents.push(self.commit(held, &staged.line(), &parents, "what was staged").await?);
        }
        parents.extend(earlier);
        self.commit(held, &tree, &parents, "all files").await
    }

    /// `--sparse`: files outside of a sparse checkout's part are files all the same.
    fn add_all<'a>(&'a self, private: Place<'a>, options: &[&str]) -> Call<'a> {
        let call = self.call(private, &["add", "-A", "--sparse"]).args(options).args(["--", "."]);
        call.raw_bytes().exact_names().limit(LONG_LIMIT)
    }

    async fn copied_index(&self, dir: &Path, place: &Path) -> Result<PathBuf> {
        let args = ["rev-parse", "--path-format=absolute", "--git-path", "index"];
        let original = PathBuf::from(self.ask(dir, &args).done().await?.line());
        let copy = place.join("index");
        match std::fs::copy(&original, &copy) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                Err(WorktreeError::io(original, e))
            }
            _ => Ok(copy),
        }
    }

    /// Takes the marks away, in our own index, that make git overlook files.
    async fn look_again(&self, private: Place<'_>, files: &[String]) -> Result<()> {
        for mark in
            ["--no-assume-unchanged", "--no-skip-worktree"].iter().filter(|_| !files.is_empty())
        {
            let call = self.call(private, &["update-index", mark, "--"]).raw_bytes();
            call.args(files).done().await?;
        }
        Ok(())
    }

    /// Asks again what would be added: anything means that a file changed meanwhile or was not taken.
    async fn prove_complete(&self, private: Place<'_>) -> Result<()> {
        let left = self.add_all(private, &["--dry-run"]).done().await?.text();
        let Some(line) = left.lines().next() else { return Ok(()) };
        let why = format!("a file changed while it was being kept ({line})");
        Err(WorktreeError::CannotRescue { path: private.dir().to_owned(), why })
    }

    async fn adds_something(&self, dir: &Path, staged: &str, tree: &str) -> bool {
        let head =
            self.ask(dir, &["rev-parse", "--verify", "--quiet", "HEAD^{tree}"]).answer().await;
        staged != tree && head.is_ok_and(|head| head.line() != staged)
    }

    async fn commit(
        &self,
        held: &Held<'_>,
        tree: &str,
        parents: &[String],
        what: &str,
    ) -> Result<String> {
        let date = format!("@{} +0000", held.at.timestamp());
        let message = format!("musher: {what} of {}", held.worktree.path.display());
        let call = self.call(held.root, &["commit-tree", "--no-gpg-sign", "-m", &message]);
        let call = call.args(parents.iter().flat_map(|parent| ["-p", parent.as_str()])).arg(tree);
        let call = call
            .env("GIT_AUTHOR_NAME", NAME)
            .env("GIT_AUTHOR_EMAIL", EMAIL)
            .env("GIT_AUTHOR_DATE", &date);
        let call = call.env("GIT_COMMITTER_NAME", NAME).env("GIT_COMMITTER_EMAIL", EMAIL);
        Ok(call.env("GIT_COMMITTER_DATE", &date).done().await?.line())
    }

    /// What lies in the worktree that a commit can only name: repositories inside of it, and what its
    /// submodules hold even when they are not checked out any more.
    pub(crate) async fn repositories_inside(
        &self,
        dir: &Path,
        status: &Status,
    ) -> Result<Vec<String>> {
        let nested = status.untracked.iter().filter(|path| path.ends_with('/')).cloned();
        let listing = self.ask(dir, &["ls-files", "-s", "-z"]).done().await?.text();
        let links = listing.split_terminator('\0').filter(|entry| entry.starts_with("160000"));
        let links =
            links.filter_map(|entry| entry.split_once('\t').map(|(_, path)| path.to_owned()));
        let filled = links.filter(|path| dir.join(path).join(".git").symlink_metadata().is_ok());
        let mut inside: Vec<String> = nested.chain(filled).collect();
        let args = ["rev-parse", "--path-format=absolute", "--git-path", "modules"];
        let modules = PathBuf::from(self.ask(dir, &args).done().await?.line());
        let mut kept = std::fs::read_dir(&modules).into_iter().flatten().flatten();
        if inside.is_empty() && kept.next().is_some() {
            inside.push(format!("submodules, in {}", modules.display()));
        }
        Ok(inside)
    }
}

/// A name of a branch can fill a file name to its last byte, so a long one is cut.
fn ref_name(held: &Held<'_>) -> String {
    format!("refs/musher/rescue/{}", mark(held.worktree.branch.as_deref(), held.at))
}

/// Which worktree it was, and when it went.
pub(crate) fn mark(branch: Option<&str>, at: DateTime<Utc>) -> String {
    let branch = branch.unwrap_or("detached");
    let end = (0..=LONGEST_NAME.min(branch.len())).rev().find(|at| branch.is_char_boundary(*at));
    format!("{}-{}", &branch[..end.unwrap_or(0)], at.format("%Y%m%dT%H%M%S%3fZ"))
}
