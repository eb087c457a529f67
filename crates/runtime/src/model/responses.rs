//! OpenAI's Responses API: <https://platform.openai.com/docs/api-reference/responses>, as the types of
//! its Python library 3.54.0 (November 2026) have it.
//!
//! Nothing is stored at the provider: each request repeats all items, with the thoughts encrypted in
//! them. Their `id` and `status` stay behind: with `store: false` the API looks an `id` up and does not
//! find it (<https://github.com/vercel/ai/issues/7543>); OpenAI's own agent leaves them out too
//! (`codex-rs/protocol/src/models.rs`).

mod reader;

use serde_json::{Map, Value, json};

use super::{
    codec::{Ask, Codec, Dialect, Reader},
    conversation::Part,
    speech::{arguments, text},
    turns::{StepTurn, Turn, arguments_text, turns},
    wishes::word,
};
use crate::ToolSpec;

pub struct Responses;

impl Codec for Responses {
    fn dialect(&self) -> Dialect {
        Dialect::OpenAiResponses
    }

    fn path(&self, _model: &str) -> String {
        "/responses".to_owned()
    }

    fn body(&self, ask: &Ask<'_>) -> Value {
        let mut input = Vec::new();
        for turn in turns(ask, self.dialect()) {
            match turn {
                Turn::User(texts) => input.extend(texts.into_iter().map(user)),
                Turn::Step(turn) if turn.is_native => native(&turn, &mut input),
                Turn::Step(turn) => foreign(&turn, &mut input),
            }
        }
        let mut body = json!({
            "model": ask.model,
            "input": input,
            "store": false,
            "stream": true,
        });
        if !ask.instructions.is_empty() {
            body["instructions"] = ask.instructions.into();
        }
        if !ask.tools.is_empty() {
            body["tools"] = ask.tools.iter().map(tool).collect();
            body["parallel_tool_calls"] = true.into();
        }
        if thinks(ask.model) {
            body["include"] = json!(["reasoning.encrypted_content"]);
        }
        if tells_thoughts(ask.model) {
            body["reasoning"] = json!({ "summary": "auto" });
        }
        if let Some(effort) = ask.manner.effort {
            body["reasoning"]["effort"] = word(effort).into();
        }
        if let Some(tokens) = ask.manner.max_tokens {
            body["max_output_tokens"] = tokens.into();
        }
        body
    }

    fn reader(&self) -> Box<dyn Reader> {
        Box::new(reader::ResponsesReader::default())
    }

    fn parts(&self, items: &[Value]) -> Vec<Part> {
        items.iter().flat_map(parts_of).collect()
    }

    fn has_thoughts(&self, item: &Value) -> bool {
        is_reasoning(item)
    }

    fn opaque<'a>(&self, item: &'a Value) -> Vec<(&'static str, &'a str)> {
        const MEMBER: &str = "encrypted_content";
        text(item, MEMBER).map(|it| (MEMBER, it)).into_iter().collect()
    }

    fn items<'a>(&self, body: &'a Value) -> Vec<&'a Value> {
        body["input"].as_array().into_iter().flatten().collect()
    }

    fn taken_back<'a>(&self, items: &'a [Value], _: bool) -> Vec<&'a Value> {
        leading_on(items).iter().collect()
    }
}

/// Thoughts that lead to nothing are refused: "provided without its required following item". An answer
/// that was cut while the model thought has them.
fn leading_on(items: &[Value]) -> &[Value] {
    let last = items.iter().rposition(|item| !is_reasoning(item));
    &items[..last.map_or(0, |last| last + 1)]
}

/// OpenAI's models of before the thinking ones refuse the question for thoughts ("Encrypted content is
/// not supported with this model"); all that came since can think.
fn thinks(model: &str) -> bool {
    !["gpt-3", "gpt-4", "chatgpt-4"].iter().any(|old| model.starts_with(old))
}

/// Only OpenAI's thinking models take the question for a summary; other servers need not know it.
fn tells_thoughts(model: &str) -> bool {
    let mut rest = model.chars();
    let is_o = rest.next() == Some('o') && rest.next().is_some_and(|it| it.is_ascii_digit());
    is_o || model.contains("codex")
        || (model.starts_with("gpt-") && thinks(model) && !model.contains("oss"))
}

fn tool(spec: &ToolSpec) -> Value {
    json!({
        "type": "function",
        "name": spec.name,
        "description": spec.description,
        "parameters": spec.parameters,
        "strict": is_strict(&spec.parameters),
    })
}

/// Whether a schema keeps the rules of strict mode
/// (<https://platform.openai.com/docs/guides/structured-outputs>): every object is closed and needs all
/// its properties, and nothing is used that the mode might not know.
fn is_strict(schema: &Value) -> bool {
    const KNOWN: [&str; 13] = [
        "type",
        "description",
        "title",
        "enum",
        "const",
        "properties",
        "required",
        "items",
        "anyOf",
        "additionalProperties",
        "minimum",
        "maximum",
        "$schema",
    ];
    let Some(schema) = schema.as_object() else { return false };
    let all = |value: &Value| value.as_array().is_none_or(|list| list.iter().all(is_strict));
    schema.keys().all(|key| KNOWN.contains(&key.as_str()))
        && (!schema.contains_key("properties") && schema.get("type") != Some(&"object".into())
            || is_closed(schema))
        && schema.get("items").is_none_or(is_strict)
        && schema.get("anyOf").is_none_or(all)
}

fn is_closed(schema: &Map<String, Value>) -> bool {
    let empty = Map::new();
    let properties = schema.get("properties").and_then(Value::as_object).unwrap_or(&empty);
    let required = schema.get("required").and_then(Value::as_array);
    let is_required = |name: &str| required.is_some_and(|it| it.iter().any(|it| it == name));
    schema.get("additionalProperties") == Some(&Value::Bool(false))
        && properties.iter().all(|(name, schema)| is_required(name) && is_strict(schema))
}

fn user(text: &str) -> Value {
    json!({
        "type": "message",
        "role": "user",
        "content": [{ "type": "input_text", "text": text }],
    })
}

/// The step's own items, each call under the id that its result has.
fn native(turn: &StepTurn<'_>, input: &mut Vec<Value>) {
    let mut ids = turn.step.calls();
    let mut items: Vec<Value> = leading_on(&turn.step.items).iter().filter_map(repeated).collect();
    for item in items.iter_mut().filter(|item| is_call(item)) {
        if let Some(id) = ids.next() {
            item["call_id"] = id.into();
        }
    }
    input.append(&mut items);
    outputs(turn, input);
}

fn is_call(item: &Value) -> bool {
    text(item, "type") == Some("function_call")
}

fn is_reasoning(item: &Value) -> bool {
    text(item, "type") == Some("reasoning")
}

/// An item as input. `None` for thoughts of which only the summary is left.
fn repeated(item: &Value) -> Option<Value> {
    let mut item = item.clone();
    let kind = text(&item, "type")?.to_owned();
    if !matches!(kind.as_str(), "message" | "reasoning" | "function_call") {
        return Some(item);
    }
    let members = item.as_object_mut()?;
    members.remove("id");
    members.remove("status");
    if kind == "reasoning" {
        members.retain(|_, value| !value.is_null());
        members.entry("summary").or_insert_with(|| json!([]));
        if !members.contains_key("encrypted_content") && !members.contains_key("content") {
            return None;
        }
    }
    Some(item)
}

fn foreign(turn: &StepTurn<'_>, input: &mut Vec<Value>) {
    for part in &turn.step.parts {
        input.push(match part {
            Part::Text(text) if text.trim().is_empty() => continue,
            Part::Text(text) => json!({
                "type": "message",
                "role": "assistant",
                "content": [{ "type": "output_text", "text": text, "annotations": [] }],
            }),
            Part::Call { id, name, input } => json!({
                "type": "function_call",
                "call_id": id,
                "name": name,
                "arguments": arguments_text(input),
            }),
        });
    }
    outputs(turn, input);
}

fn outputs(turn: &StepTurn<'_>, input: &mut Vec<Value>) {
    input.extend(turn.results.iter().map(|result| {
        json!({
            "type": "function_call_output",
            "call_id": result.call,
            "output": result.text,
        })
    }));
}

fn parts_of(item: &Value) -> Vec<Part> {
    match text(item, "type") {
        Some("message") => message_texts(item).map(|it| Part::Text(it.to_owned())).collect(),
        Some("function_call") => vec![Part::Call {
            id: text(item, "call_id").unwrap_or_default().to_owned(),
            name: text(item, "name").unwrap_or_default().to_owned(),
            input: arguments(text(item, "arguments").unwrap_or_default()).unwrap_or_default(),
        }],
        _ => Vec::new(),
    }
}

/// What a message says, refusals included.
fn message_texts(item: &Value) -> impl Iterator<Item = &str> {
    let content = item.get("content").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    content.iter().filter_map(|part| text(part, "text").or_else(|| text(part, "refusal")))
}
