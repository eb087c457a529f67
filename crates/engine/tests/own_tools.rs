//! What an agent with Musher's own tools is given, and what of that follows the project while it lives.

#![cfg(unix)]
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

mod fake;

use std::{os::unix::fs::symlink, path::Path};

use fake::{FakeRun, Heard, World, resume, wants};
use musher_protocol::*;
use musher_runtime::{AgentInput, Call, MARK, ToolHost, Verdict};
use tokio_util::sync::CancellationToken;

const KEY: &str = "canary+words/41be09";

fn edit(id: &str) -> Call {
    let input = serde_json::json!({"path": "a.txt", "old": null, "new": "x", "replace_all": null});
    Call { id: id.into(), name: "edit_file".into(), input }
}

async fn judged(host: &dyn ToolHost, call: &Call, mode: PermissionMode) -> Verdict {
    host.intent(call, mode).await.unwrap().verdict
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_that_change_hold_for_the_next_calls_of_a_run_that_lives() {
    use PermissionMode::{AcceptEdits, Ask};
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::open(dir.path(), 4, chrono::Utc::now).await;
    let run = world
        .start(|settings| {
            settings.runtime = "ours".into();
            settings.disallowed_tools = vec!["edit own.txt".into()];
        })
        .await;
    let rule = |rule: &str| RuleParams { project: run.project.clone(), rule: rule.into() };
    let agent = world.started().await;
    let host = agent.context.tools.host.clone().unwrap();
    let call = edit("call-1");
    assert!(matches!(judged(&*host, &call, AcceptEdits).await, Verdict::Allow { .. }));

    world.engine.rule_add(rule("deny edit a.txt")).await.unwrap();
    let refused = host.call(&call, CancellationToken::new()).await;
    assert!(refused.is_error && refused.text.contains("deny edit a.txt"), "{refused:?}");
    assert!(!Path::new(&agent.context.cwd).join("a.txt").exists());
    let again = edit("call-2");
    assert!(matches!(judged(&*host, &again, AcceptEdits).await, Verdict::Deny { .. }));

    world.engine.rule_remove(rule("deny edit a.txt")).await.unwrap();
    assert!(matches!(judged(&*host, &again, Ask).await, Verdict::Ask { .. }));
    world.engine.rule_add(rule("allow edit")).await.unwrap();
    assert!(matches!(judged(&*host, &again, Ask).await, Verdict::Allow { .. }));
    assert!(!host.call(&again, CancellationToken::new()).await.is_error);
    let mut own = edit("call-3");
    own.input["path"] = "own.txt".into();
    assert!(matches!(judged(&*host, &own, Ask).await, Verdict::Deny { .. }));
    agent.end(RunOutcome::Completed);
    world.until(&run.id, |summary| summary.phase == RunPhase::Done).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_are_offered_once_a_rule_allows_them() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::open(dir.path(), 4, chrono::Utc::now).await;
    let run = world.start(|settings| settings.runtime = "ours".into()).await;
    let agent = world.started().await;
    let host = agent.context.tools.host.clone().unwrap();
    let names = || -> Vec<String> {
        host.specs(PermissionMode::Ask).into_iter().map(|spec| spec.name).collect()
    };
    let before = names();
    let (project, rule) = (run.project, "allow fetch docs.rs".to_owned());
    world.engine.rule_add(RuleParams { project, rule }).await.unwrap();
    let after = names();
    assert_eq!(after[..before.len()], before, "what was offered stays in its place");
    assert_eq!(after[before.len()..], ["fetch_url"]);
    agent.end(RunOutcome::Completed);
    world.until(&run.id, |summary| summary.phase == RunPhase::Done).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_waits_in_plan_mode_is_denied_by_a_new_rule_and_not_allowed() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::open(dir.path(), 4, chrono::Utc::now).await;
    let run = world.start(|settings| settings.permission_mode = PermissionMode::Plan).await;
    let mut agent = world.started().await;
    agent.say(wants("request-1", "make it")).await;
    world.until(&run.id, |summary| summary.phase == RunPhase::WaitingPermission).await;
    for line in ["allow run make*", "deny run make*"] {
        let (project, rule) = (run.project.clone(), line.to_owned());
        world.engine.rule_add(RuleParams { project, rule }).await.unwrap();
    }
    let Heard::Input(AgentInput::Answer { request, answer }) = agent.hear().await else {
        panic!("it is answered")
    };
    assert_eq!(request, "request-1");
    assert!(matches!(&answer, Answer::Deny { message: Some(_) }), "{answer:?}");
    agent.end(RunOutcome::Completed);
    world.until(&run.id, |summary| summary.phase == RunPhase::Done).await;
}

/// The words of the story's next run, and what was warned of.
async fn words_of_next(
    world: &mut World,
    run: &RunSummary,
    agent: FakeRun,
) -> (RunSummary, FakeRun, Option<String>) {
    agent.end(RunOutcome::Completed);
    world.until(&run.id, |summary| summary.phase == RunPhase::Done).await;
    let next = world.engine.run_resume(resume(&run.id)).await.unwrap();
    let agent = world.started().await;
    let words = agent.context.project_words.clone();
    (next, agent, words)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_project_s_words_are_told_once_it_is_trusted_and_only_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::open(dir.path(), 4, chrono::Utc::now).await;
    let run = world
        .start(|settings| {
            settings.runtime = "ours".into();
            settings.env.insert("X_API_KEY".into(), KEY.into());
        })
        .await;
    let agent = world.started().await;
    let (project, worktree) = (run.project.clone(), agent.context.cwd.clone());
    let file = worktree.join("AGENTS.md");
    std::fs::write(&file, format!("Use tabs. {KEY}")).unwrap();
    let (run, agent, words) = words_of_next(&mut world, &run, agent).await;
    assert_eq!(words, None, "nobody trusts the project yet");

    let worktree = Some(worktree.to_string_lossy().into_owned());
    let asks = TrustParams { project: project.clone(), worktree: worktree.clone() };
    let digest = world.engine.trust_get(asks).await.unwrap().digest;
    let decision = TrustDecision::Trusted;
    let trusts = TrustSetParams { project: project.clone(), worktree, digest, decision };
    world.engine.trust_set(trusts).await.unwrap();
    let (run, agent, words) = words_of_next(&mut world, &run, agent).await;
    assert_eq!(words, Some(format!("Use tabs. {MARK}")));

    let outside = dir.path().join("outside.txt");
    std::fs::write(&outside, "not the project's").unwrap();
    std::fs::remove_file(&file).unwrap();
    symlink(&outside, &file).unwrap();
    let (run, agent, words) = words_of_next(&mut world, &run, agent).await;
    assert_eq!(words, None);
    let warned = world.events(&run.id).await.into_iter().find_map(|it| match it.event {
        AgentEvent::Warning { code, message } if code == "words" => Some(message),
        _ => None,
    });
    assert!(warned.unwrap().contains("leads out of the worktree"));

    std::fs::remove_file(&file).unwrap();
    std::fs::write(&file, "Use tabs.").unwrap();
    let rule = "deny read AGENTS.md".to_owned();
    world.engine.rule_add(RuleParams { project, rule }).await.unwrap();
    let (run, agent, words) = words_of_next(&mut world, &run, agent).await;
    assert_eq!(words, None);
    agent.end(RunOutcome::Completed);
    world.until(&run.id, |summary| summary.phase == RunPhase::Done).await;
}
