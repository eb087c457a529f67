//! What the tools of a run keep in its folder, and how long.
//!
//! Each command and each tool server has a folder of its keeper in `tools/`. The model, and with it the
//! transcript, is told at most [`TOLD`] bytes of what a command says. So, once the run is over, what was
//! told whole goes ([`clean_told`]); what was cut stays as long as somebody may look for it
//! ([`clean`] ends that). The few bytes of how a command ended always stay. While a command runs its
//! output is there as it says it; what is kept longer holds no secret ([`hide`]).

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use musher_process::ProcessError;
use musher_runtime::Secrets;

use crate::output::TOLD;

/// In a run's folder.
pub const FOLDER: &str = "tools";
/// A command's folder begins so, and no tool server's does.
pub const OF_COMMAND: &str = "c-";
/// How the names of a keeper's spools begin.
pub const OUTPUT: &str = "stdout-";
const ERRORS: &str = "stderr-";

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
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    if !name.starts_with(OF_COMMAND) {
        return true;
    }
    let spools = spools(folder, OUTPUT);
    let said: u64 = spools.iter().filter_map(|it| it.metadata().ok()).map(|it| it.len()).sum();
    said <= TOLD as u64
}

/// The files of a stream, in the order in which they were written.
pub fn spools(folder: &Path, stream: &str) -> Vec<PathBuf> {
    let files = fs::read_dir(folder).into_iter().flatten().flatten();
    let is_spool = |name: &str| name.starts_with(stream) && name.ends_with(".spool");
    let mut spools: Vec<PathBuf> = files
        .filter(|file| is_spool(&file.file_name().to_string_lossy()))
        .map(|file| file.path())
        .collect();
    spools.sort_unstable();
    spools
}

/// Takes the secrets out of what was said in this folder. What cannot be written anew goes: nobody may
/// find a key there later.
pub async fn hide(folder: PathBuf, secrets: &Secrets) {
    if secrets.is_empty() {
        return;
    }
    let secrets = secrets.clone();
    let hidden = tokio::task::spawn_blocking(move || {
        for stream in [OUTPUT, ERRORS] {
            let spools = spools(&folder, stream);
            if let Err(error) = hide_in(&spools, &secrets) {
                tracing::warn!(%error, folder = %folder.display(), "an output is not kept");
                spools.iter().for_each(|spool| drop(fs::remove_file(spool)));
            }
        }
    });
    // It does not panic, and is not cut off.
    let _ = hidden.await;
}

/// All of a stream becomes one file: a secret may lie across two.
fn hide_in(spools: &[PathBuf], secrets: &Secrets) -> io::Result<()> {
    let Some((first, more)) = spools.split_first() else { return Ok(()) };
    let draft = first.with_extension("hidden");
    let put = match write_hidden(&draft, spools, secrets) {
        Ok(true) => fs::rename(&draft, first),
        Ok(false) => return fs::remove_file(draft),
        Err(error) => Err(error),
    };
    if put.is_err() {
        // Nobody would find it again to remove it. Where it was never made there is nothing to do.
        let _ = fs::remove_file(draft);
    }
    put?;
    more.iter().try_for_each(fs::remove_file)
}

/// Whether anything was hidden.
fn write_hidden(draft: &Path, spools: &[PathBuf], secrets: &Secrets) -> io::Result<bool> {
    let mut written =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(draft)?;
    let mut hiding = secrets.stream();
    let mut bytes = vec![0; 64 << 10];
    for spool in spools {
        let mut said = File::open(spool)?;
        loop {
            match said.read(&mut bytes)? {
                0 => break,
                count => written.write_all(&hiding.take(&bytes[..count]))?,
            }
        }
    }
    written.write_all(&hiding.finish())?;
    Ok(hiding.has_hidden())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[tokio::test]
    async fn what_cannot_be_written_anew_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("stdout-0.spool"), "canary+9d31").unwrap();
        // It can be opened and not be read.
        fs::create_dir(path("stdout-1.spool")).unwrap();
        let secrets = Secrets::new([&secrecy::SecretString::from("canary+9d31")]);
        hide(folder.path().to_owned(), &secrets).await;
        let left = fs::read_dir(folder.path()).unwrap().map(|it| it.unwrap().file_name());
        assert_eq!(left.collect::<Vec<_>>(), ["stdout-1.spool"]);
    }
}
