//! What the child says arrives whole, in order and byte for byte; and so does what it is told.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::time::Duration;

use common::{BOTH, Run, keeper_pid, read_all, read_until, segments, until, within};
use musher_process::{Attached, Ending, Keeper, SpoolReader, Stream, Transport};

/// Bytes of every value, multi-byte text, and one line of 1 MiB.
fn awkward() -> Vec<u8> {
    let mut bytes: Vec<u8> = (0..=255).collect();
    bytes.extend("žluťoučký kůň 日本語 🦀\r\n".repeat(5_000).bytes());
    bytes.extend(std::iter::repeat_n(b'x', 1 << 20));
    bytes.extend("\n\t\u{1b}[31mred\u{1b}[0m\x03\x04\x1a\n".bytes());
    bytes
}

#[tokio::test]
async fn output_arrives_byte_for_byte() {
    for transport in BOTH {
        let run = Run::new();
        std::fs::write(run.folder.path().join("data"), awkward()).unwrap();
        let keeper = run.start_shell("cat data; echo oops >&2; exit 3", transport).await;
        let stdout = read_all(keeper.output(Stream::Stdout, 0)).await;
        assert!(stdout == awkward(), "{transport:?}: {} bytes", stdout.len());
        assert_eq!(read_all(keeper.output(Stream::Stderr, 0)).await, b"oops\n");
        let record = within(keeper.exited()).await;
        assert_eq!((record.code, record.signal), (Some(3), None));
        assert_eq!((record.stdout, record.stderr), (stdout.len() as u64, 5));
        assert!(record.killed.is_empty() && record.left.is_empty() && !record.lost);
    }
}

#[tokio::test]
async fn stdout_is_a_terminal_exactly_when_asked_and_stdin_never() {
    for (transport, expected) in [(Transport::Pty, "50 200"), (Transport::Pipe, "pipe")] {
        let run = Run::new();
        let script = "exec 3>&1; test -t 0 && echo in; test -t 1 && stty size <&3 || echo pipe";
        let keeper = run.start_shell(script, transport).await;
        let said = read_all(keeper.output(Stream::Stdout, 0)).await;
        assert_eq!(String::from_utf8_lossy(&said).trim(), expected);
    }
}

#[tokio::test]
async fn input_arrives_byte_for_byte_and_once() {
    for transport in BOTH {
        let run = Run::new();
        let keeper = run.start_shell("cat", transport).await;
        let text = format!("{}\u{3}\u{4} é 🦀\n", "a".repeat(1 << 20));
        within(keeper.input("one", &text)).await.unwrap();
        within(keeper.input("one", &text)).await.unwrap();
        within(keeper.input("two", "last\n")).await.unwrap();
        keeper.close_input().await.unwrap();
        let said = read_all(keeper.output(Stream::Stdout, 0)).await;
        assert!(said == format!("{text}last\n").into_bytes(), "{} bytes", said.len());
        assert_eq!(within(keeper.exited()).await.code, Some(0));
    }
}

#[tokio::test]
async fn input_after_the_end_of_input_is_refused() {
    let run = Run::new();
    let keeper = run.start_shell("read line; echo got; sleep 60", Transport::Pipe).await;
    keeper.close_input().await.unwrap();
    let error = keeper.input("late", "x\n").await.unwrap_err().to_string();
    assert!(error.contains("no more input"), "{error}");
    keeper.end(Ending::NOW).await.unwrap();
    assert!(keeper.input("dead", "x\n").await.is_err());
}

#[tokio::test]
async fn input_that_nobody_reads_is_bounded() {
    let run = Run::new();
    let keeper = run.start_shell("sleep 60", Transport::Pipe).await;
    let big = "y".repeat(5 << 20);
    let first = tokio::time::timeout(Duration::from_millis(200), keeper.input("1", &big)).await;
    assert!(first.is_err(), "nobody reads, so it cannot be in the pipe");
    let error = within(keeper.input("2", &big)).await.unwrap_err().to_string();
    assert!(error.contains("does not read"), "{error}");
    keeper.end(Ending::NOW).await.unwrap();
}

#[tokio::test]
async fn readers_start_anywhere_and_do_not_disturb_each_other() {
    let run = Run::new();
    let mut spec = run.shell("seq 1 100000; read go; echo end", Transport::Pty);
    spec.spool_limit = 1 << 20;
    let keeper = run.start(spec).await.unwrap();
    let mut first = keeper.output(Stream::Stdout, 0);
    read_until(&mut first, "100000\n").await;
    keeper.input("go", "go\n").await.unwrap();
    let whole = read_all(keeper.output(Stream::Stdout, 0)).await;
    assert!(segments(&run.dir()).len() > 1, "rotation was not met");
    for from in [0, 1, 4095, 65_536, whole.len() - 3, whole.len()] {
        let rest = read_all(keeper.output(Stream::Stdout, from as u64)).await;
        assert!(rest == whole[from..], "from {from}");
        let later = SpoolReader::of_ended(run.dir(), Stream::Stdout, from as u64);
        assert!(read_all(later).await == whole[from..], "from {from}, later");
    }
    assert_eq!(first.position(), whole.len() as u64 - 4);
}

#[tokio::test]
async fn a_closed_stdout_is_not_the_end() {
    for transport in BOTH {
        let run = Run::new();
        let script = "echo before; exec 1>&-; read line; echo after >&2; exit 5";
        let keeper = run.start_shell(script, transport).await;
        read_until(&mut keeper.output(Stream::Stdout, 0), "before\n").await;
        keeper.input("go", "go\n").await.unwrap();
        assert_eq!(read_all(keeper.output(Stream::Stderr, 0)).await, b"after\n");
        assert_eq!(within(keeper.exited()).await.code, Some(5));
    }
}

#[tokio::test]
async fn an_unread_spool_makes_the_child_wait_and_loses_nothing() {
    for transport in BOTH {
        let run = Run::new();
        let mut spec = run.shell("seq 1 200000; echo done >&2", transport);
        spec.spool_limit = 128 << 10;
        let keeper = run.start(spec).await.unwrap();
        let mut reader = keeper.output(Stream::Stdout, 0);
        let mut said = Vec::new();
        let size = || -> u64 {
            segments(&run.dir()).iter().map(|path| path.metadata().unwrap().len()).sum()
        };
        until("the limit is reached", || size() >= 128 << 10).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert!(size() <= (128 + 64) << 10, "{} bytes are kept", size());
        within(async {
            while reader.read(&mut said).await.unwrap() > 0 {
                keeper.release(Stream::Stdout, reader.position()).await;
            }
        })
        .await;
        let expected: String = (1..=200_000).map(|number| format!("{number}\n")).collect();
        assert!(said == expected.as_bytes(), "{} bytes", said.len());
        assert!(size() < 128 << 10, "released segments are still there");
        let mut early = SpoolReader::of_ended(run.dir(), Stream::Stdout, 0);
        assert!(
            early.read(&mut Vec::new()).await.unwrap_err().to_string().contains("no longer kept")
        );
    }
}

#[tokio::test]
async fn a_run_is_found_again_where_it_was_left() {
    let run = Run::new();
    let keeper = run.start_shell("echo one; read x; echo two-$x; sleep 60", Transport::Pty).await;
    let mut reader = keeper.output(Stream::Stdout, 0);
    read_until(&mut reader, "one\n").await;
    let position = reader.position();
    drop((keeper, reader));
    let Attached::Live(keeper) = Keeper::attach(&run.dir()).await.unwrap() else {
        panic!("it lives");
    };
    assert!(keeper.child().is_some());
    keeper.input("x", "again\n").await.unwrap();
    read_until(&mut keeper.output(Stream::Stdout, position), "two-again\n").await;
    let record = within(keeper.end(Ending::NOW)).await.unwrap();
    assert!(record.left.is_empty());
    let Attached::Ended(again) = Keeper::attach(&run.dir()).await.unwrap() else {
        panic!("it ended");
    };
    assert_eq!(again, record);
    musher_process::clean(&run.dir()).unwrap();
    assert!(segments(&run.dir()).is_empty());
}

#[tokio::test]
async fn a_run_folder_of_any_length_works() {
    let run = Run::new();
    let dir = run.folder.path().join("x".repeat(120)).join("y".repeat(120)).join("run");
    let spec = run.shell("read x; echo $x", Transport::Pty);
    let keeper = Keeper::start_with(&common::keeper_program(), &dir, spec).await.unwrap();
    drop(keeper);
    let Attached::Live(keeper) = Keeper::attach(&dir).await.unwrap() else { panic!("it lives") };
    keeper.input("x", "far\n").await.unwrap();
    assert_eq!(read_all(keeper.output(Stream::Stdout, 0)).await, b"far\n");
}

#[tokio::test]
async fn a_terminal_is_resized_and_a_pipe_says_why_not() {
    let run = Run::new();
    let keeper = run.start_shell("read x; stty size <&1", Transport::Pty).await;
    keeper.resize(99, 33).await.unwrap();
    keeper.input("x", "\n").await.unwrap();
    assert_eq!(read_all(keeper.output(Stream::Stdout, 0)).await, b"33 99\n");
    let run = Run::new();
    let keeper = run.start_shell("sleep 60", Transport::Pipe).await;
    assert!(keeper.resize(99, 33).await.unwrap_err().to_string().contains("no terminal"));
    keeper.end(Ending::NOW).await.unwrap();
}

#[tokio::test]
async fn a_keeper_is_small() {
    let run = Run::new();
    let keeper = run.start_shell("seq 1 500000; sleep 60", Transport::Pty).await;
    read_until(&mut keeper.output(Stream::Stdout, 0), "500000\n").await;
    let status =
        std::fs::read_to_string(format!("/proc/{}/status", keeper_pid(&run.dir()))).unwrap();
    let row = status.lines().find(|line| line.starts_with("VmRSS")).unwrap();
    let kib: u64 = row.split_whitespace().nth(1).unwrap().parse().unwrap();
    println!("keeper VmRSS {kib} kB");
    assert!(kib < 8 << 10, "{row}");
    keeper.end(Ending::NOW).await.unwrap();
}
