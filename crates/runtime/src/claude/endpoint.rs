//! The engine's tools among the agent's own: a tool server that the agent is told of.
//!
//! What must hold: a rule of the run that only this agent can read (`Bash(git push:*)`) is not got round
//! by the engine's tool for the same. So that tool is not there while such a rule denies its like.

use serde_json::json;

use crate::ToolServer;

/// For `--mcp-config`. `alwaysLoad` (2.1.330; older ones do not look at it): who asked for these tools
/// does not want them behind a search for tools.
pub fn config(server: &ToolServer) -> String {
    let of_it = json!({
        "type": "stdio",
        "command": server.program.to_string_lossy(),
        "args": server.args,
        "alwaysLoad": true,
    });
    json!({"mcpServers": {server.name.as_str(): of_it}}).to_string()
}

/// Those that nobody is asked for.
pub fn allowed(server: &ToolServer) -> Vec<String> {
    server.readers.iter().map(|tool| name(server, tool)).collect()
}

/// Those that may not be there.
pub fn denied(server: &ToolServer, denied: &[String]) -> Vec<String> {
    let tools = denied.iter().flat_map(|rule| alike(rule));
    tools.map(|tool| name(server, tool)).collect()
}

/// As the agent calls it.
fn name(server: &ToolServer, tool: &str) -> String {
    format!("mcp__{}__{tool}", server.name)
}

/// The engine's tools that do what the rule is about.
fn alike(rule: &str) -> &'static [&'static str] {
    match rule.split('(').next().unwrap_or_default().trim() {
        "Bash" => &["run_command"],
        // What is edited is shown.
        "Read" | "Grep" | "Glob" | "LS" => &["read_file", "list_files", "search", "edit_file"],
        "Edit" | "Write" | "MultiEdit" | "NotebookEdit" => &["edit_file"],
        "WebFetch" => &["fetch_url"],
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server() -> ToolServer {
        ToolServer {
            name: "musher".into(),
            program: "/opt/a b/musher".into(),
            args: vec!["mcp".into(), "/runs/1".into()],
            readers: vec!["read_file".into(), "search".into()],
        }
    }

    #[test]
    fn it_is_a_server_of_the_agents_own_configuration() {
        let config: serde_json::Value =
            serde_json::from_str(&config(&server())).unwrap_or_default();
        assert_eq!(
            config["mcpServers"]["musher"],
            json!({
                "type": "stdio", "command": "/opt/a b/musher", "args": ["mcp", "/runs/1"],
                "alwaysLoad": true,
            })
        );
        assert_eq!(allowed(&server()), ["mcp__musher__read_file", "mcp__musher__search"]);
    }

    #[test]
    fn a_rule_in_the_agents_words_closes_the_like_of_what_it_denies() {
        let closed = |rule: &str| denied(&server(), &[rule.to_owned()]).join(" ");
        for (rule, tools) in [
            ("Bash(git push:*)", "mcp__musher__run_command"),
            ("Bash", "mcp__musher__run_command"),
            ("Write(//etc/**)", "mcp__musher__edit_file"),
            ("WebFetch(domain:a.org)", "mcp__musher__fetch_url"),
            ("Agent", ""),
            ("mcp__musher__search", ""),
        ] {
            assert_eq!(closed(rule), tools, "{rule}");
        }
        assert!(closed("Read(.env)").contains("mcp__musher__read_file mcp__musher__list_files"));
    }
}
