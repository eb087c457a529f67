//! Starting runs: the first of a story, and the next ones.

use std::{collections::BTreeMap, sync::Arc};

use musher_protocol::*;
use musher_runtime::{Secrets, is_key_name};
use musher_store::Header;
use musher_tools::LiveRules;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{
    change::Change,
    check::{
        check_no_program, check_place, check_prices, check_prompt, check_rules, check_settings,
        check_tool_servers, check_tool_servers_at, check_worktree,
    },
    story_of, summary_of,
};
use crate::{
    Engine,
    actor::{Beginning, CreatePlan, Notice, RunActor, StartPlan, secrets, unknown_runtime},
    claims::Claim,
    core::{Core, RunHandle, bad_request, not_found},
    log::RunLog,
    projects::{project_of, trust_in},
    variables::{check_complete, name_given},
};

/// How many requests may wait for one actor.
const MAILBOX: usize = 64;

impl Engine {
    pub async fn run_start(&self, params: RunStartParams) -> Result<RunSummary, ApiError> {
        check_prompt(&params.prompt)?;
        check_settings(&params.settings)?;
        check_place(&params.place)?;
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
        match create.as_ref().and_then(|plan| plan.base.as_deref()) {
            None => check_tool_servers(&params.settings, looked_at.as_ref())?,
            Some(base) => {
                let (git, from) = (self.core.git().await, (project.root.as_ref(), base));
                check_tool_servers_at(git, &params.settings, from).await?;
            }
        }
        let trust = trust_in(&self.core, &project.id, looked_at.as_ref()).await?;
        if trust.decision.is_none() && !trust.items.is_empty() && !params.restrict_untrusted {
            return Err(trust_needed(&project));
        }
        let mut settings = params.settings;
        let notice = self.choose_model(&mut settings).await?;
        let mut story = self.new_story(&project, &params.prompt, settings);
        match &create {
            // As it was asked for: the run may be begun by another engine.
            Some(CreatePlan { base, branch }) => {
                story.base_name.clone_from(base);
                story.branch.clone_from(branch);
            }
            None => {
                story.worktree = worktree;
                story.branch = folder.branch;
                story.base_commit = folder.head;
            }
        }
        let claim = self.claim(&story).await?;
        story.settings.env_names.clear();
        story.settings.endpoint.header_names.clear();
        let plan = StartPlan { prompt: params.prompt, create, notice, ..StartPlan::default() };
        self.spawn_run(claim, story, &project, Beginning::Fresh(plan)).await
    }

    pub(super) async fn check_runtime(&self, settings: &RunSettings) -> Result<(), ApiError> {
        let Some(kind) = self.core.registry.get(&settings.runtime) else {
            return Err(unknown_runtime(&settings.runtime));
        };
        kind.check_endpoint(&settings.endpoint).map_err(bad_request)?;
        kind.check_key(&settings.endpoint, &secrets(&settings.env)).await.map_err(bad_request)?;
        check_prices(&*kind, &settings.endpoint)?;
        if kind.needs_tools() {
            check_no_program(settings)?;
            check_rules(settings)?;
        }
        if let Some(command) = &settings.command {
            return match musher_process::find_program(command, &self.core.login().await.path) {
                Some(_) => Ok(()),
                None => Err(ApiError::new(
                    ErrorCode::RuntimeMissing,
                    format!("{command} is no program that can be run."),
                )
                .with_hint("Name a file that exists and is executable.")),
            };
        }
        let has_key = settings.env.keys().any(|name| is_key_name(name));
        if kind.needs_tools() && (has_key || kind.is_elsewhere(&settings.endpoint)) {
            return Ok(());
        }
        let info = kind.detect(&self.core.login().await.path).await;
        if info.found {
            return Ok(());
        }
        let why = match info.over_http {
            true => format!("There is no key for {}.", info.label),
            false => format!("{} was not found.", info.label),
        };
        let error = ApiError::new(ErrorCode::RuntimeMissing, why);
        Err(match info.hint {
            Some(hint) => error.with_hint(hint),
            None => error,
        })
    }

    /// At an address that is not the provider's own, none of the provider's models is meant: where none is
    /// named, it is the one that is there, and that is said.
    pub(super) async fn choose_model(
        &self,
        settings: &mut RunSettings,
    ) -> Result<Option<Notice>, ApiError> {
        let kind = self.core.registry.get(&settings.runtime);
        let kind = kind.filter(|kind| kind.is_elsewhere(&settings.endpoint));
        let (Some(kind), None) = (kind, &settings.model) else { return Ok(None) };
        let only = kind.only_model(&settings.endpoint, &secrets(&settings.env)).await;
        let model = only.map_err(bad_request)?;
        let place = kind.place(&settings.endpoint).unwrap_or_default();
        let message = format!("The model is {model}, the only one at {place}.");
        settings.model = Some(model);
        Ok(Some(Notice { code: "model_chosen", message }))
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
        claim: Claim,
        mut story: Story,
        project: &Project,
        beginning: Beginning,
    ) -> Result<RunSummary, ApiError> {
        name_given(&mut story.settings);
        self.core.give(&story.id, &story.settings);
        self.core.store.put_story(&crate::actor::without_env(&story)).await?;
        let summary = RunSummary::queued(claim.run().clone(), &story, self.core.now());
        let header = Header::new(&summary, &story, project);
        let log = RunLog::create(self.core.clone(), header).await?;
        self.core.store.put_run(&summary).await?;
        spawn_actor(self, claim, story, project.root.clone(), log, beginning);
        Ok(summary)
    }

    /// The next run of a run's story: same worktree, same session if the runtime still knows it.
    pub(super) async fn go_on_with(&self, run: &RunId, next: GoOn) -> Result<RunSummary, ApiError> {
        if let Some(why) = self.core.stray(run) {
            return Err(why);
        }
        let story = summary_of(&self.core, run).await?.story;
        let follows = next.claim.is_some();
        let claim = match next.claim {
            Some(mut claim) => {
                claim.hand_on(RunId::fresh());
                claim
            }
            None => self.claim(&story_of(&self.core, &story).await?).await?,
        };
        // Only now nobody else writes it.
        let mut story = story_of(&self.core, &story).await?;
        self.core.claims.moved(claim.run(), &story.worktree).await;
        let notice = self.fit(&mut story, next.env, next.headers, next.change).await?;
        let known = check_complete(&story.settings, if follows { claim.run() } else { run });
        let complete = match known {
            Ok(()) => check_worktree(&story).await,
            lacking => lacking,
        };
        let Some(project) = self.project_by_id(&story.project).await? else {
            return Err(not_found("project", &story.project));
        };
        let plan = self.next_plan(run, &story, next.prompt).await?;
        let plan = StartPlan { notice, ..plan };
        let beginning = match complete {
            // Nobody hears a refusal of words that came too late: the run that is theirs says it.
            Err(why) if follows => Beginning::Never { prompt: plan.prompt, why },
            complete => complete.map(|()| Beginning::Fresh(plan))?,
        };
        self.spawn_run(claim, story, &project, beginning).await
    }

    async fn next_plan(
        &self,
        run: &RunId,
        story: &Story,
        prompt: Option<String>,
    ) -> Result<StartPlan, ApiError> {
        let session = self.core.store.session_of(&story.id).await?;
        let prompt = match prompt {
            Some(prompt) => prompt,
            // No agent ever heard what this story is about.
            None if session.is_none() => self.first_words(run).await.unwrap_or(CONTINUE.into()),
            None => CONTINUE.into(),
        };
        self.plan_of(story, session, prompt, None).await
    }

    /// How a run takes the story up: with the session it had, if that is of the same runtime. For one of
    /// another, a runtime whose conversation Musher has reads all of it from the transcripts, under a
    /// session of its own; others are told of it. `run` is the one to begin, where it is stored already.
    pub(crate) async fn plan_of(
        &self,
        story: &Story,
        session: Option<SessionRef>,
        prompt: String,
        run: Option<&RunId>,
    ) -> Result<StartPlan, ApiError> {
        let create = story.worktree.is_empty().then(|| CreatePlan::of(story));
        let plan = StartPlan { prompt, create, ..StartPlan::default() };
        let Some(session) = session else { return Ok(plan) };
        let runtime = &story.settings.runtime;
        let resume = match self.core.registry.get(runtime) {
            _ if session.runtime == *runtime => Some(session.id),
            Some(kind) if kind.needs_tools() => Some(uuid::Uuid::now_v7().to_string()),
            _ => None,
        };
        let fresh_prompt = Some(self.retold(&story.id, &plan.prompt, run).await?);
        Ok(StartPlan { resume, fresh_prompt, ..plan })
    }

    /// The place of a new run. Waits for a run that is just ending; refuses while one is not over.
    async fn claim(&self, story: &Story) -> Result<Claim, ApiError> {
        loop {
            let taken = match self.core.claims.take(RunId::fresh(), story).await {
                Ok(claim) => return Ok(claim),
                Err(taken) => taken,
            };
            match self.core.runs.get(&taken.by) {
                Some(ending) if ending.summary.borrow().phase == RunPhase::Done => {
                    ending.gone.cancelled().await;
                }
                _ => return Err(taken.into()),
            }
        }
    }
}

/// How a story goes on.
#[derive(Default)]
pub(crate) struct GoOn {
    /// `None`: with the words that nobody heard, or with "Continue.".
    pub prompt: Option<String>,
    pub env: BTreeMap<String, String>,
    pub headers: BTreeMap<String, String>,
    pub change: Change,
    /// Of the run before, when this one takes its place.
    pub claim: Option<Claim>,
}

impl GoOn {
    pub fn saying(prompt: String) -> Self {
        Self { prompt: Some(prompt), ..Self::default() }
    }
}

const CONTINUE: &str = "Continue.";

pub(crate) fn spawn_actor(
    engine: &Engine,
    claim: Claim,
    story: Story,
    project_root: String,
    log: RunLog,
    beginning: Beginning,
) {
    let run = log.summary().id.clone();
    let (mailbox, mails) = mpsc::channel(MAILBOX);
    let kind = engine.core.registry.get(&story.settings.runtime);
    let lived_here = kind.is_some_and(|kind| kind.needs_tools());
    let handle = RunHandle {
        mailbox,
        summary: log.watch(),
        index: log.index(),
        secrets: Secrets::default(),
        rules: LiveRules::default(),
        gone: CancellationToken::new(),
        stopping: CancellationToken::new(),
        followed: Arc::default(),
        caught_up: CancellationToken::new(),
        left_over: lived_here && matches!(beginning, Beginning::Attach { .. }),
    };
    let actor = RunActor::new(engine.core.clone(), story, project_root, log, mails, &handle);
    let listed = Listed::new(engine.core.clone(), claim, handle);
    let engine = engine.clone();
    let tasks = engine.core.tasks.clone();
    tasks.spawn(async move {
        let follow_up = actor.run(beginning).await;
        let Some(words) = follow_up else { return };
        let next = GoOn { claim: listed.give_way(), ..GoOn::saying(words) };
        if let Err(error) = engine.go_on_with(&run, next).await {
            tracing::warn!(%run, %error, "the next run could not be started");
        }
    });
}

/// A live run's place in the table; it is free again however its actor ends.
struct Listed {
    core: Arc<Core>,
    run: RunId,
    gone: CancellationToken,
    claim: Option<Claim>,
}

impl Listed {
    fn new(core: Arc<Core>, claim: Claim, handle: RunHandle) -> Self {
        let (run, gone) = (claim.run().clone(), handle.gone.clone());
        core.runs.insert(run.clone(), handle);
        Self { core, run, gone, claim: Some(claim) }
    }

    /// Leaves the table and gives what it claimed to the next run of the story.
    fn give_way(mut self) -> Option<Claim> {
        self.claim.take()
    }
}

impl Drop for Listed {
    fn drop(&mut self) {
        let claim = self.claim.take();
        // The agent of a stray goes on, and so does its claim.
        if let Some(claim) = claim
            && self.core.stray(&self.run).is_some()
        {
            claim.keep();
        }
        self.core.runs.remove(&self.run);
        self.gone.cancel();
    }
}

fn trust_needed(project: &Project) -> ApiError {
    let name = &project.name;
    ApiError::new(
        ErrorCode::TrustNeeded,
        format!("{name} has settings or hooks of its own that can run by themselves."),
    )
    .with_hint("Look at them, then allow them or keep them off.")
}

/// The first line with words, at most 80 characters.
fn title_of(prompt: &str) -> String {
    let line = prompt.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    match line.char_indices().nth(80) {
        Some((cut, _)) => format!("{}…", line[..cut].trim_end()),
        None => line.to_owned(),
    }
}
