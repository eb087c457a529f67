//! What a request has to be, in each dialect. A broken rule is found by reading the request and what
//! the server said before; nothing here answers.
//!
//! Some rules are the providers' own, with their words; some are Musher's (nothing stored at the
//! provider, an answer repeated whole, words of one role at a time) and said in the same way.

mod chat;
mod gemini;
mod responses;
mod schema;
mod wishes;

use std::{collections::BTreeSet, fmt};

use serde_json::Value;

use super::{Dialect, http::Request};

/// A broken rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    pub rule: Rule,
    /// Where it stands among the recorded requests; counts from 0.
    pub request: usize,
    /// What the provider says to it.
    pub message: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "request {}: {:?}: {}", self.request, self.rule, self.message)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rule {
    /// A key in its header.
    Key,
    /// No key in the address.
    KeyInUrl,
    ContentType,
    Accept,
    /// A JSON object with a model.
    Body,
    /// Streaming is asked for, with usage.
    Streaming,
    /// The provider keeps nothing: `store: false`, no earlier response named.
    Stateless,
    /// Opaque reasoning is asked for.
    Include,
    /// There is something, and it begins with a person's words.
    Beginning,
    /// It ends with something to be answered.
    Ending,
    /// Known roles, and turns where the dialect wants turns.
    Roles,
    /// Items and parts have the fields and types of the dialect.
    Content,
    /// Each call is answered, at once and where it belongs.
    OrphanCall,
    /// Each result answers a call.
    OrphanResult,
    DuplicateId,
    /// A result names its call's function.
    ResultName,
    /// Of a repeated answer nothing is left out.
    Dropped,
    /// Of a repeated answer nothing is changed.
    Changed,
    /// Items of an answer stay in order, and reasoning stays before what it belongs to.
    Order,
    /// Opaque content that this server did not make, or none where some has to be.
    Foreign,
    /// Functions have proper and different names.
    ToolName,
    /// Schemas are what the dialect takes.
    Schema,
    /// Effort and the answer's limit are what the dialect takes.
    Wishes,
}

/// What the server said so far, answer by answer.
#[derive(Debug, Default)]
pub struct Memory {
    pub said: Vec<Vec<Value>>,
}

/// Collects what is broken.
#[derive(Default)]
struct Findings {
    broken: Vec<Violation>,
}

impl Findings {
    fn add(&mut self, rule: Rule, message: impl Into<String>) {
        self.broken.push(Violation { rule, request: 0, message: message.into() });
    }

    fn unless(&mut self, holds: bool, rule: Rule, message: impl FnOnce() -> String) {
        if !holds {
            self.add(rule, message());
        }
    }
}

/// What the headers and the address have to be.
pub fn of_headers(
    dialect: Dialect,
    request: &Request,
    is_turn: bool,
    needs_key: bool,
) -> Vec<Violation> {
    let mut found = Findings::default();
    let key = key_of(dialect, request);
    found.unless(!needs_key || key.is_some_and(|key| !key.is_empty()), Rule::Key, || {
        "You didn't provide an API key.".to_owned()
    });
    let query = request.query();
    let named = query.split('&').any(|pair| {
        ["key=", "api_key=", "api-key=", "access_token="].iter().any(|name| pair.starts_with(name))
    });
    let in_url = key.is_some_and(|key| key.len() > 3 && request.target.contains(key));
    found.unless(!named && !in_url, Rule::KeyInUrl, || "A key is in the address.".to_owned());
    if is_turn {
        let kind = request.header("content-type").unwrap_or_default();
        found.unless(kind.starts_with("application/json"), Rule::ContentType, || {
            format!("Unsupported content type: '{kind}'. Use 'application/json'.")
        });
        let accept = request.header("accept").unwrap_or_default();
        let streams = accept.contains("text/event-stream") || accept.contains("*/*");
        found.unless(streams, Rule::Accept, || format!("'{accept}' takes no event stream."));
    }
    found.broken
}

pub fn key_of(dialect: Dialect, request: &Request) -> Option<&str> {
    match dialect {
        Dialect::Gemini => request.header("x-goog-api-key"),
        _ => request.header("authorization")?.strip_prefix("Bearer "),
    }
}

/// What the body has to be.
pub fn of_body(
    dialect: Dialect,
    request: &Request,
    body: &Value,
    memory: &Memory,
) -> Vec<Violation> {
    let mut found = Findings::default();
    if !body.is_object() {
        found.add(Rule::Body, "We could not parse the JSON body of your request.");
        return found.broken;
    }
    let model = model_of(dialect, request, body);
    found.unless(!model.is_empty(), Rule::Body, || "you must provide a model parameter".to_owned());
    wishes::check(dialect, &model, body, &mut found);
    match dialect {
        Dialect::Responses => responses::check(body, memory, &mut found),
        Dialect::Chat => chat::check(body, memory, &mut found),
        Dialect::Gemini => gemini::check(request, body, memory, &mut found),
    }
    found.broken
}

pub fn model_of(dialect: Dialect, request: &Request, body: &Value) -> String {
    match dialect {
        Dialect::Gemini => {
            let path = request.path().trim_start_matches("/v1beta/models/");
            path.split(':').next().unwrap_or_default().to_owned()
        }
        _ => body["model"].as_str().unwrap_or_default().to_owned(),
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

/// Names of functions: letters, digits, `_` and `-`, at most 64, each once.
fn check_tool_names<'a>(names: impl Iterator<Item = &'a Value>, found: &mut Findings) {
    let mut seen = BTreeSet::new();
    for name in names {
        let name = name.as_str().unwrap_or_default();
        let is_proper = (1..=64).contains(&name.len())
            && name.bytes().all(|it| it.is_ascii_alphanumeric() || it == b'_' || it == b'-');
        found.unless(is_proper, Rule::ToolName, || {
            format!("Invalid function name '{name}': it must match '^[a-zA-Z0-9_-]{{1,64}}$'.")
        });
        found.unless(seen.insert(name), Rule::ToolName, || {
            format!("Duplicate function declaration found: {name}")
        });
    }
}
