//! The rules of each dialect, as its provider enforces them: what a body breaks, in words. Knows
//! nothing of the codecs.

use std::collections::BTreeSet;

use musher_runtime::model::codec::Dialect;
use serde_json::Value;

pub fn broken(dialect: Dialect, body: &Value) -> Vec<String> {
    let mut found = Vec::new();
    match dialect {
        Dialect::OpenAiResponses => responses(body, &mut found),
        Dialect::OpenAiChat => chat(body, &mut found),
        Dialect::Gemini => gemini(body, &mut found),
    }
    found
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn must(holds: bool, rule: &str, found: &mut Vec<String>) {
    if !holds {
        found.push(rule.to_owned());
    }
}

fn responses(body: &Value, found: &mut Vec<String>) {
    must(body["store"] == false && body["stream"] == true, "not stored, streamed", found);
    must(list(&body["include"]).contains(&"reasoning.encrypted_content".into()), "include", found);
    must(list(&body["tools"]).iter().all(|it| it["strict"].is_boolean()), "strict is said", found);
    let input = list(&body["input"]);
    let is_user = |item: &Value| item["type"] == "message" && item["role"] == "user";
    must(input.first().is_some_and(is_user), "begins with words", found);
    let last = input.last().unwrap_or(&Value::Null);
    must(is_user(last) || last["type"] == "function_call_output", "asks something", found);
    let (mut open, mut seen, mut answered) = (Vec::new(), BTreeSet::new(), false);
    for (at, item) in input.iter().enumerate() {
        must(item.get("id").is_none() && item.get("status").is_none(), "no id, no status", found);
        match item["type"].as_str().unwrap_or_default() {
            "function_call_output" => {
                answered = true;
                must(item["output"].as_str().is_some_and(|it| !it.is_empty()), "an output", found);
                match open.iter().position(|id| *id == &item["call_id"]) {
                    Some(at) => drop(open.remove(at)),
                    None => found.push("a result without a call".to_owned()),
                }
                continue;
            }
            "function_call" => {
                must(!answered || open.is_empty(), "results stand together", found);
                must(item["arguments"].is_string(), "arguments are text", found);
                must(seen.insert(item["call_id"].to_string()), "an id twice", found);
                open.push(&item["call_id"]);
            }
            "reasoning" => {
                must(item["encrypted_content"].is_string(), "thoughts are encrypted", found);
                let next = input.get(at + 1).unwrap_or(&Value::Null);
                must(!is_user(next) && !next.is_null(), "thoughts lead to something", found);
                must(open.is_empty(), "results behind their calls", found);
            }
            "message" if is_user(item) => {
                must(open.is_empty(), "a call without a result", found);
                must(texts(item, "input_text"), "words of a person", found);
            }
            "message" => must(texts(item, "output_text"), "words of a model", found),
            other => found.push(format!("an item {other}")),
        }
        answered = false;
    }
    must(open.is_empty(), "a call without a result", found);
}

fn texts(item: &Value, kind: &str) -> bool {
    let content = list(&item["content"]);
    let fits = |part: &Value| part["type"] == kind && part["text"].as_str() != Some("");
    !content.is_empty() && content.iter().all(fits)
}

fn chat(body: &Value, found: &mut Vec<String>) {
    must(body["stream_options"]["include_usage"] == true, "the usage is asked for", found);
    let mut messages = list(&body["messages"]);
    if messages.first().is_some_and(|it| it["role"] == "system") {
        messages = &messages[1..];
    }
    must(messages.first().is_some_and(|it| it["role"] == "user"), "begins with words", found);
    let last = messages.last().map(|it| it["role"].as_str().unwrap_or_default());
    must(matches!(last, Some("user" | "tool")), "asks something", found);
    let mut open: Vec<&Value> = Vec::new();
    let mut seen = BTreeSet::new();
    let mut before = "";
    for message in messages {
        let role = message["role"].as_str().unwrap_or_default();
        let has_words = message["content"].as_str().is_some_and(|it| !it.is_empty());
        let calls = list(&message["tool_calls"]);
        if role == "tool" {
            must(has_words, "a result says something", found);
            let is_next = open.first().is_some_and(|id| **id == message["tool_call_id"]);
            must(is_next, "results in the order of their calls", found);
            open.drain(..1.min(open.len()));
        } else {
            must(open.is_empty(), "a call without a result", found);
            must(role != before, "roles take turns", found);
            must(["user", "assistant"].contains(&role), "a known role", found);
            must(has_words || !calls.is_empty(), "a message says something", found);
            must(message["content"].is_string(), "content is text", found);
            must(calls.is_empty() || role == "assistant", "only models call", found);
        }
        for call in calls {
            must(seen.insert(call["id"].to_string()), "an id twice", found);
            let said = call["function"]["arguments"].as_str().unwrap_or_default();
            let object = serde_json::from_str::<Value>(said).is_ok_and(|it| it.is_object());
            must(object, "arguments are an object in text", found);
            must(call["type"] == "function", "a function", found);
            open.push(&call["id"]);
        }
        before = role;
    }
    must(open.is_empty(), "a call without a result", found);
}

fn gemini(body: &Value, found: &mut Vec<String>) {
    let contents = list(&body["contents"]);
    must(contents.first().is_some_and(is_words), "begins with words", found);
    must(contents.last().is_some_and(|it| it["role"] == "user"), "asks something", found);
    for (at, content) in contents.iter().enumerate() {
        let parts = list(&content["parts"]);
        must(!parts.is_empty(), "no empty content", found);
        parts.iter().for_each(|it| gemini_part(it, found));
        let next = contents.get(at + 1).unwrap_or(&Value::Null);
        let calls = inside(content, "functionCall");
        let results = inside(next, "functionResponse");
        gemini_results(&calls, &results, next, found);
        match content["role"].as_str() {
            Some("model") => {
                must(next["role"] == "user", "roles take turns", found);
                let signed = |part: &Value| part["thoughtSignature"].is_string();
                let first = parts.iter().find(|it| it.get("functionCall").is_some());
                must(first.is_none_or(signed), "the first call is signed", found);
            }
            Some("user") if is_words(content) => {
                must(next.is_null() || next["role"] == "model", "words take turns", found);
                must(calls.is_empty(), "only models call", found);
            }
            Some("user") => {
                let only = parts.iter().all(|it| it.get("functionResponse").is_some());
                must(only, "results stand alone", found);
                let again = !inside(next, "functionResponse").is_empty();
                must(!again, "all results in one content", found);
            }
            _ => found.push("a known role".to_owned()),
        }
    }
}

fn is_words(content: &Value) -> bool {
    content["role"] == "user" && list(&content["parts"]).iter().all(|it| it["text"].is_string())
}

fn inside<'a>(content: &'a Value, member: &str) -> Vec<&'a Value> {
    list(&content["parts"]).iter().filter_map(|it| it.get(member)).collect()
}

fn gemini_part(part: &Value, found: &mut Vec<String>) {
    let known = ["text", "thought", "thoughtSignature", "functionCall", "functionResponse"];
    let members = part.as_object().unwrap();
    must(members.keys().all(|it| known.contains(&it.as_str())), "nothing of our own", found);
    let is_empty = part["text"] == "" && part["thoughtSignature"].is_null();
    must(!is_empty, "no empty part", found);
}

fn gemini_results(calls: &[&Value], results: &[&Value], next: &Value, found: &mut Vec<String>) {
    must(calls.len() == results.len(), "as many results as calls", found);
    must(calls.is_empty() || next["role"] == "user", "results directly behind", found);
    for (call, result) in calls.iter().zip(results) {
        must(call["name"] == result["name"], "a result has its call's name", found);
        must(call.get("id") == result.get("id"), "an id if the call had one", found);
        must(result["response"].is_object(), "a response is an object", found);
    }
}
