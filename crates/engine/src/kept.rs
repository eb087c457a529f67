//! What the tools of a run have kept in its folder, and when it goes.
//!
//! A transcript holds what the model was told of a command's output: all of it, or its beginning and
//! end. What it holds whole goes when the run is over. What was cut stays for whoever looks for it, the
//! story's next run included, and goes when that one is over too, or when the worktree is removed. So a
//! story keeps the cut outputs of its latest run and of no other.

use musher_protocol::{RunId, RunPhase, StoryId};

use crate::core::Core;

impl Core {
    /// A run is over with all that it started, and its transcript is on the disk.
    pub(crate) async fn tidy_tools(&self, run: &RunId, story: &StoryId) {
        self.clean_tools(run.clone(), musher_tools::clean_told).await;
        for earlier in self.over_runs_of(story).await.into_iter().filter(|id| id != run) {
            self.clean_tools(earlier, musher_tools::clean).await;
        }
    }

    /// The worktree is gone, and with it the work that the outputs were of.
    pub(crate) async fn tidy_tools_of_worktree(&self, worktree: &str) {
        let stories = self.store.stories().await.unwrap_or_default();
        for story in stories.into_iter().filter(|story| story.worktree == worktree) {
            for run in self.over_runs_of(&story.id).await {
                self.clean_tools(run, musher_tools::clean).await;
            }
        }
    }

    async fn over_runs_of(&self, story: &StoryId) -> Vec<RunId> {
        let mut runs = self.store.runs_of(story).await.unwrap_or_default();
        runs.retain(|run| run.phase == RunPhase::Done);
        runs.into_iter().map(|run| run.id).collect()
    }

    /// What cannot be removed stays: that costs space and nothing else.
    async fn clean_tools<E: std::fmt::Display + Send + 'static>(
        &self,
        run: RunId,
        clean: fn(&std::path::Path) -> Result<(), E>,
    ) {
        let folder = self.store.run_dir(&run);
        let cleaned = tokio::task::spawn_blocking(move || clean(&folder)).await;
        if let Ok(Err(error)) = cleaned {
            tracing::debug!(%run, %error, "outputs of commands stay");
        }
    }
}
