//! The last things that a keeper does: the tree's end told, then written down and told.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use chrono::Utc;

use super::{
    attempt::{self, Attempt},
    ending::Phase,
    state::Keeper,
};
use crate::{
    ExitRecord,
    files::{self, EXIT_FILE, Outlives},
    wire::Message,
};

/// How long clients may take to hear of the end; they find it in `exit.json` as well.
pub const FAREWELL: Duration = Duration::from_millis(500);

impl Keeper {
    /// Tells that nothing of the tree lives but `left`, as soon as that is so: what it has said may
    /// wait for the disk much longer.
    pub(super) fn tell_gone(&mut self) {
        if self.gone_at.is_none() && matches!(self.phase, Phase::Draining { .. } | Phase::Over) {
            self.gone_at = Some(Utc::now());
            self.clients.tell(&Message::Gone { left: self.left.clone() });
        }
    }

    /// Writes the record and tells it. False: not possible yet.
    pub(super) fn record(&mut self, now: Instant) -> bool {
        if self.recording.is_early(now) {
            return false;
        }
        let record = self.exit_record();
        let stored = store(&self.dir, &record, &mut self.recording, now);
        if stored {
            self.clients.tell(&Message::Exited(record));
        }
        stored
    }

    fn exit_record(&mut self) -> ExitRecord {
        if !self.left.is_empty() {
            let living = self.host.living();
            self.left.retain(|pid| living.contains(pid));
        }
        ExitRecord {
            code: self.status.and_then(|ended| ended.code),
            signal: self.status.and_then(|ended| ended.signal),
            at: self.gone_at.unwrap_or_else(Utc::now),
            killed: self.killed.iter().filter(|pid| !self.left.contains(pid)).copied().collect(),
            left: self.left.clone(),
            spawn_error: None,
            lost: false,
            stdout: self.stdout.written(),
            stderr: self.stderr.written(),
        }
    }
}

/// True: it is on the disk, or its folder is gone, so that nobody could find it.
fn store(dir: &Path, record: &ExitRecord, attempt: &mut Attempt, now: Instant) -> bool {
    let why = |error| attempt::why(&error, "the record of the agent's end");
    let tried = files::write_json(dir, EXIT_FILE, record, Outlives::PowerCut).map_err(why);
    let stored = tried.is_ok() || !dir.exists();
    attempt.note(tried, now);
    stored
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::client::unknown_end;

    /// A folder in the place of the draft: it cannot be written.
    fn refusing() -> (tempfile::TempDir, std::path::PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let draft = dir.path().join(format!("{EXIT_FILE}.new"));
        std::fs::create_dir(&draft).unwrap();
        (dir, draft)
    }

    #[test]
    fn a_record_that_was_refused_is_stored_later() {
        let (dir, draft) = refusing();
        let (record, mut attempt, now) = (unknown_end(), Attempt::default(), Instant::now());
        assert!(!store(dir.path(), &record, &mut attempt, now));
        assert!(attempt.trouble().is_some() && attempt.is_early(now));
        let again = attempt.again_at().unwrap();
        assert!(attempt.is_due(again) && !attempt.is_early(again));
        std::fs::remove_dir(draft).unwrap();
        assert!(store(dir.path(), &record, &mut attempt, again));
        assert!(attempt.trouble().is_none());
        assert_eq!(files::read_json(dir.path(), EXIT_FILE), Some(record));
    }

    #[test]
    fn nobody_waits_for_a_folder_that_is_gone() {
        let (dir, _) = refusing();
        let (record, mut attempt, now) = (unknown_end(), Attempt::default(), Instant::now());
        assert!(!store(dir.path(), &record, &mut attempt, now));
        let path = dir.path().to_owned();
        dir.close().unwrap();
        assert!(store(&path, &record, &mut attempt, now));
    }
}
