//! A key that an agent with a loop of its own finds somewhere is in no event of it.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

mod fake;

use std::path::Path;

use fake::{FakeRun, World, resume};
use musher_protocol::*;
use musher_runtime::{Call, MARK};
use tokio_util::sync::CancellationToken;

const GIVEN: &str = "canary+given/2f9c01";
const KEPT: &str = "canary+kept/77d0e3";

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_an_agent_finds_is_not_stored() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::open(dir.path(), 4, chrono::Utc::now).await;
    let file = dir.path().join("data").join("keys.json");
    std::fs::write(&file, format!("{{\"http://far.invalid/v1\": \"{KEPT}\"}}")).unwrap();
    let run = world
        .start(|settings| drop(settings.env.insert("X_API_KEY".into(), GIVEN.into())))
        .await
        .id;
    let agent = world.started().await;
    let place = world.until(&run, |summary| !summary.worktree.is_empty()).await.worktree;
    let file_of_its_name = Path::new(&place).join(GIVEN);
    std::fs::create_dir_all(file_of_its_name.parent().unwrap()).unwrap();
    std::fs::write(file_of_its_name, "x").unwrap();
    let text = format!("X_API_KEY={GIVEN}\nkeys.json: {KEPT}\n");
    let (parent, edit, is_error) = (None, None, false);
    let result =
        ToolResult { id: "call-1".into(), text: text.clone(), is_error, edit, parent: None };
    agent.say(AgentEvent::ToolResult(result)).await;
    let block = "1".to_owned();
    agent.say(AgentEvent::Text { block, text, delta: false, parent }).await;
    agent.end(RunOutcome::Failed { exit_code: Some(1), last_lines: vec![format!("no {KEPT}")] });
    world.until(&run, |summary| summary.phase == RunPhase::Done).await;
    world.until(&run, |summary| summary.files_changed == 1).await;
    let told = serde_json::to_string(&world.events(&run).await).unwrap();
    assert_eq!(told.matches(MARK).count(), 6, "{told}");
    assert!(!told.contains("canary"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_comes_in_pieces_is_not_stored_in_pieces() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::open(dir.path(), 4, chrono::Utc::now).await;
    let run = world
        .start(|settings| drop(settings.env.insert("X_API_KEY".into(), GIVEN.into())))
        .await
        .id;
    let agent = world.started().await;
    for text in ["it is ", "ca", &GIVEN[2..9], &GIVEN[9..], ", so ", "ca"] {
        let (block, text) = ("1".to_owned(), text.to_owned());
        agent.say(AgentEvent::Text { block, text, delta: true, parent: None }).await;
    }
    agent.end(RunOutcome::Completed);
    world.until(&run, |summary| summary.phase == RunPhase::Done).await;
    let mut told = String::new();
    for envelope in world.events(&run).await {
        if let AgentEvent::Text { text, .. } = envelope.event {
            told += &text;
        }
    }
    assert_eq!(told, format!("it is {MARK}, so ca"));
}

const LATE: &str = "canary+late/5ab0e2";
/// Nobody's: the keychain of whoever runs the tests may be asked to keep it, and to forget it.
const PLACE: &str = "http://musher-test.invalid/v1";

/// What a tool shows of a file with the key in it.
async fn shown(agent: &FakeRun) -> String {
    let file = Path::new(&agent.context.cwd).join("key.txt");
    std::fs::write(file, LATE).unwrap();
    let host = agent.context.tools.host.as_ref().unwrap();
    let (id, name) = ("call-1".to_owned(), "read_file".to_owned());
    let call = Call { id, name, input: serde_json::json!({"path": "key.txt"}) };
    host.intent(&call, PermissionMode::Bypass).await.unwrap();
    host.call(&call, CancellationToken::new()).await.text
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_set_is_hidden_at_once_and_stays_so_when_it_is_removed() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::open(dir.path(), 4, chrono::Utc::now).await;
    let run = world.start(|settings| settings.runtime = "ours".into()).await.id;
    let agent = world.started().await;
    let text = format!("{LATE} ");
    let says = |block: &str| AgentEvent::Text {
        block: block.into(),
        text: text.clone(),
        delta: false,
        parent: None,
    };
    agent.say(says("before")).await;
    world.until(&run, |summary| summary.phase == RunPhase::Running).await;
    assert!(shown(&agent).await.contains(LATE));

    let set = KeySetParams { place: PLACE.into(), key: LATE.into(), file: true };
    world.engine.key_set(set).await.unwrap();
    assert!(shown(&agent).await.contains(MARK));
    agent.say(says("set")).await;
    let removed = KeyPlaceParams { place: PLACE.into() };
    assert!(world.engine.key_remove(removed).await.unwrap().was);
    assert!(shown(&agent).await.contains(MARK));
    agent.say(says("removed")).await;
    agent.end(RunOutcome::Completed);
    world.until(&run, |summary| summary.phase == RunPhase::Done).await;
    let told = serde_json::to_string(&world.events(&run).await).unwrap();
    assert_eq!((told.matches(MARK).count(), told.matches(LATE).count()), (2, 1), "{told}");

    world.engine.run_resume(resume(&run)).await.unwrap();
    assert!(shown(&world.started().await).await.contains(MARK));
}
