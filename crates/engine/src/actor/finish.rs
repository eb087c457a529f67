//! The end of a run: everything said is stored, everything open is closed, then it is done.

use musher_protocol::*;
use musher_runtime::RuntimeError;

use super::RunActor;
use crate::settings::CHANGES_AT_END;

impl RunActor {
    /// Over: the runtime is back and its last batch is stored; or it was stopped before it began.
    pub(super) fn is_over(&self) -> bool {
        let never_began = self.runtime.is_none() && self.stopped_by.is_some() && !self.preparing;
        never_began || (self.result.is_some() && self.batches.is_none())
    }

    /// The worktree could not be made, or the program not be found: the run is over before it began.
    pub(super) async fn could_not_start(&mut self, error: ApiError) -> Result<(), ApiError> {
        let code = serde_json::to_value(error.code).ok();
        let code = code.as_ref().and_then(|c| c.as_str()).unwrap_or("internal").to_owned();
        let message = error.message.clone();
        self.log.say(AgentEvent::Error { code, message, hint: error.hint }).await?;
        self.batches = None;
        self.result = Some(Ok(RuntimeResult {
            session_id: None,
            token_usage: TokenUsage::default(),
            outcome: RunOutcome::SpawnFailed { message: error.message },
        }));
        Ok(())
    }

    pub(super) async fn finish(&mut self) -> Result<(), ApiError> {
        self.work.shutdown().await;
        if self.stopping.is_cancelled() {
            self.stopped_by.get_or_insert(StoppedBy::User);
        }
        self.last_look_at_changes().await?;
        self.withdraw_requests().await?;
        self.settle_messages().await?;
        let result = self.result.take();
        self.tell_what_was_cut(result.as_ref()).await?;
        let mut outcome = self.outcome(result);
        // The last lines of a program that failed are its own words too.
        self.secrets.hide_in(&mut outcome);
        // What may live still writes there, and only that folder leads to it.
        let proved = !matches!(outcome, RunOutcome::Unconfirmed { .. });
        self.log.say(AgentEvent::Done { outcome }).await?;
        self.log.flush().await?;
        if proved {
            self.clear_spools();
            self.core.tidy_tools(&self.log.summary().id, &self.story.id).await;
        }
        self.slot = None;
        Ok(())
    }

    fn outcome(&self, result: Option<Result<RuntimeResult, RuntimeError>>) -> RunOutcome {
        let outcome = match result {
            Some(Ok(result)) => result.outcome,
            Some(Err(RuntimeError::Unconfirmed(left))) => RunOutcome::Unconfirmed { left },
            Some(Err(error)) => {
                RunOutcome::Failed { exit_code: None, last_lines: vec![error.to_string()] }
            }
            None => RunOutcome::Stopped { by: self.stopped_by.unwrap_or(StoppedBy::Engine) },
        };
        match (self.stopped_by, outcome) {
            // What could not be proved dead is not stopped, and what was done is done.
            (_, proof @ (RunOutcome::Unconfirmed { .. } | RunOutcome::Completed)) => proof,
            (Some(by), _) => RunOutcome::Stopped { by },
            (None, outcome) => outcome,
        }
    }

    /// An answer that a stop cut off is paid for: the figure of the answers before is not the whole.
    async fn tell_what_was_cut(
        &mut self,
        result: Option<&Result<RuntimeResult, RuntimeError>>,
    ) -> Result<(), ApiError> {
        let Some(Ok(RuntimeResult { token_usage: usage, .. })) = result else { return Ok(()) };
        if usage.cost_source != CostSource::AtLeast || *usage == self.log.fold.usage {
            return Ok(());
        }
        let (usage, context_window, context_used) = (usage.clone(), None, None);
        self.log.say(AgentEvent::Usage { usage, context_window, context_used }).await
    }

    async fn last_look_at_changes(&mut self) -> Result<(), ApiError> {
        if self.runtime.is_none() || self.story.worktree.is_empty() {
            return Ok(());
        }
        self.look_at_changes();
        let last = tokio::time::timeout(CHANGES_AT_END, self.work.join_next()).await;
        if let Ok(Some(Ok(super::Work::Changed(found)))) = last {
            self.note_changes(found).await?;
        }
        self.work.shutdown().await;
        Ok(())
    }

    async fn withdraw_requests(&mut self) -> Result<(), ApiError> {
        let by = AnsweredBy::Withdrawn;
        for pending in self.log.fold.pending.clone() {
            let request = pending.request().to_owned();
            self.log
                .say(match pending {
                    musher_store::fold::Pending::Permission(_) => AgentEvent::PermissionAnswer {
                        request,
                        decision: PermissionDecision::Deny,
                        by,
                        message: None,
                    },
                    musher_store::fold::Pending::Question(_) => {
                        AgentEvent::QuestionAnswer { request, answers: Default::default(), by }
                    }
                })
                .await?;
        }
        Ok(())
    }

    /// What was not said goes to the story's next run, unless a person ended this one.
    async fn settle_messages(&mut self) -> Result<(), ApiError> {
        let left = self.log.fold.queued.clone();
        if left.is_empty() {
            return Ok(());
        }
        let why = match self.stopped_by {
            Some(_) => "The run was stopped before the agent had it.",
            None => "The run had ended; the next one begins with it.",
        };
        for message in &left {
            let (id, why) = (message.id.clone(), why.to_owned());
            self.log.say(AgentEvent::MessageDropped { id, why }).await?;
        }
        if self.stopped_by.is_none() {
            let texts: Vec<_> = left.into_iter().map(|message| message.text).collect();
            self.follow_up = Some(texts.join("\n\n"));
        }
        Ok(())
    }

    /// The transcript has all of it, and it is on the disk.
    fn clear_spools(&self) {
        let run_dir = self.core.store.run_dir(&self.log.summary().id);
        let kind = self.core.registry.get(&self.story.settings.runtime);
        if let Some(Err(error)) = kind.map(|kind| kind.clear(&run_dir)) {
            tracing::debug!(%error, "nothing cleared");
        }
    }
}
