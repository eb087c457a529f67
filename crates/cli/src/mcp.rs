//! `musher mcp`: a run's tools for the agent that started this. Stdout is the protocol's.

use std::{path::Path, process::ExitCode};

use musher_engine::KeyRing;
use musher_protocol::{ApiError, ErrorCode};
use musher_tools::endpoint;

/// Serves until the agent ends it.
pub async fn mcp(run_dir: &Path) -> Result<ExitCode, ApiError> {
    // It lies in `runs` of the data directory.
    let data_dir = run_dir.ancestors().nth(2).unwrap_or(run_dir);
    let ring = KeyRing::new(data_dir);
    let served = endpoint::serve(run_dir, Box::new(move || ring.filed())).await;
    served.map_err(|error| ApiError::new(ErrorCode::BadRequest, format!("{error}.")))?;
    Ok(ExitCode::SUCCESS)
}
