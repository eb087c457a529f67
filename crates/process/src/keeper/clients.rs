//! The engines that listen and give orders. None of them can hold up the keeper: a client that does
//! not read misses notes (the next one says the same and more), and one that floods is dropped.

use std::time::{Duration, Instant};

use super::platform::Connection;
use crate::wire::Message;

const MOST_CLIENTS: usize = 32;
/// One call; an input of 8 MiB in JSON's longest spelling.
pub const LONGEST_CALL: usize = 64 << 20;
#[cfg(unix)]
pub const MOST_UNREAD: usize = 1 << 20;
/// Notes that follow each other faster than this become one.
const NOTE_SPACING: Duration = Duration::from_micros(250);

pub struct Client {
    pub id: u64,
    pub connection: Connection,
    pub attached: bool,
    /// There is news that it was not told.
    pub behind: bool,
    last_note: Option<Instant>,
}

impl Client {
    pub fn send(&mut self, message: &Message) {
        if let Ok(mut line) = serde_json::to_vec(message) {
            line.push(b'\n');
            self.connection.send(&line);
        }
    }

    /// When its next note is due; nothing while it has no news or does not read.
    pub fn note_due(&self, now: Instant) -> Option<Instant> {
        let owed = self.attached && self.behind && !self.connection.has_unsent();
        owed.then(|| self.last_note.map_or(now, |last| last + NOTE_SPACING))
    }

    pub fn note(&mut self, note: &Message, now: Instant) {
        if self.note_due(now).is_some_and(|due| due <= now) {
            self.behind = false;
            self.last_note = Some(now);
            self.send(note);
        }
    }
}

#[derive(Default)]
pub struct Clients {
    pub list: Vec<Client>,
    next: u64,
}

impl Clients {
    pub fn is_full(&self) -> bool {
        self.list.len() >= MOST_CLIENTS
    }

    /// The id that the next one gets.
    #[cfg(windows)]
    pub fn next_id(&self) -> u64 {
        self.next + 1
    }

    pub fn welcome(&mut self, connection: Connection) {
        self.next += 1;
        let id = self.next;
        self.list.push(Client { id, connection, attached: false, behind: false, last_note: None });
    }

    pub fn forget_gone(&mut self) {
        self.list.retain(|client| !client.connection.is_gone());
    }

    pub fn reply(&mut self, (client, seq): (u64, u64), error: Option<String>) {
        if let Some(client) = self.list.iter_mut().find(|known| known.id == client) {
            client.send(&Message::Reply { seq, error });
        }
    }

    /// Something has grown: everyone who listens is told, soon.
    pub fn mark_behind(&mut self) {
        for client in &mut self.list {
            client.behind = true;
        }
    }

    pub fn tell(&mut self, message: &Message) {
        for client in self.list.iter_mut().filter(|client| client.attached) {
            client.send(message);
        }
    }

    pub fn note(&mut self, note: &Message, now: Instant) {
        for client in &mut self.list {
            client.note(note, now);
        }
    }

    pub fn next_note(&self, now: Instant) -> Option<Instant> {
        self.list.iter().filter_map(|client| client.note_due(now)).min()
    }
}

/// Takes the whole lines out of what was received; the last `fresh` bytes were not looked at yet.
pub fn lines_in(received: &mut Vec<u8>, fresh: usize) -> Vec<Vec<u8>> {
    let mut lines = Vec::new();
    let mut search = received.len() - fresh;
    while let Some(at) = received[search..].iter().position(|&byte| byte == b'\n') {
        let rest = received.split_off(search + at + 1);
        lines.push(std::mem::replace(received, rest));
        search = 0;
    }
    lines
}
