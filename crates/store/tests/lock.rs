//! The data directory: one engine, nobody else's eyes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    path::Path,
};

use musher_protocol::{ApiError, ErrorCode, RunId};
use musher_store::{DataDirLock, Store, StoreErrorKind, prepare_data_dir};

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn the_second_is_refused_and_told_who_holds_it() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("a/data");
    let first = DataDirLock::acquire(&data).unwrap();
    let error = DataDirLock::acquire(&data).unwrap_err();
    assert_eq!(error.kind, StoreErrorKind::Locked);
    let named = format!("process {}", std::process::id());
    assert!(error.what.contains(&named), "{}", error.what);
    let api = ApiError::from(error);
    assert_eq!(api.code, ErrorCode::DataDirLocked);
    assert!(api.hint.is_some());
    drop(first);
    DataDirLock::acquire(&data).unwrap();
}

#[test]
fn what_a_dead_engine_left_locks_nothing() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("engine.lock"), "4194304999\nrest of a longer text").unwrap();
    let lock = DataDirLock::acquire(dir.path()).unwrap();
    let text = fs::read_to_string(lock.path()).unwrap();
    assert_eq!(text.trim(), std::process::id().to_string());
}

#[test]
fn everything_is_made_for_the_owner_alone() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let lock = DataDirLock::acquire(&data).unwrap();
    let (store, _) = Store::open(&data).unwrap();
    let run = store.create_run_dir(&RunId::parse("r").unwrap()).unwrap();
    for folder in [&data, &data.join("runs"), &data.join("backups"), &run] {
        assert_eq!(mode(folder), 0o700, "{}", folder.display());
    }
    for file in [&data.join("musher.db"), lock.path()] {
        assert_eq!(mode(file), 0o600, "{}", file.display());
    }
}

#[test]
fn an_open_folder_of_ours_is_closed_with_a_notice() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    drop(DataDirLock::acquire(&data).unwrap());
    fs::set_permissions(&data, Permissions::from_mode(0o777)).unwrap();
    let lock = DataDirLock::acquire(&data).unwrap();
    assert_eq!(mode(&data), 0o700);
    assert_eq!(lock.notices.len(), 1);
    assert!(prepare_data_dir(&data).unwrap().is_empty());
}

#[test]
fn an_open_folder_of_somebody_else_is_refused_and_left_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    for (name, bits) in [("shared", 0o777), ("group", 0o775), ("tmp", 0o1777)] {
        let other = dir.path().join(name);
        fs::create_dir(&other).unwrap();
        fs::write(other.join("theirs"), "").unwrap();
        fs::set_permissions(&other, Permissions::from_mode(bits)).unwrap();
        let error = prepare_data_dir(&other).unwrap_err();
        assert_eq!(error.kind, StoreErrorKind::NoPermission);
        assert_eq!(mode(&other), bits);
    }
}

#[test]
fn a_file_in_its_place_is_a_sentence() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    for dir in [file.clone(), file.join("below/it")] {
        let error = DataDirLock::acquire(&dir).unwrap_err();
        let named = format!("{} is a file", file.display());
        assert!(error.what.contains(&named), "{}", error.what);
        assert!(error.hint.contains("another data directory"), "{}", error.hint);
    }
}

#[test]
fn a_name_that_is_too_long_is_a_sentence() {
    let dir = tempfile::tempdir().unwrap();
    let error = DataDirLock::acquire(&dir.path().join("x".repeat(300))).unwrap_err();
    assert!(error.hint.contains("shorter path"), "{error:?}");
}
