//! A test's own data directory, home and repositories; and nothing of it left behind.

use std::{
    fs::{self, File},
    io::{BufRead, BufReader, Lines},
    path::PathBuf,
    process::{Child, ChildStdout, Command, Stdio},
};

use musher_testkit::{executable, wait::until_some};
use serde_json::Value;

use super::{desktop::Notifications, root, webdriver::Page};

pub struct Stage {
    dir: tempfile::TempDir,
    /// There from before the first app until after the last: without it the bus would start the
    /// machine's own server, if it has one, which then keeps the name.
    pub notifications: Notifications,
}

/// A `musher` in a terminal whose events are read as they come.
pub struct Musher {
    pub child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Musher {
    /// Reads on until an event of this type, and gives it. The test's own limit ends a wait in vain.
    pub fn until(&mut self, wanted: &str) -> Value {
        let events = self.lines.by_ref().map_while(Result::ok);
        let mut events = events.map(|line| serde_json::from_str::<Value>(&line).expect(&line));
        events.find(|event| event["event"]["type"] == wanted).expect(wanted)
    }
}

/// How a start of the app ended by itself.
pub struct Ended {
    pub code: Option<i32>,
    pub error: String,
}

impl Stage {
    pub fn new() -> Self {
        let dir = tempfile::Builder::new().prefix("musher-window-").tempdir().unwrap();
        for part in ["home", "data"] {
            fs::create_dir(dir.path().join(part)).unwrap();
        }
        Self { dir, notifications: Notifications::start() }
    }

    pub fn data_dir(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// The one that was just built, or one that is installed.
    fn program() -> PathBuf {
        let installed = std::env::var_os("MUSHER_DESKTOP").map(PathBuf::from);
        installed.unwrap_or_else(|| env!("CARGO_BIN_EXE_musher-desktop").into())
    }

    /// A home of its own, and a shell without start-up files: nothing of this machine's matters.
    fn prepare(&self, command: &mut Command) {
        command
            .env("HOME", self.dir.path().join("home"))
            .env("SHELL", "/bin/sh")
            .env("MUSHER_LOG", "info,musher_desktop=debug");
        for name in ["MUSHER_DATA_DIR", "CLAUDE_CONFIG_DIR", "ANTHROPIC_API_KEY", "WAYLAND_DISPLAY"]
        {
            command.env_remove(name);
        }
    }

    /// The window, ready to be driven.
    pub fn open(&self, more: &[&str]) -> Page {
        let data_dir = self.data_dir();
        let mut args = vec!["--data-dir", data_dir.to_str().unwrap()];
        args.extend_from_slice(more);
        Page::open(&Self::program(), &args, |command| self.prepare(command))
    }

    fn command(&self, more: &[&str]) -> Command {
        let mut command = Command::new(Self::program());
        command.arg("--data-dir").arg(self.data_dir()).args(more).current_dir(root());
        self.prepare(&mut command);
        command
    }

    pub fn musher(&self, args: &[&str]) -> Musher {
        let mut command = Command::new(executable("cli", "musher").unwrap());
        command.args(args).arg("--data-dir").arg(self.data_dir()).stdout(Stdio::piped());
        self.prepare(&mut command);
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Musher { child, lines }
    }

    /// A start where nobody answers, or somebody else.
    pub fn run_on_display(&self, display: &str) -> Ended {
        Self::ended(self.command(&[]).env("DISPLAY", display))
    }

    /// Another start, which is to end by itself.
    pub fn run_again(&self, more: &[&str]) -> Ended {
        Self::ended(&mut self.command(more))
    }

    fn ended(command: &mut Command) -> Ended {
        let output = command.output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        Ended { code: output.status.code(), error }
    }

    /// Starts the app and reads what it says before its dialog is answered.
    pub fn start_and_read_error(&self) -> String {
        let mut app = self.command(&[]).stderr(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(app.stderr.take().unwrap()).lines().map_while(Result::ok);
        let said: Vec<_> = lines.filter(|line| !line.contains("WARNING")).take(2).collect();
        until_some("the dialog is shown", || {
            let found = super::desktop::xdotool(&[
                "search",
                "--onlyvisible",
                "--pid",
                &app.id().to_string(),
            ]);
            found.lines().next().map(str::to_owned)
        });
        super::screenshot(&super::picture("9-locked"));
        super::desktop::xdotool(&["key", "Return"]);
        assert_eq!(app.wait().unwrap().code(), Some(1));
        said.join("\n")
    }

    /// Holds the lock as another engine would, without answering on the socket.
    pub fn lock(&self) -> File {
        let file = File::create(self.data_dir().join("engine.lock")).unwrap();
        file.lock().unwrap();
        file
    }

    /// A repository with a commit.
    pub fn repository(&self, name: &str) -> PathBuf {
        self.repository_of(name, &[("README.md", "# A test\n")])
    }

    /// A repository with these files, committed.
    pub fn repository_of(&self, name: &str, files: &[(&str, &str)]) -> PathBuf {
        let dir = self.dir.path().join(name);
        fs::create_dir(&dir).unwrap();
        for (path, text) in files {
            fs::write(dir.join(path), text).unwrap();
        }
        for args in [
            &["init", "--quiet", "--initial-branch=main"][..],
            &["add", "."],
            &[
                "-c",
                "user.name=Test",
                "-c",
                "user.email=test@localhost",
                "commit",
                "--quiet",
                "-m",
                "begin",
            ],
        ] {
            let git = Command::new("git").args(args).current_dir(&dir).env("HOME", &dir).status();
            assert!(git.unwrap().success());
        }
        dir
    }

    /// The worktrees that Musher made: `worktrees/<project>/<branch>`.
    pub fn worktrees(&self) -> Vec<PathBuf> {
        let below = |dir: PathBuf| {
            let entries = fs::read_dir(dir).into_iter().flatten().flatten();
            entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect::<Vec<_>>()
        };
        below(self.data_dir().join("worktrees")).into_iter().flat_map(below).collect()
    }

    /// The agents of this stage: the processes that work below its data directory.
    pub fn agents(&self) -> Vec<u32> {
        self.processes(|pid| {
            let cwd = fs::read_link(format!("/proc/{pid}/cwd"));
            cwd.is_ok_and(|cwd| cwd.starts_with(self.data_dir().join("worktrees")))
        })
    }

    fn processes(&self, ours: impl Fn(u32) -> bool) -> Vec<u32> {
        let all = fs::read_dir("/proc").unwrap().flatten();
        let pids = all.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        pids.filter(|pid| ours(*pid)).collect()
    }

    pub fn kill(&self, pid: u32) {
        let killed = Command::new("kill").args(["-9", &pid.to_string()]).status();
        assert!(killed.unwrap().success());
    }
}

impl Drop for Stage {
    /// Whatever a failed test left: everything that names the stage's folder or works in it.
    fn drop(&mut self) {
        if std::thread::panicking() {
            let thread = std::thread::current();
            let name = format!("failed-{}", thread.name().unwrap_or_default());
            super::screenshot(&super::picture(&name));
            let log = fs::read_to_string(self.data_dir().join("logs/desktop.log"));
            eprintln!("What the app wrote:\n{}", log.unwrap_or_default());
        }
        let dir = self.dir.path().to_path_buf();
        let left = self.processes(|pid| {
            let cwd =
                fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd.starts_with(&dir));
            let args = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            cwd || String::from_utf8_lossy(&args).contains(dir.to_str().unwrap())
        });
        for pid in left {
            let _ =
                Command::new("kill").args(["-9", &pid.to_string()]).stderr(Stdio::null()).status();
        }
    }
}

/// Whether the process is there and not only its record.
pub fn alive(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The state follows the name, which is in brackets (proc(5)).
    let state = stat.rsplit(") ").next().and_then(|rest| rest.chars().next());
    state.is_some_and(|state| state != 'Z' && state != 'X')
}
