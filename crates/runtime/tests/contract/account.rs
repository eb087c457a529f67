//! What the agent says of its session and account, and what it says badly.

use musher_protocol::*;

use crate::harness::*;

contract! {
    begins_again_when_a_resume_is_rejected,
    says_that_a_resume_was_rejected,
    rate_limited_until,
    overage_is_no_limit,
    needs_a_login,
    keeps_good_lines_between_garbage,
    refuses_what_it_does_not_know,
    keeps_every_byte_of_much,
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
