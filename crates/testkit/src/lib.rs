//! For tests only: a scripted model server ([`ScriptedModel`]), throw-away repositories ([`Repo`]),
//! proofs that a process is gone ([`proof`]), our own executables ([`executable`]), and the real
//! `claude` in a home of its own ([`Live`]).
//!
//! Nothing here knows the engine, so that the engine's own tests can use it.

mod live;
mod model;
mod programs;
pub mod proof;
mod repo;

pub use live::Live;
pub use model::{Action, Recorded, Reply, Scenario, ScriptedModel, scenarios};
pub use programs::executable;
pub use repo::Repo;
