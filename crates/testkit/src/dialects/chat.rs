//! OpenAI's Chat Completions, with the `reasoning_content` that many compatible servers add.

use serde_json::{Value, json};

use super::{
    Event, Spoken, Turn,
    answer::{Item, Message, TokenCount},
    pieces,
};

pub fn spoken(message: &Message, turn: &Turn<'_>) -> Spoken {
    let mut stream = Stream { turn, events: Vec::new() };
    stream.delta(json!({"role": "assistant", "content": "", "refusal": null}));
    let mut calls = Vec::new();
    for (at, item) in message.items.iter().enumerate() {
        match item {
            Item::Think(text) => stream.text("reasoning_content", text),
            Item::Text(text) => stream.text("content", text),
            Item::Refuse(text) => stream.text("refusal", text),
            Item::Call { name, arguments } => {
                calls.push(json!({"id": turn.id("call", at), "type": "function",
                    "function": {"name": name, "arguments": arguments}}));
            }
        }
    }
    stream.calls(&calls);
    let natural = if message.has_calls() { "tool_calls" } else { "stop" };
    stream.choice(json!({}), json!(message.reason.unwrap_or(natural)));
    if let Some(count) = message.usage {
        stream.chunk(json!([]), usage(count));
    }
    stream.events.push(Event { name: None, data: "[DONE]".to_owned() });
    Spoken { events: stream.events, said: calls }
}

struct Stream<'a> {
    turn: &'a Turn<'a>,
    events: Vec<Event>,
}

impl Stream<'_> {
    fn chunk(&mut self, choices: Value, usage: Value) {
        self.events.push(Event::plain(&json!({
            "id": self.turn.id("chatcmpl", 0), "object": "chat.completion.chunk",
            "created": 1_795_000_000, "model": self.turn.model, "service_tier": "default",
            "system_fingerprint": "fp_scripted", "choices": choices, "usage": usage,
        })));
    }

    fn choice(&mut self, delta: Value, reason: Value) {
        let choice = json!({"index": 0, "delta": delta, "logprobs": null, "finish_reason": reason});
        self.chunk(json!([choice]), Value::Null);
    }

    fn delta(&mut self, delta: Value) {
        self.choice(delta, Value::Null);
    }

    fn text(&mut self, field: &str, text: &str) {
        for piece in pieces(text, 12) {
            self.delta(json!({field: piece}));
        }
    }

    /// Each call begins with its id and name; the pieces of the arguments are told apart by `index`
    /// alone, and come in turns.
    fn calls(&mut self, calls: &[Value]) {
        let mut waiting = Vec::new();
        for (index, call) in calls.iter().enumerate() {
            let function = json!({"name": call["function"]["name"], "arguments": ""});
            let begun = json!({"index": index, "id": call["id"], "type": "function",
                "function": function});
            self.delta(json!({"tool_calls": [begun]}));
            waiting.push(pieces(call["function"]["arguments"].as_str().unwrap_or_default(), 9));
        }
        let rounds = waiting.iter().map(Vec::len).max().unwrap_or(0);
        for round in 0..rounds {
            for (index, piece) in
                waiting.iter().enumerate().filter_map(|(at, it)| Some((at, it.get(round)?)))
            {
                let more = json!({"index": index, "function": {"arguments": piece}});
                self.delta(json!({"tool_calls": [more]}));
            }
        }
    }
}

fn usage(count: TokenCount) -> Value {
    let input = count.input + count.cached;
    json!({
        "prompt_tokens": input, "completion_tokens": count.output,
        "total_tokens": input + count.output,
        "prompt_tokens_details": {"cached_tokens": count.cached, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": count.reasoning, "audio_tokens": 0},
    })
}

pub fn models(models: &[String]) -> Value {
    let model =
        |id| json!({"id": id, "object": "model", "created": 1_790_000_000, "owned_by": "scripted"});
    json!({"object": "list", "data": models.iter().map(model).collect::<Vec<_>>()})
}

pub fn steps_taken(body: &Value) -> usize {
    let messages = body["messages"].as_array().map(Vec::as_slice).unwrap_or_default();
    let newest = messages.iter().rev().take_while(|message| message["role"] != "user");
    newest.filter(|message| message["tool_calls"].is_array()).count()
}
