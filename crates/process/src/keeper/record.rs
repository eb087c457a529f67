//! The last thing that a keeper does: the end, written down and told.

use std::time::Duration;

use chrono::Utc;

use super::state::Keeper;
use crate::{
    ExitRecord,
    files::{self, EXIT_FILE, Outlives},
    wire::Message,
};

/// How long clients may take to hear of the end; they find it in `exit.json` as well.
pub const FAREWELL: Duration = Duration::from_millis(500);

impl Keeper {
    /// Writes the record and tells it. False: not possible yet.
    pub(super) fn record(&mut self) -> bool {
        let record = ExitRecord {
            code: self.status.and_then(|ended| ended.code),
            signal: self.status.and_then(|ended| ended.signal),
            at: Utc::now(),
            killed: self.killed.iter().filter(|pid| !self.left.contains(pid)).copied().collect(),
            left: self.left.clone(),
            spawn_error: None,
            lost: false,
            stdout: self.stdout.written(),
            stderr: self.stderr.written(),
        };
        if self.record_trouble.is_some() && self.retry_at.is_some() {
            return false;
        }
        if let Err(error) = files::write_json(&self.dir, EXIT_FILE, &record, Outlives::PowerCut)
            && self.dir.exists()
        {
            self.record_trouble = Some(format!("The agent's end cannot be written down: {error}."));
            return false;
        }
        self.clients.tell(&Message::Exited(record));
        true
    }
}
