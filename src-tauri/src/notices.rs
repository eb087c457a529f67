//! Notifications on this desktop (Desktop Notifications Specification 1.2). No server is no error.
//!
//! One task speaks to the server and hears its clicks, in order: it listens before it shows the first
//! one, so that no click can come too early. A run has one notification; a new one replaces it.

use std::sync::Arc;

use tokio::sync::mpsc;

use crate::{notify::Note, shell::Shell};

/// More than a person can read at once; what comes on top is only in the window.
pub(crate) const NOTES_DEPTH: usize = 32;

#[cfg(target_os = "linux")]
pub(crate) async fn show(shell: Arc<Shell>, mut notes: mpsc::Receiver<Note>) {
    while let Some(note) = notes.recv().await {
        if let Err(error) = bus::serve(&shell, note, &mut notes).await {
            tracing::debug!("no notification: {error}");
        }
    }
}

/// Clicks do not come back on the other systems.
#[cfg(not(target_os = "linux"))]
pub(crate) async fn show(_shell: Arc<Shell>, mut notes: mpsc::Receiver<Note>) {
    while let Some(note) = notes.recv().await {
        let shown = tokio::task::spawn_blocking(move || {
            notify_rust::Notification::new()
                .summary(&note.summary)
                .body(&note.body)
                .show()
                .map(drop)
        });
        if let Ok(Err(error)) = shown.await {
            tracing::debug!("no notification: {error}");
        }
    }
}

#[cfg(target_os = "linux")]
mod bus {
    use std::{collections::HashMap, time::Duration};

    use futures::StreamExt;
    use tokio::sync::mpsc;
    use zbus::Variant;

    use crate::{notify::Note, shell::Shell};

    /// A server that does not answer is left alone.
    const ANSWER_LIMIT: Duration = Duration::from_secs(10);
    /// What a click on the notification itself is called.
    const CLICK: &str = "default";

    #[zbus::proxy(
        interface = "org.freedesktop.Notifications",
        default_service = "org.freedesktop.Notifications",
        default_path = "/org/freedesktop/Notifications"
    )]
    trait Notifications {
        fn get_capabilities(&self) -> zbus::Result<Vec<String>>;

        #[allow(clippy::too_many_arguments)]
        fn notify(
            &self,
            app: &str,
            replaces: u32,
            icon: &str,
            summary: &str,
            body: &str,
            actions: &[&str],
            hints: HashMap<&str, Variant<'_>>,
            timeout: i32,
        ) -> zbus::Result<u32>;

        #[zbus(signal)]
        fn action_invoked(&self, id: u32, action: String) -> zbus::Result<()>;

        #[zbus(signal)]
        fn notification_closed(&self, id: u32, reason: u32) -> zbus::Result<()>;
    }

    /// Shows `first` and what follows, and opens what is clicked. Ends with an error, for example
    /// when the server goes.
    pub(super) async fn serve(
        shell: &Shell,
        first: Note,
        notes: &mut mpsc::Receiver<Note>,
    ) -> zbus::Result<()> {
        let bus = zbus::connection::Builder::session().method_timeout(ANSWER_LIMIT).build().await?;
        let server = NotificationsProxy::new(&bus).await?;
        // In one stream: a click closes its notification, and must be heard first.
        let mut signals = server.inner().receive_all_signals().await?;
        // It takes `<`, `>` and `&` for markup.
        let markup = server.get_capabilities().await?.iter().any(|name| name == "body-markup");
        // Its number of what is shown for a run, or for the window.
        let mut shown = HashMap::new();
        let mut next = Some(first);
        loop {
            if let Some(note) = next.take() {
                let replaces = shown.get(&note.run).copied().unwrap_or(0);
                let id = show(&server, &note, replaces, markup).await?;
                shown.insert(note.run, id);
            }
            tokio::select! {
                note = notes.recv() => {
                    let Some(note) = note else { return Ok(()) };
                    next = Some(note);
                }
                signal = signals.next() => {
                    let Some(signal) = signal else { return Ok(()) };
                    if let Some(click) = ActionInvoked::from_message(signal.clone()) {
                        let click = click.args()?;
                        let run = shown.iter().find(|(_, id)| **id == click.id);
                        if let Some((run, _)) = run.filter(|_| click.action == CLICK) {
                            shell.open_run(run.clone());
                        }
                    } else if let Some(closed) = NotificationClosed::from_message(signal) {
                        let closed = closed.args()?.id;
                        shown.retain(|_, id| *id != closed);
                    }
                }
            }
        }
    }

    async fn show(
        server: &NotificationsProxy<'_>,
        note: &Note,
        replaces: u32,
        markup: bool,
    ) -> zbus::Result<u32> {
        let body = if markup { escaped(&note.body) } else { note.body.clone() };
        let hints = HashMap::from([("desktop-entry", Variant::from("Musher"))]);
        let (actions, by_itself) = ([CLICK, "Open"], -1);
        let summary = &note.summary;
        server.notify("Musher", replaces, ICON, summary, &body, &actions, hints, by_itself).await
    }

    /// As the package names its icon.
    const ICON: &str = "musher-desktop";

    /// The agent's words must not become the server's markup (section "Markup").
    fn escaped(text: &str) -> String {
        text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
    }

    #[test]
    fn an_agents_words_are_no_markup() {
        assert_eq!(escaped("<b>&"), "&lt;b&gt;&amp;");
    }
}
