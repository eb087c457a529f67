//! `ClaudeCodeRuntime` and the real `claude`, against a scripted model on this machine, over a PTY and
//! over a pipe. Each run ends with the proof that none of its processes is left.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
// A test starts real programs and waits for them itself.
#![allow(clippy::disallowed_methods)]

mod live;

use std::{collections::BTreeMap, path::Path, process::Command, time::Duration};

use live::{Plan, Run};
use musher_protocol::{AgentEvent, Answer, PermissionMode, RunOutcome, ToolKind, Transport};
use musher_runtime::AgentInput;
use musher_testkit::Live;

const BOTH: [Transport; 2] = [Transport::Pty, Transport::Pipe];
const UNKNOWN: &str = "99999999-2222-4333-8444-555555555555";

async fn exists(path: &Path) {
    let found = async {
        while !path.exists() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), found).await.expect("the tool runs");
}

#[tokio::test]
#[ignore = "needs the claude package: cargo xtask test --live"]
async fn writes_edits_and_looks() {
    for transport in BOTH {
        let live = Live::new().unwrap();
        let mut plan = Plan::new("agentic", transport);
        plan.mode = PermissionMode::AcceptEdits;
        plan.allowed = vec!["Bash(git status:*)".into()];
        let mut run = Run::start(&live, plan);
        assert!(run.turn_end().await);
        let ended = run.finish().await;
        assert_eq!(ended.outcome, RunOutcome::Completed);
        let text = std::fs::read_to_string(live.repo.path().join("greeting.txt")).unwrap();
        assert_eq!(text, "hello\nplanet — ünïcødé 🦀\n");
        let kind = |kind| move |event: &AgentEvent| matches!(event, AgentEvent::ToolCall(call) if call.kind == kind);
        assert_eq!((ended.count(kind(ToolKind::Edit)), ended.count(kind(ToolKind::Run))), (2, 1));
        let edits = ended.count(
            |event| matches!(event, AgentEvent::ToolResult(result) if result.edit.is_some()),
        );
        assert_eq!(edits, 2, "{:#?}", ended.seen);
        assert_eq!(ended.texts().last(), Some(&"Done: written, edited and seen by git."));
        assert!(
            ended.result.token_usage.output_tokens > 0
                && ended.result.token_usage.cost_microdollars > 0
        );
        let strange =
            ended.count(|event| matches!(event, AgentEvent::Raw { .. } | AgentEvent::Unknown));
        assert_eq!(strange, 0, "{:#?}", ended.seen);
    }
}

#[tokio::test]
#[ignore = "needs the claude package: cargo xtask test --live"]
async fn allows_denies_and_answers() {
    for transport in BOTH {
        let live = Live::new().unwrap();
        let mut run = Run::start(&live, Plan::new("write", transport));
        let request = run.asked().await;
        assert!(!live.repo.path().join("new.txt").exists());
        run.steer(AgentInput::Answer { request, answer: Answer::Allow }).await;
        assert!(run.turn_end().await);
        assert!(live.repo.path().join("new.txt").exists());

        run.say("and now [[model:bash]]").await;
        let request = run.asked().await;
        let deny = Answer::Deny { message: Some("Not this one.".into()) };
        run.steer(AgentInput::Answer { request, answer: deny }).await;
        assert!(run.turn_end().await);
        assert!(!live.repo.path().join("made.txt").exists());

        run.say("a question [[model:question]]").await;
        let request = run.asked().await;
        let answers = BTreeMap::from([("Which colour?".to_owned(), "Blue".to_owned())]);
        run.steer(AgentInput::Answer { request, answer: Answer::Answers { answers } }).await;
        assert!(run.turn_end().await);

        let ended = run.finish().await;
        assert_eq!(ended.outcome, RunOutcome::Completed);
        let told = |words: &str| {
            ended.count(|event| matches!(event, AgentEvent::ToolResult(result) if result.text.contains(words)))
        };
        assert_eq!((told("Not this one."), told("Blue")), (1, 1), "{:#?}", ended.seen);
        assert_eq!(ended.count(|event| matches!(event, AgentEvent::MessageSent { .. })), 3);
    }
}

#[tokio::test]
#[ignore = "needs the claude package: cargo xtask test --live"]
async fn an_interrupt_ends_the_turn_and_not_the_agent() {
    for transport in BOTH {
        let live = Live::new().unwrap();
        let mut run = Run::start(&live, Plan::new("slow", transport));
        run.until("a piece of text", |event| matches!(event, AgentEvent::Text { delta: true, .. }))
            .await;
        run.steer(AgentInput::Interrupt).await;
        assert!(!run.turn_end().await);
        run.say("again [[model:hello]]").await;
        assert!(run.turn_end().await);
        let ended = run.finish().await;
        assert_eq!(ended.outcome, RunOutcome::Completed);
        assert!(ended.texts().last().unwrap().starts_with("Hello"));
    }
}

#[tokio::test]
#[ignore = "needs the claude package: cargo xtask test --live"]
async fn resumes_a_session() {
    for transport in BOTH {
        let live = Live::new().unwrap();
        let mut first = Run::start(&live, Plan::new("hello", transport));
        assert!(first.turn_end().await);
        let first = first.finish().await;

        let mut plan = Plan::new("hello", transport);
        plan.prompt = "the second prompt [[model:hello]]".into();
        plan.resume = Some(first.session());
        let mut second = Run::start(&live, plan);
        assert!(second.turn_end().await);
        let second = second.finish().await;
        assert_eq!(
            (second.outcome.clone(), second.session()),
            (RunOutcome::Completed, first.session())
        );
        let last =
            live.model.requests().into_iter().rfind(|request| request.scenario.is_some()).unwrap();
        let said = last.body["messages"].to_string();
        assert!(
            said.contains("do it [[model:hello]]") && said.contains("the second prompt"),
            "{said}"
        );
        let (one, two) = (first.result.token_usage, second.result.token_usage);
        assert_eq!(one.cost_microdollars, two.cost_microdollars, "each run has its own cost");
    }
}

#[tokio::test]
#[ignore = "needs the claude package: cargo xtask test --live"]
async fn an_unknown_session_is_replaced_by_a_fresh_one_or_rejected() {
    for transport in BOTH {
        let live = Live::new().unwrap();
        let mut plan = Plan::new("refused", transport);
        plan.resume = Some(UNKNOWN.into());
        plan.fresh_prompt = Some("all that is known, once more [[model:hello]]".into());
        let mut run = Run::start(&live, plan);
        assert!(run.turn_end().await, "{:#?}", run.seen);
        let ended = run.finish().await;
        assert_eq!(ended.outcome, RunOutcome::Completed);
        assert_ne!(ended.session(), UNKNOWN);
        assert!(
            ended.count(|event| matches!(event, AgentEvent::Warning { .. })) > 0,
            "{:#?}",
            ended.seen
        );

        let sent = ended.count(|event| matches!(event, AgentEvent::MessageSent { .. }));
        assert_eq!(sent, 1, "{:#?}", ended.seen);

        let mut plan = Plan::new("hello", transport);
        plan.resume = Some(UNKNOWN.into());
        let ended = Run::start(&live, plan).end().await;
        assert_eq!(ended.outcome, RunOutcome::ResumeRejected { session_id: UNKNOWN.into() });
    }
}

#[tokio::test]
#[ignore = "needs the claude package: cargo xtask test --live"]
async fn says_what_the_service_refuses() {
    for transport in BOTH {
        let live = Live::new().unwrap();
        for scenario in ["rate_limited", "bad_key", "server_error"] {
            let mut run = Run::start(&live, Plan::new(scenario, transport));
            assert!(!run.turn_end().await);
            let outcome = run.finish().await.outcome;
            let right = match scenario {
                "rate_limited" => matches!(outcome, RunOutcome::RateLimited { .. }),
                "bad_key" => matches!(outcome, RunOutcome::AuthenticationRequired { .. }),
                _ => matches!(outcome, RunOutcome::Failed { .. }),
            };
            assert!(right, "{scenario}: {outcome:?}");
        }
    }
}

#[tokio::test]
#[ignore = "needs the claude package: cargo xtask test --live"]
async fn a_crash_and_a_stop_leave_nothing_of_the_running_tools() {
    for transport in BOTH {
        for crash in [true, false] {
            let live = Live::new().unwrap();
            let mut run = Run::start(&live, Plan::new("long_bash", transport));
            let request = run.asked().await;
            run.steer(AgentInput::Answer { request, answer: Answer::Allow }).await;
            exists(&live.repo.path().join("started.txt")).await;
            if crash {
                let claude = run.claude(&live).to_string();
                Command::new("kill").args(["-KILL", &claude]).status().unwrap();
                let outcome = run.end().await.outcome;
                assert!(matches!(outcome, RunOutcome::Failed { .. }), "{outcome:?}");
            } else {
                run.runtime.stop().await.unwrap();
                let outcome = run.end().await.outcome;
                assert!(matches!(outcome, RunOutcome::Stopped { .. }), "{outcome:?}");
            }
        }
    }
}
