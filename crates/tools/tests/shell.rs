//! What the rules take a command line for is what real shells run: of lines made at random, nothing is
//! run and no file is made that was not foreseen, and no name of a file.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use musher_process::{Cmd, find_program};
use musher_protocol::PermissionMode;
use musher_runtime::Verdict;
use musher_tools::{
    Demand, Rules,
    rules::{
        Script,
        shell::{Simple, split},
    },
};
use proptest::{
    strategy::{Strategy, ValueTree},
    test_runner::TestRunner,
};

/// Enough that each thing that is understood, and each that is not, comes often.
const LINES: usize = 300;

const ATOMS: &[&str] = &[
    "aa", "bb", "aa", "bb", " ", " ", " ", "\t", "\n", ";", "&", "|", "&&", "||", "'", "\"", "'",
    "\"", "\\", "x", "y z", "#", "=", " > f1", ">f2 ", ">>f3", " 2>f4", "2>&1", " >&2 ", "< in",
    "!", "{", "}", "(", ")", "$x", "`", "if", "then", "1", "12", "é", "''", "\"\"", "\\\n", "<<",
    "-", "@", "%",
];

/// Notes how it was called, in one write: several of them may run at once.
const PROGRAM: &str = "#!/bin/sh\nall=\"${0##*/}\"\nfor word in \"$@\"; do all=\"$all|$word\"; done\n\
                       printf '%s\\0' \"$all\" >> \"$LOG\"\n";

fn shims(folder: &Path) {
    for name in ["aa", "bb"] {
        let path = folder.join(name);
        fs::write(&path, PROGRAM).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
}

/// Runs a line, and gives the calls that it made and the files.
async fn ran(shell: &Path, line: &str, shims: &Path) -> (Vec<String>, Vec<String>) {
    let cwd = tempfile::tempdir().unwrap();
    let log = tempfile::NamedTempFile::new().unwrap();
    fs::write(cwd.path().join("in"), "").unwrap();
    let mut cmd = Cmd::new(shell, cwd.path()).args(["-c", line]);
    cmd.env.insert("PATH".into(), format!("{}:/usr/bin:/bin", shims.display()));
    cmd.env.insert("LOG".into(), log.path().display().to_string());
    musher_process::run(cmd).await.unwrap();
    let said = fs::read_to_string(log.path()).unwrap();
    let calls = said.split_terminator('\0').map(str::to_owned).collect();
    let entries = fs::read_dir(cwd.path()).unwrap();
    let files = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    (calls, files.filter(|name| name != "in").collect())
}

fn assert_foreseen(line: &str, commands: &[Simple], calls: &[String], files: &[String]) {
    let mut foreseen: Vec<String> = commands.iter().map(|it| it.words.join("|")).collect();
    for call in calls {
        let at = foreseen.iter().position(|words| words == call);
        let at = at.unwrap_or_else(|| panic!("{line:?} ran {call:?}, not in {commands:?}"));
        foreseen.remove(at);
    }
    let written = |name: &String| {
        commands.iter().flat_map(|it| &it.redirects).any(|it| it.writes && it.target == *name)
    };
    for file in files {
        assert!(written(file), "{line:?} made {file}, not in {commands:?}");
    }
}

#[tokio::test]
async fn nothing_runs_that_was_not_foreseen() {
    let folder = tempfile::tempdir().unwrap();
    shims(folder.path());
    let path = "/usr/bin:/bin";
    let shells: Vec<_> = ["sh", "bash"].iter().filter_map(|it| find_program(it, path)).collect();
    let mut runner = TestRunner::deterministic();
    let lines = proptest::collection::vec(proptest::sample::select(ATOMS), 1..14);
    let (mut understood, mut made, mut ran_some) = (0, 0_u32, 0);
    while understood < LINES {
        made += 1;
        assert!(made < 2_000_000, "only {understood} lines were understood");
        let line = lines.new_tree(&mut runner).unwrap().current().concat();
        let Ok(commands) = split(&line) else { continue };
        // Of lines that run nothing of ours there are enough.
        if !commands.iter().any(|it| matches!(it.words[0].as_str(), "aa" | "bb")) {
            continue;
        }
        understood += 1;
        for shell in &shells {
            let (calls, files) = ran(shell, &line, folder.path()).await;
            ran_some += usize::from(!calls.is_empty());
            assert_foreseen(&line, &commands, &calls, &files);
        }
    }
    println!("{understood} lines of {made} understood; {ran_some} runs made calls");
    assert!(ran_some > LINES, "hardly anything ran: {ran_some}");
}

/// Files that rules deny, and pieces of words that a shell may make them of.
const NAMES: &[&str] = &[".env", "env", "e.nv", "e]v", "e[v", "e-v", "e?v", "E v", "\u{e9}v"];
const PIECES: &[&str] = &[
    ".",
    "e",
    "n",
    "v",
    "*",
    "?",
    "[",
    "]",
    "[e]",
    "[nv]",
    "[.e]",
    "[!x]",
    "[^x]",
    "[a-z]",
    "[]n]",
    "[[:alpha:]]",
    "']'",
    "'['",
    "'?'",
    "\\]",
    "\\[",
    "\\?",
    "-",
    "\"n\"",
    "'e'",
    "' '",
    "E",
    "\u{e9}",
];

/// Whatever names a shell makes of a word: a rule that denies such a file denies the word.
#[tokio::test]
async fn no_name_is_made_that_was_not_foreseen() {
    let cwd = tempfile::tempdir().unwrap();
    NAMES.iter().for_each(|name| fs::write(cwd.path().join(name), "").unwrap());
    let shells: Vec<_> =
        ["sh", "bash"].iter().filter_map(|it| find_program(it, "/usr/bin:/bin")).collect();
    let mut runner = TestRunner::deterministic();
    let words = proptest::collection::vec(proptest::sample::select(PIECES), 1..7);
    let mut made = 0_u32;
    for _ in 0..LINES * 2 {
        let line =
            format!("printf '%s\\n' {}", words.new_tree(&mut runner).unwrap().current().concat());
        let script = Script::look(&line, |_| Err(String::new()));
        for shell in &shells {
            let cmd = Cmd::new(shell, cwd.path()).args(["-c", &line]);
            let said = musher_process::run(cmd).await.unwrap().stdout;
            for name in String::from_utf8_lossy(&said).lines().filter(|it| NAMES.contains(it)) {
                let pattern = name.replace(['[', ']', '?', ' '], "*");
                let rules = Rules::parse(&format!("deny read {pattern}")).unwrap();
                let verdict = rules.judge(&Demand::Run(script.clone()), PermissionMode::Bypass);
                assert!(matches!(verdict, Verdict::Deny { .. }), "{line} is {name}: {verdict:?}");
                made += 1;
            }
        }
    }
    assert!(made > 50, "hardly any name was made: {made}");
}
