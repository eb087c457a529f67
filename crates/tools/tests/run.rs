//! Commands, with real processes: however one ends, nothing of it lives on.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::time::{Duration, Instant};

use common::{Place, call, done, done_until, error, ok, until, within};
use musher_protocol::PermissionMode;
use musher_runtime::{MARK, Secrets, ToolHost};
use musher_tools::{Host, HostConfig};
use serde_json::json;
use tokio_util::sync::CancellationToken;

/// Ignores every polite signal, with a child in its group, one in a session of its own, and a daemon.
const STUBBORN: &str = "trap '' TERM INT HUP
sleep 1000 &
setsid sh -c 'sleep 1000 & wait' &
(setsid sh -c 'sleep 1000; true' &)
";

/// Living processes of the calls of this place.
fn alive(place: &Place) -> Vec<u32> {
    let folders = std::fs::read_dir(place.run_dir().join("tools")).into_iter().flatten().flatten();
    let marks = folders.map(|f| format!("{}.{}", place.mark, f.file_name().to_string_lossy()));
    marks.flat_map(|mark| musher_process::processes_with_mark(&mark)).map(|it| it.pid).collect()
}

#[tokio::test]
async fn a_command_says_its_output_and_code() {
    let place = Place::new();
    let host = place.host();
    for (command, expected) in [
        ("echo out; echo err >&2; echo out", "out\nerr\nout\n[exit code 0]"),
        ("pwd", &format!("{}\n[exit code 0]", place.root().display())),
        ("printf 'no end'", "no end\n[exit code 0]"),
        ("true", "[exit code 0]"),
        ("cat", "[exit code 0]"),
        ("exit 3", "[exit code 3]"),
        ("kill -9 $$", "[ended by signal 9]"),
        ("printf '%s\\n' \"$0\" \"$#\"", "/bin/sh\n0\n[exit code 0]"),
        ("printf '\\377\\n'", "\u{fffd}\n[exit code 0]"),
        ("echo 'a  b' \"c'd\" e\\ f", "a  b c'd e f\n[exit code 0]"),
        (
            "env | grep -v -e ^PWD -e ^MUSHER_RUN -e ^_ -e ^SHLVL -e ^OLDPWD",
            "PATH=/usr/local/bin:/usr/bin:/bin\n[exit code 0]",
        ),
    ] {
        let outcome = done(&host, "run_command", json!({"command": command})).await;
        assert_eq!(outcome.text, expected, "{command}");
        assert_eq!(outcome.is_error, !expected.ends_with("[exit code 0]"), "{command}");
        assert!(outcome.left.is_empty());
    }
    assert_eq!(alive(&place), [0; 0]);
}

#[tokio::test]
async fn long_output_is_cut_and_kept_on_disk() {
    let place = Place::new();
    let host = place.host();
    let command = "i=0; while [ $i -lt 20000 ]; do echo \"line $i\"; i=$((i+1)); done";
    let text = ok(&host, "run_command", json!({"command": command})).await;
    assert!(text.len() < 31_000 && text.starts_with("line 0\nline 1\n"), "{}", text.len());
    assert!(text.contains("bytes left out …]\n") && text.contains("\nline 19999\n[exit code 0; "));
    let name = text.rsplit_once("read_output shows lines of ").unwrap().1.trim_end_matches(']');
    let path = place.run_dir().join("tools").join(name).join(format!("stdout-{:020}.spool", 0));
    let kept = std::fs::read_to_string(&path).unwrap();
    assert_eq!(kept.lines().count(), 20_000);
    let input = json!({"output": name, "first_line": 9_001, "lines": 2});
    assert_eq!(
        ok(&host, "read_output", input).await,
        "  9001\tline 9000\n  9002\tline 9001\n[20000 lines in all; go on with first_line 9003]\n"
    );
    ok(&host, "run_command", json!({"command": "echo short"})).await;
    let spools = || {
        let folders = std::fs::read_dir(place.run_dir().join("tools")).unwrap();
        let files = folders.flat_map(|folder| std::fs::read_dir(folder.unwrap().path()).unwrap());
        files.filter(|file| file.as_ref().unwrap().path().extension() == Some("spool".as_ref()))
    };
    let all = spools().count();
    musher_tools::clean_told(&place.run_dir()).unwrap();
    assert!(path.exists(), "what was cut stays");
    assert!(spools().count() < all, "what was told whole goes");
    musher_tools::clean(&place.run_dir()).unwrap();
    assert!(!path.exists());
}

#[tokio::test]
async fn what_was_cut_in_a_run_before_is_known_by_its_name() {
    let place = Place::new();
    let says = |word: &str, id: &str| {
        let mut call = call("run_command", json!({"command": format!("yes {word} | head -20000")}));
        call.id = id.to_owned();
        call
    };
    let first =
        Host::new(HostConfig { run_dir: place.folder.path().join("a"), ..place.config("") });
    let earlier = vec![place.folder.path().join("b"), place.folder.path().join("a")];
    let second = HostConfig {
        run_dir: earlier[0].clone(),
        earlier: earlier[1..].to_vec(),
        ..place.config("")
    };
    let third = Host::new(HostConfig { earlier: earlier.clone(), ..place.config("") }).unwrap();
    let mut shown = Vec::new();
    for (host, word) in
        [(&first.unwrap(), "one"), (&Host::new(second).unwrap(), "two"), (&third, "three")]
    {
        let call = says(word, "same");
        host.intent(&call, PermissionMode::Bypass).await.unwrap();
        let text = within(host.call(&call, CancellationToken::new())).await.text;
        let name = text.rsplit_once("read_output shows lines of ").unwrap().1;
        shown.push((name.trim_end_matches(']').to_owned(), word));
    }
    for (name, word) in &shown {
        let input = json!({"output": name, "first_line": 10_001, "lines": 1});
        let page = ok(&third, "read_output", input).await;
        assert!(page.starts_with(&format!(" 10001\t{word}\n")), "{name}: {page}");
    }

    musher_tools::clean(&earlier[1]).unwrap();
    let why = error(&third, "read_output", json!({"output": shown[0].0})).await;
    assert_eq!(why, "The output c-same is no longer kept; run the command again.");
    ok(&third, "read_output", json!({"output": shown[1].0, "lines": 1})).await;
}

#[tokio::test]
async fn an_output_leads_nowhere_else() {
    let place = Place::new();
    let host = place.host();
    let tools = place.run_dir().join("tools");
    std::fs::create_dir_all(tools.join("mcp-a")).unwrap();
    std::fs::create_dir_all(tools.join("c-linked")).unwrap();
    let (spool, canary) = (format!("stdout-{:020}.spool", 0), place.outside().join("canary.txt"));
    std::fs::copy(&canary, tools.join("mcp-a").join(&spool)).unwrap();
    std::os::unix::fs::symlink(&canary, tools.join("c-linked").join(&spool)).unwrap();
    std::os::unix::fs::symlink(place.outside(), tools.join("c-folder")).unwrap();
    std::fs::copy(&canary, place.outside().join(&spool)).unwrap();
    let mut names =
        vec!["c-linked", "c-folder", "mcp-a", "c-none", "c-linked/", "./c-linked", "", "."];
    let beyond = format!("c-linked/../../../outside/{spool}");
    names.extend(["..", "c-linked/..", "../outside", "/etc/passwd", "c-\0", &beyond]);
    for name in names {
        let why = error(&host, "read_output", json!({"output": name})).await;
        assert!(!why.contains(common::CANARY), "{name}: {why}");
    }
}

const KEY: &str = "canary+4b1d9e77a0/x";

fn host_with_key(place: &Place) -> Host {
    let secrets = Secrets::new([&secrecy::SecretString::from(KEY)]);
    Host::new(HostConfig { secrets, ..place.config("") }).unwrap()
}

/// Lines of the run's files with the key in them.
fn kept_keys(place: &Place) -> usize {
    let found =
        std::process::Command::new("grep").args(["-raF", KEY]).arg(place.run_dir()).output();
    found.unwrap().stdout.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).count()
}

#[tokio::test]
async fn a_file_with_a_hidden_key_is_edited_around_it() {
    let place = Place::new();
    let host = host_with_key(&place);
    place.put("env", &format!("A=1\nKEY={KEY}\n"));
    let text = ok(&host, "read_file", json!({"path": "env"})).await;
    assert!(text.contains("stands for a key, which stays in the file as it is"), "{text}");
    for (path, old, new) in [
        ("env", Some(format!("KEY={MARK}")), "KEY=x".to_owned()),
        ("env", Some("A=1".to_owned()), format!("A={MARK}")),
        ("env", None, format!("A=2\nKEY={MARK}\n")),
        ("new", None, format!("KEY={MARK}\n")),
    ] {
        let input = json!({"path": path, "old": old, "new": new});
        let why = error(&host, "edit_file", input).await;
        assert!(why.contains("stands for a key that you are not shown"), "{path}: {why}");
    }
    let why = error(&host, "edit_file", json!({"path": "env", "new": "A=2\n"})).await;
    assert!(why.contains("cannot be written whole: there is a key in it"), "{why}");
    ok(&host, "edit_file", json!({"path": "env", "old": "A=1", "new": "A=2"})).await;
    assert_eq!(place.text("env"), format!("A=2\nKEY={KEY}\n"));
    assert!(!place.path("new").exists());
    // Where these words are really in a file, they are words.
    place.put("doc", &format!("We write {MARK}.\n"));
    let input = json!({"path": "doc", "old": MARK, "new": format!("`{MARK}`")});
    ok(&host, "edit_file", input).await;
    let text = ok(&host, "read_file", json!({"path": "doc"})).await;
    assert!(!text.contains("stands for"), "{text}");
}

#[tokio::test]
async fn a_key_is_hidden_before_it_is_told_or_kept() {
    let place = Place::new();
    let host = host_with_key(&place);
    place.put("keys.json", &format!("{{\"openai\": \"{KEY}\"}}\n"));
    place.put("long", &format!("{}{KEY}{}\n", "x".repeat(1990), "y".repeat(99)));
    place.put("many", &format!("{}{KEY}\n{}", "x\n".repeat(20_000), "y\n".repeat(20_000)));
    // A piece of it at a time, with time between them for each to be read by itself.
    let slowly =
        format!("for p in {}; do printf '%s' $p; sleep 0.05; done", KEY.replace('+', " + "));
    let mut told = String::new();
    for command in ["cat keys.json", "base64 keys.json", "cat many", &slowly, "cat keys.json >&2"] {
        let text = ok(&host, "run_command", json!({"command": command})).await;
        assert!(command == "cat many" || text.contains(MARK), "{command}: {text}");
        if let Some((_, name)) = text.rsplit_once("read_output shows lines of ") {
            let wanted = json!({"output": name.trim_end_matches(']'), "first_line": 20_001});
            let page = ok(&host, "read_output", wanted).await;
            assert!(page.contains(MARK), "{page}");
            told += &page;
        }
        told += &text;
    }
    for path in ["keys.json", "long"] {
        let text = ok(&host, "read_file", json!({"path": path})).await;
        assert!(!text.contains(&KEY[..7]), "{text}");
    }
    // What was not shown whole cannot be replaced whole: the key would be lost.
    let whole = json!({"path": "keys.json", "old": null, "new": "{}"});
    error(&host, "edit_file", whole).await;
    told += &ok(&host, "search", json!({"pattern": "openai"})).await;
    place.put("wide", &format!("{}{KEY}\n", "x".repeat(390)));
    let text = ok(&host, "search", json!({"pattern": "^x{390}c"})).await;
    assert!(text.contains("[key") && !text.contains(&KEY[..7]), "{text}");
    assert!(!told.contains(KEY) && !told.contains("Y2FuYXJ5"), "{told}");
    assert_eq!(kept_keys(&place), 0);
}

#[tokio::test]
async fn a_key_that_is_set_while_a_command_runs_is_not_told_or_kept() {
    let place = Place::new();
    let secrets = Secrets::default();
    let config = HostConfig { secrets: secrets.clone(), ..place.config("") };
    let host = Host::new(config).unwrap();
    place.put("key", KEY);
    let input = json!({"command": "cat key; until [ -e go ]; do sleep 0.02; done"});
    let running = ok(&host, "run_command", input);
    let setting = async {
        until("it is said", || kept_keys(&place) == 1).await;
        secrets.add([&secrecy::SecretString::from(KEY)]);
        place.put("go", "");
    };
    let (text, ()) = tokio::join!(running, setting);
    assert_eq!(text, format!("{MARK}\n[exit code 0]"));
    assert_eq!(kept_keys(&place), 0);
}

#[tokio::test]
async fn a_command_without_an_end_to_its_words_is_ended() {
    let place = Place::new();
    let host = place.host();
    let begun = Instant::now();
    let outcome = done(&host, "run_command", json!({"command": "yes 'many words'"})).await;
    assert!(outcome.text.contains("said more than 67108864 bytes"), "{}", &outcome.text[29_000..]);
    assert!(outcome.is_error && outcome.text.len() < 31_000);
    assert!(begun.elapsed() < common::LIMIT);
    assert_eq!(alive(&place), [0; 0]);
}

#[tokio::test]
async fn a_stopped_command_is_dead_with_all_its_own() {
    let place = Place::new();
    let host = place.host();
    let stop = CancellationToken::new();
    let command = format!("{STUBBORN} echo begun > begun; while :; do sleep 1; done");
    let running = done_until(&host, "run_command", json!({"command": command}), stop.clone());
    let stopping = async {
        until("the tree has grown", || alive(&place).len() >= 6).await;
        stop.cancel();
        Instant::now()
    };
    let (outcome, stopped) = tokio::join!(running, stopping);
    // The grace of 500 ms, and a second.
    assert!(stopped.elapsed() < Duration::from_millis(1500 + 1000), "{:?}", stopped.elapsed());
    println!("stopped in {:?}", stopped.elapsed());
    assert_eq!(alive(&place), [0; 0]);
    assert!(outcome.is_error && outcome.left.is_empty());
    assert!(outcome.text.contains("[stopped before it was done]"), "{}", outcome.text);
}

#[tokio::test]
async fn a_command_whose_time_is_over_is_dead_with_all_its_own() {
    let place = Place::new();
    let host = place.host();
    let command = format!("echo said; {STUBBORN} while :; do sleep 1; done");
    let input = json!({"command": command, "timeout_seconds": 1});
    let outcome = done(&host, "run_command", input).await;
    assert_eq!(outcome.text, "said\n[ended after 1 s, its time limit]");
    assert!(outcome.is_error && outcome.left.is_empty());
    assert_eq!(alive(&place), [0; 0]);
}

#[tokio::test]
async fn what_a_command_leaves_behind_is_ended_with_it() {
    let place = Place::new();
    let host = place.host();
    let outcome =
        done(&host, "run_command", json!({"command": format!("{STUBBORN} echo gone")})).await;
    assert_eq!(outcome.text, "gone\n[exit code 0]");
    assert_eq!(alive(&place), [0; 0]);
}

#[tokio::test]
async fn a_command_that_is_stopped_before_it_begins_does_nothing() {
    let place = Place::new();
    let host = place.host();
    let stop = CancellationToken::new();
    stop.cancel();
    let outcome = done_until(&host, "run_command", json!({"command": "echo x > made"}), stop).await;
    assert!(outcome.is_error && !place.path("made").exists());
}

#[tokio::test]
async fn what_a_lost_engine_left_is_ended_by_the_next() {
    let place = Place::new();
    place.put("keys", KEY);
    {
        let host = place.host();
        let command = format!("cat keys; {STUBBORN} while :; do sleep 1; done");
        let call = call("run_command", json!({"command": command}));
        host.intent(&call, PermissionMode::Bypass).await.unwrap();
        // Dropped while it runs, as in an engine that is killed.
        tokio::select! {
            _ = host.call(&call, CancellationToken::new()) => panic!("it ended"),
            () = until("the tree has grown", || alive(&place).len() >= 6) => {}
        }
    }
    assert!(alive(&place).len() >= 6);
    until("it is kept", || kept_keys(&place) == 1).await;
    let next = host_with_key(&place);
    assert_eq!(within(next.end_left_over()).await, [0; 0]);
    assert_eq!((alive(&place), kept_keys(&place)), (Vec::new(), 0));
    assert_eq!(within(next.end_left_over()).await, [0; 0]);
}

#[tokio::test]
async fn a_killed_keeper_ends_the_call_and_its_tree() {
    let place = Place::new();
    let host = place.host();
    let command = format!("{STUBBORN} while :; do sleep 1; done");
    let running = done(&host, "run_command", json!({"command": command}));
    let killing = async {
        until("the tree has grown", || alive(&place).len() >= 6).await;
        let folder = std::fs::read_dir(place.run_dir().join("tools")).unwrap().next().unwrap();
        let text = std::fs::read(folder.unwrap().path().join("keeper.json")).unwrap();
        let file: serde_json::Value = serde_json::from_slice(&text).unwrap();
        let pid = i32::try_from(file["keeper"]["pid"].as_i64().unwrap()).unwrap();
        let pid = rustix::process::Pid::from_raw(pid).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    };
    let (outcome, ()) = tokio::join!(running, killing);
    assert!(outcome.is_error && outcome.text.contains("keeper was killed"), "{}", outcome.text);
    assert_eq!(alive(&place), [0; 0]);
}

#[tokio::test]
async fn ids_of_all_kinds_have_a_folder_each() {
    let place = Place::new();
    let host = place.host();
    let begun = Instant::now();
    for id in ["../../x", "", "a/b", "é", ".", &"x".repeat(500), "a/b", "a_b"] {
        let mut call = call("run_command", json!({"command": "true"}));
        call.id = id.to_owned();
        host.intent(&call, PermissionMode::Bypass).await.unwrap();
        let outcome = within(host.call(&call, CancellationToken::new())).await;
        assert!(!outcome.is_error, "{id:?}: {}", outcome.text);
    }
    println!("8 commands in {:?}", begun.elapsed());
    assert_eq!(std::fs::read_dir(place.run_dir().join("tools")).unwrap().count(), 8);
    place.assert_whole();
}
