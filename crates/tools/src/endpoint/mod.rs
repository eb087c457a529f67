//! The engine's tools for an agent that has a loop of its own: a tool server (Model Context Protocol
//! over stdin and stdout) that the agent starts itself, as `musher mcp <run folder>`.
//!
//! It belongs to the agent's process tree: it lives as long as the agent does, whatever becomes of the
//! engine, and the agent's keeper ends it with the rest. What it must know stands in [`FILE`] of the run's
//! folder, which the engine writes and this reads again before each call.
//!
//! What holds:
//! - The tools, their schemas, limits and paths are [`crate::Host`]'s; the rules' `deny` lines hold.
//! - Nobody is asked here: whether the call may be made was the agent's to ask, over its own road. What
//!   a rule or the mode denies is refused all the same, and so is a command that cannot be read while a
//!   rule denies commands. When the mode cannot be read, it is `plan`.
//! - A tool that fails answers with `isError` and words for the model; only what is no call at all (an
//!   unknown tool) is an error of the protocol.
//! - A call that is cancelled, and every call when the connection ends, ends with all that it started.
//! - Values of variables are not in the file: commands get those of the named ones that the agent has.

mod given;
mod serve;
mod server;
mod terms;

pub use given::{Endpoint, Offer};
pub use serve::{KeptKeys, ServeError, serve, serve_on};
pub use terms::FILE;

/// What the agent knows the server as; its tools are `mcp__musher__read_file`, ...
pub const NAME: &str = "musher";
/// Its tools that only read.
pub const READERS: [&str; 5] = ["read_file", "list_files", "search", "read_output", "update_plan"];
/// The subcommand of `musher` that is the server.
pub const COMMAND: &str = "mcp";
