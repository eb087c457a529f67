//! A worktree goes only when nothing is lost: one fixture for each reason to refuse, and a forced
//! removal that comes back byte for byte.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_methods)]

mod support;

use std::path::Path;

use musher_protocol::{RemovalRefusal, RemovalReport};
use musher_worktree::{Created, RemoveWorktree, WorktreeError};
use support::{Repo, files, make_executable, write};

/// Tries to remove it and checks that nothing at all happened.
async fn refusals(repo: &Repo, wanted: RemoveWorktree) -> Vec<RemovalRefusal> {
    let before = (repo.fingerprint(), files(&wanted.path));
    let report = repo.git.remove(wanted.clone()).await.unwrap();
    assert_eq!((repo.fingerprint(), files(&wanted.path)), before);
    assert!(!report.removed && report.rescue_ref.is_none(), "{report:?}");
    assert!(report.sentence.starts_with("The worktree was not removed: "), "{}", report.sentence);
    report.refusals
}

fn commit_in(repo: &Repo, dir: &Path, path: &str) -> String {
    write(dir, path, "work\n");
    repo.run_in(dir, &["add", "-A"]);
    repo.run_in(dir, &["commit", "-qm", "work"]);
    repo.head(dir)
}

async fn repo_with_worktree() -> (Repo, Created) {
    let repo = Repo::new();
    let made = repo.create("x").await;
    (repo, made)
}

#[tokio::test]
async fn tracked_changes_stay() {
    let (repo, made) = repo_with_worktree().await;
    write(&made.path, "a.txt", "edited\n");
    write(&made.path, "staged.txt", "staged\n");
    repo.run_in(&made.path, &["add", "staged.txt"]);
    let found = refusals(&repo, repo.removal(&made.path)).await;
    assert_eq!(
        found,
        [RemovalRefusal::TrackedChanges { files: vec!["a.txt".into(), "staged.txt".into()] }]
    );
}

#[tokio::test]
async fn untracked_files_stay() {
    let (repo, made) = repo_with_worktree().await;
    write(&made.path, "deep/down/new.txt", "new\n");
    // A setting of the user's must not hide it.
    repo.run(&["config", "status.showUntrackedFiles", "no"]);
    let found = refusals(&repo, repo.removal(&made.path)).await;
    assert_eq!(found, [RemovalRefusal::UntrackedFiles { files: vec!["deep/down/new.txt".into()] }]);
}

#[tokio::test]
async fn commits_that_are_nowhere_else_stay() {
    let (repo, made) = repo_with_worktree().await;
    let commit = commit_in(&repo, &made.path, "work.txt");
    // Neither a ref of the worktree itself nor a rescue ref makes them safe.
    repo.run_in(&made.path, &["update-ref", "refs/worktree/mine", &commit]);
    repo.run(&["update-ref", "refs/musher/rescue/old", &commit]);
    let found = refusals(&repo, repo.removal(&made.path)).await;
    assert_eq!(found, [RemovalRefusal::UniqueCommits { commits: vec![commit.clone()] }]);
    repo.run(&["branch", "kept-elsewhere", &commit]);
    assert!(repo.git.remove(repo.removal(&made.path)).await.unwrap().removed);
}

#[tokio::test]
async fn a_detached_head_stays() {
    let (repo, made) = repo_with_worktree().await;
    repo.run_in(&made.path, &["checkout", "-q", "--detach"]);
    let found = refusals(&repo, repo.removal(&made.path)).await;
    assert_eq!(found, [RemovalRefusal::DetachedHead { commit: made.base_commit }]);
}

#[tokio::test]
async fn a_process_inside_keeps_it_even_by_force() {
    let (repo, made) = repo_with_worktree().await;
    let mut inside = std::process::Command::new("cat")
        .current_dir(made.path.join("dir"))
        .stdin(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let found = refusals(&repo, RemoveWorktree { force: true, ..repo.removal(&made.path) }).await;
    assert_eq!(found, [RemovalRefusal::ProcessInside { pid: inside.id(), name: "cat".into() }]);
    drop(inside.stdin.take());
    inside.wait().unwrap();
    assert!(repo.git.remove(repo.removal(&made.path)).await.unwrap().removed);
}

#[tokio::test]
async fn a_run_keeps_it_even_by_force() {
    let (repo, made) = repo_with_worktree().await;
    let wanted =
        RemoveWorktree { force: true, used_by: vec!["run-1".into()], ..repo.removal(&made.path) };
    let found = refusals(&repo, wanted).await;
    assert_eq!(found, [RemovalRefusal::RunUsesIt { run: "run-1".into() }]);
}

#[tokio::test]
async fn the_main_checkout_and_a_locked_worktree_stay_even_by_force() {
    let (repo, made) = repo_with_worktree().await;
    let wanted = RemoveWorktree { force: true, ..repo.removal(&repo.root) };
    assert_eq!(refusals(&repo, wanted).await, [RemovalRefusal::MainCheckout]);
    repo.run(&["worktree", "lock", "--reason", "mine", made.path.to_str().unwrap()]);
    let wanted = RemoveWorktree { force: true, ..repo.removal(&made.path) };
    assert_eq!(refusals(&repo, wanted).await, [RemovalRefusal::Locked { why: "mine".into() }]);
    for stranger in [repo.base.clone(), made.path.join("dir"), repo.base.join("nowhere")] {
        let error = repo.git.remove(repo.removal(&stranger)).await.unwrap_err();
        assert!(matches!(error, WorktreeError::NotAWorktree(_)), "{error}");
    }
}

/// git can be told to overlook a file; a removal must not.
#[tokio::test]
async fn changes_that_git_was_told_to_overlook_stay() {
    for flag in ["--assume-unchanged", "--skip-worktree"] {
        let (repo, made) = repo_with_worktree().await;
        repo.run_in(&made.path, &["update-index", flag, "a.txt"]);
        write(&made.path, "a.txt", "hidden work\n");
        let found = refusals(&repo, repo.removal(&made.path)).await;
        assert_eq!(
            found,
            [RemovalRefusal::TrackedChanges { files: vec!["a.txt".into()] }],
            "{flag}"
        );
        let kept = force(&repo, &made.path).await.rescue_ref.unwrap();
        assert_eq!(repo.run(&["show", &format!("{kept}:a.txt")]), "hidden work", "{flag}");
    }
}

/// Requirement R19 in small: made and removed at the same time, nothing lost, nothing broken.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_come_and_go_at_once() {
    let repo = Repo::new();
    let mut all = tokio::task::JoinSet::new();
    for number in 0..12 {
        let (git, wanted) = (repo.git.clone(), repo.wanted("coming and going"));
        let removal = repo.removal(&repo.root);
        all.spawn(async move {
            let made = git.create(wanted).await.unwrap();
            if number % 3 == 0 {
                write(&made.path, "work.txt", "kept\n");
            }
            let at = removal.at + chrono::TimeDelta::seconds(number);
            git.remove(RemoveWorktree { path: made.path.clone(), at, ..removal })
                .await
                .unwrap()
                .removed
        });
    }
    let removed = all.join_all().await.into_iter().filter(|removed| *removed).count();
    assert_eq!(removed, 8);
    assert_eq!(repo.run(&["worktree", "list"]).lines().count(), 1 + 4);
    assert_eq!(repo.run(&["for-each-ref", "refs/heads/musher"]).lines().count(), 4);
    assert_eq!(repo.run(&["for-each-ref", "refs/musher/rescue"]), "");
    repo.run(&["fsck", "--strict"]);
}

#[tokio::test]
async fn all_reasons_are_told_at_once() {
    let (repo, made) = repo_with_worktree().await;
    commit_in(&repo, &made.path, "work.txt");
    write(&made.path, "a.txt", "edited\n");
    write(&made.path, "new.txt", "new\n");
    repo.run_in(&made.path, &["checkout", "-q", "--detach"]);
    repo.run(&["branch", "-qD", "musher/x"]);
    assert_eq!(refusals(&repo, repo.removal(&made.path)).await.len(), 4);
}

/// Nothing is rescued where nothing is in danger: a ref that nobody needs stays for ever.
#[tokio::test]
async fn a_clean_worktree_goes_with_its_branch_and_leaves_no_ref() {
    let (repo, made) = repo_with_worktree().await;
    let report = repo.git.remove(repo.removal(&made.path)).await.unwrap();
    assert!(report.removed && report.refusals.is_empty());
    assert!(report.rescue_ref.is_none() && !report.sentence.contains("refs/"), "{report:?}");
    assert_eq!(repo.run(&["for-each-ref", "refs/musher"]), "");
    assert!(!made.path.exists());
    assert_eq!(repo.run(&["for-each-ref", "refs/heads/musher"]), "");
    // A branch that is the user's own stays.
    let own = repo.create("y").await;
    let wanted = RemoveWorktree { made_branch: false, ..repo.removal(&own.path) };
    assert!(repo.git.remove(wanted).await.unwrap().removed);
    assert_eq!(repo.run(&["rev-parse", "refs/heads/musher/y"]), own.base_commit);
}

/// Everything that a worktree can hold, but ignored files.
fn fill(repo: &Repo, dir: &Path) {
    commit_in(repo, dir, "committed.txt");
    write(dir, "a.txt", "crlf\r\nand no end");
    write(dir, "picture", (0..=255u8).collect::<Vec<_>>());
    write(dir, "name with spaces/ünï\nnewline", "odd\n");
    write(dir, "-rf", "an option?\n");
    write(dir, "run.sh", "#!/bin/sh\n");
    make_executable(&dir.join("run.sh"));
    std::os::unix::fs::symlink("/etc/passwd", dir.join("link")).unwrap();
    std::fs::remove_file(dir.join("dir/b.txt")).unwrap();
    write(dir, "staged.txt", "first\n");
    repo.run_in(dir, &["add", "staged.txt"]);
    write(dir, "staged.txt", "second\n");
    write(dir, "empty", "");
    write(dir, "odd \"\\ name\nof two lines", "carried\r\n");
}

#[tokio::test]
async fn a_forced_removal_comes_back_byte_for_byte() {
    let (repo, made) = repo_with_worktree().await;
    // Settings and attributes that change bytes on the way must not touch what is kept.
    repo.run(&["config", "core.autocrlf", "input"]);
    repo.run(&["config", "core.safecrlf", "true"]);
    write(&made.path, ".gitattributes", "* text=auto eol=lf\n*.sh ident\n");
    fill(&repo, &made.path);
    repo.run(&["config", "commit.gpgSign", "true"]);
    let (held, head) = (files(&made.path), repo.head(&made.path));
    let report = force(&repo, &made.path).await;
    assert!(!made.path.exists());
    assert_eq!(repo.run(&["for-each-ref", "refs/heads/musher"]), "");
    let kept = report.rescue_ref.unwrap();
    let back = repo.base.join("back");
    let back_text = back.to_str().unwrap();
    repo.run(&["config", "core.autocrlf", "false"]);
    // These come before those of the folder, in every version of git.
    write(&repo.root, ".git/info/attributes", "* -text -ident\n");
    repo.run(&["worktree", "add", "-q", "--detach", back_text, &kept]);
    assert_eq!(files(&back), held);
    assert_eq!(repo.run(&["rev-parse", &format!("{kept}^1")]), head);
    assert_eq!(repo.run(&["show", &format!("{kept}^2:staged.txt")]), "first");
    repo.run(&["fsck", "--strict"]);
}

async fn force(repo: &Repo, path: &Path) -> RemovalReport {
    let report =
        repo.git.remove(RemoveWorktree { force: true, ..repo.removal(path) }).await.unwrap();
    assert!(report.removed, "{report:?}");
    report
}

/// A commit would only name them.
#[tokio::test]
async fn repositories_inside_stop_even_a_forced_removal() {
    let (repo, made) = repo_with_worktree().await;
    let nested = made.path.join("cloned");
    repo.run(&["clone", "-q", ".", nested.to_str().unwrap()]);
    let before = repo.fingerprint();
    let error = repo
        .git
        .remove(RemoveWorktree { force: true, ..repo.removal(&made.path) })
        .await
        .unwrap_err();
    assert!(
        matches!(&error, WorktreeError::CannotRescue { why, .. } if why.contains("cloned")),
        "{error}"
    );
    assert_eq!(repo.fingerprint(), before);
    assert!(nested.join("a.txt").exists());
}

#[tokio::test]
async fn an_unfinished_merge_is_kept_with_its_marks() {
    let (repo, made) = repo_with_worktree().await;
    write(&made.path, "a.txt", "theirs\n");
    repo.run_in(&made.path, &["commit", "-qam", "theirs"]);
    repo.write("a.txt", "ours\n");
    repo.commit("ours");
    repo.try_in(&made.path, &["merge", "main"]);
    let marked = std::fs::read_to_string(made.path.join("a.txt")).unwrap();
    let kept = force(&repo, &made.path).await.rescue_ref.unwrap();
    assert_eq!(repo.run(&["show", &format!("{kept}:a.txt")]), marked.trim_end());
}

#[tokio::test]
async fn a_worktree_whose_folder_is_gone_can_be_cleared_away() {
    let (repo, made) = repo_with_worktree().await;
    let commit = commit_in(&repo, &made.path, "work.txt");
    std::fs::remove_dir_all(&made.path).unwrap();
    let report = repo.git.remove(repo.removal(&made.path)).await.unwrap();
    assert_eq!(report.refusals, [RemovalRefusal::UniqueCommits { commits: vec![commit.clone()] }]);
    let kept = force(&repo, &made.path).await.rescue_ref.unwrap();
    assert_eq!(repo.run(&["rev-parse", &kept]), commit);
    assert_eq!(repo.run(&["worktree", "list"]).lines().count(), 1);
}
