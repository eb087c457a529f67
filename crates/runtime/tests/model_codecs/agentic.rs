//! One piece of work in each dialect, whole: the first request, its answer, the second request.

use musher_runtime::model::{
    codec::{Answer, Dialect},
    conversation::{Conversation, Entry},
};
use serde_json::{Value, json};

use super::{body, calls, read, result, scripts::Said, step, user};

/// It thinks, says what it does, and calls two tools at once.
fn first() -> Said {
    Said {
        thought: "The test fails in `größe`. I read the file and run the tests.".to_owned(),
        text: "I look at the failing test first.".to_owned(),
        mark: "b3BhcXVl".to_owned(),
        calls: vec![
            ("call_1".to_owned(), "read_file".to_owned(), json!({ "path": "src/lib.rs" })),
            ("call_2".to_owned(), "run_command".to_owned(), json!({ "command": "cargo test" })),
        ],
    }
}

fn second() -> Said {
    let text = "`größe` returned one too many; it is mended and the tests pass.".to_owned();
    Said { text, mark: "bW9yZQ==".to_owned(), ..Said::default() }
}

fn exchange(dialect: Dialect, model: &str) -> Value {
    let mut talk = Conversation::default();
    talk.say("Mend the failing test.");
    let first_body = body(dialect, model, &talk);
    let answer = read(dialect, &first().events(dialect, &[35, 70]));
    talk.entries.push(step(dialect, model, &answer));
    let ids: Vec<String> = calls(&answer).iter().map(|it| it.0.to_owned()).collect();
    talk.entries.push(result(&ids[1], "test größe ... FAILED"));
    talk.entries.push(result(&ids[0], "1\tpub fn größe() -> u32 { 3 }"));
    talk.entries.push(user("Change nothing but the function."));
    talk.mend();
    talk.check().unwrap();
    let second_body = body(dialect, model, &talk);
    let last = read(dialect, &second().events(dialect, &[50]));
    talk.entries.push(step(dialect, model, &last));
    talk.entries.push(Entry::User { text: "Thanks.".to_owned() });
    talk.check().unwrap();
    json!({
        "1 first request": first_body,
        "2 answer": shown(&answer),
        "3 second request": without_tools(second_body),
        "4 answer": shown(&last),
        "5 third request": without_tools(body(dialect, model, &talk)),
    })
}

/// They are those of the first request.
fn without_tools(mut body: Value) -> Value {
    body.as_object_mut().unwrap().remove("tools");
    body
}

fn shown(answer: &Answer) -> Value {
    let blocks: Vec<String> = answer.blocks.iter().map(|block| format!("{block:?}")).collect();
    json!({
        "items": answer.items,
        "blocks": blocks,
        "finish": format!("{:?}", answer.finish),
        "usage": format!("{:?}", answer.usage),
        "model": answer.model,
    })
}

#[test]
fn responses() {
    insta::assert_json_snapshot!(exchange(Dialect::OpenAiResponses, "gpt-5.5"));
}

#[test]
fn chat() {
    insta::assert_json_snapshot!(exchange(Dialect::OpenAiChat, "deepseek-v4-pro"));
}

#[test]
fn gemini() {
    insta::assert_json_snapshot!(exchange(Dialect::Gemini, "gemini-3.8-flash"));
}
