//! `cargo xtask bench road`: builds with the profile that measures, and hands over to `musher`.

use anyhow::{Result, bail};

use crate::{place, shell};

const PROFILE: &str = "bench-road";

pub fn command(args: &[String]) -> Result<()> {
    let Some(("road", rest)) = args.split_first().map(|(first, rest)| (first.as_str(), rest))
    else {
        bail!("Usage: cargo xtask bench road [--transport pty|pipe] [--lines N]");
    };
    let packages = ["--package", "musher-cli", "--package", "musher-demo"];
    shell::run(shell::cargo().args(["build", "--profile", PROFILE, "--bins"]).args(packages))?;
    let musher = place::program(PROFILE, "musher");
    shell::run(shell::command(&musher.to_string_lossy()).arg("bench-road").args(rest))
}
