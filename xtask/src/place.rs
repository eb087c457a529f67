//! Where things are.

use std::path::{Path, PathBuf};

/// The repository's root: every command works from any folder inside it.
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_path_buf()
}
