//! The window as a host of commands.

use std::sync::{Arc, Weak};

use async_trait::async_trait;
use musher_api::{Host, OpenTarget};
use musher_protocol::{ApiError, ErrorCode, HostKind};

use crate::{dialog, page::Wanted, shell::Shell};

/// Weak: the shell owns the engine's API, which owns this.
pub(crate) struct WindowHost(pub(crate) Weak<Shell>);

impl WindowHost {
    fn shell(&self) -> Result<Arc<Shell>, ApiError> {
        let gone = || ApiError::new(ErrorCode::Conflict, "Musher is ending.");
        self.0.upgrade().ok_or_else(gone)
    }
}

#[async_trait]
impl Host for WindowHost {
    fn kind(&self) -> HostKind {
        HostKind::Window
    }

    async fn pick_folders(&self) -> Result<Vec<String>, ApiError> {
        let folders = dialog::pick_folders(&self.shell()?.app).await;
        Ok(folders.iter().map(|folder| crate::drop::canonical(folder)).collect())
    }

    async fn open_external(&self, target: OpenTarget) -> Result<(), ApiError> {
        let opened = tokio::task::spawn_blocking(move || match &target {
            OpenTarget::Link(link) => open::that_detached(link),
            OpenTarget::File(file) => open::that_detached(file),
        });
        match opened.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(ApiError::new(
                ErrorCode::Unsupported,
                format!("No program could be started for it: {error}."),
            )
            .with_hint("Install xdg-utils, or open it yourself.")),
            Err(_) => Err(ApiError::new(ErrorCode::Internal, "Opening it failed.")),
        }
    }

    async fn show(&self, folders: Vec<String>) -> Result<(), ApiError> {
        let shell = self.shell()?;
        shell.open_run(None);
        shell.open(Wanted { folders, run: None });
        Ok(())
    }
}
