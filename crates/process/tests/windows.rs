//! The keeper on Windows: a job holds the tree, a named pipe takes the orders. These pass under Wine too.
#![cfg(windows)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use musher_process::{
    Attached, Cmd, Ending, Keeper, ProcessError, ProcessId, Signal, SpawnSpec, SpoolReader, Stream,
    Transport,
};

const LIMIT: Duration = Duration::from_secs(60);
const BOTH: [Transport; 2] = [Transport::Pty, Transport::Pipe];

/// An example of this crate, which cargo builds with the tests.
fn example(name: &str) -> PathBuf {
    let own = std::env::current_exe().unwrap();
    let program = own.ancestors().nth(2).unwrap().join("examples").join(format!("{name}.exe"));
    assert!(program.is_file(), "{} is missing: build the examples", program.display());
    program
}

struct Run(tempfile::TempDir);

impl Run {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn dir(&self) -> PathBuf {
        self.0.path().join("run")
    }

    fn spec(&self, program: impl Into<PathBuf>, transport: Transport) -> SpawnSpec {
        let mark = self.0.path().file_name().unwrap().to_str().unwrap().to_owned();
        let mut spec = SpawnSpec::new(program, self.0.path(), mark);
        spec.env.insert("SYSTEMROOT".into(), std::env::var("SYSTEMROOT").unwrap());
        spec.transport = transport;
        spec
    }

    async fn start(&self, what: &str, transport: Transport) -> Keeper {
        let mut spec = self.spec(example("puppet"), transport);
        spec.args = vec![what.into()];
        Keeper::start_with(&example("keeper"), &self.dir(), spec).await.unwrap()
    }

    fn keeper(&self) -> ProcessId {
        let text = std::fs::read(self.dir().join("keeper.json")).unwrap();
        let value: serde_json::Value = serde_json::from_slice(&text).unwrap();
        serde_json::from_value(value["keeper"].clone()).unwrap()
    }
}

async fn within<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(LIMIT, work).await.expect("took too long")
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let limit = Instant::now() + LIMIT;
    while !holds() {
        assert!(Instant::now() < limit, "never happened: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn read_all(mut reader: SpoolReader) -> Vec<u8> {
    let mut out = Vec::new();
    within(async { while reader.read(&mut out).await.unwrap() > 0 {} }).await;
    out
}

async fn read_until(mut reader: SpoolReader, text: &str) -> String {
    let mut out = Vec::new();
    within(async {
        while !String::from_utf8_lossy(&out).contains(text) {
            assert!(reader.read(&mut out).await.unwrap() > 0, "ended before {text:?}");
        }
    })
    .await;
    String::from_utf8(out).unwrap()
}

/// The processes that a puppet's tree says it has.
async fn grown(reader: SpoolReader) -> Vec<ProcessId> {
    let said = read_until(reader, "grown").await;
    let pids = said.lines().filter_map(|line| line.strip_prefix("pid "));
    let tree: Vec<ProcessId> =
        pids.map(|pid| ProcessId::of(pid.parse().unwrap()).expect("it lives")).collect();
    assert_eq!(tree.len(), 3, "{said}");
    tree
}

#[tokio::test]
async fn words_go_in_and_out_byte_for_byte() {
    for transport in BOTH {
        let run = Run::new();
        let keeper = run.start("echo", transport).await;
        let long = "x".repeat(300_000) + "\r\n\u{1b}[1m\n";
        keeper.input("first", "hello\n").await.unwrap();
        keeper.input("second", &long).await.unwrap();
        keeper.input("first", "hello\n").await.unwrap();
        keeper.close_input().await.unwrap();
        let said = read_all(keeper.output(Stream::Stdout, 0)).await;
        assert!(said == format!("hello\n{long}").as_bytes(), "{} bytes", said.len());
        let record = within(keeper.exited()).await;
        assert_eq!((record.code, record.stdout), (Some(7), said.len() as u64));
        assert!(record.killed.is_empty() && record.left.is_empty(), "{record:?}");
    }
}

#[tokio::test]
async fn a_tree_is_ended_whole() {
    let run = Run::new();
    let keeper = run.start("tree", Transport::Pipe).await;
    let tree = grown(keeper.output(Stream::Stdout, 0)).await;
    let record = within(keeper.end(Ending::NOW)).await.unwrap();
    assert!(record.left.is_empty(), "{record:?}");
    assert!(tree.iter().all(|process| !process.is_alive()), "{tree:?}");
}

#[tokio::test]
async fn a_killed_keeper_takes_its_tree_along() {
    let run = Run::new();
    let keeper = run.start("tree", Transport::Pipe).await;
    let tree = grown(keeper.output(Stream::Stdout, 0)).await;
    drop(keeper);
    run.keeper().kill();
    until("Windows has ended the tree", || tree.iter().all(|process| !process.is_alive())).await;
    let Attached::Lost { left, .. } = within(Keeper::attach(&run.dir())).await.unwrap() else {
        panic!("the keeper is dead");
    };
    assert!(left.is_empty());
    let Attached::Ended(record) = Keeper::attach(&run.dir()).await.unwrap() else {
        panic!("the end is recorded");
    };
    assert!(record.lost);
}

#[tokio::test]
async fn a_run_is_found_again_where_it_was_left() {
    let run = Run::new();
    drop(run.start("echo", Transport::Pipe).await);
    let Attached::Live(first) = Keeper::attach(&run.dir()).await.unwrap() else {
        panic!("it lives")
    };
    let Attached::Live(second) = Keeper::attach(&run.dir()).await.unwrap() else {
        panic!("it lives")
    };
    first.input("one", "one\n").await.unwrap();
    assert_eq!(read_until(second.output(Stream::Stdout, 0), "\n").await, "one\n");
    drop(first);
    second.input("two", "two\n").await.unwrap();
    assert_eq!(read_until(second.output(Stream::Stdout, 4), "\n").await, "two\n");
    second.close_input().await.unwrap();
    assert_eq!(within(second.exited()).await.code, Some(7));
    until("the keeper is gone", || !run.keeper().is_alive()).await;
}

#[tokio::test]
async fn break_ends_a_child_before_its_grace_is_over() {
    let run = Run::new();
    let keeper = run.start("sleep", Transport::Pipe).await;
    read_until(keeper.output(Stream::Stdout, 0), "ready").await;
    let patient = Ending { eof_grace: Duration::ZERO, term_grace: Duration::from_secs(500) };
    let record = within(keeper.end(patient)).await.unwrap();
    assert!(record.killed.is_empty() && record.left.is_empty(), "{record:?}");
    // On Windows STATUS_CONTROL_C_EXIT, 0xC000013A; under Wine 1.
    assert_ne!(record.code, Some(0), "it did not sleep to the end");
}

#[tokio::test]
async fn what_windows_cannot_do_is_said() {
    let run = Run::new();
    let keeper = run.start("echo", Transport::Pty).await;
    let resized = keeper.resize(80, 24).await.unwrap_err().to_string();
    assert!(resized.contains("no terminal"), "{resized}");
    let stopped = keeper.signal(Signal::Stop).await.unwrap_err().to_string();
    assert!(stopped.contains("cannot stop"), "{stopped}");
    keeper.signal(Signal::Kill).await.unwrap();
    assert!(within(keeper.exited()).await.left.is_empty());
}

#[tokio::test]
async fn a_start_that_fails_says_why() {
    let run = Run::new();
    let start = async |spec, name: &str| {
        let dir = run.0.path().join(name);
        let started = Keeper::start_with(&example("keeper"), &dir, spec).await;
        started.err().expect("it cannot start").to_string()
    };
    let missing = start(run.spec("no-such-program", Transport::Pipe), "a").await;
    assert!(missing.contains("was not found on the PATH"), "{missing}");
    let mut lost = run.spec(example("puppet"), Transport::Pipe);
    lost.cwd = Path::new("C:\\no\\such\\folder").into();
    let lost = start(lost, "b").await;
    assert!(lost.contains("does not exist"), "{lost}");
}

#[tokio::test]
async fn a_command_that_takes_too_long_is_ended_with_what_it_started() {
    let run = Run::new();
    let mut cmd = Cmd::new(example("puppet"), run.0.path()).args(["tree"]);
    cmd.env.insert("SYSTEMROOT".into(), std::env::var("SYSTEMROOT").unwrap());
    cmd.env.insert("MUSHER_RUN".into(), "slow-command".into());
    cmd.timeout = Duration::from_secs(5);
    let puppets = || musher_process::processes_with_mark("slow-command").len();
    let running = musher_process::run(cmd);
    tokio::pin!(running);
    let grown = until("the tree has grown", || puppets() >= 2);
    tokio::select! {
        ended = &mut running => panic!("it sleeps: {ended:?}"),
        () = grown => {}
    }
    let ended = within(running).await;
    assert!(matches!(ended, Err(ProcessError::TimedOut { .. })), "{ended:?}");
    until("all are gone", || puppets() == 0).await;
}
