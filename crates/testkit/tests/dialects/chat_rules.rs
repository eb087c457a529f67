//! OpenAI's Chat Completions: each rule, broken once.
//!
//! The messages of the second request: 0 system, 1 words, 2 calls, 3 and 4 results.

use musher_testkit::dialects::{Answer, Dialect, Item, Rule, ScriptedEndpoint};
use serde_json::{Value, json};

use crate::client::{accepts, ask, list, refuses, second_request, without};

async fn broken(rule: Rule, fault: impl FnOnce(&mut Value)) {
    refuses(Dialect::Chat, rule, fault).await;
}

async fn broken_messages(rule: Rule, fault: impl FnOnce(&mut Vec<Value>)) {
    broken(rule, |body| fault(list(&mut body["messages"]))).await;
}

#[tokio::test]
async fn a_correct_client_passes() {
    accepts(Dialect::Chat, |_| {}).await;
    accepts(Dialect::Chat, |body| list(&mut body["messages"]).swap(3, 4)).await;
    accepts(Dialect::Chat, |body| body["messages"][2]["content"] = Value::Null).await;
}

#[tokio::test]
async fn settings() {
    broken(Rule::Streaming, |body| without(body, "stream")).await;
    broken(Rule::Streaming, |body| without(body, "stream_options")).await;
    broken(Rule::Stateless, |body| body["store"] = json!(true)).await;
    broken(Rule::Body, |body| body["model"] = json!("")).await;
}

#[tokio::test]
async fn beginning_and_end() {
    broken(Rule::Beginning, |body| body["messages"] = json!([])).await;
    broken_messages(Rule::Beginning, |messages| drop(messages.remove(1))).await;
    broken_messages(Rule::Ending, |messages| {
        messages.push(json!({"role": "assistant", "content": "I said it."}));
    })
    .await;
}

#[tokio::test]
async fn roles_and_content() {
    broken_messages(Rule::Roles, |messages| messages[1]["role"] = json!("model")).await;
    broken_messages(Rule::Roles, |messages| {
        messages.push(json!({"role": "system", "content": "Hurry."}));
        messages.push(json!({"role": "user", "content": "Well?"}));
    })
    .await;
    broken_messages(Rule::Content, |messages| messages[1]["content"] = json!("")).await;
    broken_messages(Rule::Content, |messages| messages[2]["tool_calls"] = json!([])).await;
    broken_messages(Rule::Content, |messages| {
        messages[2]["tool_calls"][0]["function"]["arguments"] = json!({"path": "a.txt"});
    })
    .await;
    broken_messages(Rule::Content, |messages| {
        messages[2]["tool_calls"][0]["function"]["arguments"] = json!("{\"path\": ");
    })
    .await;
    broken_messages(Rule::Content, |messages| without(&mut messages[3], "content")).await;
}

#[tokio::test]
async fn an_orphan_call() {
    broken_messages(Rule::OrphanCall, |messages| drop(messages.pop())).await;
    broken_messages(Rule::OrphanCall, |messages| {
        messages.insert(4, json!({"role": "user", "content": "quick!"}));
    })
    .await;
}

#[tokio::test]
async fn an_orphan_result() {
    broken_messages(Rule::OrphanResult, |messages| {
        messages[3]["tool_call_id"] = json!("call_of_nobody");
    })
    .await;
    broken_messages(Rule::OrphanResult, |messages| messages.push(messages[4].clone())).await;
    broken_messages(Rule::OrphanResult, |messages| messages.swap(2, 3)).await;
}

#[tokio::test]
async fn duplicate_ids() {
    broken_messages(Rule::DuplicateId, |messages| {
        let calls = &mut messages[2]["tool_calls"];
        calls[1]["id"] = calls[0]["id"].clone();
    })
    .await;
}

#[tokio::test]
async fn a_dropped_call() {
    broken_messages(Rule::Dropped, |messages| {
        list(&mut messages[2]["tool_calls"]).pop();
        messages.pop();
    })
    .await;
}

#[tokio::test]
async fn a_changed_call() {
    broken_messages(Rule::Changed, |messages| {
        messages[2]["tool_calls"][0]["function"]["arguments"] = json!("{}");
    })
    .await;
}

/// What cannot be read may become what can.
#[tokio::test]
async fn broken_arguments() {
    let call = Item::Call { name: "read_file".into(), arguments: "{\"path".into() };
    let answers = [Answer::says([call]), Answer::text("Fine.")];
    let endpoint = ScriptedEndpoint::start(Dialect::Chat, answers).unwrap();
    let mut body = second_request(&endpoint).await;
    assert_eq!(ask(&endpoint, &body).await.status, 400);
    body["messages"][2]["tool_calls"][0]["function"]["arguments"] = json!("{}");
    assert_eq!(ask(&endpoint, &body).await.status, 200);
}

#[tokio::test]
async fn order() {
    broken_messages(Rule::Order, |messages| list(&mut messages[2]["tool_calls"]).swap(0, 1)).await;
}

#[tokio::test]
async fn tools() {
    broken(Rule::ToolName, |body| body["tools"][0]["function"]["name"] = json!("")).await;
    broken(Rule::Schema, |body| without(&mut body["tools"][0], "type")).await;
    broken(Rule::Schema, |body| without(&mut body["tools"][0]["function"], "parameters")).await;
    broken(Rule::Schema, |body| {
        let schema = &mut body["tools"][0]["function"]["parameters"];
        schema["properties"]["path"]["default"] = json!("a.txt");
    })
    .await;
    accepts(Dialect::Chat, |body| {
        let function = &mut body["tools"][0]["function"];
        without(function, "strict");
        without(&mut function["parameters"], "additionalProperties");
    })
    .await;
}
