//! What can go wrong with git, each as one sentence, a code and a next step.

use std::path::{Path, PathBuf};

use musher_protocol::{ApiError, ErrorCode};

pub(crate) type Result<T> = std::result::Result<T, WorktreeError>;

#[derive(Debug, thiserror::Error)]
pub enum WorktreeError {
    #[error("git was not found on this machine.")]
    GitMissing,
    #[error("The folder `{}` is not there.", .0.display())]
    Gone(PathBuf),
    #[error("`{}` is a worktree of `{}`, which is not there.", .worktree.display(), .repository.display())]
    RepositoryGone { worktree: PathBuf, repository: PathBuf },
    #[error("`{}` is not inside a git repository.", .0.display())]
    NotARepository(PathBuf),
    #[error("`{}` belongs to another user, and git refuses to work in it.", .0.display())]
    OwnedByAnother(PathBuf),
    #[error("The repository of `{}` cannot be read: {said}", .path.display())]
    Broken { path: PathBuf, said: String },
    #[error("`{}` has no commit yet, and a worktree needs one to start from.", .0.display())]
    NoCommits(PathBuf),
    #[error("There is no branch, tag or commit `{0}` in this repository.")]
    BaseNotFound(String),
    #[error("`{0}` cannot be the name of a branch.")]
    BadBranchName(String),
    #[error("The branch `{0}` exists already.")]
    BranchExists(String),
    #[error("The worktree folder `{}` lies inside the checkout `{}`.", .dir.display(), .checkout.display())]
    InsideCheckout { dir: PathBuf, checkout: PathBuf },
    #[error("There is not enough free space at `{}`: {free_mib} MiB are free, {need_mib} MiB are needed.", .path.display())]
    DiskFull { path: PathBuf, free_mib: u64, need_mib: u64 },
    #[error("The files could not be checked out, because the filter `{filter}` failed: {said}")]
    FilterFailed { filter: String, said: String },
    #[error("Another program keeps the repository of `{}` locked.", .0.display())]
    Locked(PathBuf),
    #[error("`{}` belongs to a bare repository and has no files checked out.", .0.display())]
    NoFilesHere(PathBuf),
    #[error("Files of this commit were never fetched: `{}` is a partial clone.", .0.display())]
    NotFetched(PathBuf),
    #[error("The name is too long for this file system ({0}).")]
    NameTooLong(String),
    #[error("There are too many files to list ({0}).")]
    TooMuch(String),
    #[error("`{}` is not a worktree of this repository.", .0.display())]
    NotAWorktree(PathBuf),
    #[error("`{0}` is not a path inside the worktree.")]
    PathOutside(String),
    #[error("What is in `{}` cannot be kept in a rescue ref, so it was not removed: {why}", .path.display())]
    CannotRescue { path: PathBuf, why: String },
    #[error("Musher may not read or write `{}`.", .0.display())]
    NoPermission(PathBuf),
    #[error("git did not finish within {seconds} s ({what}).")]
    TimedOut { what: String, seconds: u64 },
    #[error("git could not do this ({what}): {said}")]
    Failed { what: String, said: String },
    #[error("`{}`: {source}", .path.display())]
    Io { path: PathBuf, source: std::io::Error },
}

impl WorktreeError {
    /// An I/O error at a path, told apart where a person can do something about it.
    pub(crate) fn io(path: impl Into<PathBuf>, source: std::io::Error) -> Self {
        let path = path.into();
        match source.kind() {
            std::io::ErrorKind::PermissionDenied => Self::NoPermission(path),
            std::io::ErrorKind::StorageFull => Self::DiskFull { path, free_mib: 0, need_mib: 1 },
            _ => Self::Io { path, source },
        }
    }

    /// What is missing where git could not work: the folder itself, or the repository whose worktree it
    /// is. Who moved or deleted either is told that, and not what git made of it.
    pub(crate) fn missing(dir: &Path) -> Option<Self> {
        let is_gone = |path: &Path| matches!(path.try_exists(), Ok(false));
        if is_gone(dir) {
            return Some(Self::Gone(dir.to_owned()));
        }
        // `gitdir: <repository>/.git/worktrees/<name>`, in a worktree's `.git` (gitrepository-layout).
        let link = std::fs::read_to_string(dir.join(".git")).ok()?;
        let record = dir.join(link.strip_prefix("gitdir:")?.trim());
        let common = record.parent()?.parent().filter(|common| is_gone(common))?;
        let repository = if common.ends_with(".git") { common.parent()? } else { common };
        Some(Self::RepositoryGone { worktree: dir.to_owned(), repository: repository.to_owned() })
    }

    fn code(&self) -> ErrorCode {
        match self {
            Self::GitMissing => ErrorCode::GitMissing,
            Self::NotARepository(_) | Self::NoFilesHere(_) | Self::RepositoryGone { .. } => {
                ErrorCode::NotARepository
            }
            Self::NoCommits(_) | Self::BranchExists(_) | Self::Locked(_) => ErrorCode::Conflict,
            Self::Gone(_) | Self::BaseNotFound(_) | Self::NotAWorktree(_) => ErrorCode::NotFound,
            Self::BadBranchName(_)
            | Self::PathOutside(_)
            | Self::NameTooLong(_)
            | Self::InsideCheckout { .. } => ErrorCode::BadRequest,
            Self::DiskFull { .. } => ErrorCode::DiskFull,
            Self::CannotRescue { .. } => ErrorCode::WouldLoseWork,
            Self::NoPermission(_) | Self::OwnedByAnother(_) => ErrorCode::NoPermission,
            Self::Broken { .. }
            | Self::FilterFailed { .. }
            | Self::NotFetched(_)
            | Self::TooMuch(_)
            | Self::TimedOut { .. }
            | Self::Failed { .. } => ErrorCode::GitFailed,
            Self::Io { .. } => ErrorCode::Internal,
        }
    }

    fn hint(&self) -> String {
        match self {
            Self::GitMissing => "Install git 2.38 or newer and try again.".into(),
            Self::Gone(_) | Self::RepositoryGone { .. } => {
                "Put it back where it was, or take the project off the list.".into()
            }
            Self::NotARepository(path) => {
                format!(
                    "Run `git init` in `{}`, or choose a folder inside a repository.",
                    path.display()
                )
            }
            Self::OwnedByAnother(path) => format!(
                "If you trust it, run `git config --global --add safe.directory '{}'`.",
                path.display()
            ),
            Self::Broken { .. } => "Run `git status` there: it says what is broken.".into(),
            Self::NoCommits(_) => "Make a first commit and try again.".into(),
            Self::BaseNotFound(_) => "Choose another base, or fetch it first.".into(),
            Self::BadBranchName(_) => "Use letters, digits, `-`, `_` and `/`.".into(),
            Self::BranchExists(_) => "Choose another branch name.".into(),
            Self::InsideCheckout { .. } => {
                "Choose a data directory outside of the repository.".into()
            }
            Self::DiskFull { .. } => "Free some space and try again.".into(),
            Self::FilterFailed { filter, .. } => format!(
                "Install the program of the filter `{filter}`, or start without filters: such files then hold pointers."
            ),
            Self::Locked(_) => "Wait until the other program is done, then try again.".into(),
            Self::NoFilesHere(_) => {
                "Choose one of its worktrees, or the bare repository itself.".into()
            }
            Self::NotFetched(path) => format!(
                "Check this commit out once in `{}` while the network is there, then try again.",
                path.display()
            ),
            Self::NameTooLong(_) => "Choose a name of less than 240 bytes.".into(),
            Self::TooMuch(_) => "Let `.gitignore` name the folder that holds them.".into(),
            Self::NotAWorktree(_) => "Look at the project's list of worktrees.".into(),
            Self::PathOutside(_) => "Choose a file of the list of changes.".into(),
            Self::CannotRescue { .. } => "Save it yourself, then try again.".into(),
            Self::NoPermission(path) => {
                format!("Check who may read and write `{}`.", path.display())
            }
            Self::TimedOut { .. } => {
                "Check whether the disk is slow or another git runs, then try again.".into()
            }
            Self::Failed { .. } => "Run `git status` in the repository: it often says why.".into(),
            Self::Io { .. } => "Check the folder and try again.".into(),
        }
    }
}

impl From<WorktreeError> for ApiError {
    fn from(error: WorktreeError) -> Self {
        ApiError::new(error.code(), error.to_string()).with_hint(error.hint())
    }
}
