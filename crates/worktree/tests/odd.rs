//! Repositories that are unlike most: the right result, or one clear sentence.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_methods)]

mod support;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use musher_protocol::{ApiError, ChangeKind, FolderKind};
use musher_worktree::{CreateWorktree, Created, RemoveWorktree};
use support::{Repo, make_executable, write};

/// From a new worktree over a change and its diff to a forced removal and back.
async fn whole_road(repo: &Repo, root: &Path) {
    let wanted = CreateWorktree { root: root.to_owned(), ..repo.wanted("x") };
    let made = repo.git.create(wanted).await.unwrap();
    write(&made.path, "a.txt", "changed\n");
    write(&made.path, "new.txt", "new\n");
    let changes = repo.git.changes(&made.path, &made.base_commit).await.unwrap();
    let names: Vec<_> = changes.files.iter().map(|file| file.path.as_str()).collect();
    assert_eq!(names, ["a.txt", "new.txt"]);
    let diff = repo.git.diff(&made.path, &made.base_commit, "a.txt", 100).await.unwrap();
    assert!(diff.hunks[0].lines.contains(&"+changed".to_owned()), "{diff:?}");
    repo.git.trust_items(&made.path).await.unwrap();
    assert_eq!(repo.git.inspect(&made.path).await.kind, FolderKind::LinkedWorktree);
    comes_back(repo, root, &made).await;
}

async fn comes_back(repo: &Repo, root: &Path, made: &Created) {
    let removal = RemoveWorktree { root: root.to_owned(), ..repo.removal(&made.path) };
    let refused = repo.git.remove(removal.clone()).await.unwrap();
    assert_eq!(refused.refusals.len(), 2, "{refused:?}");
    let report = repo.git.remove(RemoveWorktree { force: true, ..removal }).await.unwrap();
    assert!(report.removed && !made.path.exists());
    let kept = report.rescue_ref.unwrap();
    assert_eq!(repo.run_in(root, &["show", &format!("{kept}:new.txt")]), "new");
    let branches = repo.run_in(root, &["for-each-ref", "--format=%(refname)", "refs/heads"]);
    assert!(!branches.contains(&made.branch), "{branches}");
    repo.run_in(root, &["fsck", "--strict"]);
}

fn made_anew(options: &[&str]) -> Repo {
    let repo = Repo::unborn();
    std::fs::remove_dir_all(repo.root.join(".git")).unwrap();
    repo.run(&[&["init", "-q"], options].concat());
    repo.write("a.txt", "a\n");
    repo.commit("first");
    repo
}

#[tokio::test]
async fn another_hash_and_another_store_of_refs() {
    for options in [
        &["--object-format=sha256"][..],
        &["--ref-format=reftable"],
        &["--ref-format=reftable", "--object-format=sha256"],
    ] {
        let repo = made_anew(options);
        whole_road(&repo, &repo.root).await;
    }
}

#[tokio::test]
async fn a_bare_repository_with_worktrees() {
    let repo = Repo::new();
    for name in ["plain.git", ".git", "hub/.bare"] {
        let bare = repo.base.join("bare").join(name);
        let origin = repo.root.to_str().unwrap();
        repo.run(&["clone", "-q", "--bare", origin, bare.to_str().unwrap()]);
        let report = repo.git.inspect(&bare).await;
        println!("{name}: {} {}", report.sentence, report.next);
        whole_road(&repo, &bare).await;
    }
    // A folder of worktrees around a bare repository.
    let hub = repo.base.join("bare/hub");
    write(&hub, ".git", "gitdir: ./.bare\n");
    let report = repo.git.inspect(&hub).await;
    assert!(report.sentence.contains("bare repository") && !report.usable, "{report:?}");
    let own = hub.join("main");
    repo.run_in(&hub.join(".bare"), &["worktree", "add", "-q", own.to_str().unwrap(), "main"]);
    let report = repo.git.inspect(&own).await;
    println!("its worktree: {report:?}");
    assert!(report.usable);
}

#[tokio::test]
async fn a_shallow_clone() {
    let origin = Repo::new();
    origin.write("a.txt", "second\n");
    origin.commit("second");
    let repo = Repo::unborn();
    let url = format!("file://{}", origin.root.display());
    let clone = repo.base.join("shallow");
    repo.run(&["clone", "-q", "--depth=1", &url, clone.to_str().unwrap()]);
    whole_road(&repo, &clone).await;
}

/// No network: what was never fetched cannot be had, and nobody waits for it.
#[tokio::test]
async fn a_partial_clone_is_not_waited_for() {
    let origin = Repo::new();
    let first = origin.head(&origin.root);
    origin.run(&["config", "uploadpack.allowFilter", "true"]);
    origin.write("a.txt", "second\n");
    origin.commit("second");
    let repo = Repo::unborn();
    let url = format!("file://{}", origin.root.display());
    let clone = repo.base.join("partial");
    repo.run(&["clone", "-q", "--filter=blob:none", &url, clone.to_str().unwrap()]);
    // An address from which no answer comes (RFC 5737).
    repo.run_in(&clone, &["remote", "set-url", "origin", "https://192.0.2.1/x.git"]);
    whole_road(&repo, &clone).await;
    let begun = Instant::now();
    for git in [repo.git.clone(), repo.git.trusting(true)] {
        let wanted =
            CreateWorktree { root: clone.clone(), base: Some(first.clone()), ..repo.wanted("y") };
        let limit = Duration::from_secs(60);
        let failed = tokio::time::timeout(limit, git.create(wanted)).await.expect("waited");
        let error = ApiError::from(failed.unwrap_err());
        println!("{} {:?} after {:?}", error.message, error.hint, begun.elapsed());
        assert!(error.message.contains("never fetched"), "{error:?}");
    }
    let changes = repo.git.changes(&clone, &first).await;
    println!("{:?}", changes.map_err(ApiError::from));
}

#[tokio::test]
async fn long_names_of_branches() {
    let repo = Repo::new();
    let long = format!("{}/{}", "x".repeat(150), "y".repeat(149));
    for (name, fits) in [(long.clone(), true), ("z".repeat(300), false), ("é".repeat(115), true)] {
        let wanted = CreateWorktree { branch: Some(name.clone()), ..repo.wanted("x") };
        let made = repo.git.create(wanted).await;
        if !fits {
            let error = ApiError::from(made.unwrap_err());
            println!("{error:?}");
            assert!(error.message.contains("too long"), "{error:?}");
            continue;
        }
        let made = made.unwrap();
        write(&made.path, "a.txt", "changed\n");
        write(&made.path, "new.txt", "new\n");
        comes_back(&repo, &repo.root, &made).await;
    }
    repo.run(&["branch", &long]);
    let wanted = CreateWorktree { base: Some(long.clone()), ..repo.wanted("based") };
    assert_eq!(repo.git.create(wanted).await.unwrap().base_name, long);
}

#[tokio::test]
async fn odd_names_of_folders() {
    for name in ["with space", "ünïcödé 日本", "-dash", "two\nlines", "quote'\"$(x)", "#hash;"]
    {
        let repo = Repo::new();
        let root = repo.base.join(name);
        std::fs::rename(&repo.root, &root).unwrap();
        let report = repo.git.inspect(&root).await;
        println!("{name:?}: {} {}", report.sentence, report.next);
        if name.contains('\n') {
            assert_eq!(report.kind, FolderKind::Unusable);
            assert!(report.sentence.contains("line"), "{report:?}");
            continue;
        }
        assert!(report.usable, "{report:?}");
        whole_road(&repo, &root).await;
    }
}

#[tokio::test]
async fn modes_links_line_ends_and_renames() {
    let repo = Repo::new();
    repo.run(&["config", "core.autocrlf", "true"]);
    repo.write("dos.txt", "one\r\ntwo\r\n");
    repo.write("run.sh", "#!/bin/sh\n");
    repo.write("becomes-link", "text\n");
    repo.write("long.txt", (0..50).map(|n| format!("line {n}\n")).collect::<String>());
    std::os::unix::fs::symlink("a.txt", repo.root.join("link")).unwrap();
    repo.commit("kinds");
    let made = repo.create("x").await;
    let dir = made.path.as_path();
    make_executable(&dir.join("run.sh"));
    std::fs::remove_file(dir.join("becomes-link")).unwrap();
    std::os::unix::fs::symlink("a.txt", dir.join("becomes-link")).unwrap();
    std::fs::remove_file(dir.join("link")).unwrap();
    std::os::unix::fs::symlink("dir", dir.join("link")).unwrap();
    repo.run_in(dir, &["mv", "long.txt", "dir/new name.txt"]);
    write(dir, "a.txt", "one\r\ntwo\r\nthree\r\n");
    let changes = repo.git.changes(dir, &made.base_commit).await.unwrap();
    let brief: Vec<_> =
        changes.files.iter().map(|f| (f.path.as_str(), f.kind, f.added, f.removed)).collect();
    println!("{brief:#?}");
    for file in &changes.files {
        let diff = repo.git.diff(dir, &made.base_commit, &file.path, 100).await.unwrap();
        println!(
            "{}: {:?}",
            file.path,
            diff.hunks.iter().flat_map(|h| &h.lines).take(8).collect::<Vec<_>>()
        );
    }
    let kind = |path: &str| changes.files.iter().find(|f| f.path == path).map(|f| f.kind);
    assert_eq!(kind("run.sh"), Some(ChangeKind::Modified));
    assert_eq!(kind("dir/new name.txt"), Some(ChangeKind::Renamed));
    assert_eq!(kind("link"), Some(ChangeKind::Modified));
    assert!(kind("becomes-link").is_some());
    assert_eq!(kind("dos.txt"), None, "line ends that git itself wrote are no change");
}

/// Names that are one on some systems; on Linux they are two.
#[tokio::test]
async fn names_that_differ_in_case_only() {
    let repo = Repo::new();
    repo.write("A.txt", "capital\n");
    repo.write("DIR/b.txt", "capital\n");
    repo.commit("both");
    let made = repo.create("x").await;
    if !made.path.join("A.txt").exists() || !made.path.join("a.txt").exists() {
        return;
    }
    let changes = repo.git.changes(&made.path, &made.base_commit).await.unwrap();
    assert_eq!(changes.files.len(), 0, "{changes:?}");
}

fn peak_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or("0");
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap_or(0) >> 10
}

#[tokio::test]
async fn a_folder_of_five_thousand_files_is_bounded() {
    many_files(50).await;
}

#[ignore = "can take minutes on a busy disk"]
#[tokio::test]
async fn a_folder_of_fifty_thousand_files_is_bounded() {
    many_files(500).await;
}

async fn many_files(packages: usize) {
    let repo = Repo::new();
    let made = repo.create("x").await;
    for package in 0..packages {
        let folder = made.path.join(format!("node_modules/package-{package}"));
        std::fs::create_dir_all(&folder).unwrap();
        for file in 0..100 {
            std::fs::write(folder.join(format!("file-{file}.js")), "x\n").unwrap();
        }
    }
    let begun = Instant::now();
    let changes = repo.git.changes(&made.path, &made.base_commit).await.unwrap();
    println!("{} files in {:?}, peak {} MiB", changes.files.len(), begun.elapsed(), peak_mib());
    assert!(begun.elapsed() < Duration::from_secs(20));
    write(&repo.root, ".git/info/exclude", "node_modules\n");
    let begun = Instant::now();
    let changes = repo.git.changes(&made.path, &made.base_commit).await.unwrap();
    println!("ignored: {} files in {:?}", changes.files.len(), begun.elapsed());
    assert_eq!(changes.files.len(), 0);
    let begun = Instant::now();
    assert!(repo.git.remove(repo.removal(&made.path)).await.unwrap().removed);
    println!("removed in {:?}", begun.elapsed());
}

fn large(path: PathBuf, mib: u64) {
    use std::io::Write;
    let mut file = std::io::BufWriter::new(std::fs::File::create(path).unwrap());
    let line = format!("{}\n", "x".repeat(1023));
    for number in 0..mib << 10 {
        file.write_all(&line.as_bytes()[(number % 7) as usize..]).unwrap();
    }
}

/// Of a size at which git would still compare line by line.
#[tokio::test]
async fn a_huge_file_is_listed_and_not_compared() {
    let repo = Repo::new();
    large(repo.root.join("large.txt"), 20);
    repo.commit("large");
    let made = repo.create("x").await;
    large(made.path.join("large.txt"), 21);
    large(made.path.join("new.txt"), 20);
    std::fs::File::create(made.path.join("hole")).unwrap().set_len(1 << 30).unwrap();
    let begun = Instant::now();
    let changes = repo.git.changes(&made.path, &made.base_commit).await.unwrap();
    println!("{:?}, peak {} MiB: {changes:?}", begun.elapsed(), peak_mib());
    assert_eq!(changes.files.len(), 3);
    assert!(changes.files.iter().find(|file| file.path == "large.txt").unwrap().binary);
    for path in ["large.txt", "new.txt", "hole"] {
        let begun = Instant::now();
        let diff = repo.git.diff(&made.path, &made.base_commit, path, 1000).await.unwrap();
        println!("{path}: {:?}, {} hunks", begun.elapsed(), diff.hunks.len());
        assert!(diff.hunks.iter().map(|hunk| hunk.lines.len()).sum::<usize>() <= 1000);
    }
    assert!(peak_mib() < 200, "{}", peak_mib());
}
