//! The real window, as a person meets it: on an X server of its own (`cargo xtask test`), driven by
//! WebKit's own driver, with real drags, a real tray menu and real notifications.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "window/desktop.rs"]
mod desktop;
#[path = "window/http.rs"]
mod http;
#[path = "window/stage.rs"]
mod stage;
#[path = "window/webdriver.rs"]
mod webdriver;

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use musher_testkit::wait::{LIMIT, until_some};
use serde_json::json;

use desktop::{
    Tray, close_musher, drag_onto_musher, musher_window, picture_of, screenshot, shown, xdotool,
};
use stage::{Stage, alive};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn picture(name: &str) -> PathBuf {
    root().join("test-output").join(format!("{name}.png"))
}

/// The demo's run row in this phase.
fn row(phase: &str) -> String {
    format!("[data-testid=\"run-row\"][data-phase=\"{phase}\"]")
}

#[test]
#[ignore = "needs a display: cargo xtask test"]
fn drop_a_folder_start_the_demo_allow_the_command_see_the_diff() {
    let stage = Stage::new();
    let mut tray = Tray::start();
    let repository = stage.repository("Sonnenuhr ü");
    let page = stage.open(&[]);
    page.part("dropzone");
    tray.wait_for_icon();
    assert_eq!(tray.menu(), ["Open Musher", "No live runs", "Stop all…", "Quit Musher"]);
    screenshot(&picture("1-first-start"));

    drag_onto_musher(&[&repository], || {
        page.part("drop-overlay");
        page.says("Sonnenuhr ü");
        screenshot(&picture("2-drag"));
    });
    page.says("What should be done in Sonnenuhr ü");
    // The last to come is what the base's commit says; before, a click may miss what still moves.
    page.says("begin");
    page.part("try-demo").click();
    page.element(&row("running"));
    tray.wait_for("running");

    page.part("permission");
    tray.wait_for("needs you");
    screenshot(&picture("3-permission"));
    page.part("allow").click();
    page.element(&row("done"));
    page.says("with your leave");
    tray.wait_for("No live runs");

    page.element("[data-testid=\"changed-file\"][data-path$=\"greet.sh\"]").click();
    until_some("the diff shows the greeting", || {
        page.part("diff").text().contains("Your agents are ready").then_some(())
    });
    screenshot(&picture("4-diff"));
    if std::env::var_os("MUSHER_WRITE_SCREENSHOT").is_some() {
        picture_of(&musher_window().unwrap(), &root().join("docs/screenshot.png"));
    }
    // The person looked at the window all the time.
    stage.notifications.none_within(Duration::from_secs(1));
}

#[test]
#[ignore = "needs a display: cargo xtask test"]
fn a_run_is_stopped_and_nothing_of_it_is_left() {
    let stage = Stage::new();
    let page = stage.open(&[]);
    page.part("try-demo").click();
    page.element(&row("running"));
    let agents =
        until_some("the demo agent lives", || Some(stage.agents()).filter(|all| !all.is_empty()));
    page.part("stop").click();
    page.element(&row("done"));
    page.says("You stopped it.");
    assert_eq!(agents.iter().filter(|pid| alive(**pid)).count(), 0);
    screenshot(&picture("5-stopped"));
}

#[test]
#[ignore = "needs a display: cargo xtask test"]
fn killed_in_the_middle_it_shows_everything_at_the_next_start() {
    let stage = Stage::new();
    let page = stage.open(&[]);
    page.part("try-demo").click();
    page.says("First I look at what is here.");
    let app = page.app();
    let before = stage.agents();
    stage.kill(app);
    page.close();
    until_some("the app is dead", || (!alive(app)).then_some(()));
    assert!(before.iter().any(|pid| alive(*pid)), "the agent went with the window");

    let page = stage.open(&[]);
    page.element("[data-testid=\"run-row\"]").click();
    page.says("First I look at what is here.");
    page.part("allow").click();
    page.element(&row("done"));
    page.says("Done. There are two new files");
    let events = page.promise(
        "window.__TAURI_INTERNALS__.invoke('rpc', { name: 'run_events', params: { \
           run: document.querySelector('[data-testid=\"run-row\"]').dataset.run, from_seq: 1 } })",
    );
    let events = events["fine"]["events"].as_array().unwrap().clone();
    let numbers: Vec<_> = events.iter().map(|event| event["seq"].as_u64().unwrap()).collect();
    assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>());
    let asked = events.iter().filter(|event| event["event"]["type"] == "permission_request");
    assert_eq!(asked.count(), 1, "an event is doubled or missing");
    let whole = |event: &&serde_json::Value| {
        event["event"]["text"] == "First I look at what is here."
            && event["event"]["delta"].is_null()
    };
    assert_eq!(events.iter().filter(whole).count(), 1, "an event is doubled or missing");
    screenshot(&picture("6-after-the-kill"));
}

/// The same job by the real program, against a scripted model on this machine.
#[test]
#[ignore = "needs a display, and the claude package: cargo xtask test --live"]
fn the_real_claude_works_in_the_window() {
    let Ok(live) = musher_testkit::Live::new() else {
        assert!(std::env::var_os("CI").is_none(), "the claude package is fetched before this test");
        eprintln!("skipped: `cargo xtask test --live` fetches the claude package");
        return;
    };
    let stage = Stage::new();
    let page = stage.open(&[]);
    page.part("dropzone");
    let params = json!({ "name": "run_start", "params": {
        "prompt": "Write a greeting [[model:agentic]]",
        "place": { "kind": "fresh", "repository": live.repo.path() },
        "settings": { "runtime": "claude-code", "command": live.claude, "env": live.env() },
    } });
    let started = page.promise(&format!("window.__TAURI_INTERNALS__.invoke('rpc', {params})"));
    let run = started["fine"]["id"].as_str().unwrap_or_else(|| panic!("{started}"));
    page.element(&format!("[data-testid=\"run-row\"][data-run=\"{run}\"]")).click();
    // It asks for the file and for the change; a command that only looks needs no leave.
    for asked in ["greeting.txt"; 2] {
        until_some(asked, || page.part("permission").text().contains(asked).then_some(()));
        screenshot(&picture("claude-asks"));
        let before = page.text();
        page.part("allow").click();
        until_some("the card is answered", || (page.text() != before).then_some(()));
    }
    page.element(&row("done"));
    page.says("Done: written, edited and seen by git.");
    page.element("[data-testid=\"changed-file\"][data-path=\"greeting.txt\"]").click();
    until_some("the diff shows the greeting", || {
        page.part("diff").text().contains("planet").then_some(())
    });
    screenshot(&picture("claude-done"));
    assert!(stage.agents().is_empty(), "something of the run is left");
}

#[test]
#[ignore = "needs a display: cargo xtask test"]
fn closed_it_hides_and_says_who_needs_somebody() {
    let mut stage = Stage::new();
    let mut tray = Tray::start();
    let page = stage.open(&[]);
    tray.wait_for_icon();
    let idle = tray.icon();
    page.part("try-demo").click();
    page.part("permission");
    tray.wait_for("needs you");
    assert_ne!(tray.icon(), idle);
    close_musher();
    stage.notifications.until("Musher goes on in the tray", "Its agents work on");

    // Another run, started while nobody looks.
    let started = page.promise(
        "window.__TAURI_INTERNALS__.invoke('rpc', { name: 'run_start', params: { prompt: 'Say hello', \
           place: { kind: 'fresh', repository: 'demo' }, settings: { runtime: 'demo', permission_mode: 'accept-edits' } } })",
    );
    let run = started["fine"]["id"].as_str().unwrap_or_else(|| panic!("{started}"));
    let asks = stage.notifications.until("coder-1 in demo-repository needs you", "Say hello (");
    assert!(asks["body"].as_str().unwrap().contains("greet.sh"), "{asks}");
    assert_eq!(asks["actions"][0], "default");
    stage.notifications.click(&asks);
    until_some("the window is back", musher_window);
    let row = format!("[data-testid=\"run-row\"][data-run=\"{run}\"]");
    page.element(&format!("{row}[aria-current]"));
    page.part("deny").click();
    page.element(&format!("{row}[data-phase=\"done\"]"));
    screenshot(&picture("7-opened-by-the-notification"));

    let app = page.app();
    let agents = stage.agents();
    tray.click("Quit Musher (the agent goes on)");
    until_some("the app ended", || (!alive(app)).then_some(()));
    tray.wait_until_gone();
    assert!(agents.iter().any(|pid| alive(*pid)), "the agent went with the window");
}

#[test]
#[ignore = "needs a display: cargo xtask test"]
fn a_run_that_is_not_in_view_is_told_of() {
    let stage = Stage::new();
    let page = stage.open(&[]);
    page.part("try-demo").click();
    page.part("permission");
    stage.notifications.none_within(Duration::from_secs(1));
    let started = page.promise(
        "window.__TAURI_INTERNALS__.invoke('rpc', { name: 'run_start', params: { prompt: 'Elsewhere', \
           place: { kind: 'fresh', repository: 'demo' }, settings: { runtime: 'demo', permission_mode: 'accept-edits' } } })",
    );
    assert!(started["fine"]["id"].is_string(), "{started}");
    stage.notifications.until("coder-1 in demo-repository needs you", "Elsewhere (");
}

#[test]
#[ignore = "needs a display: cargo xtask test"]
fn a_display_that_does_not_answer_is_told_in_a_sentence() {
    let stage = Stage::new();
    let ended = stage.run_on_display(":6077");
    assert_eq!(ended.code, Some(1), "{}", ended.error);
    assert!(
        ended.error.starts_with("There is no display to open a window on.\n"),
        "{}",
        ended.error
    );
    assert!(ended.error.contains("musher serve") && !ended.error.contains("panicked"));
}

#[test]
#[ignore = "needs a display: cargo xtask test"]
fn a_hidden_window_comes_back_when_its_tray_goes() {
    let stage = Stage::new();
    let page = stage.open(&[]);
    page.part("dropzone");
    // The panel comes later than the app, as it may at the start of a session.
    let mut tray = Tray::start();
    tray.wait_for_icon();
    page.part("try-demo").click();
    page.element(&row("running"));
    tray.wait_for("running");
    close_musher();
    drop(tray);
    until_some("the window is back", musher_window);
    let mut tray = Tray::start();
    tray.wait_for_icon();
    tray.wait_for("Open Musher");
}

#[test]
#[ignore = "needs a display: cargo xtask test"]
fn without_a_tray_closing_quits_and_the_agent_goes_on() {
    let stage = Stage::new();
    let page = stage.open(&[]);
    page.part("try-demo").click();
    page.element(&row("running"));
    let agents =
        until_some("the demo agent lives", || Some(stage.agents()).filter(|all| !all.is_empty()));
    let app = page.app();
    let asked = Instant::now();
    close_musher();
    until_some("the app ended", || (!alive(app)).then_some(()));
    assert!(asked.elapsed() < Duration::from_secs(5), "it took {:?}", asked.elapsed());
    assert!(agents.iter().any(|pid| alive(*pid)), "the agent went with the window");
}

#[test]
#[ignore = "needs a display: cargo xtask test"]
fn the_tray_stops_all_after_a_question_and_opens_a_run() {
    let stage = Stage::new();
    let mut tray = Tray::start();
    let page = stage.open(&[]);
    tray.wait_for_icon();
    page.part("try-demo").click();
    page.element(&row("running"));
    page.part("new-story").click();
    let label = tray.wait_for("running");
    tray.click(&label);
    page.part("stop");
    tray.click("Stop all…");
    let question = until_some("the question is asked", || shown("^Stop the live run"));
    screenshot(&picture("8-stop-all"));
    // The default is to stop nothing.
    xdotool(&["windowactivate", "--sync", &question, "key", "Return"]);
    until_some("the question is gone", || shown("^Stop the live run").is_none().then_some(()));
    assert!(page.has(&row("running")) || page.has(&row("waiting_permission")));
    tray.click("Stop all…");
    let question = until_some("the question is asked again", || shown("^Stop the live run"));
    xdotool(&["windowactivate", "--sync", &question, "key", "alt+y"]);
    page.element(&row("done"));
    tray.wait_for("No live runs");
}

#[test]
#[ignore = "needs a display: cargo xtask test"]
fn a_second_start_brings_the_first_forward() {
    let stage = Stage::new();
    let repository = stage.repository("second");
    let page = stage.open(&[]);
    page.part("dropzone");
    page.promise("window.__TAURI_INTERNALS__.invoke('rpc', { name: 'run_list', params: {} })");
    let began = Instant::now();
    let second = stage.run_again(&[repository.to_str().unwrap()]);
    assert_eq!(second.code, Some(0), "{}", second.error);
    assert!(began.elapsed() < LIMIT);
    page.part("composer-input");
    page.says("second");
    assert!(alive(page.app()));
}

#[test]
#[ignore = "needs a display: cargo xtask test"]
fn the_page_may_do_nothing_but_its_own() {
    let stage = Stage::new();
    let page = stage.open(&[]);
    page.part("dropzone");
    let invoke = |command: &str, args: &str| {
        page.promise(&format!("window.__TAURI_INTERNALS__.invoke('{command}', {args})"))
    };
    for command in [
        "plugin:window|close",
        "plugin:window|set_title",
        "plugin:webview|create_webview_window",
        "plugin:event|emit",
        "plugin:app|version",
        "plugin:path|resolve_directory",
        "plugin:menu|new",
        "plugin:tray|new",
        "plugin:image|from_path",
        "plugin:resources|close",
        "plugin:shell|execute",
        "plugin:fs|read_file",
        "plugin:dialog|open",
        "greet",
    ] {
        let said = invoke(command, "{}");
        assert!(said["refused"].is_string(), "{command}: {said}");
    }
    for (name, params, code) in [
        ("no_such", "{}", "not_found"),
        ("run_get", "{ run: 7 }", "bad_request"),
        ("run_get", "{ run: '../../etc' }", "bad_request"),
        ("run_get", "{}", "bad_request"),
        ("folder_inspect", "{ path: 'relative' }", "bad_request"),
        ("open_external", "{ target: 'file:///etc/passwd' }", "bad_request"),
        ("open_external", "{ target: '/etc/passwd' }", "bad_request"),
        ("page_log", "{ message: 'x'.repeat(10 << 20) }", "bad_request"),
    ] {
        let said = invoke("rpc", &format!("{{ name: '{name}', params: {params} }}"));
        let refused = said["refused"].as_str().unwrap_or_default();
        assert!(refused.contains(code), "{name} {params}: {said}");
    }
    let many = "Promise.all(Array.from({ length: 2000 }, () => \
        window.__TAURI_INTERNALS__.invoke('rpc', { name: 'run_list', params: {} }))).then((all) => all.length)";
    assert_eq!(page.promise(many)["fine"], 2000);
}

#[test]
#[ignore = "needs a display: cargo xtask test"]
fn the_page_goes_nowhere() {
    let stage = Stage::new();
    let page = stage.open(&[]);
    page.part("dropzone");
    let place = page.script("return location.href", json!([]));
    for script in [
        "location.href = 'https://example.org/'",
        "location.href = 'file:///etc/passwd'",
        "window.open('https://example.org/')",
        "document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"document.title=1\">')",
        "const a = document.createElement('a'); a.href = 'javascript:document.title=1'; document.body.append(a); a.click()",
        "const s = document.createElement('script'); s.textContent = 'document.title=1'; document.body.append(s)",
        "const f = document.createElement('iframe'); f.src = 'https://example.org/'; document.body.append(f)",
    ] {
        page.script(script, json!([]));
    }
    // An answered command was asked after all that.
    page.promise("window.__TAURI_INTERNALS__.invoke('rpc', { name: 'run_list', params: {} })");
    assert_eq!(page.script("return location.href", json!([])), place);
    assert_ne!(page.script("return document.title", json!([])), json!("1"));
    assert!(page.has("[data-testid=\"dropzone\"]"));
}

#[test]
#[ignore = "needs a display: cargo xtask test"]
fn a_locked_data_directory_is_named_with_the_next_step() {
    let stage = Stage::new();
    let _lock = stage.lock();
    let started = stage.start_and_read_error();
    assert!(
        started.contains(stage.data_dir().to_str().unwrap()) || started.contains("data directory"),
        "{started}"
    );
    assert!(started.lines().count() >= 2, "there is no next step: {started}");
}

/// A command has the engine only until a window wants it, and follows its run there.
#[test]
#[ignore = "needs a display: cargo xtask test"]
fn a_command_gives_way_to_the_window_and_goes_on_as_its_guest() {
    let stage = Stage::new();
    let repository = stage.repository("given");
    let mut begun = stage.musher(&[
        "--json",
        "run",
        "go",
        "--repo",
        repository.to_str().unwrap(),
        "--runtime",
        "demo",
        "--arg",
        "--demo-script",
        "--arg",
        "slow",
    ]);
    let run = begun.until("session")["run"].as_str().unwrap().to_owned();
    // As a crash does: its agent goes on without an engine.
    begun.child.kill().unwrap();
    begun.child.wait().unwrap();
    let mut followed = stage.musher(&["--json", "events", &run, "--follow"]);
    followed.until("text");

    let page = stage.open(&[]);
    page.element(&row("running")).click();
    assert!(alive(followed.child.id()), "the command goes on");
    page.part("stop").click();
    page.element(&row("done"));
    followed.until("done");
    assert!(followed.child.wait().unwrap().success(), "it heard the end from the window's engine");
}
