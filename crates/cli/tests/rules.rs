//! A project's rules, and what a person wishes of an endpoint, in the terminal: against scripted servers
//! of each dialect.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod world;

use std::path::PathBuf;

use musher_protocol::{AgentEvent, ProjectRule, ToolVerdict};
use musher_testkit::dialects::{Answer, Dialect, Offer, Script, ScriptedEndpoint};
use serde_json::json;
use world::{Finished, World};

const KEY: &str = "sk-4b1d9e77a0";
const CANARY: &str = "canary+header/88a1c0e2";

/// Runs one command in each turn.
fn runs(dialect: Dialect, command: &str) -> ScriptedEndpoint {
    let call = Answer::call("run_command", &json!({"command": command}));
    let script = Script::following([call, Answer::text("That is all.")]);
    Offer::new(dialect).key(KEY).start(script).unwrap()
}

fn run(world: &World, endpoint: &ScriptedEndpoint, more: &[&str]) -> Finished {
    let (base, root) = (endpoint.base_url(), world.repo.path().to_string_lossy().into_owned());
    let gemini = endpoint.dialect() == Dialect::Gemini;
    let (name, variable) =
        if gemini { ("gemini", "GEMINI_API_KEY") } else { ("openai", "OPENAI_API_KEY") };
    let mut args = vec!["--json", "run", "Do it.", "--repo", &root, "--runtime", name];
    args.extend(["--base-url", &base, "--dialect", endpoint.dialect().name()]);
    args.extend(["--model", "scripted-large", "--answer", "deny"]);
    args.extend(more);
    of(world.musher(&args).env(variable, KEY))
}

fn of(command: &mut std::process::Command) -> Finished {
    let out = command.output().unwrap();
    Finished {
        code: out.status.code().unwrap_or(-1),
        stdout: String::from_utf8(out.stdout).unwrap(),
        stderr: String::from_utf8(out.stderr).unwrap(),
    }
}

fn rules(world: &World, words: &[&str]) -> Finished {
    let root = world.repo.path().to_string_lossy().into_owned();
    let mut args = vec!["--json", "rules"];
    args.extend(words);
    args.extend(["--dir", &root]);
    world.call(&args)
}

fn listed(done: &Finished) -> Vec<ProjectRule> {
    assert_eq!(done.code, 0, "{}", done.stderr);
    done.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn decision(done: &Finished) -> (ToolVerdict, String) {
    assert_eq!(done.code, 0, "{} {}", done.stdout, done.stderr);
    let found = done.events().into_iter().find_map(|it| match it.event {
        AgentEvent::ToolDecision(decision) => Some((decision.verdict, decision.reason)),
        _ => None,
    });
    found.expect("the call was judged")
}

/// Whether the command of the newest run ran.
fn ran(world: &World) -> bool {
    PathBuf::from(&world.runs()[0].worktree).join("ran").exists()
}

#[test]
fn what_a_project_allows_or_denies_holds_in_each_of_its_runs() {
    for dialect in Dialect::ALL {
        let (world, endpoint) = (World::new(), runs(dialect, "touch ran"));
        let done = run(&world, &endpoint, &[]);
        assert_eq!(decision(&done).0, ToolVerdict::Asked, "{dialect:?}: there is no rule yet");
        assert!(!ran(&world));

        assert_eq!(listed(&rules(&world, &["add", "allow  run touch *"])).len(), 1);
        for _ in 0..2 {
            let (verdict, why) = decision(&run(&world, &endpoint, &[]));
            assert_eq!(verdict, ToolVerdict::Allowed, "{why}");
            assert_eq!(why, "the project's rule `allow run touch *`");
            assert!(ran(&world));
        }

        let both = listed(&rules(&world, &["add", "deny run touch ran"]));
        let texts: Vec<_> = both.iter().map(|it| it.rule.as_str()).collect();
        assert_eq!(texts, ["allow run touch *", "deny run touch ran"]);
        // Deny wins, over the project's other rule, the run's own and every mode.
        for more in [&[][..], &["--allow", "run touch *"], &["--permission-mode", "bypass"]] {
            let (verdict, why) = decision(&run(&world, &endpoint, more));
            assert_eq!((verdict, ran(&world)), (ToolVerdict::Denied, false), "{more:?}: {why}");
            assert_eq!(why, "the project's rule `deny run touch ran`");
        }

        let left = listed(&rules(&world, &["remove", "deny run touch ran"]));
        assert_eq!(left[0].sentence, "`touch *` may run unasked.");
        assert_eq!(decision(&run(&world, &endpoint, &[])).0, ToolVerdict::Allowed);
        endpoint.check().unwrap();
    }
}

/// A variable that is called like a key reaches no command: whoever gave it hears so.
#[test]
fn a_variable_that_commands_do_not_get_is_told_at_the_start() {
    let world = World::new();
    let endpoint = runs(Dialect::Chat, "true");
    let told = run(&world, &endpoint, &["--env", "STORY_API_KEY=abcdefghij", "--env", "PLAIN=x"]);
    let notes = told.stderr.lines().filter(|line| line.contains("STORY_API_KEY")).count();
    assert!(notes == 1 && !told.stderr.contains("PLAIN"), "{}", told.stderr);
    assert!(!told.stderr.contains("abcdefghij"), "{}", told.stderr);
    let quiet = run(&world, &endpoint, &["--env", "PLAIN=x", "--env", "GEMINI_API_KEY=abcdefghij"]);
    assert!(!quiet.stderr.contains("do not get"), "{}", quiet.stderr);
}

#[test]
fn what_is_no_rule_is_refused_with_one_sentence() {
    let world = World::new();
    for (line, why) in [
        ("permit run x", "neither `allow` nor `deny`"),
        ("deny walk x", "none of read, edit, run, fetch and tool"),
        ("deny read [", "cannot be used"),
        ("allow run a\nallow run b", "one short line"),
        ("  ", "The rule is empty"),
    ] {
        let done = rules(&world, &["add", line]);
        assert_eq!(done.code, 2, "{line:?}: {}", done.stderr);
        assert!(done.stderr.contains(why), "{line:?}: {}", done.stderr);
    }
    assert!(listed(&rules(&world, &["list"])).is_empty());
    let done = rules(&world, &["remove", "allow run x"]);
    assert!(done.code == 1 && done.stderr.contains("no rule `allow run x`"), "{}", done.stderr);
}

#[test]
fn a_rule_that_claude_code_cannot_be_told_says_so() {
    let world = World::new();
    listed(&rules(&world, &["add", "deny fetch *.example.org"]));
    let all = listed(&rules(&world, &["add", "allow run git status"]));
    assert!(all[0].notes[0].starts_with("Claude Code cannot be told"), "{all:?}");
    assert!(all[1].notes.is_empty(), "{all:?}");
}

/// Writes its arguments down and ends.
const CLAUDE: &str = "#!/bin/sh\n[ \"$1\" = --version ] && { echo '2.1.330 (Claude Code)'; exit; }\n\
                      printf '%s\\n' \"$@\" > \"$SAID\"\n";

#[test]
fn claude_code_is_told_the_projects_rules() {
    let world = World::new();
    for rule in ["allow run git status", "deny read .env", "deny fetch *.example.org"] {
        listed(&rules(&world, &["add", rule]));
    }
    let dir = tempfile::tempdir().unwrap();
    let (program, said) = (dir.path().join("claude"), dir.path().join("said"));
    std::fs::write(&program, CLAUDE).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&program, mode).unwrap();
    let root = world.repo.path().to_string_lossy().into_owned();
    let (program, variable) =
        (program.to_string_lossy().into_owned(), format!("SAID={}", said.display()));
    let args = ["--json", "run", "Do it.", "--repo", &root, "--command", &program];
    let done = world.call(&[&args[..], &["--env", &variable, "--allow", "Bash(ls)"]].concat());
    let said = std::fs::read_to_string(said).unwrap();
    assert!(said.contains("--allowedTools\nBash(git status)\nBash(ls)\n"), "{said}");
    assert!(said.contains("--disallowedTools\nRead(.env)\n"), "{said}");
    let warned = done.events().into_iter().any(|it| {
        matches!(it.event, AgentEvent::Warning { code, message }
            if code == "rules" && message.contains("deny fetch *.example.org"))
    });
    assert!(warned, "{}", done.stdout);
}

/// Whether a file under the data directory holds this text.
fn on_disk(world: &World, text: &str) -> bool {
    let mut grep = std::process::Command::new("grep");
    let found = grep.args(["-rqaF", "--", text]).arg(world.data_dir()).status().unwrap();
    found.code() == Some(0)
}

#[test]
fn headers_effort_and_limit_of_an_answer_are_sent_and_no_value_of_a_header_is_kept() {
    for dialect in Dialect::ALL {
        let (world, endpoint) = (World::new(), runs(dialect, "env"));
        let header = format!("X-Gateway-Token: {CANARY}");
        let more = ["--header", &header, "--effort", "low", "--max-answer-tokens", "2048"];
        let done = run(&world, &endpoint, &[&more[..], &["--permission-mode", "bypass"]].concat());
        assert_eq!(done.code, 0, "{} {}", done.stdout, done.stderr);
        endpoint.check().unwrap();
        for turn in endpoint.turns() {
            assert_eq!(turn.header("x-gateway-token"), Some(CANARY), "{dialect:?}");
            let body = turn.body.to_string().to_lowercase();
            assert!(body.contains("\"low\"") && body.contains("2048"), "{body}");
        }
        assert!(!format!("{}{}", done.stdout, done.stderr).contains(CANARY));
        assert!(!on_disk(&world, CANARY), "{dialect:?}: it is on disk");

        // Another engine does not know the value, and begins nothing without it.
        let id = world.runs()[0].id.to_string();
        let key = if dialect == Dialect::Gemini { "GEMINI_API_KEY" } else { "OPENAI_API_KEY" };
        let refused = of(world.musher(&["resume", &id, "More."]).env(key, KEY));
        assert_ne!(refused.code, 0);
        assert!(refused.stderr.contains("--header 'X-Gateway-Token: ...'"), "{}", refused.stderr);
        let args = ["--json", "resume", &id, "More.", "--header", &header];
        let done = of(world.musher(&args).env(key, KEY));
        assert_eq!(done.code, 0, "{}", done.stderr);
        assert_eq!(endpoint.turns().last().unwrap().header("x-gateway-token"), Some(CANARY));
        assert!(!on_disk(&world, CANARY), "{dialect:?}: it is on disk");
    }
}

#[test]
fn wishes_that_make_no_sense_are_refused_before_anything_is_begun() {
    let world = World::new();
    let endpoint = runs(Dialect::Responses, "true");
    let gemini = runs(Dialect::Gemini, "true");
    for (endpoint, more, why) in [
        (&endpoint, ["--header", "Authorization: x"], "`musher keys`"),
        (&endpoint, ["--header", "x-api-key: x"], "`musher keys`"),
        (&endpoint, ["--header", "Content-Type: x"], "`musher keys`"),
        (&endpoint, ["--header", "x-a:"], "one line"),
        (&endpoint, ["--header", "nothing"], "Name: value"),
        (&endpoint, ["--organization", "my org"], "org-abc123"),
        (&endpoint, ["--max-answer-tokens", "3"], "16 to"),
        (&endpoint, ["--effort", "heroic"], "possible values"),
        (&gemini, ["--organization", "org-abc"], "leave it out"),
    ] {
        let done = run(&world, endpoint, &more);
        assert_eq!(done.code, 2, "{more:?}: {}", done.stderr);
        assert!(done.stderr.contains(why), "{more:?}: {}", done.stderr);
    }
    let root = world.repo.path().to_string_lossy().into_owned();
    let done = world.run("hello", &["--effort", "low"]);
    assert!(done.code == 2 && done.stderr.contains("runtime openai or gemini"), "{}", done.stderr);
    assert!(world.runs().is_empty(), "nothing was begun in {root}");
    assert!(endpoint.requests().is_empty() && gemini.requests().is_empty());
}
