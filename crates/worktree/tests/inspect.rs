//! Every kind of path gets a kind, a sentence and a next step.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use musher_protocol::{FolderKind, FolderReport};
use musher_worktree::Git;
use support::{Repo, write};

async fn look(repo: &Repo, path: impl AsRef<Path>) -> FolderReport {
    let report = repo.git.inspect(path.as_ref()).await;
    assert!(report.sentence.ends_with(['.', ')']), "no sentence: {report:?}");
    assert!(!report.next.is_empty(), "no next step: {report:?}");
    report
}

#[tokio::test]
async fn a_checkout_is_known_from_everywhere_inside() {
    let repo = Repo::new();
    let link = repo.base.join("link");
    std::os::unix::fs::symlink(&repo.root, &link).unwrap();
    let trailing = format!("{}/", repo.root.display());
    for path in [repo.root.as_path(), &repo.root.join("dir"), &link, Path::new(&trailing)] {
        let report = look(&repo, path).await;
        assert_eq!(report.kind, FolderKind::MainCheckout, "{report:?}");
        assert_eq!(report.top.as_deref(), repo.root.to_str());
        assert_eq!(report.root.as_deref(), repo.root.to_str());
        assert_eq!(report.branch.as_deref(), Some("main"));
        assert_eq!(report.head, Some(repo.head(&repo.root)));
        assert!(report.usable);
    }
    let home = repo.git.clone().at_home(&repo.base);
    assert_eq!(home.inspect(Path::new("~/repo/")).await.kind, FolderKind::MainCheckout);
}

#[tokio::test]
async fn a_linked_worktree_leads_to_its_root() {
    let repo = Repo::new();
    let made = repo.create("x").await;
    let report = look(&repo, &made.path).await;
    assert_eq!(report.kind, FolderKind::LinkedWorktree);
    assert_eq!(report.root.as_deref(), repo.root.to_str());
    assert_eq!(report.branch, Some(made.branch));
    repo.run_in(&made.path, &["checkout", "-q", "--detach"]);
    let report = look(&repo, &made.path).await;
    assert_eq!((report.branch, report.usable), (None, true));
}

#[tokio::test]
async fn a_bare_repository_can_be_a_root() {
    let repo = Repo::new();
    let bare = repo.base.join("bare.git");
    repo.run(&["clone", "-q", "--bare", ".", bare.to_str().unwrap()]);
    let report = look(&repo, &bare).await;
    assert_eq!((report.kind, report.usable), (FolderKind::BareRepository, true));
    assert_eq!(report.root.as_deref(), bare.to_str());
    let wanted = musher_worktree::CreateWorktree { root: bare.clone(), ..repo.wanted("from bare") };
    let made = repo.git.create(wanted).await.unwrap();
    let report = look(&repo, &made.path).await;
    assert_eq!(report.root.as_deref(), bare.to_str());
    assert_eq!(repo.git.worktrees(&bare, &repo.under()).await.unwrap().len(), 1);
}

#[tokio::test]
async fn what_is_no_repository_says_so() {
    let repo = Repo::unborn();
    let plain = repo.base.join("plain");
    write(&plain, "file", "x");
    std::os::unix::fs::symlink("nowhere", plain.join("dangling")).unwrap();
    for (path, kind) in [
        (plain.clone(), FolderKind::PlainFolder),
        (plain.join("file"), FolderKind::File),
        (plain.join("missing"), FolderKind::Missing),
        (plain.join("dangling"), FolderKind::Unusable),
        (plain.join(OsStr::from_bytes(b"bad\xff")), FolderKind::Unusable),
        (repo.root.join(".git"), FolderKind::Unusable),
        (repo.root.join(".git/objects"), FolderKind::Unusable),
        ("relative/path".into(), FolderKind::Unusable),
        ("".into(), FolderKind::Unusable),
    ] {
        let report = look(&repo, &path).await;
        assert_eq!(report.kind, kind, "{report:?}");
        assert!(!report.usable);
    }
    let report = look(&repo, &repo.root).await;
    assert_eq!((report.kind, report.usable, report.head), (FolderKind::MainCheckout, false, None));
}

#[tokio::test]
async fn a_broken_link_to_git_says_so() {
    let repo = Repo::new();
    let broken = repo.base.join("broken");
    for text in ["nonsense", "gitdir: /nowhere/at/all\n", ""] {
        write(&broken, ".git", text);
        let report = look(&repo, &broken).await;
        assert_eq!(report.kind, FolderKind::Unusable, "{text:?}: {report:?}");
    }
    let damaged = repo.base.join("damaged");
    std::fs::create_dir_all(&damaged).unwrap();
    repo.run_in(&damaged, &["init", "-q"]);
    write(&damaged, ".git/config", "[core\nbroken");
    assert_eq!(look(&repo, &damaged).await.kind, FolderKind::Unusable);
}

/// A folder that claims to be part of another repository would borrow the trust in it.
#[tokio::test]
async fn a_folder_cannot_pose_as_part_of_another_project() {
    let repo = Repo::new();
    let made = repo.create("genuine").await;
    let posing = repo.base.join("posing");
    let copied = std::fs::read_to_string(made.path.join(".git")).unwrap();
    let main = format!("gitdir: {}/.git\n", repo.root.display());
    for text in [copied, main] {
        write(&posing, ".git", text);
        let report = look(&repo, &posing).await;
        assert_eq!((report.kind, report.usable), (FolderKind::Unusable, false), "{report:?}");
    }
    let with_common = repo.base.join("with-common");
    std::fs::create_dir_all(&with_common).unwrap();
    repo.run_in(&with_common, &["init", "-q"]);
    write(&with_common, ".git/commondir", repo.root.join(".git").to_str().unwrap());
    assert_eq!(look(&repo, &with_common).await.kind, FolderKind::Unusable);
    let elsewhere = Repo::new();
    elsewhere.run(&["config", "core.worktree", repo.root.to_str().unwrap()]);
    assert_eq!(look(&elsewhere, &elsewhere.root).await.kind, FolderKind::Unusable);
}

#[tokio::test]
async fn a_submodule_names_its_outer_repository() {
    let (repo, inner) = (Repo::new(), Repo::new());
    let url = inner.root.to_str().unwrap();
    repo.run(&["-c", "protocol.file.allow=always", "submodule", "--quiet", "add", url, "sub"]);
    let report = look(&repo, repo.root.join("sub")).await;
    assert_eq!(report.kind, FolderKind::Unusable);
    assert!(report.sentence.contains("submodule of"), "{report:?}");
}

#[tokio::test]
async fn without_git_there_is_a_sentence() {
    let repo = Repo::new();
    let empty = repo.base.join("no-programs");
    std::fs::create_dir_all(&empty).unwrap();
    let git = Git::new(empty.to_str().unwrap()).at_home(&repo.base);
    let report = git.inspect(&repo.root).await;
    assert_eq!(report.kind, FolderKind::Unusable);
    assert!(report.sentence.contains("git was not found"), "{report:?}");
    let error: musher_protocol::ApiError = git.bases(&repo.root).await.unwrap_err().into();
    assert_eq!(error.code, musher_protocol::ErrorCode::GitMissing);
    assert!(error.hint.is_some());
}

/// Needs root, to give a folder away; as another user there is nothing to test.
#[tokio::test]
async fn a_repository_of_another_user_names_the_setting() {
    let repo = Repo::new();
    if std::os::unix::fs::chown(&repo.root, Some(12345), None).is_err() {
        return;
    }
    let report = look(&repo, &repo.root).await;
    assert_eq!(report.kind, FolderKind::Unusable);
    assert!(report.next.contains("safe.directory"), "{report:?}");
}

#[tokio::test]
async fn a_folder_that_may_not_be_read_says_so() {
    use std::os::unix::fs::PermissionsExt;
    let repo = Repo::new();
    let shut = repo.base.join("shut");
    std::fs::create_dir_all(&shut).unwrap();
    std::fs::set_permissions(&shut, std::fs::Permissions::from_mode(0o000)).unwrap();
    let readable_anyway = std::fs::read_dir(&shut).is_ok();
    let report = look(&repo, &shut).await;
    let wanted = if readable_anyway { FolderKind::PlainFolder } else { FolderKind::Unusable };
    assert_eq!(report.kind, wanted);
    std::fs::set_permissions(&shut, std::fs::Permissions::from_mode(0o700)).unwrap();
}

#[tokio::test]
async fn a_repository_that_lost_its_objects_is_broken_and_not_new() {
    let repo = Repo::new();
    let objects = repo.root.join(".git/objects");
    std::fs::remove_dir_all(&objects).unwrap();
    std::fs::create_dir(&objects).unwrap();
    let report = look(&repo, &repo.root).await;
    assert_eq!((&report.kind, report.usable), (&FolderKind::Unusable, false), "{report:?}");
    assert!(report.sentence.contains("cannot be read"), "{report:?}");
    let error = repo.git.create(repo.wanted("x")).await.unwrap_err();
    assert!(!matches!(error, musher_worktree::WorktreeError::NoCommits(_)), "{error}");
}
