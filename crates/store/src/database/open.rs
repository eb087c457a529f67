//! Opens `musher.db`: whole and of this version, or brought there, or set aside and rebuilt.

use std::{
    fs::{self, OpenOptions},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

use chrono::Utc;
use rusqlite::Connection;

use super::{migrate, rebuild};
use crate::{StoreError, StoreErrorKind};

const BUSY: Duration = Duration::from_secs(5);

/// Every column that this version reads: what a migrated database must answer to.
const READS: [&str; 8] = [
    "SELECT id, data FROM projects",
    "SELECT id, created_at, data FROM stories",
    "SELECT id, story, created_at, data FROM runs",
    "SELECT story, run, seen_at, data FROM sessions",
    "SELECT project, digest, at, data FROM trust",
    "SELECT run, seq FROM read_marks",
    "SELECT key, value FROM settings",
    "SELECT run, seq, at_byte FROM event_index",
];

pub(super) fn open(dir: &Path) -> Result<(Connection, Vec<String>), StoreError> {
    open_with(dir, migrate::STEPS)
}

fn open_with(dir: &Path, steps: &[&str]) -> Result<(Connection, Vec<String>), StoreError> {
    let mut notices = Vec::new();
    let stamp = Utc::now().format("%Y%m%dT%H%M%S%.6f").to_string();
    match open_sound(dir, steps, &stamp, None, &mut notices) {
        Err(error) if error.kind == StoreErrorKind::Corrupt => {
            let kept = set_aside(dir, &stamp)?;
            notices.push(format!("{} It was kept as {}.", error.what, kept.display()));
            let conn = open_sound(dir, steps, &stamp, Some(&kept), &mut notices)?;
            Ok((conn, notices))
        }
        result => result.map(|conn| (conn, notices)),
    }
}

/// `salvage`: a damaged database whose readable rows are taken over when a new one is made.
fn open_sound(
    dir: &Path,
    steps: &[&str],
    stamp: &str,
    salvage: Option<&Path>,
    notices: &mut Vec<String>,
) -> Result<Connection, StoreError> {
    let path = dir.join("musher.db");
    make_private_file(&path)?;
    let mut conn = Connection::open(&path).map_err(opening)?;
    conn.busy_timeout(BUSY).map_err(opening)?;
    let version = migrate::version(&conn)?;
    migrate::refuse_newer(&path, version, steps)?;
    prepare(&conn)?;
    if version == 0 {
        notices.extend(make_new(&mut conn, dir, steps, salvage)?);
    } else if version < steps.len() {
        bring_up(&mut conn, dir, version, steps, stamp)?;
    }
    for sql in READS {
        conn.prepare(sql)
            .map_err(|e| migrate::corrupt(format!("a table is not as it should be ({e})")))?;
    }
    Ok(conn)
}

fn prepare(conn: &Connection) -> Result<(), StoreError> {
    let check: String =
        conn.query_row("PRAGMA quick_check(1)", (), |row| row.get(0)).map_err(opening)?;
    if check != "ok" {
        return Err(migrate::corrupt(check.replace('\n', " ")));
    }
    conn.pragma_update(None, "journal_mode", "WAL").map_err(opening)?;
    conn.pragma_update(None, "synchronous", "NORMAL").map_err(opening)
}

/// A first database; when transcripts are there already, filled from them before it counts.
fn make_new(
    conn: &mut Connection,
    dir: &Path,
    steps: &[&str],
    salvage: Option<&Path>,
) -> Result<Vec<String>, StoreError> {
    let change = conn.transaction().map_err(opening)?;
    migrate::migrate(&change, 0, steps).map_err(opening)?;
    let notices = rebuild::rebuild(&change, dir, salvage)?;
    change.commit().map_err(opening)?;
    Ok(notices)
}

fn bring_up(
    conn: &mut Connection,
    dir: &Path,
    version: usize,
    steps: &[&str],
    stamp: &str,
) -> Result<(), StoreError> {
    let copy = migrate::backup_name(&dir.join("backups"), version, stamp);
    migrate::back_up(conn, &copy)?;
    let migrated = conn.transaction().and_then(|change| {
        migrate::migrate(&change, version, steps)?;
        change.commit()
    });
    migrated.map_err(|error| {
        let told = StoreError::sql("be brought up to date", &error);
        let what = format!("{} A copy made before is {}.", told.what, copy.display());
        // A step that does not fit what it finds means that the database is not what it says.
        let kind =
            if told.kind == StoreErrorKind::Io { StoreErrorKind::Corrupt } else { told.kind };
        StoreError::new(kind, what)
    })
}

/// Moves the database out of the way, whole.
fn set_aside(dir: &Path, stamp: &str) -> Result<PathBuf, StoreError> {
    let kept = dir.join("backups").join(format!("musher-damaged-{stamp}.db"));
    for part in ["-wal", "-shm", ""] {
        let from = dir.join(format!("musher.db{part}"));
        let to = PathBuf::from(format!("{}{part}", kept.display()));
        match fs::rename(&from, &to) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                return Err(StoreError::io("move aside", &from, &e));
            }
            _ => {}
        }
    }
    Ok(kept)
}

/// SQLite gives its other files the mode of this one.
pub(super) fn make_private_file(path: &Path) -> Result<(), StoreError> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map(|_| ())
        .map_err(|e| StoreError::io("open", path, &e))
}

fn opening(error: rusqlite::Error) -> StoreError {
    StoreError::sql("be opened", &error)
}

#[cfg(test)]
#[path = "open_tests.rs"]
mod tests;
