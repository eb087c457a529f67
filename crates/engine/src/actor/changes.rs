//! When to ask git what changed in the worktree, and what came of it.

use musher_protocol::*;
use tokio::time::Instant;

use super::{RunActor, Work};
use crate::{projects::base_of, settings::CHANGES_SETTLE};

/// Watches a run's events for what may have changed files. git is asked only then, never by the clock.
#[derive(Default)]
pub(super) struct ChangesWatch {
    due: Option<Instant>,
    looking: bool,
    again: bool,
    last: Option<Vec<FileChange>>,
}

impl ChangesWatch {
    pub fn due(&self) -> Option<Instant> {
        self.due.filter(|_| !self.looking)
    }

    pub fn heed(&mut self, event: &AgentEvent) {
        if matches!(event, AgentEvent::ToolResult(_) | AgentEvent::TurnEnded { .. }) {
            self.again |= self.looking;
            self.due.get_or_insert_with(|| Instant::now() + CHANGES_SETTLE);
        }
    }
}

impl RunActor {
    /// Asks git beside the loop; one question at a time.
    pub(super) fn look_at_changes(&mut self) {
        self.changes.due = None;
        self.changes.looking = true;
        let (core, trusted, story) = (self.core.clone(), self.trusted, self.story.clone());
        self.work.spawn(async move {
            let git = core.git().await.trusting(trusted);
            let base = base_of(&story.base_commit);
            let found = git.changes(story.worktree.as_ref(), base).await;
            Work::Changed(found.map_err(|error| error.to_string()))
        });
    }

    pub(super) async fn note_changes(
        &mut self,
        found: Result<WorktreeChanges, String>,
    ) -> Result<(), ApiError> {
        self.changes.looking = false;
        if std::mem::take(&mut self.changes.again) {
            self.changes.due.get_or_insert_with(|| Instant::now() + CHANGES_SETTLE);
        }
        match found {
            Ok(found) if self.changes.last.as_ref() != Some(&found.files) => {
                self.changes.last = Some(found.files.clone());
                if found.branch.is_some() && found.branch != self.log.summary().branch {
                    self.log.amend(|summary| summary.branch = found.branch).await;
                }
                let mut files = found.files;
                self.secrets.hide_in(&mut files);
                self.log.say(AgentEvent::Changes { files }).await
            }
            Ok(_) => Ok(()),
            Err(message) => {
                tracing::warn!(%message, "changes not known");
                Ok(())
            }
        }
    }
}
