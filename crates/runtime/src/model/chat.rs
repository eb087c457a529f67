//! Chat Completions, for OpenAI and for everybody who speaks like it:
//! <https://platform.openai.com/docs/api-reference/chat>, as the types of its Python library 3.54.0
//! (November 2026) have it, and what Ollama, llama.cpp, LM Studio, vLLM, OpenRouter, DeepSeek and
//! Mistral make of it.
//!
//! An answer is one item: the assistant's message. Thoughts are repeated in the member that they came
//! in: DeepSeek refuses calls without theirs
//! (<https://api-docs.deepseek.com/guides/thinking_mode>), OpenRouter needs `reasoning_details`, and
//! whoever needs none passes over it. Those that stand in the words stay there as long as their turn
//! goes on ([`tags`]).

mod calls;
mod reader;
mod tags;

use serde_json::{Value, json};

use super::{
    codec::{Ask, Codec, Dialect, Reader},
    conversation::Part,
    speech::{arguments, text},
    turns::{CallResult, StepTurn, Turn, arguments_text, turns},
    wishes::{Manner, word},
};
use crate::ToolSpec;

pub struct Chat;

impl Codec for Chat {
    fn dialect(&self) -> Dialect {
        Dialect::OpenAiChat
    }

    fn path(&self, _model: &str) -> String {
        "/chat/completions".to_owned()
    }

    fn body(&self, ask: &Ask<'_>) -> Value {
        let mut messages = messages(ask);
        thoughts_everywhere(&mut messages);
        let mut body = json!({
            "model": ask.model,
            "messages": messages,
            "stream": true,
            "stream_options": { "include_usage": true },
        });
        if !ask.tools.is_empty() {
            body["tools"] = ask.tools.iter().map(tool).collect();
        }
        limit(&mut body, ask.manner);
        body
    }

    fn reader(&self) -> Box<dyn Reader> {
        Box::new(reader::ChatReader::default())
    }

    fn parts(&self, items: &[Value]) -> Vec<Part> {
        items.iter().flat_map(parts_of).collect()
    }

    fn has_thoughts(&self, message: &Value) -> bool {
        let members = ["reasoning_content", "reasoning", "reasoning_details"];
        let said = text(message, "content").unwrap_or_default();
        members.iter().any(|member| message.get(*member).is_some())
            || tags::without_thoughts(said).len() < said.trim().len()
    }

    /// Thoughts in words count word by word: two messages that became one have theirs in one text.
    fn opaque<'a>(&self, message: &'a Value) -> Vec<(&'static str, &'a str)> {
        let mut found = Vec::new();
        for member in ["reasoning_content", "reasoning"] {
            let words = text(message, member).into_iter().flat_map(str::split_whitespace);
            found.extend(words.map(|word| (member, word)));
        }
        texts_of("reasoning_details", &message["reasoning_details"], &mut found);
        for call in message["tool_calls"].as_array().into_iter().flatten() {
            let members = call.as_object().into_iter().flatten();
            let known = ["id", "type", "function"];
            let more = members.filter(|(name, _)| !known.contains(&name.as_str()));
            more.for_each(|(_, value)| texts_of("tool_calls", value, &mut found));
        }
        found
    }

    fn items<'a>(&self, body: &'a Value) -> Vec<&'a Value> {
        body["messages"].as_array().into_iter().flatten().collect()
    }

    fn taken_back<'a>(&self, messages: &'a [Value], is_earlier: bool) -> Vec<&'a Value> {
        messages.iter().filter(|it| says_something(it, is_earlier)).collect()
    }
}

/// All texts in it, in order.
fn texts_of<'a>(member: &'static str, value: &'a Value, found: &mut Vec<(&'static str, &'a str)>) {
    match value {
        Value::String(text) => found.push((member, text)),
        Value::Array(list) => list.iter().for_each(|it| texts_of(member, it, found)),
        Value::Object(members) => members.values().for_each(|it| texts_of(member, it, found)),
        _ => {}
    }
}

fn messages(ask: &Ask<'_>) -> Vec<Value> {
    let mut messages = Vec::new();
    if !ask.instructions.is_empty() {
        messages.push(json!({ "role": "system", "content": ask.instructions }));
    }
    let turns = turns(ask, Dialect::OpenAiChat);
    let latest = turns.iter().rposition(|turn| matches!(turn, Turn::User(_)));
    for (at, turn) in turns.into_iter().enumerate() {
        match turn {
            Turn::User(texts) => {
                messages.push(json!({ "role": "user", "content": texts.join("\n\n") }));
            }
            Turn::Step(turn) => {
                assistant(&turn, Some(at) < latest, &mut messages);
                messages.extend(turn.results.iter().map(result));
            }
        }
    }
    messages
}

fn result(result: &CallResult<'_>) -> Value {
    json!({ "role": "tool", "tool_call_id": result.call, "content": result.text })
}

/// OpenAI's thinking models refuse the old name of the limit; Ollama and LM Studio knew no other for
/// long (<https://github.com/ollama/ollama/issues/7125>).
fn limit(body: &mut Value, manner: Manner) {
    if let Some(effort) = manner.effort {
        body["reasoning_effort"] = word(effort).into();
    }
    if let Some(tokens) = manner.max_tokens {
        body["max_completion_tokens"] = tokens.into();
        if manner.is_local {
            body["max_tokens"] = tokens.into();
        }
    }
}

fn tool(spec: &ToolSpec) -> Value {
    json!({
        "type": "function",
        "function": {
            "name": spec.name,
            "description": spec.description,
            "parameters": spec.parameters,
        },
    })
}

/// The step's message. Two without words between them become one: many templates of local models take
/// roles only in turns.
fn assistant(turn: &StepTurn<'_>, is_earlier: bool, messages: &mut Vec<Value>) {
    let messages_of_step = if turn.is_native { native(turn, is_earlier) } else { foreign(turn) };
    for message in messages_of_step {
        match messages.last_mut() {
            Some(last) if is_assistant(last) && last.get("tool_calls").is_none() => {
                join(last, message);
            }
            _ => messages.push(message),
        }
    }
}

fn is_assistant(message: &Value) -> bool {
    text(message, "role") == Some("assistant")
}

fn join(first: &mut Value, second: Value) {
    let (Some(into), Value::Object(members)) = (first.as_object_mut(), second) else { return };
    for (name, value) in members {
        let first = into.remove(&name).unwrap_or_default();
        into.insert(name.clone(), joined(&name, first, value));
    }
}

fn joined(name: &str, first: Value, second: Value) -> Value {
    match (first, second) {
        (Value::String(a), Value::String(b))
            if name != "role" && !a.is_empty() && !b.is_empty() =>
        {
            Value::from(a + "\n\n" + &b)
        }
        (Value::Array(mut a), Value::Array(b)) => {
            a.extend(b);
            a.into()
        }
        (first @ Value::String(_), Value::String(b)) if b.is_empty() => first,
        // A message without words has none to put in their place.
        (first, Value::Null) => first,
        (_, second) => second,
    }
}

/// Of a turn before the person's latest words, the words without the thoughts in them.
fn native(turn: &StepTurn<'_>, is_earlier: bool) -> Vec<Value> {
    let mut ids = turn.step.calls();
    let said = Chat.taken_back(&turn.step.items, is_earlier);
    let mut messages: Vec<Value> = said.into_iter().cloned().collect();
    for message in &mut messages {
        let calls = message.get_mut("tool_calls").and_then(Value::as_array_mut);
        for call in calls.into_iter().flatten().filter(|call| call.is_object()) {
            call["id"] = ids.next().unwrap_or_default().into();
            let said = arguments(text(&call["function"], "arguments").unwrap_or_default());
            if said.is_err() {
                call["function"]["arguments"] = "{}".into();
            }
        }
        if is_earlier && let Some(said) = text(message, "content") {
            message["content"] = tags::without_thoughts(said).into();
        }
    }
    messages
}

/// A message with neither words nor calls is refused, whatever was thought: an answer that was cut while
/// the model thought.
fn says_something(message: &Value, is_earlier: bool) -> bool {
    let words = |said| if is_earlier { tags::without_thoughts(said) } else { said };
    let has_words = text(message, "content").is_some_and(|said| !words(said).is_empty());
    message.get("tool_calls").is_some() || has_words
}

fn foreign(turn: &StepTurn<'_>) -> Vec<Value> {
    let (mut texts, mut calls) = (Vec::new(), Vec::new());
    for part in &turn.step.parts {
        match part {
            Part::Text(text) if text.trim().is_empty() => {}
            Part::Text(text) => texts.push(text.as_str()),
            Part::Call { id, name, input } => calls.push(json!({
                "id": id,
                "type": "function",
                "function": { "name": name, "arguments": arguments_text(input) },
            })),
        }
    }
    if texts.is_empty() && calls.is_empty() {
        return Vec::new();
    }
    // An empty text rather than null: templates of local models write null as a word.
    let mut message = json!({ "role": "assistant", "content": texts.join("\n\n") });
    if !calls.is_empty() {
        message["tool_calls"] = calls.into();
    }
    vec![message]
}

/// Where thoughts belong to calls, calls that came without any need empty ones: DeepSeek takes none
/// without the member.
fn thoughts_everywhere(messages: &mut [Value]) {
    const THOUGHTS: &str = "reasoning_content";
    if messages.iter().any(|it| it.get(THOUGHTS).is_some()) {
        let calling = messages.iter_mut().filter(|it| it.get("tool_calls").is_some());
        for message in calling.filter_map(Value::as_object_mut) {
            message.entry(THOUGHTS).or_insert_with(|| "".into());
        }
    }
}

fn parts_of(message: &Value) -> Vec<Part> {
    let said = text(message, "content").map(tags::without_thoughts).filter(|it| !it.is_empty());
    let calls = message.get("tool_calls").and_then(Value::as_array).into_iter().flatten();
    let calls = calls.map(|call| Part::Call {
        id: text(call, "id").unwrap_or_default().to_owned(),
        name: text(&call["function"], "name").unwrap_or_default().to_owned(),
        input: arguments(text(&call["function"], "arguments").unwrap_or_default())
            .unwrap_or_default(),
    });
    said.map(|it| Part::Text(it.to_owned())).into_iter().chain(calls).collect()
}
