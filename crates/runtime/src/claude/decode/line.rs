//! What surrounds the JSON of a line, and what can be repaired in it.

use std::borrow::Cow;

/// Deeper than this and an event could no longer be read back: serde_json reads 128 levels, and
/// the envelope of a stored event adds a few.
const DEPTH_LIMIT: usize = 96;

/// The line without byte order mark, white space and terminal control sequences around it. A line
/// of nothing else becomes empty.
pub fn clean(line: &str) -> &str {
    let mut rest = line.trim_start_matches('\u{feff}').trim();
    if rest.starts_with('{') && rest.ends_with('}') {
        return rest;
    }
    while let Some(behind) = skip_control(rest) {
        rest = behind.trim_start();
    }
    match rest.rfind('}') {
        Some(last) if rest.starts_with('{') && only_controls(&rest[last + 1..]) => &rest[..=last],
        _ => rest,
    }
}

fn only_controls(mut text: &str) -> bool {
    while let Some(behind) = skip_control(text.trim_start()) {
        text = behind;
    }
    text.trim().is_empty()
}

/// What follows the control sequence (ECMA-48: CSI, OSC, two-byte escape) or the control character
/// at the beginning of `text`; `None` when it begins with none.
fn skip_control(text: &str) -> Option<&str> {
    let first = text.chars().next()?;
    if first != '\u{1b}' {
        return (first.is_control() || first == '\u{feff}').then(|| &text[first.len_utf8()..]);
    }
    let body = &text[1..];
    match body.bytes().next() {
        Some(b'[') => Some(behind(body, 1, |b| (0x40..=0x7e).contains(&b))),
        Some(b']') => Some(behind_osc(body)),
        Some(0x20..=0x2f) => Some(behind(body, 1, |b| (0x30..=0x7e).contains(&b))),
        Some(b) if b.is_ascii() => Some(&body[1..]),
        _ => Some(body),
    }
}

/// What follows the first byte from `from` on that ends the sequence; all is the sequence's when
/// none does.
fn behind(text: &str, from: usize, ends: impl Fn(u8) -> bool) -> &str {
    let end = text.bytes().skip(from).position(ends).map(|at| from + at + 1);
    end.and_then(|end| text.get(end..)).unwrap_or("")
}

fn behind_osc(body: &str) -> &str {
    let bell = body.find('\u{7}').map(|at| at + 1);
    let string_end = body.find("\u{1b}\\").map(|at| at + 2);
    match (bell, string_end) {
        (Some(a), Some(b)) => &body[a.min(b)..],
        (Some(end), None) | (None, Some(end)) => &body[end..],
        (None, None) => "",
    }
}

/// Whether the JSON of this line nests deeper than can be stored.
pub fn too_deep(line: &str) -> bool {
    let openings = memchr::memchr2_iter(b'{', b'[', line.as_bytes());
    openings.take(DEPTH_LIMIT + 1).count() > DEPTH_LIMIT && depth(line) > DEPTH_LIMIT
}

fn depth(line: &str) -> usize {
    let (mut depth, mut deepest, mut in_string, mut escaped) = (0usize, 0, false, false);
    for byte in line.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

/// UTF-8 as it is; anything else with U+FFFD in place of what is not.
pub fn text(line: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_sequences_around_json_go() {
        for line in [
            "{\"a\":1}",
            "\u{feff}{\"a\":1}\r",
            "\u{1b}[2K\u{1b}[1G{\"a\":1}",
            "\u{1b}]0;title\u{7}{\"a\":1}\u{1b}[0m",
            "\u{1b}]8;;x\u{1b}\\ {\"a\":1} \u{1b}[?25h\r",
            "\0\0{\"a\":1}\0",
            "\u{1b}(B{\"a\":1}",
        ] {
            assert_eq!(clean(line), "{\"a\":1}", "{line:?}");
        }
    }

    #[test]
    fn a_line_of_controls_alone_is_empty_and_text_stays() {
        for line in ["", " \r", "\u{1b}[?25h", "\u{1b}[<u\u{1b}]0;\u{7}", "\u{1b}", "\u{1b}["] {
            assert_eq!(clean(line), "", "{line:?}");
        }
        assert_eq!(clean("plain } text"), "plain } text");
        assert_eq!(clean("\u{1b}é"), "é");
    }

    #[test]
    fn depth_counts_brackets_outside_strings() {
        let deep = format!("{}{}", "[".repeat(97), "]".repeat(97));
        assert!(too_deep(&deep));
        assert!(!too_deep(&format!("[\"{}\\\"{}\"]", "[".repeat(97), "[".repeat(97))));
        assert!(!too_deep(&"[]".repeat(200)));
    }
}
