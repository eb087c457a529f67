//! A repository full of programs that git would run, and every operation of this crate: none fires
//! before trust, and after it only the filters do. Plain git is run over the same repository first, so
//! that the traps are known to work.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use support::{Repo, make_executable, now, write};

/// Every hook of githooks(5) that a local command can reach, and the ones of a server.
const HOOKS: &[&str] = &[
    "applypatch-msg",
    "commit-msg",
    "fsmonitor-watchman",
    "post-applypatch",
    "post-checkout",
    "post-commit",
    "post-index-change",
    "post-merge",
    "post-receive",
    "post-rewrite",
    "post-update",
    "pre-applypatch",
    "pre-auto-gc",
    "pre-commit",
    "pre-merge-commit",
    "pre-push",
    "pre-rebase",
    "pre-receive",
    "prepare-commit-msg",
    "proc-receive",
    "push-to-checkout",
    "reference-transaction",
    "sendemail-validate",
    "update",
];

/// Settings that name a program: key, and the marker's name.
const PROGRAMS: &[(&str, &str)] = &[
    ("core.fsmonitor", "fsmonitor"),
    ("core.pager", "pager"),
    ("pager.diff", "pager-diff"),
    ("pager.status", "pager-status"),
    ("core.editor", "editor"),
    ("sequence.editor", "sequence-editor"),
    ("core.askPass", "askpass"),
    ("credential.helper", "credential"),
    ("core.sshCommand", "ssh"),
    ("core.gitProxy", "git-proxy"),
    ("core.alternateRefsCommand", "alternate-refs"),
    ("gpg.program", "gpg"),
    ("diff.external", "diff-external"),
    ("diff.d.command", "diff-command"),
    ("diff.t.textconv", "textconv"),
    ("merge.m.driver", "merge-driver"),
    ("interactive.diffFilter", "diff-filter"),
    ("filter.clean.clean", "filter-clean"),
    ("filter.smudge.smudge", "filter-smudge"),
    ("filter.process.process", "filter-process"),
    ("filter.odd=name.x.clean", "filter-odd-clean"),
    ("filter.odd=name.x.smudge", "filter-odd-smudge"),
    ("filter.info.clean", "filter-info-clean"),
    ("filter.info.smudge", "filter-info-smudge"),
    ("tar.tar.gz.command", "tar"),
    ("trailer.sign.cmd", "trailer"),
    ("remote.origin.uploadpack", "uploadpack"),
    ("uploadpack.packObjectsHook", "pack-objects"),
    ("difftool.d.cmd", "difftool"),
    ("mergetool.m.cmd", "mergetool"),
    ("hook.mine.command", "config-hook"),
];

const ATTRIBUTES: &str = "*.clean filter=clean\n*.smudge filter=smudge\n*.process filter=process\n\
    *.odd filter=odd=name.x\n*.inc filter=included\n*.branch filter=onbranch\n*.d diff=d\n*.t diff=t\n*.m merge=m\n";

struct Traps {
    repo: Repo,
    marks: PathBuf,
}

impl Traps {
    /// A program that leaves a mark, then behaves like `cat` so that git goes on.
    fn program(&self, name: &str) -> String {
        let path = self.repo.base.join("bin").join(name);
        write(&self.repo.base, &format!("bin/{name}"), self.script(name));
        make_executable(&path);
        path.to_str().unwrap().to_owned()
    }

    fn script(&self, name: &str) -> String {
        format!("#!/bin/sh\n: > '{}/{name}'\ncat\n", self.marks.display())
    }

    fn fired(&self) -> BTreeSet<String> {
        let entries = std::fs::read_dir(&self.marks).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    fn reset(&self) {
        for name in self.fired() {
            std::fs::remove_file(self.marks.join(name)).unwrap();
        }
    }

    fn plant(hooks_path: bool) -> Self {
        let repo = Repo::new();
        let marks = repo.base.join("marks");
        std::fs::create_dir_all(&marks).unwrap();
        let traps = Self { repo, marks };
        traps.plant_files();
        traps.plant_submodule();
        traps.repo.commit("all kinds of files");
        traps.plant_settings();
        traps.plant_hooks(hooks_path);
        // Newer than the index, so that git has to look inside.
        for kind in ["clean", "smudge", "process", "odd", "inc", "branch", "info", "d", "t", "m"] {
            traps.repo.write(&format!("f.{kind}"), "changed\n");
        }
        traps.repo.write("new.clean", "untracked\n");
        traps
    }

    fn plant_files(&self) {
        for kind in ["clean", "smudge", "process", "odd", "inc", "branch", "info", "d", "t", "m"] {
            self.repo.write(&format!("f.{kind}"), "text\n");
        }
        self.repo.write(".gitattributes", ATTRIBUTES);
        self.repo.write(".gitmodules", "[submodule \"sub\"]\npath = sub\nurl = ./sub\n");
        let bare = self.repo.root.join("embedded");
        self.repo.run(&["init", "-q", "--bare", bare.to_str().unwrap()]);
        self.repo.run_in(&bare, &["config", "core.fsmonitor", &self.program("embedded-fsmonitor")]);
        self.repo.run_in(&bare, &["config", "core.worktree", self.repo.root.to_str().unwrap()]);
        self.repo.run_in(&bare, &["config", "core.bare", "false"]);
    }

    /// A filled submodule, with settings of its own that no setting of ours knows.
    fn plant_submodule(&self) {
        let sub = self.repo.root.join("sub");
        std::fs::create_dir_all(&sub).unwrap();
        self.repo.run_in(&sub, &["init", "-q"]);
        write(&sub, "x.z", "x\n");
        write(&sub, ".gitattributes", "*.z filter=inner diff=inner\n");
        self.repo.run_in(&sub, &["add", "-A"]);
        self.repo.run_in(&sub, &["commit", "-q", "-m", "inner"]);
        for (key, name) in [
            ("core.fsmonitor", "sub-fsmonitor"),
            ("filter.inner.clean", "sub-clean"),
            ("diff.inner.textconv", "sub-textconv"),
        ] {
            self.repo.run_in(&sub, &["config", key, &self.program(name)]);
        }
        write(&sub, "x.z", "y\n");
    }

    fn plant_settings(&self) {
        for (key, name) in PROGRAMS {
            let program = self.program(name);
            self.repo.run(&["config", key, &program]);
        }
        let shell = |name: &str| format!("!{}", self.program(name));
        for (key, value) in [
            ("alias.status", shell("alias-status")),
            ("alias.diff", shell("alias-diff")),
            ("submodule.sub.update", shell("submodule-update")),
            ("submodule.recurse", "true".into()),
            ("diff.submodule", "diff".into()),
            ("commit.gpgSign", "true".into()),
            ("log.showSignature", "true".into()),
            ("gc.auto", "1".into()),
            ("filter.process.required", "true".into()),
            ("hook.mine.event", "reference-transaction".into()),
            ("protocol.ext.allow", "always".into()),
        ] {
            self.repo.run(&["config", key, &value]);
        }
        let included = self.filter_config("included");
        self.repo.run(&["config", "include.path", &included]);
        let on_branch = self.filter_config("onbranch");
        self.repo.run(&["config", "includeIf.onbranch:musher/**.path", &on_branch]);
        let info = "*.info filter=info\n*.branch filter=onbranch\n";
        write(&self.repo.root, ".git/info/attributes", info);
    }

    fn filter_config(&self, name: &str) -> String {
        let (clean, smudge) =
            (self.program(&format!("{name}-clean")), self.program(&format!("{name}-smudge")));
        let file = self.repo.base.join(format!("{name}.config"));
        std::fs::write(&file, format!("[filter \"{name}\"]\nclean = {clean}\nsmudge = {smudge}\n"))
            .unwrap();
        file.to_str().unwrap().to_owned()
    }

    fn plant_hooks(&self, hooks_path: bool) {
        let folder = if hooks_path { "evil-hooks" } else { ".git/hooks" };
        for hook in HOOKS {
            write(
                &self.repo.root,
                &format!("{folder}/{hook}"),
                self.script(&format!("hook-{hook}")),
            );
            make_executable(&self.repo.root.join(folder).join(hook));
        }
        if hooks_path {
            let folder = self.repo.root.join("evil-hooks");
            self.repo.run(&["config", "core.hooksPath", folder.to_str().unwrap()]);
        }
    }

    /// What plain git would do for the same questions.
    fn plain_git(&self) {
        let away = self.repo.base.join("plain");
        let away = away.to_str().unwrap();
        for args in [
            &["status"][..],
            &["diff", "HEAD"],
            &["add", "-A", "--dry-run"],
            &["worktree", "add", "-b", "musher/plain", away],
            &["-C", away, "status"],
            &["log", "-1", "-p"],
            &["commit", "-qam", "x"],
            &["worktree", "remove", "--force", away],
        ] {
            self.repo.try_in(&self.repo.root, args);
        }
        self.repo.try_in(&self.repo.root.join("embedded"), &["status"]);
    }

    /// Every operation of the crate.
    async fn everything(&self, git: &musher_worktree::Git) {
        let (repo, root) = (&self.repo, self.repo.root.as_path());
        git.version().await.unwrap();
        for place in ["", "dir", "embedded", "sub", ".git", "a.txt"] {
            git.inspect(&root.join(place)).await;
        }
        git.bases(root).await.unwrap();
        git.worktrees(root, &repo.under()).await.unwrap();
        let head = repo.run(&["rev-parse", "HEAD"]);
        self.clean_marks_of_plain_git();
        let made = git.create(repo.wanted("canaries")).await.unwrap();
        self.look_at(git, root, &head).await;
        for kind in ["clean", "branch", "info", "process", "odd"] {
            write(&made.path, &format!("f.{kind}"), "changed by the agent\n");
        }
        write(&made.path, "new.branch", "new\n");
        git.inspect(&made.path).await;
        self.look_at(git, &made.path, &made.base_commit).await;
        let report = git.remove(repo.removal(&made.path)).await.unwrap();
        assert!(!report.removed);
        let forced =
            musher_worktree::RemoveWorktree { force: true, at: now(), ..repo.removal(&made.path) };
        assert!(git.remove(forced).await.unwrap().removed);
    }

    /// `rev-parse` of plain git above fires nothing, but it must not matter if it did.
    fn clean_marks_of_plain_git(&self) {
        self.reset();
    }

    async fn look_at(&self, git: &musher_worktree::Git, dir: &Path, base: &str) {
        let changes = git.changes(dir, base).await.unwrap();
        assert!(changes.files.iter().any(|change| change.path == "f.clean"), "{changes:?}");
        for change in &changes.files {
            git.diff(dir, base, &change.path, 100).await.unwrap();
        }
        git.trust_items(dir).await.unwrap();
    }
}

#[tokio::test]
async fn nothing_of_a_repository_runs_before_trust() {
    for hooks_path in [false, true] {
        let traps = Traps::plant(hooks_path);
        traps.plain_git();
        let plain = traps.fired();
        assert!(plain.len() >= 12, "the traps do not work: {plain:?}");
        println!("plain git fired {}: {plain:?}", plain.len());
        let traps = Traps::plant(hooks_path);
        traps.reset();
        traps.everything(&traps.repo.git).await;
        assert_eq!(traps.fired(), BTreeSet::new());
    }
}

#[tokio::test]
async fn after_trust_only_filters_run() {
    let traps = Traps::plant(false);
    traps.reset();
    // A process that does not speak git's protocol stops the checkout, as it should.
    traps.repo.run(&["config", "--remove-section", "filter.process"]);
    traps.everything(&traps.repo.git.trusting(true)).await;
    let fired = traps.fired();
    assert!(fired.contains("filter-smudge"), "{fired:?}");
    let others: Vec<_> = fired.iter().filter(|name| !is_filter(name)).collect();
    assert!(others.is_empty(), "{others:?}");
}

fn is_filter(name: &str) -> bool {
    name.starts_with("filter-") || name.starts_with("included-") || name.starts_with("onbranch-")
}

/// A promised object that is missing is fetched by whatever the repository names.
#[tokio::test]
async fn a_missing_object_is_not_fetched() {
    let repo = Repo::new();
    let mark = repo.base.join("mark");
    let blob = repo.run(&["rev-parse", "HEAD:a.txt"]);
    for (key, value) in [
        ("extensions.partialClone", "origin"),
        ("remote.origin.promisor", "true"),
        ("remote.origin.partialclonefilter", "blob:none"),
        ("remote.origin.url", &format!("ext::sh -c touch% {}", mark.display())),
        ("protocol.ext.allow", "always"),
        ("protocol.allow", "always"),
    ] {
        repo.run(&["config", key, value]);
    }
    std::fs::remove_file(repo.root.join(".git/objects").join(&blob[..2]).join(&blob[2..])).unwrap();
    let before = repo.run(&["for-each-ref"]);
    let failed = repo.git.create(repo.wanted("lazy")).await;
    assert!(failed.is_err());
    assert!(repo.git.trusting(true).create(repo.wanted("lazy")).await.is_err());
    assert!(!mark.exists(), "the address ran");
    assert_eq!(repo.run(&["for-each-ref"]), before);
    repo.try_in(&repo.root, &["cat-file", "-p", &blob]);
    assert!(mark.exists(), "the trap does not work");
}

/// Names and values that look like options or shell text do nothing.
#[tokio::test]
async fn names_are_never_options_or_shell_text() {
    let repo = Repo::new();
    let mark = repo.base.join("mark");
    let evil = format!("$(touch {0}); `touch {0}`", mark.display());
    for name in
        ["--upload-pack=evil", "-rf", "-", evil.as_str(), "a..b", "x\ny", "@{-1}", "HEAD", ""]
    {
        let wanted =
            musher_worktree::CreateWorktree { branch: Some(name.into()), ..repo.wanted("x") };
        assert!(repo.git.create(wanted).await.is_err(), "branch {name:?}");
    }
    for base in ["--output=x", "-x", "a b", evil.as_str(), "HEAD..main", "HEAD:a.txt", ""] {
        let wanted =
            musher_worktree::CreateWorktree { base: Some(base.into()), ..repo.wanted("x") };
        assert!(repo.git.create(wanted).await.is_err(), "base {base:?}");
    }
    let made = repo.create(&evil).await;
    assert!(made.branch.starts_with("musher/touch-"));
    write(&made.path, "-rf", "x\n");
    write(&made.path, ":(exclude)*", "y\n");
    for name in ["-rf", ":(exclude)*"] {
        let diff = repo.git.diff(&made.path, &made.base_commit, name, 10).await.unwrap();
        assert_eq!(diff.change.added, 1, "{name}");
    }
    assert!(!mark.exists());
}
