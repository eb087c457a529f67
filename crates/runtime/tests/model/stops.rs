//! A stop at every point of a run. It ends it, with every call answered, and does not wait for whoever
//! takes the events.

use std::time::Duration;

use musher_protocol::*;
use musher_runtime::{RuntimeKind, model::Patience};
use musher_testkit::dialects::{Answer, Dialect, Item, Message, Oddity, Problem, ScriptedEndpoint};
use serde_json::json;

use super::harness::*;

each_dialect! {
    before_start,
    while_the_keychain_waits,
    while_it_streams,
    while_the_server_is_silent,
    during_a_tool,
    while_a_call_is_looked_at,
    while_it_waits_for_leave,
    while_it_waits_to_try_again,
    between_turns,
    after_the_end,
    while_nobody_takes_its_words,
    while_nobody_takes_its_results,
    during_a_tool_that_does_not_hear_it,
}

pub fn serves(dialect: Dialect, answers: impl IntoIterator<Item = Answer>) -> ScriptedEndpoint {
    ScriptedEndpoint::start(dialect, answers.into_iter().collect::<Vec<_>>()).unwrap()
}

pub fn calls(name: &str) -> Answer {
    Answer::call(name, &json!({"path": "a"}))
}

/// Words that go on for longer than any test.
pub fn slow_words() -> Answer {
    let words = Message::new([Item::text(&"Slow words. ".repeat(5_000))]);
    Answer::Oddly(words, Oddity::Slowly(Duration::from_millis(10)))
}

async fn before_start(dialect: Dialect) {
    let endpoint = serves(dialect, [Answer::text("Never asked.")]);
    // Not even what is wrong with it is looked at.
    let setup = Setup::new(&endpoint).key(None);
    let runtime = setup.kind().new_run();
    assert_eq!(runtime.get_status(), RuntimeStatus::Idle);
    runtime.stop().await.unwrap();
    let over = setup.start_with(runtime).end().await;
    assert_eq!(over.result.outcome, stopped());
    assert_eq!((over.sent().len(), endpoint.requests().len()), (0, 0));
}

async fn while_the_keychain_waits(dialect: Dialect) {
    let endpoint = serves(dialect, [Answer::text("Never asked.")]);
    let keys = Locked::default();
    let agent = Setup::new(&endpoint).locked(keys.clone()).start();
    let mut asked = keys.0.subscribe();
    tokio::time::timeout(SOON, asked.wait_for(|it| *it)).await.unwrap().unwrap();
    assert_eq!(agent.stop().await.result.outcome, stopped());
    assert!(endpoint.requests().is_empty());
}

async fn while_it_streams(dialect: Dialect) {
    let endpoint = serves(dialect, [slow_words()]);
    let mut agent = Setup::new(&endpoint).start();
    agent.until_delta().await;
    assert_eq!(agent.runtime.get_status(), RuntimeStatus::Running);
    assert_eq!(agent.stop().await.result.outcome, stopped());
}

async fn while_the_server_is_silent(dialect: Dialect) {
    let endpoint = serves(dialect, [Answer::Stall]);
    let mut agent = Setup::new(&endpoint).patience(Patience::default()).start();
    agent.until(|it| matches!(it, AgentEvent::MessageSent { .. })).await;
    assert_eq!(agent.stop().await.result.outcome, stopped());
}

async fn during_a_tool(dialect: Dialect) {
    let both = ["hang", "change"].map(|name| Item::call(name, &json!({"path": "a"})));
    let endpoint = serves(dialect, [Answer::says(both)]);
    let mut agent = Setup::new(&endpoint).start();
    agent.until(|it| matches!(it, AgentEvent::ToolDecision(_))).await;
    agent.setup.tools.until_begun(1).await;
    let over = agent.stop().await;
    assert_eq!(over.result.outcome, stopped());
    let texts: Vec<String> = over.results().into_iter().map(|it| it.text).collect();
    assert_eq!(texts.len(), 2, "{texts:?}");
    assert_eq!(texts[0], "stopped");
    assert!(texts[1].starts_with("Not run"), "{texts:?}");
    assert_eq!(over.setup.tools.begun().len(), 1);
}

async fn while_a_call_is_looked_at(dialect: Dialect) {
    let endpoint = serves(dialect, [calls("hang_at_sight")]);
    let agent = Setup::new(&endpoint).start();
    let tools = agent.setup.tools.clone();
    let runtime = agent.runtime.clone();
    let stop = async {
        tools.until_looked_at().await;
        runtime.stop().await.unwrap();
    };
    let (over, ()) = tokio::join!(agent.end(), stop);
    assert_eq!(over.result.outcome, stopped());
}

async fn while_it_waits_for_leave(dialect: Dialect) {
    let endpoint = serves(dialect, [calls("ask")]);
    let mut agent = Setup::new(&endpoint).start();
    agent.until_request().await;
    let over = agent.stop().await;
    assert_eq!(over.result.outcome, stopped());
    assert!(over.setup.tools.begun().is_empty() && over.results().len() == 1);
}

async fn while_it_waits_to_try_again(dialect: Dialect) {
    let busy = Problem::new(503, "UNAVAILABLE", "Come back later.");
    let endpoint = serves(dialect, [Answer::Problem(busy)]);
    let patience = Patience { backoff: Duration::from_secs(600), ..PATIENCE };
    let mut agent = Setup::new(&endpoint).patience(patience).start();
    agent.until(|it| matches!(it, AgentEvent::Status { until: Some(_), .. })).await;
    assert_eq!(agent.stop().await.result.outcome, stopped());
    assert_eq!(endpoint.turns().len(), 1);
}

async fn between_turns(dialect: Dialect) {
    let endpoint = serves(dialect, [Answer::text("Done.")]);
    let mut agent = Setup::new(&endpoint).start();
    agent.until_turns_end(1).await;
    assert_eq!(agent.stop().await.result.outcome, stopped());
}

async fn after_the_end(dialect: Dialect) {
    let endpoint = serves(dialect, [Answer::text("Done.")]);
    let over = Setup::new(&endpoint).start().finish().await;
    over.runtime.stop().await.unwrap();
    assert_eq!(over.result.outcome, RunOutcome::Completed);
    assert_eq!(over.runtime.get_status(), RuntimeStatus::Completed);
}

/// The engine may stop it from the loop that takes its events, and a full disk stalls that loop.
async fn stops_unread(agent: Agent) {
    let stop = tokio::time::timeout(SOON, agent.runtime.stop());
    stop.await.expect("a full sink does not hold up a stop").unwrap();
    assert_eq!(agent.end().await.result.outcome, stopped());
}

async fn while_nobody_takes_its_words(dialect: Dialect) {
    let words = Message::new([Item::text(&"Words. ".repeat(20_000))]);
    let endpoint = serves(dialect, [Answer::Says(words)]);
    let mut agent = Setup::new(&endpoint).start();
    agent.until_delta().await;
    stops_unread(agent).await;
}

async fn while_nobody_takes_its_results(dialect: Dialect) {
    let endpoint = serves(dialect, [calls("hang")]);
    let mut agent = Setup::new(&endpoint).start();
    agent.until(|it| matches!(it, AgentEvent::ToolDecision(_))).await;
    agent.setup.tools.until_begun(1).await;
    stops_unread(agent).await;
}

async fn during_a_tool_that_does_not_hear_it(dialect: Dialect) {
    let endpoint = serves(dialect, [calls("deaf")]);
    let mut agent = Setup::new(&endpoint).start();
    agent.until(|it| matches!(it, AgentEvent::ToolDecision(_))).await;
    agent.setup.tools.until_begun(1).await;
    let over = agent.stop().await;
    assert_eq!(over.result.outcome, stopped());
    assert!(over.results()[0].is_error);
}
