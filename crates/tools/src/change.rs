//! The change of a file's bytes: what is replaced by what, line ends and byte order mark kept, and the
//! difference as hunks.

use std::time::Duration;

use memchr::memmem;
use musher_protocol::{EditDiff, Hunk};
use similar::{ChangeTag, DiffTag, TextDiff};

const BOM: &[u8] = b"\xef\xbb\xbf";
const CONTEXT: usize = 3;
/// Past this a coarser difference is good enough.
const DIFF_LIMIT: Duration = Duration::from_millis(500);
/// Lines of all hunks together; they are stored with the run.
const MOST_LINES: usize = 4000;

/// A file as it is to be.
#[derive(Debug, PartialEq, Eq)]
pub struct Change {
    pub bytes: Vec<u8>,
    pub places: usize,
}

impl Change {
    /// All of it anew, with the mark and the line ends of what was there.
    pub fn whole(old: &[u8], new: &str) -> Self {
        let ends = Ends::of(old);
        let mut bytes = Vec::with_capacity(new.len() + BOM.len());
        if old.starts_with(BOM) && !new.as_bytes().starts_with(BOM) {
            bytes.extend_from_slice(BOM);
        }
        bytes.extend_from_slice(ends.apply(new).as_bytes());
        Self { bytes, places: 1 }
    }

    /// # Errors
    /// In words, when `text` is not there, or not exactly once and not `all` are meant.
    pub fn replace(old: &[u8], text: &str, new: &str, all: bool) -> Result<Self, String> {
        if text.is_empty() {
            return Err("`old` is empty; give the text to replace, or null.".to_owned());
        }
        if text == new {
            return Err("`old` and `new` are the same.".to_owned());
        }
        let ends = Ends::of(old);
        // As it is written; else with the file's own line ends.
        let tries = [(text.to_owned(), new.to_owned()), (ends.apply(text), ends.apply(new))];
        for (text, new) in &tries {
            let found: Vec<usize> = memmem::find_iter(old, text.as_bytes()).collect();
            match found.len() {
                0 => {}
                count if count > 1 && !all => {
                    return Err(format!(
                        "`old` is there {count} times; give more of what stands around it, or set \
                         replace_all."
                    ));
                }
                places => {
                    // A line that is put in gets the ends of the lines around it.
                    let new = if new.contains('\r') { new.clone() } else { ends.apply(new) };
                    let bytes = spliced(old, &found, text.len(), new.as_bytes());
                    return Ok(Self { bytes, places });
                }
            }
        }
        Err(missing(old, text))
    }
}

fn spliced(old: &[u8], at: &[usize], length: usize, new: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(old.len() + at.len() * new.len());
    let mut from = 0;
    for start in at {
        bytes.extend_from_slice(&old[from..*start]);
        bytes.extend_from_slice(new);
        from = start + length;
    }
    bytes.extend_from_slice(&old[from..]);
    bytes
}

fn missing(old: &[u8], text: &str) -> String {
    let squeezed = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let near = squeezed(&String::from_utf8_lossy(old)).contains(&squeezed(text));
    if near && !text.trim().is_empty() {
        return "`old` is there only with other spaces or line ends; copy it exactly.".to_owned();
    }
    "`old` is not there; read the file again.".to_owned()
}

/// How a file's lines end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ends {
    Lf,
    CrLf,
}

impl Ends {
    /// As most of its lines do.
    fn of(bytes: &[u8]) -> Self {
        let all = memchr::memchr_iter(b'\n', bytes).count();
        let with_cr = memmem::find_iter(bytes, b"\r\n").count();
        if with_cr * 2 > all { Self::CrLf } else { Self::Lf }
    }

    /// Text that has ends of its own choice (CRLF) keeps them.
    fn apply(self, text: &str) -> String {
        match self {
            Self::CrLf if !text.contains("\r\n") => text.replace('\n', "\r\n"),
            _ => text.to_owned(),
        }
    }
}

/// The difference as hunks of a unified diff, without the ends of lines.
pub fn diff(path: &str, old: Option<&[u8]>, new: &[u8]) -> EditDiff {
    let before = String::from_utf8_lossy(old.unwrap_or_default());
    let after = String::from_utf8_lossy(new);
    let diff = TextDiff::configure().timeout(DIFF_LIMIT).diff_lines(&*before, &*after);
    let mut hunks = Vec::new();
    let mut lines = 0;
    for ops in diff.grouped_ops(CONTEXT) {
        let mut hunk =
            Hunk { old_start: 0, old_lines: 0, new_start: 0, new_lines: 0, lines: vec![] };
        for change in ops.iter().flat_map(|op| diff.iter_changes(op)) {
            let sign = match change.tag() {
                ChangeTag::Equal => ' ',
                ChangeTag::Insert => '+',
                ChangeTag::Delete => '-',
            };
            hunk.lines.push(format!("{sign}{}", change.value().trim_end_matches(['\r', '\n'])));
        }
        measure(&mut hunk, &ops);
        lines += hunk.lines.len();
        if lines > MOST_LINES {
            break;
        }
        hunks.push(hunk);
    }
    EditDiff { path: path.to_owned(), created: old.is_none(), hunks }
}

fn measure(hunk: &mut Hunk, ops: &[similar::DiffOp]) {
    let small = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    let (Some(first), Some(last)) = (ops.first(), ops.last()) else { return };
    let (old, new) = (first.old_range().start, first.new_range().start);
    let (old_lines, new_lines) = (last.old_range().end - old, last.new_range().end - new);
    // A side without lines is named by the line before it, as in `diff -u`.
    (hunk.old_lines, hunk.new_lines) = (small(old_lines), small(new_lines));
    hunk.old_start = small(old + usize::from(old_lines > 0));
    hunk.new_start = small(new + usize::from(new_lines > 0));
    debug_assert!(ops.iter().any(|op| op.tag() != DiffTag::Equal));
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use proptest::prelude::*;

    fn replaced(old: &str, text: &str, new: &str) -> Result<String, String> {
        let change = Change::replace(old.as_bytes(), text, new, false)?;
        Ok(String::from_utf8(change.bytes).unwrap())
    }

    #[test]
    fn a_text_must_be_there_exactly_once() {
        assert_eq!(replaced("a b c", "b", "x").unwrap(), "a x c");
        assert!(replaced("a b b", "b", "x").unwrap_err().contains("2 times"));
        assert!(replaced("a", "b", "x").unwrap_err().contains("not there"));
        assert!(replaced("a  b", "a b", "x").unwrap_err().contains("other spaces"));
        assert!(replaced("a", "", "x").is_err() && replaced("a", "a", "a").is_err());
        let all = Change::replace(b"b b", "b", "xx", true).unwrap();
        assert_eq!((all.bytes.as_slice(), all.places), (b"xx xx".as_slice(), 2));
    }

    #[test]
    fn line_ends_and_marks_are_kept() {
        assert_eq!(replaced("a\r\nb\r\nc\r\n", "a\nb", "x\ny").unwrap(), "x\r\ny\r\nc\r\n");
        assert_eq!(replaced("a\r\nb\r\n", "b", "x\ny").unwrap(), "a\r\nx\r\ny\r\n");
        assert_eq!(replaced("a\nb\n", "a\nb", "x\ny").unwrap(), "x\ny\n");
        assert_eq!(replaced("\u{feff}a\n", "a", "x").unwrap(), "\u{feff}x\n");
        assert_eq!(
            Change::whole("\u{feff}a\r\n".as_bytes(), "b\nc\n").bytes,
            b"\xef\xbb\xbfb\r\nc\r\n"
        );
        assert_eq!(Change::whole(b"a\n", "b\r\n").bytes, b"b\r\n");
        // What is not UTF-8 stays as it is.
        let latin = Change::replace(b"gr\xfc\xdfe b", "b", "c", false).unwrap();
        assert_eq!(latin.bytes, b"gr\xfc\xdfe c");
    }

    /// Applies hunks as `patch` would.
    fn patched(old: &str, diff: &EditDiff) -> Vec<String> {
        let old: Vec<&str> = old.lines().collect();
        let (mut made, mut at) = (Vec::new(), 0);
        for hunk in &diff.hunks {
            let start = (hunk.old_start - u32::from(hunk.old_lines > 0)) as usize;
            made.extend(old[at..start].iter().map(|line| (*line).to_owned()));
            at = start;
            assert_eq!(made.len(), (hunk.new_start - u32::from(hunk.new_lines > 0)) as usize);
            for line in &hunk.lines {
                let (sign, text) = line.split_at(1);
                if sign != "+" {
                    assert_eq!(old[at], text);
                    at += 1;
                }
                if sign != "-" {
                    made.push(text.to_owned());
                }
            }
        }
        made.extend(old[at..].iter().map(|line| (*line).to_owned()));
        made
    }

    proptest! {
        #[test]
        fn hunks_make_the_new_of_the_old(
            old in proptest::collection::vec("[ab]{0,2}", 0..30),
            new in proptest::collection::vec("[ab]{0,2}", 0..30),
        ) {
            let text = |lines: &[String]| lines.iter().fold(String::new(), |all, l| all + l + "\n");
            let diff = diff("x", Some(text(&old).as_bytes()), text(&new).as_bytes());
            prop_assert_eq!(patched(&text(&old), &diff), new);
        }
    }
}
