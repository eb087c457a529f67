//! OpenAI's Responses API, as a server speaks it when it stores nothing.

use serde_json::{Value, json};

use super::{
    Event, Spoken, Turn,
    answer::{Item, Message, Problem, TokenCount},
    opaque, pieces,
};

pub fn spoken(message: &Message, turn: &Turn<'_>) -> Spoken {
    let items: Vec<Value> =
        message.items.iter().enumerate().map(|(at, item)| output_item(item, turn, at)).collect();
    let mut stream = Stream::default();
    let opening = response(turn, "in_progress", &[], message);
    stream.say(json!({"type": "response.created", "response": opening}));
    stream.say(json!({"type": "response.in_progress", "response": opening}));
    for (at, item) in items.iter().enumerate() {
        stream.item(at, item);
    }
    let status = match message.reason {
        None => "completed",
        Some(reason) if reason.starts_with("failed:") => "failed",
        Some("cancelled") => "cancelled",
        Some(_) => "incomplete",
    };
    let closing = response(turn, status, &items, message);
    stream.say(json!({"type": format!("response.{status}"), "response": closing}));
    Spoken { events: stream.events, said: items }
}

fn output_item(item: &Item, turn: &Turn<'_>, at: usize) -> Value {
    match item {
        Item::Think(text) => {
            let id = turn.id("rs", at);
            let secret = format!("gAAAAAB{}", opaque(&id, 180));
            let summary = json!([{"type": "summary_text", "text": text}]);
            json!({"id": id, "type": "reasoning", "summary": summary, "encrypted_content": secret})
        }
        Item::Text(text) => spoken_item(
            &turn.id("msg", at),
            json!({"type": "output_text", "annotations": [], "logprobs": [], "text": text}),
        ),
        Item::Refuse(text) => {
            spoken_item(&turn.id("msg", at), json!({"type": "refusal", "refusal": text}))
        }
        Item::Call { name, arguments } => json!({
            "id": turn.id("fc", at), "type": "function_call", "status": "completed",
            "arguments": arguments, "call_id": turn.id("call", at), "name": name,
        }),
    }
}

fn spoken_item(id: &str, part: Value) -> Value {
    json!({"id": id, "type": "message", "status": "completed", "content": [part],
        "role": "assistant"})
}

fn response(turn: &Turn<'_>, status: &str, items: &[Value], message: &Message) -> Value {
    let ended = status != "in_progress";
    let details = match (status, message.reason) {
        ("incomplete", Some(reason)) => json!({"reason": reason}),
        _ => Value::Null,
    };
    let code = message.reason.and_then(|reason| reason.strip_prefix("failed:"));
    let error = match code.filter(|_| ended) {
        Some(code) => json!({"code": code, "message": "This response could not be completed."}),
        None => Value::Null,
    };
    json!({
        "id": turn.id("resp", 0), "object": "response", "created_at": 1_795_000_000, "status": status,
        "background": false, "error": error, "incomplete_details": details, "model": turn.model,
        "output": items, "parallel_tool_calls": true, "previous_response_id": null, "store": false,
        "usage": message.usage.filter(|_| ended).map(usage), "metadata": {},
    })
}

fn usage(count: TokenCount) -> Value {
    let input = count.input + count.cached;
    json!({
        "input_tokens": input, "input_tokens_details": {"cached_tokens": count.cached},
        "output_tokens": count.output,
        "output_tokens_details": {"reasoning_tokens": count.reasoning},
        "total_tokens": input + count.output,
    })
}

#[derive(Default)]
struct Stream {
    events: Vec<Event>,
}

impl Stream {
    fn say(&mut self, mut event: Value) {
        event["sequence_number"] = self.events.len().into();
        self.events.push(Event::named(&event));
    }

    fn item(&mut self, at: usize, item: &Value) {
        let kind = item["type"].as_str().unwrap_or_default();
        let mut begun = item.clone();
        match kind {
            "reasoning" => {
                begun["summary"] = json!([]);
                // What counts is the one that comes when the item is done.
                begun["encrypted_content"] = "gAAAAABunfinished==".into();
            }
            "function_call" => begun["arguments"] = "".into(),
            _ => begun["content"] = json!([]),
        }
        if kind != "reasoning" {
            begun["status"] = "in_progress".into();
        }
        self.say(json!({"type": "response.output_item.added", "output_index": at, "item": begun}));
        match kind {
            "reasoning" => self.summary(at, item),
            "function_call" => self.arguments(at, item),
            _ => self.content(at, item),
        }
        self.say(json!({"type": "response.output_item.done", "output_index": at, "item": item}));
    }

    fn summary(&mut self, at: usize, item: &Value) {
        let kind = "response.reasoning_summary";
        let place = json!({"item_id": item["id"], "output_index": at, "summary_index": 0});
        let part = &item["summary"][0];
        let empty = json!({"type": "summary_text", "text": ""});
        self.at(&place, format!("{kind}_part.added"), "part", &empty);
        self.deltas(&place, &format!("{kind}_text.delta"), &part["text"]);
        self.at(&place, format!("{kind}_text.done"), "text", &part["text"]);
        self.at(&place, format!("{kind}_part.done"), "part", part);
    }

    fn arguments(&mut self, at: usize, item: &Value) {
        let kind = "response.function_call_arguments";
        let place = json!({"item_id": item["id"], "output_index": at});
        self.deltas(&place, &format!("{kind}.delta"), &item["arguments"]);
        self.at(&place, format!("{kind}.done"), "arguments", &item["arguments"]);
    }

    fn content(&mut self, at: usize, item: &Value) {
        let place = json!({"item_id": item["id"], "output_index": at, "content_index": 0});
        let part = &item["content"][0];
        let (kind, field) = match part["type"].as_str() {
            Some("refusal") => ("response.refusal", "refusal"),
            _ => ("response.output_text", "text"),
        };
        let mut empty = part.clone();
        empty[field] = "".into();
        self.at(&place, "response.content_part.added".to_owned(), "part", &empty);
        self.deltas(&place, &format!("{kind}.delta"), &part[field]);
        self.at(&place, format!("{kind}.done"), field, &part[field]);
        self.at(&place, "response.content_part.done".to_owned(), "part", part);
    }

    fn deltas(&mut self, place: &Value, kind: &str, text: &Value) {
        for piece in pieces(text.as_str().unwrap_or_default(), 12) {
            let mut place = place.clone();
            place["obfuscation"] = opaque(&piece, 6).into();
            self.at(&place, kind.to_owned(), "delta", &piece.into());
        }
    }

    fn at(&mut self, place: &Value, kind: String, field: &str, value: &Value) {
        let mut event = place.clone();
        event["type"] = kind.into();
        event[field] = value.clone();
        self.say(event);
    }
}

/// Both of OpenAI's dialects say an error so.
pub fn problem(problem: &Problem) -> Value {
    json!({"error": {"message": problem.message, "type": problem.kind, "param": null,
        "code": problem.code}})
}

pub fn problem_event(problem: &Problem) -> Event {
    Event::named(&json!({"type": "error", "sequence_number": 7, "error": {
        "type": problem.kind, "code": problem.code, "message": problem.message, "param": null,
    }}))
}

pub fn steps_taken(body: &Value) -> usize {
    let mut steps = 0;
    let mut in_step = false;
    for item in body["input"].as_array().into_iter().flatten() {
        match item["type"].as_str() {
            Some("function_call") => {
                steps += usize::from(!in_step);
                in_step = true;
            }
            Some("function_call_output") => in_step = false,
            _ if item["role"] == "user" => (steps, in_step) = (0, false),
            _ => {}
        }
    }
    steps
}
