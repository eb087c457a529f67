//! The child's streams, which never block.

use std::{os::fd::OwnedFd, time::Instant};

use rustix::io::Errno;

use super::super::{
    copier::{BATCH, Copier},
    input::{Answer, Input},
};

impl Input<OwnedFd> {
    /// Writes what the child takes now.
    pub fn write(&mut self) -> Vec<Answer> {
        let mut answers = Vec::new();
        while let Some((pipe, text)) = self.next() {
            match rustix::io::write(pipe, text) {
                Ok(count) => answers.extend(self.took(count)),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return answers,
                Err(_) => {
                    answers.extend(self.close());
                    return answers;
                }
            }
        }
        answers
    }
}

impl Copier<OwnedFd> {
    /// Takes what is there, up to one batch, and writes it. Returns the bytes taken.
    pub fn pump(&mut self, now: Instant) -> usize {
        if self.unwritten() == 0 {
            self.batch.clear();
            self.taken = 0;
            self.fill();
        }
        let read = self.batch.len();
        self.write_out(now);
        read
    }

    fn fill(&mut self) {
        while self.batch.len() < BATCH {
            let Some(source) = &self.source else { return };
            let before = self.batch.len();
            self.batch.reserve_exact(BATCH - before);
            match rustix::io::read(source, rustix::buffer::spare_capacity(&mut self.batch)) {
                Ok(0) => self.source = None,
                Ok(_) => {}
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return,
                // A terminal says EIO when nobody holds the other end any more.
                Err(_) => self.source = None,
            }
        }
    }
}
