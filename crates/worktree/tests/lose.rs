//! Attempts to lose work by a removal. Each ends with the work where it was, or where the report says.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_methods)]

mod support;

use std::path::{Path, PathBuf};
use std::process::Stdio;

use musher_protocol::{RemovalRefusal, RemovalReport};
use musher_worktree::{Created, Git, RemoveWorktree, WorktreeError};
use support::{Repo, files, make_executable, write};

async fn repo_with_worktree() -> (Repo, Created) {
    let repo = Repo::new();
    let made = repo.create("x").await;
    (repo, made)
}

async fn try_force(repo: &Repo, path: &Path) -> Result<RemovalReport, WorktreeError> {
    repo.git.remove(RemoveWorktree { force: true, ..repo.removal(path) }).await
}

async fn force(repo: &Repo, path: &Path) -> RemovalReport {
    let report = try_force(repo, path).await.unwrap();
    assert!(report.removed, "{report:?}");
    assert!(!path.exists());
    report
}

/// Force does not help, and everything is as before.
async fn assert_firm(repo: &Repo, path: &Path, word: &str) {
    let before = (repo.fingerprint(), files(path));
    let error = try_force(repo, path).await.unwrap_err();
    let why = error.to_string();
    assert!(matches!(error, WorktreeError::CannotRescue { .. }) && why.contains(word), "{why}");
    assert_eq!((repo.fingerprint(), files(path)), before);
}

fn kept_ignored(repo: &Repo) -> PathBuf {
    repo.under().join(".ignored/musher-x-20260102T030405000Z")
}

#[tokio::test]
async fn ignored_files_that_nobody_can_make_again_are_copied() {
    let (repo, made) = repo_with_worktree().await;
    let dir = made.path.as_path();
    write(&repo.root, ".git/info/exclude", ".env*\nnotes/\n/cache/\nnode_modules\nlink\n");
    write(dir, ".env", "KEY=only here\r\n");
    write(dir, "notes/deep/thought.bin", b"\0\xff");
    write(dir, "dir/.env.local", "there too\n");
    write(dir, "dir/node_modules/x/index.js", "made anew\n");
    write(dir, "cache/CACHEDIR.TAG", "Signature: 8a477f597d28d172789f06886806bc55\n");
    write(dir, "cache/big", "made anew\n");
    std::os::unix::fs::symlink("/etc/passwd", dir.join("link")).unwrap();
    make_executable(&dir.join("notes/deep/thought.bin"));
    let report = repo.git.remove(repo.removal(dir)).await.unwrap();
    assert!(report.removed, "{report:?}");
    let wanted = [
        (".env", false, b"KEY=only here\r\n".to_vec()),
        ("dir/.env.local", false, b"there too\n".to_vec()),
        ("link", false, b"/etc/passwd".to_vec()),
        ("notes/deep/thought.bin", true, b"\0\xff".to_vec()),
    ];
    assert_eq!(files(&kept_ignored(&repo)), wanted.map(|(p, x, b)| (p.to_owned(), x, b)));
    let sentence = report.sentence;
    assert!(sentence.contains(".ignored/") && sentence.contains("dir/node_modules/"), "{sentence}");
    // Not in git, from where they could be pushed.
    assert_eq!(
        (report.rescue_ref, repo.run(&["for-each-ref", "refs/musher"])),
        (None, String::new())
    );
}

#[tokio::test]
async fn too_much_to_copy_stops_even_a_forced_removal() {
    let (repo, made) = repo_with_worktree().await;
    write(&repo.root, ".git/info/exclude", "data/\n");
    write(&made.path, "data/a", "small\n");
    let large = std::fs::File::create(made.path.join("data/db")).unwrap();
    large.set_len(3 << 30).unwrap();
    let error = try_force(&repo, &made.path).await.unwrap_err().to_string();
    assert!(error.contains("`data`") && error.contains("too many"), "{error}");
    assert!(made.path.join("data/db").exists() && !kept_ignored(&repo).exists());
}

/// Ignored, so that status is silent; and a repository of its own, or even a worktree of this one.
#[tokio::test]
async fn repositories_in_ignored_folders_stay() {
    let (repo, made) = repo_with_worktree().await;
    write(&repo.root, ".git/info/exclude", "checkouts/\ntarget/\n");
    let clone = made.path.join("checkouts/clone");
    repo.run(&["clone", "-q", ".", clone.to_str().unwrap()]);
    assert_firm(&repo, &made.path, "checkouts/clone").await;
    std::fs::remove_dir_all(&clone).unwrap();
    let nested = made.path.join("target/nested");
    repo.run(&["worktree", "add", "-q", "-b", "nested", nested.to_str().unwrap()]);
    write(&nested, "work.txt", "only here\n");
    assert_firm(&repo, &made.path, "target/nested").await;
}

#[tokio::test]
async fn what_a_submodule_held_stays_after_it_is_emptied() {
    let (repo, inner) = (Repo::new(), Repo::new());
    let url = inner.root.to_str().unwrap();
    repo.run(&["-c", "protocol.file.allow=always", "submodule", "--quiet", "add", url, "sub"]);
    repo.commit("submodule");
    let made = repo.create("x").await;
    let update = ["-c", "protocol.file.allow=always", "submodule", "--quiet", "update", "--init"];
    repo.run_in(&made.path, &update);
    write(&made.path, "sub/work.txt", "work\n");
    repo.run_in(&made.path.join("sub"), &["add", "-A"]);
    repo.run_in(&made.path.join("sub"), &["commit", "-qm", "only here"]);
    assert_firm(&repo, &made.path, "sub").await;
    repo.run_in(&made.path, &["submodule", "--quiet", "deinit", "-f", "--all"]);
    assert_firm(&repo, &made.path, "submodules").await;
}

#[tokio::test]
async fn what_was_amended_reset_or_put_aside_is_in_the_rescue_ref() {
    let (repo, made) = repo_with_worktree().await;
    let dir = made.path.as_path();
    write(dir, "lost.txt", "committed, then reset away\n");
    repo.run_in(dir, &["add", "-A"]);
    repo.run_in(dir, &["commit", "-qm", "lost"]);
    let lost = repo.head(dir);
    repo.run_in(dir, &["reset", "-q", "--hard", "HEAD~1"]);
    let report = repo.git.remove(repo.removal(dir)).await.unwrap();
    let kept = report.rescue_ref.unwrap();
    let reached = repo.run(&["rev-list", &kept]);
    assert!(reached.contains(&lost), "{reached}");
    assert_eq!(repo.run(&["rev-parse", &format!("{kept}^1")]), made.base_commit);
    assert_eq!(repo.run(&["diff", &made.base_commit, &kept]), "");
}

/// A rebase with `--autostash` that stops keeps the changes in a file of the worktree's own folder.
#[tokio::test]
async fn a_rebase_that_stopped_keeps_its_stash_and_its_branch() {
    let (repo, made) = repo_with_worktree().await;
    let dir = made.path.as_path();
    write(dir, "a.txt", "theirs\n");
    repo.run_in(dir, &["commit", "-qam", "theirs"]);
    let branch_tip = repo.head(dir);
    repo.write("a.txt", "ours\n");
    repo.commit("ours");
    write(dir, "dir/b.txt", "not committed\n");
    repo.try_in(dir, &["rebase", "--autostash", "main"]);
    let refused = repo.git.remove(repo.removal(dir)).await.unwrap();
    assert!(
        matches!(refused.refusals[..], [_, .., RemovalRefusal::DetachedHead { .. }]),
        "{refused:?}"
    );
    let kept = force(&repo, dir).await.rescue_ref.unwrap();
    let reached = repo.run(&["rev-list", &kept]);
    assert!(reached.contains(&branch_tip), "{reached}");
    let mut commits = reached.lines();
    let stashed = |commit: &str| {
        let shown = repo.try_in(&repo.root, &["show", &format!("{commit}:dir/b.txt")]).stdout;
        shown == b"not committed\n"
    };
    assert!(commits.any(stashed), "the stash of the rebase is lost");
    // The branch was not checked out, so it is not Musher's to delete.
    assert_eq!(repo.run(&["rev-parse", "refs/heads/musher/x"]), branch_tip);
}

#[tokio::test]
async fn stashes_are_the_repositorys_and_stay() {
    let (repo, made) = repo_with_worktree().await;
    write(&made.path, "a.txt", "stashed\n");
    repo.run_in(&made.path, &["stash", "-q"]);
    assert!(repo.git.remove(repo.removal(&made.path)).await.unwrap().removed);
    assert_eq!(repo.run(&["show", "stash@{0}:a.txt"]), "stashed");
}

#[tokio::test]
async fn a_branch_that_is_checked_out_elsewhere_stays() {
    let (repo, made) = repo_with_worktree().await;
    let other = repo.base.join("other");
    repo.run(&["worktree", "add", "-q", "--force", other.to_str().unwrap(), "musher/x"]);
    assert!(repo.git.remove(repo.removal(&made.path)).await.unwrap().removed);
    assert_eq!(repo.head(&other), made.base_commit);
}

/// Settings of the repository that hide files from `git status`.
#[tokio::test]
async fn settings_that_hide_files_hide_nothing_from_a_removal() {
    for setting in [
        ("core.ignoreCase", "true"),
        ("core.ignoreStat", "true"),
        ("status.showUntrackedFiles", "no"),
        ("core.untrackedCache", "true"),
        ("core.splitIndex", "true"),
        ("feature.manyFiles", "true"),
        ("core.preloadIndex", "false"),
        ("index.sparse", "true"),
    ] {
        let repo = Repo::new();
        repo.run(&["config", setting.0, setting.1]);
        let made = repo.create("x").await;
        repo.run_in(&made.path, &["status"]);
        write(&made.path, "A.TXT", "another file\n");
        write(&made.path, "dir/b.txt", "edited\n");
        let refused = repo.git.remove(repo.removal(&made.path)).await.unwrap();
        assert_eq!(refused.refusals.len(), 2, "{setting:?}: {refused:?}");
        let kept = force(&repo, &made.path).await.rescue_ref.unwrap();
        for (path, text) in [("A.TXT", "another file"), ("dir/b.txt", "edited")] {
            assert_eq!(repo.run(&["show", &format!("{kept}:{path}")]), text, "{setting:?}");
        }
    }
}

#[tokio::test]
async fn a_sparse_checkout_keeps_what_lies_outside_of_its_part() {
    let (repo, made) = repo_with_worktree().await;
    repo.run_in(&made.path, &["sparse-checkout", "set", "--cone", "other"]);
    assert!(!made.path.join("dir/b.txt").exists());
    write(&made.path, "dir/b.txt", "written all the same\n");
    write(&made.path, "dir/new.txt", "new\n");
    assert!(!repo.git.remove(repo.removal(&made.path)).await.unwrap().removed);
    let kept = force(&repo, &made.path).await.rescue_ref.unwrap();
    assert_eq!(repo.run(&["show", &format!("{kept}:dir/b.txt")]), "written all the same");
    assert_eq!(repo.run(&["show", &format!("{kept}:dir/new.txt")]), "new");
}

#[tokio::test]
async fn links_out_of_it_are_not_followed() {
    let (repo, made) = repo_with_worktree().await;
    write(&repo.base, "outside/precious", "precious\n");
    std::os::unix::fs::symlink(repo.base.join("outside"), made.path.join("way")).unwrap();
    force(&repo, &made.path).await;
    assert_eq!(std::fs::read(repo.base.join("outside/precious")).unwrap(), b"precious\n");
}

#[tokio::test]
async fn files_and_folders_that_are_read_only_go_too() {
    use std::os::unix::fs::PermissionsExt;
    let (repo, made) = repo_with_worktree().await;
    write(&made.path, "modules/deep/file.go", "package x\n");
    let set = |path: &str, mode: u32| {
        let mode = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(made.path.join(path), mode).unwrap();
    };
    set("modules/deep/file.go", 0o444);
    set("modules/deep", 0o555);
    set("modules", 0o555);
    let kept = force(&repo, &made.path).await.rescue_ref.unwrap();
    assert_eq!(repo.run(&["show", &format!("{kept}:modules/deep/file.go")]), "package x");
    assert_eq!(leavings(&repo), Vec::<String>::new());
}

/// Needs a user for whom permissions count.
#[tokio::test]
async fn a_folder_that_may_not_be_read_stays() {
    use std::os::unix::fs::PermissionsExt;
    let (repo, made) = repo_with_worktree().await;
    write(&made.path, "shut/work.txt", "work\n");
    let shut = made.path.join("shut");
    std::fs::set_permissions(&shut, std::fs::Permissions::from_mode(0o000)).unwrap();
    if std::fs::read_dir(&shut).is_ok() {
        return;
    }
    let error = try_force(&repo, &made.path).await.unwrap_err().to_string();
    assert!(error.contains("shut"), "{error}");
    std::fs::set_permissions(&shut, std::fs::Permissions::from_mode(0o700)).unwrap();
    assert!(shut.join("work.txt").exists());
}

#[tokio::test]
async fn a_detached_head_with_commits_is_kept() {
    let (repo, made) = repo_with_worktree().await;
    repo.run_in(&made.path, &["checkout", "-q", "--detach"]);
    write(&made.path, "work.txt", "work\n");
    repo.run_in(&made.path, &["add", "-A"]);
    repo.run_in(&made.path, &["commit", "-qm", "work"]);
    let commit = repo.head(&made.path);
    let refused = repo.git.remove(repo.removal(&made.path)).await.unwrap();
    assert_eq!(refused.refusals.len(), 2, "{refused:?}");
    let kept = force(&repo, &made.path).await.rescue_ref.unwrap();
    assert!(kept.starts_with("refs/musher/rescue/detached-"));
    assert_eq!(repo.run(&["rev-parse", &kept]), commit);
}

fn leavings(repo: &Repo) -> Vec<String> {
    let names = std::fs::read_dir(repo.under()).unwrap().flatten();
    let names = names.map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.filter(|name| name != ".turn.lock" && name != ".ignored").collect()
}

/// What a removal left that was killed while it deleted files.
#[tokio::test]
async fn the_next_removal_deletes_what_a_killed_one_left() {
    let (repo, made) = repo_with_worktree().await;
    write(&repo.under(), ".removing-musher-y-1/dir/file", "kept elsewhere\n");
    assert!(repo.git.remove(repo.removal(&made.path)).await.unwrap().removed);
    assert_eq!(leavings(&repo), Vec::<String>::new());
}

/// Killed before it was sure that all was kept: the worktree is where it was, and refuses as before.
#[tokio::test]
async fn a_worktree_that_was_put_aside_comes_back() {
    let (repo, made) = repo_with_worktree().await;
    write(&made.path, "work.txt", "work\n");
    let aside = repo.under().join(".leaving-musher-x-20260102T030405000Z");
    std::fs::rename(&made.path, &aside).unwrap();
    write(&repo.under(), ".leaving-musher-x-2-20260102T030405000Z/file", "another worktree's\n");
    let report = repo.git.remove(repo.removal(&made.path)).await.unwrap();
    let untracked = RemovalRefusal::UntrackedFiles { files: vec!["work.txt".into()] };
    assert_eq!(report.refusals, [untracked]);
    assert!(made.path.join("work.txt").exists());
    assert!(repo.under().join(".leaving-musher-x-2-20260102T030405000Z/file").exists());
}

/// Somebody prunes before every single git call of ours.
#[tokio::test]
async fn a_prune_at_any_moment_is_harmless() {
    let (repo, made) = repo_with_worktree().await;
    write(&made.path, "work.txt", "work\n");
    let real = repo.run(&["--exec-path"]) + "/git";
    let root = repo.root.display();
    let prune = format!("'{real}' -C '{root}' worktree prune --expire=now");
    write(&repo.base, "bin/git", format!("#!/bin/sh\n{prune}\nexec '{real}' \"$@\"\n"));
    make_executable(&repo.base.join("bin/git"));
    let path = format!("{}:/usr/bin:/bin", repo.base.join("bin").display());
    let git = Git::new(&path).at_home(&repo.base.join("home"));
    let removal = RemoveWorktree { force: true, ..repo.removal(&made.path) };
    let report = git.remove(removal.clone()).await.unwrap();
    assert!(report.removed);
    assert_eq!(repo.run(&["show", &format!("{}:work.txt", report.rescue_ref.unwrap())]), "work");
    let again = git.create(repo.wanted("x")).await.unwrap();
    assert!(again.path.join("a.txt").exists());
    let at = support::now() + chrono::TimeDelta::seconds(1);
    assert!(git.remove(RemoveWorktree { at, ..removal }).await.unwrap().removed);
    assert_eq!(leavings(&repo), Vec::<String>::new());
    assert_eq!(repo.run(&["for-each-ref", "refs/heads/musher"]), "");
}

/// A file that is written between the first look and the last one stays, with all the others.
#[tokio::test]
async fn what_is_written_at_the_last_moment_stays() {
    let (repo, made) = repo_with_worktree().await;
    write(&made.path, "work.txt", "work\n");
    let (real, late) = (repo.run(&["--exec-path"]) + "/git", made.path.join("late.txt"));
    // `worktree lock` comes after the rescue ref and before the folder is renamed.
    let script = format!(
        "#!/bin/sh\ncase \"$*\" in *'worktree lock'*) echo late > '{}';; esac\nexec '{real}' \"$@\"\n",
        late.display()
    );
    write(&repo.base, "bin/git", script);
    make_executable(&repo.base.join("bin/git"));
    let path = format!("{}:/usr/bin:/bin", repo.base.join("bin").display());
    let git = Git::new(&path).at_home(&repo.base.join("home"));
    let removal = RemoveWorktree { force: true, ..repo.removal(&made.path) };
    let error = git.remove(removal).await.unwrap_err();
    assert!(error.to_string().contains("changed while"), "{error}");
    assert_eq!(std::fs::read(&late).unwrap(), b"late\n");
    assert!(made.path.join("work.txt").exists());
    assert!(!repo.run(&["worktree", "list", "--porcelain"]).contains("locked"));
}

/// A removal in a process of its own, started by the test below.
#[ignore = "started by another test"]
#[tokio::test]
async fn removal_to_be_killed() {
    let Some(base) = std::env::var_os("MUSHER_TEST_BASE").map(PathBuf::from) else { return };
    let bin = base.join("bin");
    let git = Git::new(bin.to_str().unwrap()).at_home(&base.join("home"));
    let removal = RemoveWorktree {
        root: base.join("repo"),
        path: base.join("data/worktrees/p/musher-x"),
        under: base.join("data/worktrees/p"),
        force: true,
        used_by: Vec::new(),
        made_branch: true,
        at: support::now(),
    };
    assert!(git.remove(removal).await.unwrap().removed);
}

/// A `git` that kills whoever calls it, before or after the real one has done its `nth` call.
fn deadly_git(repo: &Repo, nth: usize, after: bool) {
    let git = repo.run(&["--exec-path"]) + "/git";
    let (count, kill) = (repo.base.join("count"), "kill -9 $PPID");
    let (before, then) = if after { (":", kill) } else { (kill, ":") };
    let script = format!(
        "#!/bin/sh\necho >> '{0}'\nn=$(wc -l < '{0}')\nif [ $n = {nth} ]; then {before}; fi\n\
         '{git}' \"$@\"; code=$?\nif [ $n = {nth} ]; then {then}; fi\nexit $code\n",
        count.display()
    );
    write(&repo.base, "bin/git", script);
    make_executable(&repo.base.join("bin/git"));
    for tool in ["wc", "sh"] {
        let found = ["/usr/bin", "/bin"].map(|dir| Path::new(dir).join(tool));
        let found = found.iter().find(|path| path.exists()).unwrap();
        std::os::unix::fs::symlink(found, repo.base.join("bin").join(tool)).unwrap();
    }
}

fn removal_ends_well(repo: &Repo) -> bool {
    let mut command = std::process::Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "removal_to_be_killed", "--ignored", "--nocapture"]);
    command.env("MUSHER_TEST_BASE", &repo.base).stdin(Stdio::null());
    command.output().unwrap().status.success()
}

/// All that can be reached by a rescue ref, or still lies in a folder.
fn is_somewhere(repo: &Repo, text: &str) -> bool {
    let refs = repo.run(&["for-each-ref", "--format=%(refname)", "refs/musher/rescue"]);
    let in_refs = refs.lines().any(|name| {
        let tree = repo.run(&["ls-tree", "-r", "--name-only", name]);
        tree.lines().any(|path| repo.run(&["show", &format!("{name}:{path}")]) == text)
    });
    let whole = format!("{text}\n").into_bytes();
    in_refs || files(&repo.under()).iter().any(|(_, _, bytes)| *bytes == whole)
}

const WORK: [&str; 3] = ["committed work", "work not committed", "ignored work"];

async fn killed_at(nth: usize, after: bool) -> bool {
    let (repo, made) = repo_with_worktree().await;
    let dir = made.path.as_path();
    write(&repo.root, ".git/info/exclude", ".env\n");
    write(dir, "committed.txt", format!("{}\n", WORK[0]));
    repo.run_in(dir, &["add", "-A"]);
    repo.run_in(dir, &["commit", "-qm", "work"]);
    write(dir, "new.txt", format!("{}\n", WORK[1]));
    write(dir, ".env", format!("{}\n", WORK[2]));
    deadly_git(&repo, nth, after);
    let ended = removal_ends_well(&repo);
    for text in WORK {
        assert!(is_somewhere(&repo, text), "`{text}` is lost at {nth}, after: {after}");
    }
    finish(&repo, dir, (nth, after)).await;
    ended
}

/// The next call, or the one after it when git was killed with a lock in its hand, ends what was begun.
async fn finish(repo: &Repo, dir: &Path, when: (usize, bool)) {
    let at = support::now() + chrono::TimeDelta::seconds(1);
    let again = RemoveWorktree { force: true, at, ..repo.removal(dir) };
    match repo.git.remove(again).await {
        Ok(report) => assert!(report.removed, "{when:?}: {report:?}"),
        Err(WorktreeError::NotAWorktree(_)) => {}
        Err(error) => panic!("{when:?}: {error}"),
    }
    assert_eq!(leavings(repo), Vec::<String>::new(), "{when:?}");
    assert_eq!(repo.run(&["worktree", "list"]).lines().count(), 1, "{when:?}");
    assert_eq!(repo.run(&["for-each-ref", "refs/heads/musher"]), "", "{when:?}");
    assert_eq!(repo.run(&["worktree", "prune", "--dry-run", "--verbose"]), "", "{when:?}");
    for text in WORK {
        assert!(is_somewhere(repo, text), "`{text}` is lost when finished, {when:?}");
    }
    repo.run(&["fsck", "--strict"]);
}

/// From the first step on, every `stride`th, before and after it in turn.
async fn killed_at_steps(stride: usize) {
    let mut last = 0;
    for nth in (1..100).step_by(stride) {
        if killed_at(nth, false).await {
            break;
        }
        assert!(!killed_at(nth, true).await);
        last = nth;
    }
    println!("killed before and after each of {last} git processes, every {stride}th");
    assert!(last > 15, "{last}");
}

#[tokio::test]
async fn killed_at_some_steps_nothing_is_lost_and_the_next_call_finishes() {
    killed_at_steps(7).await;
}

#[ignore = "takes a minute"]
#[tokio::test]
async fn killed_at_any_step_nothing_is_lost_and_the_next_call_finishes() {
    killed_at_steps(1).await;
}
