//! The dialects: what each makes of a conversation, what it reads in an answer, and what it makes of
//! trouble. Nothing here touches the network.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "model_codecs/agentic.rs"]
mod agentic;
#[path = "model_codecs/answers.rs"]
mod answers;
#[path = "model_codecs/chat.rs"]
mod chat;
#[path = "model_codecs/faults.rs"]
mod faults;
#[path = "model_codecs/gemini.rs"]
mod gemini;
#[path = "model_codecs/opaque.rs"]
mod opaque;
#[path = "model_codecs/responses.rs"]
mod responses;
#[path = "model_codecs/rules.rs"]
mod rules;
#[path = "model_codecs/scripts.rs"]
mod scripts;
#[path = "model_codecs/served.rs"]
mod served;
#[path = "model_codecs/talks.rs"]
mod talks;

use musher_runtime::{
    ToolSpec,
    model::{
        Manner,
        codec::{Answer, Ask, Block, Dialect, Piece},
        conversation::{Conversation, Entry, Origin, Step, check_repeated},
    },
};
use serde_json::{Value, json};

/// Reads a whole answer.
fn read(dialect: Dialect, events: &[impl AsRef<str>]) -> Answer {
    read_with_pieces(dialect, events).1
}

fn read_with_pieces(dialect: Dialect, events: &[impl AsRef<str>]) -> (Vec<Piece>, Answer) {
    let mut reader = dialect.codec().reader();
    let mut pieces = Vec::new();
    for event in events {
        pieces.extend(reader.read(event.as_ref()).unwrap());
    }
    (pieces, reader.answer())
}

fn tools() -> Vec<ToolSpec> {
    let path = json!({ "type": "object", "properties": { "path": { "type": "string" } },
        "required": ["path"], "additionalProperties": false });
    let run = json!({ "$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object",
        "properties": { "command": { "type": "string" },
            "timeout_secs": { "type": ["integer", "null"], "default": 60 } },
        "required": ["command"] });
    let tool = |name: &str, description: &str, parameters: Value| ToolSpec {
        name: name.to_owned(),
        description: description.to_owned(),
        parameters,
    };
    vec![
        tool("read_file", "Reads a file.", path),
        tool("run_command", "Runs a command.", run),
        tool(
            "update_plan",
            "Says what is to be done.",
            json!({ "type": "object", "properties": {} }),
        ),
    ]
}

/// Where the model is asked.
const PLACE: &str = "https://models.example.com/v1";

fn body(dialect: Dialect, model: &str, conversation: &Conversation) -> Value {
    let tools = tools();
    let ask = ask(model, conversation, &tools);
    let body = dialect.codec().body(&ask);
    assert_eq!(check_repeated(dialect, &ask, &body), Ok(()), "{dialect}: {body:#}");
    body
}

fn ask<'a>(model: &'a str, conversation: &'a Conversation, tools: &'a [ToolSpec]) -> Ask<'a> {
    let instructions = "You are a coding agent.";
    let manner = Manner::default();
    Ask { model, place: PLACE, instructions, conversation, tools, manner }
}

/// What the loop makes of an answer.
fn step(dialect: Dialect, model: &str, answer: &Answer) -> Entry {
    Entry::Step(Step {
        origin: Some(Origin { dialect, model: model.to_owned(), place: Some(PLACE.into()) }),
        items: answer.items.clone(),
        parts: dialect.codec().parts(&answer.items),
    })
}

fn result(call: &str, text: &str) -> Entry {
    Entry::Result { call: call.to_owned(), text: text.to_owned(), is_error: false }
}

fn talk(entries: impl IntoIterator<Item = Entry>) -> Conversation {
    let mut talk =
        Conversation { entries: entries.into_iter().collect(), ..Conversation::default() };
    talk.mend();
    talk
}

fn user(text: &str) -> Entry {
    Entry::User { text: text.to_owned() }
}

fn calls(answer: &Answer) -> Vec<(&str, &str, &Result<Value, String>)> {
    answer
        .blocks
        .iter()
        .filter_map(|block| match block {
            Block::Call { id, name, input } => Some((id.as_str(), name.as_str(), input)),
            _ => None,
        })
        .collect()
}

/// What is said aloud.
fn words(answer: &Answer) -> String {
    let text = |block: &Block| match block {
        Block::Text { text, .. } => Some(text.clone()),
        _ => None,
    };
    answer.blocks.iter().filter_map(text).collect()
}

fn thoughts(answer: &Answer) -> String {
    let text = |block: &Block| match block {
        Block::Thinking { text, .. } => Some(text.clone()),
        _ => None,
    };
    answer.blocks.iter().filter_map(text).collect()
}
