//! However a run ends, nothing of it lives on.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use common::{BOTH, Run, alive, keeper_pid, read_all, read_until, until, within};
use musher_process::{
    Attached, Ending, Keeper, ProcessId, Signal, SpoolReader, Stream, Transport,
    processes_with_mark,
};
use rustix::process::Signal as Native;

/// Ignores every polite signal, and so does what it starts: a child in its group, one in a session of
/// its own, and a daemon that left the tree by a double fork.
const STUBBORN: &str = "trap '' TERM INT HUP
    sleep 1000 &
    setsid sh -c 'sleep 1000 & wait' &
    (setsid sh -c 'sleep 1000; true' &)
";

const POLITE: Ending =
    Ending { eof_grace: Duration::from_millis(100), term_grace: Duration::from_millis(300) };

async fn start_stubborn(run: &Run, transport: Transport, last: &str) -> Keeper {
    let keeper = run.start_shell(&format!("{STUBBORN} {last}"), transport).await;
    until("the tree has grown", || alive(&run.mark).len() >= 6).await;
    keeper
}

#[tokio::test]
async fn a_stubborn_tree_is_ended_whole() {
    for transport in BOTH {
        let run = Run::new();
        let keeper = start_stubborn(&run, transport, "while :; do sleep 1; done").await;
        let begun = Instant::now();
        let record = within(keeper.end(POLITE)).await.unwrap();
        assert!(
            begun.elapsed() < Duration::from_millis(400 + 1000 + 2000),
            "{:?}",
            begun.elapsed()
        );
        assert_eq!(alive(&run.mark), [0; 0]);
        assert_eq!(record.signal, Some(9));
        assert!(record.killed.len() >= 6 && record.left.is_empty(), "{record:?}");
    }
}

#[tokio::test]
async fn what_a_child_leaves_behind_is_ended_when_it_exits() {
    for transport in BOTH {
        let run = Run::new();
        let keeper = start_stubborn(&run, transport, "read go; echo last words; exit 7").await;
        keeper.input("go", "\n").await.unwrap();
        let record = within(keeper.exited()).await;
        assert_eq!(alive(&run.mark), [0; 0]);
        assert_eq!(record.code, Some(7));
        assert!(record.killed.len() >= 4, "{record:?}");
        let mut reader = keeper.output(Stream::Stdout, 0);
        read_until(&mut reader, "last words\n").await;
    }
}

#[tokio::test]
async fn a_killed_keeper_leaves_nothing_after_the_next_attach() {
    for transport in BOTH {
        let run = Run::new();
        let keeper = start_stubborn(&run, transport, "echo said; while :; do sleep 1; done").await;
        read_until(&mut keeper.output(Stream::Stdout, 0), "said\n").await;
        drop(keeper);
        kill(keeper_pid(&run.dir()));
        let Attached::Lost { killed, left } = Keeper::attach(&run.dir()).await.unwrap() else {
            panic!("the keeper is dead");
        };
        assert!(killed.len() >= 5 && left.is_empty(), "{killed:?} {left:?}");
        assert_eq!(alive(&run.mark), [0; 0]);
        let said = read_all(SpoolReader::of_ended(run.dir(), Stream::Stdout, 0)).await;
        assert_eq!(said, b"said\n");
        let Attached::Ended(record) = Keeper::attach(&run.dir()).await.unwrap() else {
            panic!("the end is recorded");
        };
        assert!(record.lost);
    }
}

/// Nothing ties it to the run: no parent, no session, no environment. Only the cgroup knows.
const HIDDEN: &str = "(setsid env -i /bin/sh -c 'echo $$ > hidden; exec sleep 1000' &);";

#[tokio::test]
async fn what_hid_from_a_killed_keeper_is_found_in_its_cgroup() {
    let run = Run::new();
    let keeper = run.start_shell(&format!("{HIDDEN} sleep 1000"), Transport::Pipe).await;
    let Some(cgroup) = cgroup(&run.dir()) else {
        keeper.end(Ending::NOW).await.unwrap();
        return eprintln!("skipped: no cgroup may be made here");
    };
    let hidden = hidden(&run).await;
    assert!(!alive(&run.mark).contains(&hidden.pid), "it carries no mark");
    drop(keeper);
    kill(keeper_pid(&run.dir()));
    let Attached::Lost { killed, left } = Keeper::attach(&run.dir()).await.unwrap() else {
        panic!("the keeper is dead");
    };
    assert!(killed.contains(&hidden.pid) && left.is_empty(), "{killed:?} {left:?}");
    assert!(!hidden.is_alive() && !cgroup.exists());
}

#[tokio::test]
async fn the_cgroup_holds_the_run_without_its_keeper_and_goes_with_it() {
    let run = Run::new();
    let script =
        format!("{HIDDEN} mkdir $CGROUP/inner && echo $$ > $CGROUP/inner/cgroup.procs; cat");
    let keeper = run.start_shell(&format!("read CGROUP; {script}"), Transport::Pipe).await;
    let Some(cgroup) = cgroup(&run.dir()) else {
        keeper.end(Ending::NOW).await.unwrap();
        return eprintln!("skipped: no cgroup may be made here");
    };
    keeper.input("cgroup", &format!("{}\n", cgroup.display())).await.unwrap();
    let hidden = hidden(&run).await;
    let listed = |folder: &Path| {
        let text = std::fs::read_to_string(folder.join("cgroup.procs")).unwrap_or_default();
        text.lines().map(|pid| pid.parse().unwrap()).collect::<Vec<u32>>()
    };
    until("the child has gone into an inner one", || {
        listed(&cgroup.join("inner")).contains(&keeper.child().unwrap())
    })
    .await;
    assert_eq!(listed(&cgroup), [hidden.pid]);
    let record = within(keeper.end(Ending::NOW)).await.unwrap();
    assert!(record.left.is_empty() && !hidden.is_alive());
    until("the keeper is gone", || !cgroup.exists()).await;
}

fn cgroup(dir: &Path) -> Option<PathBuf> {
    let text = std::fs::read(dir.join("keeper.json")).unwrap();
    let value: serde_json::Value = serde_json::from_slice(&text).unwrap();
    value["cgroup"].as_str().map(PathBuf::from)
}

async fn hidden(run: &Run) -> ProcessId {
    let file = run.folder.path().join("hidden");
    let pid = || std::fs::read_to_string(&file).ok()?.trim().parse::<u32>().ok();
    let comm = || std::fs::read_to_string(format!("/proc/{}/comm", pid()?)).ok();
    until("the daemon sleeps", || comm().is_some_and(|name| name == "sleep\n")).await;
    ProcessId::of(pid().unwrap()).unwrap()
}

#[tokio::test]
async fn a_killed_keeper_is_noticed_at_once() {
    let run = Run::new();
    let keeper = start_stubborn(&run, Transport::Pty, "while :; do sleep 1; done").await;
    kill(keeper_pid(&run.dir()));
    let record = within(keeper.exited()).await;
    assert!(record.lost && record.left.is_empty(), "{record:?}");
    assert_eq!(alive(&run.mark), [0; 0]);
    assert!(read_all(keeper.output(Stream::Stdout, 0)).await.is_empty());
}

#[tokio::test]
async fn a_stopped_agent_is_ended() {
    let run = Run::new();
    let script = "trap 'echo bye; exit 4' TERM; echo ready; while :; do sleep 0.05; done";
    let keeper = run.start_shell(script, Transport::Pipe).await;
    read_until(&mut keeper.output(Stream::Stdout, 0), "ready\n").await;
    keeper.signal(Signal::Stop).await.unwrap();
    let grace = Duration::from_secs(20);
    let record =
        within(keeper.end(Ending { eof_grace: Duration::ZERO, term_grace: grace })).await.unwrap();
    assert_eq!(record.code, Some(4), "TERM was not heard");
    assert_eq!(read_all(keeper.output(Stream::Stdout, 0)).await, b"ready\nbye\n");
}

#[tokio::test]
async fn the_end_of_input_comes_first_and_a_second_end_is_quicker() {
    let run = Run::new();
    let script = "trap '' TERM; cat; echo eof; sleep 1000; sleep 1000";
    let keeper = run.start_shell(script, Transport::Pty).await;
    let patient =
        Ending { eof_grace: Duration::from_secs(500), term_grace: Duration::from_secs(500) };
    let first = keeper.end(patient);
    tokio::pin!(first);
    let mut reader = keeper.output(Stream::Stdout, 0);
    tokio::select! {
        _ = &mut first => panic!("it is patient"),
        _ = read_until(&mut reader, "eof\n") => {}
    }
    let second = within(keeper.end(Ending::NOW)).await.unwrap();
    assert_eq!(second.signal, Some(9));
    assert_eq!(within(first).await.unwrap(), second);
}

#[tokio::test]
async fn signals_reach_the_whole_group() {
    let run = Run::new();
    let script = "trap 'echo int; exit 2' INT; echo ready; while :; do sleep 0.05; done";
    let keeper = run.start_shell(script, Transport::Pty).await;
    read_until(&mut keeper.output(Stream::Stdout, 0), "ready\n").await;
    keeper.signal(Signal::Interrupt).await.unwrap();
    assert_eq!(within(keeper.exited()).await.code, Some(2));
    assert!(keeper.signal(Signal::Interrupt).await.is_err());
}

/// Not a test: the engine that `the_child_outlives_a_killed_engine` kills.
#[tokio::test]
#[ignore = "run by another test"]
async fn engine_to_be_killed() {
    let Ok(folder) = std::env::var("TEST_FOLDER") else { return };
    let mark = std::env::var("TEST_MARK").unwrap();
    let mut spec = musher_process::SpawnSpec::new("/bin/sh", &folder, mark);
    spec.env.insert("PATH".into(), "/usr/bin:/bin".into());
    let script = "i=0; while [ $i -lt 2000 ]; do i=$((i+1)); echo line $i; done; read x; echo $x";
    spec.args = vec!["-c".into(), script.into()];
    let dir = std::path::Path::new(&folder).join("run");
    let keeper = Keeper::start_with(&common::keeper_program(), &dir, spec).await.unwrap();
    println!("started");
    std::future::pending::<()>().await;
    drop(keeper);
}

#[tokio::test]
async fn the_child_outlives_a_killed_engine() {
    let run = Run::new();
    let mut engine = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "engine_to_be_killed", "--nocapture"])
        .env("TEST_FOLDER", run.folder.path())
        .env("TEST_MARK", &run.mark)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(engine.stdout.take().unwrap()).lines();
    assert!(lines.map(Result::unwrap).any(|line| line.contains("started")));
    engine.kill().unwrap();
    engine.wait().unwrap();

    let Attached::Live(keeper) = Keeper::attach(&run.dir()).await.unwrap() else {
        panic!("it lives");
    };
    keeper.input("x", "spoken later\n").await.unwrap();
    let said = read_all(keeper.output(Stream::Stdout, 0)).await;
    let mut expected: String = (1..=2000).map(|number| format!("line {number}\n")).collect();
    expected.push_str("spoken later\n");
    assert_eq!(String::from_utf8_lossy(&said), expected);
    assert_eq!(within(keeper.exited()).await.code, Some(0));
}

#[tokio::test]
async fn the_end_goes_on_though_the_engine_is_gone() {
    let run = Run::new();
    let keeper = start_stubborn(&run, Transport::Pty, "while :; do sleep 1; done").await;
    let grace = Duration::from_millis(500);
    let end = keeper.end(Ending { eof_grace: grace, term_grace: grace });
    assert!(tokio::time::timeout(Duration::from_millis(100), end).await.is_err());
    drop(keeper);
    until("the end is recorded", || run.dir().join("exit.json").exists()).await;
    assert_eq!(alive(&run.mark), [0; 0]);
}

#[tokio::test]
async fn a_start_that_fails_says_why_and_leaves_nothing() {
    let run = Run::new();
    let folder = run.folder.path();
    std::fs::write(folder.join("plain"), "#!/bin/sh\n").unwrap();
    let mut lost = run.spec("/bin/sh", Transport::Pty);
    lost.cwd = "/no/such/folder".into();
    let cases = [
        (run.spec("no-such-program", Transport::Pty), "was not found on the PATH"),
        (run.spec("/no/such/program", Transport::Pipe), "does not exist"),
        (run.spec(folder.join("plain"), Transport::Pty), "may not be run"),
        (lost, "The folder /no/such/folder does not exist"),
    ];
    for (number, (spec, expected)) in cases.into_iter().enumerate() {
        let dir = folder.join(format!("run{number}"));
        let started = Keeper::start_with(&common::keeper_program(), &dir, spec).await;
        let error = started.err().expect("it cannot start").to_string();
        assert!(error.contains(expected), "{error}");
        let Attached::Ended(record) = Keeper::attach(&dir).await.unwrap() else {
            panic!("nothing lives");
        };
        assert_eq!(record.spawn_error, Some(error));
    }
    let (keeper, other) = (std::path::Path::new("/no/keeper"), folder.join("other"));
    let missing = Keeper::start_with(keeper, &other, run.shell("true", Transport::Pty));
    let error = missing.await.err().expect("no keeper").to_string();
    assert!(error.contains("/no/keeper"), "{error}");
}

#[tokio::test]
async fn a_run_folder_is_used_once() {
    let run = Run::new();
    let keeper = run.start_shell("sleep 1000", Transport::Pipe).await;
    let again = run.start(run.shell("true", Transport::Pipe)).await;
    assert!(again.err().expect("refused").to_string().contains("had its run already"));
    keeper.end(Ending::NOW).await.unwrap();
}

#[tokio::test]
async fn starts_and_failures_leave_no_descriptor_and_no_zombie() {
    let run = Run::new();
    let count = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    let mut before = 0;
    for round in 0..100 {
        let dir = run.folder.path().join(format!("run{round}"));
        let spec = match round % 3 {
            0 => run.spec("no-such-program", Transport::Pty),
            1 => run.shell("exit 3", Transport::Pipe),
            _ => run.shell("exec sleep 1000", Transport::Pty),
        };
        let started = Keeper::start_with(&common::keeper_program(), &dir, spec).await;
        if let Ok(keeper) = started {
            within(keeper.end(Ending::NOW)).await.unwrap();
        }
        if round == 10 {
            before = count();
        }
    }
    until("descriptors are back", || count() <= before).await;
    until("keepers are collected", || children_of(std::process::id()).is_empty()).await;
}

#[tokio::test]
async fn a_mark_is_found_and_a_stranger_is_not() {
    let run = Run::new();
    let keeper = run.start_shell("exec sleep 1000", Transport::Pipe).await;
    let child = ProcessId::of(keeper.child().unwrap()).unwrap();
    until("exec", || processes_with_mark(&run.mark) == [child]).await;
    let stranger = ProcessId { start: child.start + 1, ..child };
    stranger.signal(Native::KILL);
    assert!(child.is_alive() && !stranger.is_alive());
    keeper.end(Ending::NOW).await.unwrap();
    assert!(!child.is_alive());
}

fn kill(pid: u32) {
    let keeper = ProcessId::of(pid).unwrap();
    keeper.signal(Native::KILL);
}

fn children_of(parent: u32) -> Vec<u32> {
    let tasks = std::fs::read_dir(format!("/proc/{parent}/task")).unwrap();
    let read = |task: std::fs::DirEntry| std::fs::read_to_string(task.path().join("children"));
    let all: Vec<String> = tasks.flatten().flat_map(read).collect();
    all.iter().flat_map(|text| text.split_whitespace()).map(|pid| pid.parse().unwrap()).collect()
}
