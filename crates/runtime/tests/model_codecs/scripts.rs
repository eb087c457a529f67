//! Answers as the providers send them: what is said, written as events of each dialect. The shapes are
//! those of the providers' documents, see the codecs.

use serde_json::{Value, json};

use musher_runtime::model::codec::Dialect;

/// What an answer says.
#[derive(Clone, Debug, Default)]
pub struct Said {
    pub thought: String,
    pub text: String,
    /// What the opaque members hold.
    pub mark: String,
    /// Id, name, arguments. Without an id where a provider may leave it out.
    pub calls: Vec<(String, String, Value)>,
}

impl Said {
    /// The events of a whole answer, its texts in pieces that end at `cuts`.
    pub fn events(&self, dialect: Dialect, cuts: &[usize]) -> Vec<String> {
        let events = match dialect {
            Dialect::OpenAiResponses => self.responses(cuts),
            Dialect::OpenAiChat => self.chat(cuts),
            Dialect::Gemini => self.gemini(cuts),
        };
        let mut events: Vec<String> = events.iter().map(Value::to_string).collect();
        if dialect == Dialect::OpenAiChat {
            events.push("[DONE]".to_owned());
        }
        events
    }

    fn items(&self) -> Vec<Value> {
        let mut items = Vec::new();
        if !self.thought.is_empty() {
            items.push(json!({ "id": "rs_1", "type": "reasoning", "encrypted_content": self.mark,
                "summary": [{ "type": "summary_text", "text": self.thought }] }));
        }
        if !self.text.is_empty() {
            items.push(json!({ "id": "msg_1", "type": "message", "role": "assistant",
                "status": "completed", "phase": "commentary", "content":
                    [{ "type": "output_text", "text": self.text, "annotations": [] }] }));
        }
        items.extend(self.calls.iter().map(|(id, name, input)| {
            json!({ "id": format!("fc_{id}"), "type": "function_call", "call_id": id, "name": name,
                "arguments": input.to_string(), "status": "completed" })
        }));
        items
    }

    fn responses(&self, cuts: &[usize]) -> Vec<Value> {
        let mut events = vec![json!({ "type": "response.created", "response":
            { "id": "resp_1", "model": "gpt-5.5", "status": "in_progress", "output": [] } })];
        let items = self.items();
        for (at, item) in items.iter().enumerate() {
            events.extend(responses_item(at, item, cuts));
        }
        events.push(json!({ "type": "response.completed", "response": { "id": "resp_1",
            "model": "gpt-5.5-2026-04-01", "status": "completed", "output": items, "usage": {
                "input_tokens": 1000, "input_tokens_details": { "cached_tokens": 400 },
                "output_tokens": 90, "output_tokens_details": { "reasoning_tokens": 30 },
                "total_tokens": 1090 } } }));
        events
    }

    fn chat(&self, cuts: &[usize]) -> Vec<Value> {
        let chunk = |delta: Value, finish: Value| {
            json!({ "id": "chatcmpl-1", "object": "chat.completion.chunk", "model": "deepseek-v4-pro",
                "usage": null, "choices": [{ "index": 0, "delta": delta, "finish_reason": finish }] })
        };
        let open = json!({ "role": "assistant", "content": null, "refusal": null });
        let mut events = vec![chunk(open, Value::Null)];
        for piece in pieces(&self.thought, cuts) {
            let delta = json!({ "content": null, "reasoning_content": piece });
            events.push(chunk(delta, Value::Null));
        }
        for piece in pieces(&self.text, cuts) {
            events.push(chunk(json!({ "content": piece }), Value::Null));
        }
        for (index, (id, name, input)) in self.calls.iter().enumerate() {
            let begin = json!({ "tool_calls": [{ "index": index, "id": id, "type": "function",
                "function": { "name": name, "arguments": "" } }] });
            events.push(chunk(begin, Value::Null));
            for piece in pieces(&input.to_string(), cuts) {
                let more = json!({ "index": index, "function": { "arguments": piece } });
                events.push(chunk(json!({ "tool_calls": [more] }), Value::Null));
            }
        }
        let finish = if self.calls.is_empty() { "stop" } else { "tool_calls" };
        events.push(chunk(json!({}), finish.into()));
        events.push(json!({ "id": "chatcmpl-1", "object": "chat.completion.chunk",
            "model": "deepseek-v4-pro", "choices": [], "usage": { "prompt_tokens": 1000,
                "completion_tokens": 90, "total_tokens": 1090,
                "prompt_tokens_details": { "cached_tokens": 400 },
                "completion_tokens_details": { "reasoning_tokens": 30 } } }));
        events
    }

    fn gemini(&self, cuts: &[usize]) -> Vec<Value> {
        let mut parts = Vec::new();
        for piece in pieces(&self.thought, cuts) {
            parts.push(json!({ "text": piece, "thought": true }));
        }
        parts.extend(pieces(&self.text, cuts).into_iter().map(|piece| json!({ "text": piece })));
        for (at, (id, name, input)) in self.calls.iter().enumerate() {
            let mut part = json!({ "functionCall": { "name": name, "args": input } });
            if !id.is_empty() {
                part["functionCall"]["id"] = id.as_str().into();
            }
            if at == 0 {
                part["thoughtSignature"] = self.mark.as_str().into();
            }
            parts.push(part);
        }
        if self.calls.is_empty() {
            parts.push(json!({ "text": "", "thoughtSignature": self.mark }));
        }
        let chunk = |part: Value| {
            json!({ "candidates": [{ "index": 0, "content": { "role": "model", "parts": [part] } }],
                "modelVersion": "gemini-3.8-flash", "responseId": "r1",
                "usageMetadata": { "promptTokenCount": 1000, "totalTokenCount": 1000 } })
        };
        let mut events: Vec<Value> = parts.into_iter().map(chunk).collect();
        let last = events.last_mut().unwrap();
        last["candidates"][0]["finishReason"] = "STOP".into();
        last["usageMetadata"] = json!({ "promptTokenCount": 1000, "cachedContentTokenCount": 400,
            "candidatesTokenCount": 60, "thoughtsTokenCount": 30, "totalTokenCount": 1090 });
        events
    }
}

fn responses_item(at: usize, item: &Value, cuts: &[usize]) -> Vec<Value> {
    let mut begun = item.clone();
    let (kind, delta, whole) = match item["type"].as_str().unwrap() {
        "reasoning" => {
            begun["summary"] = json!([]);
            ("summary_index", "response.reasoning_summary_text.delta", &item["summary"][0]["text"])
        }
        "message" => {
            begun["content"] = json!([]);
            ("content_index", "response.output_text.delta", &item["content"][0]["text"])
        }
        _ => {
            begun["arguments"] = "".into();
            ("content_index", "response.function_call_arguments.delta", &item["arguments"])
        }
    };
    let added = json!({ "type": "response.output_item.added", "output_index": at, "item": begun });
    let mut events = vec![added];
    events.extend(pieces(whole.as_str().unwrap(), cuts).into_iter().map(|piece| {
        json!({ "type": delta, "item_id": item["id"], "output_index": at, kind: 0, "delta": piece })
    }));
    events.push(json!({ "type": "response.output_item.done", "output_index": at, "item": item }));
    events
}

/// The text in pieces; each cut is a share of it, in hundredths.
fn pieces(text: &str, cuts: &[usize]) -> Vec<String> {
    let letters: Vec<char> = text.chars().collect();
    let mut ends: Vec<usize> = cuts.iter().map(|cut| letters.len() * cut.min(&100) / 100).collect();
    ends.push(letters.len());
    ends.sort_unstable();
    let mut from = 0;
    let mut pieces = Vec::new();
    for end in ends {
        if end > from {
            pieces.push(letters[from..end].iter().collect());
            from = end;
        }
    }
    pieces
}
