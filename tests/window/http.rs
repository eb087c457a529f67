//! Agents whose model is reached over HTTP: the window shows their work as it shows Claude Code's.

use std::time::{Duration, Instant};

use musher_testkit::{
    dialects::{Dialect, Offer, ScriptedEndpoint, agentic},
    wait::until_some,
};
use serde_json::json;

use super::{
    desktop::{drag_onto_musher, musher_window, screenshot, xdotool},
    picture, row,
    stage::{Stage, alive},
    webdriver::{ENTER, Page},
};

const BROKEN: &str = "add() { echo $(($1 - $2)); }\n";
const MENDED: &str = "add() { echo $(($1 + $2)); }\n";
const TEST: &str = ". ./add.sh\ntest \"$(add 2 3)\" = 5 && echo it holds\n";
const SAID: &str = "The sum was a difference; it is mended and the test holds.";
/// A card takes no key in the moment in which it appears.
const PRESS_AGAIN: Duration = Duration::from_secs(1);

/// A model that reads, edits and runs; no key is needed, as with one on the person's own machine.
fn model(dialect: Dialect) -> ScriptedEndpoint {
    let steps = [
        vec![("read_file", json!({"path": "add.sh"})), ("read_file", json!({"path": "test.sh"}))],
        vec![("edit_file", json!({"path": "add.sh", "old": "$1 - $2", "new": "$1 + $2"}))],
        vec![("run_command", json!({"command": "sh test.sh"}))],
    ];
    Offer::new(dialect).without_key().start(agentic(steps, SAID)).unwrap()
}

/// With the keys of a person: which runtime, where its model is, what is to be done.
fn begin(page: &Page, runtime: &str, endpoint: &ScriptedEndpoint) {
    page.element(&format!("[data-testid=\"runtime\"] option[value=\"{runtime}\"]")).click();
    page.part("address").type_in(&endpoint.base_url());
    page.part("model").type_in("scripted-large");
    page.part("composer-input").type_in("Mend the test.");
    page.part("composer-input").type_in(ENTER);
}

/// The text of the card that asks, once it asks for this.
fn card(page: &Page, asked: &str) -> String {
    until_some(asked, || Some(page.part("permission").text()).filter(|text| text.contains(asked)))
}

/// Allows what asks, by the key that the card shows.
fn allow_by_key(page: &Page, asked: &str) {
    let focus = "document.querySelector('[data-testid=\"transcript\"]').focus()";
    page.script(focus, json!([]));
    let mut pressed: Option<Instant> = None;
    until_some(&format!("{asked} is allowed"), || {
        let text = "return document.querySelector('[data-testid=\"permission\"]')?.innerText ?? ''";
        let open = page.script(text, json!([]));
        if !open.as_str()?.contains(asked) {
            return Some(());
        }
        if pressed.is_none_or(|pressed| pressed.elapsed() > PRESS_AGAIN) {
            let window = musher_window()?;
            xdotool(&["windowactivate", "--sync", &window, "key", "a"]);
            pressed = Some(Instant::now());
        }
        None
    });
}

/// The text of the tool's card that begins so.
fn tool(page: &Page, begins: &str) -> String {
    page.element(&format!("section[aria-label^=\"{begins}\"]")).text()
}

fn a_test_is_mended(runtime: &str, dialect: Dialect) {
    let (stage, endpoint) = (Stage::new(), model(dialect));
    let repository = stage.repository_of("sums", &[("add.sh", BROKEN), ("test.sh", TEST)]);
    let page = stage.open(&[]);
    page.part("dropzone");
    drag_onto_musher(&[&repository], || page.says("sums"));
    page.says("What should be done in sums");
    page.says("begin");
    begin(&page, runtime, &endpoint);

    // What it asks for is seen as a diff before it is allowed.
    let edit = card(&page, "Wants to change a file");
    for shown in ["add.sh", "1 change", "+1", "$1 - $2", "$1 + $2"] {
        assert!(edit.contains(shown), "{shown}: {edit}");
    }
    screenshot(&picture(&format!("{runtime}-asks")));
    allow_by_key(&page, "Wants to change a file");
    assert!(card(&page, "Wants to run a command").contains("sh test.sh"));
    allow_by_key(&page, "Wants to run a command");
    page.element(&row("done"));
    page.says(SAID);
    screenshot(&picture(&format!("{runtime}-done")));

    assert!(page.has("section[aria-label=\"Read add.sh, test.sh\"]"), "{}", page.text());
    let edited = tool(&page, "Edited add.sh");
    assert!(edited.contains("+1") && edited.contains("$1 + $2"), "{edited}");
    let ran = tool(&page, "Ran sh test.sh");
    assert!(ran.contains("it holds") && ran.contains("allowed by you"), "{ran}");
    // How it ended, what it took, and what it cost: a model on this machine costs nothing.
    page.says("ready for review");
    let end = page.element(".end .words").text();
    assert!(end.starts_with("Done.") && end.contains("tokens"), "{end}");
    assert!(end.contains("no cost"), "{end}");

    page.element("[data-testid=\"changed-file\"][data-path=\"add.sh\"]").click();
    until_some("the diff shows the sum", || {
        let diff = page.part("diff").text();
        (diff.contains("$1 - $2") && diff.contains("$1 + $2")).then_some(())
    });
    let worktree = stage.worktrees().remove(0);
    assert_eq!(std::fs::read_to_string(worktree.join("add.sh")).unwrap(), MENDED);
    assert_eq!(std::fs::read_to_string(repository.join("add.sh")).unwrap(), BROKEN);
    endpoint.check().unwrap();
    assert_eq!(endpoint.turns().len(), 4);
}

#[test]
#[ignore = "needs a display: cargo xtask test"]
fn an_openai_compatible_model_mends_a_test_in_the_window() {
    a_test_is_mended("openai", Dialect::Chat);
}

#[test]
#[ignore = "needs a display: cargo xtask test"]
fn a_gemini_model_mends_a_test_in_the_window() {
    a_test_is_mended("gemini", Dialect::Gemini);
}

/// An agent that lives in a command is seen and answered from a window, which has the engine after it.
#[test]
#[ignore = "needs a display: cargo xtask test"]
fn a_window_is_the_guest_of_a_command_with_an_agent_in_it() {
    let stage = Stage::new();
    let steps = [vec![("run_command", json!({"command": "echo from the command"}))]];
    let endpoint = Offer::new(Dialect::Chat).without_key().start(agentic(steps, SAID)).unwrap();
    let repository = stage.repository("visited");
    let mut begun = stage.musher(&[
        "--json",
        "run",
        "go",
        "--repo",
        repository.to_str().unwrap(),
        "--runtime",
        "openai",
        "--base-url",
        &endpoint.base_url(),
        "--model",
        "scripted-large",
    ]);
    begun.until("permission_request");

    let page = stage.open(&[]);
    page.element("[data-testid=\"run-row\"]").click();
    assert!(card(&page, "Wants to run a command").contains("from the command"));
    assert!(alive(begun.child.id()), "the agent lives in it");
    let again = stage.run_again(&[]);
    assert_eq!(again.code, Some(0), "the guest is asked to come forward: {}", again.error);
    page.part("allow").click();
    begun.until("done");
    assert!(begun.child.wait().unwrap().success());
    // What the page asks now, the window's own engine answers.
    page.says(SAID);
    page.element(&row("done"));
    let again = stage.run_again(&[]);
    assert_eq!(again.code, Some(0), "the window is asked to come forward: {}", again.error);
    page.part("composer-input").type_in("Once more.");
    page.part("composer-input").type_in(ENTER);
    card(&page, "Wants to run a command");
    page.part("allow").click();
    until_some("the story goes on", || {
        let all = page.text().matches(SAID).count();
        (all > 1).then_some(())
    });
}

#[test]
#[ignore = "needs a display: cargo xtask test"]
fn a_window_is_the_guest_of_a_server_and_goes_on_without_it() {
    let stage = Stage::new();
    let mut serving = stage.musher(&["serve"]);
    let socket = stage.data_dir().join("engine.sock");
    until_some("it serves", || socket.exists().then_some(()));
    let page = stage.open(&[]);
    page.part("dropzone");
    let server = serving.child.id().to_string();
    assert!(std::process::Command::new("kill").arg(server).status().unwrap().success());
    assert!(serving.child.wait().unwrap().success());
    page.part("try-demo").click();
    page.element(&row("running"));
    page.part("stop").click();
    page.element(&row("done"));
}
