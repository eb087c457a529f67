//! A new worktree: all of it or nothing, one at a time, and the main checkout as it was.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use musher_protocol::{ApiError, ErrorCode};
use musher_worktree::{CreateWorktree, WorktreeError};
use support::{Repo, files, make_executable, write};

#[tokio::test]
async fn base_and_name_are_the_ones_that_were_chosen() {
    let repo = Repo::new();
    let first = repo.head(&repo.root);
    repo.run(&["checkout", "-q", "-b", "feature/x"]);
    repo.write("x.txt", "x\n");
    let on_feature = repo.commit("feature");
    repo.run(&["checkout", "-q", "main"]);
    let wanted = CreateWorktree {
        base: Some("feature/x".into()),
        branch: Some("mine-without-slash".into()),
        ..repo.wanted("ignored")
    };
    let made = repo.git.create(wanted).await.unwrap();
    assert_eq!(
        (made.branch.as_str(), made.base_name.as_str()),
        ("mine-without-slash", "feature/x")
    );
    assert_eq!(made.base_commit, on_feature);
    assert_eq!(repo.head(&made.path), on_feature);
    assert!(made.path.join("x.txt").exists());
    assert!(made.path.starts_with(repo.under()));
    assert_eq!(repo.run_in(&made.path, &["status", "--porcelain"]), "");

    let made = repo.create("Fix the login!").await;
    assert_eq!((made.branch.as_str(), made.base_name.as_str()), ("musher/fix-the-login", "main"));
    assert_eq!(made.base_commit, first);
    let again = repo.create("Fix the login!").await;
    assert_eq!(again.branch, "musher/fix-the-login-2");
    assert!(again.path.ends_with("musher-fix-the-login-2"));
    // No upstream: a push must not go to the base's branch by itself.
    assert!(
        !repo.try_in(&again.path, &["rev-parse", "--abbrev-ref", "@{upstream}"]).status.success()
    );
}

#[tokio::test]
async fn a_detached_checkout_and_a_taken_name_are_fine() {
    let repo = Repo::new();
    repo.run(&["checkout", "-q", "--detach"]);
    repo.run(&["branch", "musher"]);
    let made = repo.create("work").await;
    assert_eq!(made.branch, "musher-work");
    assert_eq!(made.base_name, made.base_commit[..10]);
}

#[tokio::test]
async fn a_dirty_main_checkout_stays_byte_for_byte() {
    let repo = Repo::new();
    repo.write("a.txt", "edited\n");
    repo.write("staged.txt", "staged\n");
    repo.run(&["add", "staged.txt"]);
    repo.write("loose.txt", "loose\n");
    let (before, index) = (files(&repo.root), std::fs::read(repo.root.join(".git/index")).unwrap());
    let made = repo.create("x").await;
    assert!(!made.path.join("loose.txt").exists());
    let head = repo.head(&repo.root);
    repo.git.changes(&repo.root, &head).await.unwrap();
    assert_eq!(files(&repo.root), before);
    assert_eq!(std::fs::read(repo.root.join(".git/index")).unwrap(), index);
}

#[tokio::test]
async fn what_cannot_be_made_says_why() {
    let repo = Repo::new();
    let code = |error: WorktreeError| ApiError::from(error).code;
    let with = |change: &dyn Fn(&mut CreateWorktree)| {
        let mut wanted = repo.wanted("x");
        change(&mut wanted);
        wanted
    };
    let before = repo.fingerprint();
    for (wanted, expected) in [
        (with(&|w| w.base = Some("nowhere".into())), ErrorCode::NotFound),
        (with(&|w| w.branch = Some("main".into())), ErrorCode::Conflict),
        (with(&|w| w.branch = Some("MAIN".into())), ErrorCode::Conflict),
        (with(&|w| w.branch = Some("main/below".into())), ErrorCode::Conflict),
        (with(&|w| w.branch = Some("a b".into())), ErrorCode::BadRequest),
        (with(&|w| w.under = w.root.join("worktrees")), ErrorCode::BadRequest),
        (with(&|w| w.root = repo.base.clone()), ErrorCode::NotARepository),
    ] {
        let error = repo.git.create(wanted.clone()).await.unwrap_err();
        assert_eq!(code(error), expected, "{wanted:?}");
        assert_eq!(repo.fingerprint(), before, "{wanted:?}");
    }
    let unborn = Repo::unborn();
    let error = unborn.git.create(unborn.wanted("x")).await.unwrap_err();
    assert!(matches!(error, WorktreeError::NoCommits(_)), "{error}");
}

#[tokio::test]
async fn a_failed_checkout_leaves_nothing() {
    let repo = Repo::new();
    repo.write(".gitattributes", "*.big filter=lfs\n");
    repo.write("f.big", "pointer\n");
    repo.commit("big file");
    repo.run(&["config", "filter.lfs.smudge", "no-such-program-here smudge"]);
    repo.run(&["config", "filter.lfs.clean", "cat"]);
    repo.run(&["config", "filter.lfs.required", "true"]);
    let before = repo.fingerprint();
    let trusting = repo.git.trusting(true);
    let error = trusting.create(repo.wanted("x")).await.unwrap_err();
    assert!(
        matches!(&error, WorktreeError::FilterFailed { filter, .. } if filter == "lfs"),
        "{error:?}"
    );
    assert!(ApiError::from(error).hint.unwrap().contains("without filters"));
    assert_eq!(repo.fingerprint(), before);
    assert_eq!(
        std::fs::read_dir(repo.under()).unwrap().flatten().filter(|e| e.path().is_dir()).count(),
        0
    );
    // The choice that the hint offers.
    let made = repo.create("x").await;
    assert_eq!(made.branch, "musher/x");
    assert_eq!(std::fs::read_to_string(made.path.join("f.big")).unwrap(), "pointer\n");
    assert!(made.warnings.iter().any(|warning| warning.contains("`lfs`")), "{:?}", made.warnings);
}

#[tokio::test]
async fn empty_submodules_and_inert_hooks_are_reported() {
    let (repo, inner) = (Repo::new(), Repo::new());
    let url = inner.root.to_str().unwrap();
    repo.run(&["-c", "protocol.file.allow=always", "submodule", "--quiet", "add", url, "sub"]);
    repo.write(".husky/pre-commit", "npm test\n");
    repo.commit("submodule and husky");
    let made = repo.create("x").await;
    assert!(made.warnings.iter().any(|w| w.contains("submodule")), "{:?}", made.warnings);
    assert!(made.warnings.iter().any(|w| w.contains("husky")), "{:?}", made.warnings);
    // As husky sets it up: a folder that only its install step makes, and that git ignores.
    repo.run(&["config", "core.hooksPath", ".husky/_"]);
    let made = repo.create("y").await;
    assert!(made.warnings.iter().any(|w| w.contains("`.husky/_`")), "{:?}", made.warnings);
    let plain = Repo::new();
    write(&plain.root, ".git/hooks/pre-commit", "#!/bin/sh\n");
    make_executable(&plain.root.join(".git/hooks/pre-commit"));
    assert_eq!(plain.create("z").await.warnings, Vec::<String>::new());
}

/// Another git holds a lock for a while: tried again, and what was half made is gone.
#[tokio::test]
async fn a_lock_of_another_git_is_waited_for() {
    let repo = Repo::new();
    let lock = repo.root.join(".git/refs/heads/musher/x.lock");
    write(&repo.root, ".git/refs/heads/musher/x.lock", "");
    let before = repo.fingerprint();
    let error = repo.git.create(repo.wanted("x")).await.unwrap_err();
    assert!(matches!(error, WorktreeError::Locked(_)), "{error:?}");
    assert_eq!(repo.fingerprint(), before);
    let (made, ()) = tokio::join!(repo.create("x"), async {
        let path = repo.under();
        // The creation has begun when its folder of locks is held.
        while std::fs::File::open(path.join(".turn.lock")).is_ok_and(|f| f.try_lock().is_ok()) {
            tokio::task::yield_now().await;
        }
        std::fs::remove_file(&lock).unwrap();
    });
    assert_eq!(made.branch, "musher/x");
}

/// git makes the file empty first, and cannot list meanwhile.
#[tokio::test]
async fn a_worktree_that_another_git_has_half_made_is_waited_for() {
    let repo = Repo::new();
    let half = repo.root.join(".git/worktrees/half");
    write(&half, "commondir", "");
    write(&half, "gitdir", "/nowhere/half/.git\n");
    write(&half, "HEAD", "ref: refs/heads/half\n");
    let refused = repo.try_in(&repo.root, &["worktree", "list"]);
    assert!(!refused.status.success(), "git can list it now: the wait is not needed any more");
    let finish = async {
        tokio::time::sleep(std::time::Duration::from_millis(60)).await;
        write(&half, "commondir", "../..\n");
    };
    let (made, ()) = tokio::join!(repo.git.create(repo.wanted("x")), finish);
    made.unwrap();
}

#[tokio::test]
async fn bases_are_listed_with_the_current_branch_first() {
    let origin = Repo::new();
    let repo = Repo::unborn();
    repo.run(&["remote", "add", "origin", origin.root.to_str().unwrap()]);
    repo.run(&["pull", "-q", "origin", "main"]);
    repo.run(&["branch", "-q", "topic"]);
    repo.run(&["tag", "-a", "v1", "-m", "one"]);
    origin.write("new.txt", "new\n");
    origin.commit("second");
    repo.run(&["fetch", "-q", "origin"]);
    repo.run(&["branch", "-q", "--set-upstream-to=origin/main", "main"]);
    let bases = repo.git.bases(&repo.root).await.unwrap();
    assert_eq!(
        (bases[0].name.as_str(), bases[0].default, bases[0].behind),
        ("main", true, Some(1))
    );
    assert_eq!(bases[0].subject, "first");
    let named = |name: &str| bases.iter().find(|base| base.name == name).unwrap();
    assert_eq!(named("topic").behind, None);
    assert_eq!(named("v1").commit, repo.head(&repo.root));
    assert_eq!(named("origin/main").subject, "second");
    assert_eq!(bases.iter().filter(|base| base.default).count(), 1);
}

#[tokio::test]
async fn a_hash_of_256_bits_works_too() {
    let repo = Repo::unborn();
    std::fs::remove_dir_all(repo.root.join(".git")).unwrap();
    repo.run(&["init", "-q", "--object-format=sha256"]);
    repo.write("a.txt", "a\n");
    repo.commit("first");
    let made = repo.create("x").await;
    write(&made.path, "a.txt", "b\n");
    let changes = repo.git.changes(&made.path, &made.base_commit).await.unwrap();
    assert_eq!(changes.files.len(), 1);
}
