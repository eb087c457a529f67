//! A small disk for one test, on Linux: a tmpfs in a mount namespace of the test's own, so that it
//! needs no root, nobody else sees it, and it is gone with the test.

use std::{
    fs::OpenOptions,
    io::{ErrorKind, Write},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Result, ensure};

const VARIABLE: &str = "TEST_SMALL_DISK";
/// What the shell says when the disk cannot be mounted; no test program ends with it.
const NO_DISK: i32 = 77;

/// A disk of `megabytes` for the test of this name (as its program lists it), which calls this first.
/// The test program is started again with the disk and `env`, for this test alone: there the disk is
/// given. Here it is `None` once that program has passed the test, or where no disk may be mounted.
pub fn small(test: &str, megabytes: u32, env: &[(&str, &Path)]) -> Result<Option<PathBuf>> {
    if let Some(disk) = std::env::var_os(VARIABLE) {
        return Ok(Some(disk.into()));
    }
    let folder = tempfile::tempdir()?;
    let script = format!(
        "mount -t tmpfs -o size={megabytes}m,mode=0700 none \"${VARIABLE}\" || exit {NO_DISK}
        exec \"$0\" --exact {test} --nocapture"
    );
    let output = Command::new("unshare")
        .args(["--map-root-user", "--mount", "sh", "-c", &script])
        .arg(std::env::current_exe()?)
        .envs(env.iter().copied())
        .env(VARIABLE, folder.path())
        .output();
    let output = match output {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return skipped("there is no unshare");
        }
        output => output?,
    };
    let said =
        [output.stdout, output.stderr].map(|said| String::from_utf8_lossy(&said).into_owned());
    let said = said.concat();
    if output.status.code() == Some(NO_DISK) || said.contains("unshare failed") {
        return skipped(&format!("no disk may be mounted here: {said}"));
    }
    ensure!(output.status.success() && said.contains("test result: ok. 1 passed"), "{said}");
    Ok(None)
}

fn skipped(why: &str) -> Result<Option<PathBuf>> {
    eprintln!("skipped: {why}");
    Ok(None)
}

/// Takes all the room that is left, to the last byte; `ballast` grows.
pub fn fill(ballast: &Path) -> Result<()> {
    let mut file = OpenOptions::new().create(true).append(true).open(ballast)?;
    for size in [1 << 20, 4 << 10, 1] {
        while file.write_all(&vec![7; size]).is_ok() {}
    }
    Ok(())
}
