//! The names in a run's folder, and how small files get there whole.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
};

use serde::{Serialize, de::DeserializeOwned};

use crate::Stream;

pub const KEEPER_FILE: &str = "keeper.json";
pub const EXIT_FILE: &str = "exit.json";
pub const SOCKET: &str = "keeper.sock";

fn prefix(stream: Stream) -> &'static str {
    match stream {
        Stream::Stdout => "stdout-",
        Stream::Stderr => "stderr-",
    }
}

/// The segment whose first byte is the stream's byte `start`. Twenty digits hold every `u64`, so names
/// sort as offsets do.
pub fn segment(dir: &Path, stream: Stream, start: u64) -> PathBuf {
    dir.join(format!("{}{start:020}.spool", prefix(stream)))
}

/// Start offsets of the segments that exist, ascending.
pub fn segments(dir: &Path, stream: Stream) -> io::Result<Vec<u64>> {
    let mut starts = Vec::new();
    for entry in fs::read_dir(dir)? {
        let name = entry?.file_name();
        let start: Option<u64> = name
            .to_str()
            .and_then(|name| name.strip_prefix(prefix(stream)))
            .and_then(|name| name.strip_suffix(".spool"))
            .and_then(|digits| digits.parse().ok());
        starts.extend(start);
    }
    starts.sort_unstable();
    Ok(starts)
}

/// Removes the segments that lie wholly below `to`; the last one always stays.
pub fn remove_segments_below(dir: &Path, stream: Stream, to: u64) {
    let starts = segments(dir, stream).unwrap_or_default();
    for pair in starts.windows(2).filter(|pair| pair[1] <= to) {
        let _ = fs::remove_file(segment(dir, stream, pair[0]));
    }
}

/// Opens a new or existing file for appending; only its owner may read it.
pub fn append_private(path: &Path) -> io::Result<File> {
    private(OpenOptions::new().append(true).create(true)).open(path)
}

#[cfg(unix)]
fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600)
}

/// A file has the rights of its folder, and those below a person's profile are the person's own.
#[cfg(windows)]
fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    options
}

#[cfg(unix)]
pub fn make_private_dir(dir: &Path) -> io::Result<()> {
    use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    fs::set_permissions(dir, fs::Permissions::from_mode(0o700))
}

#[cfg(windows)]
pub fn make_private_dir(dir: &Path) -> io::Result<()> {
    fs::create_dir_all(dir)
}

/// What a written file must outlive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outlives {
    Processes,
    /// It is on disk when the call returns.
    PowerCut,
}

/// Readers see the old file or the new one, never a part.
pub fn write_json(
    dir: &Path,
    name: &str,
    value: &impl Serialize,
    outlives: Outlives,
) -> io::Result<()> {
    let temporary = dir.join(format!("{name}.new"));
    let mut file =
        private(OpenOptions::new().write(true).create(true).truncate(true)).open(&temporary)?;
    file.write_all(&serde_json::to_vec(value)?)?;
    if outlives == Outlives::PowerCut {
        file.sync_all()?;
    }
    // Windows does not rename what is open.
    drop(file);
    fs::rename(&temporary, dir.join(name))
}

/// `None` when the file is missing or not (yet) what it should be.
pub fn read_json<T: DeserializeOwned>(dir: &Path, name: &str) -> Option<T> {
    serde_json::from_slice(&fs::read(dir.join(name)).ok()?).ok()
}
