//! The command line of a run. Flags of 2.1.330; `--max-turns` and `--permission-prompt-tool` are not
//! in its help, but work there and in 2.1.197.

use musher_protocol::{PermissionMode, TrustDecision};

use super::{endpoint, rules};
use crate::{RuntimeContext, ToolEndpoint};

/// The arguments for a run that goes on with `resume`, or begins a session.
pub fn arguments(context: &RuntimeContext, resume: Option<&str>) -> Vec<String> {
    let mut args: Vec<String> = [
        "-p",
        "--input-format",
        "stream-json",
        "--output-format",
        "stream-json",
        // Not a choice: without it this output format is refused.
        "--verbose",
        "--include-partial-messages",
        "--permission-prompt-tool",
        "stdio",
        "--permission-mode",
        mode(context.permission_mode),
    ]
    .map(str::to_owned)
    .into();
    let mut pair = |flag: &str, value: Option<&str>| {
        if let Some(value) = value {
            args.extend([flag.to_owned(), value.to_owned()]);
        }
    };
    pair("--model", context.model.as_deref());
    pair("--append-system-prompt", context.append_system_prompt.as_deref());
    pair("--resume", resume);
    pair("--max-turns", context.limits.max_turns.map(|turns| turns.to_string()).as_deref());
    pair("--max-budget-usd", budget(context, resume).as_deref());
    let (mut allowed, mut denied) = rules::lists(&context.tools.rules);
    let mut servers: Vec<String> = context.tools.mcp_config.clone().into_iter().collect();
    if let Some(server) = context.tools.endpoint.as_ref().map(|endpoint| endpoint.server()) {
        servers.push(endpoint::config(&server));
        allowed.extend(endpoint::allowed(&server));
        denied.extend(endpoint::denied(&server, &context.tools.disallowed));
    }
    list(&mut args, "--mcp-config", &servers);
    list(&mut args, "--allowedTools", &[&allowed[..], &context.tools.allowed].concat());
    list(&mut args, "--disallowedTools", &[&denied[..], &context.tools.disallowed].concat());
    if context.trust != Some(TrustDecision::Trusted) {
        // Under -p no trust dialog is shown, and hooks of the project's settings would run.
        args.extend(["--setting-sources", "user", "--strict-mcp-config"].map(str::to_owned));
    }
    args.extend(context.args.iter().cloned());
    args
}

/// The mode that the agent's name means. It knows more than we do; those ask in their own ways.
pub fn mode_of(name: &str) -> PermissionMode {
    let known = [PermissionMode::Plan, PermissionMode::AcceptEdits, PermissionMode::Bypass];
    known.into_iter().find(|&known| mode(known) == name).unwrap_or(PermissionMode::Ask)
}

/// Tells the engine's tools of the agent's mode.
pub fn set_mode(tools: &dyn ToolEndpoint, mode: PermissionMode) {
    if let Err(error) = tools.set_mode(mode) {
        tracing::error!(%error, ?mode, "the tools were not told of the agent's mode");
    }
}

/// The agent's name of a mode.
pub fn mode(mode: PermissionMode) -> &'static str {
    match mode {
        PermissionMode::Plan => "plan",
        PermissionMode::Ask => "default",
        PermissionMode::AcceptEdits => "acceptEdits",
        PermissionMode::Bypass => "bypassPermissions",
    }
}

/// The agent counts a resumed session's earlier cost against this: then only our own check at each
/// result holds.
fn budget(context: &RuntimeContext, resume: Option<&str>) -> Option<String> {
    let limit = context.limits.max_cost_microdollars.filter(|_| resume.is_none())?;
    Some(format!("{}.{:06}", limit / 1_000_000, limit % 1_000_000))
}

/// A flag with one argument a tool; what looks like a flag itself is no tool.
fn list(args: &mut Vec<String>, flag: &str, tools: &[String]) {
    let mut tools =
        tools.iter().filter(|tool| !tool.starts_with('-') && !tool.is_empty()).peekable();
    if tools.peek().is_some() {
        args.push(flag.to_owned());
        args.extend(tools.cloned());
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, path::PathBuf};

    use musher_protocol::{EndpointSettings, RunId, RunLimits, StoryId, Transport};

    use super::*;
    use crate::{ToolAccess, ToolServer};

    fn context() -> RuntimeContext {
        RuntimeContext {
            run: RunId::fresh(),
            story_id: StoryId::fresh(),
            agent_name: String::new(),
            command: None,
            args: vec!["--own".into()],
            env: BTreeMap::new(),
            prompt: "--not-a-flag".into(),
            prompt_id: String::new(),
            cwd: PathBuf::new(),
            inactivity_timeout_secs: 0,
            tools: ToolAccess {
                allowed: vec!["Bash(git status:*)".into(), "--model".into(), "Read".into()],
                ..ToolAccess::default()
            },
            session_id_to_resume: None,
            fresh_prompt: None,
            project_root: PathBuf::new(),
            model: Some("opus".into()),
            permission_mode: PermissionMode::AcceptEdits,
            limits: RunLimits {
                max_turns: Some(7),
                max_cost_microdollars: Some(1_050_000),
                ..RunLimits::default()
            },
            trust: None,
            transport: Transport::Pty,
            append_system_prompt: None,
            project_words: None,
            endpoint: EndpointSettings::default(),
            secrets: BTreeMap::new(),
            run_dir: PathBuf::new(),
            attach: None,
        }
    }

    fn line(context: &RuntimeContext, resume: Option<&str>) -> String {
        arguments(context, resume).join(" ")
    }

    #[test]
    fn a_new_session_in_a_project_without_trust() {
        assert_eq!(
            line(&context(), None),
            "-p --input-format stream-json --output-format stream-json --verbose \
             --include-partial-messages --permission-prompt-tool stdio --permission-mode acceptEdits \
             --model opus --max-turns 7 --max-budget-usd 1.050000 --allowedTools Bash(git status:*) Read \
             --setting-sources user --strict-mcp-config --own"
        );
    }

    struct Tools;

    #[async_trait::async_trait]
    impl ToolEndpoint for Tools {
        fn server(&self) -> ToolServer {
            ToolServer {
                name: "musher".into(),
                program: "/musher".into(),
                args: vec!["mcp".into()],
                readers: vec!["search".into()],
            }
        }

        fn set_mode(&self, _: PermissionMode) -> std::io::Result<()> {
            Ok(())
        }

        async fn end_left_over(&self) -> Vec<u32> {
            Vec::new()
        }
    }

    #[test]
    fn the_engines_tools_stand_beside_other_servers_and_its_own_rules() {
        let mut context = context();
        context.tools.mcp_config = Some("own.json".into());
        context.tools.disallowed = vec!["Bash(git push:*)".into()];
        assert!(line(&context, None).contains(" --mcp-config own.json --allowedTools "));
        context.tools.endpoint = Some(std::sync::Arc::new(Tools));
        let line = line(&context, None);
        assert!(line.contains(" --mcp-config own.json {\"mcpServers\":{\"musher\":{"), "{line}");
        assert!(
            line.contains(" --allowedTools mcp__musher__search Bash(git status:*) Read"),
            "{line}"
        );
        let denied =
            " --disallowedTools mcp__musher__run_command Bash(git push:*) --setting-sources";
        assert!(line.contains(denied), "{line}");
    }

    #[test]
    fn a_mode_that_is_not_known_asks() {
        for known in [PermissionMode::Plan, PermissionMode::AcceptEdits, PermissionMode::Bypass] {
            assert_eq!(mode_of(mode(known)), known);
        }
        assert_eq!(mode_of("dontAsk"), PermissionMode::Ask);
    }

    #[test]
    fn trust_lets_the_projects_settings_in_and_nothing_else_does() {
        let with = |trust| line(&RuntimeContext { trust, ..context() }, None);
        assert!(!with(Some(TrustDecision::Trusted)).contains("--setting-sources"));
        assert!(!with(Some(TrustDecision::Trusted)).contains("--strict-mcp-config"));
        assert!(with(Some(TrustDecision::Restricted)).contains("--setting-sources user"));
    }

    #[test]
    fn a_resumed_session_has_no_budget_of_the_agents_own() {
        let line = line(&context(), Some("1234"));
        assert!(line.contains("--resume 1234") && !line.contains("--max-budget-usd"));
    }
}
