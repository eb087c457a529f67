//! `cargo xtask bench`: what Musher costs. [`start`] is the window's start,
//! [`deltas`] the way of a model's words over HTTP. `road` is the whole road of
//! an event (`crates/cli/examples/road.rs`) beside what the machine can carry at all, in one run: the
//! same child is read without any of it, through a raw PTY and through a pipe. Times on a shared
//! machine say little: the ratios count.

mod deltas;
mod raw;
mod start;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::{USAGE, place, shell};

const PROFILE: &str = "bench-road";

pub fn command(args: &[String]) -> Result<()> {
    match args.split_first().map(|(what, rest)| (what.as_str(), rest)) {
        Some(("road", rest)) => compare(rest),
        Some(("deltas", rest)) => deltas::command(rest),
        Some(("start", rest)) => start::command(rest),
        _ => bail!("`bench` measures `road`, `deltas` or `start`.\n\n{USAGE}"),
    }
}

fn compare(args: &[String]) -> Result<()> {
    let packages = ["--package", "musher-cli", "--package", "musher-demo"];
    let mut build = shell::cargo();
    build.args(["build", "--profile", PROFILE, "--bins", "--example", "road"]).args(packages);
    shell::run(&mut build)?;
    let lines = number(args, "--lines", 100_000)?;
    let mut road = road(args)?;
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

/// The number behind an option.
fn number(args: &[String], option: &str, default: u64) -> Result<u64> {
    let value = args.iter().position(|arg| arg == option).and_then(|at| args.get(at + 1));
    value.map_or(Ok(default), |text| {
        text.parse().with_context(|| format!("{option} takes a number"))
    })
}

fn road(args: &[String]) -> Result<Value> {
    let road = place::program(PROFILE, "examples/road").to_string_lossy().into_owned();
    let measured = shell::output(shell::command(&road).args(args))
        .with_context(|| format!("`{road}` failed; run it alone to see why"))?;
    serde_json::from_str(&measured).with_context(|| format!("`{road}` printed no JSON"))
}
