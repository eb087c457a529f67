//! The calls of one answer: what only reads runs side by side, what changes anything runs alone and in
//! order, and one that goes wrong ends by itself.

use musher_protocol::*;
use musher_runtime::{RuntimeContext, model::MOST_CALLS};
use musher_testkit::dialects::{Answer, Dialect, Header, Item, Message};
use serde_json::json;

use super::{harness::*, stops::*};

each_dialect! {
    reads_run_side_by_side,
    changes_run_alone_and_in_order,
    a_tool_that_breaks_ends_its_call_alone,
    what_cannot_be_called_is_told,
    what_is_not_offered_is_answered_with_what_is,
    what_is_no_stream_is_asked_once_and_told_with_a_next_step,
    a_refusal_and_a_server_that_is_gone_name_a_next_step,
    calls_beyond_the_most_are_told_and_not_begun,
    what_a_person_should_know_is_told_before_the_result,
}

fn together<'a>(names: impl IntoIterator<Item = &'a str>) -> Answer {
    Answer::says(names.into_iter().map(|name| Item::call(name, &json!({"path": name}))))
}

async fn reads_run_side_by_side(dialect: Dialect) {
    let endpoint = serves(dialect, [together(["meet", "meet"]), Answer::text("Done.")]);
    let over = Setup::new(&endpoint).start().finish().await;
    endpoint.check().unwrap();
    let texts: Vec<String> = over.results().into_iter().map(|it| it.text).collect();
    assert_eq!(texts, ["met", "met"]);
}

async fn calls_beyond_the_most_are_told_and_not_begun(dialect: Dialect) {
    let names = vec!["read_file"; MOST_CALLS + 3];
    let endpoint = serves(dialect, [together(names), Answer::text("Done.")]);
    let over = Setup::new(&endpoint).start().finish().await;
    endpoint.check().unwrap();
    let results = over.results();
    assert_eq!(results.len(), MOST_CALLS + 3);
    let beyond: Vec<_> = results.iter().filter(|it| it.is_error).collect();
    assert_eq!(beyond.len(), 3, "{beyond:?}");
    assert!(beyond[0].text.contains("in your next answer"), "{beyond:?}");
}

fn errors(over: &Over) -> Vec<(String, String)> {
    let all = over.events.iter().filter_map(|it| match it {
        AgentEvent::Error { message, hint, .. } => {
            Some((message.clone(), hint.clone().unwrap_or_default()))
        }
        _ => None,
    });
    all.collect()
}

async fn what_is_no_stream_is_asked_once_and_told_with_a_next_step(dialect: Dialect) {
    for (body, told) in [("", "nothing at all"), ("<html>\nSign in\n</html>\n", "a web page")] {
        let headers = vec![Header::is("content-type", "text/event-stream")];
        let answer = Answer::Raw { status: 200, headers, body: body.into() };
        let endpoint = serves(dialect, [answer, Answer::text("Never asked.")]);
        let over = Setup::new(&endpoint).start().finish().await;
        let errors = errors(&over);
        assert!(errors[0].0.contains(told), "{errors:?}");
        assert!(errors[0].1.contains("mend the address"), "{errors:?}");
        assert_eq!(endpoint.turns().len(), 1);
    }
}

async fn a_refusal_and_a_server_that_is_gone_name_a_next_step(dialect: Dialect) {
    let reason = if dialect == Dialect::Gemini { "SAFETY" } else { "content_filter" };
    let refusal = Answer::Says(Message::new([Item::text("No.")]).ending(reason));
    let endpoint = serves(dialect, [refusal]);
    let refused = errors(&Setup::new(&endpoint).start().finish().await);
    assert!(refused[0].1.contains("in other words"), "{refused:?}");
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let setup = Setup::new(&endpoint).with(|context| {
        context.endpoint.base_url = Some(format!("http://{nobody}/v1"));
    });
    let gone = errors(&setup.start().finish().await);
    assert!(gone[0].1.starts_with("Start the model server"), "{gone:?}");
}

async fn changes_run_alone_and_in_order(dialect: Dialect) {
    let names = ["read_file", "change", "read_file", "read_file", "change", "change", "read_file"];
    let endpoint = serves(dialect, [together(names), Answer::text("Done.")]);
    let over = Setup::new(&endpoint).start().finish().await;
    endpoint.check().unwrap();
    assert_eq!(over.setup.tools.overlaps(), [""; 0]);
    let called = over.events.iter().filter_map(|it| match it {
        AgentEvent::ToolCall(call) => Some(call.id.as_str()),
        _ => None,
    });
    let results = over.results();
    let answered: Vec<&str> = results.iter().map(|it| it.id.as_str()).collect();
    let called: Vec<&str> = called.collect();
    assert_eq!(answered.len(), names.len());
    // The reads of one group may end in any order.
    for at in [1, 4, 5, 6] {
        assert_eq!(called[at], answered[at], "{called:?} {answered:?}");
    }
}

async fn a_tool_that_breaks_ends_its_call_alone(dialect: Dialect) {
    let names = ["panic", "change", "panic_at_sight", "change"];
    let endpoint = serves(dialect, [together(names), Answer::text("Done.")]);
    let over = Setup::new(&endpoint).start().finish().await;
    endpoint.check().unwrap();
    assert_eq!(over.result.outcome, RunOutcome::Completed);
    let results = over.results();
    let text = |id: usize| results.iter().find(|it| it.id == called(&over, id)).unwrap();
    assert!(text(0).is_error && text(0).text.contains("is unknown"), "{results:?}");
    assert!(text(2).is_error && text(2).text.contains("nothing was done"), "{results:?}");
    assert!(!text(1).is_error && !text(3).is_error, "{results:?}");
}

fn called(over: &Over, at: usize) -> &str {
    let mut called = over.events.iter().filter_map(|it| match it {
        AgentEvent::ToolCall(call) => Some(call.id.as_str()),
        _ => None,
    });
    called.nth(at).unwrap()
}

async fn what_cannot_be_called_is_told(dialect: Dialect) {
    let calls = [Item::call("read_file", &json!({})), Item::call("change", &json!({"path": "a"}))];
    let endpoint = serves(dialect, [Answer::says(calls), Answer::text("Done.")]);
    let over = Setup::new(&endpoint).start().finish().await;
    endpoint.check().unwrap();
    let results = over.results();
    assert!(results[0].is_error && results[0].text == "`path` is missing.", "{results:?}");
    assert!(!results[1].is_error, "the other call is made");
    let decided: Vec<_> = over.events.iter().filter_map(decision).collect();
    let refused = (ToolVerdict::Denied, "`path` is missing");
    assert_eq!(decided, [refused, (ToolVerdict::Allowed, "as the test has it")]);
}

fn decision(event: &AgentEvent) -> Option<(ToolVerdict, &str)> {
    match event {
        AgentEvent::ToolDecision(decided) => Some((decided.verdict, &decided.reason)),
        _ => None,
    }
}

async fn what_is_not_offered_is_answered_with_what_is(dialect: Dialect) {
    let endpoint = serves(dialect, [calls("find"), Answer::text("Done.")]);
    let plan = |context: &mut RuntimeContext| context.permission_mode = PermissionMode::Plan;
    let over = Setup::new(&endpoint).with(plan).start().finish().await;
    endpoint.check().unwrap();
    let told = &over.results()[0];
    let all = "There is no tool of this name; there are read_file, meet, ask_user.";
    assert!(told.is_error && told.text == all, "{told:?}");
}

async fn what_a_person_should_know_is_told_before_the_result(dialect: Dialect) {
    let endpoint = serves(dialect, [calls("warn"), Answer::text("Done.")]);
    let over = Setup::new(&endpoint).start().finish().await;
    endpoint.check().unwrap();
    let told = over.events.iter().filter(|it| {
        matches!(it, AgentEvent::ToolResult(_))
            || matches!(it, AgentEvent::Warning { code, .. } if code == "tool_server")
    });
    let told: Vec<_> = told.collect();
    assert!(
        matches!(told[..], [AgentEvent::Warning { .. }, AgentEvent::ToolResult(_)]),
        "{told:?}"
    );
}
