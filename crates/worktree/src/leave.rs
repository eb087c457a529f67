//! How a folder goes after all that it held is kept: so that a program that is killed at any moment has
//! either not begun or can be followed up by the next one.
//!
//! First the folder gets another name in one step, next to where it was (`.leaving-`). From then on no
//! path leads into it, and git is asked a last time whether it still holds just what was kept; if not, it
//! gets its old name back, also by the next call when this one was killed ([`Git::begin_again`]). Then it gets
//! the name of what may be deleted (`.removing-`), branch and record go, and the files last: whoever finds
//! that name deletes it without asking ([`sweep`]).

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::changes::Status;
use crate::error::{Result, WorktreeError};
use crate::files::blocking;
use crate::git::{Git, LONG_LIMIT, Prepared};
use crate::list::Listed;

/// Keeps `git worktree prune` of others away from the record while the folder has another name.
const LOCKED: &str = "Musher is removing it";
const LEAVING: &str = ".leaving-";
const REMOVING: &str = ".removing-";

/// What this process deletes just now: a sweep leaves it alone.
static DELETING: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

/// A worktree that may go, with what was found in it.
pub(crate) struct Leaving<'a> {
    pub(crate) root: &'a Path,
    pub(crate) one: &'a Listed,
    /// Absent when the folder is gone already.
    pub(crate) status: Option<&'a Status>,
    /// The branch to delete with it.
    pub(crate) branch: Option<&'a str>,
    pub(crate) under: &'a Path,
    /// Makes the other name unique.
    pub(crate) stamp: String,
}

/// What must be known of a worktree to look into it at another place.
pub(crate) struct Moved {
    pub(crate) git_dir: String,
    pub(crate) ready: Prepared,
}

impl Git {
    /// Gives the folder that is still to be deleted, which nobody else needs to wait for.
    pub(crate) async fn leave(&self, leaving: &Leaving<'_>) -> Result<Option<PathBuf>> {
        let aside = match leaving.status {
            Some(status) => Some(self.put_aside(leaving, status).await?),
            None => None,
        };
        if let (Some(branch), Some(head)) = (leaving.branch, &leaving.one.head) {
            self.drop_branch(leaving.root, branch, head).await;
        }
        self.forget(leaving.root, &leaving.one.path).await?;
        Ok(aside)
    }

    async fn put_aside(&self, leaving: &Leaving<'_>, status: &Status) -> Result<PathBuf> {
        let dir = &leaving.one.path;
        // Asked here: git would note the other name in its record when it finds itself there.
        let moved = Moved {
            git_dir: self.ask(dir, &["rev-parse", "--absolute-git-dir"]).done().await?.line(),
            ready: self.prepare(dir).await?,
        };
        let name = dir.file_name().unwrap_or_default().to_string_lossy();
        let aside = dir.with_file_name(format!("{LEAVING}{name}-{}", leaving.stamp));
        self.lock(leaving.root, dir).await?;
        if let Err(error) = std::fs::rename(dir, &aside) {
            self.unlock(leaving.root, dir).await?;
            return Err(WorktreeError::io(dir, error));
        }
        let now = self.held_in(&aside, Some(&moved)).await;
        if now.as_ref().is_ok_and(|now| now == status) {
            return to_be_deleted(&aside, &format!("{REMOVING}{name}-{}", leaving.stamp), leaving);
        }
        std::fs::rename(&aside, dir).map_err(|e| WorktreeError::io(&aside, e))?;
        self.unlock(leaving.root, dir).await?;
        now?;
        let why = "files changed while it was being removed".to_owned();
        Err(WorktreeError::CannotRescue { path: dir.clone(), why })
    }

    async fn lock(&self, root: &Path, dir: &Path) -> Result<()> {
        let call = self.ask(root, &["worktree", "lock", "--reason", LOCKED, "--"]);
        call.arg(dir).done().await.map(drop)
    }

    async fn unlock(&self, root: &Path, dir: &Path) -> Result<()> {
        self.ask(root, &["worktree", "unlock", "--"]).arg(dir).done().await.map(drop)
    }

    /// Takes back what a removal left that was killed before it was sure. In our turn, so no other is
    /// at it.
    pub(crate) async fn begin_again(&self, root: &Path, path: &Path) -> Result<()> {
        put_back(path);
        let listed = self.listed(root).await?;
        let ours = |one: &&Listed| one.locked.as_deref() == Some(LOCKED) && one.is_at(path);
        match listed.iter().find(ours) {
            Some(one) => self.unlock(root, &one.path).await,
            None => Ok(()),
        }
    }

    /// git's record of a worktree whose folder is not there. Another git can write into the record while
    /// it is deleted (`gc` shortens its log), or delete it itself (`worktree prune`): what counts is that
    /// it is not listed any more.
    async fn forget(&self, root: &Path, dir: &Path) -> Result<()> {
        let common = self.common_dir(root).await?;
        let record = record_of(&common, dir);
        // Twice: over our own lock. The folder is not there, so nothing else is forced.
        let call = self.call(root, &["worktree", "remove", "--force", "--force", "--"]);
        let Err(error) = call.arg(dir).limit(LONG_LIMIT).done().await else { return Ok(()) };
        let broken = record.filter(|record| record.exists() && is_broken(record));
        if let Some(record) = broken {
            return blocking(move || delete(&record)).await;
        }
        let listed = self.listed(root).await?;
        if listed.iter().any(|one| one.path == dir) { Err(error) } else { Ok(()) }
    }

    async fn common_dir(&self, root: &Path) -> Result<PathBuf> {
        let args = ["rev-parse", "--path-format=absolute", "--git-common-dir"];
        Ok(PathBuf::from(self.ask(root, &args).done().await?.line()))
    }

    /// Only while the branch still stands where the rescue ref does. A branch that stays costs nothing,
    /// so a failure is only noted.
    async fn drop_branch(&self, root: &Path, branch: &str, head: &str) {
        let name = format!("refs/heads/{branch}");
        let call = self.call(root, &["update-ref", "-d"]).args([name.as_str(), head]);
        if let Err(error) = call.done().await {
            tracing::warn!(branch, %error, "the branch of a removed worktree was not deleted");
        }
    }
}

/// In `under` when it can be moved there, because that is swept.
fn to_be_deleted(aside: &Path, name: &str, leaving: &Leaving<'_>) -> Result<PathBuf> {
    let swept = leaving.under.join(name);
    if std::fs::rename(aside, &swept).is_ok() {
        return Ok(swept);
    }
    let beside = aside.with_file_name(name);
    std::fs::rename(aside, &beside).map_err(|e| WorktreeError::io(aside, e))?;
    Ok(beside)
}

/// Gives a worktree its name back.
fn put_back(path: &Path) {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name().and_then(|n| n.to_str()))
    else {
        return;
    };
    if path.symlink_metadata().is_ok() {
        return;
    }
    let ours = |entry: &std::fs::DirEntry| {
        let found = entry.file_name();
        let stamp = found.to_str().and_then(|found| found.strip_prefix(LEAVING));
        let stamp = stamp.and_then(|rest| rest.strip_prefix(name)?.strip_prefix('-'));
        stamp.is_some_and(|stamp| !stamp.contains('-'))
    };
    let entries = std::fs::read_dir(parent).into_iter().flatten().flatten();
    if let Some(entry) = entries.into_iter().find(ours)
        && let Err(error) = std::fs::rename(entry.path(), path)
    {
        tracing::warn!(path = %path.display(), %error, "a worktree was not put back");
    }
}

/// The record (`<common>/worktrees/<id>`) whose `gitdir` names the folder.
fn record_of(common: &Path, dir: &Path) -> Option<PathBuf> {
    let records = std::fs::read_dir(common.join("worktrees")).ok()?;
    let names = |record: &PathBuf| {
        let named = std::fs::read_to_string(record.join("gitdir")).unwrap_or_default();
        record.join(named.trim_end()).parent().is_some_and(|named| named == dir)
    };
    records.flatten().map(|entry| entry.path()).find(names)
}

fn is_broken(record: &Path) -> bool {
    !record.join("gitdir").exists() || !record.join("HEAD").exists()
}

/// Deletes what removals left that were killed.
pub(crate) async fn sweep(under: &Path) -> Result<()> {
    let Ok(entries) = std::fs::read_dir(under) else { return Ok(()) };
    let names = |entry: &std::fs::DirEntry| {
        entry.file_name().to_str().is_some_and(|name| name.starts_with(REMOVING))
    };
    for entry in entries.flatten().filter(names) {
        if let Err(error) = deleted(entry.path()).await {
            tracing::warn!(%error, "what a removal left was not deleted");
        }
    }
    Ok(())
}

/// Deletes a folder, unless another call is about it.
pub(crate) async fn deleted(dir: PathBuf) -> Result<()> {
    let deleting = || DELETING.lock().unwrap_or_else(PoisonError::into_inner);
    if !deleting().insert(dir.clone()) {
        return Ok(());
    }
    let done = blocking({
        let dir = dir.clone();
        move || delete(&dir)
    })
    .await;
    deleting().remove(&dir);
    done
}

/// Deletes a folder, also one with parts that its owner may not write to (Go's module cache).
fn delete(dir: &Path) -> Result<()> {
    match std::fs::remove_dir_all(dir) {
        Err(e) if e.kind() == std::io::ErrorKind::PermissionDenied => {
            allow_writing(dir);
            std::fs::remove_dir_all(dir).map_err(|e| WorktreeError::io(dir, e))
        }
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(WorktreeError::io(dir, e)),
        _ => Ok(()),
    }
}

fn allow_writing(dir: &Path) {
    use std::os::unix::fs::PermissionsExt;
    drop(std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o700)));
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            allow_writing(&entry.path());
        }
    }
}
