//! What the text of a path tells before anything is opened.

use std::{
    ffi::OsStr,
    fmt,
    path::{Path, PathBuf},
};

use super::PathError;
use crate::show;

/// PATH_MAX and NAME_MAX of Linux (limits.h); others allow less, and say so when it is opened.
const LONGEST: usize = 4095;
const LONGEST_PART: usize = 255;

/// A path beneath the root: parts with `/` between, none of them empty, `.` or `..`; the root itself
/// is the empty one.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Relative(String);

impl Relative {
    pub fn root() -> Self {
        Self::default()
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// For the system's calls.
    pub(super) fn native(&self) -> &Path {
        Path::new(if self.is_root() { "." } else { &self.0 })
    }

    pub fn parts(&self) -> impl Iterator<Item = &str> {
        self.0.split('/').filter(|part| !part.is_empty())
    }

    /// The folder that it is in, and its name there.
    pub fn split(&self) -> Option<(Self, &str)> {
        match self.0.rsplit_once('/') {
            Some((parent, name)) => Some((Self(parent.to_owned()), name)),
            None if self.is_root() => None,
            None => Some((Self::root(), &self.0)),
        }
    }

    /// `name` is one part.
    #[must_use]
    pub fn join(&self, name: &str) -> Self {
        if self.is_root() { Self(name.to_owned()) } else { Self(format!("{}/{name}", self.0)) }
    }
}

impl fmt::Display for Relative {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_root() { "." } else { &self.0 })
    }
}

pub fn relative(text: &str, roots: &[PathBuf]) -> Result<Relative, PathError> {
    let refuse = |why| Err(PathError::Name { path: text.to_owned(), why });
    if text.is_empty() {
        return refuse("it is empty; `.` is the worktree");
    }
    if text.len() > LONGEST {
        return refuse("it is too long");
    }
    if text.contains(|char: char| char.is_control()) {
        return refuse("it has control characters in it");
    }
    if text.contains('\\') {
        return refuse("it has `\\` in it; folders are divided by `/`");
    }
    if text.starts_with('~') {
        return refuse("`~` is not in the worktree; name the file from the worktree's folder on");
    }
    let inner = match text.starts_with('/') {
        true => beneath(text, roots).ok_or_else(|| PathError::Outside(text.to_owned()))?,
        false => text,
    };
    let mut parts = Vec::new();
    for part in inner.split('/').filter(|part| !part.is_empty() && *part != ".") {
        match part {
            ".." => {
                return refuse("it has `..` in it; name the file from the worktree's folder on");
            }
            part if part.len() > LONGEST_PART => return refuse("it is too long"),
            part if is_git(part) => return Err(PathError::Git(text.to_owned())),
            part => parts.push(part),
        }
    }
    Ok(Relative(parts.join("/")))
}

/// The rest of an absolute path that begins with one of the roots, textually.
fn beneath<'a>(text: &'a str, roots: &[PathBuf]) -> Option<&'a str> {
    roots.iter().filter_map(|root| root.to_str()).find_map(|root| {
        let rest = text.strip_prefix(root.trim_end_matches('/'))?;
        (rest.is_empty() || rest.starts_with('/')).then_some(rest)
    })
}

/// A place as the system tells it.
pub(super) fn of_place(place: &Path) -> Result<Relative, PathError> {
    match place.to_str() {
        Some(text) => Ok(Relative(text.to_owned())),
        None => Err(PathError::Name {
            path: place.display().to_string(),
            why: "its name is not UTF-8; rename it first",
        }),
    }
}

pub(super) fn place_is_git(place: &Path) -> bool {
    place.iter().any(is_git_native)
}

pub(super) fn is_git_native(part: &OsStr) -> bool {
    is_git(&part.to_string_lossy())
}

/// Whether a file system may take this name for `.git`: the spellings that git itself refuses
/// (`core.protectHFS` and `core.protectNTFS` in git-config(1): case, code points that HFS+ ignores,
/// trailing spaces and dots, streams behind `:`, the short name `GIT~1`), all of them on every system,
/// and some more of the same kind.
pub fn is_git(part: &str) -> bool {
    let plain: String =
        part.chars().filter(|char| !show::is_invisible(*char)).flat_map(plain).collect();
    let name = plain.split(':').next().unwrap_or_default();
    let name = name.trim_end_matches(|char: char| char == '.' || char.is_whitespace());
    match name.strip_prefix("git~") {
        Some(number) => !number.is_empty() && number.chars().all(|char| char.is_ascii_digit()),
        None => name.trim_start() == ".git",
    }
}

/// Small letters; the full-width forms and the Turkish I's as their plain ones.
fn plain(char: char) -> impl Iterator<Item = char> {
    let narrow = match char {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(char) - 0xfee0).unwrap_or(char),
        'ı' | 'İ' => 'i',
        '\u{2024}' | '\u{fe52}' => '.',
        char => char,
    };
    narrow.to_lowercase()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn made(text: &str) -> Result<String, PathError> {
        relative(text, &["/work tree".into()]).map(|path| path.to_string())
    }

    #[test]
    fn paths_are_made_plain() {
        for (text, plain) in [
            ("a", "a"),
            ("./a//b/./c/", "a/b/c"),
            (".", "."),
            ("./", "."),
            ("/work tree", "."),
            ("/work tree/", "."),
            ("/work tree/src/a b.rs", "src/a b.rs"),
            ("…/…", "…/…"),
            ("a~", "a~"),
            (".gitignore", ".gitignore"),
            (".github/x", ".github/x"),
            ("a.git/x", "a.git/x"),
            ("git", "git"),
            ("...", "..."),
        ] {
            assert_eq!(made(text).unwrap(), plain, "{text}");
        }
    }

    #[test]
    fn a_name_like_the_root_is_not_the_root() {
        for text in ["/work treeless/a", "/work", "/", "//", "/work tree/../x", "/work tre"] {
            assert!(made(text).is_err(), "{text}");
        }
    }

    #[test]
    fn git_is_known_by_all_its_names() {
        for name in [
            ".git",
            ".GIT",
            ".Git",
            ".git ",
            ".git.",
            ".git. . ",
            ".git::$INDEX_ALLOCATION",
            ".git:x",
            "git~1",
            "GIT~1",
            "git~12",
            "git~1.",
            ".g\u{200c}it",
            "\u{feff}.git",
            ".gi\u{206a}t",
            ".git\u{200d}",
            "．ｇｉｔ",
            ".gİt",
            ".gıt",
            ".g\u{ad}it",
            "\u{2024}git",
            ".git\u{a0}",
        ] {
            assert!(is_git(name), "{name:?}");
        }
        for name in [".gitignore", "git", "x.git", ".gitx", "git~", "git~a", ".gitmodules", ". git"]
        {
            assert!(!is_git(name), "{name:?}");
        }
    }
}
