//! What differs from the base, each file once, and the diff of one file.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use musher_protocol::{ApiError, ChangeKind, FileChange};
use musher_worktree::Created;
use support::{Repo, files, pipe, write};

fn brief(change: &FileChange) -> (String, ChangeKind, u32, u32) {
    (change.path.clone(), change.kind, change.added, change.removed)
}

/// A worktree whose files differ from their base in every way there is.
async fn changed_in_every_way(repo: &Repo) -> Created {
    repo.write("gone.txt", "1\n2\n");
    repo.write("moved.txt", "one\ntwo\nthree\nfour\nfive\n");
    repo.write("picture", b"\0\x01\x02");
    repo.write(".gitignore", "ignored\n");
    repo.commit("more");
    let made = repo.create("x").await;
    let dir = made.path.as_path();
    write(dir, "committed.txt", "c\n");
    repo.run_in(dir, &["add", "-A"]);
    repo.run_in(dir, &["commit", "-qm", "by the agent"]);
    write(dir, "committed.txt", "c\nand edited\n");
    write(dir, "staged.txt", "s\n");
    repo.run_in(dir, &["add", "staged.txt"]);
    write(dir, "staged.txt", "s\nunstaged too\n");
    write(dir, "a.txt", "one\n2\nthree\n");
    std::fs::remove_file(dir.join("gone.txt")).unwrap();
    repo.run_in(dir, &["mv", "moved.txt", "moved to.txt"]);
    write(dir, "picture", b"\0\x03");
    write(dir, "new dir/ünï.txt", "no end of line");
    write(dir, "ignored", "never shown\n");
    repo.run_in(dir, &["rm", "-q", "--cached", "dir/b.txt"]);
    made
}

#[tokio::test]
async fn every_way_to_change_a_file_counts_once() {
    let repo = Repo::new();
    let made = changed_in_every_way(&repo).await;
    let dir = made.path.as_path();
    let changes = repo.git.changes(dir, &made.base_commit).await.unwrap();
    let expected = [
        ("a.txt", ChangeKind::Modified, 1, 1),
        ("committed.txt", ChangeKind::Added, 2, 0),
        ("dir/b.txt", ChangeKind::Modified, 1, 1),
        ("gone.txt", ChangeKind::Deleted, 0, 2),
        ("moved to.txt", ChangeKind::Renamed, 0, 0),
        ("new dir/ünï.txt", ChangeKind::Untracked, 1, 0),
        ("picture", ChangeKind::Modified, 0, 0),
        ("staged.txt", ChangeKind::Added, 2, 0),
    ];
    let found: Vec<_> = changes.files.iter().map(brief).collect();
    let expected: Vec<_> = expected.map(|(p, k, a, r)| (p.to_owned(), k, a, r)).into();
    assert_eq!(found, expected);
    assert!(changes.files.iter().find(|c| c.path == "picture").unwrap().binary);
    let moved = changes.files.iter().find(|c| c.path == "moved to.txt").unwrap();
    assert_eq!(moved.old_path.as_deref(), Some("moved.txt"));
    assert_eq!((changes.branch.as_deref(), changes.ahead), (Some("musher/x"), 1));
    assert_eq!(changes.head, Some(repo.head(dir)));

    for (path, lines) in [
        ("a.txt", vec![" one", "-two", "+2", " three"]),
        ("new dir/ünï.txt", vec!["+no end of line"]),
        ("gone.txt", vec!["-1", "-2"]),
        ("moved to.txt", vec![]),
        ("picture", vec![]),
        ("never changed", vec![]),
    ] {
        let diff = repo.git.diff(dir, &made.base_commit, path, 100).await.unwrap();
        let found: Vec<_> = diff.hunks.iter().flat_map(|hunk| hunk.lines.clone()).collect();
        assert_eq!(found, lines, "{path}");
        assert!(!diff.truncated);
    }
}

#[tokio::test]
async fn a_conflict_is_named_as_one() {
    let repo = Repo::new();
    let made = repo.create("x").await;
    write(&made.path, "a.txt", "theirs\n");
    repo.run_in(&made.path, &["commit", "-qam", "theirs"]);
    repo.write("a.txt", "ours\n");
    let base = repo.commit("ours");
    repo.try_in(&made.path, &["merge", "main"]);
    let changes = repo.git.changes(&made.path, &base).await.unwrap();
    assert_eq!(changes.files.len(), 1);
    assert_eq!(changes.files[0].kind, ChangeKind::Conflicted);
    let diff = repo.git.diff(&made.path, &base, "a.txt", 100).await.unwrap();
    assert_eq!(diff.change.kind, ChangeKind::Conflicted);
    assert!(diff.hunks[0].lines.iter().any(|line| line.starts_with("+<<<<<<<")), "{diff:?}");
}

#[tokio::test]
async fn long_diffs_are_cut_and_say_so() {
    let repo = Repo::new();
    let made = repo.create("x").await;
    write(&made.path, "a.txt", "line\n".repeat(500));
    write(&made.path, "new.txt", "line\n".repeat(500));
    write(&made.path, "wide.txt", "w".repeat(100_000));
    for path in ["a.txt", "new.txt", "wide.txt"] {
        let diff = repo.git.diff(&made.path, &made.base_commit, path, 100).await.unwrap();
        let lines: Vec<_> = diff.hunks.iter().flat_map(|hunk| &hunk.lines).collect();
        assert!(diff.truncated && lines.len() <= 100, "{path}: {}", lines.len());
        assert!(lines.iter().all(|line| line.len() < 5000));
    }
}

#[tokio::test]
async fn a_path_that_leads_out_is_refused() {
    let repo = Repo::new();
    let made = repo.create("x").await;
    write(&repo.base, "secret/key", "secret\n");
    std::os::unix::fs::symlink(repo.base.join("secret"), made.path.join("way")).unwrap();
    std::os::unix::fs::symlink(repo.base.join("secret/key"), made.path.join("link")).unwrap();
    let absolute = repo.base.join("secret/key");
    for path in [
        "../repo/a.txt",
        absolute.to_str().unwrap(),
        "way/key",
        "way/none/key",
        "",
        "dir/../../x",
        "a\0b",
    ] {
        let refused = repo.git.diff(&made.path, &made.base_commit, path, 10).await;
        assert!(refused.is_err(), "{path:?}");
    }
    // A link is shown as git keeps it: where it leads, never what is there.
    let diff = repo.git.diff(&made.path, &made.base_commit, "link", 10).await.unwrap();
    let lines: Vec<_> = diff.hunks.iter().flat_map(|hunk| hunk.lines.clone()).collect();
    assert_eq!(lines, [format!("+{}", absolute.display())]);
}

/// A look costs three processes before trust; the first one after a commit counts it, too.
#[tokio::test]
async fn a_look_costs_three_processes() {
    let repo = Repo::new();
    let made = repo.create("x").await;
    let (counted, git) = counting_git(&repo);
    let look = async |expected: usize, ahead: u32| {
        std::fs::write(&counted, "").unwrap();
        let changes = git.changes(&made.path, &made.base_commit).await.unwrap();
        assert_eq!(changes.ahead, ahead);
        let ran = std::fs::read_to_string(&counted).unwrap();
        assert_eq!(ran.lines().count(), expected, "{ran}");
    };
    look(3, 0).await;
    write(&made.path, "a.txt", "x\n");
    look(3, 0).await;
    repo.run_in(&made.path, &["commit", "-qam", "one"]);
    look(4, 1).await;
    look(3, 1).await;
    repo.run_in(&made.path, &["commit", "-qm", "two", "--allow-empty"]);
    look(4, 2).await;
    look(3, 2).await;
}

/// A `git` that notes each call in a file.
fn counting_git(repo: &Repo) -> (std::path::PathBuf, musher_worktree::Git) {
    let (counted, bin) = (repo.base.join("counted"), repo.base.join("bin"));
    let git = repo.run(&["--exec-path"]) + "/git";
    let script =
        format!("#!/bin/sh\necho \"$@\" >> '{}'\nexec '{git}' \"$@\"\n", counted.display());
    write(&bin, "git", script);
    support::make_executable(&bin.join("git"));
    let path = format!("{}:/usr/bin:/bin", bin.display());
    (counted, musher_worktree::Git::new(&path).at_home(&repo.base.join("home")))
}

/// A pipe in the worktree must not be waited for.
#[tokio::test]
async fn a_pipe_among_the_files_holds_nothing_up() {
    let repo = Repo::new();
    let made = repo.create("x").await;
    pipe(&made.path.join("pipe"));
    write(&made.path, "new.txt", "x\n");
    let changes = repo.git.changes(&made.path, &made.base_commit);
    let changes = tokio::time::timeout(std::time::Duration::from_secs(20), changes).await;
    assert_eq!(changes.expect("waited for the pipe").unwrap().files.len(), 1);
}

#[tokio::test]
async fn looking_writes_nothing() {
    let repo = Repo::new();
    let made = repo.create("x").await;
    // Newer, with the same content: git would like to write that down in the index.
    write(&made.path, "a.txt", "one\ntwo\nthree\n");
    write(&made.path, "new.txt", "x\n");
    let index =
        repo.run_in(&made.path, &["rev-parse", "--path-format=absolute", "--git-path", "index"]);
    let before = (std::fs::read(&index).unwrap(), files(&made.path));
    write(std::path::Path::new(&index).parent().unwrap(), "index.lock", "held by somebody");
    let changes = repo.git.changes(&made.path, &made.base_commit).await.unwrap();
    assert_eq!(changes.files.len(), 1);
    repo.git.diff(&made.path, &made.base_commit, "new.txt", 10).await.unwrap();
    assert_eq!((std::fs::read(&index).unwrap(), files(&made.path)), before);
}

#[tokio::test]
async fn an_empty_base_means_everything_and_a_wrong_one_is_refused() {
    let repo = Repo::unborn();
    repo.write("a.txt", "a\n");
    let changes = repo.git.changes(&repo.root, "").await.unwrap();
    assert_eq!((changes.files.len(), changes.head, changes.ahead), (1, None, 0));
    for base in ["main", "--output=/tmp/x", &"0123456789".repeat(4)] {
        assert!(repo.git.changes(&repo.root, base).await.is_err(), "{base}");
    }
}

#[tokio::test]
async fn worktrees_are_listed_with_what_is_known() {
    let repo = Repo::new();
    let made = repo.create("x").await;
    let other = repo.base.join("other");
    repo.run(&["worktree", "add", "-q", "--detach", other.to_str().unwrap()]);
    repo.run(&["worktree", "lock", "--reason", "on a stick", other.to_str().unwrap()]);
    let gone = repo.base.join("gone");
    repo.run(&["worktree", "add", "-q", "--detach", gone.to_str().unwrap()]);
    std::fs::remove_dir_all(&gone).unwrap();
    let listed = repo.git.worktrees(&made.path, &repo.under()).await.unwrap();
    let find =
        |path: &std::path::Path| listed.iter().find(|w| w.path == path.to_str().unwrap()).unwrap();
    assert_eq!(listed.len(), 4);
    assert!(listed[0].main && !listed[0].owned);
    assert!(find(&made.path).owned && find(&made.path).branch.as_deref() == Some("musher/x"));
    assert!(find(&other).locked && !find(&other).owned && find(&other).branch.is_none());
    assert!(find(&gone).missing && !find(&other).missing);
}

/// Whoever moved a folder is told so, not what git made of it.
#[tokio::test]
async fn what_is_not_there_is_named_with_a_way_on() {
    let repo = Repo::new();
    let made = repo.create("x").await;
    let moved = repo.base.join("elsewhere");
    std::fs::rename(&repo.root, &moved).unwrap();

    let listed = repo.git.worktrees(&repo.root, &repo.under()).await.unwrap_err();
    let changes = repo.git.changes(&made.path, &made.base_commit).await.unwrap_err();
    for error in [listed, changes].map(ApiError::from) {
        assert!(error.message.contains(repo.root.to_str().unwrap()), "{error:?}");
        assert!(error.message.ends_with("not there."), "{error:?}");
        assert!(error.hint.unwrap().contains("take the project off the list"));
    }
    std::fs::rename(&moved, &repo.root).unwrap();
    repo.git.changes(&made.path, &made.base_commit).await.unwrap();
}
