//! The agent's program is started, or taken over from an engine that is gone: what it is given, and where
//! its events go.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use futures::{StreamExt, stream};
use musher_protocol::*;
use musher_runtime::{
    AttachPoint, EventLog, EventSink, EventStream, RuntimeContext, RuntimeKind, ToolAccess,
    is_key_name,
};
use musher_tools::Rule;
use secrecy::SecretString;

use super::{RunActor, Work};
use crate::{
    core::Core,
    keys::secrets_of,
    projects::trust_in,
    rules::{next_reading, rules_in},
    runs::{event_stream, told_stream},
};

impl RunActor {
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

    pub(super) async fn launch(
        &mut self,
        trust: Option<TrustDecision>,
        attach: Option<AttachPoint>,
    ) -> Result<(), ApiError> {
        let Some(kind) = self.core.registry.get(&self.story.settings.runtime) else {
            return self.could_not_start(unknown_runtime(&self.story.settings.runtime)).await;
        };
        let reading = next_reading(&self.core);
        let rules = match rules_in(&self.core, &self.story.project).await {
            Ok(rules) => rules,
            // What it was started with holds for it.
            Err(_) if attach.is_some() => Vec::new(),
            Err(error) => return self.could_not_start(error).await,
        };
        self.rules.set_of_project(reading, rules.iter().cloned().collect());
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
        if kind.needs_tools()
            && let Err(error) = self.give_tools(&mut context).await
        {
            return self.could_not_start(error).await;
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
            project_words: None,
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
}

pub(crate) fn unknown_runtime(name: &str) -> ApiError {
    ApiError::new(ErrorCode::RuntimeMissing, format!("There is no runtime called {name}."))
        .with_hint("`musher doctor` lists the ones there are.")
}

pub(crate) fn secrets(env: &BTreeMap<String, String>) -> BTreeMap<String, SecretString> {
    let keys = env.iter().filter(|(name, _)| is_key_name(name));
    keys.map(|(name, value)| (name.clone(), SecretString::from(value.clone()))).collect()
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
pub(super) async fn earlier_runs(core: &Core, story: &StoryId, this: &RunId) -> Vec<RunSummary> {
    let mut runs = core.store.runs_of(story).await.unwrap_or_default();
    runs.retain(|run| run.id != *this && run.phase == RunPhase::Done);
    runs.sort_by_key(|run| run.created_at);
    runs
}
