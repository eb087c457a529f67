//! The two kinds that this runtime is registered as.

use std::{path::Path, sync::Arc};

use async_trait::async_trait;
use musher_protocol::{RunLimits, RuntimeInfo};

use super::{
    ClaudeCodeRuntime, SECOND, opening,
    program::{Flavour, Versions},
    rules,
};
use crate::{AgentRuntime, Rule, RuntimeError, RuntimeKind};

/// The real thing: the user's own `claude`.
#[derive(Debug, Default)]
pub struct ClaudeCode {
    versions: Versions,
}

/// The built-in demo agent.
#[derive(Debug, Default)]
pub struct Demo;

#[async_trait]
impl RuntimeKind for ClaudeCode {
    fn name(&self) -> &'static str {
        "claude-code"
    }

    fn label(&self) -> &'static str {
        "Claude Code"
    }

    fn takes_tools(&self) -> bool {
        true
    }

    fn new_run(&self) -> Arc<dyn AgentRuntime> {
        Arc::new(ClaudeCodeRuntime::new(Flavour::ClaudeCode))
    }

    async fn detect(&self, path: &str) -> RuntimeInfo {
        let home = std::env::var("HOME").ok();
        let found = Flavour::ClaudeCode.find(path, home.as_deref());
        let version = match &found {
            Some(program) => self.versions.of(program, path).await,
            None => None,
        };
        let models = ["opus", "sonnet", "haiku"].map(str::to_owned).into();
        let info = info(self.name(), self.label(), found.as_deref(), Flavour::ClaudeCode);
        RuntimeInfo { version, models, ..info }
    }

    fn cannot_keep(&self, rule: &Rule) -> Option<String> {
        rules::cannot_keep(rule)
    }

    fn cannot_limit(&self, limits: &RunLimits) -> Option<String> {
        cannot_limit(self.name(), limits)
    }

    fn clear(&self, run_dir: &Path) -> Result<(), RuntimeError> {
        clear(run_dir)
    }
}

#[async_trait]
impl RuntimeKind for Demo {
    fn name(&self) -> &'static str {
        "demo"
    }

    fn label(&self) -> &'static str {
        "Demo agent"
    }

    fn new_run(&self) -> Arc<dyn AgentRuntime> {
        Arc::new(ClaudeCodeRuntime::new(Flavour::Demo))
    }

    async fn detect(&self, path: &str) -> RuntimeInfo {
        let found = Flavour::Demo.find(path, None);
        let version = found.as_ref().map(|_| env!("CARGO_PKG_VERSION").to_owned());
        RuntimeInfo { version, ..info(self.name(), self.label(), found.as_deref(), Flavour::Demo) }
    }

    fn cannot_limit(&self, limits: &RunLimits) -> Option<String> {
        cannot_limit(self.name(), limits)
    }

    fn clear(&self, run_dir: &Path) -> Result<(), RuntimeError> {
        clear(run_dir)
    }
}

/// The agent's loop is its own: it is given limits of turns and money, and Musher ends it by time.
fn cannot_limit(name: &str, limits: &RunLimits) -> Option<String> {
    let what = match (limits.max_tool_calls, limits.max_tokens) {
        (Some(_), Some(_)) => "tool calls and of tokens",
        (Some(_), None) => "tool calls",
        (None, Some(_)) => "tokens",
        (None, None) => return None,
    };
    Some(format!(
        "{name} counts for itself, so the limit of {what} cannot end this run. Set a limit of turns, of \
         money or of time."
    ))
}

fn info(name: &str, label: &str, found: Option<&Path>, flavour: Flavour) -> RuntimeInfo {
    RuntimeInfo {
        name: name.to_owned(),
        label: label.to_owned(),
        found: found.is_some(),
        over_http: false,
        path: found.map(|program| program.to_string_lossy().into_owned()),
        version: None,
        hint: found.is_none().then(|| flavour.hint().to_owned()),
        models: Vec::new(),
    }
}

/// Both processes' spools, and what helped to attach.
fn clear(run_dir: &Path) -> Result<(), RuntimeError> {
    let second = run_dir.join(SECOND);
    for dir in [run_dir, &second].into_iter().filter(|dir| dir.exists()) {
        musher_process::clean(dir).map_err(|error| RuntimeError::Process(error.to_string()))?;
        opening::clear(dir);
    }
    Ok(())
}
