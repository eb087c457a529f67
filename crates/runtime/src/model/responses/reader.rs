//! Reads the events of a streamed response. An item counts as it is in `response.output_item.done`, or
//! else in the whole response at the end; servers that send neither have it put together from its
//! pieces.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::super::{
    codec::{Answer, Dialect, Finish, Piece, Reader, Usage},
    faults,
    speech::{self, CallIds, Speech, Voice, arguments, counted, grow, must_count, text},
};

/// Calls of tools that nobody offered; their results would be missing.
const NOT_OURS: [&str; 5] =
    ["custom_tool_call", "local_shell_call", "shell_call", "apply_patch_call", "computer_call"];

#[derive(Default)]
pub(super) struct ResponsesReader {
    speech: Speech,
    /// Where in `speech` a part of an item is: by the item's place, what it is, the part's place.
    open: BTreeMap<(u64, &'static str, u64), usize>,
    /// Items that were begun and are not done.
    begun: BTreeMap<u64, Value>,
    done: BTreeMap<u64, Value>,
    ids: CallIds,
    refusal: String,
    finish: Option<Finish>,
    usage: Option<Usage>,
    model: Option<String>,
}

impl Reader for ResponsesReader {
    fn avoid(&mut self, taken: BTreeSet<String>) {
        self.ids.avoid(taken);
    }

    fn read(&mut self, data: &str) -> Result<Vec<Piece>, String> {
        // Not of this API, but some servers end with it what they have ended already.
        if self.is_done() || data.trim().is_empty() || data.trim() == "[DONE]" {
            return Ok(Vec::new());
        }
        let event = speech::json(data)?;
        Ok(self.event(&event))
    }

    fn is_done(&self) -> bool {
        self.finish.is_some()
    }

    fn usage(&self) -> Option<Usage> {
        self.usage
    }

    fn answer(self: Box<Self>) -> Answer {
        let Self { speech, done, refusal, finish, usage, model, .. } = *self;
        let finish = match finish {
            Some(Finish::Done) if !refusal.is_empty() => Finish::Refused(refusal),
            Some(finish) => finish,
            None => Finish::Cut,
        };
        speech.answer(done.into_values().collect(), finish, usage, model)
    }
}

impl ResponsesReader {
    fn event(&mut self, event: &Value) -> Vec<Piece> {
        match text(event, "type").unwrap_or_default() {
            "response.created" | "response.in_progress" => self.note(&event["response"]),
            "response.output_item.added" if event["item"].is_object() => {
                self.begun.insert(self.place(event), event["item"].clone());
            }
            "response.output_item.done" => {
                return self.item(self.place(event), event["item"].clone());
            }
            "response.output_text.delta" => return self.delta(event, Voice::Text, "text"),
            "response.refusal.delta" => return self.delta(event, Voice::Text, "refusal"),
            "response.reasoning_summary_text.delta" => {
                return self.delta(event, Voice::Thinking, "summary");
            }
            "response.reasoning_text.delta" => {
                return self.delta(event, Voice::Thinking, "content");
            }
            "response.function_call_arguments.delta" => self.call_delta(event),
            "response.function_call_arguments.done" => self.call_done(event),
            kind @ ("response.completed"
            | "response.incomplete"
            | "response.failed"
            | "response.cancelled") => {
                return self.end(&event["response"], kind.trim_start_matches("response."));
            }
            "error" => {
                self.finish = Some(Finish::Failed(faults::said(Dialect::OpenAiResponses, event)));
            }
            // A proxy's error has no type.
            "" if event.get("error").is_some_and(|error| !error.is_null()) => {
                self.finish = Some(Finish::Failed(faults::said(Dialect::OpenAiResponses, event)));
            }
            _ => {}
        }
        Vec::new()
    }

    fn note(&mut self, response: &Value) {
        if let Some(model) = text(response, "model").filter(|it| !it.is_empty()) {
            self.model = Some(model.to_owned());
        }
        if let Some(usage) = response.get("usage").filter(|it| it.is_object()) {
            self.usage = usage_of(usage);
        }
    }

    /// The item's place in the answer. Servers that do not number their items send one at a time.
    fn place(&self, event: &Value) -> u64 {
        let next = self.done.keys().next_back().map_or(0, |last| last + 1);
        event.get("output_index").and_then(Value::as_u64).unwrap_or(next)
    }

    fn delta(&mut self, event: &Value, voice: Voice, what: &'static str) -> Vec<Piece> {
        let part = event.get("summary_index").or_else(|| event.get("content_index"));
        let key = (self.place(event), what, part.and_then(Value::as_u64).unwrap_or_default());
        let Some(delta) = text(event, "delta").filter(|it| !it.is_empty()) else {
            return Vec::new();
        };
        let at = *self.open.entry(key).or_insert_with(|| self.speech.open(voice));
        self.speech.add(at, delta).into_iter().collect()
    }

    fn call_delta(&mut self, event: &Value) {
        let Some(item) = self.begun.get_mut(&self.place(event)) else { return };
        if let (Some(so_far), Some(more)) = (item.get_mut("arguments"), text(event, "delta")) {
            grow(so_far, more);
        }
    }

    fn call_done(&mut self, event: &Value) {
        let Some(item) = self.begun.get_mut(&self.place(event)) else { return };
        if let Some(whole) = text(event, "arguments") {
            item["arguments"] = whole.into();
        }
    }

    /// An item is whole: what was not said of it yet is said now.
    fn item(&mut self, place: u64, mut item: Value) -> Vec<Piece> {
        self.begun.remove(&place);
        if self.done.contains_key(&place) {
            return Vec::new();
        }
        let mut pieces = Vec::new();
        match text(&item, "type").unwrap_or_default() {
            "message" => {
                self.parts(place, &item["content"], Voice::Text, "text", &mut pieces);
                self.parts(place, &item["content"], Voice::Text, "refusal", &mut pieces);
            }
            "reasoning" => {
                self.parts(place, &item["summary"], Voice::Thinking, "summary", &mut pieces);
                self.parts(place, &item["content"], Voice::Thinking, "content", &mut pieces);
            }
            "function_call" => self.call(&mut item),
            kind if NOT_OURS.contains(&kind) => return pieces,
            _ => {}
        }
        self.done.insert(place, item);
        pieces
    }

    fn parts(
        &mut self,
        place: u64,
        parts: &Value,
        voice: Voice,
        what: &'static str,
        pieces: &mut Vec<Piece>,
    ) {
        let member = if what == "refusal" { what } else { "text" };
        for (index, part) in (0..).zip(parts.as_array().into_iter().flatten()) {
            let Some(whole) = text(part, member).filter(|it| !it.is_empty()) else { continue };
            if what == "refusal" {
                self.refusal.push_str(whole);
            }
            let open = self.open.entry((place, what, index));
            let at = *open.or_insert_with(|| self.speech.open(voice));
            pieces.extend(self.speech.complete(at, whole));
        }
    }

    fn call(&mut self, item: &mut Value) {
        let id = self.ids.give(text(item, "call_id"));
        let input = arguments(text(item, "arguments").unwrap_or_default());
        self.speech.call(id.clone(), text(item, "name").unwrap_or_default().to_owned(), input);
        item["call_id"] = id.into();
    }

    fn end(&mut self, response: &Value, status: &str) -> Vec<Piece> {
        self.note(response);
        let mut pieces = Vec::new();
        for (place, item) in (0..).zip(response["output"].as_array().into_iter().flatten()) {
            pieces.extend(self.item(place, item.clone()));
        }
        for (place, item) in std::mem::take(&mut self.begun) {
            let item = self.put_together(place, item);
            pieces.extend(self.item(place, item));
        }
        self.finish = Some(finish_of(response, text(response, "status").unwrap_or(status)));
        pieces
    }

    /// An item of which only the pieces came.
    fn put_together(&self, place: u64, mut item: Value) -> Value {
        let said = |what: &'static str| {
            let parts = self.open.range((place, what, 0)..=(place, what, u64::MAX));
            parts.map(|(_, at)| self.speech.text(*at)).collect::<Vec<_>>()
        };
        let list = |kind: &str, texts: Vec<&str>| -> Value {
            texts.iter().map(|text| json!({ "type": kind, "text": text })).collect()
        };
        match text(&item, "type").unwrap_or_default() {
            "message" => item["content"] = list("output_text", said("text")),
            "reasoning" => item["summary"] = list("summary_text", said("summary")),
            _ => {}
        }
        item
    }
}

fn usage_of(usage: &Value) -> Option<Usage> {
    let cached = counted(usage, "/input_tokens_details/cached_tokens")?;
    Some(Usage {
        input: must_count(usage, "/input_tokens")?.saturating_sub(cached),
        cached,
        output: must_count(usage, "/output_tokens")?,
        reasoning: counted(usage, "/output_tokens_details/reasoning_tokens")?,
    })
}

/// Codes with which the provider declines, rather than fails.
const DECLINED: [&str; 4] = [
    "invalid_prompt",
    "bio_policy",
    "misalignment_policy_violation",
    "image_content_policy_violation",
];

fn finish_of(response: &Value, status: &str) -> Finish {
    let error = &response["error"];
    match status {
        "completed" => Finish::Done,
        "incomplete" => match text(&response["incomplete_details"], "reason").unwrap_or_default() {
            "max_output_tokens" => Finish::Length,
            "content_filter" => Finish::Refused("content_filter".to_owned()),
            reason => Finish::Other(format!("incomplete: {reason}")),
        },
        "failed" if text(error, "code").is_some_and(|code| DECLINED.contains(&code)) => {
            let code = text(error, "code").unwrap_or_default();
            Finish::Refused(text(error, "message").unwrap_or(code).to_owned())
        }
        "failed" => Finish::Failed(faults::said(Dialect::OpenAiResponses, response)),
        other => Finish::Other(other.to_owned()),
    }
}
