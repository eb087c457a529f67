//! A run's own cgroup (version 2), where one may be made: what is started in it stays in it, however
//! it leaves the tree, its session or its environment behind, and even when the keeper is killed.
//!
//! One may be made where the keeper's own cgroup is writable: by root, and in what systemd delegates to
//! a person's own services and scopes. Elsewhere (cgroup v1 alone, a read-only mount, a login session's
//! scope, a threaded cgroup, no Linux) there is none, and nothing else changes. No controller is
//! switched on, so the rule that a cgroup with controllers holds no processes of its own is kept.
//!
//! The kernel's words: `cgroup.procs` lists the living and takes a pid (0 is the writer), `cgroup.kill`
//! takes a 1 and is safe against what forks faster than it is listed (Linux 5.14). Both from the
//! kernel's `Documentation/admin-guide/cgroup-v2.rst`.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    path::{Component, Path, PathBuf},
    time::Duration,
};

const PROCESSES: &str = "cgroup.procs";
const KILL: &str = "cgroup.kill";
const LONGEST_NAME: usize = 100;
const REMOVALS: u32 = 50;

/// The keeper's hold on its run's cgroup, which is removed with it. It can be removed only when it is
/// empty: one that holds what could not be ended stays.
pub struct Cgroup {
    path: PathBuf,
    /// Where the keeper itself was before, and belongs.
    home: PathBuf,
    /// The keeper is in it. What it starts then is in it from its first moment.
    inside: bool,
}

impl Cgroup {
    /// Makes one below our own, and goes in. `None` where that may not be.
    pub fn enter_new(mark: &str) -> Option<Self> {
        let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
        let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
        Self::enter_new_in(own_cgroup(&groups, &mounts)?, &name(mark, std::process::id()))
    }

    fn enter_new_in(home: PathBuf, name: &str) -> Option<Self> {
        let path = home.join(name);
        fs::create_dir(&path).ok()?;
        let mut made = Self { path, home, inside: false };
        made.inside = write(&made.path.join(PROCESSES), "0").is_ok();
        made.inside.then_some(made)
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Takes the keeper out again; what it has started stays. Should it be impossible, the keeper is
    /// spared below.
    pub fn leave(&mut self) {
        if self.inside && write(&self.home.join(PROCESSES), "0").is_ok() {
            self.inside = false;
        }
    }

    /// The living in it, without the keeper.
    #[cfg(any(test, target_os = "linux"))]
    pub fn processes(&self) -> Vec<u32> {
        let mut found = processes(&self.path);
        found.retain(|&pid| pid != std::process::id());
        found
    }

    pub fn kill(&self) {
        if !self.inside {
            kill(&self.path);
        }
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        self.leave();
        remove(&self.path);
    }
}

/// The living in a cgroup and the cgroups below it.
pub fn processes(cgroup: &Path) -> Vec<u32> {
    let mut found = Vec::new();
    for folder in with_below(cgroup) {
        let listed = fs::read_to_string(folder.join(PROCESSES)).unwrap_or_default();
        // 0 stands for a process that our pid namespace does not see.
        found
            .extend(listed.lines().filter_map(|pid| pid.parse().ok()).filter(|&pid: &u32| pid > 0));
    }
    found
}

/// Kills everything in it and below. Nothing happens on a kernel that cannot.
pub fn kill(cgroup: &Path) {
    let _ = write(&cgroup.join(KILL), "1");
}

/// Removes it and the cgroups below it, as far as they are empty. One whose last process has just died
/// can be busy for a moment.
pub fn remove(cgroup: &Path) {
    for _ in 0..REMOVALS {
        for folder in with_below(cgroup).iter().rev() {
            let _ = fs::remove_dir(folder);
        }
        if !cgroup.exists() || !processes(cgroup).is_empty() {
            return;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Parents before their children.
fn with_below(cgroup: &Path) -> Vec<PathBuf> {
    let mut all = vec![cgroup.to_owned()];
    let mut next = 0;
    while let Some(folder) = all.get(next) {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        let below = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
        let below: Vec<PathBuf> = below.map(|entry| entry.path()).collect();
        all.extend(below);
        next += 1;
    }
    all
}

/// Never makes the file: a folder that only looks like a cgroup is none.
fn write(file: &Path, text: &str) -> io::Result<()> {
    OpenOptions::new().write(true).open(file)?.write_all(text.as_bytes())
}

fn name(mark: &str, keeper: u32) -> String {
    let plain = |byte: char| byte.is_ascii_alphanumeric() || byte == '-';
    let mark: String = mark.chars().filter(|&byte| plain(byte)).take(LONGEST_NAME).collect();
    format!("musher-{mark}-{keeper}")
}

/// The folder of our own cgroup, from `/proc/self/cgroup` (cgroups(7): the line `0::<path>`) and
/// `/proc/self/mountinfo` (proc_pid_mountinfo(5): the mount's root is field 4, its place field 5, the
/// kind follows a lone dash).
fn own_cgroup(groups: &str, mounts: &str) -> Option<PathBuf> {
    let own = Path::new(groups.lines().find_map(|line| line.strip_prefix("0::"))?);
    mounts.lines().find_map(|line| {
        let (place, kind) = line.split_once(" - ")?;
        if kind.split(' ').next() != Some("cgroup2") {
            return None;
        }
        let mut fields = place.split(' ').skip(3);
        let (root, place) = (fields.next()?, fields.next()?);
        let below = own.strip_prefix(root).ok()?;
        let plain = below.components().all(|part| matches!(part, Component::Normal(_)));
        plain.then(|| Path::new(place).join(below))
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const MOUNTS: &str = "22 26 0:20 / /sys rw - sysfs sysfs rw
35 22 0:30 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate
36 22 0:31 / /tmp rw - tmpfs tmpfs rw
";

    /// Looks like a cgroup that holds some.
    fn fake(folder: &Path, pids: &str) {
        fs::create_dir_all(folder).unwrap();
        fs::write(folder.join(PROCESSES), pids).unwrap();
    }

    #[test]
    fn our_own_cgroup_is_found() {
        let found = |groups: &str, mounts: &str| own_cgroup(groups, mounts);
        let scope = "0::/user.slice/user-1000.slice/user@1000.service/app.slice/app-musher.scope\n";
        let folder = "/sys/fs/cgroup/user.slice/user-1000.slice/user@1000.service/app.slice/\
            app-musher.scope";
        assert_eq!(found(scope, MOUNTS), Some(folder.into()));
        let both = "4:memory:/a\n0::/b\n";
        let hybrid = "34 31 0:29 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids
41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";
        assert_eq!(found(both, hybrid), Some("/sys/fs/cgroup/unified/b".into()));
        let part = "41 31 0:38 /docker/c1 /sys/fs/cgroup rw - cgroup2 cgroup rw\n";
        assert_eq!(found("0::/docker/c1/x\n", part), Some("/sys/fs/cgroup/x".into()));
    }

    #[test]
    fn what_is_not_ours_to_see_is_not_guessed() {
        let only_old = "1:name=systemd:/x\n";
        assert_eq!(own_cgroup(only_old, MOUNTS), None);
        assert_eq!(own_cgroup("0::/../outside\n", MOUNTS), None);
        let other = "41 31 0:38 /docker/c1 /sys/fs/cgroup rw - cgroup2 cgroup rw\n";
        assert_eq!(own_cgroup("0::/docker/c2\n", other), None);
        assert_eq!(own_cgroup("0::/a\n", "36 22 0:31 / /tmp rw - tmpfs tmpfs rw\n"), None);
    }

    #[test]
    fn where_none_may_be_made_none_is_left() {
        let folder = tempfile::tempdir().unwrap();
        // No cgroup: the new folder has no list to be entered in.
        assert!(Cgroup::enter_new_in(folder.path().to_owned(), "run").is_none());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        assert!(Cgroup::enter_new_in(folder.path().join("missing"), "run").is_none());
    }

    #[test]
    fn all_below_are_listed() {
        let folder = tempfile::tempdir().unwrap();
        let run = folder.path().join("run");
        fake(&run, "12\n0\n7\n");
        fake(&run.join("inner"), "");
        fake(&run.join("inner/most"), "99\n");
        let mut found = processes(&run);
        found.sort_unstable();
        assert_eq!(found, [7, 12, 99]);
        assert_eq!(processes(&folder.path().join("gone")), [0; 0]);
    }

    #[test]
    fn a_keeper_that_cannot_get_out_is_spared() {
        let folder = tempfile::tempdir().unwrap();
        let (home, path) = (folder.path().join("home"), folder.path().join("run"));
        fake(&path, &format!("{}\n12\n", std::process::id()));
        fs::write(path.join(KILL), "").unwrap();
        let mut cgroup = Cgroup { path: path.clone(), home: home.clone(), inside: true };
        cgroup.leave();
        cgroup.kill();
        assert_eq!(cgroup.processes(), [12]);
        assert_eq!(fs::read_to_string(path.join(KILL)).unwrap(), "");
        fake(&home, "");
        cgroup.leave();
        cgroup.kill();
        assert_eq!(fs::read_to_string(home.join(PROCESSES)).unwrap(), "0");
        assert_eq!(fs::read_to_string(path.join(KILL)).unwrap(), "1");
    }

    #[test]
    fn empty_ones_are_removed_from_the_inside_out() {
        let folder = tempfile::tempdir().unwrap();
        let run = folder.path().join("run");
        fs::create_dir_all(run.join("a/b")).unwrap();
        fs::create_dir_all(run.join("c")).unwrap();
        remove(&run);
        assert!(!run.exists());
    }

    #[test]
    fn a_name_is_plain_and_fits() {
        assert_eq!(name("run/../x 1", 7), "musher-runx1-7");
        assert!(name(&"long".repeat(100), u32::MAX).len() < 255);
    }
}
