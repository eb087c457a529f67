//! Functions stay short enough to be understood at a glance.

use super::{Findings, source::SourceFile};

const LISTED: usize = 50;
const WRONG: usize = 100;

pub fn check(file: &SourceFile, found: &mut Findings) {
    for function in functions(&file.code) {
        let Function { name, line, lines } = function;
        if lines <= LISTED {
            continue;
        }
        let text =
            format!("{}:{line}: `{name}` has {lines} lines; give its steps names.", file.path);
        if lines > WRONG { found.wrong(text) } else { found.listed(text) }
    }
}

struct Function<'a> {
    name: &'a str,
    line: usize,
    lines: usize,
}

/// The functions with a body in blanked code.
fn functions(code: &str) -> Vec<Function<'_>> {
    let starts = code.match_indices("fn ").filter(|(at, _)| is_keyword(code, *at));
    starts.filter_map(|(at, _)| function(code, at)).collect()
}

fn is_keyword(code: &str, at: usize) -> bool {
    code[..at].chars().next_back().is_none_or(|c| !c.is_alphanumeric() && c != '_')
}

fn function(code: &str, at: usize) -> Option<Function<'_>> {
    let after = code[at + 3..].trim_start();
    let name = &after[..after.find(|c: char| !c.is_alphanumeric() && c != '_')?];
    let body = at + code[at..].find(['{', ';'])?;
    if name.is_empty() || !code[body..].starts_with('{') {
        return None;
    }
    let lines = code[at..body + block(&code[body..])].lines().count();
    Some(Function { name, line: code[..at].lines().count().max(1), lines })
}

/// The length of the block that `code` begins with.
fn block(code: &str) -> usize {
    let mut depth = 0_usize;
    for (at, c) in code.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => continue,
        }
        if depth == 0 {
            return at + 1;
        }
    }
    code.len()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    #[test]
    fn bodies_are_measured_from_fn_to_the_last_brace() {
        let code = "trait A {\n    fn a();\n}\npub fn b(c: fn(u8) -> u8) -> u8 {\n    if c {\n    }\n    1\n}\n";
        let found: Vec<_> = functions(code).iter().map(|f| (f.name, f.line, f.lines)).collect();
        assert_eq!(found, [("b", 4, 5)]);
    }

    #[test]
    fn long_functions_are_wrong_and_half_as_long_ones_are_listed() {
        for (lines, wrong, listed) in [(50, 0, 0), (51, 0, 1), (100, 0, 1), (101, 1, 0)] {
            let body = "    x();\n".repeat(lines - 2);
            let file = SourceFile::new("a.rs", format!("fn a() {{\n{body}}}\n"));
            let mut found = Findings::default();
            check(&file, &mut found);
            assert_eq!((found.wrong.len(), found.listed.len()), (wrong, listed), "{lines} lines");
        }
    }
}
