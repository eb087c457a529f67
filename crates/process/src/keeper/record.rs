//! The last thing that a keeper does: the end, written down and told.

use std::time::{Duration, Instant};

use chrono::Utc;
use rustix::{
    event::{PollFd, PollFlags},
    process::WaitStatus,
};

use super::poll::{Keeper, timespec};
use crate::{
    ExitRecord,
    files::{self, EXIT_FILE, Outlives, SOCKET},
    wire::Message,
};

/// How long clients may take to hear of the end; they find it in `exit.json` as well.
const FAREWELL: Duration = Duration::from_millis(500);

impl Keeper {
    /// Writes the record, tells it and takes the socket away. False: not possible yet.
    pub(super) fn record(&mut self) -> bool {
        let record = ExitRecord {
            code: self.status.and_then(WaitStatus::exit_status),
            signal: self.status.and_then(WaitStatus::terminating_signal),
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
        self.say_farewell();
        let _ = std::fs::remove_file(self.dir.join(SOCKET));
        true
    }

    fn say_farewell(&mut self) {
        let until = Instant::now() + FAREWELL;
        loop {
            self.clients.list.retain(|client| client.has_unsent() && !client.gone);
            let now = Instant::now();
            if self.clients.list.is_empty() || now >= until {
                return;
            }
            let streams = self.clients.list.iter().map(|client| client.stream());
            let mut polled: Vec<_> =
                streams.map(|stream| PollFd::new(stream, PollFlags::OUT)).collect();
            let _ = rustix::event::poll(&mut polled, Some(&timespec(until - now)));
            self.clients.list.iter_mut().for_each(|client| client.flush());
        }
    }
}
