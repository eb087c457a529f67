//! Proofs about processes, by `/proc`. A zombie counts as gone: it is dead, only its parent has not
//! looked yet.

use std::{
    thread,
    time::{Duration, Instant},
};

/// The processes that have `mark` in their environment: as a whole entry (`NAME=value`), or as the
/// value of one, like the id of a run. Children inherit it, also in sessions of their own and when
/// their parent is gone.
pub fn alive_with_mark(mark: &str) -> Vec<u32> {
    all().filter(|pid| has_mark(*pid, mark) && is_alive(*pid)).collect()
}

/// Whether there is such a process, not only a zombie.
pub fn is_alive(pid: u32) -> bool {
    !matches!(field(pid, 0).as_deref(), None | Some("Z" | "X"))
}

/// Waits until all of `pids` are gone; answers with those that are still alive at the deadline.
pub fn wait_gone(pids: &[u32], patience: Duration) -> Vec<u32> {
    let deadline = Instant::now() + patience;
    loop {
        let left: Vec<u32> = pids.iter().copied().filter(|pid| is_alive(*pid)).collect();
        if left.is_empty() || Instant::now() >= deadline {
            return left;
        }
        thread::sleep(Duration::from_millis(10));
    }
}

/// Waits until no process has the mark; answers with those that are left at the deadline.
pub fn wait_none_with_mark(mark: &str, patience: Duration) -> Vec<u32> {
    let deadline = Instant::now() + patience;
    loop {
        let left = alive_with_mark(mark);
        if left.is_empty() || Instant::now() >= deadline {
            return left;
        }
        thread::sleep(Duration::from_millis(10));
    }
}

/// All processes below one, nearest first. One whose parent died is no longer below it.
pub fn descendants(pid: u32) -> Vec<u32> {
    let parents: Vec<(u32, u32)> =
        all().filter_map(|pid| Some((pid, field(pid, 1)?.parse().ok()?))).collect();
    let mut found = vec![pid];
    let mut at = 0;
    while at < found.len() {
        let parent = found[at];
        found.extend(parents.iter().filter(|(_, of)| *of == parent).map(|(pid, _)| *pid));
        at += 1;
    }
    found.split_off(1)
}

fn all() -> impl Iterator<Item = u32> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten();
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
}

fn has_mark(pid: u32, mark: &str) -> bool {
    let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    environment.split(|byte| *byte == 0).any(|entry| {
        let value = entry.iter().position(|byte| *byte == b'=').map(|at| &entry[at + 1..]);
        entry == mark.as_bytes() || value == Some(mark.as_bytes())
    })
}

/// A field of `/proc/<pid>/stat`, counted behind the name (which may hold anything): 0 is the state,
/// 1 the parent.
fn field(pid: u32, at: usize) -> Option<String> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    Some(stat.rsplit_once(") ")?.1.split(' ').nth(at)?.to_owned())
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::process::Command;

    use super::*;

    #[test]
    fn finds_a_marked_tree_and_sees_it_go() {
        let mark = format!("PROOF_TEST=proof-{}", std::process::id());
        let value = format!("proof-{}", std::process::id());
        let mut shell = Command::new("sh")
            .args(["-c", "sleep 60 & wait"])
            .env("PROOF_TEST", &value)
            .spawn()
            .unwrap();
        let deadline = Instant::now() + Duration::from_secs(10);
        while alive_with_mark(&mark).len() < 2 {
            assert!(Instant::now() < deadline, "shell and sleep are not both found");
        }
        assert_eq!(alive_with_mark(&value), alive_with_mark(&mark));
        let below = descendants(shell.id());
        assert_eq!(below.len(), 1);
        assert!(descendants(std::process::id()).contains(&below[0]));
        shell.kill().unwrap();
        assert!(
            wait_gone(&[shell.id()], Duration::from_secs(5)).is_empty(),
            "a zombie counts as gone"
        );
        assert_eq!(wait_gone(&below, Duration::ZERO), below, "killing a parent leaves the child");
        Command::new("kill").arg(below[0].to_string()).status().unwrap();
        assert!(wait_none_with_mark(&mark, Duration::from_secs(5)).is_empty());
        shell.wait().unwrap();
    }
}
