//! What rules say of a request that an agent made: the ones that a person may mean by "always", and
//! whether some that came later answer it.

use std::path::Path;

use musher_protocol::{PermissionMode, PermissionRequest, ToolKind};
use musher_runtime::Verdict;

use super::{Access, Demand, Rule, Rules, Script, Spot};
use crate::{endpoint, paths::Root};

/// One rule for each part of a command, or one for a server's tool. None where rules cannot say it
/// exactly, or where a command does more than its words tell.
pub fn always(request: &PermissionRequest) -> Vec<String> {
    let Some(demand) = demand_of(request) else { return Vec::new() };
    let lines = match &demand {
        Demand::Run(script) => script.commands().map(line).collect(),
        _ => Some(vec![format!("allow tool {}", request.tool)]),
    };
    lines.filter(|lines| holds(lines, &demand)).unwrap_or_default()
}

/// What the rules say of the request; `None` where they say nothing, and a person is asked.
pub fn answer(rules: &Rules, request: &PermissionRequest) -> Option<Verdict> {
    let verdict = rules.judge(&demand_of(request)?, PermissionMode::Ask);
    (!matches!(verdict, Verdict::Ask { .. })).then_some(verdict)
}

/// The same of an edit by the engine's own tool, which an agent with a loop of its own asks for whatever
/// its mode. What leads out of the worktree is nothing that rules speak of.
pub fn answer_edit(
    rules: &Rules,
    request: &PermissionRequest,
    mode: PermissionMode,
    worktree: &Path,
) -> Option<Verdict> {
    let is_ours = request.tool == format!("mcp__{}__edit_file", endpoint::NAME);
    let root = Root::open(worktree).ok().filter(|_| is_ours)?;
    let path = root.relative(request.input["path"].as_str()?).ok()?;
    let place = root.place(&path).ok()?;
    let verdict = rules.judge(&Demand::Path(Access::Edit, Spot { path, place }), mode);
    (!matches!(verdict, Verdict::Ask { .. })).then_some(verdict)
}

fn demand_of(request: &PermissionRequest) -> Option<Demand> {
    match (request.kind, request.input["command"].as_str()) {
        (ToolKind::Run, Some(command)) => {
            // A file that the shell opens is not judged here: such a command stays asked.
            Some(Demand::Run(Script::look(command, |_| Err("it opens a file".to_owned()))))
        }
        (ToolKind::Other, _) if is_servers_tool(&request.tool) => {
            Some(Demand::Tool(request.tool.clone()))
        }
        _ => None,
    }
}

fn is_servers_tool(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    name.starts_with("mcp__") && name.chars().all(plain)
}

/// A rule of these words and no others.
fn line(words: &[String]) -> Option<String> {
    let plain = |word: &String| {
        !word.is_empty()
            && !word.contains(|c: char| c == '*' || c.is_whitespace() || c.is_control())
    };
    words.iter().all(plain).then(|| format!("allow run {}", words.join(" ")))
}

fn holds(lines: &[String], demand: &Demand) -> bool {
    let rules: Result<Rules, _> = lines.iter().map(|line| line.parse::<Rule>()).collect();
    rules.is_ok_and(|rules| {
        matches!(rules.judge(demand, PermissionMode::Ask), Verdict::Allow { .. })
            && !lines.is_empty()
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn asked(kind: ToolKind, tool: &str, command: &str) -> Vec<String> {
        always(&request(kind, tool, command))
    }

    fn request(kind: ToolKind, tool: &str, command: &str) -> PermissionRequest {
        PermissionRequest {
            request: "r".to_owned(),
            tool_call: None,
            tool: tool.to_owned(),
            kind,
            title: command.to_owned(),
            input: json!({ "command": command }),
            description: None,
            why: None,
            plan: None,
            expires_at: None,
            always: Vec::new(),
        }
    }

    #[test]
    fn a_command_has_a_rule_for_each_of_its_parts() {
        let run = |command: &str| asked(ToolKind::Run, "Bash", command);
        assert_eq!(run("git status"), ["allow run git status"]);
        assert_eq!(
            run("cargo test -q && git diff"),
            ["allow run cargo test -q", "allow run git diff"]
        );
        for unclear in [
            "echo $(make)",
            "cargo test > out",
            "sh -c x",
            "ls *",
            "git commit -m 'two words'",
            "echo ''",
            "",
            "(",
        ] {
            assert_eq!(run(unclear), Vec::<String>::new(), "{unclear}");
        }
    }

    #[test]
    fn rules_answer_what_they_speak_of_and_deny_wins() {
        let rules =
            Rules::parse("allow run cargo *\ndeny run cargo publish*\nallow tool mcp__docs__*");
        let rules = rules.expect("they can be read");
        let said = |kind, tool, command| answer(&rules, &request(kind, tool, command));
        let run = |command| said(ToolKind::Run, "Bash", command);
        assert!(matches!(run("cargo test -q"), Some(Verdict::Allow { .. })));
        assert!(matches!(run("cargo test; cargo publish"), Some(Verdict::Deny { .. })));
        for asked in ["cargo test && make", "cargo test > out", "cargo $(make)", "make", ""] {
            assert_eq!(run(asked), None, "{asked}");
        }
        let tool = said(ToolKind::Other, "mcp__docs__find", "");
        assert!(matches!(tool, Some(Verdict::Allow { .. })));
        assert_eq!(said(ToolKind::Other, "mcp__mail__send", ""), None);
        assert_eq!(said(ToolKind::Edit, "edit_file", "cargo test"), None);
    }

    #[test]
    fn an_edit_by_our_own_tool_is_judged_by_rules_and_mode() {
        let folder = tempfile::tempdir().expect("a folder");
        std::os::unix::fs::symlink("/tmp", folder.path().join("out")).expect("a link");
        let rules = Rules::parse("allow edit docs/**\ndeny edit secret").expect("rules");
        let asked = |tool: &str, path: &str, mode| {
            let input = json!({ "path": path, "new": "x" });
            let request = PermissionRequest { input, ..request(ToolKind::Edit, tool, "") };
            match answer_edit(&rules, &request, mode, folder.path()) {
                Some(Verdict::Allow { .. }) => "allow",
                Some(Verdict::Deny { .. }) => "deny",
                _ => "ask",
            }
        };
        use PermissionMode::{AcceptEdits, Ask};
        for (path, mode, is) in [
            ("a.rs", AcceptEdits, "allow"),
            ("a.rs", Ask, "ask"),
            ("docs/a.md", Ask, "allow"),
            ("secret", AcceptEdits, "deny"),
            ("../a.rs", AcceptEdits, "ask"),
            ("/etc/passwd", AcceptEdits, "ask"),
            ("out/a", AcceptEdits, "ask"),
            (".git/config", AcceptEdits, "ask"),
        ] {
            assert_eq!(asked("mcp__musher__edit_file", path, mode), is, "{path} {mode:?}");
        }
        for tool in ["mcp__other__edit_file", "Edit", "mcp__musher__run_command"] {
            assert_eq!(asked(tool, "a.rs", AcceptEdits), "ask", "{tool}");
        }
    }

    #[test]
    fn a_server_s_tool_has_one_and_an_edit_none() {
        assert_eq!(asked(ToolKind::Other, "mcp__docs__find", ""), ["allow tool mcp__docs__find"]);
        assert!(asked(ToolKind::Other, "mcp__a__*", "").is_empty(), "a name is no pattern");
        assert!(asked(ToolKind::Edit, "edit_file", "git status").is_empty());
    }
}
