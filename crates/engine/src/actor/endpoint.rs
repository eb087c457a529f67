//! The engine's tools besides an agent's own, where the story's settings ask for them: an endpoint that
//! the agent starts itself (`musher_tools::endpoint`).

use std::{path::PathBuf, sync::Arc};

use musher_protocol::*;
use musher_runtime::{RuntimeContext, RuntimeKind};
use musher_tools::{
    HostConfig, Rule, Rules,
    endpoint::{Endpoint, Offer},
};

use super::RunActor;
use crate::core::bad_request;

/// What a rule in Musher's own words is about. Anything else is in the agent's words.
const OURS: [&str; 5] = ["read", "edit", "run", "fetch", "tool"];

impl RunActor {
    /// Gives the agent its endpoint, when it is to have one and can.
    pub(super) async fn give_endpoint(
        &mut self,
        kind: &dyn RuntimeKind,
        context: &mut RuntimeContext,
        project: &[Rule],
    ) -> Result<(), ApiError> {
        // One that needs tools has them all anyway.
        if !self.story.settings.engine_tools || kind.needs_tools() {
            return Ok(());
        }
        if !kind.takes_tools() {
            let message =
                format!("A {} agent takes no tools of Musher's; it has its own.", kind.name());
            return self.log.say(AgentEvent::Warning { code: "tools".into(), message }).await;
        }
        if context.attach.is_some() {
            let found = Endpoint::found(
                program().unwrap_or_default(),
                &context.run_dir,
                self.secrets.clone(),
            );
            context.tools.endpoint = found.map(|endpoint| Arc::new(endpoint) as _);
            return Ok(());
        }
        let own = take_ours(context)?;
        context.tools.rules.extend(own.iter().map(Rule::told));
        let rules: Vec<Rule> = project.iter().cloned().chain(own).collect();
        context.tools.endpoint = Some(Arc::new(self.endpoint(context, rules).await?));
        Ok(())
    }

    async fn endpoint(
        &self,
        context: &RuntimeContext,
        rules: Vec<Rule>,
    ) -> Result<Endpoint, ApiError> {
        let program = program()?;
        let keeper = musher_process::keeper_program();
        let keeper =
            keeper.map_err(|error| ApiError::new(ErrorCode::RuntimeFailed, error.to_string()))?;
        let lines = rules.iter().map(Rule::to_string).collect();
        let rules: Rules = rules.into_iter().collect();
        let config =
            HostConfig { keeper: Some(keeper), ..self.host_config(context, rules.into()).await };
        let offer = Offer { program, config, rules: lines, mode: context.permission_mode };
        Endpoint::new(offer).map_err(|error| {
            let message = format!("The tools of this run could not be written down: {error}.");
            ApiError::new(ErrorCode::RuntimeFailed, message)
        })
    }
}

/// Takes the rules in our own words out of the run's lists: the agent could not read them.
fn take_ours(context: &mut RuntimeContext) -> Result<Vec<Rule>, ApiError> {
    let tools = &mut context.tools;
    let mut rules = Vec::new();
    for (list, verb) in [(&mut tools.allowed, "allow"), (&mut tools.disallowed, "deny")] {
        let (ours, theirs): (Vec<String>, Vec<String>) =
            list.drain(..).partition(|rule| is_ours(rule));
        *list = theirs;
        for rule in ours {
            let read = format!("{verb} {rule}").parse();
            rules.push(read.map_err(|error| bad_request(format!("The rule {error}.")))?);
        }
    }
    Ok(rules)
}

fn is_ours(rule: &str) -> bool {
    rule.split_whitespace().next().is_some_and(|word| OURS.contains(&word))
}

/// `musher`: this program, or beside it, or one folder up, where cargo puts it for tests.
fn program() -> Result<PathBuf, ApiError> {
    let own = std::env::current_exe().unwrap_or_default();
    let name = format!("musher{}", std::env::consts::EXE_SUFFIX);
    let mut places = own.ancestors().skip(1).take(2).map(|folder| folder.join(&name));
    places.find(|place| place.is_file()).ok_or_else(|| {
        let message = "Musher's tools cannot be offered: `musher` is not beside this program.";
        ApiError::new(ErrorCode::RuntimeFailed, message)
            .with_hint("Install Musher again, or go on without its tools.")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_in_the_agents_words_are_the_agents() {
        for (rule, ours) in [
            ("run git push*", true),
            ("read", true),
            ("Bash(git push:*)", false),
            ("Read(.env)", false),
            ("mcp__musher__run_command", false),
            ("", false),
        ] {
            assert_eq!(is_ours(rule), ours, "{rule}");
        }
    }
}
