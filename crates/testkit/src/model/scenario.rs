//! What the model says, step by step.

use std::{collections::BTreeMap, time::Duration};

use serde_json::{Value, json};

/// Replies in the order of the model's turns; the last serves all later ones.
pub type Scenario = Vec<Reply>;

/// One answer of the model.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// A message with these blocks.
    Say(Vec<Action>),
    /// The same, with a pause before each piece of text.
    Slowly(Vec<Action>, Duration),
    /// An HTTP error: status, extra headers, and the API's type and message.
    Refuse {
        status: u16,
        headers: Vec<(&'static str, String)>,
        kind: &'static str,
        message: &'static str,
    },
    /// Begins, and then says nothing more for ever.
    Hang(&'static str),
    /// Begins, and then the connection is cut.
    Cut(&'static str),
}

/// One block of a message. In texts, `$CWD` is the folder that the client works in.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    Text(String),
    Think(String),
    Use { tool: &'static str, input: Value },
}

pub fn text(text: &str) -> Action {
    Action::Text(text.to_owned())
}

pub fn write(path: &str, content: &str) -> Action {
    Action::Use {
        tool: "Write",
        input: json!({"file_path": format!("$CWD/{path}"), "content": content}),
    }
}

pub fn edit(path: &str, old: &str, new: &str) -> Action {
    let input = json!({"file_path": format!("$CWD/{path}"), "old_string": old, "new_string": new});
    Action::Use { tool: "Edit", input }
}

pub fn bash(command: &str) -> Action {
    Action::Use { tool: "Bash", input: json!({"command": command, "description": "run a command"}) }
}

fn say(words: &str) -> Reply {
    Reply::Say(vec![text(words)])
}

fn refuse(status: u16, kind: &'static str, message: &'static str) -> Reply {
    Reply::Refuse { status, headers: Vec::new(), kind, message }
}

/// The scenarios that every server knows.
pub fn scenarios() -> BTreeMap<String, Scenario> {
    let talk = [
        ("hello", vec![say("Hello from the scripted model. Ünïcode: 你好 🦀")]),
        ("slow", vec![Reply::Slowly(vec![text(&"slow words ".repeat(400))], SLOW)]),
        ("unhurried", vec![Reply::Slowly(vec![text(&"unhurried words ".repeat(50))], SLOW)]),
        ("hang", vec![Reply::Hang("Before the silence. ")]),
        ("cut", vec![Reply::Cut("This will be cut. ")]),
    ];
    let work = [
        ("agentic", agentic()),
        ("write", uses(vec![text("Writing."), write("new.txt", "new\n")], "The writing is over.")),
        (
            "bash",
            uses(
                vec![text("Running."), bash("echo made > made.txt && cat made.txt")],
                "The command is over.",
            ),
        ),
        ("long_bash", uses(vec![text("Waiting."), bash(LONG)], "Waited.")),
        ("engine_tools", engine_tools()),
        ("engine_plan", engine_plan()),
        (
            "engine_command",
            uses(vec![ours("mcp__musher__run_command", json!({"command": LONG}))], "Waited."),
        ),
        ("question", uses(vec![question()], "Thank you for the colour.")),
    ];
    let all = talk.into_iter().chain(work).chain(refusals());
    all.map(|(name, scenario)| (name.to_owned(), scenario)).collect()
}

const SLOW: Duration = Duration::from_millis(200);

/// Three processes, one of them in a session of its own, that end only when they are ended.
const LONG: &str = "setsid tail -f /dev/null & tail -f /dev/null & echo $$ > started.txt; wait";

fn uses(actions: Vec<Action>, then: &str) -> Scenario {
    vec![Reply::Say(actions), say(then)]
}

fn agentic() -> Scenario {
    let thought = Action::Think("A file first, then a change to it.".into());
    let file = write("greeting.txt", "hello\nworld — ünïcødé 🦀\n");
    vec![
        Reply::Say(vec![thought, text("I write the file."), file]),
        Reply::Say(vec![edit("greeting.txt", "world", "planet")]),
        Reply::Say(vec![text("Now I look at it."), bash("git status --short")]),
        say("Done: written, edited and seen by git."),
    ]
}

/// A tool of Musher's, as the agent that it is given to calls it.
fn ours(tool: &'static str, input: Value) -> Action {
    Action::Use { tool, input }
}

fn engine_tools() -> Scenario {
    let steps = json!({"steps": [{"text": "make a file", "state": "in_progress"}]});
    let made = json!({"path": "made.txt", "old": null, "new": "found by search\n"});
    vec![
        Reply::Say(vec![
            ours("mcp__musher__update_plan", steps),
            ours("mcp__musher__list_files", json!({})),
        ]),
        Reply::Say(vec![ours("mcp__musher__edit_file", made)]),
        Reply::Say(vec![ours("mcp__musher__search", json!({"pattern": "found by"}))]),
        Reply::Say(vec![ours("mcp__musher__run_command", json!({"command": "printf 'ran '"}))]),
        say("All of them were used."),
    ]
}

fn engine_plan() -> Scenario {
    let made = |text: &str| json!({"path": "made.txt", "old": null, "new": text});
    let plan = json!({"plan": "# Plan\n1. make made.txt"});
    vec![
        Reply::Say(vec![ours("mcp__musher__edit_file", made("too early\n"))]),
        Reply::Say(vec![Action::Use { tool: "ExitPlanMode", input: plan }]),
        Reply::Say(vec![ours("mcp__musher__edit_file", made("in time\n"))]),
        say("Planned, then made."),
    ]
}

fn question() -> Action {
    let options =
        json!([{"label": "Red", "description": "warm"}, {"label": "Blue", "description": "cool"}]);
    let question = json!({"question": "Which colour?", "header": "Colour", "multiSelect": false, "options": options});
    Action::Use { tool: "AskUserQuestion", input: json!({"questions": [question]}) }
}

fn refusals() -> [(&'static str, Scenario); 5] {
    let rate_limited = Reply::Refuse {
        status: 429,
        // So far away that `claude` does not wait for it.
        headers: vec![("retry-after", "7200".into())],
        kind: "rate_limit_error",
        message: "Number of request tokens has exceeded your per-minute rate limit",
    };
    [
        ("rate_limited", vec![rate_limited]),
        ("server_error", vec![refuse(500, "api_error", "Internal server error")]),
        ("overloaded", vec![refuse(529, "overloaded_error", "Overloaded")]),
        ("bad_key", vec![refuse(401, "authentication_error", "invalid x-api-key")]),
        ("refused", vec![refuse(400, "invalid_request_error", "messages.1: something is wrong")]),
    ]
}

/// The last marker in a text.
pub fn marker(text: &str) -> Option<&str> {
    Some(text.rsplit_once("[[model:")?.1.split_once("]]")?.0)
}
