//! Tool servers: what their tools are to the host, how they fail, and that nothing of them is left.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::{
    fs,
    path::PathBuf,
    time::{Duration, Instant},
};

use common::{CANARY, Place, call, done, done_until, error, ok, until, within};
use musher_protocol::PermissionMode;
use musher_runtime::{Effect, ToolHost, Verdict};
use musher_tools::{Host, HostConfig, Patience, ServerSources};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

fn server_program() -> PathBuf {
    let program = common::keeper_program().with_file_name("tools-mcp-server");
    assert!(program.is_file(), "{} is missing: build the examples", program.display());
    program
}

/// The scripted server, with these arguments.
fn scripted(args: &[&str]) -> Value {
    json!({"command": server_program(), "args": args})
}

fn listed(servers: Value) -> Option<String> {
    Some(json!({"mcpServers": servers}).to_string())
}

fn config(place: &Place, servers: Value) -> HostConfig {
    let servers = ServerSources { settings: listed(servers), ..ServerSources::default() };
    HostConfig { servers, ..place.config("allow tool mcp__a__e*") }
}

/// A host whose servers were started, and what it warned of.
async fn opened(config: HostConfig) -> (Host, Vec<String>) {
    let host = Host::new(config).unwrap();
    let warnings = within(host.open()).await;
    (host, warnings)
}

/// The same with the one scripted server `a`.
async fn host(place: &Place) -> Host {
    let (host, warnings) = opened(config(place, json!({"a": scripted(&[])}))).await;
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].starts_with("1 tools of the tool server `a` are left out"), "{warnings:?}");
    host
}

fn names(host: &Host) -> Vec<String> {
    let specs = host.specs(PermissionMode::Ask).into_iter().map(|spec| spec.name);
    specs.filter(|name| name.starts_with("mcp__")).collect()
}

/// Living processes of the place's tool servers.
fn alive(place: &Place) -> Vec<u32> {
    let folders = fs::read_dir(place.run_dir().join("tools")).into_iter().flatten().flatten();
    let mark = |name: std::ffi::OsString| format!("{}.{}", place.mark, name.to_string_lossy());
    let marks = folders.map(|folder| mark(folder.file_name()));
    marks.flat_map(|mark| musher_process::processes_with_mark(&mark)).map(|it| it.pid).collect()
}

async fn close(host: &Host, place: &Place) {
    let begun = Instant::now();
    assert_eq!(within(host.close()).await, Vec::<u32>::new());
    println!("closed in {:?}", begun.elapsed());
    assert_eq!(alive(place), Vec::<u32>::new());
}

#[tokio::test]
async fn tools_of_a_server_are_tools_of_the_host() {
    let place = Place::new();
    let host = host(&place).await;
    let names = names(&host);
    let long = format!("mcp__a__{}", "long".repeat(14));
    assert_eq!(names[..3], ["mcp__a__echo", "mcp__a__variable", "mcp__a__place"]);
    assert_eq!(names[names.len() - 3..], ["mcp__a__odd_name__", "mcp__a__odd_name___2", &*long]);
    let specs = host.specs(PermissionMode::Ask);
    let echo = specs.iter().find(|spec| spec.name == "mcp__a__echo").unwrap();
    let text = json!({"type": "object", "properties": {"text": {"type": "string"}}});
    assert_eq!(echo.parameters, text);
    assert_eq!(echo.description.len(), 1000);
    let hang = specs.iter().find(|spec| spec.name == "mcp__a__hang").unwrap();
    assert_eq!(hang.parameters, json!({"type": "object", "properties": {}}));
    assert_eq!(ok(&host, "mcp__a__echo", json!({"text": "one\ntwo"})).await, "one\ntwo\n");
    assert_eq!(ok(&host, "mcp__a__odd_name___2", json!({})).await, "this is odd name/ö\n");
    let again = within(host.open()).await;
    assert_eq!(again.len(), 1);
    close(&host, &place).await;
}

#[tokio::test]
async fn leave_is_asked_by_the_name_and_nothing_is_there_in_plan_mode() {
    let place = Place::new();
    let host = host(&place).await;
    let judged = async |name: &str, mode| host.intent(&call(name, json!({"k": "v"})), mode).await;
    let echo = judged("mcp__a__echo", PermissionMode::Ask).await.unwrap();
    let rule = Verdict::Allow { reason: "allow tool mcp__a__e*".into() };
    assert_eq!((echo.effect, echo.verdict), (Effect::Reads, rule));
    assert_eq!(echo.title, "a: echo {\"k\":\"v\"}");
    let place_tool = judged("mcp__a__place", PermissionMode::Ask).await.unwrap();
    assert_eq!(place_tool.effect, Effect::Changes);
    assert!(matches!(place_tool.verdict, Verdict::Ask { .. }));
    let planned = judged("mcp__a__echo", PermissionMode::Plan).await.unwrap();
    assert!(matches!(planned.verdict, Verdict::Deny { .. }));
    let specs = host.specs(PermissionMode::Plan);
    assert!(!specs.iter().any(|spec| spec.name.starts_with("mcp__")));
    close(&host, &place).await;
}

#[tokio::test]
async fn a_server_gets_its_own_variables_and_the_place_it_asks_for() {
    let place = Place::new();
    let server = json!({
        "command": server_program(), "cwd": "src",
        "env": {"TOKEN": "secret-${PATH}", "OTHER": "${NOT_THERE:-instead}"},
    });
    let (host, _) = opened(config(&place, json!({"a": server}))).await;
    let variable = async |name: &str| ok(&host, "mcp__a__variable", json!({"name": name})).await;
    assert_eq!(variable("TOKEN").await, "secret-/usr/local/bin:/usr/bin:/bin\n");
    assert_eq!(variable("OTHER").await, "instead\n");
    assert_eq!(variable("HOME").await, "(unset)\n");
    let at = ok(&host, "mcp__a__place", json!({})).await;
    assert_eq!(at.trim(), place.path("src").canonicalize().unwrap().to_str().unwrap());
    close(&host, &place).await;
}

#[tokio::test]
async fn answers_are_capped_and_what_is_no_text_is_named() {
    let place = Place::new();
    let host = host(&place).await;
    let huge = ok(&host, "mcp__a__huge", json!({})).await;
    assert!(huge.len() < 31_000, "{}", huge.len());
    assert!(huge.starts_with("line 0\n") && huge.contains("line 199999\n"));
    assert_eq!(
        ok(&host, "mcp__a__picture", json!({})).await,
        "[an image image/png, 4 bytes in base64, is not shown]\n\
         [file:///a]\ninside\n[a resource: b file:///b]\n"
    );
    assert_eq!(error(&host, "mcp__a__fail", json!({})).await, "it did not work\n");
    let refused = error(&host, "mcp__a__refuse", json!({})).await;
    assert!(refused.contains("not these arguments"), "{refused}");
    close(&host, &place).await;
}

#[tokio::test]
async fn a_server_that_dies_in_a_call_ends_that_call_alone() {
    let place = Place::new();
    let servers = json!({"a": scripted(&[]), "b": scripted(&[])});
    let (host, _) = opened(config(&place, servers)).await;
    let died = error(&host, "mcp__a__die", json!({})).await;
    assert_eq!(
        died,
        "The tool server a ended in this call, whose effects are not known: exit code 7; its last \
         words: out of cheese. It is started again, once, when one of its tools is called."
    );
    assert_eq!(alive(&place).len(), 1, "the other server");
    assert_eq!(ok(&host, "mcp__b__echo", json!({"text": "x"})).await, "x\n");
    assert!(names(&host).contains(&"mcp__a__echo".to_owned()), "the list changed within the run");
    close(&host, &place).await;
}

#[tokio::test]
async fn a_server_that_died_is_started_again_once_and_a_person_is_told() {
    let place = Place::new();
    let log = place.run_dir().join("log");
    let server = json!({"command": server_program(), "env": {"SERVER_LOG": log}});
    let (host, _) = opened(config(&place, json!({"a": server}))).await;
    let starts = || fs::read_to_string(&log).unwrap().matches("initialize\n").count();
    error(&host, "mcp__a__die", json!({})).await;
    assert_eq!(starts(), 1, "not before it is wanted");
    let text = || json!({"text": "x"});
    let both =
        tokio::join!(done(&host, "mcp__a__echo", text()), done(&host, "mcp__a__echo", text()));
    assert_eq!([&*both.0.text, &*both.1.text], ["x\n", "x\n"]);
    let told = [both.0.warnings, both.1.warnings].concat();
    let why = "exit code 7; its last words: out of cheese";
    assert_eq!(told, [format!("The tool server `a` ended ({why}) and was started again.")]);
    let after = done(&host, "mcp__a__echo", text()).await;
    assert_eq!((after.text.as_str(), after.warnings.len()), ("x\n", 0));

    let died = error(&host, "mcp__a__die", json!({})).await;
    assert!(died.ends_with("Its tools are gone for this run."), "{died}");
    let gone = error(&host, "mcp__a__echo", text()).await;
    assert!(gone.starts_with("The tool server a has ended: exit code 7"), "{gone}");
    assert_eq!(starts(), 2);
    close(&host, &place).await;
}

#[tokio::test]
async fn a_list_that_changed_is_told_anew_and_names_stay() {
    let place = Place::new();
    let host = host(&place).await;
    let before = host.specs(PermissionMode::Bypass);
    ok(&host, "mcp__a__relist", json!({})).await;
    let new = "mcp__a__brand_new".to_owned();
    until("the new tool is there", || names(&host).contains(&new)).await;
    assert_eq!(names(&host), ["mcp__a__place", "mcp__a__die", "mcp__a__relist", &*new]);
    let after = host.specs(PermissionMode::Bypass);
    let place_tool = after.iter().find(|spec| spec.name == "mcp__a__place").unwrap();
    assert_eq!(place_tool.description, "Another.");
    let own = |specs: &[musher_runtime::ToolSpec]| {
        specs.iter().filter(|it| !it.name.starts_with("mcp__")).count()
    };
    assert_eq!(own(&before), own(&after));
    assert_eq!(ok(&host, &new, json!({})).await, "this is brand new\n");
    let gone = error(&host, "mcp__a__echo", json!({"text": "x"})).await;
    assert!(gone.starts_with("There is no tool of this name"), "{gone}");
    close(&host, &place).await;
}

#[tokio::test]
async fn a_message_without_end_ends_its_server() {
    let place = Place::new();
    let host = host(&place).await;
    let text = error(&host, "mcp__a__flood", json!({})).await;
    assert!(text.contains("bytes in one message"), "{text}");
    until("the server is gone", || alive(&place).is_empty()).await;
    close(&host, &place).await;
}

#[tokio::test]
async fn a_call_that_hangs_ends_by_its_own_limit_and_by_a_stop() {
    let place = Place::new();
    let log = place.run_dir().join("log");
    let server = json!({"command": server_program(), "env": {"SERVER_LOG": log}});
    let mut config = config(&place, json!({"a": server}));
    config.servers.patience.call = Duration::from_millis(100);
    let (host, _) = opened(config.clone()).await;
    let text = error(&host, "mcp__a__hang", json!({})).await;
    assert!(text.starts_with("The tool server a gave no answer within 0.1 s"), "{text}");
    assert_eq!(ok(&host, "mcp__a__echo", json!({"text": "x"})).await, "x\n");
    let heard = || fs::read_to_string(&log).unwrap();
    until("the server is told", || heard().contains("notifications/cancelled")).await;
    close(&host, &place).await;

    let place = Place::new();
    let servers = config.servers.clone();
    let servers = ServerSources { patience: Patience::default(), ..servers };
    let (host, _) = opened(HostConfig { servers, ..place.config("") }).await;
    let stop = CancellationToken::new();
    let before = heard().matches("tools/call").count();
    let hanging = done_until(&host, "mcp__a__hang", json!({}), stop.clone());
    let stopping = async {
        until("the call is there", || heard().matches("tools/call").count() > before).await;
        stop.cancel();
        Instant::now()
    };
    let (outcome, stopped) = tokio::join!(hanging, stopping);
    assert!(outcome.is_error && outcome.text.starts_with("Stopped"), "{}", outcome.text);
    assert!(stopped.elapsed() < Duration::from_secs(5));
    close(&host, &place).await;
}

#[tokio::test]
async fn servers_that_do_not_start_are_warnings_and_the_others_are_there() {
    let place = Place::new();
    let servers = json!({
        "a": scripted(&["garbage"]),
        "dies": scripted(&["dies"]),
        "missing": {"command": "no-such-program-here"},
        "mute": scripted(&["mute"]),
        "off": {"command": "x", "disabled": true},
        "shapeless": {"command": 7},
        "unset": {"command": "x", "args": ["${NOT_THERE}"]},
    });
    let mut config = config(&place, servers);
    config.servers.patience.start = Duration::from_secs(2);
    let (host, warnings) = opened(config).await;
    let warned = |name: &str, what: &str| {
        let about = warnings.iter().find(|text| text.contains(&format!("`{name}`")));
        assert!(about.is_some_and(|text| text.contains(what)), "{name}: {warnings:#?}");
    };
    warned("dies", "exit code 3; its last words: no licence found");
    warned("missing", "no-such-program-here");
    warned("mute", "it was not ready within 2 s");
    warned("shapeless", "another shape");
    warned("unset", "NOT_THERE");
    assert_eq!(warnings.len(), 6, "{warnings:#?}");
    assert_eq!(ok(&host, "mcp__a__echo", json!({"text": "x"})).await, "x\n");
    assert!(names(&host).iter().all(|name| name.starts_with("mcp__a__")));
    close(&host, &place).await;
}

/// A server that does not heed the end of its input, with a daemon in a session of its own.
fn stubborn() -> Value {
    let script = "setsid sh -c 'trap \"\" TERM HUP; sleep 1000' & trap '' TERM; exec \"$0\" deaf";
    json!({"command": "sh", "args": ["-c", script, server_program()]})
}

#[tokio::test]
async fn nothing_is_left_after_the_end() {
    let place = Place::new();
    let (host, _) = opened(config(&place, json!({"a": stubborn()}))).await;
    assert_eq!(ok(&host, "mcp__a__echo", json!({"text": "x"})).await, "x\n");
    until("server and daemon run", || alive(&place).len() >= 3).await;
    close(&host, &place).await;
    let after = error(&host, "mcp__a__echo", json!({"text": "x"})).await;
    assert!(after.contains("the run is over"), "{after}");
    musher_tools::clean(&place.run_dir()).unwrap();
}

#[tokio::test]
async fn a_start_that_is_given_up_leaves_nothing() {
    let place = Place::new();
    let host = Host::new(config(&place, json!({"a": scripted(&["mute", "deaf"])}))).unwrap();
    tokio::select! {
        _ = host.open() => panic!("a server that says nothing is no server"),
        () = until("the server runs", || !alive(&place).is_empty()) => {}
    }
    close(&host, &place).await;
}

#[tokio::test]
async fn the_next_engine_ends_what_a_lost_one_left() {
    let place = Place::new();
    // An engine that is killed: all its tasks end where they are.
    let (path, mark) = (place.config(""), json!({"a": stubborn()}));
    let lost = std::thread::spawn(move || {
        let engine = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        let servers = ServerSources { settings: listed(mark), ..ServerSources::default() };
        let host = engine.block_on(opened(HostConfig { servers, ..path })).0;
        std::mem::forget(host);
        engine.shutdown_background();
    });
    tokio::task::spawn_blocking(|| lost.join().unwrap()).await.unwrap();
    until("server and daemon run", || alive(&place).len() >= 3).await;
    let next = place.host();
    assert_eq!(within(next.end_left_over()).await, Vec::<u32>::new());
    assert_eq!(alive(&place), Vec::<u32>::new());
}

#[tokio::test]
async fn an_untrusted_project_starts_nothing() {
    let place = Place::new();
    let canary = place.run_dir().join(CANARY);
    let touch = json!({"command": "touch", "args": [canary]});
    let list = json!({"mcpServers": {"evil": touch, "a": scripted(&[])}}).to_string();
    place.put(".mcp.json", &list);
    let mut config = place.config("");
    let (host, warnings) = opened(config.clone()).await;
    assert_eq!((names(&host), warnings), (vec![], vec![]));
    // Nor when the settings name a file there, or a link that leads out of it.
    let outside = place.run_dir().join("outside.json");
    std::fs::write(&outside, &list).unwrap();
    std::os::unix::fs::symlink(&outside, place.root().join("link.json")).unwrap();
    for named in [".mcp.json", "link.json"] {
        config.servers.settings = Some(named.into());
        let (host, warnings) = opened(config.clone()).await;
        assert!(names(&host).is_empty() && warnings[0].contains("not trusted"), "{warnings:?}");
    }
    assert!(!canary.exists() && !place.run_dir().join("tools").exists());
    // The same project, trusted.
    config.servers = ServerSources { trusted: true, ..ServerSources::default() };
    let (host, _) = opened(config).await;
    assert!(canary.exists(), "the canary itself does not sing");
    assert_eq!(done(&host, "mcp__a__echo", json!({"text": "x"})).await.text, "x\n");
    close(&host, &place).await;
}

#[tokio::test]
async fn a_list_that_is_no_file_of_the_project_is_refused_and_told() {
    let place = Place::new();
    let outside = place.run_dir().join("servers.json");
    fs::write(&outside, json!({"mcpServers": {"a": scripted(&[])}}).to_string()).unwrap();
    std::os::unix::fs::symlink(outside, place.path(".mcp.json")).unwrap();
    let mut config = place.config("");
    config.servers.trusted = true;
    let (host, warnings) = opened(config).await;
    assert!(names(&host).is_empty() && warnings[0].contains("out of the worktree"), "{warnings:?}");
}

#[tokio::test]
async fn settings_are_a_file_too_and_count_more_than_the_project() {
    let place = Place::new();
    let project = json!({"mcpServers": {"a": {"command": "false"}}}).to_string();
    place.put(".mcp.json", &project);
    let file = place.run_dir().join("servers.json");
    fs::write(&file, json!({"mcpServers": {"a": scripted(&[])}}).to_string()).unwrap();
    let mut config = place.config("");
    config.servers.trusted = true;
    config.servers.settings = Some(file.display().to_string());
    let (host, _) = opened(config.clone()).await;
    assert_eq!(ok(&host, "mcp__a__echo", json!({"text": "x"})).await, "x\n");
    close(&host, &place).await;
    for (bad, why) in [("{\"mcpServers\"", "no JSON"), ("{}", "no list"), ("/nowhere", "read")] {
        config.servers = ServerSources { settings: Some(bad.into()), ..ServerSources::default() };
        let (_, warnings) = opened(config.clone()).await;
        assert!(warnings.len() == 1 && warnings[0].contains(why), "{warnings:?}");
    }
}

/// Before there is a run: nothing is waited for, and what would not start is refused.
#[test]
fn a_list_is_looked_at_as_a_start_does() {
    let place = Place::new();
    let pipe = place.root().join("pipe.json");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &pipe,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from(0o600),
        0,
    )
    .unwrap();
    let why = musher_tools::check_servers("pipe.json", &place.root()).unwrap_err();
    assert!(why.ends_with("is no file"), "{why}");
    for (entry, wrong) in [
        (json!({"type": "sse", "url": "http://x/"}), "sse"),
        (json!({"type": "http", "command": "x"}), "neither"),
        (json!({}), "neither"),
        (json!([1]), "another shape"),
    ] {
        let list = json!({"mcpServers": {"a": entry}}).to_string();
        let why = musher_tools::check_servers(&list, &place.root()).unwrap_err();
        assert!(why.contains(wrong) && why.contains("`a`"), "{why}");
    }
    let off = json!({"mcpServers": {"a": {"disabled": true}, "b": {"command": "x"}}}).to_string();
    musher_tools::check_servers(&off, &place.root()).unwrap();
}
