//! The parts, in order: what is quick and often wrong comes first.

use anyhow::Result;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{
    Options, live,
    model_server::{self, ModelServer},
    session::Session,
};
use crate::{display::Display, page, place, shell, system, tidy};

pub fn all(session: &mut Session, options: &Options) {
    if !session.check("what is missing", || install(options)) {
        return;
    }
    session.check("tidy", || tidy::command(&[]));
    ui(session);
    clippy(session);
    licences(session);
    if session.check("build", build) {
        rust(session);
        let claude = claude(session, options);
        live_tests(session, options, claude.as_deref());
        model_server(session, options);
        windows(session, options, claude.as_deref());
    } else {
        session.skip("Rust, live, window and browser tests", "there is nothing to test");
    }
}

/// Only what needs a display and a browser.
pub fn only_windows(session: &mut Session, options: &Options) {
    if session.check("what is missing", || install(options))
        && session.check("page build", page::build)
        && session.check("build", build)
    {
        let claude = claude(session, options);
        windows(session, options, claude.as_deref());
    }
}

/// Only the Rust tests whose name contains the filter.
pub fn filtered(session: &mut Session, options: &Options, filter: &str) {
    if session.check("build", build) {
        let mut command = tests(&["--no-tests=pass"], &[]);
        command.arg(filter);
        session.suite("Rust tests", 20, command);
        if options.live {
            let claude = claude(session, options);
            live_tests(session, options, claude.as_deref());
            model_server(session, options);
        }
    }
}

fn install(options: &Options) -> Result<()> {
    system::ensure(&system::of_this_system(system::TO_BUILD))?;
    system::ensure_node()?;
    if !options.no_window && cfg!(target_os = "linux") {
        system::ensure(&system::of_this_system(system::TO_TEST_WINDOWS))?;
    }
    page::install()
}

/// Before everything that compiles the window: it embeds the page.
fn ui(session: &mut Session) {
    for script in ["check", "lint", "test", "build"] {
        let title = format!("page {script}");
        if !page::has_script(script) {
            session.skip(&title, "the page has no such script");
        } else if script == "test" {
            session.suite(&title, 5, page::npm(["run", script]));
        } else {
            session.check(&title, || shell::run(&mut page::npm(["run", script])));
        }
    }
}

/// Tests may do what the rest must not (start a process, for example): two passes.
fn clippy(session: &mut Session) {
    const ALL: [&str; 3] = ["clippy", "--workspace", "--all-targets"];
    const SHIPPED: [&str; 2] = ["clippy", "--workspace"];
    let tests_may = ["--", "-D", "warnings", "-A", "clippy::disallowed_methods"];
    session.check("clippy", || shell::run(shell::cargo().args(ALL).args(tests_may)));
    session.check("clippy of what is shipped", || {
        shell::run(shell::cargo().args(SHIPPED).args(["--", "-D", "warnings"]))
    });
}

/// Without the advisories: their list is on a network that not every machine reaches.
fn licences(session: &mut Session) {
    const TITLE: &str = "licences and sources";
    if !shell::has("cargo-deny") {
        session.skip(TITLE, "cargo-deny is not installed");
        return;
    }
    session.check(TITLE, || {
        shell::run(shell::cargo().args(["deny", "check", "bans", "licenses", "sources"]))
    });
}

/// Programs and tests together, for the whole workspace: parts of it alone would be built with
/// other features, and so a second time.
fn build() -> Result<()> {
    shell::run(shell::cargo().args(["build", "--workspace", "--bins", "--tests"]))
}

fn rust(session: &mut Session) {
    session.suite("Rust tests", 20, tests(&["--no-fail-fast"], &["--no-fail-fast"]));
    if !shell::has("cargo-nextest") {
        return; // `cargo test` ran the examples in the documentation as well.
    }
    if has_examples_in_documentation() {
        let mut command = cargo();
        command.args(["test", "--workspace", "--doc"]);
        session.suite("examples in the documentation", 5, command);
    }
}

/// The real claude, when it is asked for and can be had.
fn claude(session: &mut Session, options: &Options) -> Option<PathBuf> {
    const TITLE: &str = "the real claude";
    if !options.live {
        session.skip(TITLE, "its tests run with --live");
        return None;
    }
    if !live::is_possible() {
        session.skip(TITLE, "the pinned one is for Linux on x86-64");
        return None;
    }
    let mut found = None;
    session.check(TITLE, || {
        found = Some(live::fetch()?);
        Ok(())
    });
    found
}

fn live_tests(session: &mut Session, options: &Options, claude: Option<&Path>) {
    let names = test_files("live");
    if let Some(claude) = claude.filter(|_| !names.is_empty()) {
        let mut command = ignored_tests(&names, options);
        command.env("MUSHER_LIVE_CLAUDE", claude);
        session.suite("live tests", 6, command);
    }
}

/// A real model server with a real small model, when it is asked for and can be had.
fn model_server(session: &mut Session, options: &Options) {
    const TITLE: &str = "a real model server";
    if !options.model_server {
        session.skip(TITLE, "its tests run with --live");
        return;
    }
    if let Some(why) = model_server::missing() {
        session.skip(TITLE, why);
        return;
    }
    let mut found = None;
    session.check(TITLE, || {
        found = Some(model_server::fetch()?);
        Ok(())
    });
    if let Some(ModelServer { program, model }) = found {
        let mut command = ignored_tests(&test_files("model_server"), options);
        command.env("MUSHER_MODEL_SERVER", program).env("MUSHER_MODEL", model);
        session.suite("tests with a real model server", 10, command);
    }
}

fn windows(session: &mut Session, options: &Options, claude: Option<&Path>) {
    if options.no_window {
        session.skip("window and browser tests", "--no-window was given");
    } else if cfg!(target_os = "linux") {
        window(session, options, claude);
        browser(session, options);
    } else {
        session.skip("window and browser tests", "they need Xvfb and WebKitWebDriver");
    }
}

fn window(session: &mut Session, options: &Options, claude: Option<&Path>) {
    const TITLE: &str = "window tests";
    let mut command = ignored_tests(&test_files("window"), options);
    if let Some(claude) = claude {
        command.env("MUSHER_LIVE_CLAUDE", claude);
    }
    match Display::start() {
        Ok(display) => session.suite(TITLE, 10, display.on(&command)),
        Err(error) => drop(session.check(TITLE, || Err(error))),
    }
}

fn browser(session: &mut Session, options: &Options) {
    if options.filter.is_some() {
        session.skip("browser tests", "there is a filter");
        return;
    }
    let mut command = page::npm(["run", "e2e"]);
    command.env("MUSHER", place::program("debug", "musher"));
    if let Some(chromium) = system::chromium() {
        command.env("CHROMIUM", chromium);
    }
    session.suite("browser tests", 8, command);
}

/// Cargo without what would make tests depend on who runs them.
fn cargo() -> Command {
    let mut cargo = shell::cargo();
    for name in ["MUSHER_DATA_DIR", "CLAUDECODE", "CLAUDE_CONFIG_DIR", "ANTHROPIC_API_KEY"] {
        cargo.env_remove(name);
    }
    cargo
}

/// The workspace's tests by nextest, which keeps them apart, or by cargo alone.
fn tests(nextest: &[&str], plain: &[&str]) -> Command {
    let mut command = cargo();
    if shell::has("cargo-nextest") {
        command.args(["nextest", "run", "--workspace"]).args(nextest);
    } else {
        command.args(["test", "--workspace"]).args(plain);
    }
    command
}

/// The ignored tests of these files, one at a time: they share a display or a machine's load.
fn ignored_tests(files: &[String], options: &Options) -> Command {
    let mut command = if shell::has("cargo-nextest") {
        let binaries: Vec<String> = files.iter().map(|name| format!("binary(={name})")).collect();
        let which = binaries.join(" | ");
        let none = if options.filter.is_some() { "--no-tests=pass" } else { "--no-tests=fail" };
        tests(
            &["--run-ignored", "only", "--no-fail-fast", "--test-threads", "1", none, "-E", &which],
            &[],
        )
    } else {
        let mut command = tests(&[], &["--no-fail-fast"]);
        for name in files {
            command.args(["--test", name]);
        }
        command.args(["--", "--ignored", "--test-threads", "1"]);
        command
    };
    command.args(&options.filter);
    command
}

/// The names of the integration test files that begin so, of all packages.
fn test_files(begin: &str) -> Vec<String> {
    let root = place::root();
    let crates = fs::read_dir(root.join("crates")).into_iter().flatten().flatten();
    let mut folders: Vec<PathBuf> = crates.map(|entry| entry.path().join("tests")).collect();
    folders.push(root.join("tests"));
    let files = folders.iter().flat_map(fs::read_dir).flatten().flatten();
    let names = files.filter_map(|file| file.file_name().into_string().ok());
    let mut names: Vec<String> = names
        .filter_map(|name| name.strip_suffix(".rs").map(str::to_owned))
        .filter(|name| name.starts_with(begin))
        .collect();
    names.sort();
    names
}

fn has_examples_in_documentation() -> bool {
    let list =
        ["grep", "-lE", "^ *//[/!] *```(rust|no_run)?$", "--", "crates/*/src", "src-tauri/src"];
    shell::output(shell::command("git").args(list)).is_some()
}
