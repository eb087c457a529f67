//! A command's process group.

use std::time::{Duration, Instant};

use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, kill_process, kill_process_group, test_kill_process_group,
    waitid,
};
use tokio::process::Child;

/// How long a command may tidy up while a thread waits for it. git needs some milliseconds.
const BLOCKING: Duration = Duration::from_millis(250);

pub struct Group(Option<Pid>);

impl Group {
    pub fn of(child: &Child) -> Self {
        let raw = child.id().and_then(|pid| i32::try_from(pid).ok());
        Self(raw.and_then(Pid::from_raw))
    }

    /// The pid is still taken: the command was not collected, or something of its group lives.
    pub fn kill(&mut self) {
        // Where there is no such group, it had no time to open it.
        if let Some(pid) = self.0.take()
            && kill_process_group(pid, Signal::KILL).is_err()
        {
            let _ = kill_process(pid, Signal::KILL);
        }
    }

    /// TERM, and KILL for what is left after [`super::TIDYING`]. The command itself is collected by
    /// the caller meanwhile: the group is gone when nobody of it is left.
    pub async fn end_in_time(&mut self) {
        let Some(pid) = self.0 else { return };
        let until = Instant::now() + super::TIDYING;
        let told = kill_process_group(pid, Signal::TERM).is_ok();
        while told && Instant::now() < until {
            if test_kill_process_group(pid).is_err() {
                return self.disarm();
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        self.kill();
    }

    /// TERM, then KILL for what is left. Blocks its thread for `BLOCKING` at most: a drop cannot
    /// wait otherwise, and it is rare.
    pub fn end(&mut self) {
        if let Some(pid) = self.0 {
            ask_to_end(pid);
        }
        self.kill();
    }

    pub fn disarm(&mut self) {
        self.0 = None;
    }
}

/// Sends TERM to the group and waits until the command has gone, or for a moment.
fn ask_to_end(pid: Pid) {
    if kill_process_group(pid, Signal::TERM).is_err() {
        return;
    }
    let deadline = Instant::now() + BLOCKING;
    // Only looked at: tokio collects it.
    let look = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
    while matches!(waitid(WaitId::Pid(pid), look), Ok(None)) && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(1));
    }
}
