//! `cargo xtask`: everything one does to this repository has a name here, so that a person and the
//! automatic checks do the same.

mod generate;
mod place;

use anyhow::{Result, bail};

const USAGE: &str = "Usage: cargo xtask <command>

  generate [--check]    TypeScript of the protocol into ui/src/contract/
";

fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let command = args.next().unwrap_or_default();
    let rest: Vec<String> = args.collect();
    match command.as_str() {
        "generate" => generate::command(&rest),
        "" | "help" | "--help" | "-h" => {
            println!("{USAGE}");
            Ok(())
        }
        other => bail!("`{other}` is no command.\n\n{USAGE}"),
    }
}
