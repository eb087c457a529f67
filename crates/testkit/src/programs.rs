//! Our own executables, for tests in other crates than the one that makes them.

use std::{
    path::{Path, PathBuf},
    process::Command,
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
    if !is_fresh(&program) {
        build(root, package, name, folder)?;
    }
    ensure!(program.is_file(), "{} is not there after a build", program.display());
    Ok(program)
}

/// An example of the crate under test, which cargo builds with the tests.
pub fn example(name: &str) -> Result<PathBuf> {
    let own = std::env::current_exe()?;
    let folder = own.ancestors().nth(2).context("a test is not where cargo puts tests")?;
    let program = folder.join("examples").join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    ensure!(program.is_file(), "{} is missing: build the examples", program.display());
    Ok(program)
}

/// Whether it is younger than every source that it was built from; cargo lists them beside it.
fn is_fresh(program: &Path) -> bool {
    let changed = |path: &Path| std::fs::metadata(path).and_then(|meta| meta.modified());
    let Ok(built) = changed(program) else { return false };
    let Ok(list) = std::fs::read_to_string(program.with_extension("d")) else { return false };
    // `program: source source ...`, with spaces in names escaped.
    let sources = list.trim_end().split_once(": ").map_or("", |(_, sources)| sources);
    let sources = sources.replace("\\ ", "\0");
    let mut sources = sources.split(' ').map(|source| source.replace('\0', " "));
    sources.all(|source| changed(Path::new(&source)).is_ok_and(|changed| changed <= built))
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
