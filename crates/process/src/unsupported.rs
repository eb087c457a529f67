//! What a system without an implementation says.

use crate::ProcessError;

/// Always says that agents cannot be started here.
pub fn keeper_program() -> Result<std::path::PathBuf, ProcessError> {
    Err(ProcessError::Unsupported("starting agents"))
}
