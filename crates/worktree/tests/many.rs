//! Many worktrees at once, from one process and from several, while git and its user do other things
//! in the same repository. Nothing fails, and nothing is left over.
//!
//! The whole measure, which takes minutes:
//! `cargo nextest run -p musher-worktree --run-ignored all -E 'test(fifty_rounds)' --no-capture`
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_methods)]

mod support;

use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use chrono::TimeDelta;
use musher_worktree::{CreateWorktree, Created, Git, RemoveWorktree};
use support::{Repo, now, write};
use tokio::task::JoinSet;

const AT_ONCE: usize = 20;

async fn make_all(git: &Git, wanted: &CreateWorktree, count: usize) -> Vec<Created> {
    let mut making = JoinSet::new();
    for _ in 0..count {
        let (git, wanted) = (git.clone(), wanted.clone());
        making.spawn(async move { git.create(wanted).await.unwrap() });
    }
    making.join_all().await
}

async fn remove_all(git: &Git, removal: &RemoveWorktree, made: Vec<Created>) {
    let mut removing = JoinSet::new();
    for one in made {
        let (git, wanted) = (git.clone(), RemoveWorktree { path: one.path, ..removal.clone() });
        removing.spawn(async move {
            let report = git.remove(wanted).await.unwrap();
            assert!(report.removed, "{report:?}");
        });
    }
    removing.join_all().await;
}

/// What a round may not leave: locks, branches, folders, records of worktrees that are gone.
fn assert_nothing_left(repo: &Repo, worktrees: usize) {
    assert_eq!(locks(&repo.root.join(".git")), Vec::<PathBuf>::new());
    assert_eq!(repo.run(&["worktree", "prune", "--dry-run", "--verbose"]), "");
    assert_eq!(repo.run(&["for-each-ref", "refs/heads/musher"]).lines().count(), worktrees);
    let listed = repo.run(&["worktree", "list"]);
    // The user's own `git worktree remove` may have met a lock of ours.
    let ours = listed.lines().filter(|line| !line.contains("/own-")).count();
    assert_eq!(ours, 1 + worktrees, "{listed}");
    let below = std::fs::read_dir(repo.under()).unwrap().flatten();
    let folders = below.filter(|entry| entry.path().is_dir()).count();
    assert_eq!(folders, worktrees);
    assert_eq!(repo.run(&["status", "--porcelain"]), "");
}

fn locks(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(locks(&path));
        } else if path.extension().is_some_and(|end| end == "lock") {
            found.push(path);
        }
    }
    found
}

async fn rounds(count: usize) {
    let repo = Repo::new();
    let mut slowest = Duration::ZERO;
    let begun = Instant::now();
    for round in 0..count {
        let start = Instant::now();
        let made = make_all(&repo.git, &repo.wanted("same name"), AT_ONCE).await;
        slowest = slowest.max(start.elapsed());
        for one in &made {
            assert_eq!(std::fs::read(one.path.join("a.txt")).unwrap(), b"one\ntwo\nthree\n");
        }
        assert_nothing_left(&repo, AT_ONCE);
        let at = now() + TimeDelta::seconds(i64::try_from(round).unwrap());
        remove_all(&repo.git, &RemoveWorktree { at, ..repo.removal(&repo.root) }, made).await;
        assert_nothing_left(&repo, 0);
    }
    repo.run(&["fsck", "--strict"]);
    println!(
        "{count} rounds of {AT_ONCE}: {:?}, slowest creation of {AT_ONCE}: {slowest:?}",
        begun.elapsed()
    );
}

/// Each takes turns with itself alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_with_other_data_take_no_name_from_each_other() {
    let repo = Repo::new();
    let wanted = repo.wanted("same name");
    let other = CreateWorktree { under: wanted.under.with_file_name("others"), ..wanted.clone() };
    let git = repo.git.clone();
    let (ours, theirs) = tokio::join!(make_all(&repo.git, &wanted, 8), make_all(&git, &other, 8));
    let branches: std::collections::BTreeSet<_> =
        ours.iter().chain(&theirs).map(|made| made.branch.as_str()).collect();
    assert_eq!(branches.len(), 16, "{branches:?}");
    for made in ours.iter().chain(&theirs) {
        let at = repo.run(&["rev-parse", &made.branch]);
        assert_eq!(at.trim(), made.base_commit, "{made:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_at_once_come_and_go_without_a_trace() {
    rounds(3).await;
}

#[ignore = "takes minutes"]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_rounds_of_twenty() {
    rounds(50).await;
}

/// A second program of the same kind: this test again, started by the one below.
#[ignore = "started by another test"]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_process() {
    let Some(base) = std::env::var_os("MUSHER_TEST_BASE").map(PathBuf::from) else { return };
    let root = base.join("repo");
    let git = Git::new(&std::env::var("PATH").unwrap()).at_home(&base.join("home"));
    let under = base.join("data/worktrees/p");
    let wanted = CreateWorktree {
        root: root.clone(),
        under: under.clone(),
        branch: None,
        prompt: "same name".into(),
        base: None,
    };
    let nth: i64 = std::env::var("MUSHER_TEST_NTH").unwrap().parse().unwrap();
    for round in 0..4 {
        let made = make_all(&git, &wanted, 5).await;
        let removal = RemoveWorktree {
            root: root.clone(),
            path: root.clone(),
            under: under.clone(),
            force: false,
            used_by: Vec::new(),
            made_branch: true,
            at: now() + TimeDelta::seconds(nth * 100 + round),
        };
        remove_all(&git, &removal, made).await;
    }
}

fn start_another(repo: &Repo, nth: usize) -> Child {
    std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "another_process", "--ignored", "--nocapture"])
        .env("MUSHER_TEST_BASE", &repo.base)
        .env("MUSHER_TEST_NTH", nth.to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// What a user and a scheduler do meanwhile. Their own commands may fail on a lock of ours; ours may
/// not fail on theirs.
fn bustle(repo: &Repo, round: usize) {
    let own = repo.base.join(format!("own-{round}"));
    let own = own.to_str().unwrap();
    repo.try_in(&repo.root, &["fetch", "-q", "origin"]);
    repo.try_in(&repo.root, &["worktree", "add", "-q", "--detach", own]);
    repo.try_in(&repo.root, &["gc", "-q"]);
    repo.try_in(&repo.root, &["worktree", "prune"]);
    repo.try_in(&repo.root, &["pack-refs", "--all"]);
    repo.try_in(&repo.root, &["worktree", "remove", "--force", own]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_processes_and_gits_own_work_get_along() {
    let origin = Repo::new();
    let repo = Repo::new();
    repo.run(&["remote", "add", "origin", origin.root.to_str().unwrap()]);
    let done = Arc::new(AtomicBool::new(false));
    let (ended, base) = (Arc::clone(&done), repo.base.clone());
    std::thread::scope(|scope| {
        let repo = &repo;
        let bustling = scope.spawn(move || {
            let mut round = 0;
            while !ended.load(Ordering::Relaxed) {
                write(&origin.root, "moving.txt", format!("{round}\n"));
                origin.commit("on");
                bustle(repo, round);
                round += 1;
            }
            round
        });
        let others: Vec<Child> = (1..=2).map(|nth| start_another(repo, nth)).collect();
        let outputs: Vec<_> = others.into_iter().map(|o| o.wait_with_output().unwrap()).collect();
        done.store(true, Ordering::Relaxed);
        println!("the user's own work ran {} times", bustling.join().unwrap());
        for output in outputs {
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            let wrong = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(output.status.success() && said.contains("1 passed"), "{said}\n{wrong}");
        }
    });
    assert!(base.join("repo").exists());
    assert_nothing_left(&repo, 0);
    repo.run(&["fsck", "--strict"]);
}
