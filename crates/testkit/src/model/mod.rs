//! A scripted server of the Anthropic Messages API on loopback: what the real `claude` needs of it,
//! and no more.
//!
//! A scenario is picked by the marker `[[model:NAME]]` in the newest message that has one; its step is
//! the number of assistant turns after that message. So the server keeps no conversation, and resumed
//! sessions just work. Every request is recorded.

mod scenario;
mod server;
mod wire;

pub use scenario::{Action, Reply, Scenario, scenarios};
pub use server::{Recorded, ScriptedModel};
