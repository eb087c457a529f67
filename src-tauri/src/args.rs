//! The command line.

use std::path::PathBuf;

use clap::Parser;
use musher_protocol::ApiError;

/// A window on a team of coding agents.
#[derive(Debug, Parser)]
#[command(name = "musher-desktop", version, about)]
pub(crate) struct Args {
    /// Where everything of Musher's lives (else MUSHER_DATA_DIR, else the system's place)
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,

    /// Folders to open, as if they were dropped on the window
    folders: Vec<PathBuf>,
}

impl Args {
    pub(crate) fn parse() -> Self {
        <Self as Parser>::parse()
    }

    pub(crate) fn data_dir(&self) -> Result<PathBuf, ApiError> {
        musher_api::data_dir(self.data_dir.clone())
    }

    /// Absolute, since the window that takes them may be another process in another folder.
    pub(crate) fn folders(&self) -> Vec<String> {
        self.folders.iter().map(|folder| crate::drop::canonical(folder)).collect()
    }
}
