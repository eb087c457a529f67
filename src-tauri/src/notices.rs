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
        let shown = async { bus::Server::connect().await?.serve(&shell, note, &mut notes).await };
        if let Err(error) = shown.await {
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
    use musher_protocol::RunId;
    use tokio::sync::mpsc;
    use zbus::{Connection, MatchRule, Message, MessageStream, message::Type};

    use crate::{notify::Note, shell::Shell};

    const NAME: &str = "org.freedesktop.Notifications";
    const PATH: &str = "/org/freedesktop/Notifications";
    /// A server that does not answer is left alone.
    const ANSWER_LIMIT: Duration = Duration::from_secs(10);
    /// What a click on the notification itself is called.
    const CLICK: &str = "default";

    pub(super) struct Server {
        bus: Connection,
        signals: MessageStream,
        /// It takes `<`, `>` and `&` for markup.
        markup: bool,
        /// Its number of what is shown for a run, or for the window.
        shown: HashMap<Option<RunId>, u32>,
    }

    impl Server {
        pub(super) async fn connect() -> zbus::Result<Self> {
            let bus = Connection::session().await?;
            let rule = MatchRule::builder().msg_type(Type::Signal).interface(NAME).build()?;
            let signals = MessageStream::for_match_rule(rule, &bus, None).await?;
            let mut server = Self { bus, signals, markup: false, shown: HashMap::new() };
            let able = server.ask("GetCapabilities", &()).await?;
            let able: Vec<String> = able.body().deserialize()?;
            server.markup = able.iter().any(|name| name == "body-markup");
            Ok(server)
        }

        /// Shows `first` and what follows, and opens what is clicked. Ends with an error, for
        /// example when the server goes.
        pub(super) async fn serve(
            mut self,
            shell: &Shell,
            first: Note,
            notes: &mut mpsc::Receiver<Note>,
        ) -> zbus::Result<()> {
            self.show(first).await?;
            loop {
                tokio::select! {
                    note = notes.recv() => match note {
                        Some(note) => self.show(note).await?,
                        None => return Ok(()),
                    },
                    signal = self.signals.next() => match signal {
                        Some(signal) => self.heard(shell, &signal?),
                        None => return Ok(()),
                    },
                }
            }
        }

        async fn show(&mut self, note: Note) -> zbus::Result<()> {
            let body = if self.markup { escaped(&note.body) } else { note.body };
            let replaces = self.shown.get(&note.run).copied().unwrap_or(0);
            let hints = HashMap::from([("desktop-entry", zbus::Variant::from("musher-desktop"))]);
            let (actions, by_itself) = ([CLICK, "Open"], -1_i32);
            let shown = self
                .ask(
                    "Notify",
                    &(
                        "Musher",
                        replaces,
                        "musher",
                        note.summary,
                        body,
                        &actions[..],
                        hints,
                        by_itself,
                    ),
                )
                .await?;
            let id = shown.body().deserialize()?;
            tracing::debug!(id, "notification");
            self.shown.insert(note.run, id);
            Ok(())
        }

        async fn ask<B>(&self, method: &str, body: &B) -> zbus::Result<Message>
        where
            B: serde::ser::Serialize + zbus::Type,
        {
            let asked = self.bus.call_method(Some(NAME), PATH, Some(NAME), method, body);
            let silent = |_| zbus::Error::Failure("the server does not answer".to_owned());
            tokio::time::timeout(ANSWER_LIMIT, asked).await.map_err(silent)?
        }

        fn heard(&mut self, shell: &Shell, signal: &Message) {
            let header = signal.header();
            match header.member().map(|member| member.as_str()) {
                Some("ActionInvoked") => {
                    if let Ok((id, action)) = signal.body().deserialize::<(u32, String)>()
                        && action == CLICK
                        && let Some((run, _)) = self.shown.iter().find(|(_, shown)| **shown == id)
                    {
                        shell.open_run(run.clone());
                    }
                }
                Some("NotificationClosed") => {
                    if let Ok((id, _reason)) = signal.body().deserialize::<(u32, u32)>() {
                        self.shown.retain(|_, shown| *shown != id);
                    }
                }
                _ => {}
            }
        }
    }

    /// The agent's words must not become the server's markup (section "Markup").
    fn escaped(text: &str) -> String {
        text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
    }

    #[test]
    fn an_agents_words_are_no_markup() {
        assert_eq!(escaped("<b>&"), "&lt;b&gt;&amp;");
    }
}
