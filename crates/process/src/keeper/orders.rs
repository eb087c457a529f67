//! What clients ask for, done.

use std::time::{Duration, Instant};

use super::state::Keeper;
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
                let mut answers = self.input.push(id, text, caller);
                answers.extend(self.input.write());
                return self.answer(answers);
            }
            Request::Attach => self.attach(caller.0),
            Request::Status => self.send_status(caller.0),
            Request::CloseInput => {
                self.input.close_behind_queue();
                None
            }
            Request::Resize { cols, rows } => self.host.resize(cols, rows, self.stdout.terminal()),
            Request::Signal { signal } => self.host.signal(signal),
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
        if self.gone_at.is_some() {
            client.send(&Message::Gone { left: self.left.clone() });
        }
        None
    }

    fn send_status(&mut self, client: u64) -> Option<String> {
        let status = Message::Status {
            child: self.host.child(),
            alive: self.status.is_none(),
            phase: self.phase.name().to_owned(),
            queued_input: self.input.queued(),
        };
        self.clients.list.iter_mut().find(|known| known.id == client)?.send(&status);
        None
    }
}
