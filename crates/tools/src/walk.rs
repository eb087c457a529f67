//! Goes through folders by descriptor: each is opened in the one above it, by its name alone and never
//! through a link, so nothing outside of where it began is ever seen. What `.gitignore` and `.ignore`
//! of the worktree say is left out (by ripgrep's own crate); so is everything of git's. A person's
//! global ignore file and `.git/info/exclude` lie outside, and are not read.

use std::{
    fs::File,
    io::Read,
    ops::ControlFlow,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use ignore::{
    Match,
    gitignore::{Gitignore, GitignoreBuilder},
};
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags};
use tokio_util::sync::CancellationToken;

use crate::{
    paths::{Folder, Relative, is_git},
    site::Site,
};

const DEEPEST: usize = 64;
/// Names looked at in one walk.
const MOST_NAMES: usize = 400_000;
const IGNORE_FILES: &[&str] = &[".gitignore", ".ignore"];
const LARGEST_IGNORE: u64 = 1 << 20;
const READ: OFlags = OFlags::RDONLY
    .union(OFlags::NONBLOCK)
    .union(OFlags::CLOEXEC)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::NOCTTY);

pub struct Walk<'a> {
    site: &'a Site,
    stop: &'a CancellationToken,
    /// Also what the ignore files leave out.
    pub ignored: bool,
    pub depth: usize,
    names: usize,
    /// From the worktree's folder down: what each folder's ignore files say, and its place.
    said: Vec<(Gitignore, usize)>,
    /// Why it is not all.
    pub cut: Option<&'static str>,
}

/// One file, folder or link.
pub struct Entry<'a> {
    pub path: &'a Relative,
    pub kind: FileType,
    /// A folder whose content is left out because it lies too deep.
    pub closed: bool,
    folder: BorrowedFd<'a>,
    name: &'a str,
}

impl Entry<'_> {
    /// Opens a regular file; nothing when it is none (any more).
    pub fn open(&self) -> Option<File> {
        open_file(self.folder, self.name)
    }
}

type Each<'e> = dyn FnMut(&Entry<'_>) -> ControlFlow<()> + 'e;

impl<'a> Walk<'a> {
    pub fn new(site: &'a Site, stop: &'a CancellationToken) -> Self {
        let said = Vec::new();
        Self { site, stop, ignored: false, depth: DEEPEST, names: 0, said, cut: None }
    }

    /// Everything beneath `folder`, in the order of names.
    pub fn go(&mut self, folder: &Folder, each: &mut Each<'_>) {
        self.hear_above(&folder.place);
        let _ = self.folder(folder.fd.as_fd(), &folder.place, 1, each);
    }

    fn hear_above(&mut self, place: &Relative) {
        let mut above = Vec::new();
        let mut at = place.clone();
        while let Some((parent, _)) = at.split() {
            above.push(parent.clone());
            at = parent;
        }
        for place in above.into_iter().rev() {
            if let Ok(folder) = self.site.root.open_folder(&place) {
                self.hear(folder.fd.as_fd(), &place);
            }
        }
    }

    fn hear(&mut self, folder: BorrowedFd<'_>, place: &Relative) {
        if self.ignored {
            return;
        }
        let mut builder = GitignoreBuilder::new("");
        let mut any = false;
        for name in IGNORE_FILES {
            let Some(file) = open_file(folder, name) else { continue };
            let mut text = Vec::new();
            if file.take(LARGEST_IGNORE).read_to_end(&mut text).is_err() {
                continue;
            }
            for line in String::from_utf8_lossy(&text).lines() {
                any |= builder.add_line(None, line).is_ok();
            }
        }
        if let (true, Ok(said)) = (any, builder.build()) {
            self.said.push((said, place.parts().count()));
        }
    }

    fn is_ignored(&self, path: &Relative, is_folder: bool) -> bool {
        for (said, depth) in self.said.iter().rev() {
            let inner: Vec<&str> = path.parts().skip(*depth).collect();
            match said.matched(inner.join("/"), is_folder) {
                Match::Ignore(_) => return true,
                Match::Whitelist(_) => return false,
                Match::None => {}
            }
        }
        false
    }

    fn folder(
        &mut self,
        folder: BorrowedFd<'_>,
        place: &Relative,
        depth: usize,
        each: &mut Each<'_>,
    ) -> ControlFlow<()> {
        let heard = self.said.len();
        self.hear(folder, place);
        let mut flow = ControlFlow::Continue(());
        for (name, kind) in self.names(folder) {
            flow = self.entry(folder, &place.join(&name), (&name, kind), depth, each);
            if flow.is_break() {
                break;
            }
        }
        self.said.truncate(heard);
        flow
    }

    fn entry(
        &mut self,
        folder: BorrowedFd<'_>,
        path: &Relative,
        (name, kind): (&str, FileType),
        depth: usize,
        each: &mut Each<'_>,
    ) -> ControlFlow<()> {
        if self.stop.is_cancelled() || self.names > MOST_NAMES {
            self.cut = Some("there is too much to look at all of it; name a folder");
            return ControlFlow::Break(());
        }
        let is_folder = kind == FileType::Directory;
        if self.is_ignored(path, is_folder) {
            return ControlFlow::Continue(());
        }
        let closed = is_folder && depth >= self.depth;
        each(&Entry { path, kind, closed, folder, name })?;
        if !is_folder || closed {
            return ControlFlow::Continue(());
        }
        match rustix::fs::openat(folder, name, READ | OFlags::DIRECTORY, Mode::empty()) {
            Ok(inner) => self.folder(inner.as_fd(), path, depth + 1, each),
            Err(_) => ControlFlow::Continue(()),
        }
    }

    /// What is in a folder, sorted. Names that are not UTF-8 cannot be told to a model.
    fn names(&mut self, folder: BorrowedFd<'_>) -> Vec<(String, FileType)> {
        let Ok(dir) = Dir::read_from(folder) else { return Vec::new() };
        let mut names = Vec::new();
        for entry in dir.flatten() {
            self.names += 1;
            if self.names > MOST_NAMES {
                break;
            }
            let Ok(name) = entry.file_name().to_str() else { continue };
            if matches!(name, "." | "..") || is_git(name) {
                continue;
            }
            let kind = match entry.file_type() {
                FileType::Unknown => kind_of(folder, name),
                kind => kind,
            };
            names.push((name.to_owned(), kind));
        }
        names.sort_by(|a, b| a.0.cmp(&b.0));
        names
    }
}

fn kind_of(folder: BorrowedFd<'_>, name: &str) -> FileType {
    let stat = rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW);
    stat.map_or(FileType::Unknown, |stat| FileType::from_raw_mode(stat.st_mode))
}

fn open_file(folder: BorrowedFd<'_>, name: &str) -> Option<File> {
    let fd: OwnedFd = rustix::fs::openat(folder, name, READ, Mode::empty()).ok()?;
    let stat = rustix::fs::fstat(&fd).ok()?;
    let is_file = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
    is_file.then(|| File::from(fd))
}
