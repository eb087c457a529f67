//! Which processes stand in a folder. Removing a folder under a process leaves it in a place that is
//! gone, and what it writes next is lost.
//!
//! Linux reads `/proc/<pid>/cwd`. Other systems ask `lsof`, which macOS brings along. Processes of
//! other users cannot be looked at and are left out. Where neither is there, the answer says that
//! nothing was checked; the runs that use a worktree are known to the caller in any case.

use std::path::Path;

/// A process and its name.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Occupant {
    pub(crate) pid: u32,
    pub(crate) name: String,
}

/// `None`: this system gave no way to look.
pub(crate) async fn occupants(dir: &Path, path: &str) -> Option<Vec<Occupant>> {
    let Ok(real) = dir.canonicalize() else { return Some(Vec::new()) };
    system::look(&real, path).await
}

#[cfg(target_os = "linux")]
mod system {
    use super::*;

    pub(super) async fn look(real: &Path, _path: &str) -> Option<Vec<Occupant>> {
        let processes = std::fs::read_dir("/proc").ok()?;
        let found = processes.flatten().filter_map(|entry| {
            let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
            let cwd = entry.path().join("cwd").read_link().ok()?;
            let name = || std::fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
            cwd.starts_with(real).then(|| Occupant { pid, name: name().trim_end().to_owned() })
        });
        Some(found.collect())
    }
}

#[cfg(not(target_os = "linux"))]
use lsof as system;

#[cfg(any(test, not(target_os = "linux")))]
mod lsof {
    use std::time::Duration;

    use musher_process::{Cmd, find_program};

    use super::*;

    /// On macOS `lsof` is in `/usr/sbin`, which is not in every `PATH`.
    const PLACES: &str = "/usr/sbin:/usr/bin";

    pub(super) async fn look(real: &Path, path: &str) -> Option<Vec<Occupant>> {
        let program = find_program("lsof", &format!("{PLACES}:{path}"))?;
        // No warnings, no names of hosts and ports; only working folders; by field.
        let mut cmd = Cmd::new(program, "/").args(["-w", "-n", "-P", "-d", "cwd", "-F", "pcn"]);
        cmd.timeout = Duration::from_secs(20);
        let said = musher_process::run(cmd).await.ok()?.stdout;
        // It ends with 1 when it could not look at every process, so only silence is a failure.
        (!said.is_empty()).then(|| parse(&String::from_utf8_lossy(&said), real))
    }

    /// Each line begins with its field's letter (lsof(8), "OUTPUT FOR OTHER PROGRAMS"): `p` and a pid
    /// begin a process, `c` is its command, `n` the folder.
    pub(super) fn parse(said: &str, real: &Path) -> Vec<Occupant> {
        let (mut pid, mut name) = (None, "");
        let mut found = Vec::new();
        for line in said.lines() {
            match (line.get(..1), line.get(1..)) {
                (Some("p"), Some(number)) => (pid, name) = (number.parse().ok(), ""),
                (Some("c"), Some(command)) => name = command,
                (Some("n"), Some(cwd)) if Path::new(cwd).starts_with(real) => {
                    found.extend(pid.map(|pid| Occupant { pid, name: name.to_owned() }));
                }
                _ => {}
            }
        }
        found
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn only_processes_inside_are_named() {
        let said = "p1\nclaunchd\nfcwd\nn/\np77\nczsh\nfcwd\nn/w/x/deep er\np78\ncnode\nfcwd\nn/w/xy\n\
                    p79\nccat\nfcwd\nn/w/x\n";
        let found = lsof::parse(said, Path::new("/w/x"));
        let brief: Vec<_> = found.iter().map(|one| (one.pid, one.name.as_str())).collect();
        assert_eq!(brief, [(77, "zsh"), (79, "cat")]);
    }

    /// Where `lsof` is installed it must say what `/proc` does.
    #[tokio::test]
    async fn both_ways_see_this_process() {
        let here = std::env::current_dir().unwrap();
        let path = std::env::var("PATH").unwrap();
        let me = |found: &[Occupant]| found.iter().any(|one| one.pid == std::process::id());
        assert!(me(&occupants(&here, &path).await.unwrap()));
        if let Some(found) = lsof::look(&here.canonicalize().unwrap(), &path).await {
            assert!(me(&found), "{found:?}");
        }
    }
}
