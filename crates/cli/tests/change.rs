//! A story that changes its model, its dialect or its agent half way, against scripted servers that hold
//! each request to the rules of its dialect.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod world;

use musher_protocol::{AgentEvent, RunId};
use musher_testkit::dialects::{
    Answer, Dialect, Item, Offer, RecordedRequest, Script, ScriptedEndpoint,
};
use serde_json::json;
use world::{Finished, World, nothing_left, text_of};

/// Thinks, reads a file, and then says so.
fn reads(dialect: Dialect, says: &'static str) -> ScriptedEndpoint {
    let read = Item::call("read_file", &json!({"path": "note.txt"}));
    let answers = [
        Answer::says([Item::think("hidden thoughts"), read]),
        Answer::says([Item::think("and more of them"), Item::text(says)]),
    ];
    Offer::new(dialect).key(key(dialect)).start(Script::following(answers)).unwrap()
}

/// Each provider has its own.
fn key(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Gemini => "canary-gemini-4b1d9e",
        _ => "canary-openai-9e77a0",
    }
}

fn world() -> World {
    let world = World::new();
    world.repo.write("note.txt", "the note of this repository\n").unwrap();
    world.repo.commit("A note").unwrap();
    world
}

/// With the keys of both in the environment.
fn call(world: &World, args: &[&str]) -> Finished {
    let mut command = world.musher(args);
    command.env("OPENAI_API_KEY", key(Dialect::Chat)).env("GEMINI_API_KEY", key(Dialect::Gemini));
    let out = command.output().unwrap();
    Finished {
        code: out.status.code().unwrap_or(-1),
        stdout: String::from_utf8(out.stdout).unwrap(),
        stderr: String::from_utf8(out.stderr).unwrap(),
    }
}

fn start(world: &World, more: &[&str]) -> RunId {
    let root = world.repo.path().to_string_lossy().into_owned();
    let args = [&["--json", "run", "Read the note.", "--repo", &root], more].concat();
    let ran = call(world, &args);
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    ran.events()[0].run.clone()
}

/// Goes on, and gives the warnings.
fn go_on(world: &World, run: &RunId, prompt: &str, more: &[&str]) -> (Finished, Vec<String>) {
    let args = [&["--json", "resume", run.as_str(), prompt], more].concat();
    let ran = call(world, &args);
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    let warnings = ran.events().into_iter().filter_map(|it| match it.event {
        AgentEvent::Warning { message, .. } => Some(message),
        _ => None,
    });
    let warnings = warnings.collect();
    (ran, warnings)
}

fn at<'a>(runtime: &'a str, base: &'a str, dialect: Dialect) -> [&'a str; 8] {
    let (base_url, dialect) = ("--base-url", dialect.name());
    ["--runtime", runtime, base_url, base, "--dialect", dialect, "--model", "scripted-large"]
}

fn says(request: &RecordedRequest, words: &str) -> bool {
    request.body.to_string().contains(words)
}

#[test]
fn a_story_goes_from_openai_to_gemini_and_back() {
    let world = world();
    let openai = reads(Dialect::Responses, "OpenAI has read it.");
    let gemini = reads(Dialect::Gemini, "Gemini has read it, too.");
    let (there, elsewhere) = (openai.base_url(), gemini.base_url());
    let own = ["--header", "x-own: canary-header", "--organization", "org-canary"];
    let run = start(&world, &[&at("openai", &there, Dialect::Responses)[..], &own].concat());

    let more = at("gemini", &elsewhere, Dialect::Gemini);
    let (_, warned) = go_on(&world, &run, "Once more.", &more);
    assert_eq!(warned.len(), 2, "{warned:?}");
    for words in [" with Gemini (scripted-large at ", " was OpenAI (", "its headers, its account"] {
        assert!(warned[0].contains(words), "{warned:?}");
    }
    assert!(warned[1].contains("hidden thoughts cannot be taken over"), "{warned:?}");
    let first = &gemini.turns()[0];
    for words in ["Read the note.", "the note of this", "OpenAI has read it.", "Once more."] {
        assert!(says(first, words), "{words}: {}", first.body);
    }
    let sent = format!("{:?}", gemini.requests());
    for foreign in ["canary-openai", "canary-header", "org-canary", "encrypted_content"] {
        assert!(!sent.contains(foreign), "{foreign}: {sent}");
    }

    let (_, warned) = go_on(&world, &run, "And back.", &at("openai", &there, Dialect::Responses));
    assert!(warned[1].contains("hidden thoughts cannot be taken over"), "{warned:?}");
    let last = openai.turns().remove(2);
    for words in ["Gemini has read it, too.", "OpenAI has read it.", "And back."] {
        assert!(says(&last, words), "{words}: {}", last.body);
    }
    assert!(!says(&last, "thoughtSignature"), "{}", last.body);
    assert_eq!(last.header("x-own"), None);
    openai.check().unwrap();
    gemini.check().unwrap();

    let runtimes: Vec<_> = world.runs().into_iter().map(|it| it.runtime).collect();
    assert_eq!(runtimes, ["openai", "gemini", "openai"]);
    // What was chosen last stays so.
    let (_, warned) = go_on(&world, &run, "Still there?", &[]);
    assert!(warned.iter().all(|it| !it.contains("goes on with")), "{warned:?}");
    openai.check().unwrap();
}

#[test]
fn a_story_goes_from_one_dialect_to_the_other() {
    let world = world();
    let newer = reads(Dialect::Responses, "Read in one way.");
    let older = reads(Dialect::Chat, "Read in the other.");
    let run = start(&world, &at("openai", &newer.base_url(), Dialect::Responses));
    let (_, warned) = go_on(&world, &run, "Once more.", &["--base-url", &older.base_url()]);
    assert!(warned[0].contains(&older.base_url()), "{warned:?}");
    let key = "The key of OPENAI_API_KEY in Musher's environment goes there.";
    assert!(warned[0].contains(key), "{warned:?}");
    assert!(warned[1].contains("cannot be taken over"), "{warned:?}");
    let first = &older.turns()[0];
    assert!(says(first, "scripted-large") && says(first, "Read in one way."), "{}", first.body);
    newer.check().unwrap();
    older.check().unwrap();
}

/// A local server knows none of the provider's models.
#[test]
fn a_run_that_names_no_model_has_the_one_of_its_server() {
    let world = world();
    let offer = |models: &[&str]| {
        let says = Script::following([Answer::text("Read.")]);
        Offer::new(Dialect::Chat).key(key(Dialect::Chat)).models(models).start(says).unwrap()
    };
    let (one, many) = (offer(&["small-one"]), offer(&["first", "second"]));
    let root = world.repo.path().to_string_lossy().into_owned();
    let args = ["--json", "run", "Read the note.", "--repo", &root, "--runtime", "openai"];
    let refused = call(&world, &[&args[..], &["--base-url", &many.base_url()]].concat());
    assert_ne!(refused.code, 0);
    let told = format!("{}{}", refused.stdout, refused.stderr);
    assert!(told.contains("`--model`): first, second"), "{told}");
    assert!(world.runs().is_empty() && many.turns().is_empty());

    let run = start(&world, &["--runtime", "openai", "--base-url", &one.base_url()]);
    assert!(says(&one.turns()[0], "small-one"), "{}", one.turns()[0].body);
    let shown = world.runs().into_iter().find(|it| it.id == run).unwrap();
    assert_eq!(shown.model.as_deref(), Some("small-one"));
    one.check().unwrap();
}

#[test]
fn a_story_of_the_demo_goes_on_with_a_model_and_back() {
    let world = world();
    let ran = world.run("edit", &["--answer", "allow", "--env", "OPENAI_API_KEY=canary-env"]);
    let (run, said) = (ran.events()[0].run.clone(), text_of(&ran.events()));
    let said = said.lines().next().expect("it said something").to_owned();
    let model = reads(Dialect::Chat, "A model has read it.");
    let (_, warned) =
        go_on(&world, &run, "Read the note.", &at("openai", &model.base_url(), Dialect::Chat));
    assert!(warned[0].contains("its arguments") && warned[0].contains("its key"), "{warned:?}");
    let first = &model.turns()[0];
    assert!(says(first, &said) && says(first, "Read the note."), "{said}: {}", first.body);
    model.check().unwrap();

    let demo = ["--runtime", "demo", "--env", "MUSHER_DEMO_SPEED=fast"];
    let (ran, warned) = go_on(&world, &run, "And you?", &demo);
    assert!(warned[0].contains("told in short"), "{warned:?}");
    let runs = world.runs();
    assert_eq!((runs[0].runtime.as_str(), runs[0].demo), ("demo", true));
    assert_ne!(runs[0].session_id, runs[2].session_id, "a session of its own");
    nothing_left(&ran.events()[0].run);
}

#[test]
fn what_cannot_be_gone_on_with_is_refused_and_nothing_is_begun() {
    let world = world();
    let run = world.run("hello", &[]).events()[0].run.clone();
    for (more, code, words) in [
        (&["--runtime", "nope"][..], 1, "no runtime called nope"),
        (&["--base-url", "http://127.0.0.1:9/v1"], 2, "reaches its model by itself"),
        (&["--dialect", "openai-chat"], 2, "reaches its model by itself"),
        (&["--runtime", "openai", "--base-url", "ftp://x"], 2, "no address of a model server"),
        (&["--runtime", "openai", "--dialect", "french"], 2, "no dialect french"),
        (&["--runtime", "openai", "--dialect", "gemini"], 2, "itself does not speak gemini"),
        (&["--runtime", "gemini", "--dialect", "openai-chat"], 2, "itself does not speak"),
        (&["--runtime", "gemini", "--organization", "o"], 2, "Gemini knows no organization"),
    ] {
        let refused = call(&world, &[&["resume", run.as_str()], more].concat());
        assert_eq!(refused.code, code, "{more:?}: {}", refused.stderr);
        assert!(refused.stderr.contains(words), "{more:?}: {}", refused.stderr);
    }
    assert_eq!(world.runs().len(), 1);
}
