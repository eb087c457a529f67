//! Claude Code.

pub mod decode;
pub mod outcome;
