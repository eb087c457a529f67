//! Gemini's `streamGenerateContent`, with the signatures that its thinking models give.

use serde_json::{Value, json};

use super::{
    Event, Spoken, Turn,
    answer::{Item, Message, Problem, TokenCount},
    opaque, pieces,
};

/// A part for each piece of text and for each call; the last event has the reason, the usage, and the
/// signature of an answer without calls, on an empty text.
pub fn spoken(message: &Message, turn: &Turn<'_>) -> Spoken {
    if let Some(why) = message.reason.and_then(|reason| reason.strip_prefix("block:")) {
        return blocked(why, message, turn);
    }
    let mut parts = Vec::new();
    for (at, item) in message.items.iter().enumerate() {
        parts.extend(item_parts(item, turn, at, message.call_ids));
    }
    sign_first_call(&mut parts, turn);
    let mut events: Vec<Event> = groups(&parts)
        .into_iter()
        .map(|group| Event::plain(&chunk(turn, group, None, message.usage.map(half))))
        .collect();
    let reason = message.reason.unwrap_or("STOP");
    let mut last = Vec::new();
    if !message.has_calls() && !message.items.is_empty() {
        last.push(json!({"text": "", "thoughtSignature": opaque(&turn.id("sig", 99), 120)}));
    }
    let closing = chunk(turn, &last, Some(reason), message.usage);
    events.push(Event::plain(&closing));
    parts.extend(last);
    Spoken { events, said: parts }
}

fn item_parts(item: &Item, turn: &Turn<'_>, at: usize, ids: bool) -> Vec<Value> {
    match item {
        Item::Think(text) => {
            pieces(text, 20).iter().map(|text| json!({"text": text, "thought": true})).collect()
        }
        Item::Text(text) | Item::Refuse(text) => {
            pieces(text, 12).iter().map(|text| json!({"text": text})).collect()
        }
        Item::Call { name, arguments } => {
            let args = serde_json::from_str(arguments).unwrap_or_else(|_| json!(arguments));
            let mut call = json!({"name": name, "args": args});
            if ids {
                call["id"] = turn.id("call", at).into();
            }
            vec![json!({"functionCall": call})]
        }
    }
}

/// Of parallel calls only the first is signed.
fn sign_first_call(parts: &mut [Value], turn: &Turn<'_>) {
    if let Some(part) = parts.iter_mut().find(|part| part.get("functionCall").is_some()) {
        part["thoughtSignature"] = opaque(&turn.id("sig", 0), 200).into();
    }
}

/// Each text alone, the calls in one event.
fn groups(parts: &[Value]) -> Vec<&[Value]> {
    parts
        .chunk_by(|a, b| a.get("functionCall").is_some() && b.get("functionCall").is_some())
        .collect()
}

fn chunk(
    turn: &Turn<'_>,
    parts: &[Value],
    reason: Option<&str>,
    count: Option<TokenCount>,
) -> Value {
    let mut candidate = json!({"index": 0});
    if !parts.is_empty() {
        candidate["content"] = json!({"parts": parts, "role": "model"});
    }
    if let Some(reason) = reason {
        candidate["finishReason"] = reason.into();
        if reason == "MALFORMED_FUNCTION_CALL" {
            candidate["finishMessage"] =
                "Malformed function call: print(default_api.read_file(path='a.txt'".into();
        }
    }
    let mut chunk = json!({"candidates": [candidate], "modelVersion": turn.model,
        "responseId": turn.id("resp", 0)});
    if let Some(count) = count {
        chunk["usageMetadata"] = usage(count);
    }
    chunk
}

fn blocked(why: &str, message: &Message, turn: &Turn<'_>) -> Spoken {
    let mut chunk = json!({"promptFeedback": {"blockReason": why}, "modelVersion": turn.model,
        "responseId": turn.id("resp", 0)});
    if let Some(count) = message.usage {
        chunk["usageMetadata"] = usage(TokenCount { output: 0, reasoning: 0, ..count });
    }
    Spoken { events: vec![Event::plain(&chunk)], said: Vec::new() }
}

/// Every event has a usage; each replaces the one before.
fn half(count: TokenCount) -> TokenCount {
    TokenCount { output: count.output / 2, reasoning: count.reasoning, ..count }
}

fn usage(count: TokenCount) -> Value {
    let prompt = count.input + count.cached;
    json!({
        "promptTokenCount": prompt, "cachedContentTokenCount": count.cached,
        "candidatesTokenCount": count.output.saturating_sub(count.reasoning),
        "thoughtsTokenCount": count.reasoning, "totalTokenCount": prompt + count.output,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": prompt}],
    })
}

pub fn problem(problem: &Problem) -> Value {
    let mut error = json!({"code": problem.status, "message": problem.message,
        "status": problem.kind});
    if !problem.details.is_empty() {
        error["details"] = problem.details.clone().into();
    }
    json!({"error": error})
}

pub fn models(models: &[String]) -> Value {
    let model = |id: &String| {
        json!({
            "name": format!("models/{id}"), "displayName": id, "version": "001",
            "inputTokenLimit": 1_048_576, "outputTokenLimit": 65_536, "thinking": true,
            "supportedGenerationMethods": ["generateContent", "countTokens"],
        })
    };
    json!({"models": models.iter().map(model).collect::<Vec<_>>()})
}

pub fn steps_taken(body: &Value) -> usize {
    let contents = body["contents"].as_array().map(Vec::as_slice).unwrap_or_default();
    let newest = contents.iter().rev().take_while(|content| !says_something(content));
    newest.filter(|content| content["role"] == "model" && has(content, "functionCall")).count()
}

/// Whether a person speaks in it.
fn says_something(content: &Value) -> bool {
    content["role"] == "user" && !has(content, "functionResponse")
}

fn has(content: &Value, field: &str) -> bool {
    content["parts"].as_array().is_some_and(|parts| parts.iter().any(|it| it.get(field).is_some()))
}
