//! Claude Code's tools by name: what they do, and one line that says with what.

use musher_protocol::{PlanEntry, PlanState, ToolKind};
use serde_json::Value;

/// What the engine's own tools begin with here (see `ToolEndpoint`).
const OURS: &str = "mcp__musher__";

/// What the tool of this name does. Names of 2.1.330, and those of older versions.
pub fn kind(name: &str) -> ToolKind {
    match name {
        "Read" | "LS" | "NotebookRead" | "ListMcpResourcesTool" | "ReadMcpResourceTool" => {
            ToolKind::Read
        }
        "Glob" | "Grep" | "ToolSearch" => ToolKind::Search,
        "Edit" | "Write" | "MultiEdit" | "NotebookEdit" => ToolKind::Edit,
        "Bash" | "BashOutput" | "KillBash" | "KillShell" | "PowerShell" | "Monitor"
        | "TaskOutput" | "TaskStop" => ToolKind::Run,
        "WebFetch" | "WebSearch" => ToolKind::Fetch,
        "TodoWrite" | "TaskCreate" | "TaskUpdate" | "TaskGet" | "TaskList" | "EnterPlanMode"
        | "ExitPlanMode" => ToolKind::Plan,
        "Agent" | "Task" => ToolKind::Agent,
        _ => name.strip_prefix(OURS).map_or(ToolKind::Other, kind_of_ours),
    }
}

fn kind_of_ours(name: &str) -> ToolKind {
    match name {
        "read_file" => ToolKind::Read,
        "list_files" | "search" => ToolKind::Search,
        "edit_file" => ToolKind::Edit,
        "run_command" => ToolKind::Run,
        "fetch_url" => ToolKind::Fetch,
        "update_plan" => ToolKind::Plan,
        _ => ToolKind::Other,
    }
}

/// The field of a tool's input that says most about the call.
fn subject<'a>(name: &str, input: &'a Value) -> Option<&'a str> {
    let fields: &[&str] = match name {
        "Read" | "Edit" | "Write" | "MultiEdit" => &["file_path"],
        "NotebookRead" | "NotebookEdit" => &["notebook_path"],
        "LS" => &["path"],
        "Glob" | "Grep" => &["pattern"],
        "Bash" | "PowerShell" | "Monitor" => &["command"],
        "WebFetch" => &["url"],
        "WebSearch" | "ToolSearch" => &["query"],
        "Agent" | "Task" => &["description"],
        "TaskCreate" => &["subject"],
        "Skill" => &["skill", "command"],
        _ => &["file_path", "path", "command", "url", "query", "pattern", "description"],
    };
    fields.iter().find_map(|field| input.get(field)?.as_str())
}

/// One line for a tool call: long ones are cut, paths inside `cwd` are relative to it.
pub fn title(name: &str, input: &Value, cwd: &str) -> String {
    let text = match name {
        "TodoWrite" => return steps(input.get("todos")),
        _ if name.strip_prefix(OURS) == Some("update_plan") => return steps(input.get("steps")),
        "AskUserQuestion" => input.pointer("/questions/0/question").and_then(Value::as_str),
        _ => subject(name, input),
    };
    match text {
        Some(text) if is_path(name, input) => relative(text, cwd).to_owned(),
        Some(text) => one_line(text),
        None => label(name),
    }
}

/// What a permission is asked for: the whole command, the whole path, never shortened.
pub fn whole_title(name: &str, input: &Value) -> String {
    subject(name, input).map_or_else(|| label(name), str::to_owned)
}

fn is_path(name: &str, input: &Value) -> bool {
    matches!(name, "LS" | "NotebookRead" | "NotebookEdit") || input.get("file_path").is_some()
}

/// `mcp__server__tool` as people read it.
fn label(name: &str) -> String {
    let server_tool = name.strip_prefix("mcp__").and_then(|rest| rest.split_once("__"));
    server_tool.map_or_else(|| name.to_owned(), |(server, tool)| format!("{server}: {tool}"))
}

fn steps(list: Option<&Value>) -> String {
    match list.and_then(Value::as_array).map_or(0, Vec::len) {
        1 => "1 step".into(),
        count => format!("{count} steps"),
    }
}

const TITLE_CHARS: usize = 200;

fn one_line(text: &str) -> String {
    let line = text.trim().lines().next().unwrap_or_default();
    let mut title: String = line.chars().take(TITLE_CHARS).collect();
    if title.len() < text.trim().len() {
        title.push('…');
    }
    title
}

/// The path as seen from `cwd` when it lies inside.
pub fn relative<'a>(path: &'a str, cwd: &str) -> &'a str {
    let cwd = cwd.trim_end_matches('/');
    match path.strip_prefix(cwd) {
        Some("") | Some("/") => ".",
        Some(inside) if !cwd.is_empty() => inside.strip_prefix('/').unwrap_or(path),
        _ => path,
    }
}

/// The steps of a call that tells them; `None` when it does not, or has none.
pub fn plan(name: &str, input: &Value) -> Option<Vec<PlanEntry>> {
    match name {
        "TodoWrite" => todos(input),
        _ if name.strip_prefix(OURS) == Some("update_plan") => {
            serde::Deserialize::deserialize(input.get("steps")?).ok()
        }
        _ => None,
    }
}

fn todos(input: &Value) -> Option<Vec<PlanEntry>> {
    let todos = input.get("todos")?.as_array()?;
    let entry = |todo: &Value| {
        let text = todo.get("content").or_else(|| todo.get("subject"))?.as_str()?.to_owned();
        let state = match todo.get("status").and_then(Value::as_str) {
            Some("in_progress") => PlanState::InProgress,
            Some("completed") => PlanState::Done,
            _ => PlanState::Pending,
        };
        Some(PlanEntry { text, state })
    };
    Some(todos.iter().filter_map(entry).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn titles_are_one_line_and_relative() {
        let cases = [
            ("Read", json!({"file_path": "/repo/src/a.rs"}), "src/a.rs"),
            ("Read", json!({"file_path": "/repository/a.rs"}), "/repository/a.rs"),
            ("LS", json!({"path": "/repo"}), "."),
            ("Bash", json!({"command": "echo a\necho b"}), "echo a…"),
            ("Grep", json!({"pattern": "fn main", "path": "/repo"}), "fn main"),
            ("TodoWrite", json!({"todos": [{}]}), "1 step"),
            ("mcp__git__log", json!({"max": 3}), "git: log"),
            ("Agent", json!({"description": "look around", "prompt": "x"}), "look around"),
            ("Unheard", json!(null), "Unheard"),
            ("mcp__musher__read_file", json!({"path": "src/a.rs"}), "src/a.rs"),
            ("mcp__musher__run_command", json!({"command": "ls"}), "ls"),
            ("mcp__musher__update_plan", json!({"steps": [{}, {}]}), "2 steps"),
        ];
        for (name, input, expected) in cases {
            assert_eq!(title(name, &input, "/repo"), expected, "{name}");
        }
    }

    #[test]
    fn steps_are_told_by_two_tools() {
        let ours = json!({"steps": [{"text": "a", "state": "in_progress"}]});
        let theirs = json!({"todos": [{"content": "a", "status": "in_progress"}]});
        let entries = vec![PlanEntry { text: "a".into(), state: PlanState::InProgress }];
        assert_eq!(plan("mcp__musher__update_plan", &ours), Some(entries.clone()));
        assert_eq!(plan("TodoWrite", &theirs), Some(entries));
        assert_eq!(plan("mcp__other__update_plan", &ours), None);
        assert_eq!(kind("mcp__musher__edit_file"), ToolKind::Edit);
        assert_eq!(kind("mcp__other__edit_file"), ToolKind::Other);
    }

    #[test]
    fn the_title_of_a_permission_is_never_shortened() {
        let command = format!("echo {}\nrm -rf x", "long ".repeat(200));
        assert_eq!(whole_title("Bash", &json!({"command": command})), command);
        assert_eq!(whole_title("Write", &json!({"file_path": "/repo/a"})), "/repo/a");
    }
}
