//! What is allowed, denied and asked, and why; and how rules are written.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

#[path = "rules/commands.rs"]
mod commands;
#[path = "rules/corpus.rs"]
mod corpus;

use common::Place;
use musher_protocol::PermissionMode::{self, AcceptEdits, Ask, Bypass, Plan};
use musher_runtime::{ToolHost, Verdict};
use musher_tools::{
    Demand, Host, Rules,
    paths::Relative,
    rules::{Access, Script, Spot},
};
use serde_json::json;

const RULES: &str = "
# What a careful person would write.
allow run cargo test*
allow run cargo check
allow run git status
allow run git log *
allow run ls*
allow run echo *
allow run cat src/*
allow run npm run lint
allow edit src/**
allow edit *.md
allow fetch docs.rs
deny run git push*
deny run rm *
deny run cargo test --danger
deny run curl
deny read .env
deny edit src/secret
deny fetch *.evil.example
";

async fn judged(
    host: &Host,
    tool: &str,
    input: serde_json::Value,
    mode: PermissionMode,
) -> Verdict {
    host.intent(&common::call(tool, input), mode).await.unwrap().verdict
}

fn place() -> Place {
    let place = Place::new();
    place.link("../outside", "out");
    place
}

/// Tool, path, mode, and what comes of it: the beginning of the verdict's name and its reason.
#[tokio::test]
async fn files_and_pages() {
    let place = place();
    place.link("src", "inner");
    let host = Host::new(musher_tools::HostConfig { fetch: true, ..place.config(RULES) }).unwrap();
    let reading = "reading in the worktree needs no leave";
    let plan = "the mode is plan, in which nothing is changed or run";
    for (tool, what, mode, kind, why) in [
        ("read_file", "src/main.rs", Ask, "Allow", reading),
        ("read_file", "src/main.rs", Plan, "Allow", reading),
        ("read_file", ".env", Bypass, "Deny", "deny read .env"),
        ("read_file", "a/b/.env", Ask, "Deny", "deny read .env"),
        ("read_file", "a/.ENV", Ask, "Deny", "deny read .env"),
        ("read_file", ".env/x", Ask, "Deny", "deny read .env"),
        ("read_file", ".envrc", Ask, "Allow", reading),
        ("edit_file", "src/main.rs", Ask, "Allow", "allow edit src/**"),
        ("edit_file", "src/new/x.rs", Ask, "Allow", "allow edit src/**"),
        ("edit_file", "inner/x.rs", Ask, "Allow", "allow edit src/**"),
        ("edit_file", "inner/secret", Ask, "Deny", "deny edit src/secret"),
        ("edit_file", "src/main.rs", Plan, "Deny", plan),
        ("edit_file", "docs/x.md", Ask, "Allow", "allow edit *.md"),
        ("edit_file", "build.rs", Ask, "Ask", "no rule allows this edit"),
        ("edit_file", "build.rs", AcceptEdits, "Allow", "the mode is accept-edits"),
        ("edit_file", "build.rs", Bypass, "Allow", "the mode is bypass"),
        ("edit_file", "src/secret", Bypass, "Deny", "deny edit src/secret"),
        ("edit_file", "src/Secret/x", AcceptEdits, "Deny", "deny edit src/secret"),
        ("edit_file", ".env", AcceptEdits, "Allow", "the mode is accept-edits"),
        ("fetch_url", "https://docs.rs/x", Ask, "Allow", "allow fetch docs.rs"),
        ("fetch_url", "https://docs.rs.evil.example/", Bypass, "Deny", "deny fetch *.evil.example"),
        ("fetch_url", "https://example.org/", AcceptEdits, "Ask", "no rule allows it"),
        ("fetch_url", "https://example.org/", Bypass, "Allow", "the mode is bypass"),
        ("fetch_url", "https://docs.rs/x", Plan, "Deny", plan),
    ] {
        let input = match tool {
            "edit_file" => json!({"path": what, "new": "x"}),
            "fetch_url" => json!({ "url": what }),
            _ => json!({ "path": what }),
        };
        let verdict = judged(&host, tool, input, mode).await;
        let (found, reason) = match &verdict {
            Verdict::Allow { reason } => ("Allow", reason),
            Verdict::Deny { reason } => ("Deny", reason),
            Verdict::Ask { reason } => ("Ask", reason),
        };
        assert_eq!((found, reason.as_str()), (kind, why), "{tool} {what} {mode:?}");
    }
}

#[test]
fn rules_are_read_whole_or_not_at_all() {
    let rules =
        Rules::parse("# no rule\n\n allow  run   cargo test*\ndeny read .env\nallow tool x__*");
    let texts: Vec<String> = rules.unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(texts, ["allow run cargo test*", "deny read .env", "allow tool x__*"]);
    for (line, why) in [
        ("permit run x", "neither"),
        ("allow", "about none"),
        ("deny walk x", "about none"),
        ("deny read [", "cannot be used"),
        ("allow edit a{b", "cannot be used"),
        ("deny run a && b", "one rule for each part: `deny run a`, `deny run b`"),
        ("allow run a; b", "one rule for each part: `allow run a`, `allow run b`"),
        ("deny fetch http://evil.com/x", "the host alone: `deny fetch evil.com`"),
        ("allow fetch docs.rs:443", "the host alone: `allow fetch docs.rs`"),
        ("allow fetch *docs.rs", "the host alone"),
    ] {
        let error = Rules::parse(&format!("allow run x\n{line}")).unwrap_err().to_string();
        assert!(error.contains(why) && error.contains(line), "{error}");
    }
}

#[test]
fn a_verdict_says_which_rule_is_the_projects() {
    let project = Rules::parse("allow run git status\ndeny read .env").unwrap();
    let own = Rules::parse("deny run git *\nallow run cargo test*").unwrap();
    let rules = project.clone().of_project_and(own);
    let run = |rules: &Rules, text: &str| {
        rules.judge(&Demand::Run(Script::look(text, |_| Err(String::new()))), Ask)
    };
    let reason = "the project's rule `allow run git status`".to_owned();
    let alone = project.of_project_and(Rules::default());
    assert_eq!(run(&alone, "git status"), Verdict::Allow { reason });
    // Whoever wrote it: what denies wins.
    let reason = "deny run git *".to_owned();
    assert_eq!(run(&rules, "git status"), Verdict::Deny { reason });
    let reason = "allow run cargo test*".to_owned();
    assert_eq!(run(&rules, "cargo test"), Verdict::Allow { reason });
    let env = Relative::root().join(".env");
    let spot = Spot { path: env.clone(), place: env };
    let reason = "the project's rule `deny read .env`".to_owned();
    assert_eq!(rules.judge(&Demand::Path(Access::Read, spot), Bypass), Verdict::Deny { reason });
}

#[test]
fn every_rule_is_a_sentence() {
    for (rule, sentence) in [
        ("allow run git status", "`git status` may run unasked."),
        ("deny run", "No command may run."),
        ("deny run rm", "No command that begins with `rm` may run."),
        ("deny read .env", "`.env` may never be read."),
        ("allow edit src/**", "`src/**` may be changed unasked."),
        ("allow fetch docs.rs", "Pages of `docs.rs` may be fetched unasked."),
        ("deny tool github__*", "The tool `github__*` may never be used."),
    ] {
        assert_eq!(rule.parse::<musher_tools::Rule>().unwrap().sentence(), sentence);
    }
}

#[test]
fn tools_of_servers_are_judged_by_name() {
    let rules = Rules::parse("allow tool docs__*\ndeny tool *__delete").unwrap();
    let judge = |name: &str, mode| rules.judge(&Demand::Tool(name.to_owned()), mode);
    assert!(matches!(judge("docs__find", Ask), Verdict::Allow { .. }));
    assert!(matches!(judge("docs__delete", Bypass), Verdict::Deny { .. }));
    assert!(matches!(judge("other__find", AcceptEdits), Verdict::Ask { .. }));
    assert!(matches!(judge("docs__find", Plan), Verdict::Deny { .. }));
}
