//! The engine goes: what it began is brought to where the next engine can go on with it.

use std::time::Duration;

use musher_protocol::*;

use super::{RunActor, Work, prepare::Prepared};

const LOOK: Duration = Duration::from_millis(10);

impl RunActor {
    /// A worktree that is being made is made to its end, within the time that the engine has: git that
    /// is cut off leaves locks, and the next engine would make a second one.
    pub(super) async fn let_go(&mut self) -> Result<(), ApiError> {
        while self.preparing {
            match self.work.join_next().await {
                Some(Ok(Work::Prepared(prepared))) => {
                    self.preparing = false;
                    if let Ok(Prepared { created: Some(created), .. }) = prepared {
                        self.note_worktree(created).await?;
                    }
                }
                Some(_) => {}
                None => self.preparing = false,
            }
        }
        self.started().await;
        Ok(())
    }

    /// Waits until a program that is being started can be found by the next engine, which would start a
    /// second one beside it.
    async fn started(&mut self) {
        let Some(kind) = self.core.registry.get(&self.story.settings.runtime) else { return };
        let run_dir = self.core.store.run_dir(&self.log.summary().id);
        let starts = self.runtime.is_some() && self.log.fold.phase == RunPhase::Starting;
        // Nobody tells when the keeper has written who it is.
        let mut looks = tokio::time::interval(LOOK);
        while starts && !kind.left_something(&run_dir) {
            tokio::select! {
                _ = looks.tick() => {}
                work = self.work.join_next() => match work {
                    Some(Ok(Work::Finished(_))) | None => return,
                    Some(_) => {}
                }
            }
        }
    }
}
