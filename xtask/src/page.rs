//! The page in `ui/`: its packages and its build.

use anyhow::Result;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use crate::{place, shell};

pub fn folder() -> PathBuf {
    place::root().join("ui")
}

/// `npm ARGS` in `ui/`.
pub fn npm<const N: usize>(args: [&str; N]) -> Command {
    // On Windows npm is a script that only its full name finds.
    let mut npm = shell::command(if cfg!(windows) { "npm.cmd" } else { "npm" });
    npm.current_dir(folder()).args(args);
    npm
}

/// Installs the page's packages exactly as locked, when they are not.
pub fn install() -> Result<()> {
    let (lock, installed) = ("package-lock.json", "node_modules/.package-lock.json");
    if modified(&folder().join(installed)) >= modified(&folder().join(lock)) {
        return Ok(());
    }
    shell::run(&mut npm(["ci", "--no-audit", "--no-fund"]))
}

/// Builds the page when something it is made of is newer than what was built.
pub fn build() -> Result<()> {
    let parts = ["src", "public", "index.html", "package-lock.json", "vite.config.ts"];
    let newest = parts.iter().map(|part| newest(&folder().join(part))).max();
    let built = folder().join("dist/index.html");
    let is_page = fs::read_to_string(&built).is_ok_and(|text| text.contains("<script"));
    if is_page && Some(modified(&built)) >= newest {
        return Ok(());
    }
    shell::run(&mut npm(["run", "build"]))
}

/// Whether `package.json` has this script.
pub fn has_script(name: &str) -> bool {
    let text = fs::read_to_string(folder().join("package.json")).unwrap_or_default();
    let manifest: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
    manifest["scripts"][name].is_string()
}

/// When a file was written; the beginning of time when it is not there.
fn modified(path: &Path) -> SystemTime {
    let at = fs::metadata(path).and_then(|metadata| metadata.modified());
    at.unwrap_or(SystemTime::UNIX_EPOCH)
}

/// The newest file in a folder, or the file itself.
fn newest(path: &Path) -> SystemTime {
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    let inside = entries.map(|entry| newest(&entry.path())).max();
    inside.unwrap_or(SystemTime::UNIX_EPOCH).max(modified(path))
}
