//! Gemini's parts, signatures and reasons.

use musher_runtime::model::{
    codec::{Answer, Dialect, FaultKind, Finish, Usage},
    conversation::Part,
};
use serde_json::{Value, json};

use super::{body, calls, read, result, step, talk, thoughts, user, words};

const GEMINI: Dialect = Dialect::Gemini;
const MODEL: &str = "gemini-3.8-flash";

fn chunk(parts: Value) -> Value {
    json!({ "candidates": [{ "index": 0, "content": { "role": "model", "parts": parts } }] })
}

fn end(reason: &str) -> Value {
    json!({ "candidates": [{ "finishReason": reason }] })
}

fn chunks(chunks: &[Value]) -> Answer {
    read(GEMINI, &chunks.iter().map(Value::to_string).collect::<Vec<_>>())
}

/// An answer of these parts, one a chunk.
fn parts(parts: &[Value]) -> Answer {
    let mut all: Vec<Value> = parts.iter().map(|part| chunk(json!([part]))).collect();
    all.push(end("STOP"));
    chunks(&all)
}

fn contents(entries: Vec<musher_runtime::model::conversation::Entry>) -> Value {
    body(GEMINI, MODEL, &talk(entries))["contents"].clone()
}

#[test]
fn only_plain_texts_are_joined() {
    let said = [
        json!({ "text": "Th", "thought": true }),
        json!({ "text": "ink.", "thought": true }),
        json!({ "text": "On" }),
        json!({ "text": "e.", "thought": false }),
        json!({ "text": "Two.", "thoughtSignature": "a" }),
        json!({ "text": "Three." }),
        json!({ "text": " Four." }),
        json!({ "text": "" }),
        json!({ "text": "", "thoughtSignature": "b" }),
    ];
    let answer = parts(&said);
    let items = [
        json!({ "text": "Think.", "thought": true }),
        json!({ "text": "One." }),
        json!({ "text": "Two.", "thoughtSignature": "a" }),
        json!({ "text": "Three. Four." }),
        json!({ "text": "", "thoughtSignature": "b" }),
    ];
    assert_eq!(answer.items, items);
    assert_eq!(
        (thoughts(&answer).as_str(), words(&answer).as_str()),
        ("Think.", "One.Two.Three. Four.")
    );
    let contents = contents(vec![user("Go."), step(GEMINI, MODEL, &answer), user("On.")]);
    assert_eq!(contents[1], json!({ "role": "model", "parts": items }));
}

#[test]
fn results_are_one_content_in_the_order_of_the_calls() {
    let answer = parts(&[
        json!({ "functionCall": { "id": "a", "name": "one", "args": { "x": 1 } }, "thoughtSignature": "s" }),
        json!({ "functionCall": { "name": "two" } }),
        json!({ "functionCall": { "name": "three", "args": {} } }),
    ]);
    let ids: Vec<String> = calls(&answer).iter().map(|it| it.0.to_owned()).collect();
    assert_eq!(ids[0], "a");
    assert!(ids[1] != ids[2] && ids[1].starts_with("call_"));
    let failed = musher_runtime::model::conversation::Entry::Result {
        call: ids[1].clone(),
        text: "broke".to_owned(),
        is_error: true,
    };
    let contents = contents(vec![
        user("Go."),
        step(GEMINI, MODEL, &answer),
        result(&ids[2], "3"),
        user("Hurry."),
        result(&ids[0], "1"),
        failed,
    ]);
    assert_eq!(
        contents.as_array().unwrap()[1..],
        [
            json!({ "role": "model", "parts": [
                { "functionCall": { "id": "a", "name": "one", "args": { "x": 1 } }, "thoughtSignature": "s" },
                { "functionCall": { "name": "two" } },
                { "functionCall": { "name": "three", "args": {} } },
            ] }),
            json!({ "role": "user", "parts": [
                { "functionResponse": { "id": "a", "name": "one", "response": { "output": "1" } } },
                { "functionResponse": { "name": "two", "response": { "error": "broke" } } },
                { "functionResponse": { "name": "three", "response": { "output": "3" } } },
            ] }),
            json!({ "role": "user", "parts": [{ "text": "Hurry." }] }),
        ]
    );
}

#[test]
fn the_calls_of_another_model_are_told_in_words() {
    let answer = parts(&[
        json!({ "text": "Hm.", "thought": true }),
        json!({ "text": "I look." }),
        json!({ "functionCall": { "id": "a", "name": "read_file", "args": { "path": "x" } },
            "thoughtSignature": "of another" }),
    ]);
    let entries = vec![
        user("Go."),
        step(GEMINI, "gemini-2.5-pro", &answer),
        result("a", "Seen."),
        user("On."),
    ];
    let contents = contents(entries);
    let text = contents.to_string();
    assert!(
        !text.contains("functionCall") && !text.contains("of another") && !text.contains("Hm.")
    );
    assert_eq!(
        contents[1]["parts"][1]["text"],
        r#"[An earlier model used the tool read_file with {"path":"x"}]"#
    );
    assert_eq!(contents[2]["parts"][0]["text"], "[The tool read_file gave]\nSeen.");
    assert_eq!(contents[2]["parts"][1]["text"], "On.");
}

#[test]
fn arguments_that_are_no_object_are_said() {
    let answer = parts(&[json!({ "functionCall": { "name": "one", "args": [1] } })]);
    assert!(calls(&answer)[0].2.is_err());
}

#[test]
fn stored_parts_say_what_was_said() {
    let answer = parts(&[
        json!({ "text": "Hm.", "thought": true }),
        json!({ "text": "I look.", "thoughtSignature": "s" }),
        json!({ "functionCall": { "name": "one", "args": { "x": 1 } } }),
    ]);
    let id = calls(&answer)[0].0.to_owned();
    let call = Part::Call { id, name: "one".to_owned(), input: json!({ "x": 1 }) };
    let parts = GEMINI.codec().parts(&answer.items);
    assert_eq!(parts, [Part::Text("I look.".to_owned()), call]);
}

/// The whole list of `google-genai` 3.4.0, `types.FinishReason`.
#[test]
fn every_finish_reason_has_its_place() {
    let finish = |reason: &str| {
        let mut end = end(reason);
        end["candidates"][0]["finishMessage"] = "Because.".into();
        chunks(&[chunk(json!([{ "text": "Well." }])), end]).finish
    };
    let said = |reason: &str| format!("{reason}: Because.");
    assert_eq!(finish("STOP"), Finish::Done);
    for length in ["MAX_TOKENS", "CONTINUATION"] {
        assert_eq!(finish(length), Finish::Length);
    }
    for refused in [
        "SAFETY",
        "RECITATION",
        "LANGUAGE",
        "BLOCKLIST",
        "PROHIBITED_CONTENT",
        "SPII",
        "ESCALATION",
        "MODEL_ARMOR",
        "IMAGE_SAFETY",
        "IMAGE_PROHIBITED_CONTENT",
        "IMAGE_RECITATION",
    ] {
        assert_eq!(finish(refused), Finish::Refused(said(refused)));
    }
    for malformed in [
        "MALFORMED_FUNCTION_CALL",
        "UNEXPECTED_TOOL_CALL",
        "MALFORMED_RESPONSE",
        "TOO_MANY_TOOL_CALLS",
    ] {
        assert_eq!(finish(malformed), Finish::Malformed(said(malformed)));
    }
    for ours in ["MISSING_THOUGHT_SIGNATURE", "PUP_LIMITED_DISABLED"] {
        let Finish::Failed(fault) = finish(ours) else { panic!("{ours}") };
        assert_eq!((fault.kind, fault.message), (FaultKind::Refused, said(ours)));
    }
    for other in ["OTHER", "IMAGE_OTHER", "NO_IMAGE", "FINISH_REASON_UNSPECIFIED", "NOVEL"] {
        assert_eq!(finish(other), Finish::Other(said(other)));
    }
}

#[test]
fn a_blocked_prompt_is_refused() {
    let answer = chunks(&[json!({ "promptFeedback": { "blockReason": "PROHIBITED_CONTENT",
        "safetyRatings": [] }, "usageMetadata": { "promptTokenCount": 7 } })]);
    assert_eq!(answer.finish, Finish::Refused("PROHIBITED_CONTENT".to_owned()));
    assert_eq!(answer.usage.unwrap().input, 7);
}

#[test]
fn no_candidates_are_an_empty_answer() {
    for nothing in [
        json!({ "candidates": [] }),
        json!({ "candidates": [], "usageMetadata": { "promptTokenCount": 7 } }),
        json!({ "usageMetadata": {} }),
        json!({ "promptFeedback": {} }),
    ] {
        assert_eq!(chunks(std::slice::from_ref(&nothing)).finish, Finish::Empty, "{nothing}");
    }
    assert_eq!(chunks(&[json!({})]).finish, Finish::Cut);
    let begun = [chunk(json!([{ "text": "We" }])), json!({ "usageMetadata": {} })];
    assert_eq!(chunks(&begun).finish, Finish::Cut);
    assert_eq!(chunks(&[end("STOP")]).finish, Finish::Empty);
}

#[test]
fn an_error_in_the_stream_ends_it() {
    let error =
        json!({ "error": { "code": 503, "status": "UNAVAILABLE", "message": "Overloaded." } });
    for event in [error.clone(), json!([error])] {
        let answer = chunks(&[chunk(json!([{ "text": "We" }])), event]);
        let Finish::Failed(fault) = &answer.finish else { panic!("{answer:?}") };
        assert_eq!(fault.kind, FaultKind::Transient);
        assert_eq!(fault.message, "Overloaded.");
        assert_eq!(words(&answer), "We");
    }
}

#[test]
fn what_follows_a_reason_is_read() {
    let said = |words: &str| {
        let mut chunk = chunk(json!([{ "text": words }]));
        chunk["candidates"][0]["finishReason"] = "STOP".into();
        chunk
    };
    let usage = json!({ "usageMetadata": { "promptTokenCount": 7, "candidatesTokenCount": 3 } });
    let answer = chunks(&[said("Hello "), said("wide "), said("world."), usage]);
    assert_eq!((words(&answer).as_str(), &answer.finish), ("Hello wide world.", &Finish::Done));
    assert_eq!(answer.usage, Some(Usage { input: 7, output: 3, ..Usage::default() }));
    let refused = chunks(&[said("Hello "), end("SAFETY"), said("world.")]);
    assert_eq!(refused.finish, Finish::Refused("SAFETY".to_owned()));
}

#[test]
fn all_tokens_are_counted() {
    let mut last = end("STOP");
    last["usageMetadata"] = json!({ "promptTokenCount": 100, "cachedContentTokenCount": 60,
        "toolUsePromptTokenCount": 5, "candidatesTokenCount": 20, "thoughtsTokenCount": 30,
        "totalTokenCount": 155 });
    let usage = Usage { input: 45, cached: 60, output: 50, reasoning: 30 };
    assert_eq!(chunks(&[last]).usage, Some(usage));
}

#[test]
fn models_that_cannot_think_are_not_asked_to() {
    for (model, thinks) in [
        ("gemini-3.8-flash", true),
        ("gemini-2.5-pro", true),
        ("models/gemini-2.5-flash", true),
        ("gemini-2.0-flash", false),
        ("gemma-3-27b-it", false),
    ] {
        let body = body(GEMINI, model, &talk([user("Go.")]));
        assert_eq!(body.get("generationConfig").is_some(), thinks, "{model}");
    }
}

#[test]
fn a_model_s_name_is_a_path() {
    for (model, path) in [
        ("gemini-3.8-flash", "/models/gemini-3.8-flash:streamGenerateContent?alt=sse"),
        ("models/gemini-3.8-flash", "/models/gemini-3.8-flash:streamGenerateContent?alt=sse"),
        ("tunedModels/mine-1", "/tunedModels/mine-1:streamGenerateContent?alt=sse"),
        ("a?key=b#c d", "/models/a%3Fkey%3Db%23c%20d:streamGenerateContent?alt=sse"),
    ] {
        assert_eq!(GEMINI.codec().path(model), path);
    }
}

#[test]
fn a_tool_without_parameters_has_no_schema() {
    let body = body(GEMINI, MODEL, &talk([user("Go.")]));
    let tools = &body["tools"][0]["functionDeclarations"];
    assert!(tools[0]["parametersJsonSchema"]["properties"]["path"].is_object());
    assert!(tools[1]["parametersJsonSchema"].get("$schema").is_none());
    assert!(tools[2].get("parametersJsonSchema").is_none());
}

#[test]
fn thoughts_leave_room_for_words() {
    let budget = |effort, max_tokens| {
        let conversation = talk([user("Go.")]);
        let manner = musher_runtime::model::Manner { effort, max_tokens, is_local: false };
        let body = GEMINI.codec().body(&musher_runtime::model::codec::Ask {
            model: "gemini-2.5-pro",
            place: super::PLACE,
            instructions: "",
            conversation: &conversation,
            tools: &[],
            manner,
        });
        body["generationConfig"]["thinkingConfig"]["thinkingBudget"].as_u64()
    };
    let high = Some(musher_protocol::Effort::High);
    assert_eq!(budget(high, Some(1_000)), Some(500));
    assert_eq!(budget(high, Some(100_000)), Some(24_576));
    assert_eq!(budget(high, None), Some(24_576));
}
