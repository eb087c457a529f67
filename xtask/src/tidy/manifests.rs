//! Every crate has the lints of the workspace.

use super::{Findings, source::SourceFile};

pub fn check(file: &SourceFile, found: &mut Findings) {
    let is_manifest = file.path.rsplit('/').next() == Some("Cargo.toml");
    if is_manifest && !file.text.contains("[lints]\nworkspace = true\n") {
        found.wrong(format!("{} does not take the workspace's lints.", file.path));
    }
}
