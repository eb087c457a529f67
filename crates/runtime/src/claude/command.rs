//! The command line of a run. Flags of 2.1.330; `--max-turns` and `--permission-prompt-tool` are not
//! in its help, but work there and in 2.1.197.

use musher_protocol::{PermissionMode, TrustDecision};

use crate::RuntimeContext;

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
    pair("--mcp-config", context.tools.mcp_config.as_deref());
    pair("--resume", resume);
    pair("--max-turns", context.limits.max_turns.map(|turns| turns.to_string()).as_deref());
    pair("--max-budget-usd", budget(context, resume).as_deref());
    list(&mut args, "--allowedTools", &context.tools.allowed);
    list(&mut args, "--disallowedTools", &context.tools.disallowed);
    if context.trust != Some(TrustDecision::Trusted) {
        // Under -p no trust dialog is shown, and hooks of the project's settings would run.
        args.extend(["--setting-sources", "user", "--strict-mcp-config"].map(str::to_owned));
    }
    args.extend(context.args.iter().cloned());
    args
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
    let mut tools = tools.iter().filter(|tool| !tool.starts_with('-') && !tool.is_empty()).peekable();
    if tools.peek().is_some() {
        args.push(flag.to_owned());
        args.extend(tools.cloned());
    }
}
