//! Folders dragged onto the window. The page is told with canonical paths; it never navigates to
//! them.

use std::path::{Path, PathBuf};

use serde::Serialize;
use tauri::{DragDropEvent, PhysicalPosition};
use tokio::sync::mpsc;

use crate::shell::Shell;

/// Told to the page as `drop`.
#[derive(Clone, Debug, Serialize, PartialEq)]
pub(crate) struct DropNote {
    pub(crate) kind: &'static str,
    pub(crate) paths: Vec<String>,
    /// In CSS pixels.
    pub(crate) x: f64,
    pub(crate) y: f64,
}

/// A drag as the system told it.
#[derive(Debug)]
pub(crate) struct Dragged {
    kind: &'static str,
    paths: Vec<PathBuf>,
    x: f64,
    y: f64,
}

/// As many movements may wait as a hand makes in a second; more are skipped, an end never waits long
/// behind them.
pub(crate) const DRAG_DEPTH: usize = 64;

impl Dragged {
    pub(crate) fn of(event: &DragDropEvent, scale: f64) -> Option<Self> {
        let at = |position: &PhysicalPosition<f64>| (position.x / scale, position.y / scale);
        let (kind, paths, (x, y)) = match event {
            DragDropEvent::Enter { paths, position } => ("enter", paths.clone(), at(position)),
            DragDropEvent::Over { position } => ("over", Vec::new(), at(position)),
            DragDropEvent::Drop { paths, position } => ("drop", paths.clone(), at(position)),
            DragDropEvent::Leave => ("leave", Vec::new(), (0.0, 0.0)),
            _ => return None,
        };
        Some(Self { kind, paths, x, y })
    }
}

/// Tells the page, in order. Paths are resolved here and not on the main thread: a dead network
/// mount would stop the window.
pub(crate) async fn tell(shell: &Shell, mut drags: mpsc::Receiver<Dragged>) {
    while let Some(mut dragged) = drags.recv().await {
        // Of movements that wait only the last counts.
        while dragged.kind == "over" {
            match drags.try_recv() {
                Ok(next) => dragged = next,
                Err(_) => break,
            }
        }
        let Dragged { kind, paths, x, y } = dragged;
        let resolved =
            tokio::task::spawn_blocking(move || paths.iter().map(|path| canonical(path)).collect());
        let paths = resolved.await.unwrap_or_default();
        shell.tell_drop(DropNote { kind, paths, x, y });
    }
}

/// Absolute, without links; as it was when it cannot be resolved, so that the page can name it.
pub(crate) fn canonical(path: &Path) -> String {
    let resolved = path.canonicalize().or_else(|_| std::path::absolute(path));
    resolved.unwrap_or_else(|_| path.to_path_buf()).to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_in_css_pixels() {
        let event = DragDropEvent::Over { position: PhysicalPosition::new(300.0, 150.0) };
        let dragged = Dragged::of(&event, 1.5);
        assert!(dragged.is_some_and(|drag| (drag.x, drag.y, drag.kind) == (200.0, 100.0, "over")));
    }

    #[test]
    fn a_path_that_is_gone_can_still_be_named() {
        assert_eq!(canonical(Path::new("/no/such folder/ü")), "/no/such folder/ü");
        assert_eq!(canonical(Path::new("/tmp/..")), "/");
    }
}
