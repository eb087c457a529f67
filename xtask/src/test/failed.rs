//! The names of the tests that failed, at once or for good, read from what the test programs print.

use super::count::without_colours;

/// Of nextest, `cargo test`, vitest and node's own runner, each once and in order. nextest repeats
/// what a failed test printed, so of its output only its own lines count.
pub fn names(output: &str) -> Vec<String> {
    let lines: Vec<String> = output.lines().map(without_colours).collect();
    let found = |reads: fn(&str) -> Option<&str>| {
        let mut names: Vec<String> = Vec::new();
        for name in lines.iter().filter_map(|line| reads(line.trim())) {
            if !names.iter().any(|known| known == name) {
                names.push(name.to_owned());
            }
        }
        names
    };
    let of_nextest = found(nextest);
    if of_nextest.is_empty() { found(other) } else { of_nextest }
}

/// Tests that failed and then passed, as nextest names them when it may try again.
pub fn flaky(output: &str) -> Vec<String> {
    let lines = output.lines().map(without_colours);
    let mut names: Vec<String> =
        lines.filter_map(|line| second_try(line.trim()).map(str::to_owned)).collect();
    names.sort();
    names.dedup();
    names
}

/// `FLAKY 2/2 [   0.039s] (1/2) package::binary name`
fn second_try(line: &str) -> Option<&str> {
    let (words, rest) = line.split_once(" [")?;
    words.starts_with("FLAKY ").then(|| name_behind(rest)).flatten()
}

/// `   0.039s] (1/2) package::binary name`
fn name_behind(time: &str) -> Option<&str> {
    let rest = time.split_once(']')?.1.trim();
    let counted = rest.strip_prefix('(').and_then(|rest| rest.split_once(") "));
    Some(counted.map_or(rest, |(_, name)| name).trim())
}

fn other(line: &str) -> Option<&str> {
    plain(line).or_else(|| vitest(line)).or_else(|| node(line))
}

/// `FAIL [   0.039s] (1/2) package::binary name`; a time limit and a signal have words of their own.
fn nextest(line: &str) -> Option<&str> {
    let (word, rest) = line.split_once(" [")?;
    let bad = matches!(word, "FAIL" | "TIMEOUT" | "ABORT" | "LEAK-FAIL") || word.starts_with("SIG");
    bad.then(|| name_behind(rest)).flatten()
}

/// `test name ... FAILED`
fn plain(line: &str) -> Option<&str> {
    line.strip_prefix("test ")?.strip_suffix(" ... FAILED")
}

/// `FAIL  file > suite > name`
fn vitest(line: &str) -> Option<&str> {
    line.strip_prefix("FAIL  ").map(str::trim)
}

/// `not ok 3 - name`
fn node(line: &str) -> Option<&str> {
    let (number, name) = line.strip_prefix("not ok ")?.split_once(" - ")?;
    number.parse::<u32>().is_ok().then_some(name)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    #[test]
    fn every_runner_names_what_failed() {
        for (output, wanted) in [
            (
                "  PASS [   1.3s] (1/3) a::b fine\n  FAIL [   0.2s] (2/3) a::b bad\n \
                 TIMEOUT [ 20.0s] (3/3) a::b slow\n  Summary [ 1s] 3 tests run: 1 passed, 2 failed\n  \
                 FAIL [   0.2s] (2/3) a::b bad\n    test bad ... FAILED\n  SIGABRT [   0.1s] a::c gone",
                &["a::b bad", "a::b slow", "a::c gone"][..],
            ),
            ("test mod::bad ... FAILED\ntest mod::fine ... ok", &["mod::bad"]),
            (
                "\u{1b}[31m FAIL \u{1b}[39m src/a.test.ts > words > bad\n ✓ src/b.test.ts (2)",
                &["src/a.test.ts > words > bad"],
            ),
            ("ok 1 - fine\nnot ok 2 - the window says why", &["the window says why"]),
            ("14 passed\nNothing FAILED here", &[]),
            (TRIED_TWICE, &[]),
        ] {
            assert_eq!(names(output), wanted, "{output}");
        }
    }

    const TRIED_TWICE: &str = "  TRY 1 FAIL [   0.2s] (1/2) a::b shy\n  TRY 2 PASS [   0.2s] (1/2) a::b shy\n  \
         PASS [   0.1s] (2/2) a::b fine\n  Summary [ 1s] 2 tests run: 2 passed (1 flaky), 0 skipped\n   \
         FLAKY 2/2 [   0.2s] (1/2) a::b shy";

    #[test]
    fn what_passed_at_the_second_try_is_named() {
        assert_eq!(flaky(TRIED_TWICE), ["a::b shy"]);
        assert_eq!(flaky("PASS [   0.1s] (2/2) a::b fine"), Vec::<String>::new());
    }
}
