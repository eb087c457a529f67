//! `musher run --runtime openai|gemini` against scripted servers that hold the client to the rules of
//! each dialect.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod world;

use std::{
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use musher_protocol::{AgentEvent, RunOutcome, StoppedBy};
use musher_runtime::MARK;
use musher_testkit::{
    dialects::{
        Answer, Dialect, Header, Item, Message, Oddity, Offer, Problem, Script, ScriptedEndpoint,
        agentic,
    },
    proof, wait,
};
use serde_json::json;
use world::{Finished, Following, World};

const KEY: &str = "sk-canary-4b1d9e77a0";
/// Of no shape that a provider's keys have.
const CANARY: &str = "canary+4b1d9e77a0/x";
const KEY_FILE: &str = "keys.json";
const BROKEN: &str = "add() { echo $(($1 - $2)); }\n";
const MENDED: &str = "add() { echo $(($1 + $2)); }\n";
const TEST: &str = ". ./add.sh\ntest \"$(add 2 3)\" = 5 && echo it holds\n";

fn runtime(dialect: Dialect) -> (&'static str, &'static str) {
    match dialect {
        Dialect::Gemini => ("gemini", "GEMINI_API_KEY"),
        _ => ("openai", "OPENAI_API_KEY"),
    }
}

fn command(world: &World, endpoint: &ScriptedEndpoint, more: &[&str]) -> Command {
    let (name, variable) = runtime(endpoint.dialect());
    let (base, root) = (endpoint.base_url(), world.repo.path().to_string_lossy().into_owned());
    let mut args = vec!["--json", "run", "Mend the test.", "--repo", &root];
    args.extend(["--runtime", name, "--base-url", &base, "--dialect", endpoint.dialect().name()]);
    args.extend(["--model", "scripted-large"]);
    args.extend(more);
    let mut command = world.musher(&args);
    command.env(variable, KEY);
    command
}

fn run(world: &World, endpoint: &ScriptedEndpoint, more: &[&str]) -> Finished {
    finished(&mut command(world, endpoint, more))
}

fn finished(command: &mut Command) -> Finished {
    let out = command.output().unwrap();
    Finished {
        code: out.status.code().unwrap_or(-1),
        stdout: String::from_utf8(out.stdout).unwrap(),
        stderr: String::from_utf8(out.stderr).unwrap(),
    }
}

/// Whether a file under `dir` holds this text.
fn anywhere(dir: &Path, text: &str) -> bool {
    let found =
        std::process::Command::new("grep").args(["-rqaF", "--", text]).arg(dir).status().unwrap();
    match found.code() {
        Some(0) => true,
        Some(1) => false,
        other => panic!("grep ended with {other:?}"),
    }
}

fn world() -> World {
    let world = World::new();
    world.repo.write("add.sh", BROKEN).unwrap();
    world.repo.write("test.sh", TEST).unwrap();
    world.repo.commit("A sum that is none").unwrap();
    world
}

fn mends(dialect: Dialect) -> ScriptedEndpoint {
    let script = agentic(
        [
            vec![
                ("read_file", json!({"path": "add.sh"})),
                ("read_file", json!({"path": "test.sh"})),
            ],
            vec![("edit_file", json!({"path": "add.sh", "old": "$1 - $2", "new": "$1 + $2"}))],
            vec![("run_command", json!({"command": "sh test.sh; env"}))],
        ],
        "The sum was a difference; it is mended and the test holds.",
    );
    Offer::new(dialect).key(KEY).start(script).unwrap()
}

#[test]
fn a_failing_test_is_mended_in_each_dialect() {
    for dialect in Dialect::ALL {
        let (world, endpoint) = (world(), mends(dialect));
        let done = run(&world, &endpoint, &["--permission-mode", "ask", "--answer", "allow"]);
        assert_eq!(done.code, 0, "{dialect:?}: {} {}", done.stdout, done.stderr);
        endpoint.check().unwrap();
        assert_eq!(endpoint.turns().len(), 4);

        let events: Vec<_> = done.events().into_iter().map(|it| it.event).collect();
        let results: Vec<_> = events
            .iter()
            .filter_map(|event| match event {
                AgentEvent::ToolResult(result) => Some(result.clone()),
                _ => None,
            })
            .collect();
        assert_eq!(results.len(), 4, "{dialect:?}: {results:?}");
        assert!(results.iter().all(|it| !it.is_error), "{results:?}");
        assert!(results[2].edit.is_some(), "the edit is told as one");
        assert!(results[3].text.contains("it holds"), "{}", results[3].text);
        assert!(matches!(events.last(), Some(AgentEvent::Done { outcome: RunOutcome::Completed })));
        let worktree = PathBuf::from(&world.runs()[0].worktree);
        assert_eq!(std::fs::read_to_string(worktree.join("add.sh")).unwrap(), MENDED);
        assert!(!done.stdout.contains(KEY) && !done.stderr.contains(KEY));
        assert!(!anywhere(&world.data_dir(), KEY), "{dialect:?}: the key is on disk");
    }
}

#[test]
fn nothing_is_changed_that_nobody_allowed() {
    for dialect in Dialect::ALL {
        let (world, endpoint) = (world(), mends(dialect));
        let done = run(&world, &endpoint, &["--answer", "deny"]);
        assert_eq!(done.code, 0, "{dialect:?}: {} {}", done.stdout, done.stderr);
        endpoint.check().unwrap();
        let worktree = PathBuf::from(&world.runs()[0].worktree);
        assert_eq!(std::fs::read_to_string(worktree.join("add.sh")).unwrap(), BROKEN);
    }
}

/// The files of a kind under `dir`.
fn find(dir: &Path, extension: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten().map(|it| it.path());
    let (folders, files): (Vec<_>, Vec<_>) = entries.partition(|path| path.is_dir());
    let is_one = |path: &PathBuf| path.extension().is_some_and(|it| it == extension);
    let below = folders.iter().flat_map(|folder| find(folder, extension));
    files.into_iter().filter(is_one).chain(below).collect()
}

/// How a key comes in.
#[derive(Clone, Copy, Debug)]
enum KeyFrom {
    Environment,
    Argument,
    File,
}

/// Runs a command that looks for it where its owner has it, and then repeats it in every kind of error.
fn tells_the_key(dialect: Dialect, data_dir: &Path) -> ScriptedEndpoint {
    let looks = format!(
        "env; tr '\\0' '\\n' < /proc/self/environ; tr '\\0' '\\n' < /proc/$PPID/environ
        found=$(cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline '{file}' 2>/dev/null |
            tr '\\0' '\\n' | grep -aF canary+)
        echo \"$found\"; echo \"$found\" | base64; echo \"$found\" | fold -w 7
        i=0; while [ $i -lt 9000 ]; do echo \"line $i\"; i=$((i+1)); done; echo \"$found\"",
        file = data_dir.join(KEY_FILE).display()
    );
    let says = |status| Problem::new(status, "UNAVAILABLE", format!("Bearer {CANARY} is no good."));
    let words = Message::new([Item::text(&"Some words. ".repeat(20))]);
    let again = Header::is("retry-after", 0);
    let answers = [
        Answer::call("run_command", &json!({"command": looks})),
        Answer::Problem(says(503).header(again.clone())),
        Answer::Oddly(words, Oddity::ProblemAfter(3, says(503))),
        Answer::Raw { status: 500, headers: vec![again], body: CANARY.into() },
        Answer::Problem(says(401)),
    ];
    Offer::new(dialect).key(CANARY).start(Script::repeating(answers)).unwrap()
}

fn run_with_key(world: &World, endpoint: &ScriptedEndpoint, from: KeyFrom) -> Finished {
    let (_, variable) = runtime(endpoint.dialect());
    let named = format!("{variable}={CANARY}");
    let mut more = vec!["--permission-mode", "bypass"];
    if let KeyFrom::Argument = from {
        more.extend(["--env", &named]);
    }
    if let KeyFrom::File = from {
        let mut set = world.musher(&["keys", "set", &endpoint.base_url(), "--file"]);
        let mut set = set.stdin(Stdio::piped()).spawn().unwrap();
        set.stdin.take().unwrap().write_all(CANARY.as_bytes()).unwrap();
        assert!(set.wait().unwrap().success());
    }
    let mut command = command(world, endpoint, &more);
    match from {
        KeyFrom::Environment => command.env(variable, CANARY),
        _ => command.env_remove(variable),
    };
    finished(&mut command)
}

#[test]
fn no_key_is_told_by_anyone() {
    for dialect in Dialect::ALL {
        for from in [KeyFrom::Environment, KeyFrom::Argument, KeyFrom::File] {
            let world = world();
            let endpoint = tells_the_key(dialect, &world.data_dir());
            let done = run_with_key(&world, &endpoint, from);
            endpoint.check().unwrap();
            assert_eq!(endpoint.turns().len(), 5, "{dialect:?} {from:?}: {}", done.stdout);
            let ran = |event: &AgentEvent| matches!(event, AgentEvent::ToolResult(it) if it.text.contains("PATH=") && it.text.contains(MARK) && !it.is_error);
            assert!(done.events().iter().any(|it| ran(&it.event)), "{}", done.stdout);
            let told = format!("{}{}", done.stdout, done.stderr);
            assert!(!told.contains(CANARY), "{dialect:?} {from:?}: {told}");
            let asked = endpoint.turns().iter().map(|it| it.body.to_string()).collect::<String>();
            assert!(asked.contains(MARK) && !asked.contains(CANARY), "{dialect:?} {from:?}");
            // Where it is kept when a person wants it so.
            let _ = std::fs::remove_file(world.data_dir().join(KEY_FILE));
            let kept = find(&world.data_dir(), "spool");
            assert!(!kept.is_empty(), "the whole output, which was cut, is kept");
            assert!(!anywhere(&world.data_dir(), CANARY), "{dialect:?} {from:?}: it is on disk");
            // As `base64` has it when it stands at any place of a longer text.
            for part in [
                "Y2FuYXJ5KzRiMWQ5ZTc3YTAve",
                "NhbmFyeSs0YjFkOWU3N2EwL3",
                "jYW5hcnkrNGIxZDllNzdhMC94",
            ] {
                assert!(!anywhere(&world.data_dir(), part) && !asked.contains(part), "{part}");
            }
        }
    }
}

#[test]
fn a_look_at_models_sends_what_a_run_would_and_tells_none_of_it() {
    let world = World::new();
    let endpoint = Offer::new(Dialect::Chat).key(KEY).start(Script::repeating([])).unwrap();
    let (base, header) = (endpoint.base_url(), format!("X-Gateway: {CANARY}"));
    let mut doctor = world.musher(&["--json", "doctor", "--models", "--base-url", &base]);
    doctor.args(["--header", &header, "--organization", "org-abc123"]);
    let done = finished(doctor.env("OPENAI_API_KEY", KEY));
    let requests = endpoint.requests();
    assert_eq!(requests.len(), 1, "{}", done.stdout);
    assert_eq!(requests[0].header("x-gateway"), Some(CANARY));
    assert_eq!(requests[0].header("openai-organization"), Some("org-abc123"));
    assert!(done.stdout.contains("scripted-large"), "{} {}", done.stdout, done.stderr);
    assert!(!done.stdout.contains(CANARY) && !done.stderr.contains(CANARY), "{}", done.stdout);
}

/// What a command writes each time it runs.
fn times_run(world: &World) -> usize {
    let worktree = PathBuf::from(&world.runs()[0].worktree);
    std::fs::read_to_string(worktree.join("ran")).unwrap_or_default().lines().count()
}

#[test]
fn a_crash_in_the_middle_of_a_command_is_resumed_without_running_it_twice() {
    for dialect in Dialect::ALL {
        let world = world();
        let long = "echo once >> ran; setsid sleep 600 & echo begun; sleep 600";
        let script =
            Script::by(move |asked| match asked.says("whether it had an effect is unknown") {
                true => Answer::text("It was broken off; I looked, and it is as it should be."),
                false => Answer::call("run_command", &json!({"command": long})),
            });
        let endpoint = Offer::new(dialect).key(KEY).start(script).unwrap();
        let mut following =
            Following::of(command(&world, &endpoint, &["--permission-mode", "bypass"]));
        let run = following.until(|event| matches!(event, AgentEvent::ToolCall(_))).run;
        wait::until_some("the command began", || (times_run(&world) > 0).then_some(()));
        following.kill_hard();

        // With a look between, and without.
        if dialect == Dialect::ALL[0] {
            let outcome = world.runs()[0].outcome.clone();
            assert_eq!(outcome, Some(RunOutcome::Stopped { by: StoppedBy::Engine }));
            assert!(
                proof::wait_none_with_mark(&run.to_string(), world::SOON).is_empty(),
                "nothing of it is left"
            );
        }

        let (_, variable) = runtime(dialect);
        let mut resume = world.musher(&["--json", "resume", &run.to_string()]);
        let out = resume.env(variable, KEY).output().unwrap();
        assert_eq!(out.status.code(), Some(0), "{}", String::from_utf8_lossy(&out.stderr));
        endpoint.check().unwrap();
        assert_eq!(times_run(&world), 1, "{dialect:?}: no call runs twice");
    }
}

/// An agent that lives in its command is asked and answered there, by whoever answers.
#[test]
fn a_command_waits_for_the_answer_that_its_agent_needs() {
    let world = world();
    let script = Script::by(|asked| match asked.says("so it was done") {
        true => Answer::text("Done."),
        false => Answer::call("run_command", &json!({"command": "echo so it was done"})),
    });
    let endpoint = Offer::new(Dialect::Chat).key(KEY).start(script).unwrap();
    let mut following = Following::of(command(&world, &endpoint, &[]));
    let asked = following.until(|event| matches!(event, AgentEvent::PermissionRequest(_)));
    let AgentEvent::PermissionRequest(request) = &asked.event else { panic!("{asked:?}") };
    let answered = world.call(&["answer", asked.run.as_str(), &request.request, "allow"]);
    assert_eq!(answered.code, 0, "{}", answered.stderr);
    assert_eq!(following.end(), 0, "the agent was there to hear it");
}

/// The first command has the engine; the second one's agent lives in it too.
#[test]
fn a_command_stays_for_the_agents_of_others() {
    let world = world();
    let script = |millis| {
        let pause = std::time::Duration::from_millis(millis);
        Script::by(move |_| {
            Answer::Oddly(Message::new([Item::Text("So it is.".repeat(20))]), Oddity::Slowly(pause))
        })
    };
    let first = Offer::new(Dialect::Chat).key(KEY).start(script(100)).unwrap();
    let second = Offer::new(Dialect::Chat).key(KEY).start(script(400)).unwrap();
    let mut host = Following::of(command(&world, &first, &[]));
    host.until(|event| matches!(event, AgentEvent::MessageSent { .. }));
    let mut guest = Following::of(command(&world, &second, &[]));
    let outcome = guest.until(|event| matches!(event, AgentEvent::Done { .. })).event;
    assert_eq!(outcome, AgentEvent::Done { outcome: RunOutcome::Completed });
    assert_eq!((guest.end(), host.end()), (0, 0));
}

/// It is the engine's to keep it: from then on the agents that it hosts are not told it.
#[test]
fn a_key_that_is_set_beside_a_live_run_is_hidden_in_it() {
    let world = world();
    let late = "canary+late/83fd10";
    world.repo.write("key.txt", late).unwrap();
    world.repo.commit("A key").unwrap();
    let script = agentic([vec![("run_command", json!({"command": "cat key.txt"}))]], "So it is.");
    let endpoint = Offer::new(Dialect::Chat).key(KEY).start(script).unwrap();
    let mut hosting = command(&world, &endpoint, &[]);
    // No keychain of whoever runs the tests.
    hosting.env("DBUS_SESSION_BUS_ADDRESS", "unix:path=/no/such/bus");
    let mut following = Following::of(hosting);
    let asked = following.until(|event| matches!(event, AgentEvent::PermissionRequest(_)));
    let AgentEvent::PermissionRequest(request) = &asked.event else { panic!("{asked:?}") };

    let place = "http://musher-test.invalid/v1";
    let mut set = world.musher(&["keys", "set", place, "--file"]);
    let mut set = set.stdin(Stdio::piped()).spawn().unwrap();
    set.stdin.take().unwrap().write_all(late.as_bytes()).unwrap();
    assert!(set.wait().unwrap().success());
    let answered = world.call(&["answer", asked.run.as_str(), &request.request, "allow"]);
    assert_eq!(answered.code, 0, "{}", answered.stderr);
    let told = following.until(|event| matches!(event, AgentEvent::ToolResult(_))).event;
    let AgentEvent::ToolResult(result) = told else { panic!("{told:?}") };
    assert!(result.text.starts_with(MARK), "{}", result.text);
    assert_eq!(following.end(), 0);
}

/// A server waits for the end of an agent that lives in a command; whoever looks at it meanwhile
/// reaches the command's engine.
#[test]
fn a_musher_that_stays_waits_for_the_agent_in_a_command() {
    let world = world();
    let script = agentic([vec![("run_command", json!({"command": "true"}))]], "So it is.");
    let endpoint = Offer::new(Dialect::Chat).key(KEY).start(script).unwrap();
    let mut following = Following::of(command(&world, &endpoint, &[]));
    let asked = following.until(|event| matches!(event, AgentEvent::PermissionRequest(_)));
    let AgentEvent::PermissionRequest(request) = &asked.event else { panic!("{asked:?}") };

    let mut serve = world.musher(&["serve"]).stderr(Stdio::piped()).spawn().unwrap();
    let mut said = BufReader::new(serve.stderr.take().unwrap()).lines();
    let note = said.next().unwrap().unwrap();
    assert!(note.contains(asked.run.as_str()) && note.ends_with("is waited for."), "{note}");
    let answered = world.call(&["answer", asked.run.as_str(), &request.request, "allow"]);
    assert_eq!((answered.code, following.end()), (0, 0), "{}", answered.stderr);
    let mut line = String::new();
    BufReader::new(serve.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    assert!(line.starts_with("socket "), "{line}");
    let serving = rustix::process::Pid::from_child(&serve);
    rustix::process::kill_process(serving, rustix::process::Signal::TERM).unwrap();
    assert!(serve.wait().unwrap().success());
}

#[test]
fn the_end_of_the_terminal_leaves_nothing_of_an_agent_that_lives_there() {
    let world = world();
    let script =
        Script::by(|_| Answer::call("run_command", &json!({"command": "echo > ran; sleep 600"})));
    let endpoint = Offer::new(Dialect::Chat).key(KEY).start(script).unwrap();
    let mut following = Following::of(command(&world, &endpoint, &["--permission-mode", "bypass"]));
    let run = following.until(|event| matches!(event, AgentEvent::ToolCall(_))).run;
    let child = rustix::process::Pid::from_child(&following.child);
    rustix::process::kill_process(child, rustix::process::Signal::HUP).unwrap();
    assert_eq!(following.end(), 129);
    assert!(proof::wait_none_with_mark(run.as_str(), world::SOON).is_empty());
}
