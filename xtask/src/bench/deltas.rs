//! `cargo xtask bench deltas`: how late a model's words are in the transcript, and how soon a stop ends
//! what it has to end (`crates/cli/examples/deltas.rs`).

use anyhow::{Context, Result};

use super::PROFILE;
use crate::{place, shell};

pub fn command(args: &[String]) -> Result<()> {
    let mut build = shell::cargo();
    build.args(["build", "--profile", PROFILE, "--package", "musher-cli"]);
    shell::run(build.args(["--bins", "--example", "deltas"]))?;
    let deltas = place::program(PROFILE, "examples/deltas").to_string_lossy().into_owned();
    let measured = shell::output(shell::command(&deltas).args(args))
        .with_context(|| format!("`{deltas}` failed; run it alone to see why"))?;
    println!("{}", measured.trim());
    Ok(())
}
