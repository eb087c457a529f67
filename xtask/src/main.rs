//! `cargo xtask`: everything one does to this repository has a name here, so that a person and the
//! automatic checks do the same.

mod bench;
mod bundle;
mod display;
mod fetched;
mod generate;
mod page;
mod place;
mod run;
mod shell;
mod system;
mod test;
mod tidy;

use anyhow::{Result, bail};
use std::process::ExitCode;

const USAGE: &str = "Usage: cargo xtask <command>

  run [ARGS]              installs what is missing, builds, opens the window; ARGS are the window's:
                          [--data-dir DIR] [FOLDER]... Without a display it runs the demo in the
                          terminal
  test [--live] [--window | --no-window] [FILTER]
                          installs what is missing, runs every test. --live: also those with the
                          real `claude`, fetched from npm (always with CI=true), and those with a real
                          model server, built from PyPI; --window: only those that need a display and a
                          browser; FILTER: only the Rust tests whose name contains it
  bundle [FORMAT]...      a package to install, into target/release/bundle/; `deb` unless given
  bench road [--transport pty|pipe] [--lines N]
                          measures the road of an event from the agent to the page
  bench deltas [--rate N] [--seconds N]
                          measures how late the words of a model over HTTP are in the transcript, and
                          how soon a stop ends it
  bench start [--events N] [--programs DIR]
                          measures the window's start, with a store of so many events; of what
                          `bundle` built, or of an installed one (/usr/bin)
  tidy                    the house rules that no compiler knows
  generate [--check]      TypeScript of the protocol into ui/src/contract/
";

fn main() -> ExitCode {
    match dispatch() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let command = args.next().unwrap_or_default();
    let rest: Vec<String> = args.collect();
    if matches!(rest.first().map(String::as_str), Some("--help" | "-h" | "help")) {
        println!("{USAGE}");
        return Ok(());
    }
    match command.as_str() {
        "run" => run::command(&rest),
        "test" => test::command(&rest),
        "bundle" => bundle::command(&rest),
        "bench" => bench::command(&rest),
        "generate" => generate::command(&rest),
        "tidy" => tidy::command(&rest),
        "" | "help" | "--help" | "-h" => {
            println!("{USAGE}");
            Ok(())
        }
        other => bail!("`{other}` is no command.\n\n{USAGE}"),
    }
}
