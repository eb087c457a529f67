//! Another engine goes on with the agent of one that is gone.

use musher_protocol::*;
use musher_runtime::AgentInput;

use crate::harness::*;

contract! {
    attaches_without_a_gap_or_a_double,
    attaches_to_one_that_ended,
    attaches_to_the_second_process,
    tells_when_its_keeper_was_killed,
    a_keeper_that_does_not_answer_proves_nothing,
}

/// Far enough that checkpoints are taken and spool segments go between two engines.
async fn attaches_without_a_gap_or_a_double(transport: Transport) {
    const LINES: &str = "90000";
    let mut agent = Setup::new(transport, "burst").env("MUSHER_DEMO_LINES", LINES).start();
    let mut stored = Vec::new();
    for _ in 0..5 {
        agent.until_count(9_000).await;
        let (setup, events) = agent.abandon();
        // What was taken from the sink is stored; a line is stored whole or not at all.
        stored.extend(events);
        let point = stored_to(&stored);
        agent = setup.with(|context| context.attach = Some(point)).start();
    }
    let run_dir = agent.setup.context.run_dir.clone();
    let over = agent.finish().await;
    assert_eq!(over.result.outcome, RunOutcome::Completed);
    stored.extend(over.events);
    assert!(run_dir.join("decoder.json").exists(), "no checkpoint was taken");
    let again =
        Setup::new(transport, "burst").env("MUSHER_DEMO_LINES", LINES).start().finish().await;
    let words = |events: &[musher_runtime::Sourced]| -> Vec<String> {
        let text = |it: &musher_runtime::Sourced| match &it.event {
            // Pieces begin with the time of their sending; what follows is the same in every run.
            AgentEvent::Text { block, text, delta, .. } => {
                let words = text.split_once(' ').map_or("", |(_, words)| words);
                Some(format!("{block} {delta} {words}"))
            }
            AgentEvent::ToolCall(call) => Some(call.title.clone()),
            AgentEvent::ToolResult(result) => Some(result.text.clone()),
            _ => None,
        };
        events.iter().filter_map(text).collect()
    };
    let (seen, expected) = (words(&stored), words(&again.events));
    assert!(expected.len() > 50_000, "{}", expected.len());
    let differs = seen.iter().zip(&expected).position(|(a, b)| a != b);
    assert_eq!((seen.len(), differs), (expected.len(), None));
}

async fn attaches_to_one_that_ended(transport: Transport) {
    let mut agent = Setup::new(transport, "crash_mid_turn").start();
    agent.until_said("Before the crash.").await;
    let (setup, events) = agent.abandon();
    let mark = format!("MUSHER_RUN={}", setup.context.run);
    let left = tokio::task::spawn_blocking(move || {
        musher_testkit::proof::wait_none_with_mark(&mark, PATIENCE)
    });
    assert!(left.await.unwrap().is_empty());
    let point = stored_to(&events);
    let over = setup.with(|context| context.attach = Some(point)).start().end().await;
    let RunOutcome::Failed { last_lines, .. } = &over.result.outcome else {
        panic!("{:?}", over.result)
    };
    assert_eq!(last_lines, &["Segmentation fault"]);
    assert!(!over.said("Before the crash."), "said twice");
    // Once more: standard error is told once, and still known.
    let point = stored_to(&over.events);
    let outcome = over.result.outcome;
    let again = over.setup.with(|context| context.attach = Some(point)).start().end().await;
    assert_eq!(again.result.outcome, outcome);
    assert_eq!(again.events, []);
}

async fn attaches_to_the_second_process(transport: Transport) {
    let setup = Setup::new(transport, "resume_rejected").with(|context| {
        context.session_id_to_resume = Some("99999999-2222-4333-8444-555555555555".into());
        context.fresh_prompt = Some("everything from the beginning".into());
    });
    let mut agent = setup.start();
    agent.until_said("A fresh session.").await;
    let (setup, events) = agent.abandon();
    let point = stored_to(&events);
    let next = setup.with(|context| {
        context.attach = Some(point.clone());
        // An engine that attaches knows the folder, no more.
        context.prompt.clear();
        context.session_id_to_resume = None;
        context.fresh_prompt = None;
    });
    let agent = next.start();
    agent.steer(AgentInput::EndOfInput).await;
    let over = agent.end().await;
    assert_eq!(over.result.outcome, RunOutcome::Completed);
    assert!(!over.said("A fresh session."), "said twice");
    let ends = |it: &&musher_runtime::Sourced| matches!(it.event, AgentEvent::TurnEnded { .. });
    assert_eq!(events.iter().chain(&over.events).filter(ends).count(), 1);
    let places = over.events.iter().filter_map(|it| it.spool).filter(|to| *to > 0);
    assert!(places.min().is_none_or(|first| first > point.stored_to));
}

async fn tells_when_its_keeper_was_killed(transport: Transport) {
    let mut agent = Setup::new(transport, "grandchildren").start();
    agent.until_said("spawned").await;
    let file = std::fs::read(agent.setup.context.run_dir.join("keeper.json")).unwrap();
    let file: serde_json::Value = serde_json::from_slice(&file).unwrap();
    let keeper = file["keeper"]["pid"].as_u64().unwrap();
    std::process::Command::new("kill").args(["-9", &keeper.to_string()]).status().unwrap();
    let over = agent.end().await;
    assert!(over.warned("keeper_lost"), "{:?}", over.events);
    assert!(matches!(over.result.outcome, RunOutcome::Failed { .. }), "{:?}", over.result);
    // The engine went before it stored the outcome: the next one asks again, and is told no more.
    let (point, outcome) = (stored_to(&over.events), over.result.outcome);
    let again = over.setup.with(|context| context.attach = Some(point)).start().end().await;
    assert_eq!(again.result.outcome, outcome);
    assert!(!again.warned("keeper_lost"), "{:?}", again.events);
}

/// Somebody stopped the keeper: the agent may live, so its run is not simply called failed.
async fn a_keeper_that_does_not_answer_proves_nothing(transport: Transport) {
    let mut agent = Setup::new(transport, "silent").start();
    let run_dir = agent.setup.context.run_dir.clone();
    agent.until(|event| matches!(event, AgentEvent::MessageSent { .. })).await;
    let (setup, events) = agent.abandon();
    let file: serde_json::Value =
        serde_json::from_slice(&std::fs::read(run_dir.join("keeper.json")).unwrap()).unwrap();
    let [keeper, child] = ["keeper", "child"].map(|who| file[who]["pid"].as_u64().unwrap());
    let kill = |signal: &str, pid: u64| {
        std::process::Command::new("kill").args([signal, &pid.to_string()]).status().unwrap()
    };
    kill("-STOP", keeper);
    let point = stored_to(&events);
    let next = setup.with(|context| context.attach = Some(point)).start();
    let (result, events) = next.unproved().await;
    kill("-KILL", child);
    kill("-CONT", keeper);
    kill("-KILL", keeper);
    let left = vec![keeper as u32, child as u32];
    assert_eq!(result.unwrap().outcome, RunOutcome::Unconfirmed { left });
    let told = |it: &musher_runtime::Sourced| matches!(&it.event, AgentEvent::Warning { code, .. } if code == "keeper_silent");
    assert_eq!(events.iter().filter(|it| told(it)).count(), 1);
}
