//! The rules of OpenAI's Chat Completions.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Findings, Memory, Rule, check_tool_names, list, schema};

pub fn check(body: &Value, memory: &Memory, found: &mut Findings) {
    found.unless(body["stream"] == true, Rule::Streaming, || "'stream' must be true.".to_owned());
    found.unless(body["stream_options"]["include_usage"] == true, Rule::Streaming, || {
        "'stream_options.include_usage' must be true.".to_owned()
    });
    found.unless(body["store"] != true, Rule::Stateless, || "'store' must not be true.".to_owned());
    check_tools(body, found);
    let messages = list(&body["messages"]);
    check_ends(messages, found);
    for (at, message) in messages.iter().enumerate() {
        check_message(at, message, found);
    }
    check_calls(messages, memory, found);
}

fn check_tools(body: &Value, found: &mut Findings) {
    let tools = list(&body["tools"]);
    check_tool_names(tools.iter().map(|tool| &tool["function"]["name"]), found);
    for tool in tools {
        found.unless(tool["type"] == "function", Rule::Schema, || {
            "Missing required parameter: 'tools[].type'.".to_owned()
        });
        let function = &tool["function"];
        let name = function["name"].as_str().unwrap_or_default();
        schema::openai(name, &function["parameters"], function["strict"] == true, found);
    }
}

fn is_system(message: &Value) -> bool {
    message["role"] == "system" || message["role"] == "developer"
}

/// Many compatible servers take the system's words at the beginning only.
fn check_ends(messages: &[Value], found: &mut Findings) {
    let start = messages.iter().take_while(|message| is_system(message)).count();
    found.unless(
        messages.get(start).is_some_and(|it| it["role"] == "user"),
        Rule::Beginning,
        || "The conversation must begin with a person's words.".to_owned(),
    );
    found.unless(!messages[start..].iter().any(is_system), Rule::Roles, || {
        "System message must be at the beginning.".to_owned()
    });
    let ends = messages.last().is_some_and(|it| it["role"] == "user" || it["role"] == "tool");
    found.unless(ends, Rule::Ending, || "There is nothing to be answered.".to_owned());
}

fn check_message(at: usize, message: &Value, found: &mut Findings) {
    let content = &message["content"];
    let has_words = match content {
        Value::String(text) => !text.is_empty(),
        Value::Array(parts) => {
            !parts.is_empty() && parts.iter().all(|part| part["text"].is_string())
        }
        _ => false,
    };
    let holds = match message["role"].as_str() {
        Some("system" | "developer" | "user") => has_words,
        Some("tool") => (content.is_string() || has_words) && message["tool_call_id"].is_string(),
        Some("assistant") => check_assistant(message, has_words),
        _ => {
            let role = &message["role"];
            return found
                .add(Rule::Roles, format!("Invalid value: {role} at 'messages[{at}].role'."));
        }
    };
    found.unless(holds, Rule::Content, || {
        format!("Invalid value for 'messages[{at}]': expected content of its role's kind.")
    });
}

fn check_assistant(message: &Value, has_words: bool) -> bool {
    let calls = list(&message["tool_calls"]);
    let is_call = |call: &Value| {
        call["type"] == "function"
            && call["id"].is_string()
            && call["function"]["name"].is_string()
            && is_object(&call["function"]["arguments"])
    };
    let no_empty_list =
        message.get("tool_calls").is_none_or(|it| it.is_null() || !calls.is_empty());
    let says_something = has_words || !calls.is_empty() || message["refusal"].is_string();
    no_empty_list && says_something && calls.iter().all(is_call)
}

/// OpenAI takes any text; templates of compatible servers read it and fail.
fn is_object(arguments: &Value) -> bool {
    let read = |text| serde_json::from_str::<Value>(text).is_ok_and(|value| value.is_object());
    arguments.as_str().is_some_and(read)
}

/// Directly behind a message with calls stand the results of exactly these calls.
fn check_calls(messages: &[Value], memory: &Memory, found: &mut Findings) {
    let mut seen = BTreeSet::new();
    let mut open: Vec<&str> = Vec::new();
    for message in messages {
        if message["role"] == "tool" {
            let id = message["tool_call_id"].as_str().unwrap_or_default();
            match open.iter().position(|it| *it == id) {
                Some(at) => drop(open.remove(at)),
                None => found.add(
                    Rule::OrphanResult,
                    format!("messages with role 'tool' must be a response to a preceeding message with 'tool_calls' ({id})."),
                ),
            }
            continue;
        }
        report_open(&mut open, found);
        let calls = list(&message["tool_calls"]);
        for call in calls {
            let id = call["id"].as_str().unwrap_or_default();
            found.unless(seen.insert(id), Rule::DuplicateId, || {
                format!("Duplicate value for 'tool_call_id' of {id}.")
            });
            open.push(id);
        }
        check_echo(calls, memory, found);
    }
    report_open(&mut open, found);
}

fn report_open(open: &mut Vec<&str>, found: &mut Findings) {
    if !open.is_empty() {
        let ids = std::mem::take(open).join(", ");
        let message = "An assistant message with 'tool_calls' must be followed by tool messages \
                       responding to each 'tool_call_id'.";
        let which = "The following tool_call_ids did not have response messages:";
        found.add(Rule::OrphanCall, format!("{message} {which} {ids}"));
    }
}

/// Who repeats one call of an answer repeats all of them, unchanged and in order. Only arguments that
/// nobody can read may become others.
fn check_echo(calls: &[Value], memory: &Memory, found: &mut Findings) {
    let Some(first) = calls.first() else { return };
    let Some(answer) =
        memory.said.iter().find(|said| said.iter().any(|it| it["id"] == first["id"]))
    else {
        return;
    };
    let said_ids: Vec<&Value> = answer.iter().map(|call| &call["id"]).collect();
    let ids: Vec<&Value> = calls.iter().map(|call| &call["id"]).collect();
    for missing in said_ids.iter().filter(|id| !ids.contains(id)) {
        found.add(Rule::Dropped, format!("The call {missing} of the same answer is missing."));
    }
    if said_ids.len() == ids.len() && said_ids != ids && said_ids.iter().all(|id| ids.contains(id))
    {
        found.add(Rule::Order, "The calls of an answer are out of order.");
    }
    for call in calls {
        let said = answer.iter().find(|said| said["id"] == call["id"]);
        let is_same = said.is_none_or(|said| is_repeated(&said["function"], &call["function"]));
        found.unless(is_same, Rule::Changed, || format!("The call {} was changed.", call["id"]));
    }
}

fn is_repeated(said: &Value, function: &Value) -> bool {
    let is_readable = is_object(&said["arguments"]);
    said["name"] == function["name"] && (!is_readable || said["arguments"] == function["arguments"])
}
