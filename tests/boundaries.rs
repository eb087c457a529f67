//! The arrows of docs/architecture.md, and the closed doors of the window: fails when a crate, a
//! line of code or the shell's configuration reaches for what is not its own.
//!
//! Runs as a test of `xtask`, so that it needs no Tauri and is there on every machine.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Which rooms a room may build on. What is not here may build on nothing of ours.
const ARROWS: &[(&str, &[&str])] = &[
    ("protocol", &[]),
    ("process", &[]),
    ("demo", &[]),
    ("store", &["process", "protocol"]),
    ("worktree", &["process", "protocol"]),
    ("runtime", &["process", "protocol"]),
    ("tools", &["process", "protocol", "runtime"]),
    ("engine", &["process", "protocol", "runtime", "store", "tools", "worktree"]),
    ("api", &["engine", "process", "protocol"]),
    (
        "cli",
        &["api", "demo", "engine", "process", "protocol", "runtime", "store", "tools", "worktree"],
    ),
    ("desktop", &["api", "engine", "process", "protocol", "runtime"]),
    ("testkit", &["demo", "process", "protocol"]),
    ("xtask", &["protocol"]),
];

/// Tests may besides build on these, and on whatever lies further down.
const FOR_TESTS: &[&str] = &["testkit", "demo"];

/// The one room that knows a crate, as long as it is not told from the outside.
const OWNERS: &[(&str, &str)] = &[
    ("portable-pty", "process"),
    ("rusqlite", "store"),
    ("axum", "api"),
    ("rmcp", "tools"),
    ("tauri", "desktop"),
    ("tauri-build", "desktop"),
    ("notify-rust", "desktop"),
];

const CAPABILITIES: &[&str] =
    &["allow-page", "core:event:allow-listen", "core:event:allow-unlisten"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn json(path: &str) -> Value {
    serde_json::from_str(&read(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// One line of a manifest's dependencies.
struct Arrow {
    from: String,
    to: String,
    only_tests: bool,
}

fn arrows() -> Vec<Arrow> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
        .current_dir(root())
        .output()
        .unwrap();
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    packages.iter().flat_map(arrows_of).collect()
}

fn arrows_of(package: &Value) -> Vec<Arrow> {
    let dependencies = package["dependencies"].as_array().unwrap();
    let arrow = |dependency: &Value| Arrow {
        from: room(package["name"].as_str().unwrap()),
        to: room(dependency["name"].as_str().unwrap()),
        only_tests: dependency["kind"] == "dev",
    };
    dependencies.iter().map(arrow).collect()
}

fn room(package: &str) -> String {
    package.strip_prefix("musher-").unwrap_or(package).to_owned()
}

/// Name of each locked package to the names of what it builds on, of all platforms and features.
fn locked() -> BTreeMap<String, BTreeSet<String>> {
    let mut packages: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let lock = read("Cargo.lock");
    for block in lock.split("[[package]]").skip(1) {
        let quoted = |line: &str| line.split('"').nth(1).map(str::to_owned);
        let name = block.lines().find_map(|line| line.strip_prefix("name = ").and_then(quoted));
        let needs = block.lines().filter(|line| line.starts_with(" \"")).filter_map(quoted);
        // `"name version"` where several versions are locked.
        let needs = needs.map(|need| need.split(' ').next().unwrap().to_owned());
        packages.entry(name.unwrap()).or_default().extend(needs);
    }
    packages
}

/// The files below a folder that end so, with their paths from the root.
fn files(folder: &str, ends: &[&str]) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            let name = entry.file_name().into_string().unwrap_or_default();
            if path.is_dir() {
                if name != "node_modules" {
                    folders.push(path);
                }
            } else if ends.iter().any(|end| name.ends_with(end)) {
                let text = fs::read_to_string(&path).unwrap_or_default();
                found.push((path.strip_prefix(root()).unwrap().display().to_string(), text));
            }
        }
    }
    assert!(!found.is_empty(), "no file in {folder} ends with {ends:?}");
    found
}

/// Where a line of code (not of comment) contains one of the words.
fn mentions(folder: &str, ends: &[&str], words: &[&str]) -> Vec<String> {
    let mut places = Vec::new();
    for (path, text) in files(folder, ends) {
        for (index, line) in text.lines().enumerate() {
            let code = !line.trim_start().starts_with("//");
            if code && words.iter().any(|word| line.contains(word)) {
                places.push(format!("{path}:{}", index + 1));
            }
        }
    }
    places
}

/// Whether arrows lead from one room to the other, however many.
fn lies_below(allowed: &BTreeMap<&str, &[&str]>, from: &str, to: &str) -> bool {
    let next = allowed.get(from).copied().unwrap_or_default();
    next.iter().any(|room| *room == to || lies_below(allowed, room, to))
}

#[test]
fn every_arrow_points_down() {
    let allowed: BTreeMap<_, _> = ARROWS.iter().copied().collect();
    let ours: BTreeSet<String> = ARROWS.iter().map(|(room, _)| (*room).to_owned()).collect();
    let mut wrong = Vec::new();
    let mut seen = 0;
    for Arrow { from, to, only_tests } in arrows() {
        if !ours.contains(&to) {
            continue;
        }
        seen += 1;
        let may = allowed.get(from.as_str()).is_some_and(|rooms| rooms.contains(&to.as_str()))
            || only_tests && (FOR_TESTS.contains(&to.as_str()) || lies_below(&allowed, &from, &to));
        if !may {
            wrong.push(format!("{from} -> {to}"));
        }
    }
    assert!(seen > 15, "only {seen} arrows were found");
    assert_eq!(wrong, Vec::<String>::new(), "docs/architecture.md has no such arrows");
}

#[test]
fn the_page_of_the_architecture_says_the_same() {
    let text = read("docs/architecture.md");
    let picture = "──▶ api ──▶ engine ──▶ runtime, worktree, store ──▶ process, protocol";
    assert!(text.contains(picture), "the picture in docs/architecture.md has changed");
    for (room, _) in ARROWS {
        let named = match *room {
            "desktop" => "`src-tauri`".to_owned(),
            "xtask" => "`xtask`".to_owned(),
            room => format!("`crates/{room}`"),
        };
        assert!(text.contains(&format!("| {named} |")), "docs/architecture.md lacks {named}");
    }
}

#[test]
fn tests_have_their_own_crate() {
    let shipped: Vec<String> = arrows()
        .into_iter()
        .filter(|arrow| arrow.to == "testkit" && !arrow.only_tests)
        .map(|arrow| arrow.from)
        .collect();
    assert_eq!(shipped, Vec::<String>::new(), "testkit is for tests only");
}

/// The packages of the whole workspace, each with its version and features.
fn features(edges: &str) -> BTreeSet<String> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    let output = Command::new(cargo)
        .args(["tree", "--workspace", "--edges", edges, "--prefix", "none"])
        .args(["--format", "{p} {f}"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let lines = String::from_utf8(output.stdout).unwrap();
    lines.lines().map(|line| line.replace(" (*)", "")).collect()
}

/// Else a test would compile the crate, and all that builds on it, a second time: Tauri, too.
#[test]
fn tests_add_no_features_to_what_is_shipped() {
    let (shipped, tested) = (features("no-dev"), features("all"));
    assert!(shipped.len() > 100, "only {} packages were found", shipped.len());
    let changed: Vec<_> = shipped.difference(&tested).collect();
    assert!(changed.is_empty(), "give the workspace the features that tests add to {changed:?}");
}

#[test]
fn each_foreign_crate_has_one_owner() {
    for Arrow { from, to, only_tests } in arrows() {
        let owner = OWNERS.iter().find(|(name, _)| *name == to).map(|(_, owner)| *owner);
        let for_tests = only_tests || from == "testkit";
        if !for_tests && owner.is_some_and(|owner| owner != from) {
            panic!("{from} builds on {to}, which only {} may know", owner.unwrap());
        }
    }
}

#[test]
fn nothing_below_the_shell_builds_on_tauri() {
    let locked = locked();
    assert!(locked["musher-desktop"].contains("tauri"), "Cargo.lock is read wrongly");
    for (room, _) in ARROWS.iter().filter(|(room, _)| *room != "desktop") {
        let package = if *room == "xtask" { "xtask".to_owned() } else { format!("musher-{room}") };
        let mut reached = BTreeSet::from([package]);
        let mut next: Vec<String> = reached.iter().cloned().collect();
        while let Some(name) = next.pop() {
            let needs = locked.get(&name).into_iter().flatten();
            next.extend(needs.filter(|need| reached.insert((*need).clone())).cloned());
        }
        let shell = ["tauri", "tauri-runtime", "wry", "tao", "gtk"];
        let found: Vec<_> = shell.iter().filter(|name| reached.contains(**name)).collect();
        assert!(found.is_empty(), "{room} reaches {found:?}");
    }
}

#[test]
fn only_the_shell_names_tauri() {
    let words = ["tauri::", "tauri_", "use tauri", "TAURI"];
    assert_eq!(mentions("crates", &[".rs"], &words), Vec::<String>::new());
    assert!(!mentions("src-tauri", &[".rs"], &["tauri"]).is_empty(), "nothing is searched");
}

#[test]
fn the_engine_knows_no_runtime_by_name() {
    let words = ["runtime::claude", "runtime::demo", "ClaudeCode", "DemoRuntime"];
    assert_eq!(mentions("crates/engine/src", &[".rs"], &words), Vec::<String>::new());
    assert_eq!(mentions("crates/api/src", &[".rs"], &words), Vec::<String>::new());
}

#[test]
fn one_folder_of_the_page_knows_its_host() {
    let words = ["@tauri-apps", "__TAURI", "new WebSocket", "EventSource("];
    let ends = [".ts", ".svelte", ".js"];
    let outside: Vec<String> = mentions("ui/src", &ends, &words)
        .into_iter()
        .filter(|place| !place.starts_with("ui/src/host/"))
        .collect();
    assert_eq!(outside, Vec::<String>::new());
}

/// The policy's directives: name to sources.
fn policy() -> BTreeMap<String, Vec<String>> {
    let conf = json("tauri.conf.json");
    let policy = conf["app"]["security"]["csp"].as_str().expect("a content security policy");
    let directives = policy.split(';').map(|directive| {
        let mut words = directive.split_whitespace().map(str::to_owned);
        (words.next().unwrap_or_default(), words.collect())
    });
    directives.collect()
}

#[test]
fn the_window_runs_our_own_scripts_only() {
    let policy = policy();
    assert_eq!(policy["default-src"], ["'none'"]);
    assert_eq!(policy["script-src"], ["'self'"]);
    assert_eq!(policy["connect-src"], ["'self'", "ipc:", "http://ipc.localhost"]);
    assert_eq!(policy["base-uri"], ["'none'"]);
    assert_eq!(policy["form-action"], ["'none'"]);
    let remote = |source: &String| source.contains("//") && source != "http://ipc.localhost";
    assert!(!policy.values().flatten().any(remote), "a source from the network");
}

#[test]
fn the_shell_is_closed() {
    let conf = json("tauri.conf.json");
    let app = &conf["app"];
    assert_eq!(app["withGlobalTauri"], false);
    // `style-src` alone: else inline styles, which the page needs, are silently dropped.
    assert_eq!(
        app["security"]["dangerousDisableAssetCspModification"],
        serde_json::json!(["style-src"])
    );
    assert!(conf["build"].get("devUrl").is_none(), "a debug build would load a server's page");
    let text = conf.to_string();
    for open in ["dangerousRemote", "assetProtocol", "dangerousUseHttpScheme\":true"] {
        assert!(!text.contains(open), "tauri.conf.json has {open}");
    }
}

#[test]
fn the_page_may_listen_and_nothing_else() {
    let folder = root().join("src-tauri/capabilities");
    let names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(names, ["default.json"], "a new set of capabilities: is it needed?");
    let capability = json("src-tauri/capabilities/default.json");
    assert_eq!(capability["permissions"], serde_json::json!(CAPABILITIES));
    assert_eq!(capability["windows"], serde_json::json!(["main"]));
    assert!(capability.get("remote").is_none(), "pages from the network may call commands");
}
