//! The scripted model as a client sees it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use musher_testkit::ScriptedModel;
use serde_json::{Value, json};

async fn ask(model: &ScriptedModel, messages: Value, stream: bool) -> reqwest::Response {
    let body = json!({
        "model": "m", "stream": stream, "messages": messages, "tools": [{"name": "Write"}],
        "system": "Primary working directory: /the/folder\n",
    });
    reqwest::Client::new()
        .post(format!("{}/v1/messages?beta=true", model.url()))
        .json(&body)
        .send()
        .await
        .unwrap()
}

fn user(text: &str) -> Value {
    json!({"role": "user", "content": text})
}

#[tokio::test]
async fn steps_follow_the_conversation() {
    let model = ScriptedModel::start().unwrap();
    let first: Value =
        ask(&model, json!([user("[[model:write]]")]), false).await.json().await.unwrap();
    assert_eq!(first["content"][1]["input"]["file_path"], "/the/folder/new.txt");
    assert_eq!(first["stop_reason"], "tool_use");
    let more =
        json!([user("[[model:write]]"), {"role": "assistant", "content": "x"}, user("result")]);
    let second: Value = ask(&model, more, false).await.json().await.unwrap();
    assert_eq!(second["content"][0]["text"], "The writing is over.");
    let steps: Vec<_> =
        model.requests().into_iter().map(|request| request.scenario.unwrap().1).collect();
    assert_eq!(steps, [0, 1]);
}

#[tokio::test]
async fn streams_a_message_as_events() {
    let model = ScriptedModel::start().unwrap();
    let text = ask(&model, json!([user("[[model:hello]]")]), true).await.text().await.unwrap();
    let names: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("event: ")).collect();
    assert_eq!(names.first(), Some(&"message_start"));
    assert_eq!(names.last(), Some(&"message_stop"));
    assert!(text.contains("text_delta"));
}

#[tokio::test]
async fn refuses_cuts_and_hangs() {
    let model = ScriptedModel::start().unwrap();
    let refused = ask(&model, json!([user("[[model:rate_limited]]")]), true).await;
    assert_eq!(
        (refused.status().as_u16(), refused.headers()["retry-after"].to_str().unwrap()),
        (429, "7200")
    );
    let cut = ask(&model, json!([user("[[model:cut]]")]), true).await;
    assert!(cut.text().await.is_err(), "the body ends in an error");
    let hanging = ask(&model, json!([user("[[model:hang]]")]), true).await;
    let waited = tokio::time::timeout(std::time::Duration::from_millis(300), hanging.text()).await;
    assert!(waited.is_err(), "the body never ends");
}
