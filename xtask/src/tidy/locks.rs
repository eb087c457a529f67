//! Lock files name packages and their sums, never the host they happened to come from.

use super::{Findings, source::SourceFile};

const CRATES: &str = "source = \"registry+https://github.com/rust-lang/crates.io-index\"";

pub fn check(file: &SourceFile, found: &mut Findings) {
    let foreign: fn(&str) -> bool = match file.path.rsplit('/').next() {
        Some("Cargo.lock") => |line| line.starts_with("source = ") && line != CRATES,
        Some("package-lock.json") => |line| line.trim_start().starts_with("\"resolved\":"),
        Some(".npmrc") => |line| line.contains("://"),
        _ => return,
    };
    if let Some(at) = file.text.lines().position(foreign) {
        found.wrong(format!("{}:{} names the host of a registry.", file.path, at + 1));
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
    fn a_registry_of_ones_own_is_wrong() {
        assert_eq!(wrong("Cargo.lock", &format!("name = \"a\"\n{CRATES}\n")), 0);
        assert_eq!(wrong("Cargo.lock", "source = \"git+https://example.org/a\"\n"), 1);
        assert_eq!(wrong("ui/package-lock.json", "  \"resolved\": \"http://10.0.0.1/a.tgz\"\n"), 1);
        assert_eq!(wrong("ui/package-lock.json", "  \"integrity\": \"sha512-\"\n"), 0);
    }
}
