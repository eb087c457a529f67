//! One door for each thing: who may start tasks and processes, and who may order git to throw
//! something away.

use super::{Findings, source::SourceFile};

/// A piece of code that is wrong outside some places.
struct Rule {
    code: &'static str,
    allowed: &'static [&'static str],
    why: &'static str,
}

const SPAWNERS: &[&str] = &["crates/process/", "crates/demo/"];
const RULES: &[Rule] = &[
    Rule {
        code: "tokio::spawn(",
        allowed: &[],
        why: "a task needs an owner: a JoinSet or a TaskTracker",
    },
    Rule {
        code: "task::spawn(",
        allowed: &[],
        why: "a task needs an owner: a JoinSet or a TaskTracker",
    },
    Rule {
        code: "process::Command",
        allowed: SPAWNERS,
        why: "only crates/process starts processes",
    },
    Rule { code: "Command::new(", allowed: SPAWNERS, why: "only crates/process starts processes" },
    Rule { code: "set_var(", allowed: &[], why: "the environment is shared by all threads" },
];

pub fn check(file: &SourceFile, found: &mut Findings) {
    for (number, line) in file.shipped_lines() {
        for rule in RULES {
            let allowed = rule.allowed.iter().any(|place| file.path.starts_with(place));
            if !allowed && contains_word(line, rule.code) {
                found.wrong(format!("{}:{number}: `{}`: {}.", file.path, rule.code, rule.why));
            }
        }
        unbounded(file, number, line, found);
    }
    destructive_git(file, found);
}

/// `code` in `line`, not as the end of a longer word.
fn contains_word(line: &str, code: &str) -> bool {
    line.match_indices(code).any(|(at, _)| {
        line[..at].chars().next_back().is_none_or(|c| !c.is_alphanumeric() && c != '_')
    })
}

/// A queue without a bound says why it needs none, in a comment at it or above it.
fn unbounded(file: &SourceFile, number: usize, line: &str, found: &mut Findings) {
    if !line.contains("unbounded_channel") || line.trim_start().starts_with("use ") {
        return;
    }
    let above = file.text.lines().skip(number.saturating_sub(4)).take(4);
    if !above.into_iter().any(|line| line.contains("//")) {
        found.wrong(format!(
            "{}:{number}: a queue without a bound and without a reason.",
            file.path
        ));
    }
}

/// Words by which git loses work. Only the removal of a worktree may say them, behind its guards.
const LOSES_WORK: [&str; 5] =
    ["\"--force\"", "\"--hard\"", "[\"clean\"", "\"-D\"", "\"--discard-changes\""];

/// The removal: what decides that it may be, and what does it.
const REMOVAL: [&str; 2] = ["/remove.rs", "/leave.rs"];

fn destructive_git(file: &SourceFile, found: &mut Findings) {
    let removes = REMOVAL.iter().any(|name| file.path.ends_with(name));
    if !file.path.starts_with("crates/worktree/src/") || removes {
        return;
    }
    let shipped = file.shipped_lines().count();
    for (index, line) in file.text.lines().take(shipped).enumerate() {
        for word in LOSES_WORK.iter().filter(|word| line.contains(**word)) {
            let at = format!("{}:{}", file.path, index + 1);
            found.wrong(format!("{at}: {word} loses work; only the removal may say it."));
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;
    use crate::tidy::wrong_by;

    fn wrong(path: &str, text: &str) -> usize {
        wrong_by(check, path, text)
    }

    #[test]
    fn tasks_and_processes_need_an_owner() {
        assert_eq!(wrong("crates/engine/src/a.rs", "tokio::spawn(async {});"), 1);
        assert_eq!(wrong("crates/engine/src/a.rs", "// tokio::spawn(async {});"), 0);
        assert_eq!(wrong("crates/engine/src/a.rs", "use std::process::Command;"), 1);
        assert_eq!(wrong("crates/process/src/a.rs", "use std::process::Command;"), 0);
        assert_eq!(wrong("crates/engine/tests/a.rs", "use std::process::Command;"), 0);
    }

    #[test]
    fn a_queue_without_a_bound_needs_a_reason() {
        let queue = "let (a, b) = mpsc::unbounded_channel();";
        assert_eq!(wrong("crates/api/src/a.rs", queue), 1);
        assert_eq!(
            wrong("crates/api/src/a.rs", &format!("// at most one for each run\n{queue}")),
            0
        );
    }

    #[test]
    fn only_the_removal_may_force_git() {
        let force = "git.run(&[\"worktree\", \"remove\", \"--force\"]);";
        assert_eq!(wrong("crates/worktree/src/create.rs", force), 1);
        assert_eq!(wrong("crates/worktree/src/remove.rs", force), 0);
    }
}
