//! Chat Completions as the many servers speak it.

use musher_runtime::model::codec::{Answer, Block, Dialect, FaultKind, Finish, Usage};
use serde_json::{Value, json};

use super::{body, calls, read, result, step, talk, thoughts, user, words};

const CHAT: Dialect = Dialect::OpenAiChat;

fn chunk(delta: Value) -> String {
    json!({ "choices": [{ "index": 0, "delta": delta, "finish_reason": null }] }).to_string()
}

fn finish(reason: &str) -> String {
    json!({ "choices": [{ "index": 0, "delta": {}, "finish_reason": reason }] }).to_string()
}

/// An answer of these deltas.
fn deltas(deltas: &[Value], reason: &str) -> Answer {
    let mut events: Vec<String> = deltas.iter().cloned().map(chunk).collect();
    events.extend([finish(reason), "[DONE]".to_owned()]);
    read(CHAT, &events)
}

/// An answer of these pieces of calls, one a chunk.
fn pieces(pieces: &[Value]) -> Answer {
    let wrap = |piece: &Value| json!({ "tool_calls": [piece] });
    deltas(&pieces.iter().map(wrap).collect::<Vec<_>>(), "tool_calls")
}

fn inputs(answer: &Answer) -> Vec<(String, Value)> {
    let input = |(_, name, input): (&str, &str, &Result<Value, String>)| {
        (name.to_owned(), input.clone().unwrap_or_else(Value::String))
    };
    calls(answer).into_iter().map(input).collect()
}

fn two(first: Value, second: Value) -> Vec<(String, Value)> {
    vec![("read".to_owned(), first), ("run".to_owned(), second)]
}

fn function(name: &str, arguments: impl Into<Value>) -> Value {
    json!({ "name": name, "arguments": arguments.into() })
}

/// The calls `read {"a":1}` and `run {"b":2}`, as they are sent.
type Way = (&'static str, Vec<Value>);

const READ: &str = r#"{"a":1}"#;
const RUN: &str = r#"{"b":2}"#;

/// By what the pieces of a call are told from those of another.
fn told_apart() -> Vec<Way> {
    vec![
        (
            "OpenAI: id and name first, one index each",
            vec![
                json!({ "index": 0, "id": "x", "type": "function", "function": function("read", "") }),
                json!({ "index": 0, "function": { "arguments": "{\"a\":" } }),
                json!({ "index": 0, "id": null, "function": { "name": null, "arguments": "1}" } }),
                json!({ "index": 1, "id": "y", "type": "function", "function": function("run", RUN) }),
            ],
        ),
        (
            "pieces of two calls mixed",
            vec![
                json!({ "index": 0, "id": "x", "function": function("read", "{\"a\"") }),
                json!({ "index": 1, "id": "y", "function": function("run", "{\"b\"") }),
                json!({ "index": 0, "function": { "arguments": ":1}" } }),
                json!({ "index": 1, "function": { "arguments": ":2}" } }),
            ],
        ),
        (
            "Gemini's OpenAI endpoint: whole calls, all of index 0",
            vec![
                json!({ "index": 0, "id": "x", "function": function("read", READ) }),
                json!({ "index": 0, "id": "y", "function": function("run", RUN) }),
            ],
        ),
        (
            "whole calls of index 0 without ids",
            vec![
                json!({ "index": 0, "function": function("read", READ) }),
                json!({ "index": 0, "id": "", "function": function("run", RUN) }),
            ],
        ),
        (
            "no index",
            vec![
                json!({ "id": "x", "function": function("read", "{\"a\":") }),
                json!({ "id": "x", "function": { "arguments": "1}" } }),
                json!({ "id": "y", "function": function("run", RUN) }),
            ],
        ),
    ]
}

/// What a server says more often, or in another shape, than it needs to.
fn oddly_shaped() -> Vec<Way> {
    vec![
        (
            "no index and no id",
            vec![
                json!({ "function": function("read", "{\"a\":") }),
                json!({ "function": { "arguments": "1}" } }),
                json!({ "function": function("run", RUN) }),
            ],
        ),
        (
            "id and name with each piece",
            vec![
                json!({ "index": 0, "id": "x", "function": function("read", "{\"a\":") }),
                json!({ "index": 0, "id": "x", "function": function("read", "1}") }),
                json!({ "index": 1, "id": "y", "function": function("run", RUN) }),
            ],
        ),
        (
            "a new id with each piece, as some vLLM gives",
            vec![
                json!({ "index": 0, "id": "x", "function": function("read", "{\"a\":") }),
                json!({ "index": 0, "id": "z", "function": { "arguments": "1}" } }),
                json!({ "index": 1, "id": "y", "function": function("run", RUN) }),
            ],
        ),
        (
            "arguments as an object",
            vec![
                json!({ "index": 0, "id": "x", "function": function("read", json!({ "a": 1 })) }),
                json!({ "index": 1, "id": "y", "function": function("run", json!({ "b": 2 })) }),
            ],
        ),
        (
            "arguments written as text twice",
            vec![
                json!({ "index": 0, "id": "x", "function": function("read", "\"{\\\"a\\\":1}\"") }),
                json!({ "index": 1, "id": "y", "function": function("run", RUN) }),
            ],
        ),
    ]
}

#[test]
fn calls_come_in_many_ways() {
    for (way, sent) in told_apart().into_iter().chain(oddly_shaped()) {
        let answer = pieces(&sent);
        assert_eq!(inputs(&answer), two(json!({ "a": 1 }), json!({ "b": 2 })), "{way}");
        assert_eq!(answer.finish, Finish::Done, "{way}");
        let ids = calls(&answer);
        assert!(ids[0].0 != ids[1].0 && ids.iter().all(|it| !it.0.is_empty()), "{way}");
    }
}

#[test]
fn the_same_tool_is_called_twice() {
    for ids in [[json!(null), json!(null)], [json!("x"), json!("y")], [json!("x"), json!("x")]] {
        let call = |at: usize, index: Value| {
            let id = if index.is_null() { json!(format!("x{at}")) } else { ids[at].clone() };
            let arguments = format!("{{\"a\":{at}}}");
            json!({ "index": index, "id": id, "function": function("read", arguments) })
        };
        let wanted = [0, 1].map(|at| ("read".to_owned(), json!({ "a": at })));
        // Whoever gives both the same id tells them apart by their index.
        let same = if ids[0] == ids[1] && !ids[0].is_null() { 1 } else { 0 };
        let answer = pieces(&[call(0, json!(0)), call(1, json!(same))]);
        assert_eq!(inputs(&answer), wanted, "{ids:?}");
        let answer = pieces(&[call(0, Value::Null), call(1, Value::Null)]);
        assert_eq!(inputs(&answer), wanted);
        let given = calls(&answer);
        assert_ne!(given[0].0, given[1].0);
    }
}

#[test]
fn calls_without_arguments_have_an_empty_object() {
    for nothing in [json!(""), json!(null), json!({}), json!("{}"), json!(" ")] {
        let first = json!({ "function": function("read", nothing.clone()) });
        let answer = pieces(&[first, json!({ "function": function("run", nothing.clone()) })]);
        assert_eq!(inputs(&answer), two(json!({}), json!({})), "{nothing}");
    }
}

#[test]
fn broken_arguments_are_said_and_not_sent_back() {
    for broken in [r#"{"a":"#, "[1]", "7", "\"x\"", "read it"] {
        let answer =
            pieces(&[json!({ "index": 0, "id": "x", "function": function("read", broken) })]);
        assert!(calls(&answer)[0].2.is_err(), "{broken}");
        let talk = talk([user("Go."), step(CHAT, "m", &answer), result("x", "No such arguments.")]);
        let body = body(CHAT, "m", &talk);
        let call = &body["messages"][2]["tool_calls"][0];
        assert_eq!(call["function"]["arguments"], "{}", "{broken}");
    }
}

#[test]
fn the_old_function_call_is_a_call() {
    let answer = deltas(
        &[
            json!({ "content": null, "function_call": { "name": "read", "arguments": "" } }),
            json!({ "function_call": { "arguments": "{\"a\"" } }),
            json!({ "function_call": { "arguments": ":1}" } }),
        ],
        "function_call",
    );
    assert_eq!(inputs(&answer), [("read".to_owned(), json!({ "a": 1 }))]);
    assert_eq!(answer.items[0]["tool_calls"][0]["id"], calls(&answer)[0].0);
}

#[test]
fn members_of_a_call_that_are_not_known_are_kept() {
    let extra = json!({ "google": { "thought_signature": "c2ln" } });
    let first =
        json!({ "index": 0, "id": "x", "extra_content": extra, "function": function("read", "") });
    let answer = pieces(&[first, json!({ "index": 0, "function": { "arguments": "{}" } })]);
    assert_eq!(answer.items[0]["tool_calls"][0]["extra_content"], extra);
}

#[test]
fn thoughts_are_shown_once_and_repeated_where_they_were() {
    let answer = deltas(
        &[
            json!({ "reasoning": "Hm", "reasoning_details":
                [{ "type": "reasoning.text", "index": 0, "text": "Hm", "signature": null }] }),
            json!({ "reasoning": "m.", "reasoning_details":
                [{ "type": "reasoning.text", "index": 0, "text": "m.", "signature": "s" }] }),
            json!({ "reasoning_details":
                [{ "type": "reasoning.encrypted", "index": 1, "data": "zzz" }] }),
            json!({ "content": "Yes." }),
        ],
        "stop",
    );
    assert_eq!((thoughts(&answer).as_str(), words(&answer).as_str()), ("Hmm.", "Yes."));
    let details = json!([
        { "type": "reasoning.text", "index": 0, "text": "Hmm.", "signature": "s" },
        { "type": "reasoning.encrypted", "index": 1, "data": "zzz" },
    ]);
    let talk = talk([user("Go."), step(CHAT, "m", &answer), user("On.")]);
    let body = body(CHAT, "m", &talk);
    assert_eq!(body["messages"][2]["reasoning_details"], details);
    assert_eq!(body["messages"][2]["reasoning"], "Hmm.");
}

/// DeepSeek takes no call of a thinking model without the member.
#[test]
fn calls_without_thoughts_have_empty_ones_among_calls_with_thoughts() {
    let call =
        |id: &str| json!({ "tool_calls": [{ "id": id, "function": function("read", "{}") }] });
    let thinks = deltas(&[json!({ "reasoning_content": "Hm." }), call("x")], "tool_calls");
    let acts = deltas(&[call("y")], "tool_calls");
    let steps =
        [step(CHAT, "m", &thinks), result("x", "1"), step(CHAT, "m", &acts), result("y", "2")];
    let talk = talk([user("Go.")].into_iter().chain(steps));
    let body = body(CHAT, "m", &talk);
    assert_eq!(body["messages"][2]["reasoning_content"], "Hm.");
    assert_eq!(body["messages"][4]["reasoning_content"], "");
}

/// DeepSeek and Qwen, from a server that does not take their template apart.
#[test]
fn thoughts_between_tags_are_thoughts_and_those_of_earlier_turns_are_not_repeated() {
    let call = json!({ "tool_calls": [{ "id": "x", "function": function("read", "{}") }] });
    let said = |words: &str| json!({ "content": words });
    let looks =
        deltas(&[said("<thi"), said("nk>\nHm.</th"), said("ink>\n\nI look."), call], "stop");
    assert_eq!((thoughts(&looks).as_str(), words(&looks).as_str()), ("Hm.", "I look."));
    let whole = "<think>\nHm.</think>\n\nI look.";
    let steps = [step(CHAT, "m", &looks), result("x", "1")];
    let content = |model: &str, more: Option<&str>| {
        let talk = talk([user("Go.")].into_iter().chain(steps.clone()).chain(more.map(user)));
        body(CHAT, model, &talk)["messages"][2].clone()
    };
    assert_eq!(content("m", None)["content"], whole, "its turn goes on");
    assert_eq!(content("m", Some("On."))["content"], "I look.", "its turn is over");
    assert_eq!(content("m", Some("On."))["tool_calls"][0]["id"], "x");
    assert_eq!(content("another", None)["content"], "I look.", "another's thoughts");

    let (pieces, _) = super::read_with_pieces(CHAT, &[chunk(said("<thin")), finish("stop")]);
    assert_eq!(pieces.len(), 1, "what was held back is shown at the end: {pieces:?}");
    let nothing = deltas(&[said("<think>Only thoughts.</think>\n")], "stop");
    assert_eq!(nothing.finish, Finish::Empty);
}

/// The same where the template has written the opening tag.
#[test]
fn thoughts_of_which_only_the_end_is_sent_are_thoughts_once_the_answer_is_whole() {
    let call = json!({ "tool_calls": [{ "id": "x", "function": function("read", "{}") }] });
    let said = |words: &str| json!({ "content": words });
    let looks = deltas(&[said("Hm.\n</th"), said("ink>\n\nI look."), call.clone()], "stop");
    assert_eq!((thoughts(&looks).as_str(), words(&looks).as_str()), ("Hm.\n", "I look."));
    assert!(matches!(looks.blocks[1], Block::Text { block: 0, .. }), "it replaces what was shown");
    let steps = [step(CHAT, "m", &looks), result("x", "1")];
    let talk = talk([user("Go.")].into_iter().chain(steps).chain([user("On.")]));
    assert_eq!(body(CHAT, "m", &talk)["messages"][2]["content"], "I look.");

    let silent = deltas(&[said("Hm.\n</think>\n\n"), call], "stop");
    let [Block::Thinking { .. }, Block::Text { block: 0, text }, Block::Call { .. }] =
        silent.blocks.as_slice()
    else {
        panic!("{:?}", silent.blocks)
    };
    assert_eq!(text, "", "what was shown as words is told to be none");
    assert_eq!(deltas(&[said("Hm.\n</think>\n")], "stop").finish, Finish::Empty);
}

#[test]
fn half_an_emoji_ends_no_answer() {
    let whole = json!({ "choices": [{ "index": 0, "delta": { "content": "A HALF b" } }] });
    let half = whole.to_string().replace("HALF", "\\ud83d");
    let answer = read(CHAT, &[half, finish("stop").to_string()]);
    assert_eq!((words(&answer).as_str(), answer.finish), ("A \u{fffd} b", Finish::Done));
}

#[test]
fn mistral_s_parts_are_read() {
    let answer = deltas(
        &[
            json!({ "content": [{ "type": "thinking", "thinking": [{ "type": "text", "text": "Hm." }] }] }),
            json!({ "content": [{ "type": "text", "text": "Yes." }] }),
            json!({ "content": " No." }),
        ],
        "stop",
    );
    assert_eq!((thoughts(&answer).as_str(), words(&answer).as_str()), ("Hm.", "Yes. No."));
}

#[test]
fn a_server_that_does_not_stream_is_read() {
    let whole = json!({ "model": "m", "choices": [{ "index": 0, "finish_reason": "stop",
        "message": { "role": "assistant", "content": "Yes." } }] });
    let answer = read(CHAT, &[whole.to_string()]);
    assert_eq!((answer.finish.clone(), words(&answer).as_str()), (Finish::Done, "Yes."));
}

#[test]
fn an_end_without_done_is_an_end() {
    let answer = read(CHAT, &[chunk(json!({ "content": "Yes." })), finish("stop")]);
    assert_eq!(answer.finish, Finish::Done);
    let answer = read(CHAT, &[chunk(json!({ "content": "Yes." })), "[DONE]".to_owned()]);
    assert_eq!(answer.finish, Finish::Done);
    let answer = read(CHAT, &[chunk(json!({ "refusal": "I wo" }))]);
    assert_eq!(answer.finish, Finish::Cut);
}

#[test]
fn other_choices_are_not_mixed_in() {
    let other = json!({ "choices": [{ "index": 1, "delta": { "content": "No." } }] }).to_string();
    let answer = read(CHAT, &[chunk(json!({ "content": "Yes." })), other, finish("stop")]);
    assert_eq!(words(&answer), "Yes.");
}

#[test]
fn a_refusal_is_refused() {
    let answer = deltas(&[json!({ "refusal": "I can" }), json!({ "refusal": "not." })], "stop");
    assert_eq!(answer.finish, Finish::Refused("I cannot.".to_owned()));
    assert_eq!(words(&answer), "I cannot.");
    assert!(answer.items.is_empty());
}

#[test]
fn every_finish_reason_has_its_place() {
    let said = json!({ "content": "Well." });
    for (reason, wanted) in [
        ("stop", Finish::Done),
        ("length", Finish::Length),
        ("tool_calls", Finish::Done),
        ("function_call", Finish::Done),
        ("content_filter", Finish::Refused("content_filter".to_owned())),
        ("model_length", Finish::Length),
        ("eos", Finish::Done),
        ("novel", Finish::Other("novel".to_owned())),
    ] {
        assert_eq!(deltas(std::slice::from_ref(&said), reason).finish, wanted, "{reason}");
    }
    for reason in ["insufficient_system_resource", "error", "abort"] {
        let Finish::Failed(fault) = deltas(std::slice::from_ref(&said), reason).finish else {
            panic!("{reason}")
        };
        assert_eq!(fault.kind, FaultKind::Transient);
    }
    let native = json!({ "choices": [{ "delta": {}, "finish_reason": "stop",
        "native_finish_reason": "MALFORMED_FUNCTION_CALL" }] });
    let malformed = read(CHAT, &[native.to_string()]).finish;
    assert!(matches!(malformed, Finish::Malformed(_)), "{malformed:?}");
}

#[test]
fn an_error_in_the_stream_ends_it() {
    for (error, kind) in [
        (
            json!({ "error": { "code": 429, "message": "slow" } }),
            FaultKind::RateLimited { retry_at: None },
        ),
        (json!({ "error": "out of memory" }), FaultKind::Transient),
        (json!({ "object": "error", "message": "x", "code": 400 }), FaultKind::Refused),
        (
            json!({ "error": { "code": 502, "message": "bad" }, "choices": [{ "delta": { "content": "" },
            "finish_reason": "error" }] }),
            FaultKind::Transient,
        ),
        (
            json!({ "choices": [{ "delta": {}, "error": { "code": 402, "message": "pay" } }] }),
            FaultKind::QuotaUsedUp { resets_at: None },
        ),
    ] {
        let answer = read(CHAT, &[chunk(json!({ "content": "Ye" })), error.to_string()]);
        let Finish::Failed(fault) = &answer.finish else { panic!("{error}: {answer:?}") };
        assert_eq!(fault.kind, kind, "{error}");
        assert!(answer.items.is_empty());
        assert_eq!(words(&answer), "Ye");
    }
    let healthy = json!({ "error": null, "choices": [{ "delta": { "content": "s." } }] });
    let answer = read(CHAT, &[healthy.to_string(), finish("stop")]);
    assert_eq!(answer.finish, Finish::Done);
}

#[test]
fn tokens_are_counted_as_each_server_counts_them() {
    for (usage, wanted) in [
        (
            json!({ "prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15 }),
            Usage { input: 10, cached: 0, output: 5, reasoning: 0 },
        ),
        // DeepSeek.
        (
            json!({ "prompt_tokens": 10, "prompt_cache_hit_tokens": 8, "prompt_cache_miss_tokens": 2,
            "completion_tokens": 5, "completion_tokens_details": { "reasoning_tokens": 3 },
            "total_tokens": 15 }),
            Usage { input: 2, cached: 8, output: 5, reasoning: 3 },
        ),
        // xAI counts thoughts beside the completion.
        (
            json!({ "prompt_tokens": 10, "prompt_tokens_details": { "cached_tokens": 4 },
            "completion_tokens": 5, "completion_tokens_details": { "reasoning_tokens": 3 },
            "total_tokens": 18 }),
            Usage { input: 6, cached: 4, output: 8, reasoning: 3 },
        ),
        // More than there were.
        (
            json!({ "prompt_tokens": 1, "prompt_tokens_details": { "cached_tokens": 4 },
            "completion_tokens": 0 }),
            Usage { input: 0, cached: 4, output: 0, reasoning: 0 },
        ),
    ] {
        let last = json!({ "choices": [], "usage": usage }).to_string();
        assert_eq!(read(CHAT, &[last]).usage, Some(wanted), "{usage}");
    }
    assert_eq!(deltas(&[json!({ "content": "x" })], "stop").usage, None);
}

#[test]
fn words_that_follow_each_other_are_one_message() {
    let one = deltas(&[json!({ "content": "One." })], "length");
    let two = deltas(&[json!({ "content": "Two." })], "stop");
    let steps = [step(CHAT, "m", &one), step(CHAT, "m", &two)];
    let talk = talk([user("A."), user("B.")].into_iter().chain(steps).chain([user("")]));
    let messages = body(CHAT, "m", &talk)["messages"].clone();
    assert_eq!(messages[1], json!({ "role": "user", "content": "A.\n\nB." }));
    assert_eq!(messages[2], json!({ "role": "assistant", "content": "One.\n\nTwo." }));
    assert_eq!(messages[3], json!({ "role": "user", "content": "(nothing)" }));
}

#[test]
fn blocks_change_with_the_voice() {
    let answer = deltas(
        &[
            json!({ "reasoning_content": "A" }),
            json!({ "content": "b" }),
            json!({ "reasoning_content": "C" }),
            json!({ "content": "d", "reasoning_content": "E" }),
        ],
        "stop",
    );
    let block = |at: usize| match &answer.blocks[at] {
        Block::Text { block, text } => (*block, text.as_str()),
        Block::Thinking { block, text } => (*block, text.as_str()),
        Block::Call { .. } => panic!(),
    };
    assert_eq!([0, 1, 2, 3].map(block), [(0, "A"), (1, "b"), (2, "CE"), (3, "d")]);
}
