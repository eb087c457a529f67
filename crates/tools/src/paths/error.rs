//! Why a path is refused, for the model: one sentence with what to do in its place.

use rustix::{fs::FileType, io::Errno};

use super::Relative;
use crate::show::visible;

#[derive(Debug, thiserror::Error)]
pub enum PathError {
    #[error("{} leads out of the worktree; only what is in it can be reached.", visible(.0))]
    Outside(String),
    #[error("{} belongs to git; use git itself in place of its files.", visible(.0))]
    Git(String),
    #[error("The path {} cannot be used: {why}.", visible(.path))]
    Name { path: String, why: &'static str },
    #[error("There is no {} in the worktree; list_files shows what there is.", visible(.0))]
    Missing(String),
    #[error("{} is {kind}; only regular files can be read and written.", visible(.path))]
    Kind { path: String, kind: &'static str },
    #[error("{} cannot be written: it is read-only; change its mode first.", visible(.0))]
    ReadOnly(String),
    #[error("{} was changed by somebody else just now; read it again and try again.", visible(.0))]
    Changing(String),
    #[error("{} could not be reached: {error}.", visible(.path))]
    Io { path: String, error: std::io::Error },
}

pub(super) fn of(path: &Relative, errno: Errno) -> PathError {
    let shown = path.to_string();
    match errno {
        Errno::XDEV => PathError::Outside(shown),
        Errno::NOENT => PathError::Missing(shown),
        // What open says of a socket.
        Errno::NXIO => PathError::Kind { path: shown, kind: kind(FileType::Socket) },
        Errno::LOOP => PathError::Name {
            path: shown,
            why: "its links lead nowhere, round in a circle or away",
        },
        Errno::NAMETOOLONG => PathError::Name { path: shown, why: "it is too long" },
        Errno::NOTDIR => {
            PathError::Name { path: shown, why: "a part of it is a file where a folder must be" }
        }
        errno => PathError::Io { path: shown, error: errno.into() },
    }
}

pub(super) fn kind(kind: FileType) -> &'static str {
    match kind {
        FileType::RegularFile => "a file",
        FileType::Directory => "a folder",
        FileType::Symlink => "a link that leads to nothing",
        FileType::Fifo => "a FIFO",
        FileType::Socket => "a socket",
        FileType::CharacterDevice | FileType::BlockDevice => "a device",
        _ => "something unknown",
    }
}
