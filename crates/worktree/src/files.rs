//! Looking at files of a worktree without following anything out of it.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};

use crate::error::{Result, WorktreeError};

/// What an untracked file holds.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Content {
    /// Its first bytes, and whether there were more.
    Text {
        text: String,
        cut: bool,
    },
    Binary,
    /// Not a file, a link or readable: nothing to show.
    Nothing,
}

/// Reads or deletes many files without holding up the tasks of this thread.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    let joined = tokio::task::spawn_blocking(work).await;
    joined.unwrap_or_else(|gone| {
        Err(WorktreeError::Failed { what: "reading files".into(), said: gone.to_string() })
    })
}

/// Checks that a path from outside names something in the worktree, and gives it whole. Refuses
/// absolute paths, `..`, and folders that are links leading out.
pub(crate) fn inside(worktree: &Path, path: &str) -> Result<PathBuf> {
    let outside = || WorktreeError::PathOutside(path.to_owned());
    let relative = Path::new(path);
    let plain = relative.components().all(|part| matches!(part, Component::Normal(_)));
    if path.is_empty() || path.contains('\0') || !plain {
        return Err(outside());
    }
    let whole = worktree.join(relative);
    let mut parent = whole.parent();
    while let Some(dir) = parent.filter(|dir| !dir.exists()) {
        parent = dir.parent();
    }
    let real_parent = parent.and_then(|dir| dir.canonicalize().ok()).ok_or_else(outside)?;
    let real_top = worktree.canonicalize().map_err(|e| WorktreeError::io(worktree, e))?;
    if real_parent.starts_with(&real_top) { Ok(whole) } else { Err(outside()) }
}

/// Reads at most `limit` bytes. A link's content is where it leads, as git stores it; pipes and
/// devices are never opened.
pub(crate) fn content(path: &Path, limit: u64) -> Content {
    let Ok(meta) = path.symlink_metadata() else { return Content::Nothing };
    if meta.is_symlink() {
        let target = path.read_link().map(|t| t.to_string_lossy().into_owned());
        return target.map_or(Content::Nothing, |text| Content::Text { text, cut: false });
    }
    if !meta.is_file() {
        return Content::Nothing;
    }
    let mut bytes = Vec::new();
    let read = open_file(path).and_then(|file| file.take(limit).read_to_end(&mut bytes));
    match read {
        Err(_) => Content::Nothing,
        Ok(_) if looks_binary(&bytes) => Content::Binary,
        Ok(_) => Content::Text {
            cut: meta.len() > limit,
            text: String::from_utf8_lossy(&bytes).into_owned(),
        },
    }
}

/// What became a link or a pipe since it was looked at is not read, nor waited for.
fn open_file(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.read(true);
    #[cfg(unix)]
    {
        use rustix::fs::OFlags;
        use std::os::unix::fs::OpenOptionsExt;
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
        options.custom_flags(flags.bits().cast_signed());
    }
    let file = options.open(path)?;
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(io::ErrorKind::InvalidInput.into()),
    }
}

/// git's own test: a NUL in the first 8,000 bytes (`xdiff-interface.c`, `buffer_is_binary`).
fn looks_binary(bytes: &[u8]) -> bool {
    bytes.iter().take(8000).any(|byte| *byte == 0)
}

/// Lines as git counts them: an unfinished last one counts.
pub(crate) fn line_count(text: &str) -> u32 {
    u32::try_from(text.lines().count()).unwrap_or(u32::MAX)
}
