//! OpenAI's Responses API: each rule, broken once.
//!
//! The input of the second request: 0 words, 1 reasoning, 2 message, 3 and 4 calls, 5 and 6 results.

use musher_testkit::dialects::{Dialect, Rule, ScriptedEndpoint};
use serde_json::{Value, json};

use crate::client::{accepts, ask, list, refuses, second_request, two_answers, without};

async fn broken(rule: Rule, fault: impl FnOnce(&mut Value)) {
    refuses(Dialect::Responses, rule, fault).await;
}

/// Breaks the input alone.
async fn broken_input(rule: Rule, fault: impl FnOnce(&mut Vec<Value>)) {
    broken(rule, |body| fault(list(&mut body["input"]))).await;
}

#[tokio::test]
async fn a_correct_client_passes() {
    accepts(Dialect::Responses, |_| {}).await;
    accepts(Dialect::Responses, |body| without(&mut body["input"][2], "id")).await;
    accepts(Dialect::Responses, |body| list(&mut body["input"]).swap(5, 6)).await;
    // Nothing is stored that an id or a status could mean.
    accepts(Dialect::Responses, |body| {
        for at in 1..5 {
            without(&mut body["input"][at], "id");
        }
        without(&mut body["input"][3], "status");
    })
    .await;
}

#[tokio::test]
async fn settings() {
    broken(Rule::Streaming, |body| body["stream"] = json!(false)).await;
    broken(Rule::Stateless, |body| body["store"] = json!(true)).await;
    broken(Rule::Stateless, |body| without(body, "store")).await;
    broken(Rule::Stateless, |body| body["previous_response_id"] = json!("resp_1")).await;
    broken(Rule::Include, |body| body["include"] = json!([])).await;
    broken(Rule::Body, |body| without(body, "model")).await;
}

#[tokio::test]
async fn beginning_and_end() {
    broken(Rule::Beginning, |body| body["input"] = json!([])).await;
    broken(Rule::Beginning, |body| body["input"] = json!("hello")).await;
    broken_input(Rule::Beginning, |input| drop(input.remove(0))).await;
    broken_input(Rule::Ending, |input| {
        input.push(json!({"role": "assistant", "content": [{"type": "output_text", "text": "x"}]}));
    })
    .await;
}

#[tokio::test]
async fn roles_and_content() {
    broken_input(Rule::Roles, |input| input[0]["role"] = json!("person")).await;
    broken_input(Rule::Content, |input| input[0]["content"][0]["type"] = json!("text")).await;
    broken_input(Rule::Content, |input| input[0]["content"] = json!("")).await;
    broken_input(Rule::Content, |input| input[3]["type"] = json!("tool_use")).await;
    broken_input(Rule::Content, |input| input[3]["id"] = json!("call_1")).await;
    broken_input(Rule::Content, |input| without(&mut input[1], "summary")).await;
    broken_input(Rule::Content, |input| input[5]["output"] = json!({"is": "no text"})).await;
}

#[tokio::test]
async fn an_orphan_call() {
    broken_input(Rule::OrphanCall, |input| drop(input.pop())).await;
    // Words between the results.
    broken_input(Rule::OrphanCall, |input| {
        input.insert(6, json!({"role": "user", "content": "quick!"}));
    })
    .await;
}

#[tokio::test]
async fn an_orphan_result() {
    broken_input(Rule::OrphanResult, |input| input[6]["call_id"] = json!("call_of_nobody")).await;
    broken_input(Rule::OrphanResult, |input| input.push(input[6].clone())).await;
    broken_input(Rule::OrphanResult, |input| input.swap(3, 5)).await;
}

#[tokio::test]
async fn duplicate_ids() {
    broken_input(Rule::DuplicateId, |input| input[4]["id"] = input[3]["id"].clone()).await;
    broken_input(Rule::DuplicateId, |input| input[4]["call_id"] = input[3]["call_id"].clone())
        .await;
}

#[tokio::test]
async fn dropped_reasoning() {
    broken_input(Rule::Dropped, |input| drop(input.remove(1))).await;
}

#[tokio::test]
async fn changed_items() {
    broken_input(Rule::Changed, |input| input[1]["encrypted_content"] = json!("gAAAAABother"))
        .await;
    broken_input(Rule::Changed, |input| input[1]["summary"][0]["text"] = json!("Two file.")).await;
    broken_input(Rule::Changed, |input| input[1]["status"] = json!("completed")).await;
    broken_input(Rule::Changed, |input| input[2]["content"][0]["text"] = json!("I red.")).await;
    broken_input(Rule::Changed, |input| input[3]["arguments"] = json!("{ \"path\": \"a.txt\" }"))
        .await;
    broken_input(Rule::Changed, |input| input[3]["name"] = json!("read")).await;
}

#[tokio::test]
async fn order() {
    // Reasoning behind what belongs to it.
    broken_input(Rule::Order, |input| input.swap(1, 2)).await;
    broken_input(Rule::Order, |input| input.swap(3, 4)).await;
    // Words between reasoning and what belongs to it.
    broken_input(Rule::Order, |input| input.insert(2, json!({"role": "user", "content": "?"})))
        .await;
    // Reasoning whose message was left out.
    broken_input(Rule::Order, |input| drop(input.remove(2))).await;
}

#[tokio::test]
async fn reasoning_of_another_server() {
    broken_input(Rule::Foreign, |input| {
        input[1]["id"] = json!("rs_of_another");
        input[1]["encrypted_content"] = json!("gAAAAABof-another");
    })
    .await;
    broken_input(Rule::Changed, |input| input[1]["id"] = json!("rs_of_another")).await;
    let other = ScriptedEndpoint::start(Dialect::Responses, two_answers()).unwrap();
    let body = second_request(&other).await;
    let endpoint = ScriptedEndpoint::start(Dialect::Responses, two_answers()).unwrap();
    assert_eq!(ask(&endpoint, &body).await.status, 400);
    // Its calls alone are welcome.
    let mut body = body;
    list(&mut body["input"]).remove(1);
    assert_eq!(ask(&endpoint, &body).await.status, 200);
}

#[tokio::test]
async fn tools() {
    let strict = |body: &mut Value, pointer: &str, value: Value| {
        *body.pointer_mut(pointer).unwrap() = value;
    };
    broken(Rule::ToolName, |body| strict(body, "/tools/0/name", json!("read file"))).await;
    broken(Rule::ToolName, |body| {
        let again = body["tools"][0].clone();
        list(&mut body["tools"]).push(again);
    })
    .await;
    let schema = Rule::Schema;
    broken(schema, |body| without(&mut body["tools"][0], "strict")).await;
    broken(schema, |body| strict(body, "/tools/0/type", json!("web_search"))).await;
    broken(schema, |body| strict(body, "/tools/0/parameters/type", json!("array"))).await;
    broken(schema, |body| strict(body, "/tools/0/parameters/required", json!([]))).await;
    broken(schema, |body| without(&mut body["tools"][0]["parameters"], "additionalProperties"))
        .await;
    broken(schema, |body| {
        let inner = json!({"type": "object", "properties": {"x": {"oneOf": []}}});
        body["tools"][0]["parameters"]["properties"]["path"] = inner;
    })
    .await;
    accepts(Dialect::Responses, |body| {
        body["tools"][0]["strict"] = json!(false);
        body["tools"][0]["parameters"]["required"] = json!([]);
    })
    .await;
}
