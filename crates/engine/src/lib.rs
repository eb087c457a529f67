//! What runs the agents: one [`Engine`] for each data directory. It owns the run actors, the pool of
//! slots, the broker of permissions, and the recovery at start.
//!
//! Every method that a person can reach is named as its command in `musher_protocol::COMMANDS` and
//! takes and gives that command's types, so that `api` only has to name it.

mod actor;
mod boot;
mod claims;
mod core;
mod doctor;
mod engine;
mod kept;
mod keys;
mod log;
mod news;
mod projects;
mod rules;
mod runs;
mod settings;
mod variables;

pub use core::EngineConfig;
pub use doctor::doctor_without_engine;
pub use engine::Engine;
pub use keys::{check_kept, key_error, with_models};
pub use musher_store::is_there;
pub use musher_store::keys::{KeyError, KeyRing};
pub use news::NewsReader;
pub use projects::{DEMO_REPOSITORY, worktrees_of};
pub use settings::{DEFAULT_MAX_LIVE_RUNS, MAX_PROMPT_BYTES, WAITS_FOR_SPACE};
