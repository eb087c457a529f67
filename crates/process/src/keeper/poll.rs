//! The keeper's one loop.

use std::{
    os::fd::OwnedFd,
    os::unix::net::UnixListener,
    path::PathBuf,
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec},
    process::{Pid, Signal, WaitStatus},
};

use super::{
    child::Child,
    clients::Clients,
    copier::Copier,
    ending::{Act, Phase, Tree},
    input::{Answer, Input},
};
use crate::{
    Ending, SpawnSpec, Stream, Transport,
    cgroup::Cgroup,
    tree::{self, ProcessId, Reaped},
    wire::Message,
};

/// Between two tries to write to a disk that took nothing.
const RETRY: Duration = Duration::from_millis(500);
/// How often to look for the child's end where it cannot be waited for.
const LOOK_FOR_EXIT: Duration = Duration::from_millis(100);

pub struct Keeper {
    pub(super) dir: PathBuf,
    pub(super) child: Pid,
    /// How the child ended, once it has.
    pub(super) status: Option<WaitStatus>,
    /// Readable when the child has ended.
    exit_watch: Option<OwnedFd>,
    pub(super) has_terminal: bool,
    pub(super) input: Input,
    pub(super) stdout: Copier,
    pub(super) stderr: Copier,
    pub(super) clients: Clients,
    pub(super) phase: Phase,
    pub(super) killed: Vec<u32>,
    pub(super) left: Vec<u32>,
    pub(super) trouble_told: Option<String>,
    pub(super) record_trouble: Option<String>,
    pub(super) retry_at: Option<Instant>,
    cgroup: Option<Cgroup>,
}

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
    pub fn new(
        dir: PathBuf,
        listener: UnixListener,
        child: Child,
        cgroup: Option<Cgroup>,
        spec: &SpawnSpec,
    ) -> Self {
        let copier =
            |stream, source| Copier::new(dir.clone(), stream, source, spec.spool_limit.max(1));
        Self {
            child: child.pid,
            status: None,
            exit_watch: watch_exit(child.pid),
            has_terminal: spec.transport == Transport::Pty,
            input: Input::new(child.stdin),
            stdout: copier(Stream::Stdout, child.stdout),
            stderr: copier(Stream::Stderr, child.stderr),
            clients: Clients::new(listener),
            phase: Phase::Running,
            killed: Vec::new(),
            left: Vec::new(),
            trouble_told: None,
            record_trouble: None,
            retry_at: None,
            cgroup,
            dir,
        }
    }

    /// Returns when the end is recorded.
    pub fn run(mut self) {
        let mut ready = Vec::new();
        loop {
            let now = Instant::now();
            self.retry(now);
            self.look(now);
            if self.phase == Phase::Over && self.record() {
                return;
            }
            self.tell_trouble();
            let grown =
                Message::Grown { stdout: self.stdout.written(), stderr: self.stderr.written() };
            self.clients.note(&grown, now);
            self.wait(&mut ready, now);
            self.serve(&ready);
        }
    }

    pub fn end_now(&mut self) {
        self.order_end(Ending::NOW, Instant::now());
    }

    pub(super) fn order_end(&mut self, ending: Ending, now: Instant) {
        let act = self.phase.order(ending, now);
        self.act(act);
    }

    pub(super) fn answer(&mut self, answers: Vec<Answer>) {
        for (waiter, error) in answers {
            self.clients.reply(waiter, error);
        }
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

    /// Collects the dead and takes the next step of the ending.
    fn look(&mut self, now: Instant) {
        let mut alone = false;
        loop {
            match tree::reap() {
                Reaped::One(pid, status) if pid == self.child => self.child_ended(status),
                Reaped::One(..) => {}
                Reaped::NoneDead => break,
                Reaped::NoChildren => {
                    alone = self.in_cgroup().is_empty();
                    break;
                }
            }
        }
        let seen = match (self.status, alone) {
            (None, false) => Tree::Child,
            (_, false) => Tree::OnlyDescendants,
            (_, true) => Tree::Empty,
        };
        let act = self.phase.step(seen, now);
        self.act(act);
        self.finish_draining(now);
    }

    fn child_ended(&mut self, status: WaitStatus) {
        self.status = Some(status);
        self.exit_watch = None;
        let unsaid = self.input.close();
        self.answer(unsaid);
    }

    fn act(&mut self, act: Act) {
        match act {
            Act::Nothing => {}
            Act::CloseInput => self.input.close_behind_queue(),
            Act::Terminate => {
                let unsaid = self.input.close();
                self.answer(unsaid);
                for process in self.below() {
                    process.signal(Signal::TERM);
                    // A stopped process takes TERM only when it goes on.
                    process.signal(Signal::CONT);
                }
            }
            Act::Kill => {
                for process in self.below() {
                    process.signal(Signal::KILL);
                    if !self.killed.contains(&process.pid) {
                        self.killed.push(process.pid);
                    }
                }
                if let Some(cgroup) = &self.cgroup {
                    cgroup.kill();
                }
            }
            Act::GiveUp => self.left = self.below().iter().map(|process| process.pid).collect(),
        }
    }

    /// All that came from the child and lives.
    fn below(&self) -> Vec<ProcessId> {
        let mut found = tree::descendants(std::process::id());
        let more = self.in_cgroup().into_iter().filter(|id| !found.contains(id));
        found.extend(more.collect::<Vec<_>>());
        found
    }

    fn in_cgroup(&self) -> Vec<ProcessId> {
        let listed = self.cgroup.as_ref().map(Cgroup::processes).unwrap_or_default();
        listed.into_iter().filter_map(ProcessId::of).collect()
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

    fn wait(&self, ready: &mut Vec<Ready>, now: Instant) {
        let mut polled = Vec::with_capacity(5 + self.clients.list.len());
        let mut what = Vec::with_capacity(polled.capacity());
        let ceiling = self.phase.ceiling();
        let own = [
            (self.exit_watch.as_ref(), PollFlags::IN, Ready::Exit),
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
        polled.push(PollFd::new(self.clients.listener(), PollFlags::IN));
        what.push(Ready::Listener);
        for (index, client) in self.clients.list.iter().enumerate() {
            let writing = if client.has_unsent() { PollFlags::OUT } else { PollFlags::empty() };
            polled.push(PollFd::new(client.stream(), PollFlags::IN | writing));
            what.push(Ready::Client { index, readable: false });
        }
        let timeout = self.due(now).map(|due| timespec(due.saturating_duration_since(now)));
        let _ = rustix::event::poll(&mut polled, timeout.as_ref());
        ready.clear();
        ready.extend(polled.iter().zip(what).filter_map(|(fd, what)| is_ready(fd.revents(), what)));
    }

    /// The next time at which something must be done though nothing happens. None while all is quiet.
    fn due(&self, now: Instant) -> Option<Instant> {
        let look =
            (self.status.is_none() && self.exit_watch.is_none()).then(|| now + LOOK_FOR_EXIT);
        let dues = [self.phase.due(now), self.clients.next_note(now), self.retry_at, look];
        dues.into_iter().flatten().min()
    }

    fn serve(&mut self, ready: &[Ready]) {
        let now = Instant::now();
        for ready in ready {
            match *ready {
                Ready::Listener => self.clients.accept(),
                // Collected by the next look.
                Ready::Exit => {}
                Ready::Stdin => {
                    let answers = self.input.write();
                    self.answer(answers);
                }
                Ready::Stdout => {
                    self.stdout.pump();
                    self.heard(now);
                }
                Ready::Stderr => {
                    self.stderr.pump();
                    self.heard(now);
                }
                Ready::Client { index, readable } => self.serve_client(index, readable, now),
            }
        }
        self.clients.list.retain(|client| !client.gone);
    }

    fn serve_client(&mut self, index: usize, readable: bool, now: Instant) {
        let Some(client) = self.clients.list.get_mut(index) else { return };
        client.flush();
        if readable {
            let id = client.id;
            for line in client.receive() {
                self.obey(id, &line, now);
            }
        }
    }

    fn heard(&mut self, now: Instant) {
        self.phase.heard(now);
        self.clients.mark_behind();
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

pub(super) fn timespec(duration: Duration) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(duration.subsec_nanos()),
    }
}

#[cfg(target_os = "linux")]
fn watch_exit(child: Pid) -> Option<OwnedFd> {
    use rustix::process::{PidfdFlags, pidfd_open};
    pidfd_open(child, PidfdFlags::empty()).ok()
}

#[cfg(not(target_os = "linux"))]
fn watch_exit(_child: Pid) -> Option<OwnedFd> {
    None
}
