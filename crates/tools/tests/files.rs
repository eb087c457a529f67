//! Each tool on files, as a runtime calls it.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::{Place, call, done, error, intent, ok};
use musher_protocol::{PermissionMode, PlanState, ToolKind};
use musher_runtime::{Effect, ToolHost, Verdict};
use musher_tools::{Host, HostConfig};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

#[tokio::test]
async fn lines_are_numbered_and_chosen() {
    let place = Place::new();
    let host = place.host();
    let text = ok(&host, "read_file", json!({"path": "src/main.rs"})).await;
    assert_eq!(text, "     1\tfn main() {\n     2\t    println!(\"hello\");\n     3\t}\n");
    let input = json!({"path": "./src/main.rs", "first_line": 2, "lines": 1});
    let text = ok(&host, "read_file", input).await;
    assert_eq!(
        text,
        "     2\t    println!(\"hello\");\n[3 lines in all; go on with first_line 3]\n"
    );
    let input = json!({"path": place.path("src/main.rs"), "first_line": 9, "lines": null});
    assert_eq!(ok(&host, "read_file", input).await, "[the file has only 3 lines]\n");
    for wrong in [json!({"first_line": 0}), json!({"lines": 0}), json!({"lines": -1})] {
        let mut input = json!({"path": "src/main.rs"});
        input.as_object_mut().unwrap().extend(wrong.as_object().unwrap().clone());
        error(&host, "read_file", input).await;
    }
}

#[tokio::test]
async fn what_is_odd_in_a_file_is_said() {
    let place = Place::new();
    let host = place.host();
    for (bytes, said) in [
        (&b""[..], "[the file is empty]"),
        (b"\xef\xbb\xbfa\n", "byte order mark"),
        (b"a\r\nb\r\n", "CRLF"),
        (b"gr\xfc\xdfe\n", "not all UTF-8"),
        (b"x\ny", "     2\ty\n"),
    ] {
        std::fs::write(place.path("odd"), bytes).unwrap();
        let text = ok(&host, "read_file", json!({"path": "odd"})).await;
        assert!(text.contains(said) && !text.contains('\r'), "{text:?}");
    }
    std::fs::write(place.path("odd"), b"\x7fELF\0\0").unwrap();
    assert!(error(&host, "read_file", json!({"path": "odd"})).await.contains("binary (6 bytes)"));
    assert!(error(&host, "read_file", json!({"path": "src"})).await.contains("a folder"));
    assert!(error(&host, "read_file", json!({"path": "none"})).await.contains("list_files"));
}

#[tokio::test]
async fn large_files_and_long_lines_are_cut() {
    let place = Place::new();
    let host = place.host();
    place.put("long", &format!("{}\nshort\n", "ä".repeat(5000)));
    let text = ok(&host, "read_file", json!({"path": "long"})).await;
    assert!(text.contains("ä… [6000 bytes more]\n     2\tshort\n"), "{}", &text[4000..]);
    place.put("many", &"line\n".repeat(5000));
    let text = ok(&host, "read_file", json!({"path": "many"})).await;
    assert!(text.ends_with("  2000\tline\n[5000 lines in all; go on with first_line 2001]\n"));
    place.put("wide", &format!("{}\n", "x".repeat(1990)).repeat(200));
    let text = ok(&host, "read_file", json!({"path": "wide"})).await;
    assert!(text.len() < 110_000 && text.contains("200 lines in all; go on with first_line 51"));
    let file = std::fs::File::create(place.path("huge")).unwrap();
    file.set_len(17 << 20).unwrap();
    assert!(error(&host, "read_file", json!({"path": "huge"})).await.contains("17825792 bytes"));
}

fn tree() -> Place {
    let place = Place::new();
    place.put(".gitignore", "/target\n*.log\n!keep.log\n");
    place.put("target/debug/x.rs", "hello ignored");
    place.put("a.log", "hello log");
    place.put("keep.log", "hello kept");
    place.put("src/.gitignore", "generated/\n");
    place.put("src/generated/x.rs", "hello generated");
    place.put("src/.ignore", "deep/er/*.tmp\n");
    place.put("src/deep/er/x.tmp", "hello tmp");
    place.put(".github/workflow.yml", "hello: hidden\n");
    place.link("../outside", "src/out");
    place.put("nested/.git/config", "hello nested");
    place.put("nested/file", "hello nested\n");
    place
}

#[tokio::test]
async fn lists_leave_out_what_is_ignored_and_git() {
    let place = tree();
    let host = place.host();
    let all = ok(&host, "list_files", json!({})).await;
    let expected = ".github/workflow.yml\n.gitignore\nREADME.md\nkeep.log\nnested/file\n\
                    src/.gitignore\nsrc/.ignore\nsrc/deep/er/lib.rs\nsrc/main.rs\nsrc/out@\n";
    assert_eq!(all, expected);
    for (input, expected) in [
        (json!({"glob": "*.rs"}), "src/deep/er/lib.rs\nsrc/main.rs\n"),
        (json!({"glob": "src/*.rs"}), "src/main.rs\n"),
        (json!({"glob": "src/**/*.rs"}), "src/deep/er/lib.rs\nsrc/main.rs\n"),
        (json!({"folder": "src/deep"}), "src/deep/er/lib.rs\n"),
        (
            json!({"folder": "src", "depth": 1, "glob": null}),
            "src/.gitignore\nsrc/.ignore\nsrc/deep/\nsrc/main.rs\nsrc/out@\n",
        ),
        (json!({"folder": "src/generated"}), "src/generated/x.rs\n"),
        (json!({"folder": "src/deep", "ignored": true}), "src/deep/er/lib.rs\nsrc/deep/er/x.tmp\n"),
        (json!({"glob": "*.none"}), "[nothing]\n"),
    ] {
        assert_eq!(ok(&host, "list_files", input.clone()).await, expected, "{input}");
    }
    error(&host, "list_files", json!({"glob": "["})).await;
    for number in 0..1100 {
        place.put(&format!("many/{number}"), "");
    }
    let text = ok(&host, "list_files", json!({"folder": "many"})).await;
    assert!(text.lines().count() == 1001 && text.ends_with("a glob or a depth]\n"));
}

#[tokio::test]
async fn searches_find_lines() {
    let place = tree();
    let host = place.host();
    for (input, expected) in [
        (
            json!({"pattern": "hello"}),
            ".github/workflow.yml:1: hello: hidden\nkeep.log:1: hello kept\n\
             nested/file:1: hello nested\nsrc/main.rs:2:     println!(\"hello\");\n",
        ),
        (
            json!({"pattern": "HELLO", "ignore_case": true, "path": "src"}),
            "src/main.rs:2:     println!(\"hello\");\n",
        ),
        (
            json!({"pattern": "fn .*\\(\\)", "glob": "*.rs"}),
            "src/deep/er/lib.rs:1: pub fn one() -> u32 {\nsrc/main.rs:1: fn main() {\n",
        ),
        (
            json!({"pattern": "hello", "path": "src/main.rs", "context": 1}),
            "src/main.rs-1- fn main() {\nsrc/main.rs:2:     println!(\"hello\");\nsrc/main.rs-3- }\n",
        ),
        (
            json!({"pattern": "fn", "files_only": true, "glob": "src/**"}),
            "src/deep/er/lib.rs\nsrc/main.rs\n",
        ),
        (json!({"pattern": "canary"}), "[no match]\n"),
        (json!({"pattern": "^$"}), "[no match]\n"),
    ] {
        let found = ok(&host, "search", input.clone()).await;
        let found = found.replace("src/.gitignore\n", "").replace("src/.ignore\n", "");
        assert_eq!(found, expected, "{input}");
    }
    for pattern in ["(", "a\nb", "[z-a]"] {
        error(&host, "search", json!({"pattern": pattern})).await;
    }
}

#[tokio::test]
async fn searches_have_limits() {
    let place = Place::new();
    let host = place.host();
    place.put("many", &"needle\n".repeat(1000));
    place.put("wide", &format!("{}pin", "x".repeat(100_000)));
    std::fs::write(place.path("binary"), b"\0needle pin\n").unwrap();
    let text = ok(&host, "search", json!({"pattern": "needle"})).await;
    assert_eq!(text.lines().count(), 201);
    assert!(text.contains("[not all:"));
    let text = ok(&host, "search", json!({"pattern": "pin"})).await;
    assert!(text.len() < 1000 && text.contains("… [99603 bytes more]"), "{text}");
    let stop = CancellationToken::new();
    stop.cancel();
    let outcome = common::done_until(&host, "search", json!({"pattern": "x"}), stop).await;
    assert!(outcome.is_error && outcome.text.contains("Stopped"));
}

#[tokio::test]
async fn edits_replace_exactly() {
    let place = Place::new();
    let host = place.host();
    let input = json!({"path": "src/main.rs", "old": "hello", "new": "goodbye"});
    let outcome = done(&host, "edit_file", input).await;
    assert_eq!(place.text("src/main.rs"), "fn main() {\n    println!(\"goodbye\");\n}\n");
    let told = "Replaced in 1 place(s).\n@@ -1,3 +1,3 @@\n fn main() {\n-    println!(\"hello\");\n\
                +    println!(\"goodbye\");\n }\n";
    assert_eq!(outcome.text, told);
    let edit = outcome.edit.unwrap();
    assert_eq!((edit.path.as_str(), edit.created, edit.hunks.len()), ("src/main.rs", false, 1));
    let lines = [" fn main() {", "-    println!(\"hello\");", "+    println!(\"goodbye\");", " }"];
    assert_eq!(edit.hunks[0].lines, lines);
    let hunk = &edit.hunks[0];
    assert_eq!((hunk.old_start, hunk.old_lines, hunk.new_start, hunk.new_lines), (1, 3, 1, 3));
    for (old, new, said) in [
        ("hello", "x", "not there"),
        ("n", "x", "times"),
        ("fn  main()", "x", "other spaces"),
        ("", "x", "empty"),
        ("main", "main", "the same"),
    ] {
        let input = json!({"path": "src/main.rs", "old": old, "new": new, "replace_all": false});
        assert!(error(&host, "edit_file", input).await.contains(said), "{old}");
    }
    let input = json!({"path": "src/main.rs", "old": "n", "new": "N", "replace_all": true});
    assert!(ok(&host, "edit_file", input).await.contains("4 place(s)"));
    let input = json!({"path": "none.rs", "old": "a", "new": "b"});
    assert!(error(&host, "edit_file", input).await.contains("leave `old` null"));
    assert!(!place.path("none.rs").exists());
}

#[tokio::test]
async fn a_file_is_written_over_only_by_who_knows_it() {
    let place = Place::new();
    let host = place.host();
    let write = |text: &str| json!({"path": "src/main.rs", "old": null, "new": text});
    assert!(error(&host, "edit_file", write("x")).await.contains("read it first"));
    ok(&host, "read_file", json!({"path": "src/main.rs", "lines": 1})).await;
    assert!(error(&host, "edit_file", write("x")).await.contains("read it first"));
    ok(&host, "read_file", json!({"path": "src/main.rs"})).await;
    ok(&host, "edit_file", write("one\n")).await;
    let told = ok(&host, "edit_file", write("two\n")).await;
    assert_eq!(told, "Written.\n@@ -1,1 +1,1 @@\n-one\n+two\n");
    let told = ok(&host, "edit_file", write(&"long\n".repeat(3_000))).await;
    assert!(told.ends_with("is left out]\n") && told.len() < 8_100, "{}", told.len());
    ok(&host, "edit_file", write("two\n")).await;
    ok(&host, "edit_file", json!({"path": "src/main.rs", "old": "two", "new": "three"})).await;
    ok(&host, "edit_file", write("four\n")).await;
    place.put("src/main.rs", "somebody else\n");
    assert!(error(&host, "edit_file", write("five\n")).await.contains("read it first"));
    assert_eq!(place.text("src/main.rs"), "somebody else\n");
    let outcome =
        done(&host, "edit_file", json!({"path": "new/er/file.rs", "new": "a\nb\n"})).await;
    let edit = outcome.edit.unwrap();
    assert!(edit.created && edit.hunks[0].lines == ["+a", "+b"]);
    assert_eq!((edit.hunks[0].old_start, edit.hunks[0].new_start), (0, 1));
    assert_eq!(place.text("new/er/file.rs"), "a\nb\n");
    std::fs::write(place.path("binary"), b"a\0b").unwrap();
    let input = json!({"path": "binary", "old": "a", "new": "b"});
    assert!(error(&host, "edit_file", input).await.contains("binary"));
}

#[tokio::test]
async fn plans_are_shown() {
    let place = Place::new();
    let host = place.host();
    let steps = json!({"steps": [
        {"text": "look", "state": "done"},
        {"text": "mend", "state": "in_progress"},
        {"text": "test", "state": "pending"},
    ]});
    let asked = intent(&host, "update_plan", steps.clone()).await.unwrap();
    assert_eq!((asked.kind, asked.title.as_str()), (ToolKind::Plan, "1 of 3 steps done"));
    let plan = done(&host, "update_plan", steps).await.plan.unwrap();
    let states: Vec<PlanState> = plan.iter().map(|entry| entry.state).collect();
    assert_eq!(states, [PlanState::Done, PlanState::InProgress, PlanState::Pending]);
    error(&host, "update_plan", json!({"steps": [{"text": "a", "state": "maybe"}]})).await;
}

#[tokio::test]
async fn a_call_is_done_once_and_only_as_it_was_judged() {
    let place = Place::new();
    let host = place.host_with("deny read README.md");
    let stop = CancellationToken::new;
    let read = call("read_file", json!({"path": "src/main.rs"}));
    assert!(host.call(&read, stop()).await.text.contains("not judged"));
    host.intent(&read, PermissionMode::Ask).await.unwrap();
    let other =
        musher_runtime::Call { input: json!({"path": "src/deep/er/lib.rs"}), ..read.clone() };
    assert!(host.call(&other, stop()).await.text.contains("not judged"));
    assert!(!host.call(&read, stop()).await.is_error);
    assert!(host.call(&read, stop()).await.text.contains("not judged"));
    let denied = call("read_file", json!({"path": "README.md"}));
    let asked = host.intent(&denied, PermissionMode::Bypass).await.unwrap();
    assert!(matches!(asked.verdict, Verdict::Deny { .. }));
    assert!(host.call(&denied, stop()).await.text.contains("denied"));
}

#[tokio::test]
async fn arguments_that_do_not_fit_are_told() {
    let place = Place::new();
    let host = place.host();
    for (tool, input, said) in [
        ("read_file", json!({}), "missing field `path`"),
        ("read_file", json!({"path": 1}), "invalid type"),
        ("read_file", json!({"path": "a", "paths": "b"}), "unknown field `paths`"),
        ("read_file", json!([]), "do not fit"),
        ("read_file", json!("src"), "do not fit"),
        ("edit_file", json!({"path": "a"}), "missing field `new`"),
        ("run_command", json!({"command": ""}), "empty"),
        ("run_command", json!({"command": "a\0b"}), "NUL"),
        ("delete_file", json!({}), "no tool of this name"),
        ("fetch_url", json!({"url": "https://docs.rs"}), "no tool of this name"),
    ] {
        let text = intent(&host, tool, input.clone()).await.unwrap_err();
        assert!(text.contains(said), "{tool} {input}: {text}");
    }
}

#[tokio::test]
async fn what_a_call_would_do_is_shown_as_it_is() {
    let place = Place::new();
    let host = place.host();
    for (tool, input, title, effect) in [
        ("read_file", json!({"path": "src/main.rs", "first_line": 2}), "src/main.rs:2-2001", true),
        ("list_files", json!({"glob": "*.rs"}), "*.rs in .", true),
        ("search", json!({"pattern": "a\u{202e}b", "path": "src"}), "a⟨U+202E⟩b in src", true),
        ("edit_file", json!({"path": "src/new.rs", "new": ""}), "src/new.rs", false),
        ("run_command", json!({"command": "echo a\nrm\u{200b} b"}), "echo a⏎rm⟨U+200B⟩ b", false),
    ] {
        let asked = intent(&host, tool, input).await.unwrap();
        assert_eq!((asked.title.as_str(), asked.effect == Effect::Reads), (title, effect));
    }
}

/// Every object names all its properties as required and allows no others, and nothing is referred to.
fn assert_strict(schema: &Value) {
    match schema {
        Value::Object(object) => {
            assert!(
                ["$ref", "$defs", "$schema", "format", "default"]
                    .iter()
                    .all(|word| !object.contains_key(*word)),
                "{schema}"
            );
            if let Some(Value::Object(properties)) = object.get("properties") {
                let names: Vec<Value> = properties.keys().map(|name| json!(name)).collect();
                assert_eq!(object["required"], json!(names));
                assert_eq!(object["additionalProperties"], json!(false));
            }
            object.values().for_each(assert_strict);
        }
        Value::Array(items) => items.iter().for_each(assert_strict),
        _ => {}
    }
}

#[test]
fn the_model_is_told_of_tools_strictly() {
    let place = Place::new();
    let host = Host::new(HostConfig { fetch: true, ..place.config("") }).unwrap();
    let names =
        |mode| -> Vec<String> { host.specs(mode).into_iter().map(|spec| spec.name).collect() };
    let reads = ["read_file", "list_files", "search", "read_output", "update_plan"];
    assert_eq!(names(PermissionMode::Plan), reads);
    let all = [
        "read_file",
        "list_files",
        "search",
        "edit_file",
        "fetch_url",
        "run_command",
        "read_output",
        "update_plan",
    ];
    assert_eq!(names(PermissionMode::Ask), all);
    assert_eq!(host.specs(PermissionMode::Ask), host.specs(PermissionMode::Bypass));
    for spec in host.specs(PermissionMode::Ask) {
        assert_eq!(spec.parameters["type"], "object");
        assert!(!spec.description.is_empty() && !spec.description.contains("  "));
        assert_strict(&spec.parameters);
    }
    let read = &host.specs(PermissionMode::Ask)[0].parameters["properties"];
    assert_eq!(read["first_line"]["type"], json!(["integer", "null"]));
    assert!(read["path"]["description"].as_str().unwrap().starts_with("The file"));
}
