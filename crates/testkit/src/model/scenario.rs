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
    Refuse { status: u16, headers: Vec<(&'static str, String)>, kind: &'static str, message: &'static str },
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
    Action::Use { tool: "Write", input: json!({"file_path": format!("$CWD/{path}"), "content": content}) }
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
    let all: [(&str, Scenario); 14] = [
        ("hello", vec![say("Hello from the scripted model. Ünïcode: 你好 🦀")]),
        ("agentic", vec![
            Reply::Say(vec![
                Action::Think("A file first, then a change to it.".into()),
                text("I write the file."),
                write("greeting.txt", "hello\nworld — ünïcødé 🦀\n"),
            ]),
            Reply::Say(vec![edit("greeting.txt", "world", "planet")]),
            Reply::Say(vec![text("Now I look at it."), bash("git status --short")]),
            say("Done: written, edited and seen by git."),
        ]),
        ("write", vec![Reply::Say(vec![text("Writing."), write("new.txt", "new\n")]), say("The writing is over.")]),
        ("bash", vec![
            Reply::Say(vec![text("Running."), bash("echo made > made.txt && cat made.txt")]),
            say("The command is over."),
        ]),
        ("question", vec![
            Reply::Say(vec![Action::Use { tool: "AskUserQuestion", input: json!({"questions": [{
                "question": "Which colour?", "header": "Colour", "multiSelect": false,
                "options": [{"label": "Red", "description": "warm"}, {"label": "Blue", "description": "cool"}],
            }]}) }]),
            say("Thank you for the colour."),
        ]),
        ("slow", vec![Reply::Slowly(vec![text(&"slow words ".repeat(400))], Duration::from_millis(200))]),
        ("long_bash", vec![
            Reply::Say(vec![
                text("Waiting."),
                bash("setsid tail -f /dev/null & tail -f /dev/null & echo $$ > started.txt; wait"),
            ]),
            say("Waited."),
        ]),
        ("hang", vec![Reply::Hang("Before the silence. ")]),
        ("cut", vec![Reply::Cut("This will be cut. ")]),
        ("rate_limited", vec![Reply::Refuse {
            status: 429,
            headers: vec![("retry-after", "7200".into())],
            kind: "rate_limit_error",
            message: "Number of request tokens has exceeded your per-minute rate limit",
        }]),
        ("server_error", vec![refuse(500, "api_error", "Internal server error")]),
        ("overloaded", vec![refuse(529, "overloaded_error", "Overloaded")]),
        ("bad_key", vec![refuse(401, "authentication_error", "invalid x-api-key")]),
        ("refused", vec![refuse(400, "invalid_request_error", "messages.1: something is wrong")]),
    ];
    all.into_iter().map(|(name, scenario)| (name.to_owned(), scenario)).collect()
}

/// The last marker in a text.
pub fn marker(text: &str) -> Option<&str> {
    Some(text.rsplit_once("[[model:")?.1.split_once("]]")?.0)
}
