//! `--engine-tools` and `musher mcp` as the terminal has them, without an agent that uses them (that is
//! `live_tools`).
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod world;

use std::io::Write;
use std::process::Stdio;

use musher_protocol::AgentEvent;
use serde_json::{Value, json};
use world::World;

#[test]
fn an_agent_that_takes_no_tools_goes_on_without_and_says_so() {
    let world = World::new();
    let ran = world.run("hello", &["--engine-tools"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let warned = ran.events().into_iter().any(|envelope| match envelope.event {
        AgentEvent::Warning { code, .. } => code == "tools",
        _ => false,
    });
    assert!(warned, "{}", ran.stdout);
}

#[test]
fn the_server_says_what_it_needs() {
    let world = World::new();
    let nowhere = world.data_dir().display().to_string();
    let told = world.call(&["mcp", &nowhere]);
    assert_eq!(told.code, 2, "{}", told.stderr);
    assert!(told.stderr.contains("endpoint.json") && told.stdout.is_empty(), "{}", told.stderr);
    assert!(!world.call(&["--help"]).stdout.contains("mcp "), "an agent's, not a person's");
}

/// By hand, as any client would: a line each, nothing else on stdout, and the end of input is the end.
#[test]
fn the_server_speaks_lines_on_stdout_and_ends_with_its_input() {
    let world = World::new();
    let run_dir = world.data_dir().join("run");
    std::fs::create_dir_all(&run_dir).unwrap();
    let terms = json!({
        "worktree": world.repo.path(), "mark": "by-hand", "rules": [], "fetch": false,
        "variables": [], "keeper": env!("CARGO_BIN_EXE_musher-keeper"), "mode": "ask",
    });
    std::fs::write(run_dir.join("endpoint.json"), terms.to_string()).unwrap();
    let mut server = world.musher(&["mcp", &run_dir.display().to_string()]);
    let mut server = server.stdin(Stdio::piped()).spawn().unwrap();
    let hello = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
        "protocolVersion": "2025-06-18", "capabilities": {},
        "clientInfo": {"name": "by hand", "version": "1"}}});
    let greeted = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
    let list = json!({"jsonrpc": "2.0", "id": 2, "method": "tools/list"});
    let mut input = server.stdin.take().unwrap();
    let mut output = std::io::BufReader::new(server.stdout.take().unwrap());
    let mut answers = Vec::new();
    for said in [vec![hello], vec![greeted, list]] {
        for line in said {
            writeln!(input, "{line}").unwrap();
        }
        let mut line = String::new();
        std::io::BufRead::read_line(&mut output, &mut line).unwrap();
        answers.push(serde_json::from_str::<Value>(&line).expect(&line));
    }
    assert_eq!(answers[0]["result"]["serverInfo"]["name"], "musher");
    assert_eq!(answers[0]["result"]["protocolVersion"], "2025-06-18");
    assert_eq!(answers[1]["result"]["tools"].as_array().unwrap().len(), 7);
    drop(input);
    assert!(server.wait().unwrap().success());
}
