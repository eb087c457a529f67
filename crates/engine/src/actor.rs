//! One run's actor: the only one that says what happens to it.
//!
//! It prepares the worktree, starts the runtime, stores what the runtime says, answers for the person
//! (or for the clock), hands over queued messages at the end of a turn, and ends the run when the
//! whole process tree is gone. Everything comes to it through one loop, so nothing about a run is ever
//! decided twice.

mod broker;
mod changes;
mod endpoint;
mod finish;
mod launch;
mod let_go;
mod pieces;
mod prepare;
mod speak;
mod tools;

use std::{collections::BTreeMap, sync::Arc};

use musher_protocol::*;
use musher_runtime::{AgentRuntime, Batch, RuntimeError, Secrets, Sourced};
use musher_tools::LiveRules;
use tokio::{
    sync::{Notify, OwnedSemaphorePermit, mpsc, oneshot},
    task::JoinSet,
};

use tokio_util::sync::CancellationToken;

use crate::{
    core::{Core, RunHandle},
    log::RunLog,
};
use changes::ChangesWatch;
pub(crate) use launch::{secrets, unknown_runtime};
use pieces::Pieces;
use prepare::Prepared;
pub(crate) use prepare::without_env;

/// So many events that wait are stored at once.
const TOGETHER: usize = 512;

/// What an actor can be asked; each is answered once it is stored.
pub(crate) enum Mail {
    Say {
        text: String,
        delivery: Delivery,
        reply: Reply,
    },
    Answer {
        request: String,
        answer: Answer,
        reply: Reply,
    },
    Interrupt {
        reply: Reply,
    },
    Stop {
        by: StoppedBy,
        reply: Reply,
    },
    SetModel {
        model: Option<String>,
        reply: Reply,
    },
    SetPermissionMode {
        mode: PermissionMode,
        reply: Reply,
    },
    MarkRead {
        reply: Reply,
    },
    /// The project has other rules now.
    Rules {
        reply: Reply,
    },
    /// Begins a run that is in line; another one is not over.
    Begin {
        env: BTreeMap<String, String>,
        headers: BTreeMap<String, String>,
        /// Another one than it was to have.
        model: Option<String>,
        reply: Reply,
    },
}

pub(crate) type Reply = oneshot::Sender<Result<(), ApiError>>;

/// How a run begins.
pub(crate) enum Beginning {
    /// From nothing: make the worktree if there is none, start the program.
    Fresh(StartPlan),
    /// Left by an engine that is gone before its program was started.
    InLine(StartPlan),
    /// It could not, and that is all there is to say.
    Never { prompt: String, why: ApiError },
    /// Its program was started by an engine that is gone; go on behind what is stored.
    Attach { stored_to: u64 },
}

/// What a new run needs besides its story.
#[derive(Clone, Debug, Default)]
pub(crate) struct StartPlan {
    /// The person's words.
    pub prompt: String,
    /// `None`: the worktree is there already.
    pub create: Option<CreatePlan>,
    pub resume: Option<String>,
    /// The same words behind all that a new session must know: where there is none to resume, or it is
    /// refused.
    pub fresh_prompt: Option<String>,
    /// What was chosen for it, or is different from the run before, for the person.
    pub notice: Option<Notice>,
}

/// A warning that a run begins with.
#[derive(Clone, Debug)]
pub(crate) struct Notice {
    pub code: &'static str,
    pub message: String,
}

impl StartPlan {
    /// What the agent hears.
    pub fn words(&self) -> &str {
        let fresh = self.fresh_prompt.as_ref().filter(|_| self.resume.is_none());
        fresh.unwrap_or(&self.prompt)
    }
}

#[derive(Clone, Debug)]
pub(crate) struct CreatePlan {
    pub base: Option<String>,
    pub branch: Option<String>,
}

impl CreatePlan {
    /// As it was asked for when the story began.
    pub fn of(story: &Story) -> Self {
        Self { base: story.base_name.clone(), branch: story.branch.clone() }
    }
}

/// Work that goes on beside the actor's loop.
enum Work {
    Slot(Option<OwnedSemaphorePermit>),
    Prepared(Result<Prepared, ApiError>),
    Finished(Result<RuntimeResult, RuntimeError>),
    CaughtUp,
    Changed(Result<WorktreeChanges, String>),
    Stopped(Result<(), RuntimeError>),
}

/// What the loop woke up for.
enum Step {
    Mail(Option<Mail>),
    Batch(Option<Batch>),
    Work(Work),
    Expiry,
    Changes,
    Followed,
    Closing,
}

pub(crate) struct RunActor {
    core: Arc<Core>,
    story: Story,
    project_root: String,
    log: RunLog,
    mailbox: mpsc::Receiver<Mail>,
    work: JoinSet<Work>,
    runtime: Option<Arc<dyn AgentRuntime>>,
    batches: Option<mpsc::Receiver<Batch>>,
    plan: StartPlan,
    /// How it begins once somebody wants it, in an engine that begins nothing by itself.
    in_line: Option<StartPlan>,
    /// See [`RunHandle`].
    followed: Arc<Notify>,
    prompt_id: String,
    slot: Option<OwnedSemaphorePermit>,
    changes: ChangesWatch,
    /// Who asked for the end; the outcome says so.
    stopped_by: Option<StoppedBy>,
    input_ended: bool,
    /// Messages given to the runtime by this engine; that the agent has them is told later.
    spoken: Vec<String>,
    /// The project's own filters may run, as its user allowed.
    trusted: bool,
    /// See [`RunHandle`].
    secrets: Secrets,
    /// See [`RunHandle`].
    rules: LiveRules,
    /// What the agent has said and cannot be told yet.
    pieces: Pieces,
    /// The worktree is being made; that is never cut off half way.
    preparing: bool,
    /// What the runtime's `start` returned; the run is over when its last batch is stored too.
    result: Option<Result<RuntimeResult, RuntimeError>>,
    /// Words for the story's next run, known at the end.
    follow_up: Option<String>,
    /// See [`RunHandle`].
    stopping: CancellationToken,
    /// See [`RunHandle`].
    caught_up: CancellationToken,
}

impl RunActor {
    pub fn new(
        core: Arc<Core>,
        story: Story,
        project_root: String,
        log: RunLog,
        mailbox: mpsc::Receiver<Mail>,
        handle: &RunHandle,
    ) -> Self {
        let prompt_id = format!("prompt-{}", log.summary().id);
        Self {
            core,
            story,
            project_root,
            log,
            mailbox,
            work: JoinSet::new(),
            runtime: None,
            batches: None,
            plan: StartPlan::default(),
            in_line: None,
            followed: handle.followed.clone(),
            prompt_id,
            slot: None,
            changes: ChangesWatch::default(),
            stopped_by: None,
            input_ended: false,
            spoken: Vec::new(),
            trusted: false,
            secrets: handle.secrets.clone(),
            rules: handle.rules.clone(),
            pieces: Pieces::default(),
            preparing: false,
            result: None,
            follow_up: None,
            stopping: handle.stopping.clone(),
            caught_up: handle.caught_up.clone(),
        }
    }

    /// Lives as long as the run, or until the engine lets go. Returns the words that were given too
    /// late for this run, for the story's next one.
    pub async fn run(mut self, beginning: Beginning) -> Option<String> {
        let run = self.log.summary().id.clone();
        let ended = match self.live(beginning).await {
            Ok(ended) => ended,
            Err(error) => {
                tracing::error!(%run, %error, "the run's events could not be stored");
                self.log.show_fault(&error);
                let hint = match self.log.fold.is_done() {
                    true => "It is over; start Musher again to have the list say so too.",
                    false => "Its agent goes on; start Musher again to go on with it.",
                };
                self.core.note_stray(run, error.with_hint(hint));
                false
            }
        };
        if !ended {
            return None;
        }
        self.caught_up.cancel();
        let follow_up = self.follow_up.take();
        self.log.close().await;
        follow_up
    }

    async fn live(&mut self, beginning: Beginning) -> Result<bool, ApiError> {
        match beginning {
            Beginning::Fresh(plan) => {
                self.caught_up.cancel();
                self.begin(plan).await?;
            }
            Beginning::InLine(plan) => {
                self.caught_up.cancel();
                self.in_line = Some(plan);
                if self.core.config.begins_runs {
                    self.begin_in_line().await?;
                }
            }
            Beginning::Never { prompt, why } => {
                self.caught_up.cancel();
                self.keep_opening(prompt, None).await?;
                self.could_not_start(why).await?;
            }
            Beginning::Attach { stored_to } => self.attach(stored_to).await?,
        }
        loop {
            if self.is_over() {
                self.finish().await?;
                return Ok(true);
            }
            match self.step().await {
                Step::Mail(Some(mail)) => self.open(mail).await?,
                // The table holds a sender as long as the actor lives.
                Step::Mail(None) | Step::Closing => {
                    if self.ends_with_the_engine() {
                        self.stop(StoppedBy::Engine).await?;
                        continue;
                    }
                    self.let_go().await?;
                    return Ok(false);
                }
                Step::Batch(Some(batch)) => self.take(batch).await?,
                Step::Batch(None) => {
                    self.batches = None;
                    self.take_rest().await?;
                }
                Step::Work(work) => self.worked(work).await?,
                Step::Expiry => self.expire().await?,
                Step::Changes => self.look_at_changes(),
                Step::Followed => self.begin_in_line().await?,
            }
        }
    }

    async fn step(&mut self) -> Step {
        let expiry = self.next_expiry();
        let changes = self.changes.due();
        tokio::select! {
            biased;
            () = self.core.closing.cancelled(), if self.stopped_by.is_none() || !self.ends_with_the_engine() => Step::Closing,
            Some(work) = self.work.join_next() => Step::Work(work.unwrap_or_else(broken)),
            mail = self.mailbox.recv() => Step::Mail(mail),
            batch = next_batch(&mut self.batches), if self.batches.is_some() => Step::Batch(batch),
            () = sleep_until(expiry), if expiry.is_some() => Step::Expiry,
            () = sleep_until(changes), if changes.is_some() => Step::Changes,
            () = self.followed.notified(), if self.in_line.is_some() => Step::Followed,
        }
    }

    /// Its agent lives in this process: it is brought to an end, not let go.
    fn ends_with_the_engine(&self) -> bool {
        self.runtime.as_ref().is_some_and(|runtime| !runtime.outlives_engine())
    }

    async fn worked(&mut self, work: Work) -> Result<(), ApiError> {
        match work {
            Work::Slot(slot) => self.got_slot(slot).await,
            Work::Prepared(prepared) => self.prepared(prepared).await,
            Work::Finished(result) => {
                self.result = Some(result);
                // A runtime may keep its sink; what it has put in is still read to the end.
                if let Some(batches) = &mut self.batches {
                    batches.close();
                }
                Ok(())
            }
            Work::CaughtUp => self.caught_up().await,
            Work::Changed(changed) => self.note_changes(changed).await,
            Work::Stopped(Ok(())) => Ok(()),
            Work::Stopped(Err(error)) => {
                let message = format!("Stopping did not go as it should: {error}.");
                self.log.say(AgentEvent::Warning { code: "stop".into(), message }).await
            }
        }
    }

    /// Takes in a batch of the runtime, with what waited for it.
    async fn take(&mut self, batch: Batch) -> Result<(), ApiError> {
        match self.pieces.take(batch, &self.secrets) {
            Some(batch) => self.take_whole(batch).await,
            None => Ok(()),
        }
    }

    async fn take_rest(&mut self) -> Result<(), ApiError> {
        let events = self.pieces.rest();
        match events.is_empty() {
            true => Ok(()),
            false => self.take_whole(Batch { events, stored: None }).await,
        }
    }

    /// Stores it, and does what its events call for.
    async fn take_whole(&mut self, batch: Batch) -> Result<(), ApiError> {
        let Batch { mut events, stored } = batch;
        let mut turn_ended = false;
        let mut asked = false;
        for Sourced { event, .. } in &mut events {
            self.secrets.hide_in(event);
            turn_ended |= matches!(event, AgentEvent::TurnEnded { .. });
            asked |= self.prepare_request(event);
            self.changes.heed(event);
        }
        let first = self.log.fold.phase == RunPhase::Starting;
        let session = self.log.fold.session_id().map(str::to_owned);
        self.log.append(events).await?;
        if let Some(stored) = stored {
            // Who waited may have ended meanwhile.
            let _ = stored.send(());
        }
        if self.log.fold.session_id() != session.as_deref() {
            self.keep_session().await;
        }
        if first {
            self.enter(RunPhase::Running, None).await?;
        }
        if asked || !self.log.fold.pending.is_empty() {
            self.answer_unasked().await?;
        }
        self.show_wait().await?;
        if turn_ended {
            self.turn_ended().await?;
        }
        Ok(())
    }

    /// Takes in what waits; an agent whose input was ended by that is waited for to its end.
    async fn caught_up(&mut self) -> Result<(), ApiError> {
        while let Some(batch) = self.batches.as_mut().and_then(|b| b.try_recv().ok()) {
            self.take(batch).await?;
        }
        self.take_rest().await?;
        if !self.input_ended {
            self.caught_up.cancel();
        }
        Ok(())
    }

    async fn open(&mut self, mail: Mail) -> Result<(), ApiError> {
        let (result, reply) = match mail {
            Mail::Say { text, delivery, reply } => (self.hear(text, delivery).await, reply),
            Mail::Answer { request, answer, reply } => {
                (self.answer(&request, answer, AnsweredBy::User).await, reply)
            }
            Mail::Interrupt { reply } => (self.interrupt().await, reply),
            Mail::Stop { by, reply } => (self.stop(by).await, reply),
            Mail::SetModel { model, reply } => (self.set_model(model).await, reply),
            Mail::SetPermissionMode { mode, reply } => (self.set_mode(mode).await, reply),
            Mail::MarkRead { reply } => (self.log.mark_read().await, reply),
            Mail::Rules { reply } => (self.rules_changed().await, reply),
            Mail::Begin { env, headers, model, reply } => {
                (self.begin_with(env, headers, model).await, reply)
            }
        };
        // Who asked may have left; what was asked is done all the same.
        let _ = reply.send(result);
        Ok(())
    }

    /// Tells the new phase, as an event like any other.
    async fn enter(&mut self, phase: RunPhase, detail: Option<String>) -> Result<(), ApiError> {
        let status = match phase {
            RunPhase::Queued | RunPhase::Preparing => RuntimeStatus::Idle,
            _ => RuntimeStatus::Running,
        };
        let fold = &self.log.fold;
        if (fold.status, fold.phase, &fold.detail, fold.until) == (status, phase, &detail, None) {
            return Ok(());
        }
        self.log.say(AgentEvent::Status { status, phase, detail, until: None }).await
    }
}

/// The next batch, with what waits behind it: an append costs about the same for one event and for many.
async fn next_batch(batches: &mut Option<mpsc::Receiver<Batch>>) -> Option<Batch> {
    let batches = batches.as_mut()?;
    let mut batch = batches.recv().await?;
    while batch.stored.is_none() && batch.events.len() < TOGETHER {
        let Ok(next) = batches.try_recv() else { break };
        batch.events.extend(next.events);
        batch.stored = next.stored;
    }
    Some(batch)
}

async fn sleep_until(at: Option<tokio::time::Instant>) {
    if let Some(at) = at {
        tokio::time::sleep_until(at).await;
    }
}

/// A task that panicked or was cut off counts as a runtime that failed.
fn broken(error: tokio::task::JoinError) -> Work {
    Work::Finished(Err(RuntimeError::Process(format!("a part of Musher failed ({error})"))))
}
