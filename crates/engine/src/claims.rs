//! Who works where: at most one run that is not over for each story, and for each worktree.
//!
//! A claim is taken before anything of a run is made and given back when the run is out of the table,
//! so two requests of the same moment cannot both have it. A run that cannot be reached keeps its
//! claim until the next start: its agent may live and write.

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use musher_protocol::{ApiError, RunId, Story, StoryId};

use crate::core::conflict;

#[derive(Default)]
pub(crate) struct Claims {
    held: Mutex<HashMap<RunId, Held>>,
}

struct Held {
    story: StoryId,
    /// Without links; `None` until it is made.
    worktree: Option<PathBuf>,
}

/// What a run may not have, for this other run has it.
pub(crate) struct Taken {
    pub by: RunId,
    same_story: bool,
}

/// Given back when it is dropped.
pub(crate) struct Claim {
    claims: Arc<Claims>,
    run: RunId,
}

impl Claims {
    pub async fn take(self: &Arc<Self>, run: RunId, story: &Story) -> Result<Claim, Taken> {
        let worktree = without_links(&story.worktree).await;
        let mut held = self.lock();
        for (other, theirs) in held.iter() {
            let same_story = theirs.story == story.id;
            if same_story || (worktree.is_some() && theirs.worktree == worktree) {
                return Err(Taken { by: other.clone(), same_story });
            }
        }
        held.insert(run.clone(), Held { story: story.id.clone(), worktree });
        drop(held);
        Ok(Claim { claims: self.clone(), run })
    }

    /// For what an earlier engine began: it has its place, whoever else has it.
    pub async fn hold(self: &Arc<Self>, run: RunId, story: StoryId, worktree: &str) -> Claim {
        let worktree = without_links(worktree).await;
        self.lock().insert(run.clone(), Held { story, worktree });
        Claim { claims: self.clone(), run }
    }

    /// The run's worktree is made, or known now.
    pub async fn moved(&self, run: &RunId, worktree: &str) {
        let worktree = without_links(worktree).await;
        if let Some(held) = self.lock().get_mut(run) {
            held.worktree = worktree;
        }
    }

    pub async fn users_of(&self, worktree: &str) -> Vec<RunId> {
        let worktree = without_links(worktree).await;
        let held = self.lock();
        let users = held.iter().filter(|(_, h)| worktree.is_some() && h.worktree == worktree);
        users.map(|(run, _)| run.clone()).collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<RunId, Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Claim {
    pub fn run(&self) -> &RunId {
        &self.run
    }

    /// Never given back while this engine lives.
    pub fn keep(self) {
        std::mem::forget(self);
    }

    /// Hands the place on to the story's next run, with no moment in which another could have it.
    pub fn hand_on(&mut self, to: RunId) {
        let mut held = self.claims.lock();
        if let Some(mine) = held.remove(&self.run) {
            held.insert(to.clone(), mine);
        }
        drop(held);
        self.run = to;
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.claims.lock().remove(&self.run);
    }
}

impl From<Taken> for ApiError {
    fn from(Taken { by, same_story }: Taken) -> Self {
        if same_story {
            return conflict("Another run of this story is live.")
                .with_hint(format!("Send the message to run {by}."));
        }
        conflict(format!("Run {by} works in this worktree.")).with_hint(format!(
            "Wait for its end, stop it with `musher stop {by}`, or begin in a fresh worktree."
        ))
    }
}

async fn without_links(worktree: &str) -> Option<PathBuf> {
    if worktree.is_empty() {
        return None;
    }
    let path = PathBuf::from(worktree);
    // One that is gone is nobody else's by another name.
    Some(tokio::fs::canonicalize(&path).await.unwrap_or(path))
}
