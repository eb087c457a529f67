//! Processes as `sysinfo` lists them: `libproc` and `sysctl` on macOS, the system's own table on Windows.
//! A start time is in seconds there, and an environment shows only where the system lets its owner see
//! it (on macOS not that of Apple's own programs).

use std::ffi::OsStr;

use sysinfo::{
    Pid, Process, ProcessRefreshKind, ProcessStatus, ProcessesToUpdate, System, UpdateKind,
};

use super::{ProcessId, Row};

pub fn rows() -> Vec<Row> {
    let system = listed(ProcessesToUpdate::All, ProcessRefreshKind::nothing());
    system
        .processes()
        .values()
        .filter(|process| process.thread_kind().is_none())
        .map(seen)
        .collect()
}

pub fn row(pid: u32) -> Option<Row> {
    let system =
        listed(ProcessesToUpdate::Some(&[Pid::from_u32(pid)]), ProcessRefreshKind::nothing());
    system.process(Pid::from_u32(pid)).map(seen)
}

fn listed(which: ProcessesToUpdate<'_>, what: ProcessRefreshKind) -> System {
    let mut system = System::new();
    system.refresh_processes_specifics(which, true, what);
    system
}

fn seen(process: &Process) -> Row {
    Row {
        id: ProcessId { pid: process.pid().as_u32(), start: process.start_time() },
        parent: process.parent().map_or(0, Pid::as_u32),
        session: process.session_id().map_or(0, Pid::as_u32),
        dead: matches!(process.status(), ProcessStatus::Zombie | ProcessStatus::Dead),
    }
}

/// The living that were started with this variable.
pub fn with_variable(name: &str, value: &str) -> Vec<ProcessId> {
    let wanted = format!("{name}={value}");
    let what = ProcessRefreshKind::nothing().with_environ(UpdateKind::Always);
    let system = listed(ProcessesToUpdate::All, what);
    let has_it =
        |process: &&Process| process.environ().iter().any(|own| own == OsStr::new(&wanted));
    let rows = system.processes().values().filter(has_it).map(seen);
    rows.filter(|row| !row.dead).map(|row| row.id).collect()
}

/// Between the check and the kill the pid could change hands: nothing here pins a process.
#[cfg(windows)]
pub fn kill(id: ProcessId) {
    let pid = Pid::from_u32(id.pid);
    let system = listed(ProcessesToUpdate::Some(&[pid]), ProcessRefreshKind::nothing());
    if let Some(process) = system.process(pid).filter(|process| seen(process).id == id) {
        process.kill();
    }
}

#[cfg(unix)]
pub fn kill(id: ProcessId) {
    id.signal(rustix::process::Signal::KILL);
}

/// Between the check and the signal the pid could change hands: nothing here pins a process.
#[cfg(unix)]
pub fn signal(id: ProcessId, pid: rustix::process::Pid, signal: rustix::process::Signal) {
    if id.is_alive() {
        let _ = rustix::process::kill_process(pid, signal);
    }
}
