//! What a keeper holds and decides, on every system. How it waits, and how a tree is ended, is the
//! platform's: [`Host`].

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use super::{
    clients::Clients,
    copier::Copier,
    ending::{Act, Phase, Tree},
    input::{Answer, Input},
    platform::{Child, Containment, Host, Stderr, Stdin, Stdout},
};
use crate::{Ending, SpawnSpec, Stream, wire::Message};

/// Between two tries to write to a disk that took nothing.
const RETRY: Duration = Duration::from_millis(500);

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
    pub(super) record_trouble: Option<String>,
    pub(super) retry_at: Option<Instant>,
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
            record_trouble: None,
            retry_at: None,
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
        if self.phase == Phase::Over && self.record() {
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

    fn retry(&mut self, now: Instant) {
        if self.retry_at.is_some_and(|at| at <= now) {
            self.retry_at = None;
            self.end_without_folder();
            let before = self.stdout.written() + self.stderr.written();
            self.stdout.write_out();
            self.stderr.write_out();
            if self.stdout.written() + self.stderr.written() > before {
                self.heard(now);
            }
        }
        let stuck = self.stdout.trouble().is_some()
            || self.stderr.trouble().is_some()
            || self.record_trouble.is_some();
        if stuck && self.retry_at.is_none() {
            self.retry_at = Some(now + RETRY);
        }
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
        if now >= until && self.stdout.unwritten() + self.stderr.unwritten() == 0 {
            self.stdout.give_up();
            self.stderr.give_up();
        }
        if self.stdout.is_done() && self.stderr.is_done() {
            self.phase = Phase::Over;
        }
    }

    fn tell_trouble(&mut self) {
        let trouble = self
            .stdout
            .trouble()
            .or(self.stderr.trouble())
            .or(self.record_trouble.as_deref())
            .map(str::to_owned);
        if trouble != self.trouble_told {
            self.trouble_told.clone_from(&trouble);
            self.clients.tell(&Message::Trouble { text: trouble });
        }
    }

    /// The next time at which something must be done though nothing happens. None while all is quiet.
    pub(super) fn due(&self, now: Instant) -> Option<Instant> {
        let dues = [
            self.phase.due(now),
            self.clients.next_note(now),
            self.retry_at,
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
