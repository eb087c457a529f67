//! For tests only: a scripted model server for the real `claude` ([`ScriptedModel`]), scripted servers
//! of OpenAI's and Gemini's dialects ([`dialects`]), throw-away repositories ([`Repo`]),
//! proofs that a process is gone ([`proof`]), a disk that can be full ([`disk`]), waiting with a limit
//! ([`wait`]), our own executables ([`executable`]), and the real `claude` in a home of its own
//! ([`Live`]).
//!
//! Nothing here knows the engine, so that the engine's own tests can use it.

pub mod dialects;
#[cfg(target_os = "linux")]
pub mod disk;
mod live;
mod loopback;
mod model;
mod programs;
pub mod proof;
mod repo;
pub mod wait;

pub use live::Live;
pub use model::{Action, Recorded, Reply, Scenario, ScriptedModel, scenarios};
pub use programs::{example, executable};
pub use repo::Repo;
