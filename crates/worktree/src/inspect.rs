//! What a path is, said to a person. Never fails: what cannot be read is an answer too.

use std::path::{Path, PathBuf};

use musher_protocol::{FolderKind, FolderReport};

use crate::answer::why;
use crate::error::WorktreeError;
use crate::git::{Git, is_bare};

/// Where git says that a folder belongs, all canonical.
struct Found {
    top: PathBuf,
    git_dir: PathBuf,
    common_dir: PathBuf,
}

impl Git {
    /// Says what `path` is (absolute, or beginning with `~/`). Reads only, and nothing that is in the
    /// folder runs. `project` is left for the caller to fill.
    pub async fn inspect(&self, path: &Path) -> FolderReport {
        let whole = expand(path, self.home());
        let Some(text) = whole.to_str().map(str::to_owned) else {
            return unusable(
                &whole,
                "The folder's name is not valid text, and Musher cannot keep it.",
                "Rename it.",
            );
        };
        if text.contains('\n') {
            return unusable(
                &whole,
                "The folder's name has a line break in it, and git's answers cannot hold that.",
                "Rename it.",
            );
        }
        if !whole.is_absolute() {
            return unusable(
                &whole,
                &format!("`{text}` is not an absolute path."),
                "Give the whole path.",
            );
        }
        if let Some(report) = without_git(&whole) {
            return report;
        }
        let real = whole.canonicalize().unwrap_or(whole);
        let looked = self.look(&real).await;
        looked.unwrap_or_else(|error| of_error(&real, error))
    }

    async fn look(&self, real: &Path) -> crate::error::Result<FolderReport> {
        if is_bare(real) && real.file_name().is_none_or(|name| name != ".git") {
            return self.bare_report(real).await;
        }
        if real.components().any(|part| part.as_os_str() == ".git") {
            let next = "Choose the folder that holds `.git` instead.";
            return Ok(unusable(real, "This lies inside a repository's `.git` folder.", next));
        }
        let found = self.locate(real).await?;
        if !real.starts_with(&found.top) {
            let sentence =
                "This repository says that its files are in another folder (`core.worktree`).";
            return Ok(unusable(
                real,
                sentence,
                "Run `git config --unset core.worktree` there if that is wrong.",
            ));
        }
        match self.kind_of(&found).await? {
            Ok((kind, root)) => self.checkout_report(real, &found, kind, &root).await,
            Err((sentence, next)) => Ok(unusable(real, &sentence, next)),
        }
    }

    async fn locate(&self, dir: &Path) -> crate::error::Result<Found> {
        let args = [
            "rev-parse",
            "--path-format=absolute",
            "--show-toplevel",
            "--absolute-git-dir",
            "--git-common-dir",
        ];
        let answer = self.ask(dir, &args).answer().await?;
        if answer.stderr.contains("must be run in a work tree") {
            return Err(WorktreeError::NoFilesHere(dir.to_owned()));
        }
        if answer.code != 0 {
            return Err(why(&answer, dir, "rev-parse"));
        }
        let text = answer.text();
        let mut lines = text.lines().map(PathBuf::from).map(|p| p.canonicalize().unwrap_or(p));
        let mut next = || lines.next().ok_or_else(|| WorktreeError::NotARepository(dir.to_owned()));
        Ok(Found { top: next()?, git_dir: next()?, common_dir: next()? })
    }

    /// Main checkout or linked worktree, with the project's root. A `.git` file or `commondir` that
    /// leads to a repository which does not lead back would lend a strange folder the trust of
    /// another project, so it is refused.
    async fn kind_of(&self, found: &Found) -> crate::error::Result<Verdict> {
        if found.git_dir == found.common_dir {
            if found.git_dir == found.top.join(".git") {
                return Ok(Ok((FolderKind::MainCheckout, found.top.clone())));
            }
            return Ok(Err(self.foreign_git_dir(found).await));
        }
        if !links_back(found) {
            let sentence = format!(
                "`{}` says that it is a worktree of `{}`, but that repository does not know it.",
                found.top.display(),
                found.common_dir.display()
            );
            return Ok(Err((sentence, "If you moved it, run `git worktree repair` in it.")));
        }
        let common = &found.common_dir;
        let in_checkout = common.file_name().is_some_and(|name| name == ".git");
        let root = if in_checkout { common.parent().unwrap_or(common) } else { common };
        Ok(Ok((FolderKind::LinkedWorktree, root.to_owned())))
    }

    async fn foreign_git_dir(&self, found: &Found) -> (String, &'static str) {
        let outer =
            self.ask(&found.top, &["rev-parse", "--show-superproject-working-tree"]).answer().await;
        let outer = outer.map(|answer| answer.line()).unwrap_or_default();
        if outer.is_empty() {
            let place = found.git_dir.display();
            (
                format!("This folder's git directory lies elsewhere (`{place}`)."),
                "Clone it anew, with its own `.git`.",
            )
        } else {
            (
                format!("This is a submodule of `{outer}`."),
                "Choose the outer repository, or a clone of its own.",
            )
        }
    }

    async fn bare_report(&self, real: &Path) -> crate::error::Result<FolderReport> {
        let branch = self.current_branch(real).await?;
        let head = self.head_of(real).await?;
        let next = match head {
            Some(_) => "Agents can work in worktrees of it.",
            None => "Push a first commit to it, then agents can work in worktrees of it.",
        };
        Ok(FolderReport {
            root: Some(shown(real)),
            branch,
            usable: head.is_some(),
            head,
            ..report(
                real,
                FolderKind::BareRepository,
                "This is a bare repository: it has no files checked out.",
                next,
            )
        })
    }

    async fn checkout_report(
        &self,
        real: &Path,
        found: &Found,
        kind: FolderKind,
        root: &Path,
    ) -> crate::error::Result<FolderReport> {
        let branch = self.current_branch(&found.top).await?;
        let head = self.head_of(&found.top).await?;
        let (sentence, next) = words(&found.top, &kind, root, branch.as_deref(), head.is_some());
        Ok(FolderReport {
            top: Some(shown(&found.top)),
            root: Some(shown(root)),
            branch,
            usable: head.is_some(),
            head,
            ..report(real, kind, &sentence, next)
        })
    }
}

type Verdict = Result<(FolderKind, PathBuf), (String, &'static str)>;

fn words(
    top: &Path,
    kind: &FolderKind,
    root: &Path,
    branch: Option<&str>,
    born: bool,
) -> (String, &'static str) {
    let name = top.file_name().map_or_else(|| shown(top), |n| n.to_string_lossy().into_owned());
    let on = branch
        .map_or_else(|| "with no branch checked out".to_owned(), |b| format!("on branch `{b}`"));
    if !born {
        return (
            format!("`{name}` is a repository without a commit."),
            "Make a first commit, then agents can work on it.",
        );
    }
    match kind {
        FolderKind::LinkedWorktree => (
            format!("`{name}` is a worktree of `{}`, {on}.", root.display()),
            "An agent can work in this worktree.",
        ),
        _ => (
            format!("`{name}` is a repository, {on}."),
            "An agent can work in a new worktree of it.",
        ),
    }
}

/// A linked worktree's git directory is `<common>/worktrees/<id>`, and its `gitdir` file names the
/// checkout's `.git` (gitrepository-layout).
fn links_back(found: &Found) -> bool {
    let placed = found.git_dir.parent() == Some(&found.common_dir.join("worktrees"));
    let named = std::fs::read_to_string(found.git_dir.join("gitdir")).unwrap_or_default();
    let named = found.git_dir.join(named.trim_end());
    let real = |path: PathBuf| path.canonicalize().ok();
    placed && real(named).is_some_and(|named| Some(named) == real(found.top.join(".git")))
}

/// What can be said without git.
fn without_git(path: &Path) -> Option<FolderReport> {
    let meta = match std::fs::metadata(path) {
        Ok(meta) => meta,
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            return Some(unreadable(path));
        }
        Err(_) if path.symlink_metadata().is_ok() => {
            return Some(unusable(
                path,
                "This link leads nowhere.",
                "Choose the folder that it should lead to.",
            ));
        }
        Err(_) => {
            let sentence = format!("`{}` does not exist.", path.display());
            return Some(report(
                path,
                FolderKind::Missing,
                &sentence,
                "Check the path, or name a folder that exists.",
            ));
        }
    };
    if meta.is_dir() {
        return std::fs::read_dir(path).is_err().then(|| unreadable(path));
    }
    let sentence = format!("`{}` is a file, not a folder.", path.display());
    Some(report(
        path,
        FolderKind::File,
        &sentence,
        "Choose the folder of the repository that holds it.",
    ))
}

fn unreadable(path: &Path) -> FolderReport {
    unusable(
        path,
        &format!("Musher may not read `{}`.", path.display()),
        "Check who may read that folder.",
    )
}

fn of_error(path: &Path, error: WorktreeError) -> FolderReport {
    let api: musher_protocol::ApiError = match error {
        WorktreeError::NotARepository(_) => {
            let sentence = format!("`{}` is not in a git repository.", path.display());
            let next = "Run `git init` in it and make a first commit, or choose another folder.";
            return report(path, FolderKind::PlainFolder, &sentence, next);
        }
        other => other.into(),
    };
    unusable(path, &api.message, &api.hint.unwrap_or_default())
}

fn unusable(path: &Path, sentence: &str, next: &str) -> FolderReport {
    report(path, FolderKind::Unusable, sentence, next)
}

fn report(path: &Path, kind: FolderKind, sentence: &str, next: &str) -> FolderReport {
    FolderReport {
        path: shown(path),
        kind,
        top: None,
        root: None,
        branch: None,
        head: None,
        sentence: sentence.to_owned(),
        next: next.to_owned(),
        project: None,
        usable: false,
    }
}

fn shown(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// `~` and `~/x` become the home folder; a trailing slash goes.
fn expand(path: &Path, home: &Path) -> PathBuf {
    let whole = path.strip_prefix("~").map_or_else(|_| path.to_owned(), |rest| home.join(rest));
    whole.components().collect()
}
