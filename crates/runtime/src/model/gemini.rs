//! Gemini's `streamGenerateContent`: <https://ai.google.dev/api/generate-content>, as the types of
//! `google-genai` 3.4.0 (November 2026) have it.
//!
//! An item is a part of the model's content. All of them are repeated as they came and where they were,
//! thoughts included: that is what <https://ai.google.dev/gemini-api/docs/thought-signatures> asks for
//! and Google's libraries do. Gemini 3 refuses a call without the signature that it came with, so the
//! calls of another model are told in words, and their results as well.

mod reader;

use musher_protocol::Effort;
use serde_json::{Map, Value, json};

use super::{
    codec::{Ask, Codec, Dialect, Reader},
    conversation::Part,
    speech::{object, text},
    turns::{CallResult, StepTurn, Turn, turns},
    wishes::word,
};
use crate::ToolSpec;

/// The id of a call that came without one: Musher's own, which the provider is never sent.
const OUR_ID: &str = "musherCallId";

pub struct Gemini;

impl Codec for Gemini {
    fn dialect(&self) -> Dialect {
        Dialect::Gemini
    }

    fn path(&self, model: &str) -> String {
        let resource = if model.contains('/') { "" } else { "models/" };
        format!("/{resource}{}:streamGenerateContent?alt=sse", escaped(model))
    }

    fn body(&self, ask: &Ask<'_>) -> Value {
        let mut contents = Contents::default();
        for turn in turns(ask, self.dialect()) {
            match turn {
                Turn::User(texts) => contents.say("user", texts.into_iter().map(words)),
                Turn::Step(turn) if turn.is_native => native(&turn, &mut contents),
                Turn::Step(turn) => foreign(&turn, &mut contents),
            }
        }
        let mut body = json!({ "contents": contents.list });
        if !ask.instructions.is_empty() {
            body["systemInstruction"] = json!({ "parts": [words(ask.instructions)] });
        }
        if !ask.tools.is_empty() {
            let declarations: Vec<Value> = ask.tools.iter().map(tool).collect();
            body["tools"] = json!([{ "functionDeclarations": declarations }]);
        }
        if let Some(config) = generation(ask) {
            body["generationConfig"] = config;
        }
        body
    }

    fn reader(&self) -> Box<dyn Reader> {
        Box::new(reader::GeminiReader::default())
    }

    fn parts(&self, items: &[Value]) -> Vec<Part> {
        items.iter().filter_map(part_of).collect()
    }

    fn has_thoughts(&self, item: &Value) -> bool {
        is_thought(item) || item.get("thoughtSignature").is_some()
    }

    fn opaque<'a>(&self, item: &'a Value) -> Vec<(&'static str, &'a str)> {
        const MEMBER: &str = "thoughtSignature";
        text(item, MEMBER).map(|it| (MEMBER, it)).into_iter().collect()
    }

    fn items<'a>(&self, body: &'a Value) -> Vec<&'a Value> {
        let contents = body["contents"].as_array().into_iter().flatten();
        contents.filter_map(|content| content["parts"].as_array()).flatten().collect()
    }
}

/// As part of a path.
fn escaped(model: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/@".contains(&byte);
    model.bytes().fold(String::new(), |path, byte| match plain(byte) {
        true => path + char::from(byte).encode_utf8(&mut [0; 4]),
        false => format!("{path}%{byte:02X}"),
    })
}

fn generation(ask: &Ask<'_>) -> Option<Value> {
    let mut thinking = Map::new();
    if thinks(ask.model) {
        thinking.insert("includeThoughts".to_owned(), true.into());
    }
    if let Some(effort) = ask.manner.effort {
        let (name, value) = thinking_effort(ask.model, effort, ask.manner.max_tokens);
        thinking.insert(name.to_owned(), value);
    }
    let mut config = Map::new();
    if !thinking.is_empty() {
        config.insert("thinkingConfig".to_owned(), thinking.into());
    }
    if let Some(tokens) = ask.manner.max_tokens {
        config.insert("maxOutputTokens".to_owned(), tokens.into());
    }
    (!config.is_empty()).then(|| config.into())
}

/// Gemini 3 and later take a level, those before a budget of tokens: what Google's own OpenAI dialect
/// makes of the same words (<https://ai.google.dev/gemini-api/docs/openai#thinking>, November 2026).
/// Thoughts count as part of the answer: half of what it may have is kept for its words.
fn thinking_effort(model: &str, effort: Effort, most: Option<u32>) -> (&'static str, Value) {
    let name = model.rsplit('/').next().unwrap_or(model);
    if !["gemini-1", "gemini-2"].iter().any(|old| name.starts_with(old)) {
        return ("thinkingLevel", word(effort).to_uppercase().into());
    }
    let budget = match effort {
        Effort::Low => 1_024,
        Effort::Medium => 8_192,
        Effort::High => 24_576,
    };
    let most = most.map_or(budget, |most| most / 2);
    ("thinkingBudget", budget.min(most).into())
}

/// The models that cannot think refuse the question for thoughts.
fn thinks(model: &str) -> bool {
    let name = model.rsplit('/').next().unwrap_or(model);
    !["gemini-1", "gemini-2.0", "gemma", "learnlm"].iter().any(|old| name.starts_with(old))
}

fn tool(spec: &ToolSpec) -> Value {
    let mut declaration = json!({ "name": spec.name, "description": spec.description });
    let properties = spec.parameters.get("properties").and_then(Value::as_object);
    // A function without parameters has no schema either.
    if properties.is_some_and(|it| !it.is_empty()) {
        let mut schema = spec.parameters.clone();
        schema.as_object_mut().map(|members| members.remove("$schema"));
        declaration["parametersJsonSchema"] = schema;
    }
    declaration
}

/// Contents whose roles take turns. Results stay alone in theirs: their number must be the number of
/// the calls before.
#[derive(Default)]
struct Contents {
    list: Vec<Value>,
    is_open: bool,
}

impl Contents {
    fn say(&mut self, role: &str, parts: impl IntoIterator<Item = Value>) {
        let mut parts: Vec<Value> = parts.into_iter().collect();
        if parts.is_empty() {
            return;
        }
        let last =
            self.list.last_mut().filter(|last| self.is_open && text(last, "role") == Some(role));
        match last.and_then(|last| last.get_mut("parts")).and_then(Value::as_array_mut) {
            Some(known) => known.append(&mut parts),
            None => self.list.push(json!({ "role": role, "parts": parts })),
        }
        self.is_open = true;
    }

    fn answer(&mut self, results: Vec<Value>) {
        if !results.is_empty() {
            self.list.push(json!({ "role": "user", "parts": results }));
            self.is_open = false;
        }
    }
}

fn words(text: &str) -> Value {
    json!({ "text": text })
}

fn native(turn: &StepTurn<'_>, contents: &mut Contents) {
    let items = &turn.step.items;
    let calls: Vec<&Value> = items.iter().filter_map(|it| it.get("functionCall")).collect();
    contents.say("model", items.iter().filter(|it| it.is_object()).map(repeated));
    contents
        .answer(turn.results.iter().map(|it| response(it, calls.get(it.place).copied())).collect());
}

fn repeated(item: &Value) -> Value {
    let mut part = item.clone();
    part.as_object_mut().map(|members| members.remove(OUR_ID));
    part
}

/// A result has its call's name, and its id if the call had one.
fn response(result: &CallResult<'_>, call: Option<&Value>) -> Value {
    let mut members = Map::new();
    if let Some(id) = call.and_then(|call| text(call, "id")) {
        members.insert("id".to_owned(), id.into());
    }
    members.insert("name".to_owned(), result.name.into());
    let key = if result.is_error { "error" } else { "output" };
    members.insert("response".to_owned(), json!({ key: result.text }));
    json!({ "functionResponse": members })
}

fn foreign(turn: &StepTurn<'_>, contents: &mut Contents) {
    let said = turn.step.parts.iter().filter_map(|part| match part {
        Part::Text(text) if text.trim().is_empty() => None,
        Part::Text(text) => Some(words(text)),
        Part::Call { name, input, .. } => {
            Some(words(&format!("[An earlier model used the tool {name} with {input}]")))
        }
    });
    contents.say("model", said);
    contents.say(
        "user",
        turn.results.iter().map(|result| {
            let what = if result.is_error { "failed" } else { "gave" };
            words(&format!("[The tool {} {what}]\n{}", result.name, result.text))
        }),
    );
}

fn part_of(item: &Value) -> Option<Part> {
    if let Some(call) = item.get("functionCall") {
        let id = text(item, OUR_ID).or_else(|| text(call, "id")).unwrap_or_default();
        return Some(Part::Call {
            id: id.to_owned(),
            name: text(call, "name").unwrap_or_default().to_owned(),
            input: object(call["args"].clone()).unwrap_or_default(),
        });
    }
    let said = text(item, "text").filter(|it| !it.is_empty() && !is_thought(item))?;
    Some(Part::Text(said.to_owned()))
}

fn is_thought(part: &Value) -> bool {
    part.get("thought").and_then(Value::as_bool) == Some(true)
}
