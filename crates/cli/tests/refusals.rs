//! What is wrong is said before anything is made, in one sentence with a next step.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod world;

use world::{Finished, World};

fn refused(done: &Finished, code: i32, why: &str) {
    assert_eq!(done.code, code, "{}{}", done.stdout, done.stderr);
    assert!(done.stderr.contains(why), "{why}: {}", done.stderr);
    assert!(done.stderr.contains("hint: "), "no next step: {}", done.stderr);
}

/// A name of a file is looked for in the commit that the worktree is to begin at.
#[test]
fn tool_servers_are_looked_at_before_a_worktree_is_made_of_a_base() {
    let world = World::new();
    let given = |list: &str| {
        world.run("hello", &["--base", "main", "--mcp-config", list, "--answer", "allow"])
    };
    world.repo.git(["branch", "-M", "main"]).unwrap();
    for (file, text) in [("bad.json", "nothing"), ("good.json", r#"{"mcpServers": {}}"#)] {
        std::fs::write(world.repo.path().join(file), text).unwrap();
        world.repo.git(["add", file]).unwrap();
    }
    world.repo.git(["commit", "-qm", "lists of tool servers"]).unwrap();
    std::fs::write(world.repo.path().join("late.json"), r#"{"mcpServers": {}}"#).unwrap();
    for (list, why) in [
        ("/no/such.json", "cannot be read"),
        ("{bad", "it is no JSON"),
        ("nowhere.json", "no file nowhere.json at main"),
        ("late.json", "no file late.json at main"),
        ("bad.json", "bad.json at main is no JSON"),
    ] {
        refused(&given(list), 2, why);
    }
    assert!(world.runs().is_empty());
    let ran = given("./good.json");
    assert_eq!(ran.code, 0, "{}", ran.stderr);
}

#[test]
fn what_is_empty_is_no_value() {
    let world = World::new();
    refused(&world.run("hello", &["--mcp-config", "{"]), 2, "no JSON");
    let repo = world.repo.path().to_string_lossy().into_owned();
    let empty = ["run", " ", "--repo", &repo, "--runtime", "demo"];
    refused(&world.call(&empty), 2, "the message is empty");
    refused(&world.run("hello", &["--agent", ""]), 2, "The agent's name is empty");
    refused(&world.call(&["keys", "set", "openai"]), 2, "No key came on standard input");
    assert_eq!(world.call(&["serve", "--page", "x"]).code, 2);
}

/// The next step is one that helps.
#[test]
fn a_removal_that_force_does_not_change_is_not_told_to_use_it() {
    let world = World::new();
    let repo = world.repo.path().to_string_lossy().into_owned();
    let done = world.call(&["remove", &repo]);
    refused(&done, 1, "musher worktrees");
    assert!(!done.stderr.contains("--force"), "{}", done.stderr);
}

/// The variable is no argument: who gives none is helped.
#[test]
fn without_arguments_there_is_help() {
    let world = World::new();
    let helped = world.call(&[]);
    assert!(helped.stderr.contains("Usage: musher [OPTIONS] <COMMAND>"), "{}", helped.stderr);
    assert!(helped.stderr.contains("worktrees  "), "{}", helped.stderr);
}
