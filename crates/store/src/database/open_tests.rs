//! Migrations, with steps that no release has yet.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;

const FIRST: &str = migrate::STEPS[0];
const SECOND: &str =
    "ALTER TABLE runs ADD COLUMN colour TEXT; CREATE TABLE gates (id TEXT) STRICT;";
const BROKEN: &str = "CREATE TABLE more (id TEXT) STRICT; UPDATE runs SET nothing = 1;";

fn folder() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for part in ["runs", "backups"] {
        fs::create_dir(dir.path().join(part)).unwrap();
    }
    dir
}

fn count(conn: &Connection, sql: &str) -> i64 {
    conn.query_row(sql, (), |row| row.get(0)).unwrap()
}

fn first(dir: &Path) {
    let (conn, _) = open_with(dir, &[FIRST]).unwrap();
    let row = "INSERT INTO runs (id, story, created_at, data) VALUES ('r', 's', 1, '{}')";
    conn.execute(row, ()).unwrap();
}

fn backups(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir.join("backups")).unwrap();
    entries
        .flatten()
        .map(|e| e.path())
        .filter(|p| p.extension().is_some_and(|e| e == "db"))
        .collect()
}

#[test]
fn a_step_keeps_the_rows_and_leaves_a_copy_of_before() {
    let dir = folder();
    first(dir.path());
    let (conn, notices) = open_with(dir.path(), &[FIRST, SECOND]).unwrap();
    assert!(notices.is_empty(), "{notices:?}");
    assert_eq!(count(&conn, "PRAGMA user_version"), 2);
    assert_eq!(count(&conn, "SELECT count(*) FROM runs WHERE colour IS NULL"), 1);
    drop(conn);
    let copies = backups(dir.path());
    assert_eq!(copies.len(), 1, "{copies:?}");
    let copy = Connection::open(&copies[0]).unwrap();
    assert_eq!(count(&copy, "PRAGMA user_version"), 1);
    assert_eq!(count(&copy, "SELECT count(*) FROM runs"), 1);
    let mode =
        std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&copies[0]).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    let (_, _) = open_with(dir.path(), &[FIRST, SECOND]).unwrap();
    assert_eq!(backups(dir.path()).len(), 1, "nothing to do, no copy");
}

#[test]
fn a_step_that_fails_changes_nothing_of_what_is_kept() {
    let dir = folder();
    first(dir.path());
    let steps = [FIRST, SECOND, BROKEN];
    let mut notices = Vec::new();
    let error = open_sound(dir.path(), &steps, "now", None, &mut notices).unwrap_err();
    assert_eq!(error.kind, StoreErrorKind::Corrupt);
    assert!(error.what.contains("musher-v1-now.db"), "{}", error.what);
    let conn = Connection::open(dir.path().join("musher.db")).unwrap();
    assert_eq!(count(&conn, "PRAGMA user_version"), 1);
    assert_eq!(count(&conn, "SELECT count(*) FROM runs"), 1);
    assert_eq!(
        count(&conn, "SELECT count(*) FROM sqlite_master WHERE name IN ('gates', 'more')"),
        0
    );
}

#[test]
fn a_database_that_does_not_fit_its_step_is_kept_and_its_rows_are_taken_over() {
    let dir = folder();
    first(dir.path());
    let conn = Connection::open(dir.path().join("musher.db")).unwrap();
    conn.execute_batch("CREATE TABLE gates (other TEXT)").unwrap();
    drop(conn);
    let (conn, notices) = open_with(dir.path(), &[FIRST, SECOND]).unwrap();
    assert!(
        notices[0].contains("copy made before") && notices[0].contains("kept as"),
        "{notices:?}"
    );
    assert_eq!(count(&conn, "SELECT count(*) FROM runs"), 1);
    assert_eq!(count(&conn, "PRAGMA user_version"), 2);
    assert_eq!(backups(dir.path()).len(), 2, "the copy and the damaged one");
}
