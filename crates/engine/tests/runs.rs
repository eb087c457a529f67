//! What the engine does with a run: one answer for each request, messages at the right time, one end.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

mod fake;

use std::sync::atomic::{AtomicI64, Ordering};

use fake::{FakeRun, Heard, World, sent, turn_ended, wants};
use musher_protocol::*;
use musher_runtime::AgentInput;

fn deny() -> Answer {
    Answer::Deny { message: None }
}

fn answer_params(run: &RunId, request: &str, answer: Answer) -> RunAnswerParams {
    RunAnswerParams { run: run.clone(), request: request.into(), answer }
}

fn message(heard: Heard) -> (String, String) {
    match heard {
        Heard::Input(AgentInput::Message { id, text }) => (id, text),
        other => panic!("a message was expected, not {other:?}"),
    }
}

async fn send(world: &World, run: &RunId, text: &str, delivery: Delivery) {
    let params = RunSendParams { run: run.clone(), text: text.into(), delivery };
    world.engine.run_send(params).await.unwrap();
}

/// The engine goes while the agent lives, and the next one attaches to it.
async fn attached(dir: &std::path::Path, world: World, agent: FakeRun) -> (World, FakeRun) {
    // What a keeper's record would be.
    std::fs::write(agent.context.run_dir.join("keeper.json"), "{}").unwrap();
    world.engine.shutdown().await;
    drop((world, agent));
    let mut world = World::open(dir, 4, chrono::Utc::now).await;
    let agent = world.started().await;
    (world, agent)
}

fn ends_once_without_gap(events: &[EventEnvelope]) {
    let seqs: Vec<_> = events.iter().map(|e| e.seq).collect();
    assert_eq!(seqs, (1..=events.len() as u64).collect::<Vec<_>>());
    let done = events.iter().filter(|e| matches!(e.event, AgentEvent::Done { .. })).count();
    assert_eq!(done, 1);
    assert!(matches!(events.last().unwrap().event, AgentEvent::Done { .. }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_answered_once() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::open(dir.path(), 4, chrono::Utc::now).await;
    let run = world.start(|_| {}).await.id;
    let mut agent = world.started().await;
    agent.say(wants("r1", "cargo publish")).await;
    let waiting = world.until(&run, |s| s.phase == RunPhase::WaitingPermission).await;
    assert_eq!(waiting.detail.as_deref(), Some("Waits for you: run cargo publish?"));
    assert!(waiting.until.is_some() && waiting.waiting == 1 && waiting.unread);

    world.engine.run_answer(answer_params(&run, "r1", Answer::Allow)).await.unwrap();
    let given = Heard::Input(AgentInput::Answer { request: "r1".into(), answer: Answer::Allow });
    assert_eq!(agent.hear().await, given);
    let again = world.engine.run_answer(answer_params(&run, "r1", deny())).await.unwrap_err();
    assert_eq!(again.code, ErrorCode::Conflict);
    world.until(&run, |s| s.phase == RunPhase::Running && s.waiting == 0).await;

    agent.end(RunOutcome::Completed);
    world.until(&run, |s| s.phase == RunPhase::Done).await;
    let events = world.events(&run).await;
    ends_once_without_gap(&events);
    let answers = events.iter().filter(|e| matches!(e.event, AgentEvent::PermissionAnswer { .. }));
    assert_eq!(answers.count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_request_is_withdrawn_at_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::open(dir.path(), 4, chrono::Utc::now).await;
    let run = world.start(|_| {}).await.id;
    let agent = world.started().await;
    agent.say(wants("r1", "rm -r build")).await;
    world.until(&run, |s| s.waiting == 1).await;
    agent.end(RunOutcome::Failed { exit_code: Some(3), last_lines: vec![] });
    let ended = world.until(&run, |s| s.phase == RunPhase::Done).await;
    assert_eq!((ended.waiting, ended.status), (0, RuntimeStatus::Failed));
    let events = world.events(&run).await;
    ends_once_without_gap(&events);
    assert!(events.iter().any(|e| matches!(
        e.event,
        AgentEvent::PermissionAnswer { by: AnsweredBy::Withdrawn, .. }
    )));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_answers_for_the_person() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::open(dir.path(), 4, chrono::Utc::now).await;
    let run = world.start(|s| s.answer = AnswerPolicy::Deny).await.id;
    let mut agent = world.started().await;
    agent.say(wants("r1", "curl example.com")).await;
    let Heard::Input(AgentInput::Answer { answer, .. }) = agent.hear().await else { panic!() };
    assert_eq!(answer, deny());
    agent.end(RunOutcome::Completed);
    world.until(&run, |s| s.phase == RunPhase::Done).await;
}

/// Seconds that the engine's clock is ahead of the real one.
static AHEAD: AtomicI64 = AtomicI64::new(0);

fn shifted() -> chrono::DateTime<chrono::Utc> {
    chrono::Utc::now() + chrono::TimeDelta::seconds(AHEAD.load(Ordering::SeqCst))
}

#[tokio::test]
async fn a_request_that_nobody_answers_is_denied() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::open(dir.path(), 4, shifted).await;
    let run = world.start(|_| {}).await.id;
    let mut agent = world.started().await;
    agent.say(wants("r1", "make install")).await;
    world.until(&run, |s| s.waiting == 1).await;
    AHEAD.store(601, Ordering::SeqCst);
    // Any event makes the actor look at its clock again.
    agent.say(AgentEvent::Warning { code: "test".into(), message: "Time passes.".into() }).await;
    let Heard::Input(AgentInput::Answer { answer: Answer::Deny { message }, .. }) =
        agent.hear().await
    else {
        panic!("an expired request is denied")
    };
    assert!(message.unwrap().contains("10 minutes"));
    agent.end(RunOutcome::Completed);
    world.until(&run, |s| s.phase == RunPhase::Done).await;
}

/// A quick turn is over before it is confirmed that its message was said: found in a browser, on a busy
/// machine, as a run that never ended.
#[tokio::test(flavor = "multi_thread")]
async fn a_turn_that_ends_before_its_message_is_confirmed_ends_the_input_too() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::open(dir.path(), 4, chrono::Utc::now).await;
    let run = world.start(|_| {}).await.id;
    let mut agent = world.started().await;
    send(&world, &run, "one more thing", Delivery::Queue).await;
    agent.say(turn_ended()).await;
    let (queued, _) = message(agent.hear().await);
    agent.say(turn_ended()).await;
    assert_eq!(agent.hear().await, Heard::Input(AgentInput::EndOfInput));
    agent.say(sent(&queued)).await;
    agent.end(RunOutcome::Completed);
    world.until(&run, |s| s.phase == RunPhase::Done).await;
    assert!(world.started.try_recv().is_err(), "what was said starts no next run");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queued_message_waits_for_the_end_of_the_turn_and_then_the_input_ends() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::open(dir.path(), 4, chrono::Utc::now).await;
    let run = world.start(|_| {}).await.id;
    let mut agent = world.started().await;
    send(&world, &run, "and then tidy up", Delivery::Queue).await;
    send(&world, &run, "use tabs", Delivery::Steer).await;
    let (steered, words) = message(agent.hear().await);
    assert_eq!(words, "use tabs", "a steering message overtakes a queued one");
    agent.say(sent(&steered)).await;
    agent.say(turn_ended()).await;
    let (queued, words) = message(agent.hear().await);
    assert_eq!(words, "and then tidy up");
    agent.say(sent(&queued)).await;
    agent.say(turn_ended()).await;
    assert_eq!(agent.hear().await, Heard::Input(AgentInput::EndOfInput));
    agent.end(RunOutcome::Completed);
    world.until(&run, |s| s.phase == RunPhase::Done).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn words_that_come_too_late_begin_the_next_run() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::open(dir.path(), 4, chrono::Utc::now).await;
    let first = world.start(|_| {}).await;
    let mut agent = world.started().await;
    agent.say(turn_ended()).await;
    assert_eq!(agent.hear().await, Heard::Input(AgentInput::EndOfInput));
    send(&world, &first.id, "one more thing", Delivery::Queue).await;
    agent.end(RunOutcome::Completed);
    let next = world.started().await;
    assert_eq!(next.context.prompt, "one more thing");
    assert_eq!(next.context.session_id_to_resume.as_deref(), Some("session-1"));
    assert_eq!(
        next.context.cwd.to_string_lossy(),
        world.until(&first.id, |s| s.phase == RunPhase::Done).await.worktree
    );
    let fresh = next.context.fresh_prompt.clone().unwrap();
    assert!(fresh.contains("Person: Do it\nwell") && fresh.ends_with("one more thing"));
    let detail = world.engine.run_get(RunParams { run: first.id.clone() }).await.unwrap();
    assert_eq!(detail.story_runs.len(), 2);
    next.end(RunOutcome::Completed);
    ends_once_without_gap(&world.events(&first.id).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_after_the_end_goes_on_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::open(dir.path(), 1, chrono::Utc::now).await;
    let first = world.start(|_| {}).await.id;
    world.started().await.end(RunOutcome::Completed);
    world.until(&first, |s| s.phase == RunPhase::Done).await;
    // Asked the moment it is done, while its actor is still closing.
    let params =
        RunSendParams { run: first.clone(), text: "go on".into(), delivery: Delivery::Queue };
    let next = world.engine.run_send(params).await.unwrap();
    assert_ne!(next.id, first);
    world.started().await.end(RunOutcome::Completed);
    world.until(&next.id, |s| s.phase == RunPhase::Done).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_is_a_stop_whatever_the_agent_reports() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::open(dir.path(), 4, chrono::Utc::now).await;
    let run = world.start(|_| {}).await.id;
    let mut agent = world.started().await;
    let engine = world.engine.clone();
    let params = RunParams { run: run.clone() };
    let stopping = async move { engine.run_stop(params).await.unwrap() };
    let ending = async {
        assert_eq!(agent.hear().await, Heard::Stop);
        agent.end(RunOutcome::Failed { exit_code: Some(143), last_lines: vec![] });
    };
    let (stopped, ()) = tokio::join!(stopping, ending);
    assert_eq!(stopped.outcome, Some(RunOutcome::Stopped { by: StoppedBy::User }));
    ends_once_without_gap(&world.events(&run).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_in_line_starts_when_a_slot_is_free_and_can_be_stopped_before() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::open(dir.path(), 1, chrono::Utc::now).await;
    let first = world.start(|_| {}).await.id;
    let agent = world.started().await;
    let second = world.start(|_| {}).await.id;
    let third = world.start(|_| {}).await.id;
    let waiting = world.until(&second, |s| s.detail.is_some()).await;
    assert_eq!(waiting.phase, RunPhase::Queued);
    let stopped = world.engine.run_stop(RunParams { run: second }).await.unwrap();
    assert_eq!(stopped.outcome, Some(RunOutcome::Stopped { by: StoppedBy::User }));
    agent.end(RunOutcome::Completed);
    world.until(&first, |s| s.phase == RunPhase::Done).await;
    world.started().await.end(RunOutcome::Completed);
    world.until(&third, |s| s.phase == RunPhase::Done).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_in_line_survives_the_engine() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::open(dir.path(), 1, chrono::Utc::now).await;
    world.start(|_| {}).await;
    let agent = world.started().await;
    let waiting = world.start(|_| {}).await.id;
    world.until(&waiting, |s| s.detail.is_some()).await;
    world.engine.shutdown().await;
    drop((world, agent));

    let mut world = World::open(dir.path(), 2, chrono::Utc::now).await;
    let mut prompts = Vec::new();
    for _ in 0..2 {
        let agent = world.started().await;
        prompts.push((agent.context.run.clone(), agent.context.prompt.clone()));
        agent.end(RunOutcome::Completed);
    }
    assert!(prompts.contains(&(waiting.clone(), "Do it\nwell".into())));
    world.until(&waiting, |s| s.phase == RunPhase::Done).await;
    ends_once_without_gap(&world.events(&waiting).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_engine_is_refused_while_the_first_lives() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::open(dir.path(), 1, chrono::Utc::now).await;
    let config = musher_engine::EngineConfig::new(dir.path().join("data"));
    let refused = musher_engine::Engine::open(config, Default::default()).await.err().unwrap();
    assert_eq!(refused.code, ErrorCode::DataDirLocked);
    drop(world);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_that_is_made_while_an_agent_lives_answers_what_it_asks_from_then_on() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::open(dir.path(), 1, chrono::Utc::now).await;
    let run = world.start(|_| {}).await;
    let mut agent = world.started().await;
    agent.say(wants("r1", "cargo test")).await;
    world.until(&run.id, |s| s.waiting == 1).await;
    for rule in ["allow run cargo *", "deny run cargo publish*"] {
        let params = RuleParams { project: run.project.clone(), rule: rule.into() };
        world.engine.rule_add(params).await.unwrap();
    }
    let asked =
        [("r1", "", true), ("r2", "cargo check", true), ("r3", "make; cargo publish", false)];
    for (request, command, allowed) in asked {
        if !command.is_empty() {
            agent.say(wants(request, command)).await;
        }
        let Heard::Input(AgentInput::Answer { request: answered, answer }) = agent.hear().await
        else {
            panic!("an answer");
        };
        assert_eq!((answered.as_str(), answer == Answer::Allow), (request, allowed));
    }
    agent.say(wants("r4", "make")).await;
    let waits = |s: &RunSummary| s.detail.as_deref() == Some("Waits for you: run make?");
    assert_eq!(world.until(&run.id, waits).await.waiting, 1);
    let events = world.events(&run.id).await;
    let told: Vec<_> = events.iter().filter_map(|it| by_rule(&it.event)).collect();
    assert!(told[0].contains("allow run cargo *") && told[2].contains("cargo publish"), "{told:?}");
    agent.end(RunOutcome::Completed);
}

/// Beside its own tools an agent has ours, and asks for each call of them.
#[tokio::test(flavor = "multi_thread")]
async fn an_edit_by_our_own_tool_is_answered_as_the_mode_says() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::open(dir.path(), 2, chrono::Utc::now).await;
    let edits = |request: &str, tool: &str, path: &str| {
        let AgentEvent::PermissionRequest(asked) = wants(request, path) else {
            panic!("a request")
        };
        let input = serde_json::json!({ "path": path, "new": "x" });
        let (tool, kind) = (tool.to_owned(), ToolKind::Edit);
        AgentEvent::PermissionRequest(PermissionRequest { tool, kind, input, ..asked })
    };
    let ours = "mcp__musher__edit_file";
    let run = world
        .start(|settings| {
            settings.engine_tools = true;
            settings.permission_mode = PermissionMode::AcceptEdits;
            settings.disallowed_tools = vec!["edit secret".into(), "Bash(rm:*)".into()];
        })
        .await;
    let mut agent = world.started().await;
    for (request, path, allowed) in [("r1", "src/new.rs", true), ("r2", "secret", false)] {
        agent.say(edits(request, ours, path)).await;
        let Heard::Input(AgentInput::Answer { request: answered, answer }) = agent.hear().await
        else {
            panic!("an answer");
        };
        assert_eq!((answered.as_str(), answer == Answer::Allow), (request, allowed));
    }
    for (request, tool, path) in [("r3", ours, "../x"), ("r4", "mcp__other__edit_file", "x")] {
        agent.say(edits(request, tool, path)).await;
    }
    assert_eq!(world.until(&run.id, |s| s.waiting == 2).await.waiting, 2);
    let events = world.events(&run.id).await;
    let why = |event: &EventEnvelope| match &event.event {
        AgentEvent::PermissionAnswer { by, message, .. } => Some((*by, message.clone()?)),
        _ => None,
    };
    let told: Vec<_> = events.iter().filter_map(why).collect();
    assert_eq!(told[0], (AnsweredBy::Policy, "the mode is accept-edits".to_owned()));
    assert_eq!(told[1], (AnsweredBy::Rule, "deny edit secret".to_owned()));
    agent.end(RunOutcome::Completed);

    let run = world.start(|settings| settings.engine_tools = true).await;
    let agent = world.started().await;
    agent.say(edits("r1", ours, "src/new.rs")).await;
    assert_eq!(world.until(&run.id, |s| s.waiting == 1).await.waiting, 1);
    agent.end(RunOutcome::Completed);
}

/// The rule that gave the answer.
fn by_rule(event: &AgentEvent) -> Option<&str> {
    match event {
        AgentEvent::PermissionAnswer { by: AnsweredBy::Rule, message, .. } => message.as_deref(),
        _ => None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_input_is_one_sentence_with_a_next_step() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::open(dir.path(), 1, chrono::Utc::now).await;
    let start = |prompt: &str, repository: &str, runtime: &str| RunStartParams {
        prompt: prompt.into(),
        place: RunPlace::Fresh { repository: repository.into(), base: None, branch: None },
        settings: RunSettings { runtime: runtime.into(), ..RunSettings::default() },
        restrict_untrusted: false,
    };
    let plain = dir.path().to_string_lossy().into_owned();
    for (params, code) in [
        (start("  ", "demo", "fake"), ErrorCode::BadRequest),
        (start("x", "demo", "nobody"), ErrorCode::RuntimeMissing),
        (start("x", &plain, "fake"), ErrorCode::NotARepository),
        (start("x", "/no/such/folder", "fake"), ErrorCode::NotFound),
    ] {
        let error = world.engine.run_start(params).await.unwrap_err();
        assert_eq!(error.code, code, "{error:?}");
        assert!(error.message.ends_with('.') && !error.message.is_empty(), "{error:?}");
    }
    assert!(world.engine.run_list().await.unwrap().is_empty(), "nothing was started");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_the_agent_may_not_have_heard_is_given_again_after_a_crash() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::open(dir.path(), 4, chrono::Utc::now).await;
    let run = world.start(|_| {}).await.id;
    let mut agent = world.started().await;
    agent.say(wants("r1", "make")).await;
    world.until(&run, |s| s.waiting == 1).await;
    world.engine.run_answer(answer_params(&run, "r1", Answer::Allow)).await.unwrap();
    agent.hear().await;
    let lost = AgentEvent::Warning { code: "keeper_lost".into(), message: "Killed.".into() };
    let before = world.until(&run, |_| true).await.last_seq;
    agent.say(lost).await;
    world.until(&run, |s| s.last_seq > before).await;

    let (world, mut agent) = attached(dir.path(), world, agent).await;
    let point = agent.context.attach.clone().expect("it attaches");
    assert!(point.warned.contains("keeper_lost"), "what was told is not told again");
    let given = Heard::Input(AgentInput::Answer { request: "r1".into(), answer: Answer::Allow });
    assert_eq!(agent.hear().await, given);
    agent.end(RunOutcome::Completed);
    world.until(&run, |s| s.phase == RunPhase::Done).await;
}

/// A message is confirmed after the turn that took it in: nothing more will end that turn.
#[tokio::test(flavor = "multi_thread")]
async fn a_turn_that_was_over_is_over_after_a_crash() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::open(dir.path(), 4, chrono::Utc::now).await;
    let run = world.start(|_| {}).await.id;
    let mut agent = world.started().await;
    send(&world, &run, "use tabs", Delivery::Steer).await;
    let (steered, _) = message(agent.hear().await);
    agent.say(turn_ended()).await;
    assert_eq!(agent.hear().await, Heard::Input(AgentInput::EndOfInput));
    let before = world.until(&run, |_| true).await.last_seq;
    agent.say(sent(&steered)).await;
    world.until(&run, |s| s.last_seq > before).await;

    let (world, mut agent) = attached(dir.path(), world, agent).await;
    assert_eq!(agent.hear().await, Heard::Input(AgentInput::EndOfInput));
    agent.end(RunOutcome::Completed);
    world.until(&run, |s| s.phase == RunPhase::Done).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_turn_that_runs_goes_on_after_a_crash() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::open(dir.path(), 4, chrono::Utc::now).await;
    let run = world.start(|_| {}).await.id;
    let mut agent = world.started().await;
    send(&world, &run, "and then tidy up", Delivery::Queue).await;
    agent.say(turn_ended()).await;
    let (queued, _) = message(agent.hear().await);
    let before = world.until(&run, |_| true).await.last_seq;
    agent.say(sent(&queued)).await;
    world.until(&run, |s| s.last_seq > before).await;

    let (world, mut agent) = attached(dir.path(), world, agent).await;
    send(&world, &run, "use tabs", Delivery::Steer).await;
    let (_, words) = message(agent.hear().await);
    assert_eq!(words, "use tabs", "its input is open");
    agent.say(turn_ended()).await;
    assert_eq!(agent.hear().await, Heard::Input(AgentInput::EndOfInput));
    agent.end(RunOutcome::Completed);
    world.until(&run, |s| s.phase == RunPhase::Done).await;
}

/// Somebody emptied, cut or removed a transcript: whoever opens the run is told, once, and reading ends.
#[tokio::test(flavor = "multi_thread")]
async fn a_transcript_that_was_cut_from_outside_says_so_once() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::open(dir.path(), 1, chrono::Utc::now).await;
    let run = world.start(|_| {}).await.id;
    world.started().await.end(RunOutcome::Completed);
    let last = world.until(&run, |s| s.phase == RunPhase::Done).await.last_seq;
    let path = dir.path().join("data/runs").join(run.as_str()).join("transcript.jsonl");
    let whole = std::fs::read_to_string(&path).unwrap();
    let kept: Vec<&str> = whole.lines().take(3).collect();
    for (left, first_missing) in [(kept.join("\n") + "\n", 3), (String::new(), 1)] {
        std::fs::write(&path, left).unwrap();
        let told: Vec<_> = world.events(&run).await.into_iter().filter(is_gap).collect();
        assert_eq!(told.len(), 1);
        assert_eq!(told[0].seq, first_missing);
        let params =
            RunEventsParams { run: run.clone(), from_seq: 1, max_bytes: None, wait_ms: None };
        let text = world.engine.run_events(params).await.unwrap();
        let batch: EventBatch = serde_json::from_str(&text).unwrap();
        assert!(batch.end && batch.next_seq == last + 1, "{text}");
    }
    std::fs::remove_file(&path).unwrap();
    let params = RunEventsParams { run: run.clone(), from_seq: 1, max_bytes: None, wait_ms: None };
    let error = world.engine.run_events(params).await.unwrap_err();
    assert!(error.message.contains("is gone") && error.hint.is_some(), "{error:?}");
}

fn is_gap(envelope: &EventEnvelope) -> bool {
    matches!(&envelope.event, AgentEvent::Warning { code, .. } if code == "transcript_gap")
}

/// A transcript of a newer Musher, or none: the run is shown with the reason, and nothing is begun in its
/// worktree, where its agent may live.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_cannot_be_taken_in_says_why() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::open(dir.path(), 1, chrono::Utc::now).await;
    let run = world.start(|_| {}).await.id;
    let agent = world.started().await;
    world.until(&run, |s| s.phase == RunPhase::Running).await;
    std::fs::write(agent.context.run_dir.join("keeper.json"), "{}").unwrap();
    let path = agent.context.run_dir.join("transcript.jsonl");
    world.engine.shutdown().await;
    drop((world, agent));
    let text = std::fs::read_to_string(&path).unwrap();
    let newer = text.replacen("{\"musher_transcript\":1", "{\"musher_transcript\":99", 1);
    std::fs::write(&path, newer).unwrap();

    let world = World::open(dir.path(), 1, chrono::Utc::now).await;
    let told = |text: &str| text.contains("newer Musher");
    let listed = world.engine.run_list().await.unwrap();
    assert!(told(listed[0].detail.as_ref().unwrap()), "{listed:?}");
    let info = world.engine.app_info(HostKind::Server).await.unwrap();
    assert!(info.notices.iter().any(|n| told(n) && n.contains("Update Musher")), "{info:?}");
    let params = RunParams { run: run.clone() };
    assert!(told(&world.engine.run_stop(params).await.unwrap_err().message));
    let params = RunSendParams { run, text: "go on".into(), delivery: Delivery::Queue };
    assert!(told(&world.engine.run_send(params).await.unwrap_err().message));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_changes_of_a_worktree_that_is_gone_are_an_answer_that_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::open(dir.path(), 4, chrono::Utc::now).await;
    let repo = musher_testkit::Repo::new().unwrap();
    let path = repo.path().to_string_lossy().into_owned();
    let run = world.start_at(RunPlace::Worktree { path }, |_| {}).await.id;
    let agent = world.started().await;
    repo.write("first.txt", "one\ntwo\n").unwrap();
    let changes = world.engine.worktree_changes(WorktreeParams { run: run.clone() }).await.unwrap();
    let found: Vec<_> = changes.files.iter().map(|file| (file.path.as_str(), file.added)).collect();
    assert_eq!(found, [("first.txt", 2)]);
    agent.end(RunOutcome::Completed);
    world.until(&run, |summary| summary.phase == RunPhase::Done).await;
    drop(repo);
    let gone = world.engine.worktree_changes(WorktreeParams { run }).await.unwrap_err();
    assert_eq!(gone.code, ErrorCode::NotFound);
    assert!(gone.message.ends_with("is gone."), "{}", gone.message);
}
