//! A throw-away git repository, the same each time: fixed dates and author, nobody's settings.

use std::{
    cell::Cell,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};

/// A repository in a folder of its own, removed when dropped.
pub struct Repo {
    folder: tempfile::TempDir,
    /// Seconds since the first commit's date; each commit is a minute later.
    clock: Cell<u64>,
}

/// 2026-01-01T00:00:00Z.
const FIRST_DATE: u64 = 1_767_225_600;

impl Repo {
    /// An empty repository on branch `main`.
    pub fn empty() -> Result<Self> {
        let repo = Self { folder: tempfile::tempdir()?, clock: Cell::new(FIRST_DATE) };
        std::fs::create_dir(repo.home())?;
        std::fs::create_dir(repo.path())?;
        repo.git(["init", "--quiet", "--initial-branch=main"])?;
        Ok(repo)
    }

    /// With one commit: a `README.md`.
    pub fn new() -> Result<Self> {
        let repo = Self::empty()?;
        repo.write("README.md", "# A repository\n\nFor a test.\n")?;
        repo.commit("first")?;
        Ok(repo)
    }

    pub fn path(&self) -> PathBuf {
        self.folder.path().join("repo")
    }

    /// A place beside the repository, for worktrees and other things of the test.
    pub fn beside(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// An empty home folder.
    pub fn home(&self) -> PathBuf {
        self.folder.path().join("home")
    }

    /// Writes a file, folders included. Answers with its whole path.
    pub fn write(&self, path: &str, content: impl AsRef<[u8]>) -> Result<PathBuf> {
        let path = self.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap_or(Path::new("/")))?;
        std::fs::write(&path, content)?;
        Ok(path)
    }

    /// Commits everything; answers with the commit's id.
    pub fn commit(&self, message: &str) -> Result<String> {
        self.git(["add", "--all"])?;
        self.git(["commit", "--quiet", "--allow-empty", "--message", message])?;
        self.git(["rev-parse", "HEAD"])
    }

    /// Runs git in the repository; answers with its output, trimmed.
    pub fn git<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> Result<String> {
        self.git_in(&self.path(), args)
    }

    /// Runs git in another folder, with the same surroundings.
    pub fn git_in<'a>(
        &self,
        folder: &Path,
        args: impl IntoIterator<Item = &'a str>,
    ) -> Result<String> {
        let args: Vec<&str> = args.into_iter().collect();
        self.clock.set(self.clock.get() + 60);
        let mut git = Command::new("git");
        git.args(&args).current_dir(folder).env_clear().envs(self.env());
        let date = format!("{} +0000", self.clock.get());
        let done = git.env("GIT_AUTHOR_DATE", &date).env("GIT_COMMITTER_DATE", &date).output();
        let done = done.context("git is not installed")?;
        let errors = String::from_utf8_lossy(&done.stderr);
        ensure!(done.status.success(), "git {}: {errors}", args.join(" "));
        Ok(String::from_utf8_lossy(&done.stdout).trim().to_owned())
    }

    /// The surroundings in which git knows nobody's settings.
    pub fn env(&self) -> Vec<(&'static str, String)> {
        let name = "Test";
        vec![
            ("PATH", std::env::var("PATH").unwrap_or_default()),
            ("HOME", self.home().display().to_string()),
            ("GIT_CONFIG_GLOBAL", "/dev/null".into()),
            ("GIT_CONFIG_NOSYSTEM", "1".into()),
            ("GIT_AUTHOR_NAME", name.into()),
            ("GIT_AUTHOR_EMAIL", "test@example.invalid".into()),
            ("GIT_COMMITTER_NAME", name.into()),
            ("GIT_COMMITTER_EMAIL", "test@example.invalid".into()),
            ("GIT_TERMINAL_PROMPT", "0".into()),
        ]
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn is_the_same_each_time() {
        let (one, two) = (Repo::new().unwrap(), Repo::new().unwrap());
        let head = |repo: &Repo| repo.git(["rev-parse", "HEAD"]).unwrap();
        assert_eq!(head(&one), head(&two));
        one.write("a/b.txt", "x").unwrap();
        one.commit("second").unwrap();
        assert_eq!(one.git(["log", "--format=%s"]).unwrap(), "second\nfirst");
        assert!(one.git(["no-such-command"]).is_err());
    }
}
