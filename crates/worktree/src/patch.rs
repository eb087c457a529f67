//! Reading git's unified diff of one file.

use musher_protocol::Hunk;

/// A longer line is cut: one line of a minified file can be megabytes.
const LONGEST_LINE: usize = 4000;

/// Hunks of a diff, up to a number of lines.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Patch {
    pub(crate) hunks: Vec<Hunk>,
    pub(crate) truncated: bool,
}

/// Reads a diff. What stands before the first hunk is left out, and so is git's note about a missing
/// end of line.
pub(crate) fn parse(text: &str, max_lines: usize) -> Patch {
    let mut patch = Patch::default();
    let mut room = max_lines;
    // How many lines the hunk still has: a line of the file can look like a header.
    let (mut old_left, mut new_left) = (0u32, 0u32);
    for line in text.split_terminator('\n') {
        if old_left == 0 && new_left == 0 {
            if let Some(hunk) = header(line) {
                (old_left, new_left) = (hunk.old_lines, hunk.new_lines);
                patch.hunks.push(hunk);
            }
            continue;
        }
        let Some(hunk) = patch.hunks.last_mut() else { continue };
        match line.as_bytes().first() {
            Some(b'+') => new_left = new_left.saturating_sub(1),
            Some(b'-') => old_left = old_left.saturating_sub(1),
            Some(b' ') => {
                old_left = old_left.saturating_sub(1);
                new_left = new_left.saturating_sub(1);
            }
            _ => continue,
        }
        if room == 0 {
            patch.truncated = true;
            break;
        }
        room -= 1;
        hunk.lines.push(short(line, &mut patch.truncated));
    }
    patch.hunks.retain(|hunk| !hunk.lines.is_empty());
    patch
}

/// The whole of a new file as one hunk.
pub(crate) fn all_added(text: &str, max_lines: usize) -> Patch {
    let count = crate::files::line_count(text);
    let mut truncated = count as usize > max_lines;
    let lines: Vec<String> = text
        .lines()
        .take(max_lines)
        .map(|line| short(&format!("+{line}"), &mut truncated))
        .collect();
    if lines.is_empty() {
        return Patch { hunks: Vec::new(), truncated };
    }
    let hunk = Hunk { old_start: 0, old_lines: 0, new_start: 1, new_lines: count, lines };
    Patch { hunks: vec![hunk], truncated }
}

/// `@@ -1,2 +3 @@ anything`; a count that is left out is 1.
fn header(line: &str) -> Option<Hunk> {
    let mut words = line.strip_prefix("@@ -")?.split(' ');
    let (old_start, old_lines) = range(words.next()?)?;
    let (new_start, new_lines) = range(words.next()?.strip_prefix('+')?)?;
    Some(Hunk { old_start, old_lines, new_start, new_lines, lines: Vec::new() })
}

fn range(text: &str) -> Option<(u32, u32)> {
    let (start, count) = text.split_once(',').unwrap_or((text, "1"));
    Some((start.parse().ok()?, count.parse().ok()?))
}

fn short(line: &str, truncated: &mut bool) -> String {
    match line.char_indices().nth(LONGEST_LINE) {
        None => line.to_owned(),
        Some((at, _)) => {
            *truncated = true;
            format!("{}…", &line[..at])
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const DIFF: &str = "diff --git a/f b/f\n--- a/f\n+++ b/f\n@@ -1,2 +1,3 @@ fn x\n a\n--- b\n+++ b\n+c\n\\ No newline at end of file\n@@ -9 +10 @@\n-x\n+y\n";

    #[test]
    fn lines_that_look_like_headers_belong_to_the_hunk() {
        let patch = parse(DIFF, 100);
        assert_eq!(patch.hunks.len(), 2);
        assert_eq!(patch.hunks[0].lines, [" a", "--- b", "+++ b", "+c"]);
        assert_eq!((patch.hunks[1].old_start, patch.hunks[1].old_lines), (9, 1));
        assert!(!patch.truncated);
    }

    #[test]
    fn what_is_too_long_is_cut_and_says_so() {
        let patch = parse(DIFF, 4);
        assert_eq!(patch.hunks.len(), 1);
        assert!(patch.truncated);
        assert!(all_added(&"x".repeat(10_000), 5).truncated);
    }

    #[test]
    fn an_empty_new_file_has_no_hunk() {
        assert_eq!(all_added("", 10), Patch::default());
    }
}
