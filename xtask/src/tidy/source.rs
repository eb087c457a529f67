//! A file as the checks see it: its text, and for Rust the same text with strings, characters and
//! comments blanked out, so that a rule never trips over words.

pub struct SourceFile {
    /// Relative to the root, with `/`.
    pub path: String,
    pub text: String,
    /// As long as `text` in lines; only for Rust.
    pub code: String,
}

impl SourceFile {
    pub fn new(path: &str, text: String) -> Self {
        let code = if path.ends_with(".rs") { blanked(&text) } else { String::new() };
        Self { path: path.to_owned(), text, code }
    }

    /// Tests, and programs that only tests or we ourselves use.
    pub fn is_for_tests(&self) -> bool {
        let folders = ["tests/", "xtask/", "crates/testkit/"];
        folders.iter().any(|folder| self.path.starts_with(folder))
            || self.path.contains("/tests/")
            || self.path.contains("/benches/")
            || self.path.ends_with("tests.rs")
    }

    /// The numbered lines of code that are shipped: a test module is the last thing in its file.
    pub fn shipped_lines(&self) -> impl Iterator<Item = (usize, &str)> {
        let tests = self.is_for_tests();
        let lines = self.code.lines().take_while(move |line| !tests && !is_test_module(line));
        lines.enumerate().map(|(index, line)| (index + 1, line))
    }
}

fn is_test_module(line: &str) -> bool {
    line.starts_with("#[cfg(test)]")
}

/// Rust code with the inside of strings, characters and comments replaced by spaces.
pub fn blanked(text: &str) -> String {
    let mut rest = text;
    let mut out = String::with_capacity(text.len());
    while let Some(first) = rest.chars().next() {
        let length = match skipped(rest, out.ends_with(is_word)) {
            0 => {
                out.push(first);
                first.len_utf8()
            }
            length => {
                let hidden = rest[..length].chars();
                out.extend(hidden.map(|c| if c == '\n' { '\n' } else { ' ' }));
                length
            }
        };
        rest = &rest[length..];
    }
    out
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The length of the comment or literal that `rest` begins with; 0 for code.
fn skipped(rest: &str, after_word: bool) -> usize {
    if rest.starts_with("//") {
        return rest.find('\n').unwrap_or(rest.len());
    }
    if rest.starts_with("/*") {
        return block_comment(rest);
    }
    if rest.starts_with('"') {
        return quoted(rest, '"');
    }
    if rest.starts_with('\'') {
        return character(rest);
    }
    if after_word { 0 } else { raw_string(rest) }
}

fn block_comment(rest: &str) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while at < rest.len() {
        let (step, deeper) = match &rest.as_bytes()[at..] {
            [b'/', b'*', ..] => (2, 1),
            [b'*', b'/', ..] => (2, -1),
            _ => (1, 0),
        };
        at += step;
        depth = depth.saturating_add_signed(deeper);
        if depth == 0 {
            break;
        }
    }
    at
}

/// A literal in quotes, with its quotes.
fn quoted(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        if c == quote && !escaped {
            return at + 1;
        }
        escaped = c == '\\' && !escaped;
    }
    rest.len()
}

/// `'x'` and `'\n'` are characters, `'static` is a lifetime.
fn character(rest: &str) -> usize {
    let mut chars = rest.chars().skip(1);
    match (chars.next(), chars.next()) {
        (Some('\\'), _) | (Some(_), Some('\'')) => quoted(rest, '\''),
        _ => 0,
    }
}

/// `r"…"`, `r#"…"#`, `br"…"`.
fn raw_string(rest: &str) -> usize {
    let Some(after) = rest.strip_prefix("br").or_else(|| rest.strip_prefix('r')) else { return 0 };
    let hashes = after.bytes().take_while(|byte| *byte == b'#').count();
    if !after[hashes..].starts_with('"') {
        return 0;
    }
    let start = rest.len() - after.len() + hashes + 1;
    let end = format!("\"{}", "#".repeat(hashes));
    rest[start..].find(&end).map_or(rest.len(), |at| start + at + end.len())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    #[test]
    fn words_in_strings_and_comments_are_no_code() {
        let code = blanked("a(\"{ \\\" x\"); // b {\n/* c { /* d */ e */ f('{', '\\'', 'g)");
        assert_eq!(code.matches('{').count(), 0);
        assert!(code.contains("a("));
        assert!(code.contains("f(") && code.contains("'g)"));
        assert!(!code.contains('x') && !code.contains('e'));
    }

    #[test]
    fn raw_strings_end_at_their_own_mark() {
        let code = blanked("let a = r#\"{ \"quoted\" {\"#; for b in c {}");
        assert_eq!(code.matches('{').count(), 1);
        assert!(code.ends_with("; for b in c {}"));
    }

    #[test]
    fn lines_stay_where_they_are() {
        let text = "let a = \"one\ntwo\";\n// three\nlet b = 1;\n";
        assert_eq!(blanked(text).lines().count(), text.lines().count());
    }

    #[test]
    fn a_test_module_is_not_shipped() {
        let file = SourceFile::new("crates/a/src/b.rs", "fn a() {}\n#[cfg(test)]\nmod t;\n".into());
        assert_eq!(file.shipped_lines().collect::<Vec<_>>(), [(1, "fn a() {}")]);
    }
}
