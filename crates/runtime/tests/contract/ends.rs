//! How a run ends: well, badly, by a limit or by a person.

use std::time::{Duration, Instant};

use musher_protocol::*;
use musher_runtime::{AgentInput, AgentRuntime, claude::Flavour};

use crate::harness::*;

contract! {
    stops_in_grace,
    stops_one_that_ignores_term,
    leaves_no_grandchildren,
    survives_an_early_end_of_output,
    does_not_wait_for_held_output,
    says_when_it_died_before_its_session,
    says_how_it_died_in_a_turn,
    no_result_is_a_failure,
    ends_a_silent_one,
    waiting_for_a_person_is_no_silence,
    ends_when_the_time_is_up,
    ends_when_the_money_is_spent,
    a_program_that_is_not_there,
    stops_and_hears_while_nobody_reads,
    stop_before_start_starts_nothing,
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
