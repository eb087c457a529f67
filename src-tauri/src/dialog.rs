//! The system's own dialogs. Made on the main thread, where GTK lives; awaited anywhere.

use std::{future::Future, path::PathBuf, pin::Pin};

use musher_protocol::ApiError;
use rfd::{AsyncFileDialog, AsyncMessageDialog, MessageButtons, MessageDialogResult, MessageLevel};
use tauri::{AppHandle, Manager};
use tokio::sync::oneshot;

use crate::window;

type Shown<T> = Pin<Box<dyn Future<Output = T> + Send>>;

async fn on_main<T: Send + 'static>(
    app: &AppHandle,
    show: impl FnOnce(&AppHandle) -> Shown<T> + Send + 'static,
) -> Option<T> {
    let (sender, shown) = oneshot::channel();
    let handle = app.clone();
    // Either fails only when the program ends.
    app.run_on_main_thread(move || drop(sender.send(show(&handle)))).ok()?;
    Some(shown.await.ok()?.await)
}

/// Says what went wrong, and waits until it was read.
pub(crate) async fn error(app: &AppHandle, error: &ApiError) {
    let text = match &error.hint {
        Some(hint) => format!("{}\n\n{hint}", error.message),
        None => error.message.clone(),
    };
    on_main(app, move |_| {
        let dialog = AsyncMessageDialog::new().set_title("Musher").set_level(MessageLevel::Error);
        Box::pin(dialog.set_description(text).show())
    })
    .await;
}

/// Whether the person said yes. "No" comes first and has the focus: what is asked is never the
/// default.
pub(crate) async fn ask(app: &AppHandle, question: String, text: &'static str) -> bool {
    let answer = on_main(app, move |app| {
        let mut dialog = AsyncMessageDialog::new()
            .set_title(question.as_str())
            .set_description(text)
            .set_level(MessageLevel::Warning)
            .set_buttons(MessageButtons::YesNo);
        // A dialog of a hidden window would be hidden, too.
        if let Some(window) = app.get_webview_window(window::LABEL)
            && window.is_visible().unwrap_or(false)
        {
            dialog = dialog.set_parent(&window);
        }
        Box::pin(dialog.show())
    })
    .await;
    matches!(answer, Some(MessageDialogResult::Yes))
}

/// The folders that the person chose; none when they chose none.
pub(crate) async fn pick_folders(app: &AppHandle) -> Vec<PathBuf> {
    let chosen = on_main(app, |app| {
        let mut dialog = AsyncFileDialog::new().set_title("Choose repositories or worktrees");
        if let Some(window) = app.get_webview_window(window::LABEL) {
            dialog = dialog.set_parent(&window);
        }
        Box::pin(dialog.pick_folders())
    })
    .await;
    let folders = chosen.flatten().unwrap_or_default();
    folders.into_iter().map(|folder| folder.path().to_path_buf()).collect()
}
