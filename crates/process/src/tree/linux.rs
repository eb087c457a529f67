//! Processes as `/proc` shows them.

use std::fs;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::{ProcessId, Row};

pub fn rows() -> Vec<Row> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| row(entry.file_name().to_str()?.parse().ok()?)).collect()
}

/// Reads `/proc/<pid>/stat` (proc_pid_stat(5)): behind the name in parentheses, which may hold
/// anything, state is field 3, parent 4, session 6, start time 22.
pub fn row(pid: u32) -> Option<Row> {
    let stat = fs::read(format!("/proc/{pid}/stat")).ok()?;
    let behind_name = stat.iter().rposition(|&byte| byte == b')')? + 2;
    let rest = std::str::from_utf8(stat.get(behind_name..)?).ok()?;
    let mut fields = rest.split_ascii_whitespace();
    let state = fields.next()?;
    let parent = fields.next()?.parse().ok()?;
    let session = fields.nth(1)?.parse().ok()?;
    let start = fields.nth(15)?.parse().ok()?;
    let dead = matches!(state, "Z" | "X" | "x");
    Some(Row { id: ProcessId { pid, start }, parent, session, dead })
}

/// The living that were started with this variable.
pub fn with_variable(name: &str, value: &str) -> Vec<ProcessId> {
    let wanted = format!("{name}={value}");
    let has_it = |id: &ProcessId| {
        let environ = fs::read(format!("/proc/{}/environ", id.pid)).unwrap_or_default();
        environ.split(|&byte| byte == 0).any(|variable| variable == wanted.as_bytes())
    };
    let living = rows().into_iter().filter(|row| !row.dead).map(|row| row.id);
    living.filter(has_it).collect()
}

pub fn kill(id: ProcessId) {
    id.signal(Signal::KILL);
}

pub fn signal(id: ProcessId, pid: Pid, signal: Signal) {
    // The descriptor pins the process, so that the pid cannot change hands behind the check.
    let pinned = pidfd_open(pid, PidfdFlags::empty());
    if !id.is_alive() {
        return;
    }
    let _ = match pinned {
        Ok(pinned) => pidfd_send_signal(pinned, signal),
        Err(_) => rustix::process::kill_process(pid, signal),
    };
}
