//! A story that goes on with another agent, model or place.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

mod fake;

use std::{collections::BTreeMap, path::Path};

use futures::StreamExt;

use fake::{FakeRun, Heard, World, resume};
use musher_engine::EngineConfig;
use musher_protocol::*;
use musher_runtime::AgentInput;

/// A story of `fake` whose first run is over.
async fn begun(dir: &Path, change: impl FnOnce(&mut RunSettings)) -> (World, RunId) {
    let mut world = World::open(dir, 4, chrono::Utc::now).await;
    let run = world.start(change).await.id;
    ended(&mut world, &run).await;
    (world, run)
}

/// Ends the run that is begun next, and gives what it was begun with.
async fn ended(world: &mut World, run: &RunId) -> musher_runtime::RuntimeContext {
    let agent = world.started().await;
    assert_eq!(agent.context.run, *run);
    let context = agent.context.clone();
    agent.end(RunOutcome::Completed);
    world.until(run, |s| s.phase == RunPhase::Done).await;
    context
}

fn with(run: &RunId, runtime: &str) -> RunResumeParams {
    let (prompt, runtime) = (Some("and then?".into()), Some(runtime.into()));
    RunResumeParams { prompt, runtime, ..resume(run) }
}

async fn settings(world: &World, run: &RunId) -> RunSettings {
    world.engine.run_get(RunParams { run: run.clone() }).await.unwrap().story.settings
}

/// The words of the run's first events: the person's, and what is different.
async fn opening(world: &World, run: &RunId) -> (String, Option<String>) {
    let mut events = world.events(run).await.into_iter().map(|it| it.event);
    let Some(AgentEvent::Message { text, .. }) = events.next() else { panic!("no words") };
    match events.next() {
        Some(AgentEvent::Warning { code, message }) if code == "agent_changed" => {
            (text, Some(message))
        }
        _ => (text, None),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_agent_is_told_what_was_said_and_gets_no_session_of_others() {
    let dir = tempfile::tempdir().unwrap();
    let (mut world, first) = begun(dir.path(), |s| {
        s.model = Some("opus".into());
        s.args = vec!["--own".into()];
    })
    .await;
    let second = world.engine.run_resume(with(&first, "other")).await.unwrap();
    assert_eq!((second.runtime.as_str(), &second.model), ("other", &None));
    let context = ended(&mut world, &second.id).await;
    assert_eq!(context.session_id_to_resume, None);
    assert!(context.prompt.contains("Person: Do it\nwell"), "{}", context.prompt);
    assert!(context.prompt.ends_with("and then?") && context.args.is_empty());
    let (words, told) = opening(&world, &second.id).await;
    assert_eq!(words, "and then?", "the person said no more");
    let told = told.expect("it is told");
    assert!(
        told.contains("Some other (its default model)") && told.contains("fake (opus)"),
        "{told}"
    );
    assert!(told.contains("Left behind: its arguments"), "{told}");

    // It stays so, and is told once.
    let third = world.engine.run_resume(resume(&first)).await.unwrap();
    assert_eq!(third.runtime, "other");
    let context = ended(&mut world, &third.id).await;
    assert_eq!(context.session_id_to_resume.as_deref(), Some("session-1"));
    assert_eq!(context.prompt, "Continue.");
    assert_eq!(opening(&world, &third.id).await.1, None);

    // Its own session knows nothing of what the other did since.
    let back = world.engine.run_resume(with(&first, "fake")).await.unwrap();
    let context = ended(&mut world, &back.id).await;
    assert_eq!(context.session_id_to_resume, None);
    assert!(context.prompt.contains("Person: Continue."), "{}", context.prompt);
}

/// Its conversation is made of the transcripts: it needs to be told nothing.
#[tokio::test(flavor = "multi_thread")]
async fn an_agent_of_musher_s_own_reads_the_transcripts() {
    let dir = tempfile::tempdir().unwrap();
    let (mut world, first) = begun(dir.path(), |_| {}).await;
    let next = world.engine.run_resume(with(&first, "ours")).await.unwrap();
    let context = ended(&mut world, &next.id).await;
    assert_eq!(context.prompt, "and then?");
    let session = context.session_id_to_resume.expect("it goes on");
    assert_ne!(session, "session-1", "that is the other agent's");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_given_for_one_place_goes_to_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let (mut world, first) = begun(dir.path(), |s| {
        s.env = [("OWN_API_KEY", "canary"), ("LEVEL", "3")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into();
    })
    .await;
    let next = world.engine.run_resume(with(&first, "other")).await.unwrap();
    let context = ended(&mut world, &next.id).await;
    assert_eq!(context.env.get("LEVEL").map(String::as_str), Some("3"));
    assert!(!format!("{:?}", context.env).contains("OWN_API_KEY"), "{:?}", context.env);
    assert!(context.secrets.is_empty());
    assert!(opening(&world, &next.id).await.1.unwrap().contains("its key"));

    // A key that is given with the change is meant.
    let env = [("OTHER_API_KEY".to_owned(), "k".to_owned())].into();
    let back = RunResumeParams { env, ..with(&first, "fake") };
    let back = world.engine.run_resume(back).await.unwrap();
    let context = ended(&mut world, &back.id).await;
    assert_eq!(context.secrets.keys().collect::<Vec<_>>(), ["OTHER_API_KEY"]);
    assert_eq!(settings(&world, &first).await.env_names, ["LEVEL", "OTHER_API_KEY"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_agent_that_the_story_has_keeps_its_place() {
    let dir = tempfile::tempdir().unwrap();
    let there = || Some("http://127.0.0.1:9/v1".to_owned());
    let (mut world, first) = begun(dir.path(), |settings| {
        settings.runtime = "ours".to_owned();
        settings.model = Some("m1".to_owned());
        settings.endpoint.base_url = there();
    })
    .await;
    for (named, model) in [(None, "m1"), (Some("m2"), "m2")] {
        let same = RunResumeParams { model: named.map(str::to_owned), ..with(&first, "ours") };
        let next = world.engine.run_resume(same).await.unwrap();
        ended(&mut world, &next.id).await;
        let settings = settings(&world, &first).await;
        assert_eq!((settings.endpoint.base_url, settings.model.as_deref()), (there(), Some(model)));
    }
}

/// No other address ever gets them.
#[tokio::test(flavor = "multi_thread")]
async fn headers_are_an_address_s_own_and_come_back_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let given = |of: &[(&str, &str)]| -> BTreeMap<String, String> {
        of.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    };
    let (a, b) = ("http://127.0.0.1:9/v1", "http://127.0.0.1:10/v1");
    let (mut world, first) = begun(dir.path(), |settings| {
        settings.runtime = "ours".to_owned();
        settings.endpoint.base_url = Some(a.to_owned());
        settings.endpoint.headers = given(&[("X-Gate", "of-a"), ("X-Title", "a")]);
    })
    .await;
    let mut go_on = async |at: &str, headers: &[(&str, &str)]| {
        let place = EndpointSettings {
            base_url: Some(at.to_owned()),
            headers: given(headers),
            ..EndpointSettings::default()
        };
        let next = RunResumeParams { endpoint: Some(place), ..resume(&first) };
        let next = world.engine.run_resume(next).await.unwrap().id;
        let context = ended(&mut world, &next).await;
        let told = opening(&world, &next).await.1.unwrap_or_default();
        (context.endpoint.headers, told)
    };
    let (headers, told) = go_on(b, &[]).await;
    assert!(headers.is_empty() && told.contains("its headers"), "{headers:?} {told}");
    let (headers, _) = go_on(b, &[("X-Own", "of-b")]).await;
    assert_eq!(headers, given(&[("X-Own", "of-b")]));
    // What is given with the change is meant in place of what was.
    let (headers, told) = go_on(a, &[("x-title", "again")]).await;
    assert_eq!(headers, given(&[("X-Gate", "of-a"), ("x-title", "again")]));
    assert!(told.contains("go there again"), "{told}");
    let (headers, _) = go_on(b, &[]).await;
    assert_eq!(headers, given(&[("X-Own", "of-b")]));
}

/// An older Musher stored answers without it.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_of_the_place_that_its_run_was_at() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::open(dir.path(), 4, chrono::Utc::now).await;
    let mut places = Vec::new();
    for (base, model) in [(Some("http://127.0.0.1:9/v1/"), "m"), (None, "n")] {
        let run = world.start(|settings| {
            settings.runtime = "ours".to_owned();
            settings.model = Some(model.to_owned());
            settings.endpoint.base_url = base.map(str::to_owned);
        });
        let (run, agent) = (run.await.id, world.started().await);
        let (dialect, model, place) = ("openai-chat".to_owned(), model.to_owned(), None);
        agent.say(AgentEvent::ModelStep(ModelStep { dialect, model, place, items: vec![] })).await;
        agent.end(RunOutcome::Completed);
        world.until(&run, |s| s.phase == RunPhase::Done).await;
        let moved = EndpointSettings {
            base_url: Some("http://127.0.0.1:10/v1".to_owned()),
            ..EndpointSettings::default()
        };
        let next = RunResumeParams { endpoint: Some(moved), ..resume(&run) };
        world.engine.run_resume(next).await.unwrap();
        let agent = world.started().await;
        let earlier: Vec<EventEnvelope> = agent.sink.log().earlier().collect().await;
        places.extend(earlier.into_iter().filter_map(|envelope| match envelope.event {
            AgentEvent::ModelStep(step) => step.place,
            _ => None,
        }));
        agent.end(RunOutcome::Completed);
    }
    assert_eq!(places, ["http://127.0.0.1:9/v1", "https://api.openai.com/v1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_names_no_model_elsewhere_has_the_one_that_is_there() {
    let dir = tempfile::tempdir().unwrap();
    let at = |base: &str| EndpointSettings {
        base_url: Some(base.to_owned()),
        ..EndpointSettings::default()
    };
    let (mut world, first) = begun(dir.path(), |settings| {
        settings.runtime = "ours".to_owned();
        settings.endpoint = at("http://127.0.0.1:9/v1");
    })
    .await;
    assert_eq!(settings(&world, &first).await.model.as_deref(), Some("the-one"));
    let told = world.events(&first).await.into_iter().find_map(|it| match it.event {
        AgentEvent::Warning { code, message } if code == "model_chosen" => Some(message),
        _ => None,
    });
    let told = told.expect("it is told");
    assert!(told.contains("the-one, the only one at http://127.0.0.1:9/v1"), "{told}");

    // One that was named is kept; without one, a choice of many is a person's.
    let many = at("http://127.0.0.1:9/many");
    let next = RunResumeParams { endpoint: Some(many.clone()), ..resume(&first) };
    let next = world.engine.run_resume(next).await.unwrap();
    assert_eq!(ended(&mut world, &next.id).await.model.as_deref(), Some("the-one"));
    let runs = world.engine.run_list().await.unwrap().len();
    let settings = RunSettings { runtime: "ours".into(), endpoint: many, ..Default::default() };
    let place = RunPlace::Worktree { path: next.worktree };
    let (prompt, restrict_untrusted) = ("Do it".to_owned(), false);
    let params = RunStartParams { prompt, place, settings, restrict_untrusted };
    let refused = world.engine.run_start(params).await.unwrap_err();
    assert!(refused.message.contains("There are many: a, b."), "{refused:?}");
    assert_eq!(world.engine.run_list().await.unwrap().len(), runs);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_story_without_its_worktree_begins_no_run() {
    let dir = tempfile::tempdir().unwrap();
    let (world, first) = begun(dir.path(), |_| {}).await;
    let worktree = world.until(&first, |_| true).await.worktree;
    std::fs::remove_dir_all(&worktree).unwrap();
    let text = "and then?".to_owned();
    let words = RunSendParams { run: first.clone(), text, delivery: Delivery::Queue };
    for refused in
        [world.engine.run_resume(resume(&first)).await, world.engine.run_send(words).await]
    {
        let refused = refused.unwrap_err();
        assert_eq!(refused.code, ErrorCode::NotFound, "{refused:?}");
        assert!(refused.message.contains(&worktree), "{refused:?}");
        assert!(refused.hint.unwrap().contains("Start a new story"));
    }
    assert_eq!(world.engine.run_list().await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_refused_begin_was_given_is_not_kept() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::open(dir.path(), 4, chrono::Utc::now).await;
    let run = world.start(|settings| settings.runtime = "ours".to_owned()).await.id;
    let agent = world.started().await;
    let one = |name: &str| BTreeMap::from([(name.to_owned(), "canary".to_owned())]);
    let late = RunResumeParams { env: one("LATE"), headers: one("X-Late"), ..resume(&run) };
    assert_eq!(world.engine.run_resume(late).await.unwrap_err().code, ErrorCode::Conflict);
    agent.end(RunOutcome::Completed);
    world.until(&run, |s| s.phase == RunPhase::Done).await;
    let next = world.engine.run_resume(resume(&run)).await.unwrap();
    let context = ended(&mut world, &next.id).await;
    assert!(context.endpoint.headers.is_empty(), "{:?}", context.endpoint.headers.keys());
    assert!(!context.env.contains_key("LATE"));
}

/// What a runtime knows of it at the end is no event of its own: nobody takes them after a stop.
#[tokio::test(flavor = "multi_thread")]
async fn a_cost_that_is_not_whole_is_told_at_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::open(dir.path(), 4, chrono::Utc::now).await;
    for (cost_source, told) in [(CostSource::AtLeast, 7), (CostSource::Unknown, 0)] {
        let run = world.start(|_| {}).await.id;
        let usage = TokenUsage { cost_microdollars: 7, cost_source, ..TokenUsage::default() };
        world.started().await.end_having_used(RunOutcome::Completed, usage);
        let over = world.until(&run, |s| s.phase == RunPhase::Done).await;
        assert_eq!((over.usage.cost_microdollars, over.usage.cost_source), (told, cost_source));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_is_refused_and_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (mut world, first) = begun(dir.path(), |s| s.disallowed_tools = vec!["Bash".into()]).await;
    let before = settings(&world, &first).await;
    let place = EndpointSettings { organization: Some("o".into()), ..Default::default() };
    for (params, code, word) in [
        (with(&first, "nope"), ErrorCode::RuntimeMissing, "nope"),
        (with(&first, "ours"), ErrorCode::Conflict, "Bash"),
        (
            RunResumeParams { endpoint: Some(place), ..resume(&first) },
            ErrorCode::BadRequest,
            "leave out",
        ),
        (
            RunResumeParams { model: Some("a\nb".into()), ..resume(&first) },
            ErrorCode::BadRequest,
            "model",
        ),
        (
            RunResumeParams { model: Some(" ".into()), ..resume(&first) },
            ErrorCode::BadRequest,
            "model",
        ),
    ] {
        let refused = world.engine.run_resume(params).await.unwrap_err();
        assert_eq!(refused.code, code, "{refused:?}");
        assert!(refused.message.contains(word), "{refused:?}");
        assert_eq!(settings(&world, &first).await, before);
    }
    let next = world.engine.run_resume(resume(&first)).await.unwrap();
    ended(&mut world, &next.id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_live_agent_takes_another_model_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::open(dir.path(), 4, chrono::Utc::now).await;
    let run = world.start(|_| {}).await.id;
    let mut agent: FakeRun = world.started().await;
    let refused = world.engine.run_resume(with(&run, "other")).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::Conflict);
    assert!(refused.hint.unwrap().contains(&format!("musher stop {run}")));
    let given = BTreeMap::from([("CANARY".to_owned(), "1".to_owned())]);
    let late = RunResumeParams { model: Some("opus".into()), env: given, ..resume(&run) };
    let refused = world.engine.run_resume(late).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::Conflict, "its variables cannot be changed any more");
    let model = Some("haiku".to_owned());
    let told = RunResumeParams { model: model.clone(), ..resume(&run) };
    assert_eq!(world.engine.run_resume(told).await.unwrap().id, run);
    assert_eq!(agent.hear().await, Heard::Input(AgentInput::SetModel(model.clone())));
    assert_eq!(settings(&world, &run).await.model, model);
    agent.end(RunOutcome::Completed);
    world.until(&run, |s| s.phase == RunPhase::Done).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_waits_in_line_begins_with_its_new_model() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::open(dir.path(), 1, chrono::Utc::now).await;
    world.start(|_| {}).await;
    let busy = world.started().await;
    let run = world.start(|_| {}).await.id;
    world.until(&run, |s| s.detail.is_some()).await;
    let told = RunResumeParams { model: Some("haiku".into()), ..resume(&run) };
    assert_eq!(world.engine.run_resume(told).await.unwrap().id, run);
    busy.end(RunOutcome::Completed);
    assert_eq!(ended(&mut world, &run).await.model.as_deref(), Some("haiku"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_outlives_the_database() {
    let dir = tempfile::tempdir().unwrap();
    let (mut world, first) = begun(dir.path(), |_| {}).await;
    let next = world.engine.run_resume(with(&first, "other")).await.unwrap().id;
    ended(&mut world, &next).await;
    let worktree = world.until(&next, |_| true).await.worktree;
    world.engine.shutdown().await;
    drop(world);
    for part in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(dir.path().join(format!("data/musher.db{part}")));
    }
    let world = World::open(dir.path(), 4, chrono::Utc::now).await;
    assert_eq!(settings(&world, &first).await.runtime, "other");
    assert_eq!(world.until(&first, |_| true).await.worktree, worktree);
}

/// The engine goes between the change and the start of the agent.
#[tokio::test(flavor = "multi_thread")]
async fn a_change_outlives_the_engine() {
    let dir = tempfile::tempdir().unwrap();
    let config = || EngineConfig { max_live_runs: 1, ..EngineConfig::new(dir.path().join("data")) };
    let mut world = World::open_as(config()).await;
    let first = world.start(|_| {}).await.id;
    ended(&mut world, &first).await;
    world.start(|_| {}).await;
    let busy = world.started().await;
    let next = world.engine.run_resume(with(&first, "other")).await.unwrap().id;
    world.until(&next, |s| s.detail.is_some()).await;
    world.engine.shutdown().await;
    drop((world, busy));

    let mut world = World::open_as(EngineConfig { max_live_runs: 4, ..config() }).await;
    let agent = loop {
        let agent = world.started().await;
        if agent.context.run == next {
            break agent;
        }
        agent.end(RunOutcome::Completed);
    };
    assert_eq!(agent.context.session_id_to_resume, None);
    let prompt = agent.context.prompt.clone();
    assert!(prompt.contains("Do it\nwell") && prompt.ends_with("Now:\n\nand then?"), "{prompt}");
    assert_eq!(prompt.matches("and then?").count(), 1, "{prompt}");
    agent.end(RunOutcome::Completed);
    world.until(&next, |s| s.phase == RunPhase::Done).await;
    assert!(opening(&world, &next).await.1.is_some());
}
