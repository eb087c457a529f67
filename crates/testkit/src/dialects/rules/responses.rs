//! The rules of OpenAI's Responses API for a client that stores nothing there.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Findings, Memory, Rule, check_tool_names, list, schema};

pub fn check(body: &Value, memory: &Memory, found: &mut Findings) {
    check_settings(body, found);
    check_tools(body, found);
    let Some(input) = body["input"].as_array() else {
        let message = "Invalid type for 'input': expected an array of items.";
        return found.add(Rule::Beginning, message);
    };
    check_ends(input, found);
    for (at, item) in input.iter().enumerate() {
        check_item(at, item, found);
    }
    check_ids(input, found);
    check_calls(input, found);
    check_echo(input, memory, found);
}

fn check_settings(body: &Value, found: &mut Findings) {
    found.unless(body["stream"] == true, Rule::Streaming, || "'stream' must be true.".to_owned());
    found.unless(body["store"] == false, Rule::Stateless, || "'store' must be false.".to_owned());
    let names_earlier = body.get("previous_response_id").is_some_and(|it| !it.is_null());
    found.unless(!names_earlier, Rule::Stateless, || {
        "Previous response cannot be used for this organization due to Zero Data Retention."
            .to_owned()
    });
    let includes = list(&body["include"]).iter().any(|it| it == "reasoning.encrypted_content");
    found.unless(includes, Rule::Include, || {
        "'include' must have 'reasoning.encrypted_content' when nothing is stored.".to_owned()
    });
}

fn check_tools(body: &Value, found: &mut Findings) {
    let tools = list(&body["tools"]);
    check_tool_names(tools.iter().map(|tool| &tool["name"]), found);
    for tool in tools {
        let name = tool["name"].as_str().unwrap_or_default();
        found.unless(tool["type"] == "function", Rule::Schema, || {
            format!("Invalid value: 'tools' holds {}, not a function.", tool["type"])
        });
        let strict = tool["strict"].as_bool();
        found.unless(strict.is_some(), Rule::Schema, || {
            format!("Missing required parameter: 'strict' of function '{name}'.")
        });
        schema::openai(name, &tool["parameters"], strict.unwrap_or(true), found);
    }
}

fn check_ends(input: &[Value], found: &mut Findings) {
    let Some((first, last)) = input.first().zip(input.last()) else {
        return found.add(Rule::Beginning, "Invalid 'input': empty array.");
    };
    let begins = kind(first) == "message" && first["role"] != "assistant";
    found.unless(begins, Rule::Beginning, || {
        "The conversation must begin with a person's words.".to_owned()
    });
    let ends = kind(last) == "function_call_output"
        || kind(last) == "message" && last["role"] != "assistant";
    found.unless(ends, Rule::Ending, || "There is nothing to be answered.".to_owned());
}

/// A message may come without its type.
fn kind(item: &Value) -> &str {
    item["type"].as_str().unwrap_or(if item["role"].is_string() { "message" } else { "" })
}

fn check_item(at: usize, item: &Value, found: &mut Findings) {
    let wanted: &[&str] = match kind(item) {
        "message" => return check_message(at, item, found),
        "function_call" => &["call_id", "name", "arguments"],
        "function_call_output" => &["call_id", "output"],
        "reasoning" => {
            found.unless(item["summary"].is_array(), Rule::Content, || missing(at, "summary"));
            &["encrypted_content"]
        }
        other => {
            let message = format!("Invalid value: '{other}'. Unknown type of 'input[{at}]'.");
            return found.add(Rule::Content, message);
        }
    };
    for field in wanted {
        found.unless(item[field].is_string(), Rule::Content, || missing(at, field));
    }
}

fn missing(at: usize, field: &str) -> String {
    format!("Missing required parameter: 'input[{at}].{field}'.")
}

fn check_message(at: usize, item: &Value, found: &mut Findings) {
    let allowed: &[&str] = match item["role"].as_str() {
        Some("assistant") => &["output_text", "refusal"],
        Some("user" | "system" | "developer") => &["input_text"],
        _ => {
            let message =
                format!("Invalid value: {}. Unknown role at 'input[{at}]'.", item["role"]);
            return found.add(Rule::Roles, message);
        }
    };
    let is_text = item["content"].as_str().is_some_and(|text| !text.is_empty());
    let parts = list(&item["content"]);
    let are_parts = !parts.is_empty()
        && parts.iter().all(|part| part["type"].as_str().is_some_and(|it| allowed.contains(&it)));
    found.unless(is_text || are_parts, Rule::Content, || {
        format!("Invalid value: 'input[{at}].content'. Supported values are {allowed:?}.")
    });
}

fn check_ids(input: &[Value], found: &mut Findings) {
    let mut seen = BTreeSet::new();
    for (at, item) in input.iter().enumerate() {
        let Some(id) = item["id"].as_str() else { continue };
        found.unless(seen.insert(id), Rule::DuplicateId, || {
            format!("Duplicate item found with id {id}. Remove duplicate items from your input and try again.")
        });
        let prefix = match kind(item) {
            "function_call" => "fc",
            "reasoning" => "rs",
            "message" => "msg",
            _ => continue,
        };
        found.unless(id.starts_with(prefix), Rule::Content, || {
            format!("Invalid 'input[{at}].id': '{id}'. Expected an ID that begins with '{prefix}'.")
        });
    }
}

/// Results stand directly behind the calls of their answer.
fn check_calls(input: &[Value], found: &mut Findings) {
    let mut seen = BTreeSet::new();
    let mut open: Vec<&str> = Vec::new();
    let mut results_begun = false;
    for item in input {
        let id = item["call_id"].as_str().unwrap_or_default();
        match kind(item) {
            "function_call_output" => {
                results_begun = true;
                match open.iter().position(|it| *it == id) {
                    Some(at) => drop(open.remove(at)),
                    None => found.add(
                        Rule::OrphanResult,
                        format!("No tool call found for function call output with call_id {id}."),
                    ),
                }
            }
            other => {
                let is_next = results_begun || other == "message" && item["role"] != "assistant";
                if is_next {
                    report_open(&mut open, found);
                    results_begun = false;
                }
                if other == "function_call" {
                    found.unless(seen.insert(id), Rule::DuplicateId, || {
                        format!("Duplicate function call with call_id {id}.")
                    });
                    open.push(id);
                }
            }
        }
    }
    report_open(&mut open, found);
}

fn report_open(open: &mut Vec<&str>, found: &mut Findings) {
    for id in open.drain(..) {
        found.add(Rule::OrphanCall, format!("No tool output found for function call {id}."));
    }
}

/// What this server said is repeated as it was: whoever repeats an answer's call or reasoning repeats
/// all of the answer's reasoning, unchanged and in its place.
fn check_echo(input: &[Value], memory: &Memory, found: &mut Findings) {
    for (at, item) in input.iter().enumerate() {
        match kind(item) {
            "reasoning" => check_reasoning(at, item, input, memory, found),
            "function_call" => check_call(at, item, input, memory, found),
            "message" if item["role"] == "assistant" => {
                check_words(at, item, input, memory, found);
            }
            _ => {}
        }
    }
}

/// The answer that holds an item with this field's value, and where.
fn remembered<'a>(memory: &'a Memory, field: &str, item: &Value) -> Option<(&'a [Value], usize)> {
    let id = item[field].as_str()?;
    memory.said.iter().find_map(|answer| {
        let at = answer.iter().position(|said| said[field] == id)?;
        Some((answer.as_slice(), at))
    })
}

fn check_reasoning(
    at: usize,
    item: &Value,
    input: &[Value],
    memory: &Memory,
    found: &mut Findings,
) {
    let known = remembered(memory, "encrypted_content", item);
    let Some((answer, place)) = known.or_else(|| remembered(memory, "id", item)) else {
        return found.add(Rule::Foreign, unverified(item));
    };
    let said = &answer[place];
    if said["encrypted_content"] != item["encrypted_content"] {
        found.add(Rule::Changed, unverified(item));
    } else if !is_unchanged(said, item) {
        found.add(Rule::Changed, format!("The reasoning item {} was changed.", said["id"]));
    }
    let follows = match (answer.get(place + 1), input.get(at + 1)) {
        (Some(wanted), Some(next)) => is_same(wanted, next),
        _ => false,
    };
    found.unless(follows, Rule::Order, || {
        let id = item["id"].as_str().unwrap_or_default();
        format!("Item '{id}' of type 'reasoning' was provided without its required following item.")
    });
}

/// All fields are as they were. Only what names the item may be left out: with `store: false` nothing
/// is found by it.
fn is_unchanged(said: &Value, item: &Value) -> bool {
    let mut wanted = said.clone();
    if let Some(fields) = wanted.as_object_mut() {
        fields
            .retain(|name, _| !["id", "status"].contains(&name.as_str()) || !item[name].is_null());
    }
    wanted == *item
}

/// Whether an item repeats a said one, by what tells it apart: its content has a rule of its own.
fn is_same(said: &Value, item: &Value) -> bool {
    let field = match said["type"].as_str() {
        Some("function_call") => "call_id",
        Some("reasoning") => "encrypted_content",
        _ => "id",
    };
    // A message may be repeated without its id.
    let is_nameless =
        said["role"] == "assistant" && item["role"] == "assistant" && item["id"].is_null();
    said["type"] == kind(item) && (is_nameless || said[field] == item[field])
}

fn unverified(item: &Value) -> String {
    let secret = item["encrypted_content"].as_str().unwrap_or_default();
    let start: String = secret.chars().take(4).collect();
    format!("The encrypted content {start}... for item {} could not be verified.", item["id"])
}

fn check_call(at: usize, item: &Value, input: &[Value], memory: &Memory, found: &mut Findings) {
    let Some((answer, place)) = remembered(memory, "call_id", item) else { return };
    let said = &answer[place];
    for field in ["name", "arguments"] {
        found.unless(said[field] == item[field], Rule::Changed, || {
            format!("The {field} of function call {} were changed.", item["call_id"])
        });
    }
    check_before(at, &answer[..place], item, input, found);
}

fn check_words(at: usize, item: &Value, input: &[Value], memory: &Memory, found: &mut Findings) {
    let Some((answer, place)) = remembered(memory, "id", item) else { return };
    found.unless(answer[place]["content"] == item["content"], Rule::Changed, || {
        format!("The content of message {} was changed.", item["id"])
    });
    check_before(at, &answer[..place], item, input, found);
}

/// The reasoning and the calls that the answer had before this item are there, before it.
fn check_before(at: usize, before: &[Value], item: &Value, input: &[Value], found: &mut Findings) {
    for said in before.iter().filter(|said| said["type"] != "message") {
        let kind = said["type"].as_str().unwrap_or_default();
        match input.iter().position(|it| is_same(said, it)) {
            Some(place) => found
                .unless(place < at, Rule::Order, || format!("Item {} comes too late.", said["id"])),
            None => {
                let required = format!("its required '{kind}' item: {}", said["id"]);
                let message = format!("Item {} was provided without {required}.", item["id"]);
                found.add(Rule::Dropped, message);
            }
        }
    }
}
