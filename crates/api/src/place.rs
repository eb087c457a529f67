//! Where everything of Musher's lives.

use std::path::PathBuf;

use musher_protocol::{ApiError, ErrorCode};

/// The variable that names the data directory when no argument does.
pub const DATA_DIR_VARIABLE: &str = "MUSHER_DATA_DIR";

/// The data directory: the one that was named, else the one of `MUSHER_DATA_DIR`, else `musher` in
/// the system's place for application data. Absolute.
pub fn data_dir(named: Option<PathBuf>) -> Result<PathBuf, ApiError> {
    let from_variable =
        || std::env::var_os(DATA_DIR_VARIABLE).filter(|value| !value.is_empty()).map(PathBuf::from);
    let of_the_system = || dirs::data_dir().map(|dir| dir.join("musher"));
    let dir = named.or_else(from_variable).or_else(of_the_system).ok_or_else(|| {
        ApiError::new(ErrorCode::BadRequest, "The system names no place for application data.")
            .with_hint("Choose a data directory with --data-dir.")
    })?;
    std::path::absolute(&dir).map_err(|error| {
        ApiError::new(
            ErrorCode::BadRequest,
            format!("`{}` cannot be the data directory: {error}.", dir.display()),
        )
    })
}
