//! Where a program is.

use std::path::{Path, PathBuf};

/// The first file called `name` in `path` (a `PATH` value) that may be run. A name with a folder in it
/// is taken as it is. Entries that are not absolute are skipped, so that no worktree can put its own
/// program in the way.
pub fn find_program(name: &str, path: &str) -> Option<PathBuf> {
    if name.contains(std::path::MAIN_SEPARATOR) {
        return is_program(Path::new(name)).then(|| PathBuf::from(name));
    }
    std::env::split_paths(path)
        .filter(|folder| folder.is_absolute())
        .map(|folder| folder.join(name))
        .find(|candidate| is_program(candidate))
}

#[cfg(unix)]
fn is_program(path: &Path) -> bool {
    path.is_file() && rustix::fs::access(path, rustix::fs::Access::EXEC_OK).is_ok()
}

#[cfg(not(unix))]
fn is_program(path: &Path) -> bool {
    path.is_file()
}
