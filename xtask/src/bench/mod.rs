//! `cargo xtask bench road`: the whole road beside what the machine can carry at all, in one run.
//!
//! `crates/cli/examples/road.rs` measures the road; the same child is read here without any of it, through a raw
//! PTY and through a pipe. Times on a shared machine say little: the ratios count.

mod raw;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::{place, shell};

const PROFILE: &str = "bench-road";

pub fn command(args: &[String]) -> Result<()> {
    let Some(("road", rest)) = args.split_first().map(|(first, rest)| (first.as_str(), rest))
    else {
        bail!("Usage: cargo xtask bench road [--transport pty|pipe] [--lines N]");
    };
    let packages =
        ["--package", "musher-cli", "--package", "musher-demo", "--bins", "--example", "road"];
    shell::run(shell::cargo().args(["build", "--profile", PROFILE]).args(packages))?;
    let lines = lines_of(rest)?;
    let mut road = road(rest)?;
    let child = place::program(PROFILE, "musher-demo-agent");
    let (pty, pipe) = (raw::through_pty(&child, lines)?, raw::through_pipe(&child, lines)?);
    let rate = road["lines_per_second"].as_f64().context("the road's rate")?;
    road["raw_pty_lines_per_second"] = json!(pty.round());
    road["raw_pipe_lines_per_second"] = json!(pipe.round());
    road["ratio_to_raw_pty"] = json!(rate / pty);
    road["ratio_to_raw_pipe"] = json!(rate / pipe);
    println!("{road}");
    Ok(())
}

fn lines_of(args: &[String]) -> Result<u64> {
    let value = args.iter().position(|arg| arg == "--lines").and_then(|at| args.get(at + 1));
    value.map_or(Ok(100_000), |text| text.parse().context("--lines takes a number"))
}

fn road(args: &[String]) -> Result<Value> {
    let road = place::program(PROFILE, "examples/road").to_string_lossy().into_owned();
    let measured = shell::output(shell::command(&road).args(args))
        .with_context(|| format!("`{road}` failed; run it alone to see why"))?;
    serde_json::from_str(&measured).with_context(|| format!("`{road}` printed no JSON"))
}
