//! From a story to a running agent: a slot, a worktree, the trust answer, the program.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use futures::{StreamExt, stream};
use musher_protocol::*;
use musher_runtime::{
    AttachPoint, EventLog, EventSink, EventStream, RuntimeContext, RuntimeKind, ToolAccess,
    ToolHost, is_key_name,
};
use musher_tools::{Host, HostConfig, Rule, ServerSources};
use musher_worktree::{CreateWorktree, Created, WorktreeError, slug};

use secrecy::SecretString;

use super::{CreatePlan, Notice, RunActor, StartPlan, Work};
use crate::{
    core::{Core, conflict},
    keys::secrets_of,
    projects::{trust_in, worktree_gone},
    rules::{rules_in, rules_of},
    runs::{event_stream, told_stream},
    variables::{check_complete, name_given},
};

const LOOK: std::time::Duration = std::time::Duration::from_millis(10);

/// What must stand before the program may start.
pub(super) struct Prepared {
    created: Option<Created>,
    trust: Option<TrustDecision>,
    secrets: Vec<SecretString>,
    warnings: Vec<String>,
}

impl RunActor {
    pub(super) async fn begin(&mut self, plan: StartPlan) -> Result<(), ApiError> {
        self.keep_opening(plan.prompt.clone(), plan.notice.clone()).await?;
        self.plan = plan;
        let slots = self.core.slots.clone();
        if let Ok(slot) = slots.clone().try_acquire_owned() {
            return self.got_slot(Some(slot)).await;
        }
        let limit = self.core.config.max_live_runs;
        let detail = format!("Waits for a free slot: {limit} of {limit} are busy");
        self.enter(RunPhase::Queued, Some(detail)).await?;
        self.work.spawn(async move { Work::Slot(slots.acquire_owned().await.ok()) });
        Ok(())
    }

    /// Both together, so that neither is lost or said again.
    pub(super) async fn keep_opening(
        &mut self,
        text: String,
        notice: Option<Notice>,
    ) -> Result<(), ApiError> {
        if self.log.fold.last_seq > 0 {
            return Ok(());
        }
        let (id, delivery) = (self.prompt_id.clone(), Delivery::Prompt);
        let mut opening = vec![AgentEvent::Message { id, text, delivery }.into()];
        opening.extend(notice.map(|Notice { code, message }| {
            AgentEvent::Warning { code: code.into(), message }.into()
        }));
        self.log.append(opening).await
    }

    /// Begins what an earlier engine left in line, unless it lacks variables that it was given.
    pub(super) async fn begin_in_line(&mut self) -> Result<(), ApiError> {
        let Some(plan) = self.in_line.take() else { return Ok(()) };
        match check_complete(&self.story.settings, &self.log.summary().id) {
            Ok(()) => self.begin(plan).await,
            Err(why) => self.could_not_start(why).await,
        }
    }

    /// The same, with more variables and headers.
    pub(super) async fn begin_with(
        &mut self,
        env: BTreeMap<String, String>,
        headers: BTreeMap<String, String>,
        model: Option<String>,
    ) -> Result<(), ApiError> {
        if self.in_line.is_none() || self.stopped_by.is_some() {
            let hint = "Send it a message, or stop it first.";
            return Err(conflict("This run is not over.").with_hint(hint));
        }
        self.story.settings.env = self.core.env_of(&self.story.id, env);
        self.story.settings.endpoint.headers = self.core.headers_of(&self.story.id, headers);
        name_given(&mut self.story.settings);
        if model.is_some() {
            self.story.settings.model = model;
        }
        self.keep_story().await?;
        self.begin_in_line().await
    }

    pub(super) async fn got_slot(
        &mut self,
        slot: Option<tokio::sync::OwnedSemaphorePermit>,
    ) -> Result<(), ApiError> {
        self.slot = slot;
        if self.stopped_by.is_some() {
            return Ok(());
        }
        let detail = match self.plan.create {
            Some(_) => "Making a worktree",
            None => "Looking at the worktree",
        };
        self.enter(RunPhase::Preparing, Some(detail.into())).await?;
        let (core, story) = (self.core.clone(), self.story.clone());
        let preparing = prepare(core, story, self.project_root.clone(), self.plan.clone());
        self.preparing = true;
        self.work.spawn(async move { Work::Prepared(preparing.await) });
        Ok(())
    }

    pub(super) async fn prepared(
        &mut self,
        prepared: Result<Prepared, ApiError>,
    ) -> Result<(), ApiError> {
        self.preparing = false;
        match prepared {
            Ok(prepared) => self.start(prepared).await,
            Err(error) => self.could_not_start(error).await,
        }
    }

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

    async fn start(&mut self, prepared: Prepared) -> Result<(), ApiError> {
        if let Some(created) = prepared.created {
            self.note_worktree(created).await?;
        }
        for message in prepared.warnings {
            self.log.say(AgentEvent::Warning { code: "worktree".into(), message }).await?;
        }
        if self.stopped_by.is_some() {
            return Ok(());
        }
        self.trusted = prepared.trust == Some(TrustDecision::Trusted);
        self.secrets.add(&prepared.secrets);
        self.enter(RunPhase::Starting, Some("Starting the agent".into())).await?;
        self.launch(prepared.trust, None).await
    }

    /// Takes over the program of an engine that is gone.
    pub(super) async fn attach(&mut self, stored_to: u64) -> Result<(), ApiError> {
        self.slot = self.core.slots.clone().try_acquire_owned().ok();
        let core = self.core.clone();
        tokio::select! {
            _ = core.login() => {}
            () = core.closing.cancelled() => return Ok(()),
        }
        let worktree = PathBuf::from(&self.story.worktree);
        // A worktree that is gone has no settings; what the agent said is taken in all the same.
        let trust = trust_in(&self.core, &self.story.project, &worktree).await.ok();
        self.trusted = trust.is_some_and(|t| t.decision == Some(TrustDecision::Trusted));
        self.secrets.add(&secrets_of(&self.core, &self.story.settings, false).await);
        let warned = self.log.fold.warned.clone();
        self.launch(None, Some(AttachPoint { stored_to, warned })).await?;
        if self.log.fold.phase == RunPhase::Stopping {
            self.stop(StoppedBy::User).await?;
        }
        if let Some(runtime) = self.runtime.clone() {
            self.work.spawn(async move {
                runtime.caught_up().await;
                Work::CaughtUp
            });
        }
        self.answer_unasked().await?;
        self.show_wait().await?;
        self.say_what_was_left().await
    }

    async fn launch(
        &mut self,
        trust: Option<TrustDecision>,
        attach: Option<AttachPoint>,
    ) -> Result<(), ApiError> {
        let Some(kind) = self.core.registry.get(&self.story.settings.runtime) else {
            return self.could_not_start(unknown_runtime(&self.story.settings.runtime)).await;
        };
        let rules = match rules_in(&self.core, &self.story.project).await {
            Ok(rules) => rules,
            // What it was started with holds for it.
            Err(_) if attach.is_some() => Vec::new(),
            Err(error) => return self.could_not_start(error).await,
        };
        let begins = attach.is_none();
        let mut context = self.context(trust, attach).await;
        context.tools.rules = rules.iter().map(Rule::told).collect();
        if let Err(error) = self.give_endpoint(&*kind, &mut context, &rules).await {
            return self.could_not_start(error).await;
        }
        if begins {
            self.warn_of_rules(&*kind, &context.tools.rules).await?;
            if let Some(message) = kind.cannot_limit(&context.limits) {
                self.log.say(AgentEvent::Warning { code: "limits".into(), message }).await?;
            }
        }
        if kind.needs_tools() {
            match self.tools(&context, &rules).await {
                Ok(host) => context.tools.host = Some(host),
                Err(error) => return self.could_not_start(error).await,
            }
        }
        let runtime = kind.new_run();
        let log = StoredEvents {
            core: self.core.clone(),
            run: context.run.clone(),
            story: self.story.id.clone(),
        };
        let (sink, batches) = EventSink::new(Arc::new(log));
        self.runtime = Some(runtime.clone());
        self.batches = Some(batches);
        let (stopping, stopped) = (self.stopping.clone(), runtime.clone());
        self.work.spawn(async move {
            stopping.cancelled().await;
            Work::Stopped(stopped.stop().await)
        });
        self.work.spawn(async move { Work::Finished(runtime.start(context, sink).await) });
        Ok(())
    }

    async fn context(
        &self,
        trust: Option<TrustDecision>,
        attach: Option<AttachPoint>,
    ) -> RuntimeContext {
        let settings = &self.story.settings;
        let run = self.log.summary().id.clone();
        RuntimeContext {
            run_dir: self.core.store.run_dir(&run),
            run,
            story_id: self.story.id.clone(),
            agent_name: settings.agent_name.clone(),
            command: settings.command.as_ref().map(PathBuf::from),
            args: settings.args.clone(),
            env: musher_process::Environment::for_agent(
                &settings.env,
                &self.core.login().await.path,
            ),
            prompt: self.plan.words().to_owned(),
            prompt_id: self.prompt_id.clone(),
            cwd: PathBuf::from(&self.story.worktree),
            inactivity_timeout_secs: settings.inactivity_timeout_secs,
            tools: ToolAccess {
                allowed: settings.allowed_tools.clone(),
                disallowed: settings.disallowed_tools.clone(),
                mcp_config: settings.mcp_config.clone(),
                rules: Vec::new(),
                host: None,
                endpoint: None,
            },
            session_id_to_resume: self.plan.resume.clone(),
            fresh_prompt: self.plan.fresh_prompt.clone(),
            project_root: PathBuf::from(&self.project_root),
            model: settings.model.clone(),
            permission_mode: settings.permission_mode,
            limits: settings.limits.clone(),
            trust,
            transport: settings.transport,
            append_system_prompt: settings.append_system_prompt.clone(),
            endpoint: settings.endpoint.clone(),
            secrets: secrets(&settings.env),
            attach,
        }
    }

    /// Of what is denied and cannot be; what is allowed is asked, which anybody sees.
    async fn warn_of_rules(
        &mut self,
        kind: &dyn RuntimeKind,
        rules: &[musher_runtime::Rule],
    ) -> Result<(), ApiError> {
        for rule in rules.iter().filter(|rule| !rule.allow) {
            if let Some(message) = kind.cannot_keep(rule) {
                self.log.say(AgentEvent::Warning { code: "rules".into(), message }).await?;
            }
        }
        Ok(())
    }

    /// The engine's tools, for an agent that has none of its own.
    async fn tools(
        &self,
        context: &RuntimeContext,
        project: &[Rule],
    ) -> Result<Arc<dyn ToolHost>, ApiError> {
        let rules = rules_of(project, &self.story.settings)?;
        let mut env = context.env.clone();
        env.retain(|name, _| !is_key_name(name));
        let config = HostConfig {
            worktree: context.cwd.clone(),
            run_dir: context.run_dir.clone(),
            earlier: self.earlier().await,
            env,
            mark: context.run.to_string(),
            fetch: rules.open_pages(),
            rules,
            keeper: None,
            servers: ServerSources {
                settings: context.tools.mcp_config.clone(),
                trusted: context.trust == Some(TrustDecision::Trusted),
                ..ServerSources::default()
            },
            secrets: self.secrets.clone(),
        };
        let host = Host::new(config)
            .map_err(|error| ApiError::new(ErrorCode::RuntimeFailed, format!("{error}.")))?;
        Ok(Arc::new(host))
    }

    /// Where the story's runs before this one are, the latest first.
    pub(super) async fn earlier(&self) -> Vec<PathBuf> {
        let runs = earlier_runs(&self.core, &self.story.id, &self.log.summary().id).await;
        runs.iter().rev().map(|run| self.core.store.run_dir(&run.id)).collect()
    }

    async fn note_worktree(&mut self, created: Created) -> Result<(), ApiError> {
        let made = WorktreeMade {
            path: created.path.to_string_lossy().into_owned(),
            branch: created.branch,
            base_commit: created.base_commit,
            base_name: created.base_name,
        };
        self.story.worktree.clone_from(&made.path);
        self.story.owns_worktree = true;
        self.story.branch = Some(made.branch.clone());
        self.story.base_commit = Some(made.base_commit.clone());
        self.story.base_name = Some(made.base_name.clone());
        self.keep_story().await?;
        self.core.claims.moved(&self.log.summary().id, &made.path).await;
        self.log.say(AgentEvent::Worktree(made)).await
    }

    pub(super) async fn keep_story(&mut self) -> Result<(), ApiError> {
        Ok(self.core.store.put_story(&without_env(&self.story)).await?)
    }

    /// The session is kept the moment it is named.
    pub(super) async fn keep_session(&mut self) {
        let Some(session) = self.log.fold.session.clone() else { return };
        let kept = SessionRef {
            runtime: self.story.settings.runtime.clone(),
            id: session.session_id,
            model: session.model,
            cwd: self.story.worktree.clone(),
            story: self.story.id.clone(),
            run: self.log.summary().id.clone(),
            seen_at: self.core.now(),
        };
        if let Err(error) = self.core.store.put_session(&kept).await {
            tracing::warn!(%error, "session not kept; the transcript has it");
        }
    }
}

/// A story as it is kept: variables may hold keys, so their values stay in memory.
pub(crate) fn without_env(story: &Story) -> Story {
    let mut story = story.clone();
    story.settings.env.clear();
    story.settings.endpoint.headers.clear();
    story
}

pub(crate) fn unknown_runtime(name: &str) -> ApiError {
    ApiError::new(ErrorCode::RuntimeMissing, format!("There is no runtime called {name}."))
        .with_hint("`musher doctor` lists the ones there are.")
}

async fn prepare(
    core: Arc<Core>,
    story: Story,
    project_root: String,
    plan: StartPlan,
) -> Result<Prepared, ApiError> {
    let (created, mut warnings) = match &plan.create {
        Some(create) => {
            let created = make_worktree(&core, &story, &project_root, create).await?;
            let warnings = created.warnings.clone();
            (Some(created), warnings)
        }
        None => (None, Vec::new()),
    };
    let worktree =
        created.as_ref().map_or_else(|| PathBuf::from(&story.worktree), |c| c.path.clone());
    if !tokio::fs::try_exists(&worktree).await.unwrap_or(false) {
        return Err(worktree_gone(&worktree));
    }
    let trust = trust_in(&core, &story.project, &worktree).await?;
    if trust.decision.is_none() && !trust.items.is_empty() {
        warnings.push(format!(
            "{} of this repository's own settings and hooks stay off until you allow them.",
            trust.items.len()
        ));
    }
    let kind = core.registry.get(&story.settings.runtime);
    let uses_keys = kind.is_some_and(|kind| kind.needs_tools());
    let secrets = secrets_of(&core, &story.settings, uses_keys).await;
    Ok(Prepared { created, trust: trust.decision, secrets, warnings })
}

async fn make_worktree(
    core: &Core,
    story: &Story,
    project_root: &str,
    plan: &CreatePlan,
) -> Result<Created, ApiError> {
    let project = core.store.projects().await?.into_iter().find(|p| p.id == story.project);
    let name = project.map_or_else(|| story.project.to_string(), |p| p.name);
    let request = CreateWorktree {
        root: PathBuf::from(project_root),
        under: core.worktrees_dir().join(slug(&name)),
        prompt: story.title.clone(),
        branch: plan.branch.clone(),
        base: plan.base.clone(),
    };
    let trust = trust_in(core, &story.project, project_root.as_ref()).await?;
    if trust.decision != Some(TrustDecision::Trusted) {
        return Ok(core.git().await.create(request).await?);
    }
    match core.git().await.trusting(true).create(request.clone()).await {
        Err(WorktreeError::FilterFailed { .. }) => without_filters(core, request).await,
        created => Ok(created?),
    }
}

/// A filter of the project is not there (git-lfs not installed): its files stay as they are stored.
async fn without_filters(core: &Core, request: CreateWorktree) -> Result<Created, ApiError> {
    let mut created = core.git().await.create(request).await?;
    created.warnings.push(
        "A filter of this repository (git-lfs?) failed, so files it makes are left as they are stored."
            .into(),
    );
    Ok(created)
}

/// A run's events for its runtime's `stream_events`.
struct StoredEvents {
    core: Arc<Core>,
    run: RunId,
    story: StoryId,
}

impl EventLog for StoredEvents {
    fn subscribe(&self, from_seq: u64) -> EventStream {
        event_stream(self.core.clone(), self.run.clone(), from_seq)
    }

    fn stored(&self) -> EventStream {
        let last = self.core.runs.get(&self.run).map_or(0, |live| live.summary.borrow().last_seq);
        // One event has each number.
        Box::pin(self.subscribe(1).take(usize::try_from(last).unwrap_or(usize::MAX)))
    }

    fn earlier(&self) -> EventStream {
        let (core, this, story) = (self.core.clone(), self.run.clone(), self.story.clone());
        let runs = async move {
            let runs = earlier_runs(&core, &story, &this).await;
            let events = runs.into_iter().map(move |run| told_stream(core.clone(), run.id));
            stream::iter(events).flatten()
        };
        Box::pin(stream::once(runs).flatten())
    }
}

/// The story's runs that are over, oldest first.
async fn earlier_runs(core: &Core, story: &StoryId, this: &RunId) -> Vec<RunSummary> {
    let mut runs = core.store.runs_of(story).await.unwrap_or_default();
    runs.retain(|run| run.id != *this && run.phase == RunPhase::Done);
    runs.sort_by_key(|run| run.created_at);
    runs
}

pub(crate) fn secrets(env: &BTreeMap<String, String>) -> BTreeMap<String, SecretString> {
    let keys = env.iter().filter(|(name, _)| is_key_name(name));
    keys.map(|(name, value)| (name.clone(), SecretString::from(value.clone()))).collect()
}
