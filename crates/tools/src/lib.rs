//! The tools that an agent is given whose model is reached over HTTP, and who may call them.
//!
//! [`Host`] is the `ToolHost` of a runtime: built of a list of [`Tool`]s, it tells the model of them
//! ([`schema`]), judges each call by the project's [`rules`] and the run's permission mode, and does
//! it. Tools of other programs (`mcp`) stand beside its own. Files are reached through [`paths`] alone,
//! processes are started by `musher_process` alone.
//!
//! What holds:
//! - Nothing outside of the worktree, and nothing of git's own, is read or written by a tool that
//!   takes paths, whatever is swapped while it runs.
//! - What is judged is what is done: a command is shown, judged and run as the same text, and a file
//!   that leads elsewhere than when it was judged is refused.
//! - A call that is stopped ends with all that it started, or names what is left.
//! - Everything that goes to the model has a limit.
//!
//! On systems without Unix descriptors there is no [`Host`] yet.

#![cfg(unix)]

mod change;
mod edit;
pub mod endpoint;
mod fetch;
mod files;
mod host;
mod kept;
mod list;
mod mcp;
mod output;
mod plan;
mod read;
mod read_output;
mod run;
mod search;
mod site;
mod tool;
mod walk;
mod words;

pub mod paths;
pub mod rules;
pub mod schema;
pub mod show;

pub use host::{Host, HostConfig, HostError};
pub use kept::{clean, clean_told};
pub use mcp::{Patience, ServerSources, check_servers};
pub use rules::{Demand, LiveRules, Rule, RuleError, Rules, always, answer, answer_edit};
pub use tool::{Planned, Tool};
pub use words::{ProjectWords, WORDS_FILE, project_words};
