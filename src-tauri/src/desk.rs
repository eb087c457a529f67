//! What a person meets outside the window: the tray, notifications, and what closing means.

use std::sync::{Arc, atomic::Ordering};

use musher_protocol::StoryId;
use tokio::sync::watch;

use crate::{
    dialog,
    notify::Note,
    shell::{Shell, locked},
    tray::{Tray, TrayView},
    tray_host, window,
};

impl Shell {
    pub(crate) async fn watch_tray(self: Arc<Self>) {
        let present = watch::Sender::new(false);
        let mut changes = present.subscribe();
        let follow = async {
            while changes.changed().await.is_ok() {
                let there = *changes.borrow_and_update();
                self.on_main(move |shell| shell.tray_host_is(there));
            }
        };
        tokio::join!(tray_host::watch(&present), follow);
    }

    /// The icon is made when there is a host for the first time. It stays when the host goes: the
    /// tray library brings it to the next host by itself.
    fn tray_host_is(&self, there: bool) {
        tracing::debug!(there, "tray host");
        self.tray_host.store(there, Ordering::Relaxed);
        let mut tray = locked(&self.tray);
        if there && tray.is_none() {
            *tray = Tray::make(&self.app, &locked(&self.tray_view));
        }
        if !there && !window::is_shown(&self.app) {
            // Whoever hid it could not bring it back any more.
            window::show(&self.app);
        }
    }

    fn on_main(self: &Arc<Self>, work: impl FnOnce(&Self) + Send + 'static) {
        let shell = self.clone();
        // Fails only when the program ends.
        let _ = self.app.run_on_main_thread(move || work(&shell));
    }

    pub(crate) fn show_in_tray(self: &Arc<Self>, view: TrayView) {
        self.live.store(view.live, Ordering::Relaxed);
        let changed = {
            let mut shown = locked(&self.tray_view);
            let changed = *shown != view;
            *shown = view;
            changed
        };
        if changed {
            self.on_main(|shell| {
                let view = locked(&shell.tray_view).clone();
                if let Some(tray) = locked(&shell.tray).as_mut() {
                    tray.show(&shell.app, &view);
                }
            });
        }
    }

    /// Only where a tray can bring it back, and only while something runs.
    pub(crate) fn hides_on_close(&self) -> bool {
        let tray = self.tray_host.load(Ordering::Relaxed) && locked(&self.tray).is_some();
        tray && self.live.load(Ordering::Relaxed) > 0
    }

    pub(crate) fn say_once_that_it_hides(self: &Arc<Self>) {
        if !self.said_that_it_hides.swap(true, Ordering::Relaxed) {
            self.show_note(Note {
                run: None,
                summary: "Musher goes on in the tray".to_owned(),
                body: "Its agents work on. Open or quit it from its icon.".to_owned(),
            });
        }
    }

    /// Tells of a run of `story`, unless a person looks at that.
    pub(crate) fn notify(self: &Arc<Self>, note: Note, story: &StoryId) {
        let shown = locked(&self.shown).as_ref() == Some(story);
        let looked_at = shown && window::is_looked_at(&self.app);
        tracing::debug!(looked_at, "{}", note.summary);
        if !looked_at {
            self.show_note(note);
        }
    }

    fn show_note(&self, note: Note) {
        if self.notes.try_send(note).is_err() {
            tracing::debug!("a notification is left out: too many wait");
        }
    }

    pub(crate) fn ask_to_stop_all(self: &Arc<Self>) {
        self.own(Self::stop_all);
    }

    async fn stop_all(self: Arc<Self>) {
        let live = self.live.load(Ordering::Relaxed);
        let question = match live {
            1 => "Stop the live run?".to_owned(),
            live => format!("Stop {live} live runs?"),
        };
        let text = "Each agent is ended with everything it started. \
                    What it wrote stays in its worktree.";
        if !dialog::ask(&self.app, question, text).await {
            return;
        }
        if let Err(error) = self.call("run_stop_all", "{}").await {
            dialog::error(&self.app, &error).await;
        }
    }
}
