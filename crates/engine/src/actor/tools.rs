//! The engine's tools, for an agent that has none of its own.

use std::{path::PathBuf, sync::Arc};

use musher_protocol::*;
use musher_runtime::{RuntimeContext, ToolHost, is_key_name};
use musher_tools::{Host, HostConfig, Rule, ServerSources};

use super::{RunActor, launch::earlier_runs};
use crate::rules::rules_of;

impl RunActor {
    pub(super) async fn tools(
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
}
