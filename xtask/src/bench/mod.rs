//! `cargo xtask bench road`: the whole road beside what the machine can carry at all, in one run.
//!
//! `musher bench-road` measures the road; the same child is read here without any of it, through a raw
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
    let packages = ["--package", "musher-cli", "--package", "musher-demo", "--bins"];
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
    let musher = place::program(PROFILE, "musher");
    let mut command = shell::command(&musher.to_string_lossy());
    let measured = shell::output(command.arg("bench-road").args(args))
        .context("`musher bench-road` failed; run it alone to see why")?;
    serde_json::from_str(&measured).context("`musher bench-road` printed no JSON")
}
