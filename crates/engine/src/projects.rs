//! The commands about projects, folders, worktrees and trust.

use std::path::{Path, PathBuf};

use musher_protocol::*;
use musher_store::TrustAnswer;
use musher_worktree::{Git, RemoveWorktree, TrustItems, slug};

use crate::{
    Engine, EngineConfig,
    core::{Core, conflict, not_found},
    runs::{story_of, summary_of},
};

/// The name by which `run_start` takes a throw-away repository of Musher's own.
pub const DEMO_REPOSITORY: &str = "demo";

/// The longest diff of one file that is sent: lines.
const MAX_DIFF_LINES: usize = 50_000;

impl Engine {
    pub async fn folder_inspect(&self, params: PathParams) -> Result<FolderReport, ApiError> {
        let mut report = self.core.git().await.inspect(Path::new(&params.path)).await;
        if let Some(root) = &report.root {
            let projects = self.core.store.projects().await?;
            report.project = projects.into_iter().find(|p| p.root == *root).map(|p| p.id);
        }
        Ok(report)
    }

    pub async fn project_add(&self, params: PathParams) -> Result<Project, ApiError> {
        let folder = self.usable_folder(&params.path).await?;
        project_of(&self.core, &folder).await
    }

    pub async fn project_list(&self) -> Result<Vec<Project>, ApiError> {
        Ok(self.core.store.projects().await?)
    }

    /// Forgets the project. Its repository, worktrees and transcripts stay where they are.
    pub async fn project_remove(&self, params: ProjectParams) -> Result<Empty, ApiError> {
        let live = self.core.runs.all();
        let lives = |h: &crate::core::RunHandle| h.summary.borrow().project == params.project;
        if live.iter().any(|(_, handle)| lives(handle)) {
            return Err(conflict("An agent works in this project.")
                .with_hint("Stop its runs first, or wait for their end."));
        }
        self.core.store.remove_project(&params.project).await?;
        self.core.news.projects_changed();
        Ok(Empty {})
    }

    pub async fn project_bases(&self, params: ProjectParams) -> Result<Vec<BaseChoice>, ApiError> {
        let project = self.project(&params.project).await?;
        Ok(self.core.git().await.bases(Path::new(&project.root)).await?)
    }

    pub async fn project_worktrees(
        &self,
        params: ProjectParams,
    ) -> Result<Vec<Worktree>, ApiError> {
        let project = self.project(&params.project).await?;
        let owned = self.core.worktrees_dir();
        Ok(self.core.git().await.worktrees(Path::new(&project.root), &owned).await?)
    }

    pub async fn trust_get(&self, params: TrustParams) -> Result<TrustReport, ApiError> {
        let project = self.project(&params.project).await?;
        let folder = params.worktree.unwrap_or(project.root);
        trust_in(&self.core, &project.id, Path::new(&folder)).await
    }

    /// An answer holds for what the person saw; if that changed meanwhile, it is asked again.
    pub async fn trust_set(&self, params: TrustSetParams) -> Result<TrustReport, ApiError> {
        let TrustSetParams { project, worktree, digest, decision } = params;
        let report = self.trust_get(TrustParams { project: project.clone(), worktree }).await?;
        if report.digest != digest {
            return Err(conflict("What can run by itself has changed since you looked.")
                .with_hint("Look at the list again."));
        }
        let answer = TrustAnswer {
            project,
            digest: report.digest.clone(),
            items: report.items.clone(),
            decision,
            at: self.core.now(),
        };
        self.core.store.put_trust(&answer).await?;
        Ok(TrustReport { decision: Some(decision), changed: Vec::new(), ..report })
    }

    pub async fn worktree_changes(
        &self,
        params: WorktreeParams,
    ) -> Result<WorktreeChanges, ApiError> {
        let (git, worktree, base) = self.worktree_of(&params.run).await?;
        Ok(git.changes(&worktree, base_of(&base)).await?)
    }

    pub async fn worktree_diff(&self, params: DiffParams) -> Result<FileDiff, ApiError> {
        let (git, worktree, base) = self.worktree_of(&params.run).await?;
        Ok(git.diff(&worktree, base_of(&base), &params.path, MAX_DIFF_LINES).await?)
    }

    pub async fn worktree_remove(
        &self,
        params: WorktreeRemoveParams,
    ) -> Result<RemovalReport, ApiError> {
        let project = self.project(&params.project).await?;
        let users = self.core.claims.users_of(&params.path).await;
        let used_by = users.iter().map(RunId::to_string).collect();
        let stories = self.core.store.stories().await?;
        let made_branch = stories.iter().any(|s| s.worktree == params.path && s.owns_worktree);
        let request = RemoveWorktree {
            root: PathBuf::from(project.root),
            path: PathBuf::from(&params.path),
            force: params.force,
            under: self.core.worktrees_dir().join(slug(&project.name)),
            used_by,
            made_branch,
            at: self.core.now(),
        };
        let report = self.core.git().await.remove(request).await?;
        if report.removed {
            self.core.tidy_tools_of_worktree(&params.path).await;
        }
        Ok(report)
    }

    /// A folder that an agent can work in, or the sentence that says why not.
    pub(crate) async fn usable_folder(&self, path: &str) -> Result<FolderReport, ApiError> {
        usable(self.core.git().await.inspect(Path::new(path)).await)
    }

    /// The path of a repository named in a command; makes the throw-away one when it is that.
    pub(crate) async fn repository(&self, named: &str) -> Result<String, ApiError> {
        if named != DEMO_REPOSITORY {
            return Ok(named.to_owned());
        }
        let path = self.core.config.data_dir.join("demo-repository");
        self.core.git().await.make_demo_repository(&path).await?;
        Ok(path.to_string_lossy().into_owned())
    }

    pub(crate) async fn project_by_id(&self, id: &ProjectId) -> Result<Option<Project>, ApiError> {
        Ok(self.core.store.projects().await?.into_iter().find(|p| p.id == *id))
    }

    pub(crate) async fn project(&self, id: &ProjectId) -> Result<Project, ApiError> {
        self.project_by_id(id).await?.ok_or_else(|| not_found("project", id))
    }

    /// A run's worktree, git as far as its project is trusted, and what changes are compared with.
    async fn worktree_of(&self, run: &RunId) -> Result<(Git, PathBuf, Option<String>), ApiError> {
        let summary = summary_of(&self.core, run).await?;
        let story = story_of(&self.core, &summary.story).await?;
        if story.worktree.is_empty() {
            return Err(conflict("The worktree of this run is not made yet."));
        }
        let worktree = PathBuf::from(story.worktree);
        if !tokio::fs::try_exists(&worktree).await.unwrap_or(false) {
            return Err(worktree_gone(&worktree));
        }
        let trust = trust_in(&self.core, &story.project, &worktree).await?;
        let git = self.core.git().await.trusting(trust.decision == Some(TrustDecision::Trusted));
        Ok((git, worktree, story.base_commit))
    }
}

/// The worktrees of the repository that `dir` is in. Only looks: no engine is needed, and nothing is
/// made or remembered.
pub async fn worktrees_of(config: &EngineConfig, dir: &str) -> Result<Vec<Worktree>, ApiError> {
    let login = (config.login)().await;
    let git = Git::new(&login.path);
    let folder = usable(git.inspect(Path::new(dir)).await)?;
    let root = folder.root.unwrap_or(folder.path);
    Ok(git.worktrees(Path::new(&root), &config.data_dir.join("worktrees")).await?)
}

/// A folder that an agent can work in, or the sentence that says why not.
fn usable(folder: FolderReport) -> Result<FolderReport, ApiError> {
    if folder.usable {
        return Ok(folder);
    }
    let code = match folder.kind {
        FolderKind::Missing => ErrorCode::NotFound,
        _ => ErrorCode::NotARepository,
    };
    Err(ApiError::new(code, folder.sentence).with_hint(folder.next))
}

pub(crate) fn worktree_gone(worktree: &Path) -> ApiError {
    let message = format!("The worktree {} is gone.", worktree.display());
    ApiError::new(ErrorCode::NotFound, message)
        .with_hint("Start a new story; the transcript of this one stays readable.")
}

/// What a worktree is compared with: nothing, where it was taken over before its first commit.
pub(crate) fn base_of(base: &Option<String>) -> &str {
    base.as_deref().unwrap_or_default()
}

/// The project that a folder belongs to; adds it when it is new.
pub(crate) async fn project_of(core: &Core, folder: &FolderReport) -> Result<Project, ApiError> {
    let root = folder.root.clone().unwrap_or_else(|| folder.path.clone());
    if let Some(known) = core.store.projects().await?.into_iter().find(|p| p.root == root) {
        return Ok(known);
    }
    let name = Path::new(&root).file_name().map(|name| name.to_string_lossy());
    let name = name.map_or_else(|| root.clone(), |name| name.trim_end_matches(".git").to_owned());
    let project = Project { id: ProjectId::fresh(), name, root, added_at: core.now() };
    core.store.put_project(&project).await?;
    core.news.projects_changed();
    Ok(project)
}

/// What can run by itself in a worktree, and what was decided about just that.
pub(crate) async fn trust_in(
    core: &Core,
    project: &ProjectId,
    worktree: &Path,
) -> Result<TrustReport, ApiError> {
    let TrustItems { items, digest } = core.git().await.trust_items(worktree).await?;
    let decision = core.store.trust_of(project, &digest).await?.map(|answer| answer.decision);
    let last = core.store.trust(project).await?;
    let known = last.map(|answer| answer.items).unwrap_or_default();
    let changed = match decision {
        Some(_) => Vec::new(),
        None => items.iter().filter(|i| !known.contains(i)).map(|i| i.path.clone()).collect(),
    };
    Ok(TrustReport { items, digest, decision, changed })
}
