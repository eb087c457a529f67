//! What streams look like, and how scripts choose.

use musher_testkit::dialects::{
    Answer, Dialect, Item, Message, Script, ScriptedEndpoint, TokenCount, agentic,
};
use serde_json::{Value, json};

use crate::client::{ask, body, echo, results, says, words};

async fn first(dialect: Dialect, message: Message) -> Vec<Value> {
    let endpoint = ScriptedEndpoint::start(dialect, [Answer::Says(message)]).unwrap();
    ask(&endpoint, &body(dialect, &[says(dialect, "go")])).await.events
}

fn busy() -> Message {
    let call = |path| Item::call("read_file", &json!({"path": path}));
    Message::new([Item::think("Hm."), Item::text("Words in pieces."), call("a.txt"), call("b.txt")])
}

#[tokio::test]
async fn responses() {
    let events = first(Dialect::Responses, busy()).await;
    let numbers: Vec<u64> =
        events.iter().map(|event| event["sequence_number"].as_u64().unwrap()).collect();
    assert_eq!(numbers, (0..events.len() as u64).collect::<Vec<_>>());
    let kinds = |kind: &str| events.iter().filter(|event| event["type"] == kind).count();
    assert_eq!(kinds("response.output_item.done"), 4);
    assert!(kinds("response.output_text.delta") > 1, "in pieces");
    assert!(kinds("response.function_call_arguments.delta") > 2, "in pieces");
    assert!(kinds("response.reasoning_summary_text.delta") > 0);
    let last = &events.last().unwrap()["response"];
    assert_eq!(
        (&last["status"], &last["output"][0]["type"]),
        (&json!("completed"), &json!("reasoning"))
    );
    let usage = &last["usage"];
    assert_eq!(
        (&usage["input_tokens"], &usage["input_tokens_details"]["cached_tokens"]),
        (&json!(2120), &json!(2000))
    );
}

#[tokio::test]
async fn chat() {
    let events = first(Dialect::Chat, busy()).await;
    assert_eq!(events.last().unwrap(), "[DONE]");
    let usage = &events[events.len() - 2]["usage"];
    assert_eq!(usage["completion_tokens_details"]["reasoning_tokens"], 40);
    let reason = &events[events.len() - 3]["choices"][0]["finish_reason"];
    assert_eq!(reason, "tool_calls");
    let indices: Vec<u64> = events
        .iter()
        .filter_map(|event| event["choices"][0]["delta"]["tool_calls"][0]["index"].as_u64())
        .collect();
    assert!(indices.windows(3).any(|turn| turn == [0, 1, 0]), "in turns: {indices:?}");
}

#[tokio::test]
async fn gemini() {
    let events = first(Dialect::Gemini, busy()).await;
    let parts = |event: &Value| {
        event["candidates"][0]["content"]["parts"].as_array().cloned().unwrap_or_default()
    };
    let parts: Vec<Value> = events.iter().flat_map(parts).collect();
    assert_eq!(parts[0]["thought"], true);
    let calls: Vec<&Value> = parts.iter().filter(|it| it.get("functionCall").is_some()).collect();
    assert!(calls[0]["thoughtSignature"].is_string() && calls[1]["thoughtSignature"].is_null());
    assert_eq!(events.last().unwrap()["candidates"][0]["finishReason"], "STOP");
    let usage = &events.last().unwrap()["usageMetadata"];
    assert_eq!(
        (&usage["candidatesTokenCount"], &usage["thoughtsTokenCount"]),
        (&json!(210), &json!(40))
    );
    let blocked = first(Dialect::Gemini, Message::new([]).ending("block:SAFETY")).await;
    assert_eq!(blocked[0]["promptFeedback"]["blockReason"], "SAFETY");
    assert!(blocked[0].get("candidates").is_none());
}

#[tokio::test]
async fn no_usage_is_no_zero() {
    for dialect in Dialect::ALL {
        let message = Message { usage: None, ..Message::new([Item::text("x")]) };
        let text = json!(first(dialect, message).await).to_string();
        assert!(!text.contains("_tokens") && !text.contains("TokenCount"), "{text}");
        let counted = Message { usage: Some(TokenCount::USUAL), ..Message::new([]) };
        let text = json!(first(dialect, counted).await).to_string();
        assert!(text.contains("_tokens") || text.contains("TokenCount"), "{text}");
    }
}

fn work() -> Script {
    let read = ("read_file", json!({"path": "src/lib.rs"}));
    let tests = ("read_file", json!({"path": "tests/sum.rs"}));
    let edit = ("edit_file", json!({"path": "src/lib.rs", "old": "a - b", "new": "a + b"}));
    let run = ("run_command", json!({"command": "cargo test"}));
    agentic([vec![read, tests], vec![edit], vec![run]], "The test passes.")
}

/// Until the model calls nothing; what it said last.
async fn follow(endpoint: &ScriptedEndpoint, history: &mut Vec<Value>, most: usize) -> String {
    let dialect = endpoint.dialect();
    let mut text = String::new();
    for _ in 0..most {
        let heard = ask(endpoint, &body(dialect, history)).await;
        let echoed = echo(dialect, &heard);
        text = words(&echoed);
        let answers = results(dialect, &echoed);
        history.extend(echoed);
        if answers.is_empty() || answers[0]["parts"] == json!([]) {
            break;
        }
        history.extend(answers);
    }
    text
}

#[tokio::test]
async fn an_agent_works_step_by_step() {
    for dialect in Dialect::ALL {
        let endpoint = ScriptedEndpoint::start(dialect, work()).unwrap();
        let mut history = vec![says(dialect, "Mend the test.")];
        let last = follow(&endpoint, &mut history, 9).await;
        endpoint.check().unwrap();
        assert_eq!(endpoint.turns().len(), 4);
        let done = json!(history).to_string();
        let order = ["tests/sum.rs", "edit_file", "run_command"].map(|it| done.find(it).unwrap());
        assert!(order.is_sorted(), "{order:?}");
        assert!(last.contains("The test passes."), "{last}");
    }
}

/// What is resumed goes on, also behind more requests than steps.
#[tokio::test]
async fn an_agent_goes_on_where_it_was() {
    for dialect in Dialect::ALL {
        let endpoint = ScriptedEndpoint::start(dialect, work()).unwrap();
        let mut history = vec![says(dialect, "Mend the test.")];
        follow(&endpoint, &mut history, 2).await;
        let stored = history.clone();
        follow(&endpoint, &mut history, 1).await;
        history = stored;
        let last = follow(&endpoint, &mut history, 9).await;
        endpoint.check().unwrap();
        assert_eq!(endpoint.turns().len(), 5);
        assert!(last.contains("The test passes."), "{last}");
        history.push(says(dialect, "Once more."));
        let again = follow(&endpoint, &mut history, 1).await;
        assert!(again.contains("I look"), "a new request begins anew: {again}");
    }
}

#[tokio::test]
async fn scripts_see_what_is_asked() {
    let script = Script::by(|asked| {
        Answer::text(if asked.says("left") { "turned left" } else { "went straight" })
    });
    let endpoint = ScriptedEndpoint::start(Dialect::Gemini, script).unwrap();
    for (said, wanted) in [("left, please", "turned left"), ("on", "went straight")] {
        let heard = ask(&endpoint, &body(Dialect::Gemini, &[says(Dialect::Gemini, said)])).await;
        assert!(words(&echo(Dialect::Gemini, &heard)).contains(wanted));
    }
}
