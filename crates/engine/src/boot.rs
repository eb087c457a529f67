//! The start: what the last engine left is taken in before anything new begins.
//!
//! A run whose transcript has no `done` is one of three things: its keeper lives, or has ended and left
//! its record (both are attached to, and the runtime reads what was not stored yet), or it never had
//! one (it was still in line, and is put in line again where this engine begins runs; see
//! [`crate::EngineConfig`]).

use musher_protocol::*;

use crate::{
    Engine,
    actor::{Beginning, StartPlan},
    runs::{reopen, spawn_actor, story_of},
};

impl Engine {
    pub(crate) async fn take_in(&self) -> Result<(), ApiError> {
        let mut unfinished: Vec<_> = self.core.store.runs().await?;
        unfinished.retain(|run| run.phase != RunPhase::Done);
        unfinished.sort_by_key(|run| run.created_at);
        for run in unfinished {
            let id = run.id.clone();
            let (story, worktree) = (run.story.clone(), run.worktree.clone());
            if let Err(error) = self.take_in_run(run).await {
                // Its agent may live.
                self.core.claims.hold(id.clone(), story, &worktree).await.keep();
                tracing::error!(run = %id, %error, "a run of the last start could not be taken in");
                self.core.note_stray(id, error);
            }
        }
        Ok(())
    }

    async fn take_in_run(&self, summary: RunSummary) -> Result<(), ApiError> {
        let story = story_of(&self.core, &summary.story).await?;
        let run_dir = self.core.store.run_dir(&summary.id);
        let kind = self.core.registry.get(&story.settings.runtime);
        let mut log = reopen(&self.core, summary).await?;
        if log.fold.is_done() {
            return log.flush().await;
        }
        let project = self.project_by_id(&story.project).await?;
        let root = project.map_or_else(|| story.worktree.clone(), |project| project.root);
        let beginning = match kind.is_some_and(|kind| kind.left_something(&run_dir)) {
            true => Beginning::Attach { stored_to: log.fold.stored_to },
            false => Beginning::InLine(self.plan_again(&story, &log).await?),
        };
        let run = log.summary().id.clone();
        let claim = self.core.claims.hold(run, story.id.clone(), &story.worktree).await;
        spawn_actor(self, claim, story, root, log, beginning);
        Ok(())
    }

    /// The plan of a run that was never started, from what is stored of it.
    async fn plan_again(
        &self,
        story: &Story,
        log: &crate::log::RunLog,
    ) -> Result<StartPlan, ApiError> {
        let prompt = log.fold.prompt_text().unwrap_or_default().to_owned();
        let session = self.core.store.session_of(&story.id).await?;
        self.plan_of(story, session, prompt, Some(&log.summary().id)).await
    }
}
