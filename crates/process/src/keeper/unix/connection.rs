//! One engine's socket, which never blocks.

use std::os::unix::net::UnixStream;

use rustix::io::Errno;

use super::super::clients::{LONGEST_CALL, MOST_UNREAD, lines_in};

pub struct Connection {
    stream: UnixStream,
    received: Vec<u8>,
    unsent: Vec<u8>,
    gone: bool,
}

impl Connection {
    pub fn new(stream: UnixStream) -> Self {
        Self { stream, received: Vec::new(), unsent: Vec::new(), gone: false }
    }

    pub fn stream(&self) -> &UnixStream {
        &self.stream
    }

    pub fn has_unsent(&self) -> bool {
        !self.unsent.is_empty()
    }

    pub fn is_gone(&self) -> bool {
        self.gone
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
                    self.gone = self.received.len() > LONGEST_CALL;
                    lines.extend(lines_in(&mut self.received, count));
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

    pub fn send(&mut self, line: &[u8]) {
        if self.unsent.len() > MOST_UNREAD {
            self.gone = true;
            return;
        }
        self.unsent.extend_from_slice(line);
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
}
