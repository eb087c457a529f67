//! The only way in which a worktree goes.
//!
//! It refuses while something would be lost or somebody is in there, with every reason at once. Force
//! overrides the reasons that are about work, because the rescue ref keeps the work; it does not
//! override a process inside, a run, a lock or the main checkout. Every removal writes the rescue ref
//! first, clean or not.

use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use musher_protocol::{RemovalRefusal, RemovalReport};

use crate::changes::{Status, parse_status};
use crate::error::{Result, WorktreeError};
use crate::git::{Git, LONG_LIMIT};
use crate::list::Listed;
use crate::occupants::occupants;
use crate::rescue::Held;
use crate::turn;

/// So many files or commits are named in a refusal.
const NAMED: usize = 50;

/// What to remove.
#[derive(Clone, Debug)]
pub struct RemoveWorktree {
    /// Any checkout of the repository, or the bare repository.
    pub root: PathBuf,
    pub path: PathBuf,
    /// Where this project's worktrees are made; holds the lock of the repository's turn.
    pub under: PathBuf,
    pub force: bool,
    /// Live runs that use it.
    pub used_by: Vec<String>,
    /// Musher made its branch: delete that too.
    pub made_branch: bool,
    /// Now; names and dates the rescue ref.
    pub at: DateTime<Utc>,
}

impl Git {
    /// Removes a linked worktree, or says why not. `Ok` with `removed: false` is a refusal.
    pub async fn remove(&self, wanted: RemoveWorktree) -> Result<RemovalReport> {
        let root = self.repository_of(&wanted.root).await?;
        std::fs::create_dir_all(&wanted.under).map_err(|e| WorktreeError::io(&wanted.under, e))?;
        let _turn = turn::turn(&root, &wanted.under).await?;
        let Some((one, main)) = find(self.listed(&root).await?, &wanted.path) else {
            return Err(WorktreeError::NotAWorktree(wanted.path));
        };
        if main {
            return Ok(refused(vec![RemovalRefusal::MainCheckout]));
        }
        let status = self.status_of(&one).await?;
        let refusals = self.refusals(&root, &one, status.as_ref(), &wanted).await?;
        let firm = refusals.iter().any(|refusal| !forcible(refusal));
        if firm || (!refusals.is_empty() && !wanted.force) {
            return Ok(refused(refusals));
        }
        if let Some(status) = &status {
            self.refuse_repositories_inside(&one.path, status).await?;
        }
        let rescue_ref = self
            .rescue(&Held { root: &root, worktree: &one, status: status.as_ref(), at: wanted.at })
            .await?;
        self.take_away(&root, &one.path, !refusals.is_empty()).await?;
        if wanted.made_branch {
            self.drop_branch(&root, &one).await;
        }
        Ok(removed(rescue_ref))
    }

    /// `None` when the folder is gone already.
    async fn status_of(&self, one: &Listed) -> Result<Option<Status>> {
        if !one.path.is_dir() {
            return Ok(None);
        }
        let answer = self.status_call(&one.path).done().await?;
        let mut status = parse_status(&answer.text());
        let listing = self.ask(&one.path, &["ls-files", "-v", "-z"]).done().await?;
        status.overlooked = overlooked(&one.path, &listing.text());
        status.tracked.extend(status.overlooked.iter().cloned());
        Ok(Some(status))
    }

    async fn refusals(
        &self,
        root: &Path,
        one: &Listed,
        status: Option<&Status>,
        wanted: &RemoveWorktree,
    ) -> Result<Vec<RemovalRefusal>> {
        let mut refusals = Vec::new();
        if let Some(status) = status {
            refusals.extend(file_refusals(status));
        }
        let unique = self.unique_commits(root, one).await?;
        if !unique.is_empty() {
            refusals.push(RemovalRefusal::UniqueCommits { commits: unique });
        }
        if let (None, Some(commit)) = (&one.branch, &one.head) {
            refusals.push(RemovalRefusal::DetachedHead { commit: commit.clone() });
        }
        let inside = occupants(&one.path).into_iter();
        refusals.extend(inside.map(|o| RemovalRefusal::ProcessInside { pid: o.pid, name: o.name }));
        refusals.extend(
            wanted.used_by.iter().map(|run| RemovalRefusal::RunUsesIt { run: run.clone() }),
        );
        refusals.extend(one.locked.iter().map(|why| RemovalRefusal::Locked { why: why.clone() }));
        Ok(refusals)
    }

    /// Commits that no other ref reaches. Refs that go with the worktree do not count, and neither do
    /// Musher's own: a rescue ref is for emergencies, not for landing.
    async fn unique_commits(&self, root: &Path, one: &Listed) -> Result<Vec<String>> {
        let Some(head) = &one.head else { return Ok(Vec::new()) };
        let own = one.branch.as_ref().map(|branch| format!("--exclude=refs/heads/{branch}"));
        let call = self
            .ask(root, &["rev-list"])
            .arg(format!("--max-count={NAMED}"))
            .arg(head)
            .arg("--not")
            .args(own);
        let gone = ["refs/musher/*", "refs/worktree/*", "refs/bisect/*", "refs/rewritten/*"];
        let call = call.args(gone.map(|pattern| format!("--exclude={pattern}")));
        let answer = call.args(["--glob=refs/*", "--"]).done().await?;
        Ok(answer.text().lines().map(str::to_owned).collect())
    }

    async fn refuse_repositories_inside(&self, dir: &Path, status: &Status) -> Result<()> {
        let inside = self.repositories_inside(dir, status).await?;
        if inside.is_empty() {
            return Ok(());
        }
        let why = format!("repositories lie inside of it ({})", inside.join(", "));
        Err(WorktreeError::CannotRescue { path: dir.to_owned(), why })
    }

    /// Without `forced`, git looks once more for changes by itself.
    async fn take_away(&self, root: &Path, dir: &Path, forced: bool) -> Result<()> {
        let call = self.call(root, &["worktree", "remove"]).args(forced.then_some("--force"));
        call.arg("--").arg(dir).limit(LONG_LIMIT).done().await.map(drop)
    }

    /// Only while the branch still stands where the rescue ref does. A branch that stays costs nothing,
    /// so a failure is only noted.
    async fn drop_branch(&self, root: &Path, one: &Listed) {
        let (Some(branch), Some(head)) = (&one.branch, &one.head) else { return };
        let call =
            self.call(root, &["update-ref", "-d"]).arg(format!("refs/heads/{branch}")).arg(head);
        if let Err(error) = call.done().await {
            tracing::warn!(branch, %error, "the branch of a removed worktree was not deleted");
        }
    }
}

/// The entry of a path, and whether it is the main checkout.
fn find(listed: Vec<Listed>, path: &Path) -> Option<(Listed, bool)> {
    let wanted = path.canonicalize().unwrap_or_else(|_| path.components().collect());
    let mut numbered = listed.into_iter().enumerate();
    let (at, one) = numbered.find(|(_, one)| one.path == wanted || one.path == path)?;
    Some((one, at == 0))
}

/// Files marked `assume-unchanged` (a small letter) or `skip-worktree` (`S`): whatever was written to
/// them since, `git status` is silent. One that is not there is a sparse checkout's.
fn overlooked(dir: &Path, listing: &str) -> Vec<String> {
    let entries = listing.split_terminator('\0').filter_map(|entry| entry.split_once(' '));
    let marked =
        entries.filter(|(tag, _)| tag.bytes().any(|b| b == b'S' || b.is_ascii_lowercase()));
    let there = marked.filter(|(_, path)| dir.join(path).symlink_metadata().is_ok());
    there.map(|(_, path)| path.to_owned()).collect()
}

fn file_refusals(status: &Status) -> Vec<RemovalRefusal> {
    let named = |files: &[String]| files.iter().take(NAMED).cloned().collect();
    let mut refusals = Vec::new();
    if !status.tracked.is_empty() {
        refusals.push(RemovalRefusal::TrackedChanges { files: named(&status.tracked) });
    }
    if !status.untracked.is_empty() {
        refusals.push(RemovalRefusal::UntrackedFiles { files: named(&status.untracked) });
    }
    refusals
}

/// Whether the rescue ref makes it harmless.
fn forcible(refusal: &RemovalRefusal) -> bool {
    use RemovalRefusal::*;
    matches!(
        refusal,
        TrackedChanges { .. } | UntrackedFiles { .. } | UniqueCommits { .. } | DetachedHead { .. }
    )
}

fn refused(refusals: Vec<RemovalRefusal>) -> RemovalReport {
    let reasons: Vec<String> = refusals.iter().map(reason).collect();
    let sentence = format!("The worktree was not removed: {}.", reasons.join("; "));
    RemovalReport { removed: false, refusals, rescue_ref: None, sentence }
}

fn removed(rescue_ref: Option<String>) -> RemovalReport {
    let kept = rescue_ref
        .as_ref()
        .map_or_else(String::new, |name| format!(" What it held is kept in `{name}`."));
    let sentence = format!("The worktree was removed.{kept} Ignored files are gone.");
    RemovalReport { removed: true, refusals: Vec::new(), rescue_ref, sentence }
}

fn reason(refusal: &RemovalRefusal) -> String {
    match refusal {
        RemovalRefusal::TrackedChanges { files } => {
            format!("{} changed files are not committed", files.len())
        }
        RemovalRefusal::UntrackedFiles { files } => {
            format!("{} files are not known to git", files.len())
        }
        RemovalRefusal::UniqueCommits { commits } => {
            format!("{} commits are on no other branch", commits.len())
        }
        RemovalRefusal::DetachedHead { commit } => {
            format!("no branch is checked out (at {commit:.10})")
        }
        RemovalRefusal::ProcessInside { pid, name } => {
            format!("the process {name} ({pid}) works in it")
        }
        RemovalRefusal::RunUsesIt { run } => format!("the run {run} uses it"),
        RemovalRefusal::MainCheckout => "it is the project's main checkout".to_owned(),
        RemovalRefusal::Locked { why } if why.is_empty() => "it is locked".to_owned(),
        RemovalRefusal::Locked { why } => format!("it is locked ({why})"),
    }
}
