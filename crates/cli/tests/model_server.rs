//! `musher` with a model server that nobody here wrote: llama.cpp's, with SmolLM2 135M. So small a model
//! is of no use: nothing hangs on what it says. Where both are, `cargo xtask test --live` says, which
//! also gets them.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
// A test starts a real server and waits for it itself.
#![allow(clippy::disallowed_methods)]

mod world;

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    process::{Child, Command, Stdio},
};

use musher_protocol::{
    AgentEvent, CostSource, EventEnvelope, RunLimit, RunOutcome, StoppedBy, TokenUsage,
};
use musher_testkit::wait;
use serde_json::Value;
use world::{Finished, Following, SOON, World};

/// How a call is written, and the number of the word that begins one, made likely.
const CALLS: [&str; 4] = [
    "--chat-template-file",
    concat!(env!("CARGO_MANIFEST_DIR"), "/tests/world/calls.jinja"),
    "--logit-bias",
    "3327+100",
];
/// What the model may say, so that it comes to an end.
const HELLO: [&str; 2] = ["--grammar", r#"root ::= "Hello" [a-zA-Z ,.!]{20,60}"#];

struct Server {
    child: Child,
    address: String,
}

impl Server {
    fn start(more: &[&str]) -> Self {
        let named = |name| std::env::var_os(name).expect("run `cargo xtask test --live`");
        let mut child = Command::new(named("MUSHER_MODEL_SERVER"))
            .arg("--model")
            .arg(named("MUSHER_MODEL"))
            .args(["--alias", "smollm2", "--offline", "--port", "0", "--temp", "0"])
            // One thread: several wait for each other where others want the machine, too.
            .args(["--threads", "1", "--parallel", "1"])
            .args(more)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let said = BufReader::new(child.stderr.take().unwrap());
        let (tell, told) = std::sync::mpsc::channel();
        // Read to its end, so that the server never waits for a reader.
        std::thread::spawn(move || {
            for line in said.lines().map_while(Result::ok) {
                if let Some((_, address)) = line.split_once("listening on http://") {
                    let _ = tell.send(address.trim().to_owned());
                }
            }
        });
        let address = told.recv_timeout(SOON).expect("it listens once the model is loaded");
        Self { child, address }
    }

    fn base_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// Whether it is busy with an answer.
    fn is_answering(&self) -> bool {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let head =
            format!("GET /slots HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n", self.address);
        stream.write_all(head.as_bytes()).unwrap();
        let mut said = String::new();
        stream.read_to_string(&mut said).unwrap();
        let slots: Value =
            serde_json::from_str(said.split_once("\r\n\r\n").unwrap().1).expect(&said);
        slots[0]["is_processing"].as_bool().expect(&said)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn command(world: &World, server: &Server, prompt: &str, more: &[&str]) -> Command {
    let (base, root) = (server.base_url(), world.repo.path().to_string_lossy().into_owned());
    let mut args = vec!["--json", "run", prompt, "--repo", &root, "--runtime", "openai"];
    args.extend(["--base-url", &base, "--model", "smollm2"]);
    if !more.contains(&"--dialect") {
        args.extend(["--dialect", "openai-chat"]);
    }
    args.extend(more);
    world.musher(&args)
}

fn run(world: &World, server: &Server, prompt: &str, more: &[&str]) -> Finished {
    let out = command(world, server, prompt, more).output().unwrap();
    Finished {
        code: out.status.code().unwrap_or(-1),
        stdout: String::from_utf8(out.stdout).unwrap(),
        stderr: String::from_utf8(out.stderr).unwrap(),
    }
}

fn outcome(events: &[EventEnvelope]) -> RunOutcome {
    match &events.last().unwrap().event {
        AgentEvent::Done { outcome } => outcome.clone(),
        other => panic!("the last event is {other:?}"),
    }
}

fn used(events: &[EventEnvelope]) -> TokenUsage {
    let usage = events.iter().rev().find_map(|it| match &it.event {
        AgentEvent::Usage { usage, .. } => Some(usage.clone()),
        _ => None,
    });
    usage.expect("an answer was counted")
}

fn pieces(events: &[EventEnvelope]) -> usize {
    events.iter().filter(|it| matches!(&it.event, AgentEvent::Text { delta: true, .. })).count()
}

#[test]
#[ignore = "needs a model server: cargo xtask test --live"]
fn it_is_found_out_about() {
    let (world, server) = (World::new(), Server::start(&["--ctx-size", "4096"]));
    let base = server.base_url();
    let asked = world.call(&["--json", "doctor", "--models", "--base-url", &base, "--round-trip"]);
    let answered: Value = serde_json::from_str(asked.stdout.lines().last().unwrap()).unwrap();
    let report = &answered["report"];
    assert_eq!(report["reachable"], true, "{report}");
    assert_eq!(report["key"], "not_needed", "{report}");
    assert_eq!(report["models"][0]["name"], "smollm2", "{report}");
    assert_eq!(report["models"][0]["context"], 4096, "as started, not as trained: {report}");
    assert_eq!(report["models"][0]["input_price"], 0, "{report}");
    assert_eq!(report["streaming"], true, "{report}");
}

#[test]
#[ignore = "needs a model server: cargo xtask test --live"]
fn its_words_come_in_pieces_and_are_counted() {
    let (world, server) = (World::new(), Server::start(&HELLO));
    let ran = run(&world, &server, "Say hello.", &[]);
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    let events = ran.events();
    assert_eq!(outcome(&events), RunOutcome::Completed);
    assert!(world::text_of(&events).starts_with("Hello"), "{}", ran.stdout);
    assert!(pieces(&events) > 5, "{}", ran.stdout);
    let used = used(&events);
    assert!(used.input_tokens + used.cache_read_input_tokens > 100, "{used:?}");
    assert!((5..=70).contains(&used.output_tokens), "{used:?}");
    assert_eq!((used.cost_microdollars, used.cost_source), (0, CostSource::Estimated));
}

#[test]
#[ignore = "needs a model server: cargo xtask test --live"]
fn its_calls_are_carried_out_and_it_is_told_what_came_of_them() {
    let server = Server::start(&CALLS);
    for dialect in ["openai-chat", "openai-responses"] {
        // To read is all that it may: what it calls for makes no sense.
        let more = ["--permission-mode", "plan", "--max-turns", "3", "--dialect", dialect];
        let ran = run(&World::new(), &server, "Look at the files.", &more);
        let events = ran.events();
        let limit = RunOutcome::LimitReached { limit: RunLimit::Turns };
        assert_eq!(outcome(&events), limit, "{dialect}: {}{}", ran.stdout, ran.stderr);
        let of = |is: fn(&AgentEvent) -> bool| events.iter().filter(|it| is(&it.event)).count();
        assert_eq!(of(|it| matches!(it, AgentEvent::ToolCall(_))), 3, "{dialect}: {}", ran.stdout);
        assert_eq!(
            of(|it| matches!(it, AgentEvent::ToolResult(_))),
            3,
            "{dialect}: {}",
            ran.stdout
        );
        let used = used(&events);
        assert!(
            used.cache_read_input_tokens > used.input_tokens / 2,
            "a request goes on: {used:?}"
        );
    }
}

#[test]
#[ignore = "needs a model server: cargo xtask test --live"]
fn a_stop_ends_its_answer_there_too() {
    let (world, server) = (World::new(), Server::start(&["--ignore-eos"]));
    let mut following = Following::of(command(&world, &server, "Count to a thousand.", &[]));
    let first = following.until(|it| matches!(it, AgentEvent::Text { .. }));
    assert!(server.is_answering());
    assert_eq!(world.call(&["stop", first.run.as_str()]).code, 0);
    let end = following.until(|it| matches!(it, AgentEvent::Done { .. }));
    let stopped = RunOutcome::Stopped { by: StoppedBy::User };
    assert_eq!(end.event, AgentEvent::Done { outcome: stopped });
    wait::until_some("the server stops answering", || (!server.is_answering()).then_some(()));
}

#[test]
#[ignore = "needs a model server: cargo xtask test --live"]
fn a_model_that_cannot_hold_the_tools_is_told_of() {
    let (world, server) =
        (World::new(), Server::start(&[&CALLS[..], &["--ctx-size", "512"]].concat()));
    let ran = run(&world, &server, "Look at the files.", &[]);
    let RunOutcome::Failed { last_lines, .. } = outcome(&ran.events()) else {
        panic!("{}{}", ran.stdout, ran.stderr)
    };
    assert!(last_lines[0].contains("longer context"), "{last_lines:?}");
}
