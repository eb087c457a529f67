//! Which processes stand in a folder. Removing a folder under a process leaves it in a place that is
//! gone, and what it writes next is lost.
//!
//! Linux: `/proc/<pid>/cwd`. Processes of other users cannot be looked at and are left out. Elsewhere
//! nothing is found; the runs that use a worktree are known to the caller in any case.

use std::path::Path;

/// A process and its name.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Occupant {
    pub(crate) pid: u32,
    pub(crate) name: String,
}

pub(crate) fn occupants(dir: &Path) -> Vec<Occupant> {
    let Ok(real) = dir.canonicalize() else { return Vec::new() };
    let Ok(processes) = std::fs::read_dir("/proc") else { return Vec::new() };
    let found = processes.flatten().filter_map(|entry| {
        let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
        let cwd = entry.path().join("cwd").read_link().ok()?;
        let name = || std::fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
        cwd.starts_with(&real).then(|| Occupant { pid, name: name().trim_end().to_owned() })
    });
    found.collect()
}
