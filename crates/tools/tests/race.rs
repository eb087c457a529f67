//! A thread swaps links, folders and files while the tools run: nothing outside is read or changed.
//!
//! A million times over both ways of resolving paths; through the tools themselves, which is slower, a few
//! thousand times, and 200,000 times with
//! `cargo test -p musher-tools --release --test race -- --ignored --nocapture`.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::{
    io::Read,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    time::Instant,
};

use common::{CANARY, Place, done};
use musher_tools::paths::{PathError, Root, Way};
use rustix::fs::{CWD, Mode, OFlags, RenameFlags, openat, renameat_with, unlinkat};
use serde_json::json;

/// Paths that lead, at one moment or another, outside or into git's folder.
const PATHS: &[&str] = &[
    "swap/file.txt",
    "swap/canary.txt",
    "dir/file.txt",
    "link-in",
    "link-in/canary.txt",
    "flip",
    "deep/around",
    "deep/around-2",
    "deep/a/b/file.txt",
    "deep/a/b/canary.txt",
    "gitswap/config",
    "gitswap/hooks/pre-commit",
    "chain/b/file.txt",
    "chain/b/canary.txt",
    "moving/file.txt",
];

/// A name that is in every forbidden folder and nowhere else.
const OUTSIDE: &str = "only-outside.txt";

/// What is swapped with what, over and over.
const SWAPS: &[(&str, &str)] = &[
    ("swap", "evil"),
    ("flip", "evil-file"),
    ("deep/a", "deep/evil-a"),
    ("gitswap", "evil-git"),
    ("chain/b", "chain/evil-b"),
    ("moving", "deep/moving"),
    ("link-in", "evil"),
    // Never through a folder that is swapped itself: that would carry the canary in.
    ("dir/file.txt", "evil-file-2"),
];

fn arena() -> Place {
    // In memory where there is a place for it, so that the disk is not what is measured.
    let memory = Path::new("/dev/shm");
    let parent = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
    let place = Place::within(&parent);
    for path in ["swap/file.txt", "dir/file.txt", "flip", "deep/a/b/file.txt", "chain/b/file.txt"] {
        place.put(path, "good\n");
    }
    for path in ["gitswap/config", "gitswap/hooks/pre-commit", "moving/file.txt"] {
        place.put(path, "good\n");
    }
    place.put("../outside/b/canary.txt", CANARY);
    place.put("../outside/file.txt", CANARY);
    for path in ["../outside", "../outside/b", ".git", ".git/hooks"] {
        place.put(&format!("{path}/{OUTSIDE}"), CANARY);
    }
    place.put("../outside/b/file.txt", CANARY);
    for (target, path) in [
        ("../outside", "evil"),
        ("../outside/canary.txt", "evil-file"),
        ("../outside/canary.txt", "evil-file-2"),
        ("../../outside", "deep/evil-a"),
        (".git", "evil-git"),
        ("../../outside", "chain/evil-b"),
        ("dir", "link-in"),
        ("../swap/file.txt", "deep/around"),
        ("a/../../dir/file.txt", "deep/around-2"),
    ] {
        place.link(target, path);
    }
    place
}

/// Everything outside and of git's, with what is in it.
fn forbidden(place: &Place) -> Vec<(PathBuf, Vec<u8>)> {
    let mut folders = vec![place.outside(), place.path(".git")];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.push((path.clone(), std::fs::read(path).unwrap()));
            }
        }
    }
    found.sort();
    found
}

struct Swapper {
    root: OwnedFd,
    stop: AtomicBool,
    swaps: AtomicU64,
}

impl Swapper {
    fn new(root: &Path) -> Self {
        let flags = OFlags::DIRECTORY | OFlags::RDONLY;
        let root = openat(CWD, root, flags, Mode::empty()).unwrap();
        Self { root, stop: AtomicBool::new(false), swaps: AtomicU64::new(0) }
    }

    fn run(&self) {
        let mut number = 0_usize;
        while !self.stop.load(Relaxed) {
            let (a, b) = SWAPS[(number * 7 + number / 11) % SWAPS.len()];
            number += 1;
            // One that is not there just now is another time.
            if renameat_with(&self.root, a, &self.root, b, RenameFlags::EXCHANGE).is_err() {
                let _ = renameat_with(&self.root, a, &self.root, b, RenameFlags::NOREPLACE);
                let _ = renameat_with(&self.root, b, &self.root, a, RenameFlags::NOREPLACE);
            } else {
                self.swaps.fetch_add(1, Relaxed);
            }
            if number.is_multiple_of(64) {
                // A link that is made anew has another inode.
                let _ = unlinkat(&self.root, "link-new", rustix::fs::AtFlags::empty());
                let target = if number.is_multiple_of(128) { "../outside" } else { "dir" };
                let _ = rustix::fs::symlinkat(target, &self.root, "link-new");
                let _ = renameat_with(
                    &self.root,
                    "link-new",
                    &self.root,
                    "link-in",
                    RenameFlags::EXCHANGE,
                );
            }
        }
    }
}

/// What came of the tries.
#[derive(Debug, Default)]
struct Tally {
    good: u64,
    refused: u64,
}

/// Reads, writes and lists once.
fn one(root: &Root, number: u64, tally: &mut Tally) {
    let text = PATHS[usize::try_from(number).unwrap() % PATHS.len()];
    let path = root.relative(text).unwrap();
    let done: Result<(), PathError> = match number % 4 {
        0 | 1 => root.open_file(&path).map(|mut opened| {
            let mut text = String::new();
            (&mut opened.file).take(4096).read_to_string(&mut text).unwrap();
            assert!(!text.contains(CANARY), "read {path} at {}", opened.place);
            assert!(text.starts_with("good"), "read {path}: {text:?}");
        }),
        2 => root.target(&path, 4096, false).and_then(|target| {
            if let Some(old) = &target.old {
                assert!(!old.bytes.windows(6).any(|w| w == b"canary"), "took {path}");
            }
            root.write(&target, format!("good {number}\n").as_bytes())
        }),
        _ => {
            let (parent, _) = path.split().unwrap();
            root.open_folder(&parent).map(|folder| list(&folder.fd, &folder.place.to_string()))
        }
    };
    match done {
        Ok(()) => tally.good += 1,
        Err(_) => tally.refused += 1,
    }
}

fn list(folder: &OwnedFd, place: &str) {
    let Ok(dir) = rustix::fs::Dir::read_from(folder) else { return };
    for entry in dir.flatten() {
        assert_ne!(entry.file_name().to_bytes(), OUTSIDE.as_bytes(), "listed {place}");
    }
}

fn race(way: Way, tries: u64) {
    let place = arena();
    let before = forbidden(&place);
    let root = Root::open(&place.root()).unwrap().by(way);
    assert_eq!(root.way(), way);
    let swapper = Swapper::new(&place.root());
    let mut tally = Tally::default();
    let begun = Instant::now();
    std::thread::scope(|scope| {
        scope.spawn(|| swapper.run());
        let tried = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            (0..tries).for_each(|number| one(&root, number, &mut tally));
        }));
        swapper.stop.store(true, Relaxed);
        if let Err(panic) = tried {
            std::panic::resume_unwind(panic);
        }
    });
    let (swaps, took) = (swapper.swaps.load(Relaxed), begun.elapsed());
    println!("{way:?}: {tries} tries, {swaps} swaps, {tally:?}, {:.1} s", took.as_secs_f64());
    assert_eq!(forbidden(&place), before, "something outside was changed");
    assert!(tally.good > tries / 20 && tally.refused > tries / 50, "{tally:?}");
    assert!(swaps > tries / 100, "the swapper did not run: {swaps}");
}

/// With the next, a million.
#[test]
fn tries_by_the_kernel() {
    race(Way::Kernel, 700_000);
}

#[test]
fn tries_step_by_step() {
    race(Way::Steps, 300_000);
}

/// The tools themselves, as a runtime calls them; fewer, because each goes through threads.
async fn tools_race(tries: u64) {
    let place = arena();
    let before = forbidden(&place);
    let host = place.host();
    let swapper = std::sync::Arc::new(Swapper::new(&place.root()));
    let other = swapper.clone();
    let thread = std::thread::spawn(move || other.run());
    let mut tally = Tally::default();
    for number in 0..tries {
        let path = PATHS[usize::try_from(number / 4).unwrap() % PATHS.len()];
        let folder = path.rsplit_once('/').map_or(".", |(folder, _)| folder);
        let (tool, input) = match number % 4 {
            0 => ("read_file", json!({"path": path})),
            1 => ("edit_file", json!({"path": path, "old": "good", "new": "good."})),
            2 => ("list_files", json!({"folder": folder, "ignored": true})),
            _ => ("search", json!({"pattern": "canary|good", "path": folder})),
        };
        let outcome = done(&host, tool, input).await;
        let leaked = outcome.text.contains(CANARY) || outcome.text.contains(OUTSIDE);
        if leaked {
            swapper.stop.store(true, Relaxed);
            panic!("{tool} {path}: {}", outcome.text);
        }
        if outcome.is_error { tally.refused += 1 } else { tally.good += 1 }
    }
    swapper.stop.store(true, Relaxed);
    thread.join().unwrap();
    println!("tools: {tries} tries, {} swaps, {tally:?}", swapper.swaps.load(Relaxed));
    assert_eq!(forbidden(&place), before, "something outside was changed");
    assert!(tally.good > tries / 20, "{tally:?}");
}

#[tokio::test]
async fn the_tools_themselves() {
    tools_race(4_000).await;
}

#[tokio::test]
#[ignore = "takes minutes; for the benchmark"]
async fn the_tools_themselves_for_long() {
    tools_race(200_000).await;
}
