//! A keeper on a bad day: a full disk, a lost folder, rude clients; and what it keeps to itself.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::{
    io::{BufRead, BufReader, Write},
    os::unix::{fs::MetadataExt, net::UnixStream},
    process::Command,
    time::Duration,
};

use common::{BOTH, LIMIT, Run, alive, keeper_pid, read_all, read_until, segments, until, within};
use musher_process::{Attached, Ending, Keeper, ProcessId, SpawnSpec, Stream, Transport};
use musher_testkit::disk;

#[tokio::test]
async fn a_disk_that_takes_nothing_makes_the_child_wait_and_loses_nothing() {
    for transport in BOTH {
        let run = Run::new();
        let mut spec = run.shell("read go; seq 1 300000", transport);
        spec.spool_limit = 16 << 20; // segments of 2 MiB: the spool of 2 MB needs no second one
        let keeper = run.start(spec).await.unwrap();
        // A folder in the place of the first segment: it cannot be opened.
        let blocker = run.dir().join(format!("stdout-{:020}.spool", 0));
        std::fs::create_dir(&blocker).unwrap();
        keeper.input("go", "\n").await.unwrap();
        until("the trouble is told", || keeper.trouble().is_some()).await;
        let Attached::Live(other) = Keeper::attach(&run.dir()).await.unwrap() else {
            panic!("it lives");
        };
        until("the trouble is told to others", || other.trouble().is_some()).await;
        std::fs::remove_dir(&blocker).unwrap();
        let said = read_all(keeper.output(Stream::Stdout, 0)).await;
        let expected: String = (1..=300_000).map(|number| format!("{number}\n")).collect();
        assert!(said == expected.as_bytes(), "{} bytes", said.len());
        assert_eq!(within(keeper.exited()).await.code, Some(0));
        assert_eq!(keeper.trouble(), None);
    }
}

#[tokio::test]
async fn a_full_disk_only_makes_the_agent_wait() {
    let test = "a_full_disk_only_makes_the_agent_wait";
    let Some(disk) = disk::small(test, 5, &[]).unwrap() else { return };
    let ballast = disk.join("ballast");
    std::fs::write(&ballast, vec![0; 3 << 20]).unwrap();
    let mut spec = SpawnSpec::new("/bin/sh", &disk, "small-disk");
    spec.env.insert("PATH".into(), "/usr/bin:/bin".into());
    spec.args = vec!["-c".into(), "seq 1 500000; echo end >&2".into()];
    let dir = disk.join("run");
    let keeper = Keeper::start_with(&common::keeper_program(), &dir, spec).await.unwrap();
    until("the disk is full", || keeper.trouble().is_some()).await;
    let trouble = keeper.trouble().unwrap();
    assert!(trouble.contains("disk is full"), "{trouble}");
    std::fs::remove_file(ballast).unwrap();
    let said = read_all(keeper.output(Stream::Stdout, 0)).await;
    let expected: String = (1..=500_000).map(|number| format!("{number}\n")).collect();
    assert!(said == expected.as_bytes(), "{} bytes", said.len());
    assert_eq!(within(keeper.exited()).await.code, Some(0));
}

/// The child is ended in the middle of an output that the disk does not take.
#[tokio::test]
async fn an_end_does_not_wait_for_the_disk_and_loses_nothing() {
    for transport in BOTH {
        let run = Run::new();
        let spec = run.shell("read go; seq 1 300000", transport);
        let keeper = run.start(spec).await.unwrap();
        let blocker = run.dir().join(format!("stdout-{:020}.spool", 0));
        std::fs::create_dir(&blocker).unwrap();
        keeper.input("go", "\n").await.unwrap();
        until("the trouble is told", || keeper.trouble().is_some()).await;
        let left = within(keeper.end_tree(Ending::NOW)).await.unwrap();
        assert_eq!((left, alive(&run.mark)), (vec![], vec![]));
        assert!(!run.dir().join("exit.json").exists(), "its output is not written");
        let pid = keeper_pid(&run.dir());
        tokio::time::sleep(Duration::from_secs(2)).await;
        let before = cpu_ticks(pid);
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(cpu_ticks(pid) - before < 10, "it waits quietly");
        std::fs::remove_dir(&blocker).unwrap();
        let said = read_all(keeper.output(Stream::Stdout, 0)).await;
        let expected: String = (1..=300_000).map(|number| format!("{number}\n")).collect();
        assert!(!said.is_empty(), "what it had said comes");
        assert!(expected.as_bytes().starts_with(&said), "{} bytes", said.len());
        assert_eq!(within(keeper.exited()).await.stdout, said.len() as u64);
    }
}

/// Hundredths of a second that a process has computed.
fn cpu_ticks(pid: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields = stat.rsplit(')').next().unwrap().split_whitespace();
    fields.skip(11).take(2).map(|ticks| ticks.parse::<u64>().unwrap()).sum()
}

/// A run that has ended, and whose record the disk refuses.
async fn ended_without_record(run: &Run) -> (Keeper, ProcessId) {
    let keeper = run.start_shell("echo words; exec sleep 1000", Transport::Pipe).await;
    std::fs::create_dir(run.dir().join("exit.json.new")).unwrap();
    let left = within(keeper.end_tree(Ending::NOW)).await.unwrap();
    assert_eq!((left, alive(&run.mark)), (vec![], vec![]));
    until("the trouble is told", || keeper.trouble().is_some()).await;
    let process = ProcessId::of(keeper_pid(&run.dir())).unwrap();
    assert_eq!(musher_process::living(&run.dir()).await, Some(vec![process.pid]));
    (keeper, process)
}

#[tokio::test]
async fn an_end_that_cannot_be_written_is_proved_and_written_later() {
    let run = Run::new();
    let (keeper, process) = ended_without_record(&run).await;
    let Attached::Live(other) = Keeper::attach(&run.dir()).await.unwrap() else {
        panic!("it waits for the disk");
    };
    assert_eq!(within(other.end_tree(Ending::NOW)).await.unwrap(), [0_u32; 0]);
    std::fs::remove_dir(run.dir().join("exit.json.new")).unwrap();
    assert_eq!(within(keeper.exited()).await.stdout, 6);
    until("the keeper goes", || !process.is_alive()).await;
    assert!(run.dir().join("exit.json").exists());
    assert_eq!(musher_process::living(&run.dir()).await, Some(vec![]));
}

#[tokio::test]
async fn an_end_that_cannot_be_written_does_not_outlive_its_folder() {
    let run = Run::new();
    let (_keeper, process) = ended_without_record(&run).await;
    std::fs::remove_dir_all(run.dir()).unwrap();
    until("the keeper goes", || !process.is_alive()).await;
}

#[tokio::test]
async fn a_run_whose_folder_is_removed_ends() {
    let run = Run::new();
    let mut spec =
        run.shell("seq 1 1000; while :; do echo more; sleep 0.01; done", Transport::Pipe);
    spec.spool_limit = 32 << 10;
    let keeper = run.start(spec).await.unwrap();
    let mut reader = keeper.output(Stream::Stdout, 0);
    read_until(&mut reader, "more\n").await;
    std::fs::remove_dir_all(run.dir()).unwrap();
    drop((keeper, reader));
    until("all are gone", || alive(&run.mark).is_empty()).await;
}

#[tokio::test]
async fn rude_clients_disturb_nobody() {
    let run = Run::new();
    let keeper = run.start_shell("read x; seq 1 100000; read y; echo $y", Transport::Pty).await;
    let connect = || {
        let stream = UnixStream::connect(run.dir().join("keeper.sock")).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        stream
    };
    // One listens and never reads.
    let mut silent = connect();
    silent.write_all(b"{\"seq\":1,\"op\":\"attach\"}\n").unwrap();
    // One speaks in pieces, nonsense, and of what is not known.
    let mut strange = connect();
    for piece in ["garbage\n", "{\"seq\":7,\"op\":\"fly\"}\n{\"seq\":8,", "\"op\":\"status\"}\n"] {
        strange.write_all(piece.as_bytes()).unwrap();
    }
    let mut lines = BufReader::new(&strange).lines().map(Result::unwrap);
    assert!(lines.next().unwrap().contains("does not understand"));
    let unknown = lines.next().unwrap();
    assert!(unknown.contains("\"seq\":7") && unknown.contains("does not understand"), "{unknown}");
    let status = lines.next().unwrap();
    assert!(status.contains("\"phase\":\"running\""), "{status}");
    drop(lines);
    drop(strange);

    keeper.input("x", "\n").await.unwrap();
    read_until(&mut keeper.output(Stream::Stdout, 0), "100000\n").await;
    keeper.input("y", "fine\n").await.unwrap();
    let record = within(keeper.exited()).await;
    assert_eq!(record.code, Some(0));
    drop(silent);
}

#[tokio::test]
async fn attaching_while_it_streams_loses_and_doubles_nothing() {
    for transport in BOTH {
        let run = Run::new();
        let keeper = run.start_shell("seq 1 300000", transport).await;
        let mut said = Vec::new();
        drop(keeper);
        loop {
            match Keeper::attach(&run.dir()).await.unwrap() {
                Attached::Live(keeper) => {
                    let mut reader = keeper.output(Stream::Stdout, said.len() as u64);
                    within(reader.read(&mut said)).await.unwrap();
                }
                Attached::Ended(_) => break,
                Attached::Lost { .. } => panic!("nobody killed it"),
            }
        }
        let rest =
            musher_process::SpoolReader::of_ended(run.dir(), Stream::Stdout, said.len() as u64);
        said.extend(read_all(rest).await);
        let expected: String = (1..=300_000).map(|number| format!("{number}\n")).collect();
        assert!(said == expected.as_bytes(), "{} bytes", said.len());
    }
}

#[tokio::test]
async fn secrets_stay_off_the_disk_and_files_are_private() {
    let run = Run::new();
    let mut spec = run.shell("echo said; echo oops >&2; read x", Transport::Pty);
    spec.env.insert("API_KEY".into(), "sk-very-secret".into());
    assert!(!format!("{spec:?}").contains("sk-very-secret"));
    let keeper = run.start(spec).await.unwrap();
    read_until(&mut keeper.output(Stream::Stdout, 0), "said\n").await;
    read_until(&mut keeper.output(Stream::Stderr, 0), "oops\n").await;
    assert_eq!(std::fs::metadata(run.dir()).unwrap().mode() & 0o777, 0o700);
    for entry in std::fs::read_dir(run.dir()).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().mode() & 0o777, 0o600, "{:?}", entry.path());
        let content = std::fs::read(entry.path()).unwrap_or_default();
        assert!(!String::from_utf8_lossy(&content).contains("very-secret"), "{:?}", entry.path());
    }
    assert_eq!(segments(&run.dir()).len(), 2);
    keeper.end(Ending::NOW).await.unwrap();
}

/// Descriptors and signals are those of any program started here, and there is no terminal to own.
#[tokio::test]
async fn a_child_inherits_nothing_of_ours() {
    let facts = "ls -1 /proc/self/fd; grep -E 'SigBlk|SigIgn' /proc/self/status";
    let plain = Command::new("/bin/sh").args(["-c", facts]).output().unwrap();
    let plain = String::from_utf8(plain.stdout).unwrap();
    for transport in BOTH {
        let run = Run::new();
        let script = format!("{facts}; (: </dev/tty) 2>/dev/null && echo tty; env; echo .; read x");
        let keeper = run.start_shell(&script, transport).await;
        let said = read_until(&mut keeper.output(Stream::Stdout, 0), "\n.\n").await;
        let rest = said.strip_prefix(&plain).unwrap_or_else(|| panic!("{said} not as {plain}"));
        let mut names: Vec<&str> =
            rest.lines().filter_map(|line| line.split_once('=')).map(|(name, _)| name).collect();
        names.sort_unstable();
        assert_eq!(names, ["MUSHER_RUN", "PATH", "PWD"]);
        assert!(!rest.contains("tty\n"));
        let pid = keeper_pid(&run.dir());
        assert_eq!(session(pid), pid, "the keeper leads its own session");
        assert_eq!(session(keeper.child().unwrap()), pid);
        keeper.end(Ending::NOW).await.unwrap();
    }
}

fn session(pid: u32) -> u32 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let rest = stat.rsplit(')').next().unwrap();
    rest.split_whitespace().nth(3).unwrap().parse().unwrap()
}

#[tokio::test]
async fn an_idle_keeper_sleeps() {
    let run = Run::new();
    let keeper = run.start_shell("echo ready; read x", Transport::Pty).await;
    read_until(&mut keeper.output(Stream::Stdout, 0), "ready\n").await;
    let status = format!("/proc/{}/status", keeper_pid(&run.dir()));
    let wakes = || {
        let text = std::fs::read_to_string(&status).unwrap();
        let rows = text.lines().filter(|line| line.contains("ctxt_switches"));
        rows.map(|row| row.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap()).sum::<u64>()
    };
    tokio::time::sleep(Duration::from_millis(300)).await;
    let before = wakes();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(wakes() <= before + 1, "{} wakes in a second", wakes() - before);
    keeper.end(Ending::NOW).await.unwrap();
}
