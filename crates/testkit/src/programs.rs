//! Our own executables, for tests in other crates than the one that makes them.

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::SystemTime,
};

use anyhow::{Context, Result, ensure};

/// The executable `name` that `package` (a folder below `crates/`) makes, built when it is missing or
/// older than its sources.
pub fn executable(package: &str, name: &str) -> Result<PathBuf> {
    let own = std::env::current_exe()?;
    // target/<profile>/deps/<test>
    let folder = own.ancestors().nth(2).context("a test is not where cargo puts tests")?;
    let program = folder.join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).context("no workspace")?;
    if !is_fresh(&program, &root.join("crates").join(package)) {
        build(root, package, name, folder)?;
    }
    ensure!(program.is_file(), "{} is not there after a build", program.display());
    Ok(program)
}

fn is_fresh(program: &Path, sources: &Path) -> bool {
    let built = std::fs::metadata(program).and_then(|meta| meta.modified());
    built.is_ok_and(|built| newest(sources).is_some_and(|changed| changed <= built))
}

/// When anything below a folder was changed last.
fn newest(folder: &Path) -> Option<SystemTime> {
    let entries = std::fs::read_dir(folder).ok()?.filter_map(Result::ok);
    let times = entries.filter_map(|entry| match entry.path() {
        path if path.is_dir() => newest(&path),
        path => path.metadata().ok()?.modified().ok(),
    });
    times.max()
}

fn build(root: &Path, package: &str, name: &str, folder: &Path) -> Result<()> {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(root).args([
        "build",
        "--quiet",
        "--bin",
        name,
        "--package",
        &format!("musher-{package}"),
    ]);
    match folder.file_name().and_then(|profile| profile.to_str()) {
        Some("debug") | None => {}
        Some(profile) => drop(cargo.args(["--profile", profile])),
    }
    ensure!(cargo.status()?.success(), "cargo could not build {name}");
    Ok(())
}
