//! The executable, driven as Musher drives it. What is expected of the lines is what recordings of
//! Claude Code 2.1.330 have.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::io::Write;

use common::{Session, kind_of, kinds};
use serde_json::json;

#[test]
fn a_permission_round_has_the_lines_of_the_recording() {
    let mut session = Session::start(&["--demo-script", "edit"]);
    session.say("do it", None);
    let mut seen = session.until("control_request/can_use_tool");
    let ask = seen.last().unwrap().clone();
    assert_eq!(ask["request"]["input"]["content"], "written by the scripted agent\n");
    assert_eq!(ask["request"]["description"], "edited.txt");
    assert!(!session.path().join("edited.txt").exists(), "written before it was allowed");
    session.answer(&ask, json!({"behavior": "allow"}));
    seen.extend(session.until("system/idle"));
    assert_eq!(
        kinds(&seen),
        [
            "system/running",
            "system/init",
            "assistant/text",
            "assistant/tool_use",
            "system/requires_action",
            "control_request/can_use_tool",
            "system/running",
            "user/tool_result",
            "assistant/text",
            "result",
            "system/idle",
        ]
    );
    let result = &seen[seen.len() - 2];
    assert_eq!(
        (&result["subtype"], &result["is_error"], &result["num_turns"]),
        (&json!("success"), &json!(false), &json!(2))
    );
    assert_eq!(seen[7]["tool_use_result"]["type"], "create");
    assert!(session.path().join("edited.txt").exists());
    assert_eq!(session.finish().1, Some(0));
}

#[test]
fn partial_messages_come_in_the_order_of_the_recording() {
    let mut session = Session::start(&[
        "--demo-script",
        "edit",
        "--include-partial-messages",
        "--permission-mode",
        "acceptEdits",
    ]);
    session.say("do it", None);
    let mut seen = kinds(&session.until("result"));
    seen.dedup();
    assert_eq!(
        seen,
        [
            "system/running",
            "system/init",
            "system/status",
            "stream_event/message_start",
            "stream_event/content_block_start",
            "stream_event/content_block_delta",
            "assistant/text",
            "stream_event/content_block_stop",
            "stream_event/content_block_start",
            "stream_event/content_block_delta",
            "assistant/tool_use",
            "stream_event/content_block_stop",
            "stream_event/message_delta",
            "stream_event/message_stop",
            "user/tool_result",
            "system/status",
            "stream_event/message_start",
            "stream_event/content_block_start",
            "stream_event/content_block_delta",
            "assistant/text",
            "stream_event/content_block_stop",
            "stream_event/message_delta",
            "stream_event/message_stop",
            "result",
        ]
    );
}

#[test]
fn a_denial_is_told_and_the_turn_goes_on() {
    let mut session = Session::start(&["--demo-script", "edit"]);
    session.say("do it", None);
    let ask = session.one("control_request/can_use_tool");
    session.answer(&ask, json!({"behavior": "deny", "message": "Keep out."}));
    let seen = session.until("result");
    let told = seen.iter().find(|line| kind_of(line) == "user/tool_result").unwrap();
    assert_eq!(
        told["message"]["content"][0],
        json!({
            "tool_use_id": ask["request"]["tool_use_id"], "type": "tool_result", "content": "Keep out.", "is_error": true,
        })
    );
    let result = seen.last().unwrap();
    assert_eq!(result["permission_denials"][0]["tool_name"], "Write");
    assert_eq!(result["result"], "Not written.");
    assert_eq!(session.finish().1, Some(0));
}

#[test]
fn the_input_that_was_allowed_is_the_one_that_is_used() {
    let mut session = Session::start(&["--demo-script", "edit"]);
    session.say("do it", None);
    let ask = session.one("control_request/can_use_tool");
    let elsewhere = session.path().join("elsewhere.txt");
    session.answer(
        &ask,
        json!({"behavior": "allow", "updatedInput": {"file_path": elsewhere, "content": "other"}}),
    );
    session.one("result");
    assert_eq!(std::fs::read_to_string(elsewhere).unwrap(), "other");
}

#[test]
fn two_asks_are_open_at_once_and_answered_in_any_order() {
    let mut session = Session::start(&["--demo-script", "two_asks"]);
    session.say("do it", None);
    let first = session.one("control_request/can_use_tool");
    let second = session.one("control_request/can_use_tool");
    session.answer(&second, json!({"behavior": "allow"}));
    let done = session.one("user/tool_result");
    assert_eq!(done["message"]["content"][0]["tool_use_id"], second["request"]["tool_use_id"]);
    assert!(!session.path().join("first.txt").exists());
    session.answer(&first, json!({"behavior": "allow"}));
    session.one("result");
    assert!(session.path().join("first.txt").exists());
}

#[test]
fn an_interrupt_takes_back_the_ask_and_the_process_lives_on() {
    let mut session = Session::start(&[]);
    session.say("[[script:edit]]", None);
    let ask = session.one("control_request/can_use_tool");
    session.control("stop-1", json!({"subtype": "interrupt"}));
    let seen = session.until("result");
    assert_eq!(seen[0]["response"]["request_id"], "stop-1");
    let cancel = seen.iter().find(|line| line["type"] == "control_cancel_request").unwrap();
    assert_eq!(cancel["request_id"], ask["request_id"]);
    assert_eq!(seen.last().unwrap()["terminal_reason"], "aborted_tools");
    session.say("[[script:hello]]", None);
    assert_eq!(session.one("result")["result_index"], 1);
    assert_eq!(session.finish().1, Some(0));
}

#[test]
fn an_interrupt_ends_streaming_text_with_what_was_said() {
    let mut session = Session::start(&[
        "--demo-script",
        "slow",
        "--include-partial-messages",
        "--demo-speed",
        "1",
    ]);
    session.say("go", None);
    session.one("stream_event/content_block_delta");
    session.control("stop-1", json!({"subtype": "interrupt"}));
    let seen = session.until("result");
    let partial = seen.iter().find(|line| line["aborted"] == true).unwrap();
    assert!(partial["message"]["content"][0]["text"].as_str().unwrap().starts_with("Slow words"));
    assert_eq!(seen.last().unwrap()["terminal_reason"], "aborted_streaming");
    assert_eq!(session.finish().1, Some(1));
}

#[test]
fn control_requests_are_answered_as_the_real_program_does() {
    let mut session = Session::start(&["--demo-script", "hello"]);
    for (id, request, expected) in [
        ("a", json!({"subtype": "initialize"}), "success"),
        ("b", json!({"subtype": "set_permission_mode", "mode": "acceptEdits"}), "success"),
        (
            "c",
            json!({"subtype": "set_permission_mode", "mode": "bypassPermissions"}),
            "bypass_not_launched",
        ),
        ("d", json!({"subtype": "set_permission_mode", "mode": "nonsense"}), "invalid_mode"),
        ("e", json!({"subtype": "set_model", "model": "another"}), "success"),
        ("f", json!({"subtype": "no_such_subtype"}), "unsupported_request"),
        ("g", json!({"subtype": "interrupt"}), "success"),
    ] {
        session.control(id, request);
        let line = session.one("control_response");
        let response = &line["response"];
        assert_eq!(response["request_id"], id);
        assert_eq!(response["error_code"].as_str().unwrap_or("success"), expected);
    }
    session.say("go", None);
    let init = session.one("system/init");
    assert_eq!(
        (&init["model"], &init["permissionMode"]),
        (&json!("another"), &json!("acceptEdits"))
    );
}

#[test]
fn a_message_in_the_middle_is_taken_in_at_the_next_tool_end() {
    let mut session = Session::start(&["--demo-script", "steer", "--ms", "40"]);
    session.say("go", Some("u1"));
    session.one("user/tool_result");
    session.say("more to the left", Some("u2"));
    let seen = session.until("command_lifecycle/started");
    assert_eq!(seen.last().unwrap()["command_uuid"], "u2");
    assert_eq!(
        session.one("assistant/text")["message"]["content"][0]["text"],
        "Steered: more to the left"
    );
    session.one("result");
    let (rest, code, _) = session.finish();
    assert_eq!(code, Some(0));
    assert!(!rest.iter().any(|line| line.contains("\"result\"")), "one result for both messages");
}

#[test]
fn several_turns_on_one_input_and_the_end_of_input_after_a_turn() {
    let mut session = Session::start(&[
        "--demo-script",
        "follow_up",
        "--session-id",
        "11111111-2222-4333-8444-555555555555",
    ]);
    session.say("first", None);
    assert_eq!(session.one("result")["result"], "I am listening.");
    session.say("second", None);
    let result = session.one("result");
    assert_eq!(result["result"], "You said: second");
    assert_eq!(result["session_id"], "11111111-2222-4333-8444-555555555555");
    assert_eq!(session.finish().1, Some(0));
}

#[test]
fn an_ask_that_nobody_answers_is_denied_by_the_end_of_input() {
    let mut session = Session::start(&["--demo-script", "edit"]);
    session.say("do it", None);
    session.one("control_request/can_use_tool");
    let folder = session.path().to_owned();
    let (rest, code, _) = session.finish();
    assert!(
        rest.iter()
            .any(|line| line.contains("Tool permission stream closed before response received"))
    );
    assert_eq!(code, Some(0));
    assert!(!folder.join("edited.txt").exists());
}

#[test]
fn an_unknown_session_is_the_line_and_the_exit_of_the_real_program() {
    let mut session = Session::start(&[
        "--demo-script",
        "resume_rejected",
        "--resume",
        "99999999-2222-4333-8444-555555555555",
    ]);
    session.say("go", None);
    let result = session.one("result");
    let words = "No conversation found with session ID: 99999999-2222-4333-8444-555555555555";
    assert_eq!((&result["errors"][0], &result["num_turns"]), (&json!(words), &json!(0)));
    let (_, code, errors) = session.finish();
    assert_eq!((code, errors.trim()), (Some(1), words));
}

#[test]
fn input_that_is_not_json_is_fatal() {
    let mut session = Session::start(&["--demo-script", "hello"]);
    writeln!(session.stdin.as_mut().unwrap(), "this is not json").unwrap();
    let (rest, code, errors) = session.finish();
    assert_eq!((rest.len(), code), (0, Some(1)));
    assert!(errors.contains("Error parsing streaming input line"));
}

#[test]
fn the_demo_asks_once_when_edits_are_accepted_and_leaves_real_files() {
    let mut session = Session::start(&["--permission-mode", "acceptEdits"]);
    session.say("show me", None);
    let seen = session.until("control_request/can_use_tool");
    let text = seen.iter().find_map(|line| line["message"]["content"][0]["text"].as_str()).unwrap();
    assert!(text.contains("no model"), "the first sentence says what it is: {text}");
    let ask = seen.last().unwrap();
    assert_eq!(ask["request"]["input"]["command"], "sh hello/greet.sh");
    session.answer(ask, json!({"behavior": "allow"}));
    let seen = session.until("result");
    let ran = seen.iter().find(|line| kind_of(line) == "user/tool_result").unwrap();
    assert!(
        ran["tool_use_result"]["stdout"]
            .as_str()
            .unwrap()
            .starts_with("Hello, everybody. Your agents are ready.")
    );
    assert!(session.path().join("hello/README.md").exists());
    session.say("thank you", None);
    assert!(
        session.one("assistant/text")["message"]["content"][0]["text"]
            .as_str()
            .unwrap()
            .contains("> thank you")
    );
}

#[test]
fn the_demo_goes_on_when_it_is_denied_and_changes_nothing_when_its_plan_is() {
    let mut session = Session::start(&["--permission-mode", "acceptEdits"]);
    session.say("show me", None);
    let ask = session.one("control_request/can_use_tool");
    session.answer(&ask, json!({"behavior": "deny", "message": "no"}));
    let seen = session.until("result");
    assert!(seen.iter().any(|line| line.to_string().contains("You denied it")));
    assert_eq!(seen.last().unwrap()["is_error"], false);

    let mut session = Session::start(&["--permission-mode", "plan"]);
    session.say("show me", None);
    let ask = session.one("control_request/can_use_tool");
    assert_eq!(ask["request"]["tool_name"], "ExitPlanMode");
    session.answer(&ask, json!({"behavior": "deny", "message": "no"}));
    session.one("result");
    assert_eq!(std::fs::read_dir(session.path()).unwrap().count(), 0);
}

#[test]
fn totals_go_on_over_turns_and_over_a_resume() {
    for (flags, before) in [
        (vec!["--demo-script", "usage"], 0.0),
        (vec!["--demo-script", "usage", "--resume", "x"], 0.5),
    ] {
        let mut session = Session::start(&flags);
        for turn in [1.0, 2.0] {
            session.say("go", None);
            let result = session.one("result");
            let total = result["total_cost_usd"].as_f64().unwrap();
            assert!((total - before - turn * 0.02448).abs() < 1e-9, "{total}");
            let since = &result["model_usage_since_last_result"]["demo-script"];
            assert!((since["costUSD"].as_f64().unwrap() - 0.02448).abs() < 1e-9);
            assert_eq!(result["usage"]["input_tokens"], 120);
        }
    }
}
