//! `musher` at its edges: what it prints where, what it asks at a terminal, and what it says when the
//! disk, the data directory or the output is not as it should be.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]
// A test starts real programs and waits for them itself.
#![allow(clippy::disallowed_methods)]
#![cfg(unix)]

mod world;

use std::{
    fs::{self, File, OpenOptions},
    io::{BufRead, BufReader, Read, Write},
    path::Path,
};

use musher_protocol::*;
use world::{
    World,
    seat::{Seat, plain},
};

fn repo_of(world: &World) -> String {
    world.repo.path().to_string_lossy().into_owned()
}

#[test]
fn the_page_in_the_current_folder_is_never_served() {
    let world = World::new();
    let bait = tempfile::tempdir().unwrap();
    fs::create_dir_all(bait.path().join("ui/dist")).unwrap();
    fs::write(bait.path().join("ui/dist/index.html"), "<p>the bait</p>").unwrap();
    let mut command = world.musher(&["serve", "--port", "0"]);
    let mut child = command.current_dir(bait.path()).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    // None: this checkout's page is not built, which is no reason to serve another one.
    let url = lines.map_while(Result::ok).find(|line| line.starts_with("http"));
    let page = url.map(|url| page_at(url.trim_start_matches("http://")));
    let _ = child.kill();
    child.wait().unwrap();
    assert!(!page.unwrap_or_default().contains("the bait"));
}

fn page_at(address: &str) -> String {
    let host = address.split('/').next().unwrap();
    let mut stream = std::net::TcpStream::connect(host).unwrap();
    write!(stream, "GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").unwrap();
    let mut page = String::new();
    stream.read_to_string(&mut page).unwrap();
    page
}

#[cfg(target_os = "linux")]
#[test]
fn output_that_cannot_be_written_is_told() {
    let world = World::new();
    world.run("hello", &[]);
    let (repo, run) = (repo_of(&world), world.runs().remove(0).id);
    for args in [
        vec!["runs"],
        vec!["--json", "runs"],
        vec!["events", run.as_str()],
        vec!["events", run.as_str(), "--follow"],
        vec!["doctor"],
        plain(&repo, "hello", &[]),
    ] {
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let out = world.musher(&args).stdout(full).output().unwrap();
        let said = String::from_utf8_lossy(&out.stderr);
        assert_eq!(out.status.code(), Some(1), "{args:?}: {said}");
        assert!(said.contains("error: The output could not be written: "), "{args:?}: {said}");
    }
}

#[test]
fn a_reader_that_left_is_no_error() {
    let world = World::new();
    world.run("hello", &[]);
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let out = world.musher(&["runs"]).stdout(writer).output().unwrap();
    assert_eq!((out.status.code(), out.stderr.len()), (Some(0), 0));
}

#[test]
fn a_question_that_nobody_can_answer_is_told_with_the_right_words() {
    let world = World::new();
    let asked = world.run("question", &[]);
    assert_eq!(asked.code, 5, "{}", asked.stderr);
    let request = asked.events().into_iter().find_map(|e| match e.event {
        AgentEvent::Question(question) => Some(question.request),
        _ => None,
    });
    let (run, request) = (world.runs().remove(0).id, request.unwrap());
    let hint = format!("musher answer {run} {request} choose --message ");
    assert!(asked.stderr.contains(&hint), "{}", asked.stderr);
    let answered = ["answer", run.as_str(), &request, "choose", "--message", "Blue"];
    assert_eq!(world.call(&answered).code, 0);
    let rest = world.call(&["events", run.as_str(), "--follow"]);
    assert!(rest.stdout.contains("You chose Blue"), "{}", rest.stdout);
}

/// Answers each prompt of the command with the next of `answers`; what was said on the terminal.
fn at_a_terminal(world: &World, args: &[&str], answers: &[(&str, &str)]) -> (i32, String) {
    let mut seat = Seat::at(world.musher(args));
    for (prompt, answer) in answers {
        seat.until(prompt);
        seat.write(&format!("{answer}\n"));
    }
    seat.end()
}

#[test]
fn each_question_of_a_request_is_asked_in_turn() {
    let world = World::new();
    let script = world.repo.home().join("two-questions.json");
    let text = r#"{"about": "Two questions at once.", "turns": [[{"question": {"questions": [
        {"question": "Which colour?", "header": "Colour", "multiSelect": false,
         "options": [{"label": "Red", "description": "warm"}, {"label": "Blue", "description": "cool"}]},
        {"question": "Which size?", "header": "Size", "multiSelect": false,
         "options": [{"label": "Small", "description": ""}, {"label": "Large", "description": ""}]}]}},
        {"say": "Thank you."}]]}"#;
    fs::write(&script, text).unwrap();
    let (repo, script) = (repo_of(&world), script.to_string_lossy().into_owned());
    let args = plain(&repo, &script, &[]);
    let answers = [("none)> ", "2"), ("none)> ", "quite large")];
    let (code, said) = at_a_terminal(&world, &args, &answers);
    assert_eq!(code, 0, "{said}");
    let first = said.find("? Which colour?").unwrap();
    assert!(
        said.find("? Which size?").unwrap() > first + said[first..].find("> 2").unwrap(),
        "{said}"
    );
    let run = world.runs().remove(0).id;
    let events = world.call(&["--json", "events", run.as_str()]).events();
    let given = events.into_iter().find_map(|e| match e.event {
        AgentEvent::QuestionAnswer { answers, .. } => Some(answers),
        _ => None,
    });
    let given = given.unwrap();
    assert_eq!(given["Which colour?"], "Blue", "an option by its number");
    assert_eq!(given["Which size?"], "quite large", "or words of one's own");
}

#[test]
fn words_that_came_in_pieces_stand_there_once() {
    let world = World::new();
    let repo = repo_of(&world);
    let (code, said) = at_a_terminal(&world, &plain(&repo, "hello", &[]), &[]);
    let greetings = said.lines().filter(|line| line.starts_with("Hello from the scripted agent."));
    assert_eq!((code, greetings.count()), (0, 1), "{said}");
    assert_eq!(said.matches("Hello").count(), 1, "{said}");
}

#[test]
fn an_edit_is_shown_with_its_lines_before_it_is_asked_about() {
    let world = World::new();
    let repo = repo_of(&world);
    let args = plain(&repo, "edit", &[]);
    let (code, said) = at_a_terminal(&world, &args, &[("allow? [y/N]", "y")]);
    assert_eq!(code, 0, "{said}");
    let before = said.split("allow? [y/N]").next().unwrap();
    assert!(before.lines().any(|line| line.trim_start().starts_with("+ ")), "{before}");
}

#[test]
fn limits_that_are_none_are_refused_and_the_one_that_ended_it_is_named() {
    let world = World::new();
    let repo = repo_of(&world);
    for limit in [
        ["--max-cost", "nan"],
        ["--max-cost", "inf"],
        ["--max-cost", "-1"],
        ["--max-cost", "0"],
        ["--max-turns", "0"],
        ["--max-seconds", "0"],
    ] {
        let joined = limit.join("=");
        let said = world.call(&plain(&repo, "hello", &[&joined]));
        assert_eq!(said.code, 2, "{limit:?}: {}{}", said.stdout, said.stderr);
        assert!(said.stderr.contains(limit[0]), "{}", said.stderr);
    }
    let ended = world.call(&plain(&repo, "max_turns", &[]));
    assert!(ended.stdout.contains("the limit of turns was reached"), "{}", ended.stdout);
}

#[test]
fn without_the_agent_the_demo_is_named() {
    let world = World::new();
    let repo = repo_of(&world);
    let mut command = world.musher(&["run", "go", "--repo", &repo, "--command", "/no/such/agent"]);
    let out = command.output().unwrap();
    let said = String::from_utf8_lossy(&out.stderr);
    assert!(said.contains("--runtime demo"), "{said}");
}

#[test]
fn a_listing_makes_no_data_directory() {
    let world = World::new();
    let folder = tempfile::tempdir().unwrap();
    let call = |args: &[&str]| {
        let mut command = world.musher(args);
        command.current_dir(folder.path()).env_remove("MUSHER_DATA_DIR").output().unwrap()
    };
    let listed = call(&["--data-dir", "some/dir", "runs"]);
    assert_eq!(listed.status.code(), Some(0));
    assert!(String::from_utf8_lossy(&listed.stdout).starts_with("No runs yet."));
    let looked = call(&["--data-dir", "some/dir", "events", "abc"]);
    assert_eq!(looked.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&looked.stderr).contains("There is no run abc."));
    assert!(!folder.path().join("some").exists());
}

/// All of the database in its one file: a command that ended leaves part of it in the log.
fn settled(data: &Path) -> std::path::PathBuf {
    let (store, _) = musher_store::Store::open(data).unwrap();
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(store.close());
    data.join("musher.db")
}

/// Writes over what SQLite keeps in the header of its file: `user_version`, big-endian at byte 60
/// (https://www.sqlite.org/fileformat.html, "The Database Header").
fn made_by_a_newer_musher(data: &Path) {
    let database = settled(data);
    let mut bytes = fs::read(&database).unwrap();
    bytes[60..64].copy_from_slice(&99u32.to_be_bytes());
    fs::write(&database, bytes).unwrap();
}

fn shows_what_it_can(doctor: &world::Finished, trouble: &str) {
    assert_eq!(doctor.code, 1, "{}{}", doctor.stdout, doctor.stderr);
    for check in ["git ", "PATH ", "keeper "] {
        let line = doctor.stdout.lines().find(|line| line[6..].starts_with(check));
        assert!(line.is_some(), "{check}: {}", doctor.stdout);
    }
    let data = doctor.stdout.lines().find(|line| line.starts_with("BAD   data"));
    assert!(data.is_some_and(|line| line.contains(trouble)), "{}", doctor.stdout);
}

#[test]
fn doctor_shows_what_it_can_without_the_engine() {
    let world = World::new();
    world.runs();
    world.run("hello", &[]);
    made_by_a_newer_musher(&world.data_dir());
    shows_what_it_can(&world.call(&["doctor"]), "newer Musher");
}

#[test]
fn doctor_says_who_holds_the_data_directory() {
    let world = World::new();
    world.run("hello", &[]);
    let lock = File::open(world.data_dir().join("engine.lock")).unwrap();
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).unwrap();
    shows_what_it_can(&world.call(&["doctor"]), "Another Musher");
}

#[test]
fn a_damaged_database_is_told_in_sentences() {
    let world = World::new();
    world.run("hello", &[]);
    let database = settled(&world.data_dir());
    let mut bytes = fs::read(&database).unwrap();
    // Everything behind the schema's page.
    bytes[4096..].fill(0xa5);
    fs::write(&database, bytes).unwrap();
    let listed = world.call(&["--json", "runs"]);
    assert_eq!(listed.code, 0, "{}", listed.stderr);
    assert_eq!(listed.stdout.lines().count(), 1, "the transcript gave the run back");
    assert!(!listed.stderr.contains("WARN"), "{}", listed.stderr);
    assert!(listed.stderr.contains("Musher's database is damaged"), "{}", listed.stderr);
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_called_so_by_every_command() {
    let test = "a_full_disk_is_called_so_by_every_command";
    let Some(disk) = musher_testkit::disk::small(test, 4, &[]).unwrap() else { return };
    let world = World::new();
    let data = disk.join("data").to_string_lossy().into_owned();
    let call = |args: &[&str]| {
        let mut all = vec!["--data-dir", data.as_str()];
        all.extend(args);
        world.call(&all)
    };
    let first = call(&["runs"]);
    let _ = call(&["doctor"]);
    let repo = repo_of(&world);
    let called = [&["runs"][..], &["doctor"], &plain(&repo, "hello", &[])].map(|args| {
        fill(&disk);
        call(args)
    });
    let [runs, doctor, run] = called;
    assert_eq!(first.code, 0, "{}", first.stderr);
    for said in [&runs, &run] {
        assert_eq!(said.code, 1, "{}", said.stderr);
        assert!(said.stderr.contains("is full."), "{}", said.stderr);
        assert!(said.stderr.contains("hint: Free some space"), "{}", said.stderr);
    }
    shows_what_it_can(&doctor, "is full.");
}

/// Fills what is left of `disk`, also what the command before gave back. A database that was closed by
/// the end of its process left its shared memory and its log there: with their pages a command gets by.
#[cfg(target_os = "linux")]
fn fill(disk: &Path) {
    for file in fs::read_dir(disk.join("data")).unwrap().map(|entry| entry.unwrap().path()) {
        if file.to_string_lossy().ends_with("-shm") || file.to_string_lossy().ends_with("-wal") {
            fs::remove_file(file).unwrap();
        }
    }
    musher_testkit::disk::fill(&disk.join("filler")).unwrap();
}
