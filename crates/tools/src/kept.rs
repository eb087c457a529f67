//! What the tools of a run keep in its folder, and how long.
//!
//! Each command and each tool server has a folder of its keeper in `tools/`. The model, and with it the
//! transcript, is told at most [`TOLD`] bytes of what a command says. So, once the run is over, what was
//! told whole goes ([`clean_told`]); what was cut stays as long as somebody may look for it
//! ([`clean`] ends that). The few bytes of how a command ended always stay.

use std::{
    fs,
    path::{Path, PathBuf},
};

use musher_process::ProcessError;

use crate::output::TOLD;

/// In a run's folder.
pub const FOLDER: &str = "tools";
/// A command's folder begins so, and no tool server's does.
pub const OF_COMMAND: &str = "c-";

/// The folders of the keepers of a run's tools.
pub fn folders(run_dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(run_dir.join(FOLDER)).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect()
}

/// Removes what the tools of a run that is over have kept and its transcript holds whole: the output
/// of commands that was not cut, and what tool servers said.
///
/// # Errors
/// `Refused` when one of them is not over; the others are cleaned all the same.
pub fn clean_told(run_dir: &Path) -> Result<(), ProcessError> {
    clean_those(folders(run_dir).into_iter().filter(|folder| is_told(folder)))
}

/// Removes all that the tools of a run that is over have kept.
///
/// # Errors
/// As [`clean_told`].
pub fn clean(run_dir: &Path) -> Result<(), ProcessError> {
    clean_those(folders(run_dir).into_iter())
}

fn clean_those(folders: impl Iterator<Item = PathBuf>) -> Result<(), ProcessError> {
    let cleaned: Vec<_> = folders.map(|folder| musher_process::clean(&folder)).collect();
    cleaned.into_iter().collect()
}

/// Whether a model was told all of what was said here.
fn is_told(folder: &Path) -> bool {
    let named = |path: &Path, start: &str| {
        path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(start))
    };
    if !named(folder, OF_COMMAND) {
        return true;
    }
    let files = fs::read_dir(folder).into_iter().flatten().flatten();
    let spools = files.filter(|file| named(&file.path(), "stdout-"));
    let said: u64 = spools.filter_map(|spool| spool.metadata().ok()).map(|it| it.len()).sum();
    said <= TOLD as u64
}
