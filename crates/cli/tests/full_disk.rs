//! What a person at a terminal is told while the disk of the data directory is full.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]
// A test starts real programs and waits for them itself.
#![allow(clippy::disallowed_methods)]
#![cfg(target_os = "linux")]

mod world;

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, ChildStderr, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    time::Instant,
};

use musher_protocol::RunSummary;
use musher_testkit::{disk, wait};
use world::{SOON, World};

const FULL: &str = "The disk is full: this run waits for space";

/// A command whose complaints are read as they come.
struct Told {
    child: Child,
    lines: Receiver<String>,
    seen: Vec<String>,
}

impl Told {
    fn of(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::null()).spawn().unwrap();
        let lines = lines(child.stderr.take().unwrap());
        Self { child, lines, seen: Vec::new() }
    }

    fn until(&mut self, words: &str) -> String {
        let deadline = Instant::now() + SOON;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let line = self.lines.recv_timeout(left);
            let line = line.unwrap_or_else(|_| panic!("{words:?} is told: {:?}", self.seen));
            self.seen.push(line.clone());
            if line.contains(words) {
                return line;
            }
        }
    }

    /// Its exit code, and how often the full disk was told of.
    fn end(mut self) -> (Option<i32>, usize) {
        let code = self.child.wait().unwrap().code();
        self.seen.extend(self.lines.iter());
        (code, self.seen.iter().filter(|line| line.contains(FULL)).count())
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        // Already gone in a test that passes.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn lines(stderr: ChildStderr) -> Receiver<String> {
    let (tx, lines) = channel();
    std::thread::spawn(move || {
        let sent = |line| tx.send(line).is_ok();
        BufReader::new(stderr).lines().map_while(Result::ok).all(sent)
    });
    lines
}

fn listed(world: &World, data: &Path) -> RunSummary {
    let out = world.musher(&["--json", "runs"]).env("MUSHER_DATA_DIR", data).output().unwrap();
    serde_json::from_slice(&out.stdout).unwrap()
}

#[test]
fn every_command_says_that_the_disk_is_full() {
    let Some(disk) = disk::small("every_command_says_that_the_disk_is_full", 40, &[]).unwrap()
    else {
        return;
    };
    let (world, data) = (World::new(), disk.join("data"));
    let musher = |args: &[&str]| {
        let mut command = world.musher(args);
        command.env("MUSHER_DATA_DIR", &data);
        command
    };
    let repo = world.repo.path().to_string_lossy().into_owned();
    let mut args = vec!["run", "go", "--worktree", &repo, "--runtime", "demo"];
    args.extend(["--env", "MUSHER_DEMO_SCRIPT=burst", "--env", "MUSHER_DEMO_RATE=1000"]);
    let mut ran = Told::of(musher(&args));
    let run = ran.until("run ").replace("run ", "");
    let spoke = || (listed(&world, &data).last_seq >= 100).then_some(());
    wait::until_some("the agent speaks", spoke);
    let mut followed = Told::of(musher(&["events", &run, "--follow"]));
    let ballast = disk.join("ballast");
    disk::fill(&ballast).unwrap();
    // More to store than fits into the last page of the transcript, if its keeper waits first.
    let _sent = Told::of(musher(&["send", &run, &"x".repeat(64 << 10)]));

    for told in [&mut ran, &mut followed] {
        told.until(FULL);
        assert!(told.until("hint: ").contains("Free some space"));
    }
    let list = musher(&["runs"]).output().unwrap();
    assert!(String::from_utf8_lossy(&list.stdout).contains(FULL), "{list:?}");
    let doctor = musher(&["doctor"]).output().unwrap();
    let said = String::from_utf8_lossy(&doctor.stdout);
    assert!(said.contains("BAD   data") && said.contains(" is full: "), "{said}");
    assert_eq!(doctor.status.code(), Some(1));
    let mut stop = Told::of(musher(&["stop", &run]));
    stop.until(FULL);

    std::fs::remove_file(ballast).unwrap();
    assert_eq!(stop.end(), (Some(0), 1), "told once");
    assert_eq!(followed.end(), (Some(0), 1));
    assert_eq!(ran.end(), (Some(4), 1));
}
