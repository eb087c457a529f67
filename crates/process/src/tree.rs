//! Processes as a tree: who descends from whom, who carries a run's mark, and signals that cannot hit
//! a stranger. A pid is trusted only together with its start time.

use std::{
    collections::{HashMap, HashSet},
    path::Path,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal};
use serde::{Deserialize, Serialize};

use crate::{cgroup, wire::KeeperFile};

/// How long processes that do not go may take before they are called left (a process in an
/// uninterruptible wait does not die of KILL).
pub const KILL_LIMIT: Duration = Duration::from_secs(10);

/// The variable that marks a child's whole tree.
pub const MARK: &str = "MUSHER_RUN";

/// One process: the pid, and when it started (on Linux in clock ticks since boot).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ProcessId {
    pub pid: u32,
    pub start: u64,
}

impl ProcessId {
    pub fn of(pid: u32) -> Option<Self> {
        let row = platform::row(pid)?;
        (!row.dead).then_some(row.id)
    }

    pub fn is_alive(self) -> bool {
        Self::of(self.pid) == Some(self)
    }

    /// Signals exactly this process; nothing when it is gone.
    pub fn signal(self, signal: Signal) {
        let Some(pid) = i32::try_from(self.pid).ok().and_then(Pid::from_raw) else { return };
        platform::signal(self, pid, signal);
    }
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    pub id: ProcessId,
    pub parent: u32,
    /// A zombie, or about to be gone.
    pub dead: bool,
}

/// All living descendants of `root`, which is not among them.
pub fn descendants(root: u32) -> Vec<ProcessId> {
    below(&platform::rows(), &[root])
}

fn below(rows: &[Row], roots: &[u32]) -> Vec<ProcessId> {
    let mut children: HashMap<u32, Vec<&Row>> = HashMap::new();
    for row in rows {
        children.entry(row.parent).or_default().push(row);
    }
    let mut found = Vec::new();
    let mut open = roots.to_vec();
    let mut seen: HashSet<u32> = roots.iter().copied().collect();
    while let Some(pid) = open.pop() {
        for row in children.get(&pid).into_iter().flatten() {
            if seen.insert(row.id.pid) {
                open.push(row.id.pid);
                if !row.dead {
                    found.push(row.id);
                }
            }
        }
    }
    found
}

/// Living processes with `MUSHER_RUN=mark` in the environment they were started with.
pub fn processes_with_mark(mark: &str) -> Vec<ProcessId> {
    let wanted = format!("{MARK}={mark}");
    let rows = platform::rows();
    let marked = |row: &&Row| !row.dead && platform::has_variable(row.id.pid, wanted.as_bytes());
    rows.iter().filter(marked).map(|row| row.id).collect()
}

/// What a sweep found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    pub killed: Vec<u32>,
    pub left: Vec<u32>,
}

/// Kills what a dead (or deaf) keeper left behind: the keeper, the recorded child, everything that
/// carries the mark or is in the run's cgroup, and all their descendants; never the caller or one of
/// its ancestors.
pub fn sweep(file: &KeeperFile) -> Swept {
    if file.boot != boot() {
        return Swept::default();
    }
    file.keeper.signal(Signal::KILL);
    let swept = sweep_tree(file);
    if let Some(cgroup) = &file.cgroup {
        cgroup::remove(cgroup);
    }
    swept
}

fn sweep_tree(file: &KeeperFile) -> Swept {
    let until = Instant::now() + KILL_LIMIT;
    let mut killed = Vec::new();
    loop {
        let found = remnants(file);
        if found.is_empty() || Instant::now() > until {
            let left = found.iter().map(|id| id.pid).collect();
            return Swept { killed, left };
        }
        for id in found {
            id.signal(Signal::KILL);
            if !killed.contains(&id.pid) {
                killed.push(id.pid);
            }
        }
        if let Some(cgroup) = file.cgroup.as_deref().filter(|cgroup| !is_spared_in(cgroup)) {
            cgroup::kill(cgroup);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn remnants(file: &KeeperFile) -> Vec<ProcessId> {
    let mut found: HashSet<ProcessId> = processes_with_mark(&file.mark).into_iter().collect();
    found.extend(in_cgroup(file));
    found.extend(file.child.filter(|child| child.is_alive()));
    let roots: Vec<u32> = found.iter().map(|id| id.pid).collect();
    let rows = platform::rows();
    found.extend(below(&rows, &roots));
    let spared = ancestors(&rows, std::process::id());
    found.retain(|id| !spared.contains(&id.pid) && *id != file.keeper);
    found.into_iter().collect()
}

fn in_cgroup(file: &KeeperFile) -> impl Iterator<Item = ProcessId> {
    let listed = file.cgroup.as_deref().map(cgroup::processes).unwrap_or_default();
    listed.into_iter().filter_map(ProcessId::of)
}

/// The caller or an ancestor of it is in the cgroup: then it is not killed as a whole.
fn is_spared_in(cgroup: &Path) -> bool {
    let spared = ancestors(&platform::rows(), std::process::id());
    cgroup::processes(cgroup).iter().any(|pid| spared.contains(pid))
}

fn ancestors(rows: &[Row], pid: u32) -> HashSet<u32> {
    let parents: HashMap<u32, u32> = rows.iter().map(|row| (row.id.pid, row.parent)).collect();
    let mut chain = HashSet::from([pid]);
    let mut current = pid;
    while let Some(&parent) = parents.get(&current) {
        if !chain.insert(parent) {
            break;
        }
        current = parent;
    }
    chain
}

/// Identifies the system's boot.
pub fn boot() -> String {
    let read = std::fs::read_to_string("/proc/sys/kernel/random/boot_id");
    read.map(|id| id.trim().to_owned()).unwrap_or_default()
}

/// Collects one dead child of ours, if there is one.
pub fn reap() -> Reaped {
    match rustix::process::wait(rustix::process::WaitOptions::NOHANG) {
        Ok(Some((pid, status))) => Reaped::One(pid, status),
        Ok(None) => Reaped::NoneDead,
        Err(error) if error == rustix::io::Errno::INTR => Reaped::NoneDead,
        Err(_) => Reaped::NoChildren,
    }
}

pub enum Reaped {
    One(Pid, rustix::process::WaitStatus),
    /// Children live, none is dead.
    NoneDead,
    /// There is no child at all. For a subreaper: no descendant either.
    NoChildren,
}

#[cfg(target_os = "linux")]
mod platform {
    use std::fs;

    use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

    use super::{ProcessId, Row};

    pub fn rows() -> Vec<Row> {
        let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
        entries.filter_map(|entry| row(entry.file_name().to_str()?.parse().ok()?)).collect()
    }

    /// Reads `/proc/<pid>/stat` (proc_pid_stat(5)): behind the name in parentheses, which may hold
    /// anything, state is field 3, parent 4, start time 22.
    pub fn row(pid: u32) -> Option<Row> {
        let stat = fs::read(format!("/proc/{pid}/stat")).ok()?;
        let behind_name = stat.iter().rposition(|&byte| byte == b')')? + 2;
        let rest = std::str::from_utf8(stat.get(behind_name..)?).ok()?;
        let mut fields = rest.split_ascii_whitespace();
        let state = fields.next()?;
        let parent = fields.next()?.parse().ok()?;
        let start = fields.nth(17)?.parse().ok()?;
        Some(Row { id: ProcessId { pid, start }, parent, dead: matches!(state, "Z" | "X" | "x") })
    }

    pub fn has_variable(pid: u32, wanted: &[u8]) -> bool {
        let environ = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environ.split(|&byte| byte == 0).any(|variable| variable == wanted)
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
}

#[cfg(not(target_os = "linux"))]
mod platform {
    use std::{
        hash::{DefaultHasher, Hash, Hasher},
        process::Command,
    };

    use rustix::process::{Pid, Signal};

    use super::{ProcessId, Row};

    pub fn rows() -> Vec<Row> {
        listed(&["-A"])
    }

    pub fn row(pid: u32) -> Option<Row> {
        listed(&["-p", &pid.to_string()]).into_iter().next()
    }

    fn listed(which: &[&str]) -> Vec<Row> {
        let output =
            Command::new("ps").args(["-o", "pid=,ppid=,stat=,lstart="]).args(which).output();
        let text = output.map(|output| output.stdout).unwrap_or_default();
        String::from_utf8_lossy(&text).lines().filter_map(parsed).collect()
    }

    fn parsed(line: &str) -> Option<Row> {
        let mut fields = line.split_whitespace();
        let pid = fields.next()?.parse().ok()?;
        let parent = fields.next()?.parse().ok()?;
        let dead = fields.next()?.starts_with('Z');
        let mut start = DefaultHasher::new();
        fields.for_each(|field| field.hash(&mut start));
        Some(Row { id: ProcessId { pid, start: start.finish() }, parent, dead })
    }

    pub fn has_variable(_pid: u32, _wanted: &[u8]) -> bool {
        false
    }

    pub fn signal(id: ProcessId, pid: Pid, signal: Signal) {
        if id.is_alive() {
            let _ = rustix::process::kill_process(pid, signal);
        }
    }
}
