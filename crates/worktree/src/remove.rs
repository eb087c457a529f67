//! The only way in which a worktree goes.
//!
//! It refuses while something would be lost or somebody is in there, with every reason at once. Force
//! overrides the reasons that are about work, because the rescue ref keeps the work; it does not
//! override a process inside, a run, a lock or the main checkout. Whatever is in it and
//! nowhere else gets the rescue ref first, and it copies ignored files that no build makes anew to `<under>/.ignored`.

use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use musher_protocol::{RemovalRefusal, RemovalReport};

use crate::changes::{Status, parse_status};
use crate::error::{Result, WorktreeError};
use crate::files::blocking;
use crate::git::{Call, Git};
use crate::ignored::{Kept, keep};
use crate::leave::{Leaving, Moved, deleted, sweep};
use crate::list::Listed;
use crate::occupants::occupants;
use crate::rescue::{Held, mark};
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
        let turn = turn::turn(&root, &wanted.under).await?;
        let outcome = self.remove_in_turn(&root, &wanted).await;
        drop(turn);
        // Many files take long, and nobody needs to wait for their end.
        sweep(&wanted.under).await?;
        match outcome? {
            Outcome::Refused(refusals) => Ok(refused(refusals)),
            Outcome::Removed(done) => Ok(removed(done).await),
        }
    }

    async fn remove_in_turn(&self, root: &Path, wanted: &RemoveWorktree) -> Result<Outcome> {
        self.begin_again(root, &wanted.path).await?;
        let listed = self.listed(root).await?;
        let Some((one, main)) = find(&listed, &wanted.path) else {
            return Err(WorktreeError::NotAWorktree(wanted.path.clone()));
        };
        if main {
            return Ok(Outcome::Refused(vec![RemovalRefusal::MainCheckout]));
        }
        let status = match one.path.is_dir() {
            true => Some(self.held_in(&one.path, None).await?),
            false => None,
        };
        let found = self.refusals(root, one, status.as_ref(), wanted).await?;
        let firm = found.refusals.iter().any(|refusal| !forcible(refusal));
        if firm || (!found.refusals.is_empty() && !wanted.force) {
            return Ok(Outcome::Refused(found.refusals));
        }
        if let Some(status) = &status {
            self.refuse_repositories_inside(one, status, &listed).await?;
        }
        let ignored = keep_ignored(one, status.as_ref(), wanted).await?;
        let is_kept = found.refusals.is_empty();
        let held = Held { root, worktree: one, status: status.as_ref(), is_kept, at: wanted.at };
        let rescue_ref = self.rescue(&held).await?;
        let own = one.branch.as_deref();
        let own = own.filter(|own| wanted.made_branch && !is_elsewhere(&listed, own, &one.path));
        let leaving = Leaving {
            root,
            one,
            status: status.as_ref(),
            branch: own,
            under: &wanted.under,
            stamp: wanted.at.format("%Y%m%dT%H%M%S%3fZ").to_string(),
        };
        let aside = self.leave(&leaving).await?;
        Ok(Outcome::Removed(Removed { rescue_ref, ignored, aside, looked: found.looked }))
    }

    /// All that a worktree holds, as far as names go.
    pub(crate) async fn held_in(&self, dir: &Path, moved: Option<&Moved>) -> Result<Status> {
        let call = self.status_call(dir).arg("--ignored=matching").exact_names();
        let answer = there(call, moved).done().await?;
        if let Some(why) = unread(&answer.stderr) {
            return Err(WorktreeError::CannotRescue { path: dir.to_owned(), why });
        }
        let mut status = parse_status(&answer.text());
        let call = self.ask(dir, &["ls-files", "-v", "-z"]);
        status.overlooked = overlooked(dir, &there(call, moved).done().await?.text());
        status.tracked.extend(status.overlooked.iter().cloned());
        Ok(status)
    }

    async fn refusals(
        &self,
        root: &Path,
        one: &Listed,
        status: Option<&Status>,
        wanted: &RemoveWorktree,
    ) -> Result<Found> {
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
        let inside = occupants(&one.path, self.path()).await;
        let looked = inside.is_some();
        let inside = inside.into_iter().flatten();
        refusals.extend(inside.map(|o| RemovalRefusal::ProcessInside { pid: o.pid, name: o.name }));
        refusals.extend(
            wanted.used_by.iter().map(|run| RemovalRefusal::RunUsesIt { run: run.clone() }),
        );
        refusals.extend(one.locked.iter().map(|why| RemovalRefusal::Locked { why: why.clone() }));
        Ok(Found { refusals, looked })
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

    async fn refuse_repositories_inside(
        &self,
        one: &Listed,
        status: &Status,
        listed: &[Listed],
    ) -> Result<()> {
        let mut inside = self.repositories_inside(&one.path, status).await?;
        let worktrees = listed.iter().map(|other| &other.path);
        let below = worktrees.filter(|path| **path != one.path && path.starts_with(&one.path));
        inside.extend(below.map(|path| path.display().to_string()));
        if inside.is_empty() {
            return Ok(());
        }
        let why = format!("repositories lie inside of it ({})", inside.join(", "));
        Err(WorktreeError::CannotRescue { path: one.path.clone(), why })
    }
}

/// Reasons against a removal, and whether processes could be looked for.
struct Found {
    refusals: Vec<RemovalRefusal>,
    looked: bool,
}

enum Outcome {
    Refused(Vec<RemovalRefusal>),
    Removed(Removed),
}

/// What a removal left behind, for the sentence.
struct Removed {
    rescue_ref: Option<String>,
    ignored: Kept,
    /// Where the files are until they are deleted.
    aside: Option<PathBuf>,
    looked: bool,
}

async fn keep_ignored(
    one: &Listed,
    status: Option<&Status>,
    wanted: &RemoveWorktree,
) -> Result<Kept> {
    let Some(status) = status.filter(|status| !status.ignored.is_empty()) else {
        return Ok(Kept::default());
    };
    let name = mark(one.branch.as_deref(), wanted.at).replace('/', "-");
    let to = wanted.under.join(".ignored").join(name);
    let (top, ignored) = (one.path.clone(), status.ignored.clone());
    blocking(move || keep(&top, &ignored, &to)).await
}

/// Whether another checkout works on the branch too (git allows it when it is told to).
fn is_elsewhere(listed: &[Listed], branch: &str, path: &Path) -> bool {
    listed.iter().any(|other| other.path != path && other.branch.as_deref() == Some(branch))
}

/// git tells of a folder that it may not read, and goes on as if it were empty.
fn unread(said: &str) -> Option<String> {
    let line = said.lines().find(|line| line.contains("could not open directory"))?;
    Some(line.trim_start_matches("warning: ").to_owned())
}

fn there<'a>(call: Call<'a>, moved: Option<&Moved>) -> Call<'a> {
    match moved {
        Some(moved) => call.with_git_dir(&moved.git_dir).prepared(&moved.ready),
        None => call,
    }
}

/// The entry of a path, and whether it is the main checkout.
fn find<'a>(listed: &'a [Listed], path: &Path) -> Option<(&'a Listed, bool)> {
    let mut numbered = listed.iter().enumerate();
    let (at, one) = numbered.find(|(_, one)| one.is_at(path))?;
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

async fn removed(done: Removed) -> RemovalReport {
    let left = match done.aside {
        Some(aside) => deleted(aside).await.err(),
        None => None,
    };
    let mut sentence = "The worktree was removed.".to_owned();
    let mut say = |more: String| sentence.push_str(&more);
    if let Some(name) = &done.rescue_ref {
        say(format!(" What it held is kept in `{name}`."));
    }
    if let Some(place) = &done.ignored.place {
        say(format!(" Its ignored files are copied to `{}`.", place.display()));
    }
    if !done.ignored.left.is_empty() {
        let named: Vec<_> = done.ignored.left.iter().take(5).map(String::as_str).collect();
        say(format!(" Gone is what a build makes anew ({}).", named.join(", ")));
    }
    if let Some(error) = left {
        say(format!(" Some files could not be deleted: {error}"));
    }
    if !done.looked {
        say(" Whether a program works in it could not be checked on this system.".to_owned());
    }
    RemovalReport { removed: true, refusals: Vec::new(), rescue_ref: done.rescue_ref, sentence }
}

fn count(many: usize, one: &str, more: &str) -> String {
    if many == 1 { format!("1 {one}") } else { format!("{many} {more}") }
}

fn reason(refusal: &RemovalRefusal) -> String {
    match refusal {
        RemovalRefusal::TrackedChanges { files } => {
            count(files.len(), "changed file is", "changed files are") + " not committed"
        }
        RemovalRefusal::UntrackedFiles { files } => {
            count(files.len(), "file is", "files are") + " not known to git"
        }
        RemovalRefusal::UniqueCommits { commits } => {
            count(commits.len(), "commit is", "commits are") + " on no other branch"
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
