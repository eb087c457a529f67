//! OpenAI's Responses API, and the servers that speak it in part.

use musher_runtime::{
    ToolSpec,
    model::{
        Manner,
        codec::{Answer, Ask, Dialect, FaultKind, Finish},
        conversation::{Conversation, Entry, Step},
    },
};
use serde_json::{Value, json};

use super::{PLACE, body, calls, read, result, step, talk, thoughts, user, words};

const RESPONSES: Dialect = Dialect::OpenAiResponses;

fn answer(events: &[Value]) -> Answer {
    read(RESPONSES, &events.iter().map(Value::to_string).collect::<Vec<_>>())
}

fn done(at: usize, item: Value) -> Value {
    json!({ "type": "response.output_item.done", "output_index": at, "item": item })
}

fn completed(output: Value) -> Value {
    json!({ "type": "response.completed", "response": { "status": "completed", "output": output } })
}

fn message(text: &str) -> Value {
    json!({ "type": "message", "id": "msg_1", "role": "assistant", "status": "completed",
        "phase": "final_answer",
        "content": [{ "type": "output_text", "text": text, "annotations": [] }] })
}

fn call(id: &str) -> Value {
    json!({ "type": "function_call", "id": "fc_1", "call_id": id, "name": "read_file",
        "arguments": "{\"path\":\"a\"}", "status": "completed" })
}

fn thought(secret: Value) -> Value {
    json!({ "type": "reasoning", "id": "rs_1", "encrypted_content": secret, "content": null,
        "status": null, "summary": [{ "type": "summary_text", "text": "Hm." }] })
}

fn input(answer: &Answer) -> Vec<Value> {
    let mut entries = vec![user("Go."), step(RESPONSES, "gpt-5.5", answer)];
    entries.push(user("On."));
    let body = body(RESPONSES, "gpt-5.5", &talk(entries));
    body["input"].as_array().unwrap()[1..].to_vec()
}

#[test]
fn items_are_repeated_without_what_the_api_looks_up() {
    let items = [thought("gAAA".into()), message("Yes."), call("call_1")];
    let mut events: Vec<Value> =
        items.iter().cloned().enumerate().map(|(at, it)| done(at, it)).collect();
    events.push(completed(json!([])));
    let answer = answer(&events);
    assert_eq!(answer.items, items);
    assert_eq!(
        input(&answer)[..3],
        [
            json!({ "type": "reasoning", "encrypted_content": "gAAA",
                "summary": [{ "type": "summary_text", "text": "Hm." }] }),
            json!({ "type": "message", "role": "assistant", "phase": "final_answer",
                "content": [{ "type": "output_text", "text": "Yes.", "annotations": [] }] }),
            json!({ "type": "function_call", "call_id": "call_1", "name": "read_file",
                "arguments": "{\"path\":\"a\"}" }),
        ]
    );
}

#[test]
fn thoughts_that_cannot_be_repeated_are_left_out() {
    let without = [thought(Value::Null), message("Yes.")];
    let at_the_end = [message("Yes."), thought("gAAA".into())];
    for items in [without, at_the_end] {
        let answer = answer(&[completed(json!(items))]);
        let kinds: Vec<Value> = input(&answer).iter().map(|it| it["type"].clone()).collect();
        assert_eq!(kinds, ["message", "message"]);
    }
    let mut open = thought(Value::Null);
    open["content"] = json!([{ "type": "reasoning_text", "text": "Hm." }]);
    assert_eq!(input(&answer(&[completed(json!([open, message("Yes.")]))])).len(), 3);
}

/// Servers that send no `output_item.done`, or only the whole response, or only pieces.
#[test]
fn an_answer_is_put_together_from_whatever_comes() {
    let items = json!([thought("gAAA".into()), message("Yes."), call("call_1")]);
    let whole = answer(&[completed(items.clone())]);
    let mut pieces: Vec<Value> = Vec::new();
    for (at, item) in items.as_array().unwrap().iter().enumerate() {
        let mut begun = item.clone();
        for member in ["summary", "content"] {
            if begun[member].is_array() {
                begun[member] = json!([]);
            }
        }
        if begun["arguments"].is_string() {
            begun["arguments"] = "".into();
        }
        pieces.push(
            json!({ "type": "response.output_item.added", "output_index": at, "item": begun }),
        );
    }
    for (at, kind, delta) in [
        (0, "reasoning_summary_text", "H"),
        (1, "output_text", "Ye"),
        (0, "reasoning_summary_text", "m."),
        (2, "function_call_arguments", "{\"path\":"),
        (1, "output_text", "s."),
        (2, "function_call_arguments", "\"a\"}"),
    ] {
        pieces.push(
            json!({ "type": format!("response.{kind}.delta"), "output_index": at, "delta": delta }),
        );
    }
    pieces.push(completed(json!([])));
    let pieced = answer(&pieces);
    for answer in [&whole, &pieced] {
        assert_eq!(answer.finish, Finish::Done);
        assert_eq!(thoughts(answer), "Hm.");
        assert_eq!(words(answer), "Yes.");
        assert_eq!(calls(answer), [("call_1", "read_file", &Ok(json!({ "path": "a" })))]);
    }
    assert_eq!(whole.items, items.as_array().unwrap()[..]);
    assert_eq!(pieced.items[1]["content"][0]["text"], "Yes.");
    assert_eq!(pieced.items[2], items[2]);
}

#[test]
fn what_was_not_streamed_is_shown_at_its_end() {
    let events = [
        json!({ "type": "response.output_text.delta", "output_index": 0, "delta": "Yes" }),
        done(0, message("Yes, it is.")),
        done(1, message("And more.")),
    ];
    let (pieces, _) = super::read_with_pieces(RESPONSES, &events.map(|it| it.to_string()));
    let pieces: Vec<_> = pieces.iter().map(|it| format!("{it:?}")).collect();
    assert_eq!(
        pieces,
        [
            r#"Text { block: 0, delta: "Yes" }"#,
            r#"Text { block: 0, delta: ", it is." }"#,
            r#"Text { block: 1, delta: "And more." }"#,
        ]
    );
}

#[test]
fn several_parts_are_several_blocks() {
    let item = json!({ "type": "reasoning", "encrypted_content": "g", "summary":
        [{ "type": "summary_text", "text": "A" }, { "type": "summary_text", "text": "B" }],
        "content": [{ "type": "reasoning_text", "text": "C" }] });
    let answer = answer(&[
        json!({ "type": "response.reasoning_summary_text.delta", "output_index": 0,
            "summary_index": 0, "delta": "A" }),
        json!({ "type": "response.reasoning_summary_text.delta", "output_index": 0,
            "summary_index": 1, "delta": "B" }),
        json!({ "type": "response.reasoning_text.delta", "output_index": 0, "content_index": 0,
            "delta": "C" }),
        done(0, item),
        done(1, message("D")),
        completed(json!([])),
    ]);
    assert_eq!(answer.blocks.len(), 4);
    assert_eq!(thoughts(&answer), "ABC");
}

#[test]
fn a_refusal_is_refused() {
    let mut refusal = message("");
    refusal["content"] = json!([{ "type": "refusal", "refusal": "I cannot." }]);
    let answer = answer(&[
        json!({ "type": "response.refusal.delta", "output_index": 0, "delta": "I can" }),
        done(0, refusal),
        completed(json!([])),
    ]);
    assert_eq!(answer.finish, Finish::Refused("I cannot.".to_owned()));
    assert_eq!(words(&answer), "I cannot.");
}

#[test]
fn every_end_has_its_place() {
    let end = |kind: &str, members: Value| {
        let event = json!({ "type": format!("response.{kind}"), "response": members });
        answer(&[done(0, message("Well.")), event]).finish
    };
    let incomplete = |reason: &str| {
        end(
            "incomplete",
            json!({ "status": "incomplete", "incomplete_details": { "reason": reason } }),
        )
    };
    let failed = |code: &str| {
        end("failed", json!({ "status": "failed", "error": { "code": code, "message": "Said." } }))
    };
    assert_eq!(end("completed", json!({})), Finish::Done);
    assert_eq!(incomplete("max_output_tokens"), Finish::Length);
    assert_eq!(incomplete("content_filter"), Finish::Refused("content_filter".to_owned()));
    assert_eq!(incomplete("steered"), Finish::Other("incomplete: steered".to_owned()));
    assert_eq!(end("cancelled", json!({})), Finish::Other("cancelled".to_owned()));
    for declined in ["invalid_prompt", "bio_policy", "misalignment_policy_violation"] {
        assert_eq!(failed(declined), Finish::Refused("Said.".to_owned()), "{declined}");
    }
    for (code, kind) in [
        ("server_error", FaultKind::Transient),
        ("rate_limit_exceeded", FaultKind::RateLimited { retry_at: None }),
        ("context_length_exceeded", FaultKind::ContextTooLong),
        ("insufficient_quota", FaultKind::QuotaUsedUp { resets_at: None }),
    ] {
        let Finish::Failed(fault) = failed(code) else { panic!("{code}") };
        assert_eq!((fault.kind, fault.message.as_str()), (kind, "Said."), "{code}");
    }
    assert!(matches!(end("failed", json!({})), Finish::Failed(_)));
}

#[test]
fn an_error_event_ends_the_stream() {
    for error in [
        json!({ "type": "error", "code": "rate_limit_exceeded", "message": "Slow.", "param": null }),
        json!({ "type": "error", "error": { "type": "rate_limit_error", "message": "Slow." } }),
        json!({ "error": { "code": "rate_limit_exceeded", "message": "Slow." } }),
    ] {
        let answer = answer(&[done(0, call("call_1")), error.clone()]);
        let Finish::Failed(fault) = &answer.finish else { panic!("{error}") };
        assert_eq!(fault.kind, FaultKind::RateLimited { retry_at: None }, "{error}");
        assert!(answer.items.is_empty() && answer.blocks.is_empty(), "nothing of it may run");
    }
}

#[test]
fn calls_of_tools_that_nobody_offered_are_dropped() {
    let custom = json!({ "type": "custom_tool_call", "call_id": "c", "name": "x", "input": "y" });
    let answer = answer(&[done(0, custom), done(1, message("Yes.")), completed(json!([]))]);
    assert_eq!(answer.items.len(), 1);
}

#[test]
fn items_that_are_not_known_are_kept_as_they_are() {
    let summed = json!({ "type": "compaction", "id": "cmp_1", "encrypted_content": "g" });
    let answer = answer(&[done(0, summed.clone()), done(1, message("Yes.")), completed(json!([]))]);
    assert_eq!(input(&answer)[0], summed);
}

#[test]
fn results_have_the_ids_of_their_calls() {
    let answer = answer(&[completed(json!([call("call_1"), call("call_1")]))]);
    let ids: Vec<String> = calls(&answer).iter().map(|it| it.0.to_owned()).collect();
    let entries = [result(&ids[1], "second"), result(&ids[0], "first")];
    let talk = talk([user("Go."), step(RESPONSES, "m", &answer)].into_iter().chain(entries));
    let input = body(RESPONSES, "m", &talk)["input"].clone();
    assert_eq!((&input[1]["call_id"], &input[2]["call_id"]), (&json!("call_1"), &json!(ids[1])));
    let output = |id: &str, text: &str| json!({ "type": "function_call_output", "call_id": id, "output": text });
    assert_eq!((&input[3], &input[4]), (&output("call_1", "first"), &output(&ids[1], "second")));
}

fn asked(model: &str) -> Value {
    body(RESPONSES, model, &talk([user("Go.")]))
}

#[test]
fn only_models_that_think_are_asked_for_thoughts() {
    for (model, include, summary) in [
        ("gpt-5.5", true, true),
        ("o4-mini", true, true),
        ("codex-mini-latest", true, true),
        ("gpt-4.1", false, false),
        ("gpt-4o-mini", false, false),
        ("gpt-oss-120b", true, false),
        ("openai/gpt-oss-20b", true, false),
        ("olmo-3", true, false),
        ("qwen3:8b", true, false),
    ] {
        let body = asked(model);
        assert_eq!(body.get("include").is_some(), include, "{model}");
        assert_eq!(body.get("reasoning").is_some(), summary, "{model}");
    }
}

#[test]
fn strictness_is_said_of_every_tool() {
    let strict = |parameters: Value| {
        let tools = [ToolSpec { name: "t".into(), description: "T.".into(), parameters }];
        let conversation = Conversation { entries: vec![user("Go.")], ..Conversation::default() };
        let manner = Manner::default();
        let (model, instructions) = ("gpt-5.5", "");
        let ask = Ask {
            model,
            place: PLACE,
            instructions,
            conversation: &conversation,
            tools: &tools,
            manner,
        };
        RESPONSES.codec().body(&ask)["tools"][0]["strict"].as_bool().unwrap()
    };
    let closed = json!({ "type": "object", "properties": { "a": { "type": ["string", "null"] } },
        "required": ["a"], "additionalProperties": false });
    assert!(strict(closed.clone()));
    let open = |change: fn(&mut Value)| {
        let mut schema = closed.clone();
        change(&mut schema);
        schema
    };
    assert!(!strict(open(|it| it["required"] = json!([]))));
    assert!(!strict(open(|it| it["additionalProperties"] = true.into())));
    assert!(!strict(open(
        |it| it["properties"]["a"] = json!({ "type": "string", "format": "uri" })
    )));
    assert!(!strict(open(|it| it["properties"]["a"] = json!({ "type": "object" }))));
    assert!(!strict(open(|it| {
        it["properties"]["a"] = json!({ "type": "array", "items": { "$ref": "#/x" } });
    })));
    assert!(strict(json!({ "type": "object", "properties": {}, "required": [],
        "additionalProperties": false })));
}

#[test]
fn another_agent_s_step_is_told_in_neutral_items() {
    let parts = vec![
        musher_runtime::model::conversation::Part::Text("I look.".to_owned()),
        musher_runtime::model::conversation::Part::Call {
            id: "toolu_1".to_owned(),
            name: "Read".to_owned(),
            input: json!({ "a": 1 }),
        },
    ];
    let foreign = Entry::Step(Step { origin: None, items: Vec::new(), parts });
    let talk = talk([user("Go."), foreign, result("toolu_1", "Seen.")]);
    let input = body(RESPONSES, "gpt-5.5", &talk)["input"].clone();
    assert_eq!(input[1]["content"][0]["text"], "I look.");
    assert_eq!(
        input[2],
        json!({ "type": "function_call", "call_id": "toolu_1", "name": "Read",
        "arguments": "{\"a\":1}" })
    );
    assert_eq!(input[3]["output"], "Seen.");
}
