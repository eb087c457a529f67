//! The patterns of rules.

use globset::{Glob, GlobBuilder, GlobMatcher};

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

    /// Whether an allowing rule is about this command.
    pub fn allows(&self, words: &[String]) -> bool {
        let Some(program) = words.first() else { return false };
        // A path stays one path: `cat src/*` allows neither a second word nor a way out of `src`.
        let one_path = self.0.last().is_some_and(|last| last.contains('/'));
        let ends = words.len() <= self.0.len() || !one_path && self.takes_end(words.len());
        let leaves = self.0.iter().zip(words).any(|(pattern, word)| {
            pattern.contains('*')
                && pattern.contains('/')
                && word.split('/').any(|part| part == "..")
        });
        ends && !leaves && self.fits(words, program, Case::Same)
    }

    /// Whether a denying rule is about it, or about what it begins with; the program's folder, and
    /// capital and small letters, make no difference.
    pub fn denies(&self, words: &[String]) -> bool {
        let Some(program) = words.first() else { return false };
        let name = program.rsplit('/').next().unwrap_or_default();
        self.fits(words, name, Case::Any) || self.fits(words, program, Case::Any)
    }

    /// Whether a rule for exactly these words, or for more, is kept.
    pub fn denies_exactly(&self, words: &[String]) -> bool {
        self.denies(words) && self.takes_end(words.len())
    }

    fn fits(&self, words: &[String], program: &str, case: Case) -> bool {
        let enough = words.len() >= self.0.len()
            || words.len() + 1 == self.0.len() && self.0.last().is_some_and(|last| last == "*");
        let words = [program].into_iter().chain(words.iter().skip(1).map(String::as_str));
        enough && self.0.iter().zip(words).all(|(pattern, word)| fits_word(pattern, word, case))
    }

    fn takes_end(&self, words: usize) -> bool {
        words <= self.0.len() || self.0.last().is_some_and(|last| last.ends_with('*'))
    }
}

#[derive(Clone, Copy)]
enum Case {
    Same,
    Any,
}

/// `*` is any text; nothing else is special.
fn fits_word(pattern: &str, word: &str, case: Case) -> bool {
    let fold = |text: &str| match case {
        Case::Same => text.to_owned(),
        Case::Any => text.to_lowercase(),
    };
    let (pattern, word) = (fold(pattern), fold(word));
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
            assert_eq!(fits_word(pattern, word, Case::Same), fits, "{pattern} {word}");
        }
    }

    #[test]
    fn hosts() {
        let fits = |pattern: &str, host: &str| HostPattern::new(pattern).fits(host);
        assert!(fits("", "a.b") && fits("docs.rs", "DOCS.rs.") && fits("*.a.b", "x.a.b"));
        assert!(!fits("docs.rs", "xdocs.rs") && !fits("*.a.b", "a.b") && !fits("*.a.b", "xa.b"));
    }
}
