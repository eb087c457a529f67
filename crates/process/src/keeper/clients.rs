//! The engines that listen and give orders. None of them can hold up the keeper: a client that does
//! not read misses notes (the next one says the same and more), and one that floods is dropped.

use std::{
    os::unix::net::{UnixListener, UnixStream},
    time::{Duration, Instant},
};

use rustix::io::Errno;

use crate::{socket::is_own_user, wire::Message};

const MOST_CLIENTS: usize = 32;
/// One call; an input of 8 MiB in JSON's longest spelling.
const LONGEST_CALL: usize = 64 << 20;
const MOST_UNREAD: usize = 1 << 20;
/// Notes that follow each other faster than this become one.
const NOTE_SPACING: Duration = Duration::from_micros(250);

pub struct Client {
    pub id: u64,
    stream: UnixStream,
    received: Vec<u8>,
    unsent: Vec<u8>,
    pub attached: bool,
    /// There is news that it was not told.
    pub behind: bool,
    last_note: Option<Instant>,
    pub gone: bool,
}

impl Client {
    pub fn stream(&self) -> &UnixStream {
        &self.stream
    }

    pub fn has_unsent(&self) -> bool {
        !self.unsent.is_empty()
    }

    /// The whole lines that have come.
    pub fn receive(&mut self) -> Vec<Vec<u8>> {
        let mut lines = Vec::new();
        while !self.gone {
            self.received.reserve(4096);
            let room = rustix::buffer::spare_capacity(&mut self.received);
            match rustix::io::read(&self.stream, room) {
                Ok(0) => self.gone = true,
                Ok(count) => {
                    self.split(count, &mut lines);
                    continue;
                }
                Err(Errno::INTR) => continue,
                Err(Errno::AGAIN) => {}
                Err(_) => self.gone = true,
            }
            break;
        }
        lines
    }

    fn split(&mut self, fresh: usize, lines: &mut Vec<Vec<u8>>) {
        let mut search = self.received.len() - fresh;
        if self.received.len() > LONGEST_CALL {
            self.gone = true;
            return;
        }
        while let Some(at) = self.received[search..].iter().position(|&byte| byte == b'\n') {
            let rest = self.received.split_off(search + at + 1);
            lines.push(std::mem::replace(&mut self.received, rest));
            search = 0;
        }
    }

    pub fn send(&mut self, message: &Message) {
        if self.unsent.len() > MOST_UNREAD {
            self.gone = true;
            return;
        }
        if serde_json::to_writer(&mut self.unsent, message).is_ok() {
            self.unsent.push(b'\n');
        }
        self.flush();
    }

    pub fn flush(&mut self) {
        while !self.unsent.is_empty() {
            match rustix::io::write(&self.stream, &self.unsent) {
                Ok(count) => drop(self.unsent.drain(..count)),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return,
                Err(_) => {
                    self.gone = true;
                    self.unsent = Vec::new();
                }
            }
        }
        if self.unsent.capacity() > 4096 {
            self.unsent = Vec::new();
        }
    }

    /// When its next note is due; nothing while it has no news or does not read.
    pub fn note_due(&self, now: Instant) -> Option<Instant> {
        let owed = self.attached && self.behind && !self.has_unsent();
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

pub struct Clients {
    listener: UnixListener,
    pub list: Vec<Client>,
    next: u64,
}

impl Clients {
    pub fn new(listener: UnixListener) -> Self {
        Self { listener, list: Vec::new(), next: 0 }
    }

    pub fn listener(&self) -> &UnixListener {
        &self.listener
    }

    pub fn accept(&mut self) {
        while let Ok((stream, _)) = self.listener.accept() {
            let welcome = self.list.len() < MOST_CLIENTS && is_own_user(&stream);
            if !welcome || stream.set_nonblocking(true).is_err() {
                continue;
            }
            self.next += 1;
            self.list.push(Client {
                id: self.next,
                stream,
                received: Vec::new(),
                unsent: Vec::new(),
                attached: false,
                behind: false,
                last_note: None,
                gone: false,
            });
        }
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
