//! Finding the programs.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![cfg(unix)]

use std::os::unix::fs::PermissionsExt;

use musher_runtime::{
    Registry, RuntimeKind,
    claude::{ClaudeCode, Demo},
};

fn program(folder: &std::path::Path, script: &str) -> std::path::PathBuf {
    let program = folder.join("claude");
    std::fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    program
}

#[tokio::test]
async fn finds_claude_on_the_path_and_asks_its_version_once() {
    let folder = tempfile::tempdir().unwrap();
    let asked = folder.path().join("asked");
    let script = format!("echo x >> {}; echo '2.1.330 (Claude Code)'", asked.display());
    let claude = program(folder.path(), &script);
    let path = format!("{}:/usr/bin:/bin", folder.path().display());
    let kind = ClaudeCode::default();
    for _ in 0..2 {
        let info = kind.detect(&path).await;
        assert_eq!((info.found, info.path.as_deref()), (true, claude.to_str()));
        assert_eq!(info.version.as_deref(), Some("2.1.330"));
        assert_eq!(info.hint, None);
    }
    assert_eq!(std::fs::read_to_string(asked).unwrap(), "x\n");
}

#[tokio::test]
async fn a_broken_claude_is_found_without_a_version() {
    let folder = tempfile::tempdir().unwrap();
    program(folder.path(), "exit 3");
    let path = format!("{}:/usr/bin:/bin", folder.path().display());
    let info = ClaudeCode::default().detect(&path).await;
    assert_eq!((info.found, info.version), (true, None));
}

#[tokio::test]
async fn both_kinds_are_registered_by_their_names() {
    let registry = Registry::default().with(ClaudeCode::default()).with(Demo);
    assert_eq!(registry.all().map(|kind| kind.name()).collect::<Vec<_>>(), ["claude-code", "demo"]);
    let info = registry.get("demo").unwrap().detect("").await;
    assert_eq!(info.label, "Demo agent");
    assert_eq!(info.found, info.hint.is_none());
}
