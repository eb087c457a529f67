//! Brings a database up to this version: a copy first, then all steps in one transaction.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, backup::Backup};

use crate::{StoreError, StoreErrorKind};

/// Step n makes version n + 1. Released steps are never edited or removed.
pub(super) const STEPS: &[&str] = &[
    include_str!("../../migrations/0001_first.sql"),
    include_str!("../../migrations/0002_rules.sql"),
];

pub(super) fn version(conn: &Connection) -> Result<usize, StoreError> {
    let version: i64 = conn
        .query_row("PRAGMA user_version", (), |row| row.get(0))
        .map_err(|e| StoreError::sql("be read", &e))?;
    usize::try_from(version).map_err(|_| corrupt("its version is no number that Musher gave"))
}

/// Refuses what a newer Musher made, before anything is changed.
pub(super) fn refuse_newer(path: &Path, version: usize, steps: &[&str]) -> Result<(), StoreError> {
    if version <= steps.len() {
        return Ok(());
    }
    let what = format!(
        "The database {} was made by a newer Musher (version {version}, this one knows {}).",
        path.display(),
        steps.len()
    );
    Err(StoreError::new(StoreErrorKind::NewerSchema, what))
}

/// Copies the database as it is to `to`.
pub(super) fn back_up(conn: &Connection, to: &Path) -> Result<(), StoreError> {
    let failed = |e| StoreError::sql("be backed up", &e);
    super::open::make_private_file(to)?;
    let mut copy = Connection::open(to).map_err(failed)?;
    let backup = Backup::new(conn, &mut copy).map_err(failed)?;
    backup.run_to_completion(1024, std::time::Duration::ZERO, None).map_err(failed)
}

/// Runs the steps that are missing. The caller owns the transaction, so all of them count or none.
pub(super) fn migrate(conn: &Connection, from: usize, steps: &[&str]) -> rusqlite::Result<()> {
    for step in steps.iter().skip(from) {
        conn.execute_batch(step)?;
    }
    let version = i64::try_from(steps.len()).unwrap_or(i64::MAX);
    conn.pragma_update(None, "user_version", version)
}

pub(super) fn corrupt(why: impl std::fmt::Display) -> StoreError {
    StoreError::new(StoreErrorKind::Corrupt, format!("Musher's database is damaged: {why}."))
}

pub(super) fn backup_name(backups: &Path, version: usize, stamp: &str) -> PathBuf {
    backups.join(format!("musher-v{version}-{stamp}.db"))
}
