//! The real `claude` with the engine's tools besides its own, and a scripted model: that it lists them,
//! asks for them over its own road, calls them, and that nothing of them outlives the run.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
// A test starts real programs and waits for them itself.
#![allow(clippy::disallowed_methods)]

mod world;

use std::path::Path;

use musher_protocol::{AgentEvent, EventEnvelope, PlanState, RunOutcome, ToolKind, ToolResult};
use musher_testkit::{Live, proof, wait};
use world::{Finished, Following, World, nothing_left};

/// A run of the real program with the tools, in a worktree of its own.
fn args(world: &World, live: &Live, scenario: &str, more: &[&str]) -> Vec<String> {
    world.set_up(live);
    let prompt = format!("do it [[model:{scenario}]]");
    let (repo, claude) = (world.repo.path(), live.claude.display().to_string());
    let repo = repo.display().to_string();
    let args = ["--json", "run", &prompt, "--repo", &repo, "--command", &claude, "--engine-tools"];
    args.iter().chain(more).map(|arg| (*arg).to_owned()).collect()
}

fn ran(world: &World, live: &Live, scenario: &str, more: &[&str]) -> Vec<EventEnvelope> {
    let args = args(world, live, scenario, more);
    let Finished { code, stdout, stderr } =
        world.call(&args.iter().map(|it| &**it).collect::<Vec<_>>());
    assert_eq!(code, 0, "{stdout}{stderr}");
    let events = Finished { code, stdout, stderr }.events();
    let done = &events.last().unwrap().event;
    assert_eq!(done, &AgentEvent::Done { outcome: RunOutcome::Completed });
    nothing_left(&events[0].run);
    events
}

fn results(events: &[EventEnvelope]) -> Vec<&ToolResult> {
    let result = events.iter().filter_map(|envelope| match &envelope.event {
        AgentEvent::ToolResult(result) => Some(result),
        _ => None,
    });
    result.collect()
}

/// What the model was offered at last.
fn offered(live: &Live) -> Vec<String> {
    let requests = live.model.requests();
    let last = requests.iter().rfind(|request| request.scenario.is_some()).unwrap();
    let tools = last.body["tools"].as_array().unwrap();
    tools.iter().filter_map(|tool| Some(tool["name"].as_str()?.to_owned())).collect()
}

#[test]
#[ignore = "needs the claude package: cargo xtask test --live"]
fn the_agent_uses_the_tools_as_it_uses_its_own() {
    let (world, live) = (World::new(), Live::new().unwrap());
    std::fs::write(world.repo.path().join("README.md"), "# Throw-away\n").unwrap();
    let events = ran(&world, &live, "engine_tools", &["--answer", "allow"]);
    let session = events.iter().find_map(|envelope| match &envelope.event {
        AgentEvent::Session(session) => Some(session),
        _ => None,
    });
    assert!(session.unwrap().failed_tool_servers.is_empty(), "{session:?}");
    for tool in ["read_file", "list_files", "search", "edit_file", "run_command", "update_plan"] {
        let name = format!("mcp__musher__{tool}");
        assert!(offered(&live).contains(&name), "{tool} is not in {:?}", offered(&live));
    }
    assert!(!offered(&live).contains(&"mcp__musher__fetch_url".to_owned()));

    let results = results(&events);
    assert!(results.iter().all(|result| !result.is_error), "{results:#?}");
    let edit = results.iter().find_map(|result| result.edit.as_ref()).expect("an edit is shown");
    assert_eq!((edit.path.as_str(), edit.created), ("made.txt", true));
    assert!(results.iter().any(|result| result.text.contains("made.txt:1: found by search")));
    assert!(
        results.iter().any(|result| result.text.contains("ran \n[exit code 0]")),
        "{results:#?}"
    );
    let plan = events.iter().find_map(|envelope| match &envelope.event {
        AgentEvent::Plan { entries } => Some(entries),
        _ => None,
    });
    assert_eq!(plan.unwrap()[0].state, PlanState::InProgress);

    let asked: Vec<ToolKind> = events
        .iter()
        .filter_map(|envelope| match &envelope.event {
            AgentEvent::PermissionRequest(request) => Some(request.kind),
            _ => None,
        })
        .collect();
    assert_eq!(asked, [ToolKind::Edit, ToolKind::Run], "reading is not asked for");
}

#[test]
#[ignore = "needs the claude package: cargo xtask test --live"]
fn rules_hold_whoever_reads_them() {
    let (world, live) = (World::new(), Live::new().unwrap());
    let more = ["--answer", "allow", "--deny", "edit made.txt", "--deny", "Bash(git push:*)"];
    let events = ran(&world, &live, "engine_tools", &more);
    let told: Vec<&str> = results(&events).into_iter().map(|result| &*result.text).collect();
    assert!(told.iter().any(|text| text.contains("deny edit made.txt")), "{told:#?}");
    assert!(!offered(&live).contains(&"mcp__musher__run_command".to_owned()));
    assert!(offered(&live).contains(&"mcp__musher__edit_file".to_owned()));
}

#[test]
#[ignore = "needs the claude package: cargo xtask test --live"]
fn plan_mode_holds_in_the_tools_though_the_person_allows() {
    let (world, live) = (World::new(), Live::new().unwrap());
    let events =
        ran(&world, &live, "engine_tools", &["--answer", "allow", "--permission-mode", "plan"]);
    let told: Vec<&str> = results(&events).into_iter().map(|result| &*result.text).collect();
    let denied = told.iter().filter(|text| text.contains("the mode is plan")).count();
    assert_eq!(denied, 2, "{told:#?}");
}

#[test]
#[ignore = "needs the claude package: cargo xtask test --live"]
fn a_plan_that_is_agreed_to_opens_the_tools() {
    let (world, live) = (World::new(), Live::new().unwrap());
    let more = ["--answer", "allow", "--permission-mode", "plan"];
    let events = ran(&world, &live, "engine_plan", &more);
    let edits: Vec<(bool, bool)> = results(&events)
        .into_iter()
        .filter(|result| result.edit.is_some() || result.text.contains("the mode is plan"))
        .map(|result| (result.is_error, result.edit.is_some()))
        .collect();
    assert_eq!(edits, [(true, false), (false, true)], "{:#?}", results(&events));
}

/// Processes of the run's commands, by the marks of their folders.
fn commands(run_dir: &Path, run: &str) -> Vec<u32> {
    let folders = std::fs::read_dir(run_dir.join("tools")).into_iter().flatten().flatten();
    let mark = |name: std::ffi::OsString| format!("{run}.{}", name.to_string_lossy());
    folders.flat_map(|it| proof::alive_with_mark(&mark(it.file_name()))).collect()
}

#[test]
#[ignore = "needs the claude package: cargo xtask test --live"]
fn an_engine_that_is_killed_stops_no_call_and_a_stop_ends_it() {
    let (world, live) = (World::new(), Live::new().unwrap());
    let args = args(&world, &live, "engine_command", &["--answer", "allow"]);
    let args: Vec<&str> = args.iter().map(|it| &**it).collect();
    let mut first = Following::of(world.musher(&args));
    let call = |event: &AgentEvent| matches!(event, AgentEvent::ToolCall(call) if call.kind == ToolKind::Run);
    let run = first.until(call).run;
    let run_dir = world.data_dir().join("runs").join(run.as_str());
    let runs = || commands(&run_dir, run.as_str()).first().copied();
    wait::until_some("the command runs", runs);
    first.kill_hard();
    assert!(!commands(&run_dir, run.as_str()).is_empty(), "the command outlives the engine");

    let stopped = world.call(&["--json", "stop", run.as_str()]);
    assert_eq!(stopped.code, 0, "{}", stopped.stderr);
    nothing_left(&run);
    assert_eq!(commands(&run_dir, run.as_str()), Vec::<u32>::new());
}
