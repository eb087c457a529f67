//! Making a worktree: one at a time for each repository, all of it or nothing.
//!
//! The road: choose base and branch, look for space, `git worktree add --no-checkout`, then the
//! checkout in the new folder. Two steps, because `includeIf "onbranch:..."` can bring in drivers that
//! only the new worktree has, and they must be known before a file is written. When any step fails,
//! the folder, git's record and the branch go again, and an error is returned: without a worktree of
//! its own no agent starts.
//!
//! A future that is dropped in the middle leaves a worktree without files: run it to its end.

use std::path::{Path, PathBuf};

use crate::answer::{Answer, is_passing, why};
use crate::error::{Result, WorktreeError};
use crate::files::blocking;
use crate::git::{Git, LONG_LIMIT};
use crate::naming::{folder_name, slug, unique};
use crate::{provision, turn};

/// How often `git worktree add` is tried when something else holds one of git's locks.
const TRIES: u32 = 10;
/// With less free no worktree is made.
pub const SPARE_MIB: u64 = 200;
/// With this much free the tree is not measured: measuring asks git for the size of every file.
const PLENTY_MIB: u64 = 20 * 1024;

/// What to make.
#[derive(Clone, Debug)]
pub struct CreateWorktree {
    /// The main checkout or bare repository, or any checkout of it.
    pub root: PathBuf,
    /// Where this project's worktrees are made: `<data>/worktrees/<project>`. Made when missing.
    pub under: PathBuf,
    /// The branch's name, taken as it is; an error when it exists. Made from `prompt` when absent.
    pub branch: Option<String>,
    pub prompt: String,
    /// A branch, tag or commit; what is checked out in `root` when absent.
    pub base: Option<String>,
}

/// What was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Created {
    pub path: PathBuf,
    pub branch: String,
    pub base_commit: String,
    /// The base as a person knows it: the name that was given, the branch, or a short commit.
    pub base_name: String,
    /// Sentences: what in the worktree is not as in the main checkout.
    pub warnings: Vec<String>,
}

struct Plan {
    root: PathBuf,
    dir: PathBuf,
    branch: String,
    commit: String,
}

impl Git {
    /// Makes a worktree with a branch of its own.
    pub async fn create(&self, wanted: CreateWorktree) -> Result<Created> {
        let root = self.repository_of(&wanted.root).await?;
        let under = prepare_folder(&wanted.under, &root)?;
        let _turn = turn::turn(&root, &under).await?;
        let (commit, base_name) = self.base_of(&wanted.root, wanted.base.as_deref()).await?;
        self.look_for_space(&root, &under, &commit).await?;
        let plan = self.begin(&wanted, (root, under, commit)).await?;
        let filled = self.fill(&plan).await;
        let warnings = match filled {
            Ok(warnings) => warnings,
            Err(error) => return Err(self.undone(&plan, error).await),
        };
        Ok(Created {
            path: plan.dir,
            branch: plan.branch,
            base_commit: plan.commit,
            base_name,
            warnings,
        })
    }

    /// Adds it. A name that nobody chose may be taken meanwhile by a Musher with other data, which takes
    /// turns with itself alone: then it is the next.
    async fn begin(
        &self,
        wanted: &CreateWorktree,
        (root, under, commit): (PathBuf, PathBuf, String),
    ) -> Result<Plan> {
        let taken = |name: &str| under.join(name).symlink_metadata().is_ok();
        let mut attempt = 1;
        loop {
            let branch = self.branch_for(&root, wanted).await?;
            let dir = under.join(unique(&folder_name(&branch), taken));
            let plan = Plan { root: root.clone(), dir, branch, commit: commit.clone() };
            match self.add(&plan).await {
                Err(WorktreeError::BranchExists(_))
                    if wanted.branch.is_none() && attempt < TRIES =>
                {
                    attempt += 1;
                }
                added => return added.map(|()| plan),
            }
        }
    }

    /// The folder to run repository-wide commands in, so that all checkouts of it share one turn.
    pub(crate) async fn repository_of(&self, root: &Path) -> Result<PathBuf> {
        let listed = self.listed(root).await?;
        let main = listed.into_iter().next().map(|main| main.path);
        main.ok_or_else(|| WorktreeError::NotARepository(root.to_owned()))
    }

    async fn base_of(&self, root: &Path, base: Option<&str>) -> Result<(String, String)> {
        if let Some(name) = base {
            return Ok((self.commit_of(root, name).await?, name.to_owned()));
        }
        let Some(commit) = self.head_of(root).await? else {
            return Err(WorktreeError::NoCommits(root.to_owned()));
        };
        let branch = self.current_branch(root).await?;
        let name = branch.unwrap_or_else(|| commit.chars().take(10).collect());
        Ok((commit, name))
    }

    async fn branch_for(&self, root: &Path, wanted: &CreateWorktree) -> Result<String> {
        let listing =
            self.ask(root, &["for-each-ref", "--format=%(refname)", "refs/heads/"]).done().await?;
        let text = listing.text();
        let branches: Vec<&str> =
            text.lines().filter_map(|name| name.strip_prefix("refs/heads/")).collect();
        let Some(given) = &wanted.branch else {
            let prefix = if branches.contains(&"musher") { "musher-" } else { "musher/" };
            let name = format!("{prefix}{}", slug(&wanted.prompt));
            return Ok(unique(&name, |candidate| clash(&branches, candidate).is_some()));
        };
        self.check_name(root, given).await?;
        match clash(&branches, given) {
            Some(other) => Err(WorktreeError::BranchExists(other.to_owned())),
            None => Ok(given.clone()),
        }
    }

    async fn check_name(&self, root: &Path, name: &str) -> Result<()> {
        let bad = || WorktreeError::BadBranchName(name.to_owned());
        if name.starts_with('-') || name == "HEAD" || name.contains('\0') {
            return Err(bad());
        }
        let answer = self
            .ask(root, &["check-ref-format"])
            .arg(format!("refs/heads/{name}"))
            .answer()
            .await?;
        if answer.code == 0 { Ok(()) } else { Err(bad()) }
    }

    async fn look_for_space(&self, root: &Path, under: &Path, commit: &str) -> Result<()> {
        let free_mib = free_mib(under)?;
        let tree_mib = if free_mib > PLENTY_MIB { 0 } else { self.tree_mib(root, commit).await };
        let need_mib = needed_mib(tree_mib);
        if free_mib >= need_mib {
            return Ok(());
        }
        Err(WorktreeError::DiskFull { path: under.to_owned(), free_mib, need_mib })
    }

    async fn tree_mib(&self, root: &Path, commit: &str) -> u64 {
        let call =
            self.ask(root, &["ls-tree", "-r", "-z", "--format=%(objectsize)", "--end-of-options"]);
        // An estimate that cannot be had, as in a partial clone, is no reason to refuse.
        let Ok(answer) = call.arg(commit).done().await else { return 0 };
        let bytes: u64 =
            answer.text().split('\0').filter_map(|size| size.trim().parse::<u64>().ok()).sum();
        bytes >> 20
    }

    /// Tries again only when a lock was in the way, and only after taking back what git had made.
    async fn add(&self, plan: &Plan) -> Result<()> {
        for attempt in 1..=TRIES {
            let answer = self.try_add(plan).await?;
            if answer.code == 0 {
                return Ok(());
            }
            if answer.stderr.contains("already exists") {
                // Made by somebody else since we looked: git made nothing, and it is not ours to undo.
                return Err(WorktreeError::BranchExists(plan.branch.clone()));
            }
            let error = why(&answer, &plan.root, "worktree add");
            let error = self.undone(plan, error).await;
            if attempt == TRIES || !is_passing(&answer.stderr) {
                return Err(error);
            }
            turn::jitter(100 * u64::from(attempt)).await;
        }
        Err(WorktreeError::Locked(plan.root.clone()))
    }

    async fn try_add(&self, plan: &Plan) -> Result<Answer> {
        self.call(&plan.root, &["worktree", "add", "--no-track", "--no-checkout", "-b"])
            .arg(&plan.branch)
            .arg("--")
            .arg(&plan.dir)
            .arg(&plan.commit)
            .impatient()
            .answer()
            .await
    }

    /// Writes the files and says what they lack.
    async fn fill(&self, plan: &Plan) -> Result<Vec<String>> {
        let call =
            self.call(&plan.dir, &["read-tree", "-m", "-u", "--no-recurse-submodules", "HEAD"]);
        let answer = call.limit(LONG_LIMIT).may_fetch().answer().await?;
        if answer.code != 0 {
            return Err(filter_failure(&answer.stderr).unwrap_or_else(|| {
                match why(&answer, &plan.dir, "checkout") {
                    WorktreeError::NotFetched(_) => WorktreeError::NotFetched(plan.root.clone()),
                    error => error,
                }
            }));
        }
        self.warnings(&plan.root, &plan.dir).await
    }

    async fn warnings(&self, root: &Path, dir: &Path) -> Result<Vec<String>> {
        let listing = self.ask(dir, &["ls-files", "-s", "-z"]).done().await?;
        let settings = self.settings(dir.into()).await?;
        let mut warnings = provision::missing_content(dir, &listing.text(), self.is_trusting());
        warnings.extend(provision::inert_hooks(root, dir, &settings));
        Ok(warnings)
    }

    /// Takes back what `plan` made, and only that: the folder did not exist before, the branch neither,
    /// and it is deleted only while it still stands at the base. Gives the error back, with what could
    /// not be undone in the log.
    async fn undone(&self, plan: &Plan, error: WorktreeError) -> WorktreeError {
        if let Err(left) = self.undo(plan).await {
            tracing::warn!(dir = %plan.dir.display(), branch = plan.branch, %left, "a failed worktree was not fully undone");
        }
        error
    }

    async fn undo(&self, plan: &Plan) -> Result<()> {
        let dir = plan.dir.clone();
        blocking(move || match std::fs::remove_dir_all(&dir) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(WorktreeError::io(dir, e)),
            _ => Ok(()),
        })
        .await?;
        let listed = self.listed(&plan.root).await?;
        if listed.iter().any(|one| one.path == plan.dir) {
            self.call(&plan.root, &["worktree", "remove", "--"]).arg(&plan.dir).done().await?;
        }
        if listed
            .iter()
            .any(|one| one.path != plan.dir && one.branch.as_deref() == Some(plan.branch.as_str()))
        {
            // Somebody else's, made since we looked.
            return Ok(());
        }
        // Who tries again waits for the lock that is in the way.
        let call = self.call(&plan.root, &["update-ref", "-d"]).impatient();
        let gone =
            call.arg(format!("refs/heads/{}", plan.branch)).arg(&plan.commit).answer().await?;
        let unknown = gone.stderr.contains("unable to resolve reference");
        if gone.code == 0 || unknown { Ok(()) } else { Err(why(&gone, &plan.root, "update-ref")) }
    }
}

/// The branch that makes `name` impossible: the same, also in another case (some file systems keep
/// one), or one that would need to be a folder and a file at once.
fn clash<'a>(branches: &[&'a str], name: &str) -> Option<&'a str> {
    let within = |outer: &str, inner: &str| {
        inner.strip_prefix(outer).is_some_and(|rest| rest.starts_with('/'))
    };
    let clashing = |other: &&&str| {
        other.eq_ignore_ascii_case(name) || within(other, name) || within(name, other)
    };
    branches.iter().find(clashing).copied()
}

/// Makes the folder (for its owner only) and checks that it is not inside the user's checkout.
fn prepare_folder(under: &Path, root: &Path) -> Result<PathBuf> {
    use std::os::unix::fs::DirBuilderExt;
    let checkout = root.canonicalize().map_err(|e| WorktreeError::io(root, e))?;
    let inside = |dir: &Path| WorktreeError::InsideCheckout {
        dir: dir.to_owned(),
        checkout: checkout.clone(),
    };
    if nearest(under).starts_with(&checkout) {
        return Err(inside(under));
    }
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(under);
    made.map_err(|e| WorktreeError::io(under, e))?;
    under.canonicalize().map_err(|e| WorktreeError::io(under, e))
}

/// The part of a path that exists, canonical.
fn nearest(path: &Path) -> PathBuf {
    let existing = path.ancestors().find_map(|dir| dir.canonicalize().ok());
    existing.unwrap_or_else(|| path.to_owned())
}

fn free_mib(path: &Path) -> Result<u64> {
    let stat = rustix::fs::statvfs(path).map_err(|e| WorktreeError::io(path, e.into()))?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize) >> 20)
}

fn needed_mib(tree_mib: u64) -> u64 {
    SPARE_MIB.max(tree_mib + tree_mib / 5)
}

/// git's words when a required filter fails: `external filter 'program' failed`, then `f: smudge filter
/// name failed` (`convert.c`). What stands before is the program's own complaint.
fn filter_failure(said: &str) -> Option<WorktreeError> {
    let line =
        said.lines().find(|line| line.contains("smudge filter ") && line.ends_with(" failed"))?;
    let name = line.rsplit_once("smudge filter ")?.1.strip_suffix(" failed")?;
    let first = said.lines().next().unwrap_or(line).trim_start_matches("error: ");
    let first = format!("{}.", first.trim_end_matches('.'));
    Some(WorktreeError::FilterFailed { filter: name.to_owned(), said: first })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn space_is_asked_for_by_the_size_of_the_tree() {
        assert_eq!(needed_mib(0), 200);
        assert_eq!(needed_mib(1000), 1200);
    }

    #[test]
    fn a_branch_clashes_with_its_own_folder_and_other_cases() {
        let branches = ["main", "feature/x", "Release"];
        assert_eq!(clash(&branches, "feature"), Some("feature/x"));
        assert_eq!(clash(&branches, "main/x"), Some("main"));
        assert_eq!(clash(&branches, "release"), Some("Release"));
        assert_eq!(clash(&branches, "feature/y"), None);
    }
}
