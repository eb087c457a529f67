//! Gemini: each rule, broken once.
//!
//! The contents of the second request: 0 words, 1 the answer (thoughts, words, two calls of which the
//! first is signed), 2 the responses.

use musher_testkit::dialects::{Answer, Dialect, Item, Message, Rule, ScriptedEndpoint};
use serde_json::{Value, json};

use crate::client::{
    HTTP, accepts, ask, body, echo, list, refuses, says, second_request, two_answers, without,
};

async fn broken(rule: Rule, fault: impl FnOnce(&mut Value)) {
    refuses(Dialect::Gemini, rule, fault).await;
}

async fn broken_contents(rule: Rule, fault: impl FnOnce(&mut Vec<Value>)) {
    broken(rule, |body| fault(list(&mut body["contents"]))).await;
}

/// Where the first call is among the parts.
fn first_call(content: &Value) -> usize {
    let parts = content["parts"].as_array().unwrap();
    parts.iter().position(|part| part.get("functionCall").is_some()).unwrap()
}

async fn broken_call(rule: Rule, fault: impl FnOnce(&mut Vec<Value>, usize)) {
    broken_contents(rule, |contents| {
        let at = first_call(&contents[1]);
        fault(list(&mut contents[1]["parts"]), at);
    })
    .await;
}

#[tokio::test]
async fn a_correct_client_passes() {
    accepts(Dialect::Gemini, |_| {}).await;
}

/// Nobody signed them.
#[tokio::test]
async fn thoughts_may_go_and_texts_may_be_joined() {
    accepts(Dialect::Gemini, |body| {
        let at = first_call(&body["contents"][1]);
        let parts = list(&mut body["contents"][1]["parts"]);
        let calls = parts.split_off(at);
        *parts = vec![json!({"text": "I read."})];
        parts.extend(calls);
    })
    .await;
}

#[tokio::test]
async fn settings() {
    let endpoint = ScriptedEndpoint::start(Dialect::Gemini, two_answers()).unwrap();
    let body = body(Dialect::Gemini, &[says(Dialect::Gemini, "hello")]);
    let url = crate::client::url(&endpoint).replace("?alt=sse", "");
    let request = HTTP.post(url).header("x-goog-api-key", "k").json(&body);
    assert_eq!(request.send().await.unwrap().status(), 400);
    assert_eq!(endpoint.violations()[0].rule, Rule::Streaming);
    broken(Rule::Content, |body| body["systemInstruction"] = json!({"parts": []})).await;
}

#[tokio::test]
async fn beginning_and_end() {
    broken(Rule::Beginning, |body| body["contents"] = json!([])).await;
    broken_contents(Rule::Beginning, |contents| drop(contents.remove(0))).await;
    broken_contents(Rule::Ending, |contents| drop(contents.pop())).await;
}

#[tokio::test]
async fn roles_and_content() {
    broken_contents(Rule::Roles, |contents| contents[0]["role"] = json!("person")).await;
    let words = json!({"role": "user", "parts": [{"text": "Well?"}]});
    broken_contents(Rule::Roles, |contents| contents.insert(1, words.clone())).await;
    // Behind results, which are alone in their content, words may stand.
    accepts(Dialect::Gemini, |body| list(&mut body["contents"]).push(words)).await;
    broken_contents(Rule::Content, |contents| contents[0]["parts"] = json!([])).await;
    broken_contents(Rule::Content, |contents| contents[0]["parts"] = json!([{"words": "x"}])).await;
    broken_contents(Rule::Content, |contents| {
        contents[2]["parts"][0]["functionResponse"]["response"] = json!("fine");
    })
    .await;
}

#[tokio::test]
async fn an_orphan_call() {
    broken_contents(Rule::OrphanCall, |contents| {
        list(&mut contents[2]["parts"]).pop();
    })
    .await;
    // The responses of one step in two contents.
    broken_contents(Rule::OrphanCall, |contents| {
        let second = list(&mut contents[2]["parts"]).pop().unwrap();
        contents.push(json!({"role": "user", "parts": [second]}));
    })
    .await;
}

#[tokio::test]
async fn an_orphan_result() {
    broken_contents(Rule::OrphanResult, |contents| {
        let parts = list(&mut contents[2]["parts"]);
        parts.push(parts[0].clone());
    })
    .await;
    broken_contents(Rule::OrphanResult, |contents| {
        contents[1]["parts"] = json!([{"text": "no call"}]);
    })
    .await;
    broken_contents(Rule::OrphanResult, |contents| {
        contents[2]["parts"][0]["functionResponse"]["id"] = json!("call_of_nobody");
    })
    .await;
    broken_contents(Rule::OrphanResult, |contents| list(&mut contents[2]["parts"]).swap(0, 1))
        .await;
}

#[tokio::test]
async fn names_of_responses() {
    broken_contents(Rule::ResultName, |contents| {
        contents[2]["parts"][0]["functionResponse"]["name"] = json!("write_file");
    })
    .await;
}

#[tokio::test]
async fn duplicate_ids() {
    broken_call(Rule::DuplicateId, |parts, at| {
        parts[at + 1]["functionCall"]["id"] = parts[at]["functionCall"]["id"].clone();
    })
    .await;
    broken_contents(Rule::DuplicateId, |contents| contents.extend_from_within(1..)).await;
}

#[tokio::test]
async fn a_lost_signature() {
    broken_call(Rule::Foreign, |parts, at| without(&mut parts[at], "thoughtSignature")).await;
}

#[tokio::test]
async fn a_changed_signature() {
    broken_call(Rule::Changed, |parts, at| {
        let signature = parts[at]["thoughtSignature"].as_str().unwrap().replace('+', " ");
        parts[at]["thoughtSignature"] = json!(signature);
    })
    .await;
}

#[tokio::test]
async fn a_signature_in_another_part() {
    broken_call(Rule::Foreign, |parts, at| {
        let signature = parts[at]["thoughtSignature"].take();
        without(&mut parts[at], "thoughtSignature");
        parts[at + 1]["thoughtSignature"] = signature;
    })
    .await;
}

#[tokio::test]
async fn changed_and_dropped_parts() {
    broken_call(Rule::Changed, |parts, at| {
        parts[at]["functionCall"]["args"] = json!({"path": "c.txt"});
    })
    .await;
    broken_contents(Rule::Dropped, |contents| {
        list(&mut contents[1]["parts"]).pop();
        list(&mut contents[2]["parts"]).pop();
    })
    .await;
    broken_call(Rule::Dropped, |parts, at| drop(parts.drain(..at))).await;
}

#[tokio::test]
async fn order() {
    broken_call(Rule::Order, |parts, at| parts.swap(at, at + 1)).await;
}

/// The signature of an answer without calls is in its last part, on an empty text.
#[tokio::test]
async fn the_signature_of_words() {
    let dialect = Dialect::Gemini;
    let answers = [Answer::text("Hello there, all of you."), Answer::text("Bye.")];
    let endpoint = ScriptedEndpoint::start(dialect, answers).unwrap();
    let first = says(dialect, "hello");
    let heard = ask(&endpoint, &body(dialect, std::slice::from_ref(&first))).await;
    let said = echo(dialect, &heard).remove(0);
    assert_eq!(said["parts"].as_array().unwrap().last().unwrap()["text"], "");
    let history = |said: Value| body(dialect, &[first.clone(), said, says(dialect, "bye")]);
    let joined = json!({"role": "model", "parts": [{"text": "Hello there, all of you.",
        "thoughtSignature": said["parts"].as_array().unwrap().last().unwrap()["thoughtSignature"]}]});
    assert_eq!(ask(&endpoint, &history(joined)).await.status, 400, "moved to another part");
    assert_eq!(ask(&endpoint, &history(said)).await.status, 200);
}

#[tokio::test]
async fn calls_of_another_model() {
    let other = ScriptedEndpoint::start(Dialect::Gemini, two_answers()).unwrap();
    let mut body = second_request(&other).await;
    let endpoint = ScriptedEndpoint::start(Dialect::Gemini, two_answers()).unwrap();
    assert_eq!(ask(&endpoint, &body).await.status, 400, "a signature of another model");
    let at = first_call(&body["contents"][1]);
    without(&mut body["contents"][1]["parts"][at], "thoughtSignature");
    assert_eq!(ask(&endpoint, &body).await.status, 400, "unsigned");
    assert!(endpoint.violations().iter().all(|broken| broken.rule == Rule::Foreign));
    let excused = json!("skip_thought_signature_validator");
    body["contents"][1]["parts"][at]["thoughtSignature"] = excused;
    assert_eq!(ask(&endpoint, &body).await.status, 200, "as Google says");
}

#[tokio::test]
async fn calls_without_ids() {
    let call = Item::call("read_file", &json!({"path": "a.txt"}));
    let first = Message { call_ids: false, ..Message::new([call.clone(), call]) };
    let answers = [Answer::Says(first), Answer::text("Fine.")];
    let endpoint = ScriptedEndpoint::start(Dialect::Gemini, answers).unwrap();
    let body = second_request(&endpoint).await;
    assert!(body["contents"][1]["parts"][0]["functionCall"]["id"].is_null());
    assert_eq!(ask(&endpoint, &body).await.status, 200);
}

#[tokio::test]
async fn tools() {
    let function = |body: &mut Value, field: &str, value: Value| {
        body["tools"][0]["functionDeclarations"][0][field] = value;
    };
    broken(Rule::ToolName, |body| function(body, "name", json!("read file"))).await;
    let text = json!({"type": "string"});
    for wrong in [
        json!({"type": "object", "properties": {"a": text}, "additionalProperties": false}),
        json!({"type": "object", "properties": {}}),
        json!({"type": "object", "properties": {"a": text}, "required": ["b"]}),
        json!({"type": "object", "properties": {"a": {"type": ["string", "null"]}}}),
        json!({"type": "object", "properties": {"a": {"$ref": "#/$defs/A"}}}),
    ] {
        broken(Rule::Schema, |body| function(body, "parameters", wrong)).await;
    }
    let full = json!({"type": "object", "properties": {}, "additionalProperties": false});
    broken(Rule::Schema, |body| function(body, "parametersJsonSchema", full)).await;
    broken(Rule::Schema, |body| {
        without(&mut body["tools"][0]["functionDeclarations"][0], "parameters");
        function(body, "parametersJsonSchema", json!({"type": "array"}));
    })
    .await;
    accepts(Dialect::Gemini, |body| {
        without(&mut body["tools"][0]["functionDeclarations"][0], "parameters");
        let full = json!({"type": "object", "properties": {}, "additionalProperties": false});
        function(body, "parametersJsonSchema", full);
    })
    .await;
}
