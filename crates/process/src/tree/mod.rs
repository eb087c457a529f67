//! Processes as a tree: who descends from whom, who carries a run's mark, and signals that cannot hit
//! a stranger. A pid is trusted only together with its start time.

#[cfg(target_os = "linux")]
mod linux;
#[cfg(not(target_os = "linux"))]
mod listed;

use std::{
    collections::{HashMap, HashSet},
    path::Path,
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};

#[cfg(target_os = "linux")]
use self::linux as platform;
#[cfg(not(target_os = "linux"))]
use self::listed as platform;
use crate::{cgroup, wire::KeeperFile};

/// How long processes that do not go may take before they are called left (a process in an
/// uninterruptible wait does not die of KILL).
pub const KILL_LIMIT: Duration = Duration::from_secs(10);

/// The variable that marks a child's whole tree.
pub const MARK: &str = "MUSHER_RUN";

/// One process: the pid, and when it started (on Linux in clock ticks since boot, elsewhere in seconds
/// since 1970).
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

    /// Kills exactly this process; nothing happens when it is gone.
    pub fn kill(self) {
        platform::kill(self);
    }

    /// Signals exactly this process; nothing when it is gone.
    #[cfg(unix)]
    pub fn signal(self, signal: rustix::process::Signal) {
        let raw = i32::try_from(self.pid).ok();
        if let Some(pid) = raw.and_then(rustix::process::Pid::from_raw) {
            platform::signal(self, pid, signal);
        }
    }
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    pub id: ProcessId,
    pub parent: u32,
    #[cfg_attr(
        not(all(unix, any(test, not(target_os = "linux")))),
        allow(dead_code, reason = "only a tree without a subreaper is told by its sessions")
    )]
    pub session: u32,
    /// A zombie, or about to be gone.
    pub dead: bool,
}

/// All living descendants of `root`, which is not among them.
#[cfg(unix)]
pub fn descendants(root: u32) -> Vec<ProcessId> {
    below(&platform::rows(), &[root])
}

/// All living processes of a run where no subreaper holds them: what is below its keeper, in the keeper's
/// session, known of before, or carries the mark, and what is below those.
#[cfg(all(unix, any(test, not(target_os = "linux"))))]
pub fn of_run(mark: &str, known: &HashSet<ProcessId>) -> HashSet<ProcessId> {
    let rows = platform::rows();
    let session = session_of(&rows, std::process::id());
    around(&rows, session, mark, known)
}

/// The session of a process; none where its leader cannot be seen, as from inside a PID namespace.
#[cfg(all(unix, any(test, not(target_os = "linux"))))]
fn session_of(rows: &[Row], pid: u32) -> Option<u32> {
    let row = rows.iter().find(|row| row.id.pid == pid)?;
    Some(row.session).filter(|session| *session > 0)
}

#[cfg(all(unix, any(test, not(target_os = "linux"))))]
fn around(
    rows: &[Row],
    session: Option<u32>,
    mark: &str,
    known: &HashSet<ProcessId>,
) -> HashSet<ProcessId> {
    let own = std::process::id();
    let in_session = |row: &&Row| session == Some(row.session);
    let ours = |row: &&Row| in_session(row) || known.contains(&row.id);
    let mut roots: Vec<u32> = rows.iter().filter(ours).map(|row| row.id.pid).collect();
    roots.extend(processes_with_mark(mark).iter().map(|id| id.pid));
    let mut found: HashSet<ProcessId> = below(rows, &[own]).into_iter().collect();
    found.extend(below(rows, &roots));
    found.extend(
        rows.iter().filter(|row| !row.dead && roots.contains(&row.id.pid)).map(|row| row.id),
    );
    found.retain(|id| id.pid != own);
    found
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
    platform::with_variable(MARK, mark)
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
    file.keeper.kill();
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
            id.kill();
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

/// The keeper, if it lives, and what [`sweep`] would kill besides it.
pub fn living(file: &KeeperFile) -> Vec<u32> {
    if file.boot != boot() {
        return Vec::new();
    }
    let keeper = Some(file.keeper).filter(|keeper| keeper.is_alive());
    let mut rest: Vec<u32> = remnants(file).iter().map(|id| id.pid).collect();
    rest.sort_unstable();
    keeper.iter().map(|keeper| keeper.pid).chain(rest).collect()
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

/// Identifies the system's boot; empty where start times are not counted from it.
pub fn boot() -> String {
    let read = std::fs::read_to_string("/proc/sys/kernel/random/boot_id");
    read.map(|id| id.trim().to_owned()).unwrap_or_default()
}

#[cfg(all(test, unix))]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::{
        io::{BufRead, BufReader},
        process::{Command, Stdio},
    };

    use super::*;

    #[test]
    fn who_left_the_tree_is_found_by_session_mark_or_memory() {
        let mark = format!("of-a-run-{}", std::process::id());
        // They end with their input. A session of their own: that of this test may have no leader here.
        let script = "exec 3<&0
            one='echo $0 $$; read end'
            sh -c \"$one\" 0 <&3 &
            setsid sh -c \"$one\" 1 <&3 &
            setsid env -u MUSHER_RUN sh -c \"$one\" 2 <&3 &";
        let mut shell = Command::new("setsid")
            .args(["--wait", "/bin/sh", "-c", script])
            .env(MARK, &mark)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let _input = shell.stdin.take();
        let lines = BufReader::new(shell.stdout.take().unwrap()).lines().take(3);
        let mut said: Vec<String> = lines.map(Result::unwrap).collect();
        said.sort();
        shell.wait().unwrap();
        let of = |line: &String| ProcessId::of(line[2..].parse().unwrap()).unwrap();
        let left: Vec<ProcessId> = said.iter().map(of).collect();
        let hidden = left[2];
        let rows = platform::rows();
        let theirs = session_of(&rows, left[0].pid);
        assert!(theirs.is_some());
        let session = around(&rows, theirs, "another", &HashSet::new());
        let by_mark = of_run(&mark, &HashSet::new());
        let memory = of_run(&mark, &HashSet::from([hidden]));
        assert!(session.contains(&left[0]) && !session.contains(&left[1]));
        assert!(by_mark.contains(&left[1]) && !by_mark.contains(&hidden));
        assert!(left.iter().all(|id| memory.contains(id)));
        assert!(!memory.iter().any(|id| id.pid == std::process::id()));
    }
}
