//! The permission mode is changed while a run lives: what counts is the mode of the moment, for each call
//! and for each request.

use musher_protocol::{Answer as Reply, *};
use musher_runtime::{AgentInput, RuntimeContext};
use musher_testkit::dialects::{Answer, Dialect, Item, RecordedRequest};
use serde_json::json;

use super::{harness::*, stops::*};

each_dialect! {
    a_stricter_mode_holds_for_calls_that_wait,
    a_looser_mode_holds_for_calls_that_wait,
    a_persons_answer_outlives_the_mode,
    a_run_that_is_let_out_of_plan_is_told_so,
    a_run_that_is_put_into_plan_is_told_so,
}

const ONLY_READ: &str = "You may only read.";
const MAY_BE_ASKED: &str = "Some calls are put before a person first";

fn question() -> Item {
    Item::call("ask_user", &json!({"question": "Go on?", "options": null}))
}

fn call(name: &str) -> Item {
    Item::call(name, &json!({"path": "a"}))
}

fn begins_in(mode: PermissionMode) -> impl FnOnce(&mut RuntimeContext) {
    move |context| context.permission_mode = mode
}

fn decisions(over: &Over) -> Vec<(ToolVerdict, &str)> {
    let decided = over.events.iter().filter_map(|it| match it {
        AgentEvent::ToolDecision(decided) => Some((decided.verdict, decided.reason.as_str())),
        _ => None,
    });
    decided.collect()
}

/// The question that is open.
async fn until_asked(agent: &mut Agent) -> String {
    match agent.until(|it| matches!(it, AgentEvent::Question(_))).await {
        AgentEvent::Question(question) => question.request,
        other => panic!("{other:?}"),
    }
}

async fn a_stricter_mode_holds_for_calls_that_wait(dialect: Dialect) {
    let both = [call("ask"), call("change")];
    let endpoint = serves(dialect, [Answer::says(both), Answer::text("Well.")]);
    let setup = Setup::new(&endpoint).with(begins_in(PermissionMode::AcceptEdits));
    let mut agent = setup.start();
    let request = agent.until_request().await;
    agent.steer(AgentInput::SetPermissionMode(PermissionMode::Plan)).await;
    agent.answer(&request.request, Reply::Deny { message: None }).await;
    let over = agent.finish().await;
    endpoint.check().unwrap();
    assert!(over.setup.tools.begun().is_empty(), "{:?}", over.results());
    let last = decisions(&over).pop();
    assert_eq!(last, Some((ToolVerdict::Denied, "the mode is plan")));
}

async fn a_looser_mode_holds_for_calls_that_wait(dialect: Dialect) {
    let both = [question(), call("change")];
    let endpoint = serves(dialect, [Answer::says(both), Answer::text("Well.")]);
    let mut agent = Setup::new(&endpoint).with(begins_in(PermissionMode::Plan)).start();
    let request = until_asked(&mut agent).await;
    agent.steer(AgentInput::SetPermissionMode(PermissionMode::AcceptEdits)).await;
    agent.answer(&request, Reply::Deny { message: None }).await;
    let over = agent.finish().await;
    endpoint.check().unwrap();
    assert_eq!(over.setup.tools.begun().len(), 1, "{:?}", over.results());
}

async fn a_persons_answer_outlives_the_mode(dialect: Dialect) {
    let endpoint = serves(dialect, [calls("ask"), Answer::text("Well.")]);
    let mut agent = Setup::new(&endpoint).start();
    let request = agent.until_request().await;
    agent.steer(AgentInput::SetPermissionMode(PermissionMode::Plan)).await;
    agent.answer(&request.request, Reply::Allow).await;
    let over = agent.finish().await;
    endpoint.check().unwrap();
    assert_eq!(over.setup.tools.begun().len(), 1, "{:?}", over.results());
}

fn has(request: &RecordedRequest, words: &str) -> bool {
    request.body.to_string().contains(words)
}

/// What the model is told before and after the mode is changed while a question waits.
async fn told(
    dialect: Dialect,
    before: PermissionMode,
    after: PermissionMode,
) -> [RecordedRequest; 2] {
    let endpoint = serves(dialect, [Answer::says([question()]), Answer::text("Well.")]);
    let mut agent = Setup::new(&endpoint).with(begins_in(before)).start();
    let request = until_asked(&mut agent).await;
    agent.steer(AgentInput::SetPermissionMode(after)).await;
    agent.answer(&request, Reply::Deny { message: None }).await;
    agent.finish().await;
    endpoint.check().unwrap();
    endpoint.turns().try_into().unwrap()
}

async fn a_run_that_is_let_out_of_plan_is_told_so(dialect: Dialect) {
    let [before, after] = told(dialect, PermissionMode::Plan, PermissionMode::AcceptEdits).await;
    assert!(has(&before, ONLY_READ) && !has(&before, MAY_BE_ASKED) && !has(&before, "deaf"));
    assert!(!has(&after, ONLY_READ) && has(&after, MAY_BE_ASKED) && has(&after, "deaf"));
}

async fn a_run_that_is_put_into_plan_is_told_so(dialect: Dialect) {
    let [before, after] = told(dialect, PermissionMode::Bypass, PermissionMode::Plan).await;
    assert!(!has(&before, ONLY_READ) && has(&before, MAY_BE_ASKED) && has(&before, "deaf"));
    assert!(has(&after, ONLY_READ) && !has(&after, MAY_BE_ASKED) && !has(&after, "deaf"));
}
