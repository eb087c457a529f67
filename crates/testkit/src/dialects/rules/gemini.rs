//! The rules of Gemini's `streamGenerateContent`, as its thinking models enforce them.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{super::http::Request, Findings, Memory, Rule, check_tool_names, list, schema};

/// What Google's "Thought signatures" page gives for calls that another model made.
const FOR_FOREIGN_CALLS: &[&str] =
    &["skip_thought_signature_validator", "context_engineering_is_the_way_to_go"];

pub fn check(request: &Request, body: &Value, memory: &Memory, found: &mut Findings) {
    let streams = request.query().split('&').any(|pair| pair == "alt=sse");
    found.unless(streams, Rule::Streaming, || "'alt=sse' must be asked for.".to_owned());
    check_tools(body, found);
    if let Some(system) = body.get("systemInstruction") {
        let says = list(&system["parts"]).iter().any(|part| part["text"].is_string());
        found.unless(says, Rule::Content, || "systemInstruction must have text parts.".to_owned());
    }
    let contents = list(&body["contents"]);
    check_turns(contents, found);
    check_parts(contents, found);
    check_calls(contents, found);
    let mut echoed = BTreeSet::new();
    for content in contents.iter().filter(|content| content["role"] == "model") {
        check_echo(list(&content["parts"]), memory, &mut echoed, found);
    }
}

fn check_tools(body: &Value, found: &mut Findings) {
    let declared = list(&body["tools"]).iter().flat_map(|tool| list(&tool["functionDeclarations"]));
    let functions: Vec<&Value> = declared.collect();
    check_tool_names(functions.iter().map(|function| &function["name"]), found);
    for (at, function) in functions.iter().enumerate() {
        let place = format!("tools[0].function_declarations[{at}].parameters");
        let (plain, full) = (function.get("parameters"), function.get("parametersJsonSchema"));
        found.unless(plain.is_none() || full.is_none(), Rule::Schema, || {
            format!("{place}: only one of parameters and parametersJsonSchema may be set.")
        });
        if let Some(plain) = plain {
            schema::gemini(plain, &place, found);
        }
        found.unless(full.is_none_or(|it| it["type"] == "object"), Rule::Schema, || {
            format!("{place}: schema must be of type object.")
        });
    }
}

fn check_turns(contents: &[Value], found: &mut Findings) {
    let is_user = |content: &Value| content["role"] == "user";
    let begins =
        contents.first().is_some_and(|it| is_user(it) && count(it, "functionResponse") == 0);
    found.unless(begins, Rule::Beginning, || {
        "Please ensure that the conversation begins with a user turn.".to_owned()
    });
    found.unless(contents.last().is_some_and(is_user), Rule::Ending, || {
        "Please ensure that single turn requests end with a user role.".to_owned()
    });
    found.unless(
        contents.iter().all(|it| is_user(it) || it["role"] == "model"),
        Rule::Roles,
        || "Please use a valid role: user, model.".to_owned(),
    );
    // Results are alone in their content, so words to go with them are in the next.
    let words_behind_results = |pair: &[Value]| {
        let [first, second] = [0, 1].map(|at| count(&pair[at], "functionResponse"));
        is_user(&pair[0]) && is_user(&pair[1]) && first > 0 && second == 0
    };
    let take_turns = contents
        .windows(2)
        .all(|pair| pair[0]["role"] != pair[1]["role"] || words_behind_results(pair));
    found.unless(take_turns, Rule::Roles, || {
        "Please ensure that multiturn requests alternate between user and model.".to_owned()
    });
}

fn count(content: &Value, field: &str) -> usize {
    list(&content["parts"]).iter().filter(|part| part.get(field).is_some()).count()
}

fn check_parts(contents: &[Value], found: &mut Findings) {
    for (at, content) in contents.iter().enumerate() {
        let parts = list(&content["parts"]);
        found.unless(!parts.is_empty(), Rule::Content, || {
            format!("contents[{at}].parts must not be empty.")
        });
        for (part_at, part) in parts.iter().enumerate() {
            found.unless(is_part(part, &content["role"]), Rule::Content, || {
                let data = "required oneof field 'data' must have one initialized field";
                format!("contents[{at}].parts[{part_at}]: {data} that fits its role.")
            });
        }
    }
}

fn is_part(part: &Value, role: &Value) -> bool {
    let call = &part["functionCall"];
    let response = &part["functionResponse"];
    let is_text = part["text"].is_string();
    let is_call = role == "model" && call["name"].is_string();
    let is_response =
        role == "user" && response["name"].is_string() && response["response"].is_object();
    usize::from(is_text) + usize::from(is_call) + usize::from(is_response) == 1
}

/// The content behind one with calls has all its responses: as many, of the same names, in order, with
/// the ids that the calls have.
fn check_calls(contents: &[Value], found: &mut Findings) {
    let mut seen = BTreeSet::new();
    for (at, content) in contents.iter().enumerate() {
        let calls = fields(content, "functionCall");
        for id in calls.iter().filter_map(|call| call["id"].as_str()) {
            found.unless(seen.insert(id), Rule::DuplicateId, || format!("Duplicate call id {id}."));
        }
        let next =
            contents.get(at + 1).map(|it| fields(it, "functionResponse")).unwrap_or_default();
        if calls.is_empty() {
            found.unless(next.is_empty(), Rule::OrphanResult, || {
                "Please ensure that function response turn comes immediately after a function call \
                 turn."
                    .to_owned()
            });
        } else {
            check_responses(&calls, &next, found);
        }
    }
}

fn fields<'a>(content: &'a Value, field: &str) -> Vec<&'a Value> {
    list(&content["parts"]).iter().filter_map(|part| part.get(field)).collect()
}

fn check_responses(calls: &[&Value], responses: &[&Value], found: &mut Findings) {
    if calls.len() != responses.len() {
        let message = "Please ensure that the number of function response parts is equal to the \
                       number of function call parts of the function call turn.";
        let rule = match calls.len() > responses.len() {
            true => Rule::OrphanCall,
            false => Rule::OrphanResult,
        };
        return found.add(rule, message);
    }
    for (call, response) in calls.iter().zip(responses) {
        found.unless(call["name"] == response["name"], Rule::ResultName, || {
            format!("The response {} answers the call {}.", response["name"], call["name"])
        });
        let is_named = call["id"].is_null() || call["id"] == response["id"];
        found.unless(is_named, Rule::OrphanResult, || {
            format!("The call {} has no response of its id.", call["id"])
        });
    }
}

/// A content with a signature or a call of ours is an answer of ours: all of it is there, unchanged,
/// in order. Calls that are not ours say so in the documented way.
fn check_echo(
    parts: &[Value],
    memory: &Memory,
    echoed: &mut BTreeSet<usize>,
    found: &mut Findings,
) {
    let ours = memory.said.iter().position(|said| said.iter().any(|it| is_mark(it, parts)));
    match ours {
        Some(at) => {
            found.unless(echoed.insert(at), Rule::DuplicateId, || {
                "An answer is there twice.".to_owned()
            });
            compare(&merged(&memory.said[at]), &merged(parts), found);
        }
        None => check_foreign(parts, found),
    }
}

/// Whether one of these parts has what only the said part has: its signature, or its call's id.
fn is_mark(said: &Value, parts: &[Value]) -> bool {
    let (signature, id) = (&said["thoughtSignature"], &said["functionCall"]["id"]);
    parts.iter().any(|part| {
        signature.is_string() && part["thoughtSignature"] == *signature
            || id.is_string() && part["functionCall"]["id"] == *id
    })
}

/// Texts that nobody signed may be joined, and thoughts that nobody signed left out.
fn merged(parts: &[Value]) -> Vec<Value> {
    let mut out: Vec<Value> = Vec::new();
    for part in parts {
        let unsigned = part["thoughtSignature"].is_null();
        if unsigned && part["thought"] == true {
            continue;
        }
        match out.last_mut() {
            Some(last) if unsigned && is_unsigned_text(last) && part["text"].is_string() => {
                let joined = [&last["text"], &part["text"]].map(|it| it.as_str().unwrap_or(""));
                last["text"] = json!(joined.concat());
            }
            _ => out.push(part.clone()),
        }
    }
    out
}

fn is_unsigned_text(part: &Value) -> bool {
    part["text"].is_string() && part["thoughtSignature"].is_null()
}

fn compare(said: &[Value], parts: &[Value], found: &mut Findings) {
    if said == parts {
        return;
    }
    let signatures = |parts: &[Value]| -> Vec<(Value, Value)> {
        let signed = parts.iter().filter(|part| part["thoughtSignature"].is_string());
        signed.map(|part| (part["thoughtSignature"].clone(), bare(part))).collect()
    };
    if let Some(part) = parts.iter().find(|it| said.iter().any(|old| lost_signature(old, it))) {
        let name = &part["functionCall"]["name"];
        let message = "is missing a thought_signature in functionCall parts. This is required for \
                       tools to work correctly.";
        found.add(Rule::Foreign, format!("Function call {name} {message}"));
    } else if parts.len() < said.len() {
        found.add(Rule::Dropped, "Parts of an answer were left out.");
    } else if said.iter().all(|part| parts.contains(part)) {
        found.add(Rule::Order, "Parts of an answer are out of order, or more than there were.");
    } else if signatures(said) != signatures(parts) {
        found.add(Rule::Changed, "Corrupted thought signature.");
    } else {
        found.add(Rule::Changed, "Parts of an answer were changed.");
    }
}

fn bare(part: &Value) -> Value {
    let mut bare = part.clone();
    if let Some(fields) = bare.as_object_mut() {
        fields.remove("thoughtSignature");
    }
    bare
}

fn lost_signature(said: &Value, part: &Value) -> bool {
    said["thoughtSignature"].is_string()
        && said.get("functionCall").is_some()
        && part["thoughtSignature"].is_null()
        && bare(said) == bare(part)
}

fn check_foreign(parts: &[Value], found: &mut Findings) {
    for part in parts {
        let Some(signature) = part["thoughtSignature"].as_str() else { continue };
        found.unless(FOR_FOREIGN_CALLS.contains(&signature), Rule::Foreign, || {
            "Invalid thought signature.".to_owned()
        });
    }
    let first = parts.iter().find(|part| part.get("functionCall").is_some());
    found.unless(first.is_none_or(|it| it["thoughtSignature"].is_string()), Rule::Foreign, || {
        let name = first.map(|part| &part["functionCall"]["name"]).unwrap_or(&Value::Null);
        format!("Function call {name} is missing a thought_signature in functionCall parts.")
    });
}
