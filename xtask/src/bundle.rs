//! `cargo xtask bundle`: packages of a release build. Beside the window's program every package
//! carries `musher`, the keeper and the demo agent, since each looks for the others in its own folder,
//! and the page for `musher serve`. What else is in one says `src-tauri/bundle.conf.json`, which is
//! apart from `tauri.conf.json` because every build would ask for the files that it names.

use anyhow::{Context, Result, bail};
use serde_json::json;
use std::fs;
use std::path::{Path, PathBuf};

use crate::{fetched, page, place, shell, system};

/// Of the same minor version as the crate `tauri`, or it refuses.
const BUNDLER: (&str, &str) = ("@tauri-apps/cli", "2.12.5");
/// What travels beside the window's program.
const BESIDE: [&str; 3] = ["musher", "musher-keeper", "musher-demo-agent"];

pub fn command(formats: &[String]) -> Result<()> {
    system::ensure(&system::of_this_system(system::TO_BUILD))?;
    system::ensure_node()?;
    page::install()?;
    page::build()?;
    build()?;
    let formats = if formats.is_empty() { "deb".to_owned() } else { formats.join(",") };
    let bundler = Path::new(BUNDLER.0).join("tauri.js");
    let bundler = fetched::from_npm("bundler", BUNDLER.0, BUNDLER.1, &bundler)?;
    let programs = json!({ "bundle": { "externalBin": beside()? } }).to_string();
    let mut bundle = shell::command("node");
    bundle.arg(bundler).args(["bundle", "--bundles", &formats]);
    bundle.args(["--config", "src-tauri/bundle.conf.json", "--config", &programs]);
    shell::run(&mut bundle)
}

/// All programs at once, and with the page inside: what the bundler's own `build` would make of the
/// window's alone.
fn build() -> Result<()> {
    let mut build = shell::cargo();
    build.args(["build", "--release", "--workspace", "--exclude", "xtask", "--bins"]);
    shell::run(build.args(["--features", "custom-protocol"]))
}

/// The other programs as the bundler wants them: a path without the target's name, beside which the
/// file with it is.
fn beside() -> Result<Vec<PathBuf>> {
    let target = target()?;
    let folder = place::target().join("release/beside");
    fs::create_dir_all(&folder)?;
    let mut paths = Vec::new();
    for name in BESIDE {
        let built = place::program("release", name);
        let named = format!("{name}-{target}{}", std::env::consts::EXE_SUFFIX);
        fs::copy(&built, folder.join(named))
            .with_context(|| format!("copying {}", built.display()))?;
        paths.push(folder.join(name));
    }
    Ok(paths)
}

fn target() -> Result<String> {
    let said = shell::output(shell::command("rustc").arg("-vV")).unwrap_or_default();
    match said.lines().find_map(|line| line.strip_prefix("host: ")) {
        Some(target) => Ok(target.to_owned()),
        None => bail!("`rustc -vV` does not say for which system it builds."),
    }
}
