//! The commands about runs: start, list, read, speak, answer, stop, go on.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

use futures::stream;
use musher_protocol::*;
use musher_runtime::EventStream;
use musher_store::{Header, StoredBatch, fold_transcript};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::{
    Engine,
    actor::{Beginning, CreatePlan, Mail, Reply, RunActor, StartPlan, unknown_runtime},
    core::{Core, RunHandle, bad_request, conflict, not_found},
    log::RunLog,
    projects::{project_of, trust_in},
    settings::{BATCH_BYTES, LONGEST_WAIT, MAX_PROMPT_BYTES},
};

/// How many requests may wait for one actor.
const MAILBOX: usize = 64;

impl Engine {
    pub async fn run_start(&self, params: RunStartParams) -> Result<RunSummary, ApiError> {
        check_prompt(&params.prompt)?;
        self.check_runtime(&params.settings).await?;
        let (repository, create) = match params.place {
            RunPlace::Fresh { repository, base, branch } => {
                (self.repository(&repository).await?, Some(CreatePlan { base, branch }))
            }
            RunPlace::Worktree { path } => (path, None),
        };
        let folder = self.usable_folder(&repository).await?;
        let project = project_of(&self.core, &folder).await?;
        let worktree = folder.top.clone().unwrap_or_default();
        let looked_at = if create.is_some() { &project.root } else { &worktree };
        let trust = trust_in(&self.core, &project.id, looked_at.as_ref()).await?;
        if trust.decision.is_none() && !trust.items.is_empty() && !params.restrict_untrusted {
            return Err(trust_needed(&project));
        }
        let mut story = self.new_story(&project, &params.prompt, params.settings);
        if create.is_none() {
            story.worktree = worktree;
            story.branch = folder.branch;
            story.base_commit = folder.head;
        }
        let plan = StartPlan { prompt: params.prompt, create, ..StartPlan::default() };
        self.spawn_run(story, &project, plan).await
    }

    pub async fn run_list(&self) -> Result<Vec<RunSummary>, ApiError> {
        let mut runs = self.core.store.runs().await?;
        for run in &mut runs {
            if let Some(live) = self.core.runs.get(&run.id) {
                *run = RunSummary::clone(&live.summary.borrow());
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

    /// An `EventBatch` as JSON, put together from the stored lines as they are.
    pub async fn run_events(&self, params: RunEventsParams) -> Result<String, ApiError> {
        let wait = Duration::from_millis(params.wait_ms.unwrap_or(0).into()).min(LONGEST_WAIT);
        let bytes = params.max_bytes.map_or(BATCH_BYTES, |b| b as usize);
        let (batch, end) =
            read_events(&self.core, &params.run, params.from_seq, bytes, wait).await?;
        let StoredBatch { json, next_seq, .. } = batch;
        Ok(format!(r#"{{"events":{json},"next_seq":{next_seq},"end":{end}}}"#))
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
            None => return self.go_on(&params.run, params.text).await,
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
        let prompt = params.prompt.unwrap_or_else(|| "Continue.".into());
        check_prompt(&prompt)?;
        if self.core.runs.get(&params.run).is_some() {
            let hint = "Send it a message, or stop it first.";
            return Err(conflict("This run is not over.").with_hint(hint));
        }
        self.go_on_with(&params.run, prompt, params.env).await
    }

    pub async fn run_set_model(&self, params: RunSetModelParams) -> Result<Empty, ApiError> {
        let RunSetModelParams { run, model } = params;
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
        let summary = summary_of(&self.core, &params.run).await?;
        self.core.store.mark_read(&params.run, summary.last_seq).await?;
        if let Some(told) = self.post(&params.run, |reply| Mail::MarkRead { reply }).await {
            return told.map(|()| Empty {});
        }
        let read = RunSummary { unread: false, ..summary };
        self.core.store.put_run(&read).await?;
        self.core.news.run_changed(&Arc::new(read));
        Ok(Empty {})
    }

    async fn check_runtime(&self, settings: &RunSettings) -> Result<(), ApiError> {
        let Some(kind) = self.core.registry.get(&settings.runtime) else {
            return Err(unknown_runtime(&settings.runtime));
        };
        if let Some(command) = &settings.command {
            return match musher_process::find_program(command, &self.core.login.path) {
                Some(_) => Ok(()),
                None => Err(ApiError::new(
                    ErrorCode::RuntimeMissing,
                    format!("{command} is no program that can be run."),
                )
                .with_hint("Name a file that exists and is executable.")),
            };
        }
        let info = kind.detect(&self.core.login.path).await;
        if info.found {
            return Ok(());
        }
        let error =
            ApiError::new(ErrorCode::RuntimeMissing, format!("{} was not found.", info.label));
        Err(match info.hint {
            Some(hint) => error.with_hint(hint),
            None => error,
        })
    }

    fn new_story(&self, project: &Project, prompt: &str, settings: RunSettings) -> Story {
        Story {
            id: StoryId::fresh(),
            project: project.id.clone(),
            title: title_of(prompt),
            worktree: String::new(),
            owns_worktree: false,
            branch: None,
            base_commit: None,
            base_name: None,
            created_at: self.core.now(),
            settings,
        }
    }

    async fn spawn_run(
        &self,
        story: Story,
        project: &Project,
        plan: StartPlan,
    ) -> Result<RunSummary, ApiError> {
        self.core.env_of(&story.id, story.settings.env.clone());
        self.core.store.put_story(&crate::actor::without_env(&story)).await?;
        let summary = new_summary(&self.core, &story);
        let header = Header::new(&summary, &story, project);
        let log = RunLog::create(self.core.clone(), header).await?;
        self.core.store.put_run(&summary).await?;
        spawn_actor(self, story, project.root.clone(), log, Beginning::Fresh(plan));
        Ok(summary)
    }

    /// The next run of a run's story: same worktree, same session if the runtime still knows it.
    pub(crate) async fn go_on(&self, run: &RunId, prompt: String) -> Result<RunSummary, ApiError> {
        self.go_on_with(run, prompt, BTreeMap::new()).await
    }

    async fn go_on_with(
        &self,
        run: &RunId,
        prompt: String,
        env: BTreeMap<String, String>,
    ) -> Result<RunSummary, ApiError> {
        let summary = summary_of(&self.core, run).await?;
        let mut story = story_of(&self.core, &summary.story).await?;
        story.settings.env = self.core.env_of(&story.id, env);
        self.wait_for_story(&story.id).await?;
        let Some(project) = self.project_by_id(&story.project).await? else {
            return Err(not_found("project", &story.project));
        };
        let session = self.core.store.session_of(&story.id).await?;
        let never_made = story.worktree.is_empty();
        let plan = StartPlan {
            fresh_prompt: Some(self.retold(&story.id, &prompt).await?),
            resume: session.map(|session| session.id),
            create: never_made.then(|| CreatePlan { base: story.base_name.clone(), branch: None }),
            prompt,
        };
        self.spawn_run(story, &project, plan).await
    }

    /// One run at a time for a story: waits for one that is just ending, refuses while one lives.
    async fn wait_for_story(&self, story: &StoryId) -> Result<(), ApiError> {
        for (run, handle) in self.core.runs.all() {
            let phase = {
                let summary = handle.summary.borrow();
                if summary.story != *story {
                    continue;
                }
                summary.phase
            };
            if phase != RunPhase::Done {
                return Err(conflict("Another run of this story is live.")
                    .with_hint(format!("Send the message to run {run}.")));
            }
            handle.gone.cancelled().await;
        }
        Ok(())
    }

    /// What a new session must know when the old one is gone: the conversation as the transcripts
    /// have it, then the new words.
    async fn retold(&self, story: &StoryId, prompt: &str) -> Result<String, ApiError> {
        let runs = self.core.store.runs_of(story).await?;
        let paths: Vec<PathBuf> =
            runs.iter().map(|run| self.core.store.transcript_path(&run.id)).collect();
        let told = tokio::task::spawn_blocking(move || retell(&paths)).await.unwrap_or_default();
        Ok(format!(
            "This goes on from an earlier conversation that is no longer at hand. What was said and \
             done, oldest first:\n\n{told}\n\nThe files are as that work left them. Now:\n\n{prompt}"
        ))
    }

    async fn tell(&self, run: &RunId, mail: impl FnOnce(Reply) -> Mail) -> Result<Empty, ApiError> {
        match self.post(run, mail).await {
            Some(told) => told.map(|()| Empty {}),
            None => {
                summary_of(&self.core, run).await?;
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

pub(crate) fn spawn_actor(
    engine: &Engine,
    story: Story,
    project_root: String,
    log: RunLog,
    beginning: Beginning,
) {
    let run = log.summary().id.clone();
    let (mailbox, mails) = mpsc::channel(MAILBOX);
    let (gone, caught_up) = (CancellationToken::new(), CancellationToken::new());
    let handle = RunHandle {
        mailbox,
        summary: log.watch(),
        index: log.index(),
        gone: gone.clone(),
        caught_up: caught_up.clone(),
    };
    engine.core.runs.insert(run.clone(), handle);
    let actor = RunActor::new(engine.core.clone(), story, project_root, log, mails, caught_up);
    let engine = engine.clone();
    let tasks = engine.core.tasks.clone();
    tasks.spawn(async move {
        let follow_up = actor.run(beginning).await;
        engine.core.runs.remove(&run);
        gone.cancel();
        if let Some(words) = follow_up
            && let Err(error) = engine.go_on(&run, words).await
        {
            tracing::warn!(%run, %error, "the next run could not be started");
        }
    });
}

fn new_summary(core: &Core, story: &Story) -> RunSummary {
    let now = core.now();
    RunSummary {
        id: RunId::fresh(),
        story: story.id.clone(),
        project: story.project.clone(),
        title: story.title.clone(),
        agent_name: story.settings.agent_name.clone(),
        runtime: story.settings.runtime.clone(),
        model: story.settings.model.clone(),
        worktree: story.worktree.clone(),
        branch: story.branch.clone(),
        status: RuntimeStatus::Idle,
        phase: RunPhase::Queued,
        detail: None,
        until: None,
        outcome: None,
        session_id: None,
        usage: TokenUsage::default(),
        added: 0,
        removed: 0,
        files_changed: 0,
        waiting: 0,
        unread: false,
        demo: story.settings.runtime == "demo",
        created_at: now,
        updated_at: now,
        last_seq: 0,
    }
}

pub(crate) async fn summary_of(core: &Core, run: &RunId) -> Result<RunSummary, ApiError> {
    if let Some(handle) = core.runs.get(run) {
        return Ok(RunSummary::clone(&handle.summary.borrow()));
    }
    core.store.run(run).await?.ok_or_else(|| not_found("run", run))
}

pub(crate) async fn story_of(core: &Core, story: &StoryId) -> Result<Story, ApiError> {
    core.store.story(story).await?.ok_or_else(|| not_found("story", story))
}

fn trust_needed(project: &Project) -> ApiError {
    let name = &project.name;
    ApiError::new(
        ErrorCode::TrustNeeded,
        format!("{name} has settings or hooks of its own that can run by themselves."),
    )
    .with_hint("Look at them, then allow them or keep them off.")
}

fn check_prompt(text: &str) -> Result<(), ApiError> {
    if text.trim().is_empty() {
        return Err(bad_request("There are no words to say: the message is empty."));
    }
    if text.len() > MAX_PROMPT_BYTES {
        let limit = MAX_PROMPT_BYTES >> 20;
        return Err(bad_request(format!("The message is longer than {limit} MiB."))
            .with_hint("Put the text into a file of the worktree and name it."));
    }
    Ok(())
}

/// The first line with words, at most 80 characters.
fn title_of(prompt: &str) -> String {
    let line = prompt.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    match line.char_indices().nth(80) {
        Some((cut, _)) => format!("{}…", line[..cut].trim_end()),
        None => line.to_owned(),
    }
}

/// Events from `from_seq`, waiting up to `wait` for the first; and whether none will follow.
async fn read_events(
    core: &Core,
    run: &RunId,
    from_seq: u64,
    max_bytes: usize,
    wait: Duration,
) -> Result<(StoredBatch, bool), ApiError> {
    let from_seq = from_seq.max(1);
    let Some(mut handle) = core.runs.get(run) else {
        let summary = summary_of(core, run).await?;
        let batch = core.store.read_events(run, from_seq, max_bytes).await?;
        if batch.count == 0 && from_seq <= summary.last_seq {
            return Err(missing_events(from_seq, summary.last_seq));
        }
        let end = batch.next_seq > summary.last_seq;
        return Ok((batch, end));
    };
    if !wait.is_zero() {
        let news = handle.summary.wait_for(|s| s.last_seq >= from_seq || s.phase == RunPhase::Done);
        // The time running out is no error: the batch is empty then.
        let _ = tokio::time::timeout(wait, news).await;
    }
    let (last, done) = {
        let summary = handle.summary.borrow();
        (summary.last_seq, summary.phase == RunPhase::Done)
    };
    let batch = handle.index.read(from_seq, max_bytes).await?;
    let end = done && batch.next_seq > last;
    Ok((batch, end))
}

fn missing_events(from: u64, to: u64) -> ApiError {
    let message = format!("Events {from} to {to} of this run are no longer in its transcript.");
    ApiError::new(ErrorCode::StoreFailed, message)
        .with_hint("The file was cut or emptied from outside; what is before them is as it was.")
}

/// A run's events from `from_seq` on, to its end; an unreadable transcript ends it early.
pub(crate) fn event_stream(core: Arc<Core>, run: RunId, from_seq: u64) -> EventStream {
    let start = (core, run, from_seq, Vec::<EventEnvelope>::new().into_iter(), false);
    Box::pin(stream::unfold(start, |(core, run, mut next, mut ready, mut end)| async move {
        loop {
            if let Some(event) = ready.next() {
                return Some((event, (core, run, next, ready, end)));
            }
            if end {
                return None;
            }
            let read = read_events(&core, &run, next, BATCH_BYTES, LONGEST_WAIT).await.ok()?;
            next = read.0.next_seq;
            end = read.1;
            let events: Vec<EventEnvelope> = serde_json::from_str(&read.0.json).ok()?;
            ready = events.into_iter();
        }
    }))
}

/// The most that is told of an earlier conversation: its end counts.
const RETOLD_BYTES: usize = 48 << 10;

fn retell(paths: &[PathBuf]) -> String {
    let mut told = Vec::new();
    for path in paths {
        // A transcript that cannot be read is left out: the words that are left still help.
        let _ = fold_transcript(path, |envelope| match envelope.event {
            AgentEvent::Message { text, .. } => told.push(format!("Person: {text}")),
            AgentEvent::Text { text, delta: false, parent: None, .. } => {
                told.push(format!("You: {text}"));
            }
            AgentEvent::ToolCall(call) => {
                told.push(format!("You used {}: {}", call.name, call.title))
            }
            _ => {}
        });
    }
    let mut kept = Vec::new();
    let mut bytes = 0;
    for line in told.into_iter().rev() {
        bytes += line.len();
        if bytes > RETOLD_BYTES {
            kept.push("(earlier parts are left out)".to_owned());
            break;
        }
        kept.push(line);
    }
    kept.reverse();
    kept.join("\n")
}

/// Opens a run's log behind what is stored.
pub(crate) async fn reopen(core: &Arc<Core>, summary: RunSummary) -> Result<RunLog, ApiError> {
    let read_to = core.store.read_to(&summary.id).await?;
    let (writer, recovered) = core.store.recover_log(&summary.id).await?;
    Ok(RunLog::over(core.clone(), writer, recovered.fold, summary, read_to))
}
