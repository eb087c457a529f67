//! The real `claude` for the tests that need it, fetched from npm into `target/live` and nowhere
//! else. The tests give it a home of its own and a model server on this machine.

use anyhow::{Result, bail};
use std::fs;
use std::path::PathBuf;

use crate::{place, shell};

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
    let folder = place::target().join("live").join(VERSION);
    let claude = folder.join("node_modules").join(PACKAGE).join("claude");
    if !claude.is_file() {
        fs::create_dir_all(&folder)?;
        fs::write(folder.join("package.json"), "{ \"private\": true }\n")?;
        let mut npm = shell::command("npm");
        npm.args(["install", "--no-audit", "--no-fund", "--no-save", "--ignore-scripts"]);
        shell::run(npm.arg(format!("{PACKAGE}@{VERSION}")).current_dir(&folder))?;
    }
    if !claude.is_file() {
        bail!("npm installed {PACKAGE}, but {} is not there.", claude.display());
    }
    Ok(claude)
}
