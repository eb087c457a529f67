//! `musher` as a user has it: the real program, a data directory and a repository of its own.
#![allow(dead_code, reason = "each test program uses a part")]

#[cfg(unix)]
pub mod seat;

use std::{
    io::{BufRead, BufReader, Read},
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use musher_protocol::{AgentEvent, EventEnvelope, RunId, RunSummary};
use musher_testkit::{Live, Repo, executable, proof};

/// Longest wait for something that must come.
pub const SOON: Duration = Duration::from_secs(60);

/// What the agent said, block by block.
pub fn text_of(events: &[EventEnvelope]) -> String {
    let texts = events.iter().filter_map(|event| match &event.event {
        AgentEvent::Text { text, delta: false, .. } => Some(text.as_str()),
        _ => None,
    });
    texts.collect::<Vec<_>>().join("\n")
}

pub fn nothing_left(run: &RunId) {
    let left = proof::wait_none_with_mark(run.as_str(), Duration::from_secs(10));
    assert!(left.is_empty(), "processes of run {run} are left: {left:?}");
}

pub struct World {
    pub repo: Repo,
    data: tempfile::TempDir,
}

/// What a finished command left.
pub struct Finished {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Finished {
    pub fn events(&self) -> Vec<EventEnvelope> {
        self.stdout.lines().map(|line| serde_json::from_str(line).expect(line)).collect()
    }
}

impl World {
    pub fn new() -> Self {
        executable("demo", "musher-demo-agent").unwrap();
        Self { repo: Repo::new().unwrap(), data: tempfile::tempdir().unwrap() }
    }

    pub fn data_dir(&self) -> PathBuf {
        self.data.path().join("data")
    }

    /// The user's own settings name the scripted model: variables given with `--env` are not kept
    /// for a later run of another `musher`.
    pub fn set_up(&self, live: &Live) {
        let folder = self.repo.home().join(".claude");
        std::fs::create_dir_all(&folder).unwrap();
        let names = ["ANTHROPIC_", "CLAUDE_CODE_", "DISABLE_"];
        let mut env = live.env();
        env.retain(|name, _| names.iter().any(|begin| name.starts_with(begin)));
        let settings = serde_json::json!({ "env": env });
        std::fs::write(folder.join("settings.json"), settings.to_string()).unwrap();
    }

    pub fn musher(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_musher"));
        command
            .args(args)
            .env("MUSHER_DATA_DIR", self.data_dir())
            .env("MUSHER_KEEPER", env!("CARGO_BIN_EXE_musher-keeper"))
            .env("HOME", self.repo.home())
            .env("SHELL", "/bin/sh")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    pub fn call(&self, args: &[&str]) -> Finished {
        let out = self.musher(args).output().unwrap();
        Finished {
            code: out.status.code().unwrap_or(-1),
            stdout: String::from_utf8(out.stdout).unwrap(),
            stderr: String::from_utf8(out.stderr).unwrap(),
        }
    }

    /// `musher run` of a script in a new worktree, as JSON.
    pub fn run_args<'a>(&self, repo: &'a str, script: &'a str, more: &[&'a str]) -> Vec<&'a str> {
        let mut args = vec!["--json", "run", "go", "--repo", repo, "--runtime", "demo"];
        args.extend([
            "--arg",
            "--demo-script",
            "--arg",
            script,
            "--arg",
            "--demo-speed",
            "--arg",
            "fast",
        ]);
        args.extend(more);
        args
    }

    pub fn run(&self, script: &str, more: &[&str]) -> Finished {
        let repo = self.repo.path().to_string_lossy().into_owned();
        self.call(&self.run_args(&repo, script, more))
    }

    /// Starts the same and gives its events as they come.
    pub fn follow(&self, script: &str, more: &[&str]) -> Following {
        let repo = self.repo.path().to_string_lossy().into_owned();
        Following::of(self.musher(&self.run_args(&repo, script, more)))
    }

    pub fn runs(&self) -> Vec<RunSummary> {
        let listed = self.call(&["--json", "runs"]);
        assert_eq!(listed.code, 0, "{}", listed.stderr);
        listed.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// A command whose events are read as they come.
pub struct Following {
    pub child: Child,
    lines: std::sync::mpsc::Receiver<String>,
    pub seen: Vec<EventEnvelope>,
}

impl Following {
    pub fn of(mut command: Command) -> Self {
        let mut child = command.stderr(Stdio::inherit()).spawn().unwrap();
        let out = child.stdout.take().unwrap();
        let (tx, lines) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                if tx.send(line).is_err() {
                    return;
                }
            }
        });
        Self { child, lines, seen: Vec::new() }
    }

    /// Reads on until an event is as wanted, and gives it.
    pub fn until(&mut self, wanted: impl Fn(&AgentEvent) -> bool) -> EventEnvelope {
        let deadline = Instant::now() + SOON;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let line = self.lines.recv_timeout(left).expect("the wanted event came");
            let envelope: EventEnvelope = serde_json::from_str(&line).expect(&line);
            self.seen.push(envelope.clone());
            if wanted(&envelope.event) {
                return envelope;
            }
        }
    }

    pub fn end(mut self) -> i32 {
        let code = self.child.wait().unwrap().code().unwrap_or(-1);
        // The reader ends with the pipe.
        while self.lines.recv().is_ok() {}
        code
    }

    /// As a crash does: no handler runs.
    pub fn kill_hard(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        // Already gone in most tests.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(err) = self.child.stderr.as_mut() {
            let _ = err.read_to_string(&mut String::new());
        }
    }
}
