//! Reads the chunks of a streamed answer of Gemini. Pieces of one text become one part again; a part
//! with a signature, or with anything but text, stays as it is and where it is.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{
    super::{
        codec::{Answer, Dialect, Fault, FaultKind, Finish, Piece, Reader, Usage},
        faults,
        speech::{self, CallIds, Speech, Voice, counted, grow, must_count, object, text, tokens},
    },
    OUR_ID, is_thought,
};

#[derive(Default)]
pub(super) struct GeminiReader {
    speech: Speech,
    parts: Vec<Value>,
    ids: CallIds,
    finish: Option<Finish>,
    /// Nothing after this counts: an error, or OpenAI's word for the end.
    over: bool,
    /// Whether there was a candidate, and whether a chunk came without any.
    candidate: bool,
    without: bool,
    usage: Option<Usage>,
    model: Option<String>,
}

impl Reader for GeminiReader {
    fn avoid(&mut self, taken: BTreeSet<String>) {
        self.ids.avoid(taken);
    }

    fn read(&mut self, data: &str) -> Result<Vec<Piece>, String> {
        if data.trim() == "[DONE]" {
            self.over |= self.finish.is_some();
        }
        if self.over || data.trim().is_empty() || data.trim() == "[DONE]" {
            return Ok(Vec::new());
        }
        let chunk = speech::json(data)?;
        if chunk.get("error").or_else(|| chunk.pointer("/0/error")).is_some() {
            self.finish = Some(Finish::Failed(faults::said(Dialect::Gemini, &chunk)));
            self.over = true;
            return Ok(Vec::new());
        }
        Ok(self.chunk(&chunk))
    }

    /// Google says no end: a chunk with a reason may be followed by more, and by the usage.
    fn is_done(&self) -> bool {
        self.over
    }

    fn may_end(&self) -> bool {
        self.finish.is_some()
    }

    fn usage(&self) -> Option<Usage> {
        self.usage
    }

    fn answer(self: Box<Self>) -> Answer {
        let nothing = if self.without && !self.candidate { Finish::Empty } else { Finish::Cut };
        let finish = self.finish.unwrap_or(nothing);
        self.speech.answer(self.parts, finish, self.usage, self.model)
    }
}

impl GeminiReader {
    fn chunk(&mut self, chunk: &Value) -> Vec<Piece> {
        if let Some(model) = text(chunk, "modelVersion").filter(|it| !it.is_empty()) {
            self.model = Some(model.to_owned());
        }
        if let Some(usage) = chunk.get("usageMetadata").filter(|it| it.is_object()) {
            self.usage = usage_of(usage);
        }
        let candidates = chunk.get("candidates").and_then(Value::as_array);
        let Some(candidate) = candidates.into_iter().flatten().find(|it| tokens(it, "/index") == 0)
        else {
            let told = ["candidates", "usageMetadata", "promptFeedback"];
            self.without |= told.iter().any(|member| chunk.get(member).is_some());
            if let Some(blocked) = blocked(chunk) {
                self.finish = Some(blocked);
            }
            return Vec::new();
        };
        self.candidate = true;
        let mut pieces = Vec::new();
        for part in candidate["content"]["parts"].as_array().into_iter().flatten() {
            pieces.extend(self.part(part));
        }
        if let Some(reason) = text(candidate, "finishReason").filter(|it| !it.is_empty()) {
            let finish = finish_of(reason, text(candidate, "finishMessage"));
            // Only a good end can still turn into another one.
            if matches!(self.finish, None | Some(Finish::Done)) {
                self.finish = Some(finish);
            }
        }
        pieces
    }

    fn part(&mut self, part: &Value) -> Option<Piece> {
        if let Some(call) = part.get("functionCall") {
            self.call(part, call);
            return None;
        }
        if !self.continues(part) && !is_nothing(part) {
            self.parts.push(part.clone());
        }
        let voice = if is_thought(part) { Voice::Thinking } else { Voice::Text };
        self.speech.say(voice, text(part, "text")?)
    }

    /// Adds a piece of text to the part before, if both are nothing but text.
    fn continues(&mut self, part: &Value) -> bool {
        let Some(last) = self.parts.last_mut() else { return false };
        if !(is_plain(last) && is_plain(part) && is_thought(last) == is_thought(part)) {
            return false;
        }
        let (Some(said), Some(more)) = (last.get_mut("text"), text(part, "text")) else {
            return false;
        };
        grow(said, more);
        true
    }

    fn call(&mut self, part: &Value, call: &Value) {
        let said = text(call, "id");
        let id = self.ids.give(said);
        let mut item = part.clone();
        if said != Some(&id) {
            item[OUR_ID] = id.clone().into();
        }
        self.parts.push(item);
        let name = text(call, "name").unwrap_or_default().to_owned();
        self.speech.call(id, name, object(call["args"].clone()));
    }
}

/// Nothing but text, said or thought.
fn is_plain(part: &Value) -> bool {
    part.as_object().is_some_and(|members| {
        members.contains_key("text") && members.keys().all(|it| it == "text" || it == "thought")
    })
}

/// A request with an empty part is refused.
fn is_nothing(part: &Value) -> bool {
    match part.as_object() {
        Some(members) if members.is_empty() => true,
        Some(_) => is_plain(part) && text(part, "text") == Some(""),
        None => true,
    }
}

/// Cached tokens are part of the prompt's; thoughts and what Google's own tools read are beside.
fn usage_of(usage: &Value) -> Option<Usage> {
    let cached = counted(usage, "/cachedContentTokenCount")?;
    let prompt = must_count(usage, "/promptTokenCount")?;
    let reasoning = counted(usage, "/thoughtsTokenCount")?;
    Some(Usage {
        input: prompt
            .saturating_add(counted(usage, "/toolUsePromptTokenCount")?)
            .saturating_sub(cached),
        cached,
        output: counted(usage, "/candidatesTokenCount")?.saturating_add(reasoning),
        reasoning,
    })
}

/// A prompt that is blocked has no candidates.
fn blocked(chunk: &Value) -> Option<Finish> {
    let feedback = chunk.get("promptFeedback")?;
    let reason = text(feedback, "blockReason").filter(|it| !it.is_empty())?;
    Some(Finish::Refused(with_words(reason, text(feedback, "blockReasonMessage"))))
}

fn with_words(reason: &str, words: Option<&str>) -> String {
    match words.filter(|it| !it.is_empty()) {
        Some(words) => format!("{reason}: {words}"),
        None => reason.to_owned(),
    }
}

/// The whole list of `FinishReason`.
fn finish_of(reason: &str, words: Option<&str>) -> Finish {
    let said = with_words(reason, words);
    let fault = |said| Finish::Failed(Fault { kind: FaultKind::Refused, message: said });
    match reason {
        "STOP" => Finish::Done,
        "MAX_TOKENS" | "CONTINUATION" => Finish::Length,
        "SAFETY"
        | "RECITATION"
        | "LANGUAGE"
        | "BLOCKLIST"
        | "PROHIBITED_CONTENT"
        | "SPII"
        | "ESCALATION"
        | "MODEL_ARMOR"
        | "IMAGE_SAFETY"
        | "IMAGE_PROHIBITED_CONTENT"
        | "IMAGE_RECITATION" => Finish::Refused(said),
        "MALFORMED_FUNCTION_CALL"
        | "UNEXPECTED_TOOL_CALL"
        | "MALFORMED_RESPONSE"
        | "TOO_MANY_TOOL_CALLS" => Finish::Malformed(said),
        "MISSING_THOUGHT_SIGNATURE" | "PUP_LIMITED_DISABLED" => fault(said),
        // `OTHER`, `IMAGE_OTHER`, `NO_IMAGE`, `FINISH_REASON_UNSPECIFIED`, and what is not known yet.
        _ => Finish::Other(said),
    }
}
