//! What travels between Musher's parts and what is kept on disk: ids, events, run states, commands
//! and replies. Plain data: serde in, serde out, no I/O, no clock.
//!
//! Rules that hold for every type here:
//! - Stored lines are never rewritten: a reader passes them on as they are, so a field or a variant
//!   that this version does not know survives it ([`AgentEvent::Unknown`] when it must be folded).
//! - Times are UTC, RFC 3339 on the wire; money is whole micro-dollars; sizes are bytes.
//! - TypeScript of every type here is generated into `ui/src/contract/` (`cargo xtask generate`).

mod ask;
mod commands;
mod error;
mod event;
mod folder;
mod ids;
mod model;
mod models;
mod outcome;
mod status;
mod tool;

pub use ask::*;
pub use commands::*;
pub use error::*;
pub use event::*;
pub use folder::*;
pub use ids::*;
pub use model::*;
pub use models::*;
pub use outcome::*;
pub use status::*;
pub use tool::*;

/// Version of the transcript's line format; the first line of every transcript names it.
pub const TRANSCRIPT_FORMAT: u32 = 1;

/// Version of commands and replies; a page or a `musher` of another number is told to restart.
pub const API_VERSION: u32 = 1;
