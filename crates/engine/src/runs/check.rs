//! What is refused before anything is begun, for every host alike.

use std::{collections::BTreeMap, path::Path};

use musher_protocol::{ApiError, EndpointSettings, RunLimits, RunPlace, RunSettings, Story};
use musher_runtime::{
    RuntimeKind,
    model::{Endpoint, codec::Dialect},
};

use musher_worktree::Git;

use crate::{
    core::bad_request, projects::worktree_gone, rules::own_rules, settings::MAX_PROMPT_BYTES,
};

pub(super) fn check_prompt(text: &str) -> Result<(), ApiError> {
    if text.trim().is_empty() {
        return Err(bad_request("There are no words to say: the message is empty."));
    }
    if text.len() > MAX_PROMPT_BYTES {
        let limit = MAX_PROMPT_BYTES >> 20;
        return Err(bad_request(format!("The message is longer than {limit} MiB."))
            .with_hint("Put the text into a file of the worktree and name it."));
    }
    Ok(())
}

pub(super) fn check_settings(settings: &RunSettings) -> Result<(), ApiError> {
    check_name("agent name", &settings.agent_name)?;
    check_model(settings.model.as_deref())?;
    check_name("program", settings.command.as_deref().unwrap_or_default())?;
    for tool in settings.allowed_tools.iter().chain(&settings.disallowed_tools) {
        check_name("tool name", tool)?;
    }
    check_variables(&settings.env)?;
    check_headers(&settings.endpoint.headers)?;
    check_limits(&settings.limits)
}

/// The run's own rules, where Musher's tools are what the agent has: other agents have words of their own.
pub(super) fn check_rules(settings: &RunSettings) -> Result<(), ApiError> {
    own_rules(settings).map(drop)
}

/// The run's own tool servers. `folder`: where a name of a file begins.
pub(super) fn check_tool_servers(settings: &RunSettings, folder: &Path) -> Result<(), ApiError> {
    let list = settings.mcp_config.as_deref().unwrap_or_default();
    musher_tools::check_servers(list, folder).map_err(|why| no_servers(&why))
}

fn no_servers(why: &str) -> ApiError {
    bad_request(format!("The list of tool servers cannot be used: {why}."))
        .with_hint("Give a file of {\"mcpServers\": {...}}, or that text itself.")
}

/// The same for a worktree that begins at `base`: a name of a file is one that is there.
pub(super) async fn check_tool_servers_at(
    git: &Git,
    settings: &RunSettings,
    (root, base): (&Path, &str),
) -> Result<(), ApiError> {
    let list = settings.mcp_config.as_deref().unwrap_or_default().trim();
    if list.is_empty() || list.starts_with('{') || Path::new(list).is_absolute() {
        return check_tool_servers(settings, root);
    }
    // That there is no such base is told as of every run.
    let Ok(found) = git.file_at(root, base, list).await else { return Ok(()) };
    let why = match found {
        None => format!("there is no file {list} at {base}"),
        Some(text) if !text.trim_start().starts_with('{') => format!("{list} at {base} is no JSON"),
        Some(text) => match musher_tools::check_servers(&text, root) {
            Ok(()) => return Ok(()),
            Err(why) => format!("{list} at {base}: {why}"),
        },
    };
    Err(no_servers(&why))
}

/// A model that is paid for needs prices that can be read.
pub(super) fn check_prices(
    kind: &dyn RuntimeKind,
    wanted: &EndpointSettings,
) -> Result<(), ApiError> {
    let place = |base: &String| Endpoint::new(base, Dialect::OpenAiChat);
    let is_local =
        wanted.base_url.as_ref().is_some_and(|it| place(it).is_ok_and(|it| it.is_local()));
    kind.trouble().filter(|_| !is_local).map_or(Ok(()), |why| Err(bad_request(why)))
}

/// Where Musher itself is the agent's program.
pub(super) fn check_no_program(settings: &RunSettings) -> Result<(), ApiError> {
    if settings.command.is_none() && settings.args.is_empty() {
        return Ok(());
    }
    let message = format!("{} runs no program of its own.", settings.runtime);
    Err(bad_request(message).with_hint("Leave out the program and its arguments."))
}

pub(super) fn check_model(model: Option<&str>) -> Result<(), ApiError> {
    if model.is_some_and(|name| name.trim().is_empty()) {
        return Err(bad_request("The name of the model is empty.")
            .with_hint("Name a model, or leave it out."));
    }
    check_name("model", model.unwrap_or_default())
}

pub(super) fn check_place(place: &RunPlace) -> Result<(), ApiError> {
    let RunPlace::Fresh { base, branch, .. } = place else { return Ok(()) };
    check_name("base", base.as_deref().unwrap_or_default())?;
    check_name("branch", branch.as_deref().unwrap_or_default())
}

/// A story cannot go on without its worktree; one that was never made is made for its next run.
pub(super) async fn check_worktree(story: &Story) -> Result<(), ApiError> {
    let worktree = Path::new(&story.worktree);
    let is_gone =
        !story.worktree.is_empty() && !tokio::fs::try_exists(worktree).await.unwrap_or(false);
    if is_gone { Err(worktree_gone(worktree)) } else { Ok(()) }
}

pub(super) fn check_variables(env: &BTreeMap<String, String>) -> Result<(), ApiError> {
    for name in env.keys() {
        check_name("name of a variable", name)?;
        if name.is_empty() || name.contains('=') {
            return Err(bad_request("The name of a variable is empty or has a \"=\" in it.")
                .with_hint("Give it as NAME=VALUE."));
        }
    }
    Ok(())
}

pub(super) fn check_headers(headers: &BTreeMap<String, String>) -> Result<(), ApiError> {
    musher_runtime::model::check_headers(headers).map_err(bad_request)
}

/// Names are shown in lists and terminals, where a control character moves the cursor or lies.
fn check_name(what: &str, name: &str) -> Result<(), ApiError> {
    if name.contains(char::is_control) {
        let message = format!("The {what} has a line break or another control character in it.");
        return Err(bad_request(message).with_hint("Give it in one line of plain text."));
    }
    Ok(())
}

fn check_limits(limits: &RunLimits) -> Result<(), ApiError> {
    let zero = [
        ("turns", limits.max_turns == Some(0)),
        ("tool calls", limits.max_tool_calls == Some(0)),
        ("tokens", limits.max_tokens == Some(0)),
        ("seconds", limits.max_seconds == Some(0)),
        ("cost", limits.max_cost_microdollars == Some(0)),
    ];
    match zero.into_iter().find(|(_, zero)| *zero) {
        Some((what, _)) => {
            Err(bad_request(format!("The limit for {what} is 0: nothing could be done."))
                .with_hint("Give a number above 0, or leave the limit out."))
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// A run that is refused later leaves a worktree behind.
    #[test]
    fn what_is_no_rule_is_refused_before_anything_is_made() {
        let settings = |rule: &str| RunSettings {
            allowed_tools: vec![rule.to_owned()],
            ..RunSettings::default()
        };
        let error = check_rules(&settings("rm")).unwrap_err();
        assert!(error.message.contains("`allow rm`"), "{}", error.message);
        check_rules(&settings("run rm")).unwrap();
    }
}
