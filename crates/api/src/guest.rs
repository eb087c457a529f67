//! Another's engine, for a window: it shows and commands the same until that engine ends, and asks its
//! own person for folders and programs.

use std::{path::PathBuf, sync::Arc};

use async_trait::async_trait;
use musher_protocol::{
    ApiError, AppInfo, Empty, ErrorCode, OpenParams, PickedFolders, Project, RunSummary,
};

use crate::{
    Api, Client, Host, NewsStream, open,
    table::{read, write},
};

pub struct Guest {
    client: Client,
    host: Arc<dyn Host>,
}

impl Guest {
    pub fn new(client: Client, host: Arc<dyn Host>) -> Self {
        Self { client, host }
    }

    async fn app_info(&self) -> Result<AppInfo, ApiError> {
        let info: AppInfo = self.client.ask("app_info", &Empty {}).await?;
        Ok(AppInfo { host: self.host.kind(), ..info })
    }

    async fn open_external(&self, params: &str) -> Result<Empty, ApiError> {
        let params: OpenParams = read(params)?;
        let target = open::target(&params, self.worktrees()).await?;
        self.host.open_external(target).await.map(|()| Empty {})
    }

    /// Those that the page shows files of.
    async fn worktrees(&self) -> Result<Vec<PathBuf>, ApiError> {
        let runs: Vec<RunSummary> = self.client.ask("run_list", &Empty {}).await?;
        let projects: Vec<Project> = self.client.ask("project_list", &Empty {}).await?;
        let roots = projects.into_iter().map(|project| project.root);
        Ok(runs.into_iter().map(|run| run.worktree).chain(roots).map(PathBuf::from).collect())
    }
}

#[async_trait]
impl Api for Guest {
    async fn call(&self, name: &str, params: &str) -> Result<String, ApiError> {
        match name {
            "app_info" => write(&self.app_info().await?),
            "folder_pick" => write(&PickedFolders { paths: self.host.pick_folders().await? }),
            "open_external" => write(&self.open_external(params).await?),
            _ => self.client.call(name, params).await,
        }
    }

    async fn news(&self) -> Result<NewsStream, ApiError> {
        self.client.news().await
    }

    async fn show(&self, folders: Vec<String>) -> Result<(), ApiError> {
        self.host.show(folders).await
    }

    async fn give_way(&self) -> Result<(), ApiError> {
        Err(ApiError::new(ErrorCode::Unsupported, "The engine is another Musher's."))
    }
}
