//! Files stay short enough to be read in one go.

use super::{Findings, source::SourceFile};

const LISTED: usize = 500;
const WRONG: usize = 800;
const READ_BY_PEOPLE: [&str; 8] = [".rs", ".ts", ".svelte", ".css", ".js", ".mjs", ".py", ".sh"];

pub fn check(file: &SourceFile, found: &mut Findings) {
    let written = READ_BY_PEOPLE.iter().any(|end| file.path.ends_with(end));
    let lines = file.text.lines().count();
    if !written || lines <= LISTED {
        return;
    }
    let text = format!("{} has {lines} lines; split it by what it knows.", file.path);
    if lines > WRONG { found.wrong(text) } else { found.listed(text) }
}
