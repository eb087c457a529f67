//! The commands that only look: they make nothing, and what they may not see they do not call empty.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]
#![allow(clippy::disallowed_methods)]
#![cfg(unix)]

mod world;

use std::os::unix::fs::{PermissionsExt, symlink};

use world::World;

#[test]
fn a_look_at_worktrees_makes_and_remembers_nothing() {
    let world = World::new();
    let repo = world.repo.path().to_string_lossy().into_owned();
    let looked = world.call(&["worktrees", &repo]);
    assert_eq!(looked.code, 0, "{}", looked.stderr);
    assert!(looked.stdout.contains("main checkout"), "{}", looked.stdout);
    assert!(!world.data_dir().exists(), "no data directory");
    let missing = world.call(&["worktrees", "/no/such/folder"]);
    assert_eq!(missing.code, 1, "{}", missing.stdout);
    assert!(missing.stderr.contains("does not exist"), "{}", missing.stderr);
}

#[test]
fn a_data_directory_that_cannot_be_seen_is_not_called_empty() {
    let world = World::new();
    let folder = tempfile::tempdir().unwrap();
    let (round, closed) = (folder.path().join("round"), folder.path().join("closed"));
    symlink(&round, &round).unwrap();
    std::fs::create_dir(&closed).unwrap();
    std::fs::set_permissions(&closed, PermissionsExt::from_mode(0o000)).unwrap();
    // Nothing is closed to root.
    let is_root = rustix::process::geteuid().is_root();
    for dir in [&round, &closed].into_iter().take(if is_root { 1 } else { 2 }) {
        let data = dir.join("data");
        for line in [&["runs"][..], &["events", "x"]] {
            let said = world.musher(line).env("MUSHER_DATA_DIR", &data).output().unwrap();
            let told = String::from_utf8_lossy(&said.stderr);
            assert_eq!(said.status.code(), Some(1), "{line:?} in {dir:?}: {said:?}");
            assert!(told.contains(data.to_str().unwrap()) && told.contains("hint: "), "{told}");
        }
    }
}
