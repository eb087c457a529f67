//! Reads the chunks of a streamed chat completion. The usage comes behind the finish reason, in a
//! chunk without choices, and then `[DONE]`. Servers forget both, and close or fall silent.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::{
    super::{
        codec::{Answer, Dialect, Finish, Piece, Reader, Usage},
        faults,
        speech::{self, CallIds, Speech, Voice, counted, grow, must_count, text, tokens},
    },
    calls::Calls,
    tags::{self, Apart},
};

#[derive(Default)]
pub(super) struct ChatReader {
    speech: Speech,
    calls: Calls,
    ids: CallIds,
    /// As it came, tags included.
    content: String,
    apart: Apart,
    refusal: String,
    /// Members that hold thoughts, as they are to be repeated.
    thoughts: Map<String, Value>,
    finish: Option<Finish>,
    usage: Option<Usage>,
    model: Option<String>,
    done: bool,
}

impl Reader for ChatReader {
    fn avoid(&mut self, taken: BTreeSet<String>) {
        self.ids.avoid(taken);
    }

    fn read(&mut self, data: &str) -> Result<Vec<Piece>, String> {
        if self.done || data.trim().is_empty() {
            return Ok(Vec::new());
        }
        if data.trim() == "[DONE]" {
            self.done = true;
            return Ok(self.rest().into_iter().collect());
        }
        let chunk = speech::json(data)?;
        if is_error(&chunk) {
            return Ok(self.fail(&chunk));
        }
        if let Some(model) = text(&chunk, "model").filter(|it| !it.is_empty()) {
            self.model = Some(model.to_owned());
        }
        if let Some(usage) = chunk.get("usage").filter(|it| it.is_object()) {
            self.usage = usage_of(usage);
        }
        let choices = chunk.get("choices").and_then(Value::as_array);
        let first = choices.into_iter().flatten().find(|it| tokens(it, "/index") == 0);
        Ok(first.map_or_else(Vec::new, |choice| self.choice(choice)))
    }

    fn is_done(&self) -> bool {
        self.done
    }

    /// The usage and `[DONE]` may still come; whoever breaks off before them has said all.
    fn may_end(&self) -> bool {
        self.done || self.finish.is_some()
    }

    fn usage(&self) -> Option<Usage> {
        self.usage
    }

    fn answer(mut self: Box<Self>) -> Answer {
        self.rest();
        if let Some((thought, words)) = tags::unopened(&self.content) {
            self.speech.was_thought(thought, words);
        }
        let made = std::mem::take(&mut self.calls).finish(&mut self.ids);
        let unsaid = if self.done { Finish::Done } else { Finish::Cut };
        let finish = match self.finish.take().unwrap_or(unsaid) {
            Finish::Done if !self.refusal.is_empty() && made.is_empty() => {
                Finish::Refused(std::mem::take(&mut self.refusal))
            }
            finish => finish,
        };
        let mut message = json!({ "role": "assistant", "content": self.content });
        if let Some(members) = message.as_object_mut() {
            members.append(&mut self.thoughts);
        }
        if !made.is_empty() {
            message["tool_calls"] = made.iter().map(|made| made.item.clone()).collect();
        }
        for call in made {
            self.speech.call(call.id, call.name, call.input);
        }
        self.speech.answer(vec![message], finish, self.usage, self.model)
    }
}

fn is_error(value: &Value) -> bool {
    value.get("error").is_some_and(|error| !error.is_null())
        || text(value, "object") == Some("error")
}

impl ChatReader {
    fn fail(&mut self, value: &Value) -> Vec<Piece> {
        self.finish = Some(Finish::Failed(faults::said(Dialect::OpenAiChat, value)));
        self.done = true;
        Vec::new()
    }

    fn choice(&mut self, choice: &Value) -> Vec<Piece> {
        if is_error(choice) {
            return self.fail(choice);
        }
        // Servers that do not stream send the whole message.
        let delta = choice.get("delta").filter(|it| it.is_object()).unwrap_or(&choice["message"]);
        let mut pieces = self.think(delta);
        match &delta["content"] {
            Value::String(content) => pieces.extend(self.content(content)),
            Value::Array(parts) => pieces.extend(parts.iter().flat_map(|it| self.part(it))),
            _ => {}
        }
        if let Some(refusal) = text(delta, "refusal") {
            self.refusal.push_str(refusal);
            pieces.extend(self.speech.say(Voice::Text, refusal));
        }
        for call in delta["tool_calls"].as_array().into_iter().flatten() {
            self.calls.take(call);
        }
        if delta["function_call"].is_object() {
            self.calls.take(&json!({ "function": delta["function_call"] }));
        }
        if let Some(reason) = text(choice, "finish_reason").filter(|it| !it.is_empty()) {
            let native = text(choice, "native_finish_reason");
            self.finish = Some(finish_of(reason, native, !self.calls.is_empty()));
            pieces.extend(self.rest());
        }
        pieces
    }

    fn content(&mut self, said: &str) -> Vec<Piece> {
        self.content.push_str(said);
        let told = self.apart.take(said).into_iter();
        told.filter_map(|(voice, words)| self.speech.say(voice, &words)).collect()
    }

    /// What was held back, because it could have been the beginning of a tag.
    fn rest(&mut self) -> Option<Piece> {
        let (voice, words) = self.apart.finish()?;
        self.speech.say(voice, &words)
    }

    /// Mistral's thinking models send their content in parts.
    fn part(&mut self, part: &Value) -> Vec<Piece> {
        if let Some(said) = text(part, "text") {
            return self.content(said);
        }
        let thoughts = part["thinking"].as_array().into_iter().flatten();
        thoughts.filter_map(|it| self.speech.say(Voice::Thinking, text(it, "text")?)).collect()
    }

    /// The same thought may come in several members; it is shown once and kept in each.
    fn think(&mut self, delta: &Value) -> Vec<Piece> {
        let mut shown = None;
        for member in ["reasoning_content", "reasoning"] {
            let Some(said) = text(delta, member) else { continue };
            grow(self.thoughts.entry(member).or_insert_with(|| "".into()), said);
            shown = shown.or(Some(said).filter(|it| !it.is_empty()));
        }
        let details = delta["reasoning_details"].as_array().map_or(&[][..], Vec::as_slice);
        details.iter().for_each(|detail| self.keep_detail(detail));
        let from_details = || {
            let said = |it| text(it, "text").or_else(|| text(it, "summary"));
            details.iter().filter_map(said).collect::<String>()
        };
        let said = shown.map_or_else(from_details, str::to_owned);
        self.speech.say(Voice::Thinking, &said).into_iter().collect()
    }

    /// OpenRouter's pieces of one thought have one `index`
    /// (<https://openrouter.ai/docs/use-cases/reasoning-tokens>).
    fn keep_detail(&mut self, detail: &Value) {
        let details = self.thoughts.entry("reasoning_details").or_insert_with(|| json!([]));
        let Some(details) = details.as_array_mut() else { return };
        let continued = details.last_mut().filter(|last| {
            detail.get("index").is_some()
                && last.get("index") == detail.get("index")
                && last.get("type") == detail.get("type")
        });
        let (Some(last), Some(members)) =
            (continued.and_then(Value::as_object_mut), detail.as_object())
        else {
            return details.push(detail.clone());
        };
        for (name, value) in members.iter().filter(|(_, value)| !value.is_null()) {
            let grows = ["text", "summary", "data"].contains(&name.as_str());
            match (last.get_mut(name).filter(|_| grows), value.as_str()) {
                (Some(so_far), Some(more)) => grow(so_far, more),
                _ => drop(last.insert(name.clone(), value.clone())),
            }
        }
    }
}

/// The reasons of OpenAI, DeepSeek (`insufficient_system_resource`), Mistral (`model_length`),
/// OpenRouter (`error`, and its upstream's own word), vLLM and SGLang (`abort`). `stop` has many names
/// among local servers; a call that is there whole is the model's wish under any of them.
fn finish_of(reason: &str, native: Option<&str>, has_calls: bool) -> Finish {
    if native.is_some_and(|it| it.eq_ignore_ascii_case("malformed_function_call")) {
        return Finish::Malformed("malformed_function_call".to_owned());
    }
    match reason.to_ascii_lowercase().as_str() {
        "stop" | "tool_calls" | "function_call" | "eos" | "eos_token" | "end_turn" | "tool_use"
        | "stop_sequence" | "completed" => Finish::Done,
        "length" | "max_tokens" | "model_length" | "max_output_tokens" => Finish::Length,
        "content_filter" | "safety" | "refusal" | "sensitive" => Finish::Refused(reason.to_owned()),
        "insufficient_system_resource" | "error" | "abort" | "network_error" => {
            Finish::Failed(faults::stopped(reason))
        }
        _ if has_calls => Finish::Done,
        _ => Finish::Other(reason.to_owned()),
    }
}

/// Cached tokens are part of the prompt's. xAI counts thoughts beside the completion, all others in
/// it: the total tells which.
fn usage_of(usage: &Value) -> Option<Usage> {
    let prompt = must_count(usage, "/prompt_tokens")?;
    let cached = match counted(usage, "/prompt_tokens_details/cached_tokens")? {
        0 => counted(usage, "/prompt_cache_hit_tokens")?,
        cached => cached,
    };
    let completion = must_count(usage, "/completion_tokens")?;
    let reasoning = counted(usage, "/completion_tokens_details/reasoning_tokens")?;
    let both = completion.saturating_add(reasoning);
    let beside = reasoning > 0 && tokens(usage, "/total_tokens") == prompt.saturating_add(both);
    Some(Usage {
        input: prompt.saturating_sub(cached),
        cached,
        output: if beside { both } else { completion },
        reasoning,
    })
}
