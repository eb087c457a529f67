//! The contract suite: what every runtime must do, with the scripted agent as its program, over a PTY
//! and over a pipe. Each run ends with a proof that no process of it is left.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_methods)]
#![cfg(target_os = "linux")]

#[path = "contract/harness.rs"]
mod harness;

use std::time::{Duration, Instant};

use harness::*;
use musher_protocol::*;
use musher_runtime::{AgentInput, AgentRuntime, RuntimeError, claude::Flavour};
use proptest::prelude::*;

/// Every case as a test for each transport.
macro_rules! contract {
    ($($(#[$attribute:meta])* $name:ident),* $(,)?) => {
        mod pty {
            $($(#[$attribute])* #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() { super::$name(musher_protocol::Transport::Pty).await })*
        }
        mod pipe {
            $($(#[$attribute])* #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() { super::$name(musher_protocol::Transport::Pipe).await })*
        }
    };
}

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
    stops_in_grace,
    stops_one_that_ignores_term,
    leaves_no_grandchildren,
    survives_an_early_end_of_output,
    does_not_wait_for_held_output,
    keeps_every_byte_of_much,
    says_when_it_died_before_its_session,
    says_how_it_died_in_a_turn,
    no_result_is_a_failure,
    begins_again_when_a_resume_is_rejected,
    says_that_a_resume_was_rejected,
    rate_limited_until,
    overage_is_no_limit,
    needs_a_login,
    keeps_good_lines_between_garbage,
    refuses_what_it_does_not_know,
    ends_a_silent_one,
    waiting_for_a_person_is_no_silence,
    ends_when_the_time_is_up,
    ends_when_the_money_is_spent,
    attaches_without_a_gap_or_a_double,
    attaches_to_one_that_ended,
    attaches_to_the_second_process,
    a_program_that_is_not_there,
    stops_and_hears_while_nobody_reads,
    tells_when_its_keeper_was_killed,
    stop_before_start_starts_nothing,
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

async fn stops_in_grace(transport: Transport) {
    let mut agent = Setup::new(transport, "slow").env("MUSHER_DEMO_SPEED", "1").start();
    agent.until_said("Slow words").await;
    let begun = Instant::now();
    let runtime = agent.runtime.clone();
    let (stopped, over) = tokio::join!(runtime.stop(), agent.end());
    stopped.unwrap();
    assert_eq!(over.result.outcome, RunOutcome::Stopped { by: StoppedBy::User });
    assert!(begun.elapsed() < Duration::from_secs(6), "{:?}", begun.elapsed());
    assert_eq!(over.runtime.get_status(), RuntimeStatus::Idle);
    runtime.stop().await.unwrap();
}

async fn stops_one_that_ignores_term(transport: Transport) {
    let mut agent = Setup::new(transport, "ignore_term").start();
    agent.until_said("Nobody stops me politely.").await;
    let runtime = agent.runtime.clone();
    let begun = Instant::now();
    let (stopped, over) = tokio::join!(runtime.stop(), agent.end());
    stopped.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
    assert_eq!(over.result.outcome, RunOutcome::Stopped { by: StoppedBy::User });
}

async fn leaves_no_grandchildren(transport: Transport) {
    for script in ["grandchildren", "stubborn"] {
        let mut agent = Setup::new(transport, script).start();
        agent.until_said("spawned").await;
        let runtime = agent.runtime.clone();
        let (stopped, over) = tokio::join!(runtime.stop(), agent.end());
        stopped.unwrap();
        assert_eq!(over.result.outcome, RunOutcome::Stopped { by: StoppedBy::User }, "{script}");
    }
}

async fn survives_an_early_end_of_output(transport: Transport) {
    let mut agent = Setup::new(transport, "close_stdout_early").start();
    agent.until_said("Last words.").await;
    agent.steer(AgentInput::EndOfInput).await;
    let over = agent.end().await;
    assert!(matches!(over.result.outcome, RunOutcome::Failed { .. }), "{:?}", over.result);
}

async fn does_not_wait_for_held_output(transport: Transport) {
    let over = Setup::new(transport, "stdout_held").start().finish().await;
    assert_eq!(over.result.outcome, RunOutcome::Completed);
    assert!(over.said("spawned"));
}

/// Smaller than the 100 MB of the script's own default; `MUSHER_TEST_BIG` sets it.
async fn keeps_every_byte_of_much(transport: Transport) {
    let bytes = std::env::var("MUSHER_TEST_BIG").unwrap_or_else(|_| "12000000".into());
    let mut agent = Setup::new(transport, "big").env("MUSHER_DEMO_BYTES", &bytes).start();
    agent.until_said("That was big.").await;
    let over = agent.finish().await;
    assert_eq!(over.result.outcome, RunOutcome::Completed);
    let last = over.events.iter().filter_map(|it| it.spool).max().unwrap();
    assert!(last > bytes.parse().unwrap(), "{last}");
    assert_eq!(over.count(|event| matches!(event, AgentEvent::Notice { .. })), 0);
    assert!(over.setup.context.run_dir.join("decoder.json").exists(), "no checkpoint was taken");
}

async fn says_when_it_died_before_its_session(transport: Transport) {
    let over = Setup::new(transport, "crash_before_init").start().end().await;
    let RunOutcome::AbortedBeforeSession { signal, last_lines } = over.result.outcome else {
        panic!("{:?}", over.result)
    };
    assert_eq!(signal, Some(6));
    assert_eq!(last_lines.last().unwrap(), "oh no: the scripted agent has crashed");
}

async fn says_how_it_died_in_a_turn(transport: Transport) {
    let over = Setup::new(transport, "crash_mid_turn").start().end().await;
    let RunOutcome::Failed { last_lines, .. } = &over.result.outcome else {
        panic!("{:?}", over.result)
    };
    assert_eq!(last_lines, &["Segmentation fault"]);
    let half = |event: &AgentEvent| matches!(event, AgentEvent::Notice { stream: Stream::Stdout, text } if text.contains("half"));
    assert_eq!(over.count(half), 1, "the half line is not kept");
    let stderr = |event: &AgentEvent| matches!(event, AgentEvent::Notice { stream: Stream::Stderr, text } if text.contains("fault"));
    assert_eq!(over.count(stderr), 1);
}

async fn no_result_is_a_failure(transport: Transport) {
    let over = Setup::new(transport, "exit_no_result").start().end().await;
    let RunOutcome::Failed { exit_code, .. } = over.result.outcome else {
        panic!("{over:?}", over = over.result)
    };
    assert_eq!(exit_code, Some(0));
}

async fn begins_again_when_a_resume_is_rejected(transport: Transport) {
    let setup = Setup::new(transport, "resume_rejected").with(|context| {
        context.session_id_to_resume = Some("99999999-2222-4333-8444-555555555555".into());
        context.fresh_prompt = Some("everything from the beginning".into());
    });
    let over = setup.start().finish().await;
    assert_eq!(over.result.outcome, RunOutcome::Completed);
    assert!(over.said("A fresh session.") && over.warned("resume_rejected"));
    assert_eq!(over.count(|event| matches!(event, AgentEvent::MessageSent { .. })), 1);
    assert_eq!(over.count(|event| matches!(event, AgentEvent::TurnEnded { .. })), 1);
}

async fn says_that_a_resume_was_rejected(transport: Transport) {
    let id = "99999999-2222-4333-8444-555555555555";
    let setup = Setup::new(transport, "resume_rejected");
    let over =
        setup.with(|context| context.session_id_to_resume = Some(id.into())).start().end().await;
    assert_eq!(over.result.outcome, RunOutcome::ResumeRejected { session_id: id.into() });
}

async fn rate_limited_until(transport: Transport) {
    let over = Setup::new(transport, "rate_limited").start().finish().await;
    assert!(over.result.outcome.rate_limit_exit(), "{:?}", over.result);
    let left = over.result.outcome.rate_limit_reset_at().unwrap() - chrono::Utc::now();
    assert!((7000..=7200).contains(&left.num_seconds()), "{left}");
}

async fn overage_is_no_limit(transport: Transport) {
    let over = Setup::new(transport, "rate_overage").start().finish().await;
    assert_eq!(over.result.outcome, RunOutcome::Completed);
    assert_eq!(
        over.count(|event| matches!(event, AgentEvent::RateLimit(it) if it.using_overage)),
        1
    );
}

async fn needs_a_login(transport: Transport) {
    let over = Setup::new(transport, "auth_error").start().finish().await;
    assert!(matches!(over.result.outcome, RunOutcome::AuthenticationRequired { .. }));
    let hinted = |event: &AgentEvent| matches!(event, AgentEvent::Error { hint: Some(_), .. });
    assert_eq!(over.count(hinted), 1);
}

async fn keeps_good_lines_between_garbage(transport: Transport) {
    let over = Setup::new(transport, "garbage").start().finish().await;
    for good in 1..=20 {
        assert!(over.said(&format!("good {good}")), "line {good} is lost");
    }
    assert!(over.said("All twenty said."));
    assert_eq!(over.result.outcome, RunOutcome::Completed);
}

async fn refuses_what_it_does_not_know(transport: Transport) {
    let over = Setup::new(transport, "unknown_control").start().finish().await;
    assert!(
        over.said("Musher does not answer requests of the kind 'musher_test_unknown'"),
        "{:?}",
        over.events
    );
    let raw = |event: &AgentEvent| matches!(event, AgentEvent::Raw { kind, .. } if kind.starts_with("control_request"));
    assert_eq!(over.count(raw), 1);
}

async fn ends_a_silent_one(transport: Transport) {
    let setup = Setup::new(transport, "silent");
    let over = setup.with(|context| context.inactivity_timeout_secs = 1).start().end().await;
    let RunOutcome::Inactive { after_secs, .. } = over.result.outcome else {
        panic!("{:?}", over.result)
    };
    assert_eq!(after_secs, 1);
}

/// The limit passes while the person thinks: the run must be there for the answer. And it must pass
/// again afterwards, so that this test can fail.
async fn waiting_for_a_person_is_no_silence(transport: Transport) {
    let setup = Setup::new(transport, "edit").with(|context| context.inactivity_timeout_secs = 1);
    let mut agent = setup.start();
    let request = agent.until_request().await;
    tokio::time::sleep(Duration::from_millis(1500)).await;
    agent.answer(&request.request, Answer::Allow).await;
    agent.until_turn_ends().await;
    tokio::time::sleep(Duration::from_millis(1500)).await;
    agent.steer(AgentInput::EndOfInput).await;
    let over = agent.end().await;
    assert_eq!(over.result.outcome, RunOutcome::Completed);
}

async fn ends_when_the_time_is_up(transport: Transport) {
    let setup = Setup::new(transport, "slow").env("MUSHER_DEMO_SPEED", "1");
    let over = setup.with(|context| context.limits.max_seconds = Some(1)).start().end().await;
    assert_eq!(over.result.outcome, RunOutcome::LimitReached { limit: RunLimit::Time });
}

async fn ends_when_the_money_is_spent(transport: Transport) {
    let setup = Setup::new(transport, "usage");
    let mut agent =
        setup.with(|context| context.limits.max_cost_microdollars = Some(30_000)).start();
    agent.until_turn_ends().await;
    agent.message("m1", "more").await;
    let over = agent.end().await;
    assert_eq!(over.result.outcome, RunOutcome::LimitReached { limit: RunLimit::Money });
    assert!(over.result.token_usage.cost_microdollars >= 30_000, "{:?}", over.result);
}

/// Far enough that checkpoints are taken and spool segments go between two engines.
async fn attaches_without_a_gap_or_a_double(transport: Transport) {
    const LINES: &str = "60000";
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

async fn a_program_that_is_not_there(transport: Transport) {
    let setup = Setup::new(transport, "hello");
    let over =
        setup.with(|context| context.command = Some("/no/such/agent".into())).start().end().await;
    assert!(matches!(over.result.outcome, RunOutcome::SpawnFailed { .. }), "{:?}", over.result);
}

/// The engine calls `steer` from the loop that also takes batches, and a full disk stalls that loop:
/// neither may wait for the other.
async fn stops_and_hears_while_nobody_reads(transport: Transport) {
    // The sink is full in no time, and what piles up meanwhile is read in a moment.
    let setup = Setup::new(transport, "burst").env("MUSHER_DEMO_LINES", "10000000");
    let mut agent = setup.env("MUSHER_DEMO_RATE", "5000").start();
    agent.until(|event| matches!(event, AgentEvent::ToolCall(_))).await;
    let runtime = agent.runtime.clone();
    let unread = async {
        agent.message("m1", "anybody there?").await;
        runtime.stop().await.unwrap();
    };
    tokio::time::timeout(PATIENCE, unread).await.expect("a full sink does not hold up a stop");
    let mark = format!("MUSHER_RUN={}", agent.setup.context.run);
    assert_eq!(musher_testkit::proof::alive_with_mark(&mark), [0u32; 0]);
    let over = agent.end().await;
    assert_eq!(over.result.outcome, RunOutcome::Stopped { by: StoppedBy::User });
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

async fn stop_before_start_starts_nothing(transport: Transport) {
    let setup = Setup::new(transport, "slow");
    let runtime = musher_runtime::claude::ClaudeCodeRuntime::new(Flavour::ClaudeCode);
    assert_eq!(runtime.get_status(), RuntimeStatus::Idle);
    runtime.stop().await.unwrap();
    let agent = setup.start_with(std::sync::Arc::new(runtime));
    let over = agent.end().await;
    assert_eq!(over.result.outcome, RunOutcome::Stopped { by: StoppedBy::User });
    assert!(!over.setup.context.run_dir.join("keeper.json").exists());
}

/// What may happen to a run, in any order.
#[derive(Clone, Copy, Debug)]
enum Happening {
    Stop,
    EndOfInput,
    Message,
    Interrupt,
    /// Time passes, in which the agent says more or exits.
    Ms(u16),
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        Just(Happening::Stop),
        Just(Happening::EndOfInput),
        Just(Happening::Message),
        Just(Happening::Interrupt),
        (0u16..300).prop_map(Happening::Ms),
        (0u16..300).prop_map(Happening::Ms),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(12) })]

    /// Any interleaving of stop, exit and output: `start` returns, once, and no process is left (both
    /// are asserted by `end`).
    #[test]
    fn every_interleaving_ends(
        happenings in prop::collection::vec(happening(), 0..6),
        script in prop::sample::select(vec!["hello", "slow", "crash_mid_turn", "follow_up", "exit_no_result"]),
        pty in any::<bool>(),
    ) {
        let transport = if pty { Transport::Pty } else { Transport::Pipe };
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(async {
            let agent = Setup::new(transport, script).start();
            let control = agent.runtime.clone();
            let acting = async {
                for happening in happenings {
                    match happening {
                        Happening::Stop => control.stop().await.unwrap(),
                        Happening::EndOfInput => drop(control.steer(AgentInput::EndOfInput).await),
                        Happening::Interrupt => drop(control.steer(AgentInput::Interrupt).await),
                        Happening::Message => {
                            let message = AgentInput::Message { id: "m".into(), text: "more".into() };
                            drop(control.steer(message).await);
                        }
                        Happening::Ms(ms) => tokio::time::sleep(Duration::from_millis(ms.into())).await,
                    }
                }
                // `stop` proves the end while `start` hands over what was said.
                control.stop().await.unwrap();
            };
            let (_, over) = tokio::join!(acting, agent.end());
            assert!(over.events.iter().all(|it| !matches!(it.event, AgentEvent::Done { .. })));
        });
    }
}
