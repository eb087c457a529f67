//! Words, steps and answers between a person and the agent.

use musher_protocol::*;
use musher_runtime::{AgentInput, AgentRuntime, RuntimeError, claude::Flavour};

use crate::harness::*;

contract! {
    starts_streams_and_completes,
    the_demo_is_labelled,
    allows,
    denies,
    answers_a_question,
    approves_a_plan,
    answers_two_asks,
    follows_up,
    steers,
    interrupts,
}

async fn starts_streams_and_completes(transport: Transport) {
    let mut agent = Setup::new(transport, "hello").start();
    agent.until(|event| matches!(event, AgentEvent::MessageSent { id } if id == "prompt-1")).await;
    assert_eq!(agent.runtime.get_status(), RuntimeStatus::Running);
    let over = agent.finish().await;
    assert_eq!(over.result.outcome, RunOutcome::Completed);
    assert!(over.said("Hello from the scripted agent. Ünïcode: 你好 🦀"));
    assert!(over.result.session_id.is_some());
    assert!(over.count(|event| matches!(event, AgentEvent::Text { delta: true, .. })) > 0);
    assert!(
        over.count(|event| matches!(event, AgentEvent::Notice { .. })) == 0,
        "{:?}",
        over.events
    );
    assert_eq!(over.runtime.get_status(), RuntimeStatus::Completed);
    let late = over.runtime.steer(AgentInput::Interrupt).await;
    assert!(matches!(late, Err(RuntimeError::NotRunning)));
    over.runtime.stop().await.unwrap();
    let places: Vec<u64> =
        over.events.iter().filter_map(|it| it.spool).filter(|to| *to > 0).collect();
    assert!(places.is_sorted(), "{places:?}");
}

async fn the_demo_is_labelled(transport: Transport) {
    let over = Setup::new(transport, "hello").start_as(Flavour::Demo).finish().await;
    let labelled = |event: &AgentEvent| matches!(event, AgentEvent::Session(info) if info.demo && info.billing == Billing::Free);
    assert!(over.count(labelled) > 0);
    assert_eq!(over.count(|event| matches!(event, AgentEvent::Session(info) if !info.demo)), 0);
}

async fn allows(transport: Transport) {
    let mut agent = Setup::new(transport, "edit").start();
    let request = agent.until_request().await;
    assert_eq!(request.kind, ToolKind::Edit);
    assert!(request.title.ends_with("edited.txt"), "{request:?}");
    let file = agent.setup.context.cwd.join("edited.txt");
    assert!(!file.exists(), "written before it was allowed");
    agent.answer(&request.request, Answer::Allow).await;
    let again = AgentInput::Answer { request: request.request, answer: Answer::Allow };
    let over = agent.finish().await;
    assert!(file.exists() && over.said("Written."));
    let edit =
        |event: &AgentEvent| matches!(event, AgentEvent::ToolResult(it) if it.edit.is_some());
    assert_eq!(over.count(edit), 1);
    assert!(over.runtime.steer(again).await.is_err());
}

async fn denies(transport: Transport) {
    let mut agent = Setup::new(transport, "edit").start();
    let request = agent.until_request().await;
    let unknown = AgentInput::Answer { request: "no-such".into(), answer: Answer::Allow };
    assert!(matches!(agent.runtime.steer(unknown).await, Err(RuntimeError::Unsupported(_))));
    agent.answer(&request.request, Answer::Deny { message: Some("rather not".into()) }).await;
    let over = agent.finish().await;
    assert_eq!(over.result.outcome, RunOutcome::Completed, "a denial is no failure");
    assert!(over.said("Not written.") && !over.setup.context.cwd.join("edited.txt").exists());
    let told = |event: &AgentEvent| matches!(event, AgentEvent::ToolResult(it) if it.is_error && it.text.contains("rather not"));
    assert_eq!(over.count(told), 1);
}

async fn answers_a_question(transport: Transport) {
    let mut agent = Setup::new(transport, "question").start();
    let asked = agent.until(|event| matches!(event, AgentEvent::Question(_))).await;
    let AgentEvent::Question(question) = asked else { panic!("{asked:?}") };
    assert_eq!(question.questions[0].options[1].label, "Blue");
    let answers = [(question.questions[0].question.clone(), "Blue".to_owned())].into();
    agent.answer(&question.request, Answer::Answers { answers }).await;
    assert!(agent.finish().await.said("You chose Blue."));
}

async fn approves_a_plan(transport: Transport) {
    let setup = Setup::new(transport, "plan_approval");
    let mut agent = setup.with(|context| context.permission_mode = PermissionMode::Plan).start();
    let request = agent.until_request().await;
    assert_eq!(request.plan.as_deref(), Some("# Plan\n\n1. Write planned.txt"));
    agent.answer(&request.request, Answer::Allow).await;
    let next = agent.until(
        |event| matches!(event, AgentEvent::PermissionRequest(it) if it.kind == ToolKind::Edit),
    );
    let AgentEvent::PermissionRequest(write) = next.await else { panic!("no request") };
    agent.answer(&write.request, Answer::Allow).await;
    assert!(agent.finish().await.said("Plan carried out."));
}

async fn answers_two_asks(transport: Transport) {
    let mut agent = Setup::new(transport, "two_asks").start();
    let first = agent.until_request().await;
    let second = agent.until(
        |event| matches!(event, AgentEvent::PermissionRequest(it) if it.request != first.request),
    );
    let AgentEvent::PermissionRequest(second) = second.await else { panic!("no request") };
    agent.answer(&second.request, Answer::Allow).await;
    agent.answer(&first.request, Answer::Deny { message: None }).await;
    let over = agent.finish().await;
    assert!(over.said("Both answered.") && over.setup.context.cwd.join("second.txt").exists());
    assert!(!over.setup.context.cwd.join("first.txt").exists());
}

async fn follows_up(transport: Transport) {
    let mut agent = Setup::new(transport, "follow_up").start();
    agent.until_turn_ends().await;
    agent.message("m1", "and now\nthis").await;
    agent.message("m1", "and now\nthis").await;
    agent.until_said("You said: and now\nthis").await;
    agent.steer(AgentInput::EndOfInput).await;
    let over = agent.end().await;
    assert_eq!(over.result.outcome, RunOutcome::Completed);
    assert_eq!(
        over.count(|event| is_text(event, "You said")),
        1,
        "the same message was said twice"
    );
}

async fn steers(transport: Transport) {
    let mut agent = Setup::new(transport, "steer").env("MUSHER_DEMO_SPEED", "1").start();
    agent.until_said("Working in small steps.").await;
    agent.message("m1", "turn left").await;
    agent.until_said("Steered: turn left").await;
    let over = agent.finish().await;
    assert_eq!(over.result.outcome, RunOutcome::Completed);
    assert!(over.count(|event| matches!(event, AgentEvent::MessageSent { id } if id == "m1")) == 1);
}

async fn interrupts(transport: Transport) {
    let mut agent = Setup::new(transport, "slow").env("MUSHER_DEMO_SPEED", "1").start();
    agent.until_said("Slow words").await;
    agent.steer(AgentInput::Interrupt).await;
    let ended = agent.until(|event| matches!(event, AgentEvent::TurnEnded { .. })).await;
    assert!(matches!(ended, AgentEvent::TurnEnded { ok: false, .. }), "{ended:?}");
    assert_eq!(agent.runtime.get_status(), RuntimeStatus::Running, "the agent lives on");
    agent.steer(AgentInput::EndOfInput).await;
    assert_eq!(agent.end().await.result.outcome, RunOutcome::Stopped { by: StoppedBy::User });
}
