//! The engine's tools, for an agent that has none of its own, and what the project says to it.

use std::{path::PathBuf, sync::Arc};

use musher_protocol::*;
use musher_runtime::{RuntimeContext, ToolHost, is_key_name};
use musher_tools::{
    Host, HostConfig, LiveRules, ProjectWords, ServerSources, WORDS_FILE, project_words,
};

use super::{RunActor, launch::earlier_runs};
use crate::rules::own_rules;

impl RunActor {
    /// Gives the agent its tools, and the words of a project that is trusted.
    pub(super) async fn give_tools(
        &mut self,
        context: &mut RuntimeContext,
    ) -> Result<(), ApiError> {
        self.rules.set_own(own_rules(&self.story.settings)?);
        if context.trust == Some(TrustDecision::Trusted) && context.attach.is_none() {
            let (worktree, rules) = (context.cwd.clone(), self.rules.now());
            let secrets = self.secrets.clone();
            let read = move || project_words(&worktree, &rules, &secrets);
            let broke = || ProjectWords {
                text: None,
                warning: Some(format!("{WORDS_FILE} of this project could not be read.")),
            };
            let words = tokio::task::spawn_blocking(read).await.unwrap_or_else(|_| broke());
            context.project_words = words.text;
            if let Some(message) = words.warning {
                self.log.say(AgentEvent::Warning { code: "words".into(), message }).await?;
            }
        }
        context.tools.host = Some(self.tools(context).await?);
        Ok(())
    }

    async fn tools(&self, context: &RuntimeContext) -> Result<Arc<dyn ToolHost>, ApiError> {
        let config = HostConfig {
            servers: ServerSources {
                settings: context.tools.mcp_config.clone(),
                trusted: context.trust == Some(TrustDecision::Trusted),
                ..ServerSources::default()
            },
            ..self.host_config(context, self.rules.clone()).await
        };
        let host = Host::new(config)
            .map_err(|error| ApiError::new(ErrorCode::RuntimeFailed, format!("{error}.")))?;
        Ok(Arc::new(host))
    }

    /// The tools as they are wherever they live: without tool servers.
    pub(super) async fn host_config(
        &self,
        context: &RuntimeContext,
        rules: LiveRules,
    ) -> HostConfig {
        let mut env = context.env.clone();
        env.retain(|name, _| !is_key_name(name));
        HostConfig {
            worktree: context.cwd.clone(),
            run_dir: context.run_dir.clone(),
            earlier: self.earlier().await,
            env,
            mark: context.run.to_string(),
            fetch: rules.now().open_pages(),
            rules,
            keeper: None,
            servers: ServerSources::default(),
            secrets: self.secrets.clone(),
        }
    }

    /// Where the story's runs before this one are, the latest first.
    pub(super) async fn earlier(&self) -> Vec<PathBuf> {
        let runs = earlier_runs(&self.core, &self.story.id, &self.log.summary().id).await;
        runs.iter().rev().map(|run| self.core.store.run_dir(&run.id)).collect()
    }
}
