//! How many tests passed and failed, read from what the test programs print.

use std::ops::AddAssign;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    pub passed: usize,
    pub failed: usize,
}

impl AddAssign for Count {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
    }
}

/// Adds up the closing lines of nextest, `cargo test`, vitest, node's own runner, and any line that
/// begins with `N passed` or `N failed`. nextest repeats what a failed test printed, so of its
/// output only its own summary counts.
pub fn read(output: &str) -> Count {
    let lines: Vec<String> = output.lines().map(without_colours).collect();
    let summaries = lines.iter().map(|line| line.trim()).filter(|line| is_summary(line));
    let mut count = Count::default();
    for line in summaries.clone() {
        count += in_words(line);
    }
    if summaries.count() == 0 {
        for line in &lines {
            count += read_line(line.trim());
        }
    }
    count
}

fn is_summary(line: &str) -> bool {
    line.starts_with("Summary [")
}

fn read_line(line: &str) -> Count {
    if let Some(passed) = node(line, "pass") {
        return Count { passed, failed: 0 };
    }
    if let Some(failed) = node(line, "fail") {
        return Count { passed: 0, failed };
    }
    let closing = line.starts_with("test result:")
        || line.starts_with("Tests  ")
        || begins_with_a_count(line);
    if closing { in_words(line) } else { Count::default() }
}

/// `# pass 3` and `ℹ fail 0`.
fn node(line: &str, word: &str) -> Option<usize> {
    let rest = line.strip_prefix("# ").or_else(|| line.strip_prefix("ℹ "))?;
    rest.strip_prefix(word)?.trim().parse().ok()
}

fn begins_with_a_count(line: &str) -> bool {
    let mut words = line.split_whitespace();
    let number = words.next().is_some_and(|word| word.parse::<usize>().is_ok());
    number && matches!(words.next().map(bare), Some("passed" | "failed"))
}

fn in_words(line: &str) -> Count {
    let mut count = Count::default();
    let words: Vec<&str> = line.split_whitespace().map(bare).collect();
    for pair in words.windows(2) {
        let Ok(number) = pair[0].parse::<usize>() else { continue };
        match pair[1] {
            "passed" => count.passed += number,
            // nextest says `timed out` and `exec failed` for themselves.
            "failed" | "timed" | "exec" => count.failed += number,
            _ => {}
        }
    }
    count
}

fn bare(word: &str) -> &str {
    word.trim_matches(|c: char| !c.is_alphanumeric())
}

pub fn without_colours(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(at) = rest.find("\u{1b}[") {
        out.push_str(&rest[..at]);
        let after = &rest[at + 2..];
        rest = after.find(|c: char| c.is_ascii_alphabetic()).map_or("", |end| &after[end + 1..]);
    }
    out + rest
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    #[test]
    fn every_runner_is_understood() {
        for (output, passed, failed) in [
            ("     Summary [   0.039s] 14 tests run: 14 passed, 0 skipped", 14, 0),
            (
                "Summary [ 1s] 9 tests run: 5 passed (1 slow), 3 failed, 1 timed out, 2 skipped",
                5,
                4,
            ),
            (
                "  test result: FAILED. 0 passed; 1 failed\n Summary [ 1s] 1 test run: 0 passed, 1 failed",
                0,
                1,
            ),
            ("test result: FAILED. 3 passed; 1 failed; 0 ignored; 0 measured", 3, 1),
            (
                "\u{1b}[2m      Tests \u{1b}[22m \u{1b}[1m\u{1b}[31m1 failed\u{1b}[39m | 11 passed (12)",
                11,
                1,
            ),
            ("# pass 4\n# fail 2", 4, 2),
            ("  7 passed, 1 failed", 7, 1),
            ("test a ... ok\nall 3 passed values\nTest Files  2 passed (2)", 0, 0),
        ] {
            assert_eq!(read(output), Count { passed, failed }, "{output}");
        }
    }
}
