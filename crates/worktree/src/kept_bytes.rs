//! Puts the bytes of changed files into an index as they lie in the folder.
//!
//! `git add` changes line ends and more where attributes say so, and git before 2.41 cannot be told to
//! overlook the attributes of the folder. `hash-object --no-filters` reads none in any version.

use crate::error::{Result, WorktreeError};
use crate::git::{Git, LONG_LIMIT, Place};

/// A regular file that the index holds and `HEAD` does not, or not so.
struct Changed<'a> {
    mode: &'a str,
    /// As in the index: it need not be UTF-8.
    path: &'a [u8],
}

impl Git {
    /// For an index of our own, in which all files were added already.
    pub(crate) async fn keep_bytes(&self, private: Place<'_>, head: Option<&str>) -> Result<()> {
        let base = match head {
            Some(head) => head,
            None => self.prepare(private).await?.empty_tree,
        };
        let list = ["diff-index", "--cached", "--raw", "-z", "--no-renames", "--diff-filter=AMT"];
        let listing = self.call(private, &list).arg(base).done().await?.stdout;
        let changed = changed(&listing);
        if changed.is_empty() {
            return Ok(());
        }
        let names = changed.iter().flat_map(|file| quoted(file.path)).collect();
        let hash = self.call(private, &["hash-object", "-w", "--no-filters", "--stdin-paths"]);
        let hashed = hash.input(names).limit(LONG_LIMIT).done().await?.text();
        let ids: Vec<&str> = hashed.lines().collect();
        if ids.len() != changed.len() {
            let why = format!("git kept {} of {} files", ids.len(), changed.len());
            return Err(WorktreeError::CannotRescue { path: private.dir().to_owned(), why });
        }
        let entries = changed.iter().zip(ids).flat_map(|(file, id)| entry(file, id)).collect();
        self.call(private, &["update-index", "-z", "--index-info"]).input(entries).done().await?;
        Ok(())
    }
}

/// Reads `:<mode> <mode> <id> <id> <letter> NUL <path> NUL` (git's diff-format). Links and
/// repositories inside are kept by `git add` as they are.
fn changed(listing: &[u8]) -> Vec<Changed<'_>> {
    let mut parts = listing.split(|byte| *byte == 0);
    let mut files = Vec::new();
    while let (Some(facts), Some(path)) = (parts.next(), parts.next()) {
        let mode = std::str::from_utf8(facts).ok().and_then(|facts| facts.split(' ').nth(1));
        if let Some(mode @ ("100644" | "100755")) = mode {
            files.push(Changed { mode, path });
        }
    }
    files
}

/// One line for `--stdin-paths`. A quoted one is read as in C, so that no name can end its line.
fn quoted(path: &[u8]) -> Vec<u8> {
    let mut line = vec![b'"'];
    for byte in path {
        match byte {
            b'"' | b'\\' => line.extend([b'\\', *byte]),
            b'\n' => line.extend(b"\\n"),
            _ => line.push(*byte),
        }
    }
    line.extend(b"\"\n");
    line
}

fn entry(file: &Changed<'_>, id: &str) -> Vec<u8> {
    let mut entry = format!("{} {id}\t", file.mode).into_bytes();
    entry.extend(file.path);
    entry.push(0);
    entry
}
