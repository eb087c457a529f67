//! The keeper's one loop on Unix.

use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};

use super::{
    super::{record::FAREWELL, state::Keeper},
    Connection,
};
use crate::{
    files::SOCKET,
    socket::{Listener, is_own_user},
};

/// What became ready.
#[derive(Clone, Copy, Debug)]
enum Ready {
    Listener,
    Exit,
    Stdin,
    Stdout,
    Stderr,
    Client { index: usize, readable: bool },
}

impl Keeper {
    /// Returns when the end is recorded.
    pub fn run(mut self, listener: &Listener) {
        let mut ready = Vec::new();
        loop {
            let now = Instant::now();
            if self.advance(now) {
                self.say_farewell();
                let _ = std::fs::remove_file(self.dir.join(SOCKET));
                return;
            }
            self.wait(listener, &mut ready, now);
            self.serve(listener, &ready);
        }
    }

    fn wait(&self, listener: &Listener, ready: &mut Vec<Ready>, now: Instant) {
        let mut polled = Vec::with_capacity(5 + self.clients.list.len());
        let mut what = Vec::with_capacity(polled.capacity());
        let ceiling = self.phase.ceiling();
        let own = [
            (self.host.exit_watch.as_ref(), PollFlags::IN, Ready::Exit),
            (self.input.wants(), PollFlags::OUT, Ready::Stdin),
            (self.stdout.wants(ceiling), PollFlags::IN, Ready::Stdout),
            (self.stderr.wants(ceiling), PollFlags::IN, Ready::Stderr),
        ];
        for (fd, flags, ready) in own {
            if let Some(fd) = fd {
                polled.push(PollFd::new(fd, flags));
                what.push(ready);
            }
        }
        polled.push(PollFd::new(listener, PollFlags::IN));
        what.push(Ready::Listener);
        for (index, client) in self.clients.list.iter().enumerate() {
            let writing =
                if client.connection.has_unsent() { PollFlags::OUT } else { PollFlags::empty() };
            polled.push(PollFd::new(client.connection.stream(), PollFlags::IN | writing));
            what.push(Ready::Client { index, readable: false });
        }
        let timeout = self.due(now).map(|due| timespec(due.saturating_duration_since(now)));
        let _ = rustix::event::poll(&mut polled, timeout.as_ref());
        ready.clear();
        ready.extend(polled.iter().zip(what).filter_map(|(fd, what)| is_ready(fd.revents(), what)));
    }

    fn serve(&mut self, listener: &Listener, ready: &[Ready]) {
        let now = Instant::now();
        for ready in ready {
            match *ready {
                Ready::Listener => self.accept(listener),
                // Collected by the next look.
                Ready::Exit => {}
                Ready::Stdin => {
                    let answers = self.input.write();
                    self.answer(answers);
                }
                Ready::Stdout => {
                    self.stdout.pump(now);
                    self.heard(now);
                }
                Ready::Stderr => {
                    self.stderr.pump(now);
                    self.heard(now);
                }
                Ready::Client { index, readable } => self.serve_client(index, readable, now),
            }
        }
        self.clients.forget_gone();
    }

    fn serve_client(&mut self, index: usize, readable: bool, now: Instant) {
        let Some(client) = self.clients.list.get_mut(index) else { return };
        client.connection.flush();
        if readable {
            let id = client.id;
            for line in client.connection.receive() {
                self.obey(id, &line, now);
            }
        }
    }

    fn accept(&mut self, listener: &Listener) {
        while let Ok((stream, _)) = listener.accept() {
            let welcome = !self.clients.is_full() && is_own_user(&stream);
            if welcome && stream.set_nonblocking(true).is_ok() {
                self.clients.welcome(Connection::new(stream));
            }
        }
    }

    fn say_farewell(&mut self) {
        let until = Instant::now() + FAREWELL;
        loop {
            self.clients
                .list
                .retain(|client| client.connection.has_unsent() && !client.connection.is_gone());
            let now = Instant::now();
            if self.clients.list.is_empty() || now >= until {
                return;
            }
            let streams = self.clients.list.iter().map(|client| client.connection.stream());
            let mut polled: Vec<_> =
                streams.map(|stream| PollFd::new(stream, PollFlags::OUT)).collect();
            let _ = rustix::event::poll(&mut polled, Some(&timespec(until - now)));
            self.clients.list.iter_mut().for_each(|client| client.connection.flush());
        }
    }
}

fn is_ready(revents: PollFlags, what: Ready) -> Option<Ready> {
    if revents.is_empty() {
        return None;
    }
    let readable = revents.intersects(PollFlags::IN | PollFlags::HUP | PollFlags::ERR);
    Some(match what {
        Ready::Client { index, .. } => Ready::Client { index, readable },
        other => other,
    })
}

fn timespec(duration: Duration) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(duration.subsec_nanos()),
    }
}
