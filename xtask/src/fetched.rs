//! Programs from npm of one pinned version, in a folder of `target/` and nowhere else.

use anyhow::{Result, bail};
use std::fs;
use std::path::{Path, PathBuf};

use crate::{place, shell};

/// `program` (below `node_modules`) of a package, fetched into `target/FOLDER/VERSION` if need be.
pub fn from_npm(folder: &str, package: &str, version: &str, program: &Path) -> Result<PathBuf> {
    let folder = place::target().join(folder).join(version);
    let program = folder.join("node_modules").join(program);
    if !program.is_file() {
        fs::create_dir_all(&folder)?;
        fs::write(folder.join("package.json"), "{ \"private\": true }\n")?;
        let mut npm = shell::command("npm");
        npm.args(["install", "--no-audit", "--no-fund", "--no-save", "--ignore-scripts"]);
        shell::run(npm.arg(format!("{package}@{version}")).current_dir(&folder))?;
    }
    if !program.is_file() {
        bail!("npm installed {package}, but {} is not there.", program.display());
    }
    Ok(program)
}
