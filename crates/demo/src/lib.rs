//! The scripted agent: a program that speaks Claude Code's stream-json dialect from a script, with no
//! model behind it. With the script `demo` it is what a first user sees; with the others it is every
//! good and bad agent of the tests. Its lines have the shapes of Claude Code 2.1.330, recorded.
//!
//! Driven as `claude -p --input-format stream-json --output-format stream-json --verbose
//! --permission-prompt-tool stdio`, it waits silently for the first user line, then plays one turn for
//! each message. The script is chosen by `--demo-script NAME|PATH.json` or `MUSHER_DEMO_SCRIPT`, else
//! by a marker `[[script:NAME key=value]]` in the message, else it is `demo`. `--demo-speed fast` or
//! `MUSHER_DEMO_SPEED=fast` leaves the pauses out. See `scripts/` for the scripts and [`script`] for
//! what a script can do.
//!
//! One thread plays; one reads standard input, one waits for signals, and all speak to the player
//! through one channel. What the player waits for always goes through [`agent::Agent::wait`], so that
//! control requests are answered and an interrupt is heard at any moment.

mod agent;
mod args;
mod ask;
mod builtin;
mod burst;
mod control;
mod faults;
mod input;
mod play;
pub mod script;
mod sys;
mod tools;
mod turn;
mod wire;

use std::{io::Write, process::ExitCode};

pub use builtin::names as builtin_names;

const HELP: &str = "\
Musher's demo agent: it plays a script as if it were Claude Code. No model answers, and it costs nothing.
Musher starts it: musher run \"Say hello\" --repo DIR --runtime demo

Options:
  --demo-script NAME|FILE   the script; `demo` unless given
  --demo-speed fast|N       without its pauses, or N times as long
  --version                 its version
It takes the flags of `claude -p --input-format stream-json --output-format stream-json`.
";

/// Runs the agent with this process's arguments. An executable that is not `musher-demo-agent` itself
/// must do nothing before it: the agent starts its own tools by calling its executable again.
pub fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let Some(code) = sys::run_as_tool(&args) {
        return code;
    }
    let args = args::Args::parse(args, |name| std::env::var(name).ok());
    if args.help {
        // Who does not read on has read enough.
        let _ = std::io::stdout().write_all(HELP.as_bytes());
        return ExitCode::SUCCESS;
    }
    if args.version {
        wire::print_version();
        return ExitCode::SUCCESS;
    }
    ExitCode::from(agent::run(args))
}
