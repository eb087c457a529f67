//! What a keeper holds and decides, on every system. How it waits, and how a tree is ended, is the
//! platform's: [`Host`].

use std::{path::PathBuf, time::Instant};

use chrono::{DateTime, Utc};

use super::{
    attempt::Attempt,
    clients::Clients,
    copier::Copier,
    ending::{Act, Phase, Tree},
    input::{Answer, Input},
    platform::{Child, Containment, Host, Stderr, Stdin, Stdout},
};
use crate::{Ending, SpawnSpec, Stream, wire::Message};

/// How the child itself ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ended {
    pub code: Option<i32>,
    pub signal: Option<i32>,
}

/// What one look at the tree has shown.
pub struct Seen {
    /// The child has ended since the last look.
    pub ended: Option<Ended>,
    /// Nothing that came from the child lives.
    pub alone: bool,
}

pub struct Keeper {
    pub(super) dir: PathBuf,
    pub(super) host: Host,
    /// How the child ended, once it has.
    pub(super) status: Option<Ended>,
    pub(super) input: Input<Stdin>,
    pub(super) stdout: Copier<Stdout>,
    pub(super) stderr: Copier<Stderr>,
    pub(super) clients: Clients,
    pub(super) phase: Phase,
    pub(super) killed: Vec<u32>,
    pub(super) left: Vec<u32>,
    pub(super) trouble_told: Option<String>,
    /// When nothing of the tree but `left` lived any more.
    pub(super) gone_at: Option<DateTime<Utc>>,
    pub(super) recording: Attempt,
}

impl Keeper {
    pub fn new(dir: PathBuf, child: Child, containment: Containment, spec: &SpawnSpec) -> Self {
        let limit = spec.spool_limit.max(1);
        let (stdin, stdout, stderr, host) = Host::new(child, containment, spec);
        Self {
            host,
            status: None,
            input: Input::new(stdin),
            stdout: Copier::new(dir.clone(), Stream::Stdout, stdout, limit),
            stderr: Copier::new(dir.clone(), Stream::Stderr, stderr, limit),
            clients: Clients::default(),
            phase: Phase::Running,
            killed: Vec::new(),
            left: Vec::new(),
            trouble_told: None,
            gone_at: None,
            recording: Attempt::default(),
            dir,
        }
    }

    pub fn end_now(&mut self) {
        self.order_end(Ending::NOW, Instant::now());
    }

    pub(super) fn order_end(&mut self, ending: Ending, now: Instant) {
        let act = self.phase.order(ending, now);
        self.act(act, now);
    }

    pub(super) fn answer(&mut self, answers: Vec<Answer>) {
        for (waiter, error) in answers {
            self.clients.reply(waiter, error);
        }
    }

    /// Everything that is due, before it waits again. True: the end is recorded and told.
    pub(super) fn advance(&mut self, now: Instant) -> bool {
        self.retry(now);
        self.look(now);
        self.tell_gone();
        if self.phase == Phase::Over && self.record(now) {
            return true;
        }
        self.tell_trouble();
        let grown = Message::Grown { stdout: self.stdout.written(), stderr: self.stderr.written() };
        self.clients.note(&grown, now);
        false
    }

    /// A run whose folder was removed can be neither kept nor found again: it ends.
    fn end_without_folder(&mut self) {
        if !self.dir.exists() {
            self.end_now();
            self.stdout.abandon();
            self.stderr.abandon();
        }
    }

    /// Tries again to write output that the disk refused.
    fn retry(&mut self, now: Instant) {
        if self.stdout.attempt().is_due(now) || self.stderr.attempt().is_due(now) {
            self.end_without_folder();
        }
        let more = self.stdout.retry(now);
        if self.stderr.retry(now) || more {
            self.heard(now);
        }
    }

    fn has_unwritten(&self) -> bool {
        self.stdout.unwritten() + self.stderr.unwritten() > 0
    }

    /// Takes the next step of the ending.
    fn look(&mut self, now: Instant) {
        let seen = self.host.look();
        if let Some(ended) = seen.ended {
            self.status = Some(ended);
            let unsaid = self.input.close();
            self.answer(unsaid);
        }
        let tree = match (self.status, seen.alone) {
            (None, false) => Tree::Child,
            (_, false) => Tree::OnlyDescendants,
            (_, true) => Tree::Empty,
        };
        let act = self.phase.step(tree, now);
        self.act(act, now);
        self.finish_draining(now);
    }

    fn act(&mut self, act: Act, now: Instant) {
        match act {
            Act::Nothing => {}
            Act::CloseInput => self.input.close_behind_queue(),
            Act::Terminate => {
                let unsaid = self.input.close();
                self.answer(unsaid);
                if !self.host.terminate() {
                    self.phase.cut_short(now);
                }
            }
            Act::Kill => {
                for pid in self.host.kill() {
                    if !self.killed.contains(&pid) {
                        self.killed.push(pid);
                    }
                }
            }
            Act::GiveUp => self.left = self.host.living(),
        }
    }

    fn finish_draining(&mut self, now: Instant) {
        let Phase::Draining { until } = self.phase else { return };
        if now >= until && !self.has_unwritten() {
            self.stdout.give_up();
            self.stderr.give_up();
        }
        if self.stdout.is_done() && self.stderr.is_done() {
            self.phase = Phase::Over;
        }
    }

    fn tell_trouble(&mut self) {
        let attempts = [self.stdout.attempt(), self.stderr.attempt(), &self.recording];
        let trouble = attempts.into_iter().find_map(Attempt::trouble).map(str::to_owned);
        if trouble != self.trouble_told {
            self.trouble_told.clone_from(&trouble);
            self.clients.tell(&Message::Trouble { text: trouble });
        }
    }

    /// The next time at which something must be done though nothing happens. None while all is quiet.
    pub(super) fn due(&self, now: Instant) -> Option<Instant> {
        // Silence does not count while output waits for the disk.
        let waits = matches!(self.phase, Phase::Draining { .. }) && self.has_unwritten();
        let dues = [
            self.phase.due(now).filter(|_| !waits),
            self.clients.next_note(now),
            self.stdout.attempt().again_at(),
            self.stderr.attempt().again_at(),
            self.recording.again_at(),
            self.host.next_look(now),
        ];
        dues.into_iter().flatten().min()
    }

    /// The child has said something.
    pub(super) fn heard(&mut self, now: Instant) {
        self.phase.heard(now);
        self.clients.mark_behind();
    }
}
