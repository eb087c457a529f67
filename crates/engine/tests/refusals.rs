//! What is refused before anything is begun, and the sentence that says what to do.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

mod fake;

use fake::{World, resume, wants};
use musher_protocol::*;

fn place(repo: &musher_testkit::Repo) -> RunPlace {
    RunPlace::Worktree { path: repo.path().to_string_lossy().into_owned() }
}

fn begin_at(place: RunPlace, change: impl FnOnce(&mut RunSettings)) -> RunStartParams {
    let mut settings = RunSettings { runtime: "fake".into(), ..RunSettings::default() };
    change(&mut settings);
    RunStartParams { prompt: "Do it".into(), place, settings, restrict_untrusted: false }
}

fn says_who(error: &ApiError, run: &RunId) {
    assert_eq!(error.code, ErrorCode::Conflict, "{error:?}");
    assert!(error.message.contains(run.as_str()), "{error:?}");
    let hint = error.hint.as_deref().unwrap();
    assert!(hint.contains("Wait") && hint.contains("stop") && hint.contains("fresh"), "{hint}");
}

fn send(run: &RunId) -> RunSendParams {
    RunSendParams { run: run.clone(), text: "go on".into(), delivery: Delivery::Queue }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_run_at_a_time_writes_in_a_worktree() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::open(dir.path(), 4, chrono::Utc::now).await;
    let repo = musher_testkit::Repo::new().unwrap();
    let first = world.start_at(place(&repo), |_| {}).await.id;
    world.started().await.end(RunOutcome::Completed);
    world.until(&first, |s| s.phase == RunPhase::Done).await;

    let second = world.start_at(place(&repo), |_| {}).await.id;
    let agent = world.started().await;
    says_who(&world.engine.run_start(begin_at(place(&repo), |_| {})).await.unwrap_err(), &second);
    says_who(&world.engine.run_send(send(&first)).await.unwrap_err(), &second);
    says_who(&world.engine.run_resume(resume(&first)).await.unwrap_err(), &second);

    agent.end(RunOutcome::Completed);
    world.until(&second, |s| s.phase == RunPhase::Done).await;
    let next = world.engine.run_send(send(&first)).await.unwrap();
    world.started().await.end(RunOutcome::Completed);
    world.until(&next.id, |s| s.phase == RunPhase::Done).await;
}

/// Asked at the same moment, one of them has it.
#[tokio::test(flavor = "multi_thread")]
async fn two_that_ask_at_once_do_not_both_get_a_worktree() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::open(dir.path(), 4, chrono::Utc::now).await;
    let repo = musher_testkit::Repo::new().unwrap();
    let asks = (0..4).map(|_| world.engine.run_start(begin_at(place(&repo), |_| {})));
    let begun = futures::future::join_all(asks).await;
    assert_eq!(begun.iter().filter(|begun| begun.is_ok()).count(), 1, "{begun:?}");
    world.started().await.end(RunOutcome::Completed);
    assert!(world.started.try_recv().is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worktree_made_for_one_story_is_not_given_to_another_even_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::open(dir.path(), 4, chrono::Utc::now).await;
    let first = world.start(|_| {}).await.id;
    let agent = world.started().await;
    let path = world.until(&first, |s| !s.worktree.is_empty()).await.worktree;
    let taken = || begin_at(RunPlace::Worktree { path: path.clone() }, |_| {});
    says_who(&world.engine.run_start(taken()).await.unwrap_err(), &first);

    std::fs::write(agent.context.run_dir.join("keeper.json"), "{}").unwrap();
    world.engine.shutdown().await;
    drop((world, agent));
    let mut world = World::open(dir.path(), 4, chrono::Utc::now).await;
    says_who(&world.engine.run_start(taken()).await.unwrap_err(), &first);
    world.started().await.end(RunOutcome::Completed);
    world.until(&first, |s| s.phase == RunPhase::Done).await;
}

/// Its agent may live and write: the worktree is not free because the engine cannot reach it.
#[tokio::test(flavor = "multi_thread")]
async fn the_worktree_of_a_run_that_cannot_be_taken_in_is_not_free() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::open(dir.path(), 4, chrono::Utc::now).await;
    let repo = musher_testkit::Repo::new().unwrap();
    let run = world.start_at(place(&repo), |_| {}).await.id;
    let agent = world.started().await;
    world.until(&run, |s| s.phase == RunPhase::Running).await;
    std::fs::write(agent.context.run_dir.join("keeper.json"), "{}").unwrap();
    let transcript = agent.context.run_dir.join("transcript.jsonl");
    world.engine.shutdown().await;
    drop((world, agent));
    std::fs::remove_file(transcript).unwrap();

    let world = World::open(dir.path(), 4, chrono::Utc::now).await;
    let error = world.engine.run_start(begin_at(place(&repo), |_| {})).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::Conflict, "{error:?}");
    assert!(error.message.contains(run.as_str()), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_to_nothing_is_not_an_answer_that_came_too_late() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::open(dir.path(), 4, chrono::Utc::now).await;
    let run = world.start(|_| {}).await.id;
    let agent = world.started().await;
    agent.say(wants("r1", "cargo publish")).await;
    world.until(&run, |s| s.waiting == 1).await;
    let answer = |request: &str| {
        let answer = Answer::Allow;
        world.engine.run_answer(RunAnswerParams {
            run: run.clone(),
            request: request.into(),
            answer,
        })
    };
    let nothing = answer("nope").await.unwrap_err();
    assert_eq!(nothing.code, ErrorCode::NotFound, "{nothing:?}");
    assert!(nothing.message.contains("nope") && nothing.hint.is_some(), "{nothing:?}");
    answer("r1").await.unwrap();
    let late = answer("r1").await.unwrap_err();
    assert_eq!(late.code, ErrorCode::Conflict, "{late:?}");
    assert!(late.message.contains("answered already"), "{late:?}");
    agent.end(RunOutcome::Completed);
    world.until(&run, |s| s.phase == RunPhase::Done).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_that_cannot_be_meant_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::open(dir.path(), 1, chrono::Utc::now).await;
    type Change = fn(&mut RunSettings);
    let settings: [(&str, Change); 7] = [
        ("agent name", |s| s.agent_name = "a\u{1b}[31mb".into()),
        ("agent name", |s| s.agent_name = "a\nb".into()),
        ("model", |s| s.model = Some("opus\r".into())),
        ("turns", |s| s.limits.max_turns = Some(0)),
        ("seconds", |s| s.limits.max_seconds = Some(0)),
        ("cost", |s| s.limits.max_cost_microdollars = Some(0)),
        ("variable", |s| {
            s.env.insert("A\u{7}B".into(), "1".into());
        }),
    ];
    let fresh = |branch: Option<&str>| RunPlace::Fresh {
        repository: musher_engine::DEMO_REPOSITORY.into(),
        base: None,
        branch: branch.map(str::to_owned),
    };
    let mut refused: Vec<_> =
        settings.into_iter().map(|(what, change)| (what, begin_at(fresh(None), change))).collect();
    refused.push(("branch", begin_at(fresh(Some("a\tb")), |_| {})));
    for (what, params) in refused {
        let error = world.engine.run_start(params).await.unwrap_err();
        assert_eq!(error.code, ErrorCode::BadRequest, "{what}: {error:?}");
        assert!(error.message.contains(what), "{what}: {error:?}");
        assert!(!error.message.contains(char::is_control), "{error:?}");
    }
    assert!(world.engine.run_list().await.unwrap().is_empty(), "nothing was started");
}
