//! The files that a command names in its words, as far as words tell: each word, what stands behind an
//! option's letter or a sign in it (`--file=.env`, `-f.env`, `HEAD:.env`, `@.env`), and what a pattern of
//! the shell may become. Of a command line that is not understood wholly each piece of its text may be
//! such a name.
//!
//! What a program opens without naming it (`grep -r x .`) cannot be seen here.

use globset::GlobMatcher;

use super::{
    Spot,
    pattern::may_be,
    shell::{Simple, hides_dot, is_loose, loosely},
};

/// No file has a longer one (limits.h, `PATH_MAX`).
const LONGEST: usize = 4096;
/// After so many signs in a word what follows them is looked at piece by piece only.
const MOST_SIGNS: usize = 8;
/// In so many folders a command may be, `cd` by `cd`.
const MOST_FOLDERS: usize = 8;
/// Deeper than this, a path with patterns in it counts as any.
const DEEPEST: usize = 64;
/// Stands before a path that does not begin at the worktree's folder.
const OUTSIDE: &str = "\u{2}";

/// A rule's own words for the files that it denies.
pub struct Files<'a> {
    pub glob: &'a GlobMatcher,
    pub text: &'a str,
}

/// What a command line names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Named {
    /// Without `.` and `..`; a pattern's signs are those of loose words.
    paths: Vec<String>,
    /// Where the plain ones lead.
    spots: Vec<Spot>,
    /// It goes to a folder that its words do not tell.
    pub is_lost: bool,
}

/// What reads a line's names, command by command.
pub struct Names<'a, F> {
    named: Named,
    /// Where the next command may be: `cd` may have failed, and may have been in a pipe.
    folders: Vec<String>,
    spot: &'a F,
}

impl<'a, F: Fn(&str) -> Result<Spot, String>> Names<'a, F> {
    pub fn new(spot: &'a F) -> Self {
        Self { named: Named::default(), folders: vec![String::new()], spot }
    }

    pub fn command(&mut self, command: &Simple) {
        for (at, word) in command.loose.iter().enumerate() {
            // A bare name of a program is looked for on the PATH.
            if at > 0 || word.contains('/') {
                self.word(word);
            }
        }
    }

    /// `cd` and the like.
    pub fn moves(&mut self, words: &[String], loose: &[String]) {
        let (Some(to), None, false) = (loose.get(1), loose.get(2), words[0].ends_with("popd"))
        else {
            self.named.is_lost = true;
            return;
        };
        if is_loose(to) || to.starts_with(['-', '+', '~']) {
            self.named.is_lost = true;
            return;
        }
        let more: Vec<String> = self.folders.iter().map(|folder| joined(folder, to)).collect();
        for folder in more {
            if !self.folders.contains(&folder) {
                self.folders.push(folder);
            }
        }
        if self.folders.len() > MOST_FOLDERS {
            self.folders.truncate(MOST_FOLDERS);
            self.named.is_lost = true;
        }
    }

    /// All that looks like a word, whatever is around it.
    pub fn text<'b>(&mut self, pieces: impl Iterator<Item = &'b str>) {
        // A bracket alone is a word of the shell.
        for piece in pieces.filter(|piece| piece.contains(|char| char != '[')) {
            self.word(&loosely(piece));
        }
    }

    pub fn finish(self) -> Named {
        self.named
    }

    fn word(&mut self, word: &str) {
        for name in names_in(word).filter(|name| !name.is_empty() && name.len() <= LONGEST) {
            for folder in &self.folders {
                let path = joined(folder, name);
                // A link may lead to what is denied, an absolute path into the worktree.
                if !is_loose(name)
                    && let Ok(spot) = (self.spot)(&path.replace(OUTSIDE, ""))
                {
                    self.named.spots.push(spot);
                }
                self.named.paths.push(path);
            }
        }
    }
}

impl Named {
    pub fn spots(&self) -> impl Iterator<Item = &Spot> {
        self.spots.iter()
    }

    /// Whether a name is, or may become, one of a rule's.
    pub fn has(&self, files: &Files<'_>) -> bool {
        let pattern = OnceParts::of(files.text);
        self.paths.iter().any(|path| match is_loose(path) {
            true => pattern.may_be(path),
            false => fits(files.glob, path),
        })
    }
}

/// A rule's pattern, name by name; what a rule says in `[...]` and `{...}` may be any text.
struct OnceParts(Vec<String>);

impl OnceParts {
    fn of(text: &str) -> Self {
        let text = text.trim_end_matches('/').to_lowercase();
        let text = text.strip_prefix("./").unwrap_or(&text);
        let mut plain = String::new();
        let mut within = None;
        for char in text.chars() {
            match (within, char) {
                (None, '[' | '{') => within = Some(if char == '[' { ']' } else { '}' }),
                (None, '?') => plain.push('*'),
                (None, char) => plain.push(char),
                // Alternatives that are paths: any.
                (Some(_), '/') => return Self(vec!["**".to_owned()]),
                (Some(end), char) if end == char => {
                    within = None;
                    plain.push('*');
                }
                (Some(_), _) => {}
            }
        }
        let anywhere = (!plain.contains('/')).then(|| "**".to_owned());
        let names = plain.split('/').filter(|name| !name.is_empty()).map(str::to_owned);
        Self(anywhere.into_iter().chain(names).collect())
    }

    fn may_be(&self, path: &str) -> bool {
        let path = path.to_lowercase();
        let names: Vec<&str> = path.split('/').collect();
        names.len() > DEEPEST || begins(&self.0, &names)
    }
}

/// Whether a path may be a pattern's, or beneath it.
fn begins(pattern: &[String], names: &[&str]) -> bool {
    match (pattern, names) {
        ([], _) => true,
        (_, []) => false,
        ([any, rest @ ..], [_, behind @ ..]) if any == "**" => {
            begins(rest, names) || begins(pattern, behind)
        }
        ([first, rest @ ..], [name, behind @ ..]) => {
            // No pattern of the shell becomes a first dot.
            let hides = first.starts_with('.') && hides_dot(name);
            !hides && may_be(first, name) && begins(rest, behind)
        }
    }
}

fn fits(glob: &GlobMatcher, path: &str) -> bool {
    let ends = path.match_indices('/').map(|(at, _)| at).chain([path.len()]);
    ends.into_iter().any(|end| glob.is_match(&path[..end]))
}

fn names_in(word: &str) -> impl Iterator<Item = &str> {
    const SIGNS: [char; 4] = ['=', ':', '@', ','];
    let of_option = word.strip_prefix('-').filter(|rest| !rest.starts_with('-'));
    let of_option = of_option.and_then(|rest| rest.get(1..)).filter(|rest| !rest.is_empty());
    let behind = word.match_indices(SIGNS).take(MOST_SIGNS).map(|(at, _)| &word[at + 1..]);
    let pieces = word.split(SIGNS).filter(|piece| piece.len() < word.len());
    std::iter::once(word).chain(of_option).chain(behind).chain(pieces)
}

/// A path of a folder, without `.` and `..`.
fn joined(folder: &str, path: &str) -> String {
    let begin = if path.starts_with('/') { OUTSIDE } else { folder };
    let mut parts: Vec<&str> = begin.split('/').filter(|part| !part.is_empty()).collect();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_none_or(|last| *last == OUTSIDE) => {
                parts.clear();
                parts.push(OUTSIDE);
            }
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_words() {
        let names = |word| names_in(word).collect::<Vec<_>>();
        assert_eq!(names(".env"), [".env"]);
        assert_eq!(names("-f.env"), ["-f.env", ".env"]);
        assert!(names("--file=.env").contains(&".env") && names("a=b:.env").contains(&".env"));
        assert!(names("x@a=b").contains(&"a=b"));
        assert_eq!(names("-"), ["-"]);
    }

    #[test]
    fn paths_from_a_folder_on() {
        for (folder, path, whole) in [
            ("", "./a/../.env", ".env"),
            ("src", "x//y", "src/x/y"),
            ("src", "../x", "x"),
            ("", "../x", "\u{2}/x"),
            ("src", "/x", "\u{2}/x"),
            ("\u{2}/tmp", "x", "\u{2}/tmp/x"),
        ] {
            assert_eq!(joined(folder, path), whole, "{folder} {path}");
        }
    }
}
