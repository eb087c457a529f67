//! The commands about runs that live or lived: list, speak, answer, stop, go on.

mod change;
mod check;
mod read;
mod retell;
mod start;

use std::{sync::Arc, time::Duration};

use musher_protocol::*;
use tokio::sync::oneshot;

use crate::{
    Engine,
    actor::{Mail, Reply},
    core::{Core, conflict, not_found},
    log::RunLog,
};
use change::Change;
pub(crate) use change::Place;
use check::{check_headers, check_model, check_prompt, check_variables};
#[cfg(test)]
pub(crate) use read::read_shown;
pub(crate) use read::{event_stream, told_stream};
use start::GoOn;
pub(crate) use start::spawn_actor;

/// How long the end of a run that died with its engine may take to be stored: commands that it left
/// are ended first.
const ENDS_WITHIN: Duration = Duration::from_secs(30);

impl Engine {
    pub async fn run_list(&self) -> Result<Vec<RunSummary>, ApiError> {
        let mut runs = self.core.store.runs().await?;
        for run in &mut runs {
            if let Some(live) = self.core.runs.get(&run.id) {
                *run = RunSummary::clone(&live.summary.borrow());
            } else if let Some(why) = self.core.stray(&run.id) {
                run.detail = Some(why.message);
            }
        }
        Ok(runs)
    }

    pub async fn run_get(&self, params: RunParams) -> Result<RunDetail, ApiError> {
        let summary = summary_of(&self.core, &params.run).await?;
        let story = story_of(&self.core, &summary.story).await?;
        let story_runs = self.core.store.runs_of(&story.id).await?;
        let story_runs = story_runs.into_iter().map(|run| run.id).collect();
        Ok(RunDetail { summary, story, story_runs })
    }

    /// A live agent hears it in this run; after the end, the story's next run begins with it.
    pub async fn run_send(&self, params: RunSendParams) -> Result<RunSummary, ApiError> {
        check_prompt(&params.text)?;
        let delivery = match params.delivery {
            Delivery::Steer => Delivery::Steer,
            _ => Delivery::Queue,
        };
        let text = params.text.clone();
        match self.post(&params.run, |reply| Mail::Say { text, delivery, reply }).await {
            Some(told) => told?,
            None => return self.go_on_with(&params.run, GoOn::saying(params.text)).await,
        }
        summary_of(&self.core, &params.run).await
    }

    pub async fn run_answer(&self, params: RunAnswerParams) -> Result<Empty, ApiError> {
        let RunAnswerParams { run, request, answer } = params;
        self.tell(&run, |reply| Mail::Answer { request, answer, reply }).await
    }

    pub async fn run_interrupt(&self, params: RunParams) -> Result<Empty, ApiError> {
        self.tell(&params.run, |reply| Mail::Interrupt { reply }).await
    }

    /// Returns once the run is over and nothing of it is left. A run that is over already stays so.
    pub async fn run_stop(&self, params: RunParams) -> Result<RunSummary, ApiError> {
        let handle = self.core.runs.get(&params.run);
        if let (None, Some(why)) = (&handle, self.core.stray(&params.run)) {
            return Err(why);
        }
        if let Some(handle) = &handle {
            handle.stopping.cancel();
        }
        let by = StoppedBy::User;
        if let Some(told) = self.post(&params.run, |reply| Mail::Stop { by, reply }).await {
            told?;
        }
        if let Some(mut handle) = handle {
            // The channel closes when the engine lets go first: then the list says how far it came.
            let _ = handle.summary.wait_for(|summary| summary.phase == RunPhase::Done).await;
        }
        summary_of(&self.core, &params.run).await
    }

    pub async fn run_stop_all(&self) -> Result<Empty, ApiError> {
        let runs = self.core.runs.all().into_iter().map(|(run, _)| run);
        let stops = runs.map(|run| self.run_stop(RunParams { run }));
        for stopped in futures::future::join_all(stops).await {
            stopped?;
        }
        Ok(Empty {})
    }

    pub async fn run_resume(&self, params: RunResumeParams) -> Result<RunSummary, ApiError> {
        let RunResumeParams { run, prompt, env, headers, runtime, model, endpoint } = params;
        let change = Change { runtime, model, endpoint };
        prompt.as_deref().map_or(Ok(()), check_prompt)?;
        check_variables(&env)?;
        check_headers(&headers)?;
        check_model(change.model.as_deref())?;
        if let Some(ending) = self.core.runs.get(&run).filter(|handle| handle.left_over) {
            // Its end is being stored. Should that be held up, what follows says so.
            let _ = tokio::time::timeout(ENDS_WITHIN, ending.gone.cancelled()).await;
        }
        let next = GoOn { prompt: prompt.clone(), env, headers, change, claim: None };
        let Some(begun) = self.begin_live(&run, &next).await else {
            return self.go_on_with(&run, next).await;
        };
        begun?;
        if let Some(text) = prompt {
            let delivery = Delivery::Queue;
            self.post(&run, |reply| Mail::Say { text, delivery, reply }).await.unwrap_or(Ok(()))?;
        }
        summary_of(&self.core, &run).await
    }

    /// Begins a run that is in line, or tells one that is not over of its model: that alone, for its
    /// variables stay those that it began with. `None`: it is over.
    async fn begin_live(&self, run: &RunId, next: &GoOn) -> Option<Result<(), ApiError>> {
        let handle = self.core.runs.get(run)?;
        let model = next.change.model_alone().cloned();
        let is_given = !next.env.is_empty() || !next.headers.is_empty();
        if next.change.is_none() || model.is_some() && is_given {
            let (env, headers) = (next.env.clone(), next.headers.clone());
            return self.post(run, |reply| Mail::Begin { env, headers, model, reply }).await;
        }
        if model.is_some() {
            return self.post(run, |reply| Mail::SetModel { model, reply }).await;
        }
        if handle.summary.borrow().phase == RunPhase::Done {
            return None;
        }
        let hint = format!("Stop it first: `musher stop {run}`.");
        Some(Err(conflict("This run is not over: its agent stays the one it is.").with_hint(hint)))
    }

    pub async fn run_set_model(&self, params: RunSetModelParams) -> Result<Empty, ApiError> {
        let RunSetModelParams { run, model } = params;
        check_model(model.as_deref())?;
        self.tell(&run, |reply| Mail::SetModel { model, reply }).await
    }

    pub async fn run_set_permission_mode(
        &self,
        params: RunSetModeParams,
    ) -> Result<Empty, ApiError> {
        let RunSetModeParams { run, mode } = params;
        self.tell(&run, |reply| Mail::SetPermissionMode { mode, reply }).await
    }

    pub async fn run_mark_read(&self, params: RunParams) -> Result<Empty, ApiError> {
        if let Some(told) = self.post(&params.run, |reply| Mail::MarkRead { reply }).await {
            return told.map(|()| Empty {});
        }
        // Its actor is gone, and the row is what that wrote last.
        let seen = self.core.store.see_run(&params.run).await?;
        let mut seen = seen.ok_or_else(|| not_found("run", &params.run))?;
        if let Some(why) = self.core.stray(&params.run) {
            seen.detail = Some(why.message);
        }
        self.core.news.run_changed(&Arc::new(seen));
        Ok(Empty {})
    }

    async fn tell(&self, run: &RunId, mail: impl FnOnce(Reply) -> Mail) -> Result<Empty, ApiError> {
        match self.post(run, mail).await {
            Some(told) => told.map(|()| Empty {}),
            None => {
                summary_of(&self.core, run).await?;
                if let Some(why) = self.core.stray(run) {
                    return Err(why);
                }
                Err(conflict("This run is over.").with_hint("Send a message to go on from it."))
            }
        }
    }

    /// Asks the run's actor; `None` when it has none (the run is over, or unknown).
    async fn post(
        &self,
        run: &RunId,
        mail: impl FnOnce(Reply) -> Mail,
    ) -> Option<Result<(), ApiError>> {
        let handle = self.core.runs.get(run)?;
        let (reply, answer) = oneshot::channel();
        handle.mailbox.send(mail(reply)).await.ok()?;
        answer.await.ok()
    }
}

pub(crate) async fn summary_of(core: &Core, run: &RunId) -> Result<RunSummary, ApiError> {
    if let Some(handle) = core.runs.get(run) {
        return Ok(RunSummary::clone(&handle.summary.borrow()));
    }
    let mut summary = core.store.run(run).await?.ok_or_else(|| not_found("run", run))?;
    if let Some(why) = core.stray(run) {
        summary.detail = Some(why.message);
    }
    Ok(summary)
}

pub(crate) async fn story_of(core: &Core, story: &StoryId) -> Result<Story, ApiError> {
    core.store.story(story).await?.ok_or_else(|| not_found("story", story))
}

/// Opens a run's log behind what is stored.
pub(crate) async fn reopen(core: &Arc<Core>, summary: RunSummary) -> Result<RunLog, ApiError> {
    let read_to = core.store.read_to(&summary.id).await?;
    let (writer, recovered) = core.store.recover_log(&summary.id).await?;
    Ok(RunLog::over(core.clone(), writer, recovered.fold, summary, read_to))
}
