//! Notifications: when a run needs an answer, is over, or hit a limit, and nobody looks at the window.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use musher_protocol::{RunId, RunOutcome, RunPhase, RunSummary};
use notify_rust::{Notification, Timeout};
use tokio::task::AbortHandle;

use crate::shell::Shell;

/// A notification server that does not answer is left alone.
const SERVER_LIMIT: Duration = Duration::from_secs(3);

/// What to tell a person, as plain text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Note {
    /// The run that a click opens; none when it opens the window only.
    pub(crate) run: Option<RunId>,
    pub(crate) summary: String,
    pub(crate) body: String,
}

/// What of a change is worth an interruption: only the step into a state, never the state itself.
pub(crate) fn note_of(
    before: Option<&RunSummary>,
    after: &RunSummary,
    project: &str,
) -> Option<Note> {
    let phase_before = before.map_or(RunPhase::Queued, |run| run.phase);
    let asked_before = before.map_or(0, |run| run.waiting);
    let happened = if after.phase == RunPhase::Done {
        if phase_before == RunPhase::Done { None } else { ending(after.outcome.as_ref()) }
    } else if after.waiting > asked_before {
        Some(("needs you", after.detail.clone()))
    } else if after.phase == RunPhase::WaitingRateLimit && phase_before != after.phase {
        Some(("waits for its limit", after.detail.clone()))
    } else {
        None
    };
    let (verb, what) = happened?;
    let place = if project.is_empty() { String::new() } else { format!(" in {project}") };
    let branch = after.branch.as_ref().map(|branch| format!(" ({branch})")).unwrap_or_default();
    let story = format!("{}{branch}", after.title);
    let body = what.into_iter().chain([story]).collect::<Vec<_>>().join("\n");
    Some(Note {
        run: Some(after.id.clone()),
        summary: format!("{}{place} {verb}", after.agent_name),
        body,
    })
}

fn ending(outcome: Option<&RunOutcome>) -> Option<(&'static str, Option<String>)> {
    match outcome? {
        RunOutcome::Completed => Some(("finished", None)),
        // The person did it.
        RunOutcome::Stopped { .. } => None,
        RunOutcome::RateLimited { .. } => {
            Some(("ran into its limit", Some("The account's quota is used up.".into())))
        }
        RunOutcome::LimitReached { .. } => {
            Some(("ran into its limit", Some("A limit of the run is reached.".into())))
        }
        RunOutcome::SpawnFailed { message } | RunOutcome::AuthenticationRequired { message } => {
            Some(("failed", Some(message.clone())))
        }
        RunOutcome::Failed { last_lines, .. }
        | RunOutcome::AbortedBeforeSession { last_lines, .. } => {
            Some(("failed", last_lines.last().cloned()))
        }
        _ => Some(("failed", None)),
    }
}

/// What is shown for a run: a new note takes the place of the one before.
#[derive(Default)]
pub(crate) struct Notes {
    shown: Mutex<HashMap<Option<RunId>, Shown>>,
}

struct Shown {
    /// The server's number of it, once it answered.
    id: Option<u32>,
    waits: AbortHandle,
}

impl Notes {
    pub(crate) fn show(&self, shell: &Arc<Shell>, note: Note) {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        let before = shown.remove(&note.run);
        let id = before.as_ref().and_then(|before| before.id);
        if let Some(before) = before {
            before.waits.abort();
        }
        let run = note.run.clone();
        let waits = shell.own(|shell| show_and_wait(shell, note, id));
        shown.insert(run, Shown { id, waits });
    }

    fn answered(&self, run: &Option<RunId>, id: u32) {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(shown) = shown.get_mut(run) {
            shown.id = Some(id);
        }
    }
}

/// Shows it and waits for the click, or for it to be closed. No server is no error.
async fn show_and_wait(shell: Arc<Shell>, note: Note, id: Option<u32>) {
    let notification = notification(&note, id, server_reads_markup().await);
    let clicked = platform::show(notification, |id| shell.notes.answered(&note.run, id));
    match clicked.await {
        Ok(true) => shell.open_run(note.run),
        Ok(false) => {}
        Err(error) => tracing::debug!("no notification: {error}"),
    }
}

fn notification(note: &Note, id: Option<u32>, markup: bool) -> Notification {
    let mut notification = Notification::new();
    notification
        .appname("Musher")
        .summary(&note.summary)
        .body(&if markup { escaped(&note.body) } else { note.body.clone() })
        .icon("musher")
        .action("default", "Open")
        .timeout(Timeout::Default);
    #[cfg(all(unix, not(target_os = "macos")))]
    notification
        .hint(notify_rust::Hint::DesktopEntry("musher-desktop".into()))
        .hint(notify_rust::Hint::Category("im.received".into()));
    if let Some(id) = id {
        notification.id(id);
    }
    notification
}

/// The agent's words must not become the server's markup (Desktop Notifications Specification 1.2,
/// "Markup").
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(all(unix, not(target_os = "macos")))]
async fn server_reads_markup() -> bool {
    // The crate blocks on its own call: a thread of its own, and not longer than the server may take.
    let asked = tokio::task::spawn_blocking(notify_rust::get_capabilities);
    match tokio::time::timeout(SERVER_LIMIT, asked).await {
        Ok(Ok(Ok(capabilities))) => capabilities.iter().any(|name| name == "body-markup"),
        _ => false,
    }
}

#[cfg(not(all(unix, not(target_os = "macos"))))]
async fn server_reads_markup() -> bool {
    false
}

#[cfg(all(unix, not(target_os = "macos")))]
mod platform {
    use notify_rust::{Notification, NotificationResponse, error::Error};

    use super::SERVER_LIMIT;

    /// True when the notification was clicked; waits until it was, or was closed.
    pub(super) async fn show(
        notification: Notification,
        answered: impl FnOnce(u32),
    ) -> Result<bool, Error> {
        let showing = notification.show_async();
        let Ok(shown) = tokio::time::timeout(SERVER_LIMIT, showing).await else { return Ok(false) };
        let handle = shown?;
        answered(handle.id());
        let mut clicked = false;
        handle
            .wait_for_action_async(|response: &NotificationResponse| {
                clicked = matches!(response, NotificationResponse::Default);
            })
            .await;
        Ok(clicked)
    }
}

#[cfg(not(all(unix, not(target_os = "macos"))))]
mod platform {
    use notify_rust::{Notification, error::Error};

    /// Clicks do not come back on this system.
    pub(super) async fn show(
        notification: Notification,
        _answered: impl FnOnce(u32),
    ) -> Result<bool, Error> {
        let shown = tokio::task::spawn_blocking(move || notification.show().map(|_| ()));
        shown.await.unwrap_or(Ok(())).map(|()| false)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn run(phase: RunPhase, waiting: u32, outcome: Option<RunOutcome>) -> RunSummary {
        let detail = Some("wants to run: cargo test".to_owned());
        RunSummary { waiting, outcome, detail, ..crate::sample::run("r", phase) }
    }

    fn said(before: Option<&RunSummary>, after: &RunSummary) -> Option<String> {
        note_of(before, after, "sundial").map(|note| note.summary)
    }

    #[test]
    fn a_request_names_project_agent_branch_and_what_is_asked() {
        let before = run(RunPhase::Running, 0, None);
        let asks = run(RunPhase::WaitingPermission, 1, None);
        let note = note_of(Some(&before), &asks, "sundial").unwrap();
        assert_eq!(note.summary, "coder-1 in sundial needs you");
        assert_eq!(note.body, "wants to run: cargo test\nAdd a flag (musher/add)");
        assert_eq!(said(Some(&asks), &asks), None);
        assert!(said(Some(&asks), &run(RunPhase::WaitingPermission, 2, None)).is_some());
        assert_eq!(said(Some(&asks), &before), None);
    }

    #[test]
    fn each_ending_is_told_once_and_a_stop_never() {
        let before = run(RunPhase::Running, 0, None);
        let done = |outcome| run(RunPhase::Done, 0, Some(outcome));
        let failed = RunOutcome::Failed { exit_code: Some(1), last_lines: vec!["no key".into()] };
        for (outcome, words) in [
            (RunOutcome::Completed, Some("coder-1 in sundial finished")),
            (failed, Some("coder-1 in sundial failed")),
            (
                RunOutcome::LimitReached { limit: musher_protocol::RunLimit::Turns },
                Some("coder-1 in sundial ran into its limit"),
            ),
            (RunOutcome::Stopped { by: musher_protocol::StoppedBy::User }, None),
        ] {
            let after = done(outcome);
            assert_eq!(said(Some(&before), &after).as_deref(), words);
            assert_eq!(said(Some(&after), &after), None);
            assert_eq!(said(None, &after).as_deref(), words);
        }
    }

    #[test]
    fn a_limit_is_told_when_the_wait_begins() {
        let before = run(RunPhase::Running, 0, None);
        let waits = run(RunPhase::WaitingRateLimit, 0, None);
        assert!(said(Some(&before), &waits).is_some());
        assert_eq!(said(Some(&waits), &waits), None);
    }

    #[test]
    fn an_agents_words_are_no_markup() {
        assert_eq!(escaped("<b>&"), "&lt;b&gt;&amp;");
    }
}
