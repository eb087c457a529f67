//! Where a program is.

use std::path::{Path, PathBuf};

/// The first file called `name` in `path` (a `PATH` value) that may be run. A name with a folder in it
/// is taken as it is. Entries that are not absolute are skipped, so that no worktree can put its own
/// program in the way.
pub fn find_program(name: &str, path: &str) -> Option<PathBuf> {
    if Path::new(name).components().count() > 1 {
        return spellings(Path::new(name)).into_iter().find(|path| is_program(path));
    }
    std::env::split_paths(path)
        .filter(|folder| folder.is_absolute())
        .flat_map(|folder| spellings(&folder.join(name)))
        .find(|candidate| is_program(candidate))
}

#[cfg(unix)]
fn is_program(path: &Path) -> bool {
    path.is_file() && rustix::fs::access(path, rustix::fs::Access::EXEC_OK).is_ok()
}

#[cfg(windows)]
fn is_program(path: &Path) -> bool {
    path.is_file()
}

#[cfg(unix)]
fn spellings(path: &Path) -> Vec<PathBuf> {
    vec![path.to_owned()]
}

/// A name is completed there: `claude` is `claude.exe`, or the `claude.cmd` that npm makes.
#[cfg(windows)]
fn spellings(path: &Path) -> Vec<PathBuf> {
    let complete = path
        .extension()
        .is_some_and(|end| ENDINGS.iter().any(|known| end.eq_ignore_ascii_case(known)));
    if complete {
        return vec![path.to_owned()];
    }
    let with = |end: &&str| {
        let mut name = path.as_os_str().to_owned();
        name.push(".");
        name.push(end);
        name.into()
    };
    ENDINGS.iter().map(with).collect()
}

#[cfg(windows)]
const ENDINGS: &[&str] = &["exe", "com", "cmd", "bat"];
