//! `musher keys` and `musher doctor --models`.
// Elsewhere the keychain of whoever runs the tests would be written to.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
// A test starts real programs and waits for them itself.
#![allow(clippy::disallowed_methods)]

mod world;

use std::{io::Write, process::Stdio};

use musher_testkit::dialects::{Answer, Dialect, Item, Offer, Script, ScriptedEndpoint};
use serde_json::{Value, json};
use world::{Finished, World};

const KEY: &str = "sk-canary-1f88c0a3de";

/// No keychain of whoever runs the tests, and no keys of theirs.
fn call(world: &World, args: &[&str], env: &[(&str, &str)], said: &str) -> Finished {
    let mut command = world.musher(args);
    for name in ["OPENAI_API_KEY", "GEMINI_API_KEY", "GOOGLE_API_KEY"] {
        command.env_remove(name);
    }
    command.env("DBUS_SESSION_BUS_ADDRESS", "unix:path=/no/such/bus");
    command.envs(env.iter().copied()).stdin(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // Not every command reads it.
    let _ = child.stdin.take().unwrap().write_all(said.as_bytes());
    let out = child.wait_with_output().unwrap();
    let done = Finished {
        code: out.status.code().unwrap_or(-1),
        stdout: String::from_utf8(out.stdout).unwrap(),
        stderr: String::from_utf8(out.stderr).unwrap(),
    };
    assert!(!done.stdout.contains(KEY) && !done.stderr.contains(KEY), "{args:?} shows the key");
    done
}

fn ready(dialect: Dialect) -> ScriptedEndpoint {
    let script = Script::by(|_| {
        Answer::says([Item::text("Hello."), Item::call("report", &json!({"word": "ready"}))])
    });
    Offer::new(dialect).key(KEY).start(script).unwrap()
}

#[test]
fn a_key_is_kept_listed_and_forgotten_and_never_shown() {
    let world = World::new();
    let none = call(&world, &["keys", "list"], &[], "");
    assert_eq!(none.code, 0, "{}", none.stderr);
    assert!(none.stdout.contains("musher keys set"), "{}", none.stdout);

    let set = call(&world, &["keys", "set", "gemini", "--file"], &[], KEY);
    assert_eq!(set.code, 0, "{}", set.stderr);
    let listed = call(&world, &["keys", "list"], &[], "");
    assert!(listed.stdout.starts_with("gemini  in "), "{}", listed.stdout);
    let listed = call(&world, &["--json", "keys", "list"], &[], "");
    let line: Value = serde_json::from_str(listed.stdout.trim()).unwrap();
    assert_eq!(line["place"], "gemini");

    let doctor = call(&world, &["doctor"], &[], "");
    assert!(doctor.stdout.contains("Gemini has a key."), "{}", doctor.stdout);
    assert!(doctor.stdout.contains("OpenAI has no key."), "{}", doctor.stdout);
    call(&world, &["keys", "remove", "gemini"], &[], "");
    let doctor = call(&world, &["doctor"], &[], "");
    assert!(doctor.stdout.contains("Gemini has no key."), "{}", doctor.stdout);
}

/// Each is one failed check, whether or not the rest can be looked at.
#[test]
fn a_broken_file_of_the_user_fails_the_doctor() {
    let world = World::new();
    assert_eq!(call(&world, &["doctor"], &[], "").code, 0);
    for (file, text) in [("keys.json", format!("{{\"openai\": {KEY}")), ("prices.toml", "x".into())]
    {
        let place = world.data_dir().join(file);
        std::fs::write(&place, text).unwrap();
        let doctor = call(&world, &["doctor"], &[], "");
        assert_eq!(doctor.code, 1, "{file}: {}", doctor.stdout);
        let bad: Vec<&str> = doctor.stdout.lines().filter(|it| it.starts_with("BAD")).collect();
        assert!(bad.len() == 1 && bad[0].contains(&*place.to_string_lossy()), "{bad:?}");
        assert!(doctor.stdout.contains("remove it"), "{}", doctor.stdout);
        std::fs::remove_file(&place).unwrap();
    }
}

#[test]
fn the_doctor_asks_an_address_and_makes_a_round_trip_only_when_told() {
    for dialect in Dialect::ALL {
        let (world, endpoint) = (World::new(), ready(dialect));
        let base = endpoint.base_url();
        let set = call(&world, &["keys", "set", &format!("{base}/"), "--file"], &[], KEY);
        assert_eq!(set.code, 0, "{}", set.stderr);
        let args = ["doctor", "--models", "--base-url", &base, "--dialect", dialect.name()];
        let looked = call(&world, &args, &[], "");
        assert!(looked.stdout.contains("takes the key; it lists 2 models."), "{}", looked.stdout);
        assert!(endpoint.turns().is_empty(), "{dialect:?}: a turn that nobody asked for");

        let json = [&["--json"][..], &["doctor", "--round-trip"], &args[2..]].concat();
        let tried = call(&world, &json, &[], "");
        let last: Value = serde_json::from_str(tried.stdout.lines().last().unwrap()).unwrap();
        assert_eq!(last["report"]["tool_calls"], true, "{last}");
        assert_eq!(last["report"]["streaming"], true, "{last}");
        endpoint.check().unwrap();
    }
}

/// Those with a key, and those that a run had; without being named.
#[test]
fn the_doctor_asks_each_address_that_is_known() {
    let (world, kept) = (World::new(), ready(Dialect::Chat));
    let script = Script::by(|_| Answer::says([Item::text("Hello.")]));
    let worked = Offer::new(Dialect::Gemini).key(KEY).start(script).unwrap();
    let none = [("OPENAI_API_KEY", ""), ("GEMINI_API_KEY", "")];
    call(&world, &["keys", "set", &kept.base_url(), "--file"], &[], KEY);
    call(&world, &["keys", "set", &worked.base_url(), "--file"], &[], KEY);
    let (root, base) = (world.repo.path().to_string_lossy().into_owned(), worked.base_url());
    let args = ["run", "go", "--repo", &root, "--runtime", "gemini", "--base-url", &base];
    let run = call(&world, &[&args[..], &["--model", "scripted-large"]].concat(), &[], "");
    assert_eq!(run.code, 0, "{} {}", run.stdout, run.stderr);
    let looked = call(&world, &["doctor", "--models"], &none, "").stdout;
    for endpoint in [kept, worked] {
        let (base, end) = (endpoint.base_url(), "takes the key; it lists 2 models.");
        let lines: Vec<&str> = looked.lines().filter(|line| line.contains(&base)).collect();
        assert!(lines.len() == 1 && lines[0].contains(end), "{base}: {looked}");
        endpoint.check().unwrap();
    }
}

#[test]
fn a_key_that_opens_nothing_fails_the_doctor_once_models_are_asked() {
    let world = World::new();
    let endpoint = ready(Dialect::Chat);
    let base = endpoint.base_url();
    let wrong = [("OPENAI_API_KEY", "sk-wrong-0000000000")];
    let looked = call(&world, &["doctor", "--models", "--base-url", &base], &wrong, "");
    assert_eq!(looked.code, 1, "{}", looked.stdout);
    assert!(looked.stdout.contains("refuses the key"), "{}", looked.stdout);
}

/// All that would leave the machine goes through this proxy.
#[test]
fn nothing_leaves_the_machine_unasked() {
    let world = World::new();
    let proxy = ready(Dialect::Chat);
    let url = proxy.url();
    let env = [
        ("OPENAI_API_KEY", KEY),
        ("HTTPS_PROXY", url.as_str()),
        ("HTTP_PROXY", url.as_str()),
        ("ALL_PROXY", url.as_str()),
        ("NO_PROXY", ""),
    ];
    call(&world, &["doctor"], &env, "");
    call(&world, &["keys", "list"], &env, "");
    assert!(proxy.requests().is_empty(), "{:?}", proxy.requests());
    let asked = call(&world, &["doctor", "--models"], &env, "");
    assert_eq!(asked.code, 1, "{}", asked.stdout);
    let hosts: Vec<String> = proxy.requests().into_iter().map(|it| it.target).collect();
    assert_eq!(hosts, ["api.openai.com:443"], "Gemini has no key and is left alone");
}

#[test]
fn what_is_no_place_or_no_key_is_not_kept() {
    let world = World::new();
    for (place, key, why) in [
        ("nonsense", KEY, "openai, gemini"),
        ("ftp://host/v1", KEY, "openai, gemini"),
        ("openai", "k", "8 characters"),
        ("https://api.openai.com/v1/", "sk-1234", "8 characters"),
    ] {
        let refused = call(&world, &["keys", "set", place, "--file"], &[], key);
        assert_eq!(refused.code, 2, "{place}: {}", refused.stderr);
        assert!(refused.stderr.contains(why), "{place}: {}", refused.stderr);
    }
    let own = ["keys", "set", "http://127.0.0.1:9/v1", "--file"];
    assert_eq!(call(&world, &own, &[], "k").code, 0, "a server of one's own takes any");
}
