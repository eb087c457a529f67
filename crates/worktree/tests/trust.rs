//! Everything that can run by itself is listed, and one byte makes another digest.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use musher_worktree::TrustItems;
use support::{Repo, make_executable, pipe, write};

async fn items(repo: &Repo) -> TrustItems {
    repo.git.trust_items(&repo.root).await.unwrap()
}

const FILES: &[&str] = &[
    ".claude/agents/a.md",
    ".claude/commands/deep/c.md",
    ".claude/hooks/h.sh",
    ".claude/settings.json",
    ".claude/settings.local.json",
    ".claude/skills/s/SKILL.md",
    ".codex/config.toml",
    ".cursor/mcp.json",
    ".envrc",
    ".gemini/settings.json",
    ".husky/pre-commit",
    ".mcp.json",
    ".musher/setup.sh",
    ".vscode/tasks.json",
];

#[tokio::test]
async fn every_file_is_an_item_and_one_byte_changes_the_digest() {
    let repo = Repo::new();
    let empty = items(&repo).await;
    assert_eq!(empty.items, []);
    for file in FILES {
        repo.write(file, "x");
    }
    repo.write("CLAUDE.md", "only text");
    let full = items(&repo).await;
    assert_eq!(full.items.iter().map(|item| item.path.as_str()).collect::<Vec<_>>(), FILES);
    assert_ne!(full.digest, empty.digest);
    assert_eq!(items(&repo).await, full);
    for file in FILES {
        repo.write(file, "y");
        assert_ne!(items(&repo).await.digest, full.digest, "{file}");
        repo.write(file, "x");
    }
    assert_eq!(items(&repo).await.digest, full.digest);
}

#[tokio::test]
async fn hooks_and_settings_of_the_repository_are_items() {
    let repo = Repo::new();
    write(&repo.root, ".git/hooks/pre-commit", "#!/bin/sh\n");
    write(&repo.root, ".git/hooks/not-executable", "#!/bin/sh\n");
    make_executable(&repo.root.join(".git/hooks/pre-commit"));
    write(&repo.root, "own-hooks/post-checkout", "#!/bin/sh\n");
    make_executable(&repo.root.join("own-hooks/post-checkout"));
    repo.run(&["config", "core.hooksPath", "own-hooks"]);
    repo.run(&["config", "core.fsmonitor", "./evil.sh"]);
    repo.run(&["config", "alias.x", "!evil"]);
    repo.run(&["config", "alias.co", "checkout"]);
    // The user's own settings are not the repository's.
    repo.run(&["config", "--global", "core.editor", "vim"]);
    let found = items(&repo).await;
    let paths: Vec<_> = found.items.iter().map(|item| item.path.as_str()).collect();
    let expected = [
        "git config: alias.x",
        "git config: core.fsmonitor",
        "git config: core.hookspath",
        "git hook of core.hooksPath: post-checkout",
        "git hook: pre-commit",
    ];
    assert_eq!(paths, expected);
    repo.run(&["config", "core.fsmonitor", "./evil2.sh"]);
    assert_ne!(items(&repo).await.digest, found.digest);
}

#[tokio::test]
async fn a_worktree_of_the_same_content_has_the_same_digest() {
    let repo = Repo::new();
    repo.write(".mcp.json", "{}");
    repo.commit("tool servers");
    let made = repo.create("x").await;
    let there = repo.git.trust_items(&made.path).await.unwrap();
    assert_eq!(there, items(&repo).await);
}

#[tokio::test]
async fn links_are_hashed_with_what_they_lead_to_and_named_when_they_lead_out() {
    let repo = Repo::new();
    write(&repo.base, "outside.json", "{}");
    std::os::unix::fs::symlink(repo.base.join("outside.json"), repo.root.join(".mcp.json"))
        .unwrap();
    std::os::unix::fs::symlink("nowhere", repo.root.join(".envrc")).unwrap();
    let first = items(&repo).await;
    assert_eq!(first.items.len(), 2);
    assert!(first.items.iter().all(|item| item.what.contains("out of the worktree")), "{first:?}");
    write(&repo.base, "outside.json", "{ }");
    assert_ne!(items(&repo).await.digest, first.digest);
}

/// A pipe in place of a settings file is not opened.
#[tokio::test]
async fn a_pipe_is_not_waited_for() {
    let repo = Repo::new();
    pipe(&repo.root.join(".mcp.json"));
    let found = tokio::time::timeout(std::time::Duration::from_secs(20), items(&repo)).await;
    assert_eq!(found.expect("waited for the pipe").items.len(), 1);
}
