//! A correct client of all three dialects, as small as can be.

use std::sync::LazyLock;

use musher_testkit::dialects::{Answer, Dialect, Item, Rule, ScriptedEndpoint};
use serde_json::{Value, json};

pub const KEY: &str = "sk-canary-0123";
pub const MODEL: &str = "scripted-large";

/// To make one takes a while.
pub static HTTP: LazyLock<reqwest::Client> = LazyLock::new(|| {
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none());
    client.pool_max_idle_per_host(0).build().unwrap()
});

pub struct Heard {
    pub status: u16,
    /// The `data` of each event, and `[DONE]` as a string; or the one body of an error.
    pub events: Vec<Value>,
}

pub fn url(endpoint: &ScriptedEndpoint) -> String {
    let path = match endpoint.dialect() {
        Dialect::Responses => "/responses".to_owned(),
        Dialect::Chat => "/chat/completions".to_owned(),
        Dialect::Gemini => format!("/models/{MODEL}:streamGenerateContent?alt=sse"),
    };
    endpoint.base_url() + &path
}

pub fn request(endpoint: &ScriptedEndpoint, body: &Value) -> reqwest::RequestBuilder {
    let request = HTTP.post(url(endpoint)).header("accept", "text/event-stream");
    let request = match endpoint.dialect() {
        Dialect::Gemini => request.header("x-goog-api-key", KEY),
        _ => request.bearer_auth(KEY),
    };
    request.json(body)
}

pub async fn ask(endpoint: &ScriptedEndpoint, body: &Value) -> Heard {
    let response = request(endpoint, body).send().await.unwrap();
    let status = response.status().as_u16();
    let text = response.text().await.unwrap();
    if status != 200 {
        return Heard { status, events: vec![serde_json::from_str(&text).unwrap()] };
    }
    let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
    let read = |data: &str| serde_json::from_str(data).unwrap_or_else(|_| json!(data));
    Heard { status, events: data.map(read).collect() }
}

/// A request of this history.
pub fn body(dialect: Dialect, history: &[Value]) -> Value {
    let path = json!({"type": "string", "description": "A file."});
    let open = json!({"type": "object", "properties": {"path": path}, "required": ["path"]});
    let mut closed = open.clone();
    closed["additionalProperties"] = json!(false);
    let name = "read_file";
    match dialect {
        Dialect::Responses => json!({
            "model": MODEL, "instructions": "Be brief.", "input": history, "stream": true,
            "store": false, "include": ["reasoning.encrypted_content"],
            "tools": [{"type": "function", "name": name, "strict": true, "parameters": closed}],
        }),
        Dialect::Chat => {
            let mut messages = vec![json!({"role": "system", "content": "Be brief."})];
            messages.extend_from_slice(history);
            let function = json!({"name": name, "strict": true, "parameters": closed});
            json!({"model": MODEL, "messages": messages, "stream": true,
                "stream_options": {"include_usage": true},
                "tools": [{"type": "function", "function": function}]})
        }
        Dialect::Gemini => json!({
            "systemInstruction": {"parts": [{"text": "Be brief."}]}, "contents": history,
            "tools": [{"functionDeclarations": [{"name": name, "parameters": open}]}],
        }),
    }
}

pub fn says(dialect: Dialect, text: &str) -> Value {
    match dialect {
        Dialect::Responses => {
            json!({"role": "user", "content": [{"type": "input_text", "text": text}]})
        }
        Dialect::Chat => json!({"role": "user", "content": text}),
        Dialect::Gemini => json!({"role": "user", "parts": [{"text": text}]}),
    }
}

/// What of an answer goes into the next request.
pub fn echo(dialect: Dialect, heard: &Heard) -> Vec<Value> {
    match dialect {
        Dialect::Responses => {
            let done = |event: &&Value| event["type"] == "response.output_item.done";
            heard.events.iter().filter(done).map(|event| event["item"].clone()).collect()
        }
        Dialect::Chat => vec![chat_message(&heard.events)],
        Dialect::Gemini => {
            let parts = |event: &Value| -> Vec<Value> {
                let parts = &event["candidates"][0]["content"]["parts"];
                parts.as_array().cloned().unwrap_or_default()
            };
            let parts: Vec<Value> = heard.events.iter().flat_map(parts).collect();
            vec![json!({"role": "model", "parts": parts})]
        }
    }
}

fn chat_message(events: &[Value]) -> Value {
    let mut text = String::new();
    let mut calls: Vec<Value> = Vec::new();
    for delta in events.iter().map(|event| &event["choices"][0]["delta"]) {
        text.push_str(delta["content"].as_str().unwrap_or_default());
        for piece in delta["tool_calls"].as_array().into_iter().flatten() {
            let at = usize::try_from(piece["index"].as_u64().unwrap()).unwrap();
            if let Some(call) = calls.get_mut(at) {
                let known = call["function"]["arguments"].as_str().unwrap().to_owned();
                let more = piece["function"]["arguments"].as_str().unwrap();
                call["function"]["arguments"] = json!(known + more);
            } else {
                let mut call = piece.clone();
                call.as_object_mut().unwrap().remove("index");
                calls.push(call);
            }
        }
    }
    let mut message = json!({"role": "assistant", "content": text});
    if !calls.is_empty() {
        message["tool_calls"] = json!(calls);
    }
    message
}

/// All texts in what was echoed, joined.
pub fn words(echoed: &[Value]) -> String {
    fn collect(value: &Value, out: &mut String) {
        match value {
            Value::Array(items) => items.iter().for_each(|item| collect(item, out)),
            Value::Object(fields) => {
                out.extend(
                    ["text", "content"].iter().filter_map(|name| fields.get(*name)?.as_str()),
                );
                fields.values().for_each(|field| collect(field, out));
            }
            _ => {}
        }
    }
    let mut out = String::new();
    echoed.iter().for_each(|item| collect(item, &mut out));
    out
}

/// The results of all calls in what was echoed.
pub fn results(dialect: Dialect, echoed: &[Value]) -> Vec<Value> {
    match dialect {
        Dialect::Responses => {
            let calls = echoed.iter().filter(|item| item["type"] == "function_call");
            let result = |call: &Value| {
                json!({"type": "function_call_output",
                "call_id": call["call_id"], "output": "fine"})
            };
            calls.map(result).collect()
        }
        Dialect::Chat => {
            let calls = echoed[0]["tool_calls"].as_array().into_iter().flatten();
            let result = |call: &Value| {
                json!({"role": "tool", "tool_call_id": call["id"],
                "content": "fine"})
            };
            calls.map(result).collect()
        }
        Dialect::Gemini => {
            let parts = echoed[0]["parts"].as_array().unwrap().iter();
            let calls = parts.filter_map(|part| part.get("functionCall"));
            let response = |call: &Value| {
                let mut response = json!({"name": call["name"], "response": {"output": "fine"}});
                if call["id"].is_string() {
                    response["id"] = call["id"].clone();
                }
                json!({"functionResponse": response})
            };
            vec![json!({"role": "user", "parts": calls.map(response).collect::<Vec<_>>()})]
        }
    }
}

/// Thoughts, words and two calls; then words.
pub fn two_answers() -> Vec<Answer> {
    let call = |path| Item::call("read_file", &json!({"path": path}));
    let first = [Item::think("Two files."), Item::text("I read."), call("a.txt"), call("b.txt")];
    vec![Answer::says(first), Answer::text("Both are fine.")]
}

/// A correct second request, behind the first answer.
pub async fn second_request(endpoint: &ScriptedEndpoint) -> Value {
    let dialect = endpoint.dialect();
    let mut history = vec![says(dialect, "Read both files.")];
    let heard = ask(endpoint, &body(dialect, &history)).await;
    assert_eq!(heard.status, 200, "{:?}", heard.events);
    let echoed = echo(dialect, &heard);
    history.extend(echoed.clone());
    history.extend(results(dialect, &echoed));
    body(dialect, &history)
}

/// The second request with a fault is refused, in the provider's shape, for this reason.
pub async fn refuses(dialect: Dialect, rule: Rule, fault: impl FnOnce(&mut Value)) {
    let endpoint = ScriptedEndpoint::start(dialect, two_answers()).unwrap();
    let mut body = second_request(&endpoint).await;
    endpoint.check().unwrap();
    fault(&mut body);
    let heard = ask(&endpoint, &body).await;
    let rules: Vec<Rule> = endpoint.violations().iter().map(|broken| broken.rule).collect();
    assert!(rules.contains(&rule), "{rules:?} {:?}", heard.events);
    assert_eq!(heard.status, 400);
    let error = &heard.events[0]["error"];
    assert_eq!(error["message"], json!(endpoint.violations()[0].message));
    match dialect {
        Dialect::Gemini => assert_eq!(
            (&error["code"], &error["status"]),
            (&json!(400), &json!("INVALID_ARGUMENT"))
        ),
        _ => assert_eq!(error["type"], "invalid_request_error"),
    }
    assert!(endpoint.check().is_err());
}

/// The second request with this change is as good.
pub async fn accepts(dialect: Dialect, change: impl FnOnce(&mut Value)) {
    let endpoint = ScriptedEndpoint::start(dialect, two_answers()).unwrap();
    let mut body = second_request(&endpoint).await;
    change(&mut body);
    let heard = ask(&endpoint, &body).await;
    endpoint.check().unwrap();
    assert_eq!(heard.status, 200);
}

pub fn list(value: &mut Value) -> &mut Vec<Value> {
    value.as_array_mut().unwrap()
}

pub fn without(value: &mut Value, field: &str) {
    value.as_object_mut().unwrap().remove(field).unwrap();
}
