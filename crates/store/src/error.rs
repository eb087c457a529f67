//! What can go wrong with stored state, as a kind to branch on, one sentence and the next step.

use std::{io, path::Path};

use musher_protocol::{ApiError, ErrorCode};

/// What to branch on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreErrorKind {
    /// No space, no quota, or the file may not grow. Nothing was lost: try again later.
    DiskFull,
    NoPermission,
    Corrupt,
    /// Written by a newer Musher; untouched.
    NewerSchema,
    /// Another Musher holds it.
    Locked,
    /// The caller's numbering does not follow what is stored.
    OutOfOrder,
    /// The store was closed.
    Closed,
    Io,
}

/// A failure of the store: `what` is one sentence, `hint` is the next step.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
pub struct StoreError {
    pub kind: StoreErrorKind,
    pub what: String,
    pub hint: String,
}

impl StoreError {
    pub(crate) fn new(kind: StoreErrorKind, what: impl Into<String>) -> Self {
        Self { kind, what: what.into(), hint: hint_for(kind).to_owned() }
    }

    pub(crate) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = hint.into();
        self
    }

    pub(crate) fn closed() -> Self {
        Self::new(StoreErrorKind::Closed, "The store is closed.")
    }

    /// `doing` completes "Musher could not ...": "write the transcript".
    pub(crate) fn io(doing: &str, path: &Path, error: &io::Error) -> Self {
        let kind = kind_of_io(error.kind());
        let failed =
            Self::new(kind, format!("Musher could not {doing} {}: {error}.", path.display()));
        match hint_for_io(error.kind()) {
            Some(hint) => failed.with_hint(hint),
            None => failed,
        }
    }

    /// While it opens its data Musher does not wait for anything: it ends, and is started again.
    pub(crate) fn at_start(self) -> Self {
        match self.kind {
            StoreErrorKind::DiskFull => self.with_hint(
                "Free some space on that disk and start Musher again, or choose another data \
                 directory with --data-dir.",
            ),
            _ => self,
        }
    }

    /// SQLite says "disk I/O error" when the file it shares its memory by cannot grow: where there is
    /// no room left, that is why.
    pub(crate) fn where_it_is_full(self, dir: &Path) -> Self {
        let full = self.kind == StoreErrorKind::DiskFull
            || (self.kind == StoreErrorKind::Io && has_no_room(dir));
        if !full {
            return self;
        }
        let what = format!("The disk that holds {} is full.", dir.display());
        Self::new(StoreErrorKind::DiskFull, what)
    }

    pub(crate) fn sql(doing: &str, error: &rusqlite::Error) -> Self {
        Self::new(kind_of_sql(error), format!("Musher's database could not {doing}: {error}."))
    }
}

/// SQLite's shared memory grows by 32 KiB at a time (https://www.sqlite.org/walformat.html).
const ROOM: u64 = 64 * 1024;

fn has_no_room(dir: &Path) -> bool {
    rustix::fs::statvfs(dir).is_ok_and(|disk| disk.f_bavail.saturating_mul(disk.f_frsize) < ROOM)
}

fn kind_of_io(kind: io::ErrorKind) -> StoreErrorKind {
    use io::ErrorKind as K;
    match kind {
        K::StorageFull | K::QuotaExceeded | K::FileTooLarge => StoreErrorKind::DiskFull,
        K::PermissionDenied | K::ReadOnlyFilesystem => StoreErrorKind::NoPermission,
        _ => StoreErrorKind::Io,
    }
}

fn kind_of_sql(error: &rusqlite::Error) -> StoreErrorKind {
    use rusqlite::ErrorCode as C;
    match error.sqlite_error_code() {
        Some(C::DiskFull) => StoreErrorKind::DiskFull,
        Some(C::PermissionDenied | C::ReadOnly | C::CannotOpen) => StoreErrorKind::NoPermission,
        Some(C::DatabaseCorrupt | C::NotADatabase) => StoreErrorKind::Corrupt,
        Some(C::DatabaseBusy | C::DatabaseLocked) => StoreErrorKind::Locked,
        _ => StoreErrorKind::Io,
    }
}

/// Where the system's own word tells the next step better than the kind.
fn hint_for_io(kind: io::ErrorKind) -> Option<&'static str> {
    use io::ErrorKind as K;
    Some(match kind {
        K::PermissionDenied => {
            "Give yourself the right to write there, or choose another data directory with --data-dir."
        }
        K::ReadOnlyFilesystem => {
            "That disk can only be read: mount it for writing, or choose a data directory on another \
             one with --data-dir."
        }
        K::QuotaExceeded => {
            "Your quota on that disk is used up: remove what you need no more; Musher goes on by itself."
        }
        K::InvalidFilename => "Choose a data directory with a shorter path with --data-dir.",
        K::NotADirectory | K::AlreadyExists | K::IsADirectory => {
            "Something else has that name: move it away, or choose another data directory with \
             --data-dir."
        }
        _ => return None,
    })
}

fn hint_for(kind: StoreErrorKind) -> &'static str {
    match kind {
        StoreErrorKind::DiskFull => {
            "Free some space on that disk and try again; a run that waits goes on by itself."
        }
        StoreErrorKind::NoPermission => {
            "Check who owns the data directory and that it is writable, or choose another with --data-dir."
        }
        StoreErrorKind::Corrupt => {
            "The damaged file was kept; restart Musher to rebuild from the transcripts."
        }
        StoreErrorKind::NewerSchema => {
            "Update Musher, or choose another data directory with --data-dir."
        }
        StoreErrorKind::Locked => {
            "Close the other Musher, or choose another data directory with --data-dir."
        }
        StoreErrorKind::OutOfOrder => "This is a fault in Musher; please report it.",
        StoreErrorKind::Closed => "Restart Musher.",
        StoreErrorKind::Io => "Check the disk, then restart Musher.",
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        let code = match error.kind {
            StoreErrorKind::DiskFull => ErrorCode::DiskFull,
            StoreErrorKind::NoPermission => ErrorCode::NoPermission,
            StoreErrorKind::Locked => ErrorCode::DataDirLocked,
            StoreErrorKind::OutOfOrder => ErrorCode::Internal,
            _ => ErrorCode::StoreFailed,
        };
        ApiError::new(code, error.what).with_hint(error.hint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One sentence and one next step for each way in which a disk says no.
    #[test]
    fn every_refusal_of_a_disk_has_its_own_next_step() {
        use StoreErrorKind as K;
        for (error, kind, step) in [
            (io::ErrorKind::PermissionDenied, K::NoPermission, "the right to write"),
            (io::ErrorKind::ReadOnlyFilesystem, K::NoPermission, "mount it for writing"),
            (io::ErrorKind::StorageFull, K::DiskFull, "start Musher again"),
            (io::ErrorKind::InvalidFilename, K::Io, "shorter path"),
            (io::ErrorKind::NotADirectory, K::Io, "move it away"),
            (io::ErrorKind::Other, K::Io, "Check the disk"),
        ] {
            let told = StoreError::io("open", Path::new("/data/x"), &error.into()).at_start();
            assert_eq!(told.kind, kind);
            assert!(told.what.contains("/data/x") && told.what.ends_with('.'), "{told:?}");
            assert!(told.hint.contains(step), "{told:?}");
        }
        let later = StoreError::io("write", Path::new("/x"), &io::ErrorKind::StorageFull.into());
        assert!(later.hint.contains("goes on by itself"), "a run waits for space: {later:?}");
    }
}
