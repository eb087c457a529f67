//! The patterns of rules.

use globset::{Glob, GlobBuilder, GlobMatcher};

use super::shell::{Piece, hides_dot, is_loose, places};
use crate::paths::Relative;

/// A glob over paths: `*` stays within a name, `**` goes over folders. Without a `/` it is about
/// names, anywhere.
///
/// # Errors
/// In words, when it is no glob.
pub fn path_glob(text: &str) -> Result<GlobMatcher, String> {
    glob(text, false)
}

/// The same for a rule. One that denies holds for capital and small letters alike: on some systems
/// they name the same file.
pub fn rule_glob(text: &str, any_case: bool) -> Result<GlobMatcher, String> {
    glob(text.trim_end_matches('/'), any_case)
}

fn glob(text: &str, any_case: bool) -> Result<GlobMatcher, String> {
    let text = text.strip_prefix("./").unwrap_or(text);
    let anchored = match text.strip_prefix('/') {
        Some(text) => text.to_owned(),
        None if text.contains('/') => text.to_owned(),
        None => format!("**/{text}"),
    };
    let mut glob = GlobBuilder::new(&anchored);
    compiled(&glob.literal_separator(true).case_insensitive(any_case).build(), text)
}

/// A glob over names of tools.
pub fn name_glob(text: &str) -> Result<GlobMatcher, String> {
    compiled(&Glob::new(text), text)
}

fn compiled(glob: &Result<Glob, globset::Error>, text: &str) -> Result<GlobMatcher, String> {
    match glob {
        Ok(glob) => Ok(glob.compile_matcher()),
        Err(error) => Err(format!("the pattern `{text}` cannot be used: {}", error.kind())),
    }
}

/// Whether a rule's glob is about a place: about itself, or about a folder that it is in.
pub fn fits_place(glob: &GlobMatcher, place: &Relative) -> bool {
    let mut at = Some(place.clone());
    while let Some(place) = at {
        if glob.is_match(place.as_str()) {
            return true;
        }
        at = place.split().map(|(parent, _)| parent).filter(|parent| !parent.is_root());
    }
    false
}

/// Words of a command. `*` in a word is any text; a last word that ends with `*` also takes all the
/// words that follow.
#[derive(Clone, Debug)]
pub struct CommandPattern(Vec<String>);

impl CommandPattern {
    pub fn new(words: &[&str]) -> Self {
        if words.is_empty() {
            return Self(vec!["*".to_owned()]);
        }
        Self(words.iter().map(|word| (*word).to_owned()).collect())
    }

    /// Whether an allowing rule is about this command, whatever its loose words become.
    pub fn allows(&self, words: &[String]) -> bool {
        let Some(program) = words.first() else { return false };
        // A path stays one path: `cat src/*` allows neither a second word nor a way out of `src`.
        let one_path = self.0.last().is_some_and(|last| last.contains('/'));
        let ends = words.len() <= self.0.len() || !one_path && self.takes_end(words.len());
        let leaves = self.0.iter().zip(words).any(|(pattern, word)| {
            pattern.contains('*') && pattern.contains('/') && word.split('/').any(leads_up)
        });
        // Before the last word of the rule, the many that one becomes would be read as others.
        let before_last = self.0.len().saturating_sub(1).min(words.len());
        let moves = words[..before_last].iter().any(|word| is_loose(word));
        ends && !leaves && !moves && self.fits(words, program)
    }

    /// Whether a denying rule is about it, or about what it begins with; the program's folder, and
    /// capital and small letters, make no difference. A loose word is whatever the rule is about.
    pub fn denies(&self, words: &[String]) -> bool {
        let Some(program) = words.first() else { return false };
        let name = program.rsplit('/').next().unwrap_or_default();
        let pattern: Vec<String> = self.0.iter().map(|word| word.to_lowercase()).collect();
        let mut words: Vec<String> =
            words.iter().take(self.0.len()).map(|word| word.to_lowercase()).collect();
        let whole = begins(&pattern, &words);
        words[0] = name.to_lowercase();
        whole || begins(&pattern, &words)
    }

    /// Whether it says by name which program it is about.
    pub fn names_program(&self) -> bool {
        self.0.first().is_some_and(|first| !first.contains('*'))
    }

    fn fits(&self, words: &[String], program: &str) -> bool {
        let enough = words.len() >= self.0.len()
            || words.len() + 1 == self.0.len() && self.0.last().is_some_and(|last| last == "*");
        let words = [program].into_iter().chain(words.iter().skip(1).map(String::as_str));
        enough && self.0.iter().zip(words).all(|(pattern, word)| fits_word(pattern, word))
    }

    fn takes_end(&self, words: usize) -> bool {
        words <= self.0.len() || self.0.last().is_some_and(|last| last.ends_with('*'))
    }
}

/// Whether a name of a path is `..`, or may become it.
fn leads_up(name: &str) -> bool {
    name == ".." || !hides_dot(name) && is_loose(name) && may_be("..", name)
}

/// Whether words begin with those of a pattern. A loose word may become several.
fn begins(pattern: &[String], words: &[String]) -> bool {
    match (pattern, words) {
        ([], _) => true,
        ([last], []) => last == "*",
        (_, []) => false,
        ([pattern, rest @ ..], [word, words @ ..]) => {
            may_be(pattern, word)
                && (begins(rest, words)
                    || is_loose(word)
                        && begins(rest, &[std::slice::from_ref(word), words].concat()))
        }
    }
}

/// Whether there is a text that both a pattern's word and a loose word stand for: each row says how far
/// into the word one may be after so much of the pattern.
pub fn may_be(pattern: &str, word: &str) -> bool {
    if !is_loose(word) {
        return fits_word(pattern, word);
    }
    // To some shells one character is one byte: of other letters, it may be any part of one.
    let is_whole = pattern.is_ascii();
    let word: Vec<Piece<'_>> = places(word).into_iter().map(|it| whole(it, is_whole)).collect();
    let skip = |row: &mut [bool]| {
        for at in 0..word.len() {
            row[at + 1] |= row[at] && matches!(word[at], Piece::Text);
        }
    };
    let mut row = vec![false; word.len() + 1];
    row[0] = true;
    skip(&mut row);
    for char in pattern.chars() {
        let mut next = vec![false; word.len() + 1];
        for at in (0..=word.len()).filter(|at| row[*at]) {
            match (char, word.get(at)) {
                ('*', _) => next[at..].fill(true),
                (_, None) => {}
                (_, Some(Piece::Text)) => next[at] = true,
                (_, Some(Piece::One)) => next[at + 1] = true,
                (_, Some(Piece::Among(some))) => next[at + 1] |= some.contains(char),
                (_, Some(Piece::Char(own))) => next[at + 1] |= *own == char,
            }
        }
        skip(&mut next);
        row = next;
    }
    row[word.len()]
}

fn whole(piece: Piece<'_>, is_whole: bool) -> Piece<'_> {
    match piece {
        Piece::One | Piece::Among(_) if !is_whole => Piece::Text,
        piece => piece,
    }
}

/// `*` is any text; nothing else is special.
fn fits_word(pattern: &str, word: &str) -> bool {
    let mut pieces = pattern.split('*');
    let Some(rest) = pieces.next().and_then(|first| word.strip_prefix(first)) else { return false };
    let mut rest = rest;
    let mut pieces = pieces.peekable();
    if pieces.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(piece) = pieces.next() {
        if pieces.peek().is_none() {
            return rest.ends_with(piece);
        }
        match rest.find(piece) {
            Some(at) => rest = &rest[at + piece.len()..],
            None => return false,
        }
    }
    true
}

/// A host: `docs.rs`, `*.example.org` (not `example.org` itself), or all.
#[derive(Clone, Debug)]
pub struct HostPattern(String);

impl HostPattern {
    pub fn new(text: &str) -> Self {
        Self(if text.is_empty() { "*".to_owned() } else { text.to_lowercase() })
    }

    pub fn fits(&self, host: &str) -> bool {
        let host = host.trim_end_matches('.').to_lowercase();
        match self.0.strip_prefix('*') {
            Some("") => true,
            Some(end) => end.starts_with('.') && host.len() > end.len() && host.ends_with(end),
            None => host == self.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_in_words() {
        for (pattern, word, fits) in [
            ("cargo", "cargo", true),
            ("cargo", "cargos", false),
            ("test*", "test", true),
            ("test*", "testament", true),
            ("*", "", true),
            ("a*b*c", "axxbyyc", true),
            ("a*b*c", "acb", false),
            ("a*a", "a", false),
            ("*.rs", "x.rs", true),
            ("a**b", "ab", true),
        ] {
            assert_eq!(fits_word(pattern, word), fits, "{pattern} {word}");
        }
    }

    #[test]
    fn what_a_loose_word_may_be() {
        for (pattern, word, may) in [
            (".env*", ".\u{1}nv", true),
            (".env*", "\u{1}", true),
            (".env", ".en\0", true),
            ("a*c", "a\0b", false),
            ("a*b", "c\0", false),
            ("src/x", "src/\u{1}y", false),
            ("a*", "\u{1}b", true),
            (".env", ".en\u{3}", true),
            (".env", ".\u{3}", false),
            ("*.pem", "k\u{3}", false),
            (".env", ".en\u{5}uv\u{6}", true),
            (".env", ".en\u{5}xy\u{6}", false),
            (".env", ".en\u{4}", true),
            (".env", ".e\u{4}", false),
            ("caf\u{e9}", "caf\u{3}\u{3}", true),
        ] {
            assert_eq!(may_be(pattern, word), may, "{pattern} {word:?}");
        }
        assert!(leads_up(".\u{3}") && leads_up("\u{5}.\u{6}.") && !leads_up("\u{3}."));
        assert!(leads_up(".\u{1}") && leads_up(".\0") && leads_up("\0.") && leads_up(".."));
        assert!(!leads_up("\u{1}") && !leads_up("a\u{1}") && !leads_up("."));
    }

    #[test]
    fn hosts() {
        let fits = |pattern: &str, host: &str| HostPattern::new(pattern).fits(host);
        assert!(fits("", "a.b") && fits("docs.rs", "DOCS.rs.") && fits("*.a.b", "x.a.b"));
        assert!(!fits("docs.rs", "xdocs.rs") && !fits("*.a.b", "a.b") && !fits("*.a.b", "xa.b"));
    }
}
