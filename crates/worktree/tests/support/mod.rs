//! Throw-away repositories with a home of their own. Dates and names are fixed.
#![allow(dead_code, reason = "each test program uses a part")]
#![allow(clippy::disallowed_methods)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use chrono::{DateTime, Utc};
use musher_worktree::{CreateWorktree, Created, Git, RemoveWorktree};
use tempfile::TempDir;

const DATE: &str = "2026-01-02T03:04:05+00:00";

pub struct Repo {
    pub temp: TempDir,
    /// Canonical.
    pub base: PathBuf,
    pub root: PathBuf,
    pub git: Git,
}

impl Repo {
    /// A repository without a commit.
    pub fn unborn() -> Self {
        let temp = tempfile::tempdir().unwrap();
        let base = temp.path().canonicalize().unwrap();
        let (home, root) = (base.join("home"), base.join("repo"));
        std::fs::create_dir_all(&home).unwrap();
        std::fs::create_dir_all(&root).unwrap();
        // What git does by itself after a commit works on in the worktree for a while.
        let config = "[user]\nname = Tester\nemail = t@example.org\n[init]\ndefaultBranch = main\n\
                      [maintenance]\nauto = false\n";
        std::fs::write(home.join(".gitconfig"), config).unwrap();
        let git = Git::new(&std::env::var("PATH").unwrap()).at_home(&home);
        let repo = Self { temp, base, root, git };
        repo.run(&["init", "-q"]);
        repo
    }

    /// With one commit: `a.txt` and `dir/b.txt`.
    pub fn new() -> Self {
        let repo = Self::unborn();
        repo.write("a.txt", "one\ntwo\nthree\n");
        repo.write("dir/b.txt", "bee\n");
        repo.commit("first");
        repo
    }

    pub fn write(&self, path: &str, text: impl AsRef<[u8]>) {
        write(&self.root, path, text);
    }

    pub fn commit(&self, message: &str) -> String {
        self.run(&["add", "-A"]);
        self.run(&["commit", "-q", "--allow-empty", "-m", message]);
        self.head(&self.root)
    }

    pub fn head(&self, dir: &Path) -> String {
        self.run_in(dir, &["rev-parse", "HEAD"])
    }

    pub fn run(&self, args: &[&str]) -> String {
        self.run_in(&self.root, args)
    }

    /// Plain git, which must succeed; its output without the last line end.
    pub fn run_in(&self, dir: &Path, args: &[&str]) -> String {
        let output = self.try_in(dir, args);
        assert!(
            output.status.success(),
            "git {args:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
    }

    pub fn try_in(&self, dir: &Path, args: &[&str]) -> Output {
        self.command(dir, args).output().unwrap()
    }

    pub fn command(&self, dir: &Path, args: &[&str]) -> Command {
        let mut command = Command::new("git");
        command.current_dir(dir).args(args).env("HOME", self.base.join("home"));
        command.env("GIT_AUTHOR_DATE", DATE).env("GIT_COMMITTER_DATE", DATE);
        command.env_remove("XDG_CONFIG_HOME").env("GIT_TERMINAL_PROMPT", "0");
        command.stdin(std::process::Stdio::null());
        command
    }

    pub fn under(&self) -> PathBuf {
        self.base.join("data/worktrees/p")
    }

    pub fn wanted(&self, prompt: &str) -> CreateWorktree {
        CreateWorktree {
            root: self.root.clone(),
            under: self.under(),
            branch: None,
            prompt: prompt.to_owned(),
            base: None,
        }
    }

    pub async fn create(&self, prompt: &str) -> Created {
        self.git.create(self.wanted(prompt)).await.unwrap()
    }

    pub fn removal(&self, path: &Path) -> RemoveWorktree {
        RemoveWorktree {
            root: self.root.clone(),
            path: path.to_owned(),
            under: self.under(),
            force: false,
            used_by: Vec::new(),
            made_branch: true,
            at: now(),
        }
    }

    /// What must be as before when something failed: refs, worktrees and the main checkout.
    pub fn fingerprint(&self) -> String {
        let refs = self.run(&["for-each-ref"]);
        let worktrees = self.run(&["worktree", "list", "--porcelain"]);
        let status = self.run(&["status", "--porcelain=v2", "--ignored", "-uall"]);
        format!("{refs}\n{worktrees}\n{status}\n{:?}", files(&self.root))
    }
}

pub fn now() -> DateTime<Utc> {
    DATE.parse().unwrap()
}

pub fn write(dir: &Path, path: &str, text: impl AsRef<[u8]>) {
    let whole = dir.join(path);
    std::fs::create_dir_all(whole.parent().unwrap()).unwrap();
    std::fs::write(whole, text).unwrap();
}

/// A named pipe: whoever opens it to read waits for ever.
pub fn pipe(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

pub fn make_executable(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// Every file below a folder but git's own: path, whether it can run, bytes or where a link leads.
pub fn files(dir: &Path) -> Vec<(String, bool, Vec<u8>)> {
    let mut found = Vec::new();
    gather(dir, dir, &mut found);
    found.sort();
    found
}

fn gather(top: &Path, dir: &Path, found: &mut Vec<(String, bool, Vec<u8>)>) {
    use std::os::unix::fs::PermissionsExt;
    for entry in std::fs::read_dir(dir).unwrap().flatten() {
        let path = entry.path();
        let meta = path.symlink_metadata().unwrap();
        if entry.file_name() == ".git" {
            continue;
        }
        let name = path.strip_prefix(top).unwrap().to_string_lossy().into_owned();
        if meta.is_dir() {
            gather(top, &path, found);
        } else if meta.is_symlink() {
            found.push((
                name,
                false,
                path.read_link().unwrap().to_string_lossy().into_owned().into_bytes(),
            ));
        } else {
            found.push((
                name,
                meta.permissions().mode() & 0o100 != 0,
                std::fs::read(&path).unwrap(),
            ));
        }
    }
}
