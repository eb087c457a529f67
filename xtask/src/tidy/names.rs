//! Names say what a thing knows, and no file names the machine it was written on.

use super::{Findings, source::SourceFile};

/// A name that ends so could be anything.
const EMPTY: [&str; 5] = ["Manager", "Service", "Helper", "Util", "Handler"];
const DECLARES: [&str; 5] = ["struct ", "enum ", "trait ", "mod ", "type "];

pub fn check(file: &SourceFile, found: &mut Findings) {
    for (number, line) in file.code.lines().enumerate() {
        if let Some(name) = declared(line).filter(|name| is_empty_name(name)) {
            let at = format!("{}:{}", file.path, number + 1);
            found.wrong(format!("{at}: `{name}` could be anything; say what it knows."));
        }
    }
    for (number, line) in file.text.lines().enumerate() {
        if machine_paths().iter().any(|path| line.contains(path)) {
            found.wrong(format!("{}:{} names a path of one machine.", file.path, number + 1));
        }
    }
}

fn declared(line: &str) -> Option<&str> {
    let line = line.trim_start();
    let line = line.strip_prefix("pub ").or(line.strip_prefix("pub(crate) ")).unwrap_or(line);
    let after = DECLARES.iter().find_map(|keyword| line.strip_prefix(keyword))?;
    after.split(|c: char| !c.is_alphanumeric() && c != '_').next()
}

fn is_empty_name(name: &str) -> bool {
    let name = name.trim_end_matches('s').to_lowercase();
    EMPTY.iter().any(|empty| name.ends_with(&empty.to_lowercase()))
}

/// Built from pieces, so that this file does not name them either.
fn machine_paths() -> [String; 3] {
    ["main", "shared", ".library"].map(|folder| ["", "work", folder].join("/"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    fn wrong(text: &str) -> usize {
        let mut found = Findings::default();
        check(&SourceFile::new("a.rs", text.into()), &mut found);
        found.wrong.len()
    }

    #[test]
    fn names_that_say_nothing_are_wrong() {
        assert_eq!(wrong("pub struct RunManager {}\nmod utils;\nstruct Utility;\n"), 2);
        assert_eq!(wrong("/// Of the service\nstruct Servant;\n"), 0);
    }

    #[test]
    fn paths_of_one_machine_are_wrong() {
        assert_eq!(wrong(&format!("// see {}/design.md", machine_paths()[1])), 1);
        assert_eq!(wrong("// see docs/architecture.md"), 0);
    }
}
