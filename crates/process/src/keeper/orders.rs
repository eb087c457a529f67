//! What clients ask for, done.

use std::time::{Duration, Instant};

use rustix::termios::Winsize;

use super::poll::Keeper;
use crate::{
    Ending, Stream,
    wire::{Call, Message, Request},
};

impl Keeper {
    pub(super) fn obey(&mut self, client: u64, line: &[u8], now: Instant) {
        match serde_json::from_slice::<Call>(line) {
            Ok(call) => self.do_call((client, call.seq), call.request, now),
            Err(error) => {
                let seq = serde_json::from_slice::<serde_json::Value>(line)
                    .ok()
                    .and_then(|value| value.get("seq")?.as_u64())
                    .unwrap_or_default();
                let why = format!("The keeper does not understand this order: {error}.");
                self.clients.reply((client, seq), Some(why));
            }
        }
    }

    fn do_call(&mut self, caller: (u64, u64), request: Request, now: Instant) {
        let error = match request {
            Request::Input { id, text } => {
                let answers = self.input.push(id, text, caller);
                return self.answer(answers);
            }
            Request::Attach => self.attach(caller.0),
            Request::Status => self.send_status(caller.0),
            Request::CloseInput => {
                self.input.close_behind_queue();
                None
            }
            Request::Resize { cols, rows } => self.resize(cols, rows),
            Request::Signal { signal } => self.signal_group(signal.native()),
            Request::End { eof_grace_ms, term_grace_ms } => {
                let eof_grace = Duration::from_millis(eof_grace_ms);
                let term_grace = Duration::from_millis(term_grace_ms);
                self.order_end(Ending { eof_grace, term_grace }, now);
                None
            }
            Request::Release { stream, to } => {
                match stream {
                    Stream::Stdout => self.stdout.release(to),
                    Stream::Stderr => self.stderr.release(to),
                }
                None
            }
        };
        self.clients.reply(caller, error);
    }

    fn attach(&mut self, client: u64) -> Option<String> {
        let trouble = self.trouble_told.clone();
        let client = self.clients.list.iter_mut().find(|known| known.id == client)?;
        client.attached = true;
        client.behind = true;
        if trouble.is_some() {
            client.send(&Message::Trouble { text: trouble });
        }
        None
    }

    fn send_status(&mut self, client: u64) -> Option<String> {
        let status = Message::Status {
            child: self.child.as_raw_nonzero().get().unsigned_abs(),
            alive: self.status.is_none(),
            phase: self.phase.name().to_owned(),
            queued_input: self.input.queued(),
        };
        self.clients.list.iter_mut().find(|known| known.id == client)?.send(&status);
        None
    }

    fn resize(&mut self, cols: u16, rows: u16) -> Option<String> {
        if !self.has_terminal {
            return Some("The agent has no terminal to resize.".into());
        }
        let terminal = self.stdout.terminal()?;
        let size = Winsize { ws_row: rows, ws_col: cols, ws_xpixel: 0, ws_ypixel: 0 };
        let done = rustix::termios::tcsetwinsize(terminal, size);
        done.err().map(|error| format!("The agent's terminal could not be resized: {error}."))
    }

    /// The child's pid is its group's id, and stays taken until the child is collected.
    fn signal_group(&mut self, signal: rustix::process::Signal) -> Option<String> {
        if self.status.is_some() {
            return Some("The agent has ended already.".into());
        }
        let sent = rustix::process::kill_process_group(self.child, signal);
        sent.err().map(|error| format!("The agent could not be signalled: {error}."))
    }
}
