//! `cargo xtask`: everything one does to this repository has a name here, so that a person and the
//! automatic checks do the same.

mod generate;
mod place;
mod shell;
mod tidy;

use anyhow::{Result, bail};
use std::process::ExitCode;

const USAGE: &str = "Usage: cargo xtask <command>

  generate [--check]    TypeScript of the protocol into ui/src/contract/
  tidy                  the house rules that no compiler knows
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
        "generate" => generate::command(&rest),
        "tidy" => tidy::command(&rest),
        "" | "help" | "--help" | "-h" => {
            println!("{USAGE}");
            Ok(())
        }
        other => bail!("`{other}` is no command.\n\n{USAGE}"),
    }
}
