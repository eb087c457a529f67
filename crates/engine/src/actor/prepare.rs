//! From a story to all that its agent needs to be started: a slot, a worktree, the trust answer, the keys.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use musher_protocol::*;
use musher_worktree::{CreateWorktree, Created, WorktreeError, slug};
use secrecy::SecretString;
use tokio_util::sync::CancellationToken;

use super::{CreatePlan, Notice, RunActor, StartPlan, Work};
use crate::{
    core::{Core, conflict},
    keys::secrets_of,
    projects::{trust_in, worktree_gone},
    variables::{check_complete, name_given},
};

/// What must stand before the program may start.
pub(super) struct Prepared {
    pub(super) created: Option<Created>,
    trust: Option<TrustDecision>,
    /// `None`: the run was stopped before they were known.
    secrets: Option<Vec<SecretString>>,
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
        let stopping = self.stopping.clone();
        let (root, plan) = (self.project_root.clone(), self.plan.clone());
        let preparing = prepare(core, story, root, plan, stopping);
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

    async fn start(&mut self, prepared: Prepared) -> Result<(), ApiError> {
        if let Some(created) = prepared.created {
            self.note_worktree(created).await?;
        }
        for message in prepared.warnings {
            self.log.say(AgentEvent::Warning { code: "worktree".into(), message }).await?;
        }
        // Of a stop that reached the run beside its mailbox the mail comes yet.
        let Some(secrets) = prepared.secrets.filter(|_| self.stopped_by.is_none()) else {
            return Ok(());
        };
        self.trusted = prepared.trust == Some(TrustDecision::Trusted);
        self.secrets.add(&secrets);
        self.enter(RunPhase::Starting, Some("Starting the agent".into())).await?;
        self.launch(prepared.trust, None).await
    }

    pub(super) async fn note_worktree(&mut self, created: Created) -> Result<(), ApiError> {
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

async fn prepare(
    core: Arc<Core>,
    story: Story,
    project_root: String,
    plan: StartPlan,
    stopping: CancellationToken,
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
    // A keychain may wait for a person; a stop does not wait for either.
    let secrets = secrets_of(&core, &story.settings, uses_keys);
    let secrets = stopping.run_until_cancelled(secrets).await;
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
