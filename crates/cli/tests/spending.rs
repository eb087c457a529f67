//! What a run may spend, what it did spend, and what is refused before it costs anything.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod world;

use musher_protocol::{AgentEvent, RunLimit, RunOutcome};
use musher_testkit::dialects::{Answer, Dialect, Offer, Script, ScriptedEndpoint};
use serde_json::json;
use world::{Finished, World};

/// Reads and reads.
fn never_ends() -> ScriptedEndpoint {
    let read = Answer::call("list_files", &json!({"folder": "."}));
    Offer::new(Dialect::Chat).without_key().start(Script::repeating([read])).unwrap()
}

fn run(world: &World, args: &[&str]) -> Finished {
    let root = world.repo.path().to_string_lossy().into_owned();
    world.call(&[args, &["--repo", &root]].concat())
}

/// A model of this machine.
fn asks<'a>(base: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let args = ["run", "Look.", "--runtime", "openai", "--base-url", base, "--model", "m"];
    [&args, more].concat()
}

fn nothing_made(world: &World) {
    assert_eq!(world.repo.git(["branch", "--list", "musher/*"]).unwrap(), "");
    assert_eq!(world.runs().len(), 0);
}

#[test]
fn limits_of_tool_calls_and_of_tokens_end_a_run() {
    let world = World::new();
    // An answer of the scripted model takes 2,370 tokens.
    let limits = [
        ("--max-tool-calls", "3", RunLimit::ToolCalls, 3),
        ("--max-tokens", "4000", RunLimit::Tokens, 2),
    ];
    for (option, most, limit, turns) in limits {
        let endpoint = never_ends();
        let base = endpoint.base_url();
        let ran = run(&world, &asks(&base, &["--json", option, most]));
        assert_eq!(ran.code, 3, "{option}: {}{}", ran.stdout, ran.stderr);
        let outcome = RunOutcome::LimitReached { limit };
        assert_eq!(ran.events().last().unwrap().event, AgentEvent::Done { outcome });
        assert_eq!(endpoint.turns().len(), turns, "{option}");
    }
}

#[test]
fn a_limit_that_is_none_is_refused() {
    let world = World::new();
    for option in ["--max-tool-calls", "--max-tokens", "--max-turns", "--max-seconds", "--max-cost"]
    {
        for most in ["0", "many", "-1"] {
            let limit = format!("{option}={most}");
            let refused = run(&world, &asks("http://127.0.0.1:9/v1", &[&limit]));
            assert_eq!(refused.code, 2, "{limit}: {}", refused.stderr);
            assert!(refused.stderr.contains(option), "{limit}: {}", refused.stderr);
        }
    }
    nothing_made(&world);
}

#[test]
fn a_limit_that_an_agent_cannot_be_held_to_is_told() {
    let world = World::new();
    let ran = world.run("hello", &["--max-tool-calls", "3", "--max-tokens", "5"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let told = ran.events().into_iter().find_map(|it| match it.event {
        AgentEvent::Warning { code, message } if code == "limits" => Some(message),
        _ => None,
    });
    let told = told.expect("it is told");
    assert!(told.contains("demo") && told.contains("tool calls and of tokens"), "{told}");
    assert!(told.contains("Set a limit of turns"), "{told}");
}

#[test]
fn the_end_says_what_it_took() {
    let world = World::new();
    let endpoint = Offer::new(Dialect::Chat).without_key().start([Answer::text("Done.")]).unwrap();
    let base = endpoint.base_url();
    let ran = run(&world, &asks(&base, &[]));
    assert_eq!(ran.stdout.lines().last(), Some("2.4 k tokens, no cost"), "{}", ran.stdout);

    let problem = Answer::Raw { status: 400, headers: Vec::new(), body: Vec::new() };
    let endpoint = Offer::new(Dialect::Chat).without_key().start([problem]).unwrap();
    let base = endpoint.base_url();
    let ran = run(&world, &asks(&base, &[]));
    assert!(ran.stdout.contains("failed") && !ran.stdout.contains("tokens"), "{}", ran.stdout);
}

#[test]
fn an_address_for_an_agent_that_has_none_is_refused() {
    let world = World::new();
    for more in [
        ["--base-url", "http://127.0.0.1:9/v1"],
        ["--dialect", "openai-chat"],
        ["--header", "x-a: b"],
        ["--organization", "org-1"],
        ["--account-project", "proj_1"],
        ["--effort", "low"],
        ["--max-answer-tokens", "64"],
    ] {
        for runtime in ["demo", "claude-code"] {
            let args = [&["run", "Look.", "--runtime", runtime][..], &more].concat();
            let refused = run(&world, &args);
            assert_eq!(refused.code, 2, "{args:?}: {}", refused.stderr);
            let why = format!("error: {runtime} reaches its model by itself: leave out ");
            assert!(refused.stderr.starts_with(&why), "{args:?}: {}", refused.stderr);
        }
    }
    nothing_made(&world);
}

#[test]
fn a_program_for_an_agent_that_has_none_is_refused() {
    let world = World::new();
    for more in [["--command", "/bin/true"], ["--arg", "-x"]] {
        let refused = run(&world, &asks("http://127.0.0.1:9/v1", &more));
        assert_eq!(refused.code, 2, "{more:?}: {}", refused.stderr);
        assert!(refused.stderr.contains("openai runs no program of its own"), "{}", refused.stderr);
    }
    nothing_made(&world);
}

#[test]
fn a_key_that_would_be_overheard_is_refused_before_anything_is_made() {
    let world = World::new();
    let root = world.repo.path().to_string_lossy().into_owned();
    let mut args = asks("http://models.example.com/v1", &["--repo", &root]);
    let mut command = world.musher(&args);
    let out = command.env("OPENAI_API_KEY", "canary-key").output().unwrap();
    let said = String::from_utf8(out.stderr).unwrap();
    assert_eq!(out.status.code(), Some(2), "{said}");
    assert!(said.contains("OPENAI_API_KEY") && said.contains("https://"), "{said}");
    assert!(!said.contains("canary-key"), "{said}");
    nothing_made(&world);

    // Nor by a change.
    let run = world.run("hello", &[]).events()[0].run.clone();
    args = asks("http://models.example.com/v1", &[]);
    args.splice(..2, ["resume", run.as_str()]);
    let out = world.musher(&args).env("OPENAI_API_KEY", "canary-key").output().unwrap();
    assert_eq!(out.status.code(), Some(2), "{}", String::from_utf8_lossy(&out.stderr));
    assert_eq!(world.runs().len(), 1);
}

#[test]
fn tool_servers_that_cannot_be_read_are_refused_before_anything_is_made() {
    let world = World::new();
    for (config, why) in [
        ("{\"bad", "no JSON"),
        ("{\"a\": 1}", "no list `mcpServers`"),
        ("{\"mcpServers\": {\"own\": {}}}", "neither a `command` nor a `url`"),
        ("/no/such/servers.json", "cannot be read"),
        ("servers.json", "cannot be read"),
    ] {
        let refused = run(&world, &asks("http://127.0.0.1:9/v1", &["--mcp-config", config]));
        assert_eq!(refused.code, 2, "{config}: {}", refused.stderr);
        assert!(refused.stderr.contains(why), "{config}: {}", refused.stderr);
    }
    nothing_made(&world);
}

#[test]
fn prices_that_cannot_be_read_are_refused_before_anything_is_made() {
    let world = World::new();
    std::fs::create_dir_all(world.data_dir()).unwrap();
    std::fs::write(world.data_dir().join("prices.toml"), "as_of = [\n").unwrap();
    let root = world.repo.path().to_string_lossy().into_owned();
    let args = ["run", "Look.", "--runtime", "openai", "--model", "m", "--repo", &root];
    let out = world.musher(&args).env("OPENAI_API_KEY", "canary-key").output().unwrap();
    let said = String::from_utf8(out.stderr).unwrap();
    assert_eq!(out.status.code(), Some(2), "{said}");
    assert!(said.contains("prices.toml, line 1"), "{said}");
    nothing_made(&world);
}
