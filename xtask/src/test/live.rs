//! The real `claude` for the tests that need it, fetched from npm into `target/live` and nowhere
//! else. The tests give it a home of its own and a model server on this machine.

use anyhow::Result;
use std::path::{Path, PathBuf};

use crate::fetched;

/// The package of one platform, and a version: the package `claude-code` would silently be an older
/// one on Node 20.
const PACKAGE: &str = "@anthropic-ai/claude-code-linux-x64";
const VERSION: &str = "2.1.330";

/// Whether there is such a `claude` for this machine.
pub fn is_possible() -> bool {
    cfg!(all(target_os = "linux", target_arch = "x86_64"))
}

/// Where it is, after fetching it if need be.
pub fn fetch() -> Result<PathBuf> {
    fetched::from_npm("live", PACKAGE, VERSION, &Path::new(PACKAGE).join("claude"))
}
