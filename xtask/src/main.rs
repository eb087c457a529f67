//! `cargo xtask`: everything one does to this repository has a name here, so that a person and the
//! automatic checks do the same.

mod bench;
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

  run [ARGS]              installs what is missing, builds, opens the window
  test [--live] [--window | --no-window] [FILTER]
                          installs what is missing, runs every test
  bench road [--transport pty|pipe] [--lines N]
                          measures the road of an event from the agent to the page
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
    match command.as_str() {
        "run" => run::command(&rest),
        "test" => test::command(&rest),
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
