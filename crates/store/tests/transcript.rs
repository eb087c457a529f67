//! Writing and reading transcripts: nothing missed, nothing twice, never part of a line.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use common::*;
use musher_protocol::AgentEvent;
use musher_store::{
    AgentLogWriter, LineBatch, Mark, StoreErrorKind, TranscriptIndex, fold_transcript, read_batch,
};
use tokio::{sync::watch, task::JoinSet};

#[tokio::test]
async fn what_is_written_is_read_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let path = transcript_in(dir.path());
    let mut log = AgentLogWriter::create(&path, &header()).await.unwrap();
    let mut lines = batch(1, 3);
    let bytes = lines.bytes().to_vec();
    log.append(&mut lines).await.unwrap();
    assert!(lines.is_empty());
    assert_eq!((lines.next_seq(), log.next_seq()), (4, 4));
    let got = log.index().read(1..u64::MAX, 1 << 20).await.unwrap();
    let sent = String::from_utf8(bytes).unwrap();
    assert_eq!(got.json, format!("[{}]", sent.trim_end().replace('\n', ",")));
    assert_eq!((got.first_seq, got.next_seq, got.count), (1, 4, 3));
    let end = log.index().read(4..u64::MAX, 1 << 20).await.unwrap();
    assert_eq!((end.json.as_str(), end.next_seq, end.count), ("[]", 4, 0));
}

#[tokio::test]
async fn the_header_says_the_run_and_hides_the_environment() {
    let dir = tempfile::tempdir().unwrap();
    let path = written(dir.path(), &[envelope(1, text(1), None)]).await;
    let file = std::fs::read_to_string(&path).unwrap();
    let first = file.lines().next().unwrap();
    assert!(first.starts_with("{\"musher_transcript\":1,\"run\":\"run-1\""), "{first}");
    assert!(!first.contains("hush"), "{first}");
    let folded = fold_transcript(&path, |_| {}).unwrap();
    assert_eq!(folded.header.unwrap().story, story().id);
}

#[tokio::test]
async fn a_transcript_is_never_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let path = written(dir.path(), &[envelope(1, text(1), None)]).await;
    let before = std::fs::read(&path).unwrap();
    assert!(AgentLogWriter::create(&path, &header()).await.is_err());
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[tokio::test]
async fn a_number_out_of_order_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = AgentLogWriter::create(&transcript_in(dir.path()), &header()).await.unwrap();
    log.append(&mut batch(1, 2)).await.unwrap();
    for first in [1, 2, 4] {
        let error = log.append(&mut batch(first, 1)).await.unwrap_err();
        assert_eq!(error.kind, StoreErrorKind::OutOfOrder);
    }
    assert!(LineBatch::new(5).push(&envelope(6, text(6), None)).is_err());
    assert_eq!(log.next_seq(), 3);
}

#[tokio::test]
async fn batches_keep_to_their_size_and_a_larger_event_goes_alone() {
    let dir = tempfile::tempdir().unwrap();
    let long = AgentEvent::Checkpoint { commit: "c".repeat(5_000), label: String::new() };
    let events = [envelope(1, text(1), None), envelope(2, long, None), envelope(3, text(3), None)];
    let path = written(dir.path(), &events).await;
    let mut sizes = Vec::new();
    let mut from = 1;
    while from < 4 {
        let got = read_batch(&path, None, from, u64::MAX, 1_000).unwrap();
        sizes.push((got.count, got.json.len() > 1_000));
        from = got.next_seq;
    }
    assert_eq!(sizes, [(1, false), (1, true), (1, false)]);
}

#[tokio::test]
async fn any_hint_gives_the_same_events() {
    let dir = tempfile::tempdir().unwrap();
    let events: Vec<_> = (1..=30).map(|n| envelope(n, text(n), None)).collect();
    let path = written(dir.path(), &events).await;
    let right = read_batch(&path, None, 20, u64::MAX, 1 << 20).unwrap();
    assert_eq!(parse(&right.json), events[19..]);
    let file = std::fs::read(&path).unwrap();
    for offset in 0..=file.len() as u64 + 3 {
        for seq in [1, 19, 20] {
            let hint = Some(Mark { seq, offset });
            assert_eq!(read_batch(&path, hint, 20, u64::MAX, 1 << 20).unwrap(), right);
        }
    }
}

#[tokio::test]
async fn the_limit_and_a_torn_end_are_never_read() {
    let dir = tempfile::tempdir().unwrap();
    let events: Vec<_> = (1..=5).map(|n| envelope(n, text(n), None)).collect();
    let path = written(dir.path(), &events).await;
    let limited = read_batch(&path, None, 1, 4, 1 << 20).unwrap();
    assert_eq!((limited.count, limited.next_seq), (3, 4));
    let file = std::fs::read(&path).unwrap();
    std::fs::write(&path, &file[..file.len() - 1]).unwrap();
    let torn = read_batch(&path, None, 1, u64::MAX, 1 << 20).unwrap();
    assert_eq!((torn.count, torn.next_seq), (4, 5));
}

#[tokio::test]
async fn what_is_not_published_is_not_read() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = AgentLogWriter::create(&transcript_in(dir.path()), &header()).await.unwrap();
    log.append(&mut batch(1, 2)).await.unwrap();
    let mut behind = std::fs::OpenOptions::new().append(true).open(log.index().path()).unwrap();
    std::io::Write::write_all(&mut behind, batch(3, 1).bytes()).unwrap();
    assert_eq!(log.index().read(1..u64::MAX, 1 << 20).await.unwrap().next_seq, 3);
    let path = log.index().path().to_owned();
    assert_eq!(read_batch(&path, None, 1, u64::MAX, 1 << 20).unwrap().next_seq, 4);
}

/// Readers that attach again and again while a writer appends: 1,000 of them.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn readers_that_attach_while_it_is_written_miss_and_double_nothing() {
    const EVENTS: u64 = 6_000;
    let dir = tempfile::tempdir().unwrap();
    let mut log = AgentLogWriter::create(&transcript_in(dir.path()), &header()).await.unwrap();
    let index = log.index();
    let (news, heard) = watch::channel(1);
    let mut readers = JoinSet::new();
    for n in 0..4 {
        readers.spawn(attach_often(index.clone(), heard.clone(), n, EVENTS));
    }
    let mut batch = LineBatch::new(1);
    while batch.next_seq() <= EVENTS {
        for seq in batch.next_seq()..batch.next_seq() + 1 + batch.next_seq() % 7 {
            batch.push(&envelope(seq, text(seq), None)).unwrap();
        }
        log.append(&mut batch).await.unwrap();
        news.send(log.next_seq()).unwrap();
    }
    while let Some(attached) = readers.join_next().await {
        assert!(attached.unwrap() >= 250);
    }
}

/// Reads to the end 250 times from different places near it, then once from the first event to the last.
async fn attach_often(
    index: Arc<TranscriptIndex>,
    mut heard: watch::Receiver<u64>,
    n: u64,
    events: u64,
) -> u64 {
    let mut attached = 0;
    while attached < 250 {
        let known = index.next_seq();
        let from = known.saturating_sub((attached * 7_919 + n * 104_729) % 300).max(1);
        let mut next = from;
        while next < known {
            next = step(&index, next).await;
        }
        attached += 1;
    }
    let mut next = 1;
    while next <= events {
        if next == index.next_seq() {
            heard.wait_for(|known| *known > next).await.unwrap();
        }
        next = step(&index, next).await;
    }
    attached
}

async fn step(index: &TranscriptIndex, from: u64) -> u64 {
    let got = index.read(from..u64::MAX, 20_000).await.unwrap();
    let seqs: Vec<u64> = parse(&got.json).iter().map(|e| e.seq).collect();
    assert_eq!(seqs, (from..got.next_seq).collect::<Vec<_>>());
    got.next_seq
}

#[tokio::test]
async fn the_index_keeps_reads_at_the_end_short() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = AgentLogWriter::create(&transcript_in(dir.path()), &header()).await.unwrap();
    let mut next = 1;
    for _ in 0..40 {
        let mut lines = batch(next, 1_000);
        log.append(&mut lines).await.unwrap();
        next = lines.next_seq();
    }
    let index = log.index();
    let path = index.path().to_owned();
    let len = std::fs::metadata(&path).unwrap().len();
    for seq in [1_000, 20_123, 40_000] {
        let mark = index.mark_before(seq).unwrap();
        assert!(mark.seq <= seq);
        let start = read_batch(&path, Some(mark), seq, seq + 1, 1 << 20).unwrap();
        assert_eq!(parse(&start.json)[0].seq, seq);
    }
    let last = index.mark_before(next).unwrap();
    assert!(len - last.offset < 2 * 64 * 1024, "the last mark is {} bytes away", len - last.offset);
}

/// Nothing asks for a sync here: the writer's own comes by itself.
#[tokio::test]
async fn a_sync_comes_unasked() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = AgentLogWriter::create(&transcript_in(dir.path()), &header()).await.unwrap();
    assert!(!log.unsynced());
    for first in 1..=2 {
        log.append(&mut batch(first, 1)).await.unwrap();
        assert!(log.unsynced());
        let began = Instant::now();
        while log.unsynced() {
            tokio::time::sleep(Duration::from_millis(2)).await;
            assert!(began.elapsed() < 20 * musher_store::SYNC_WITHIN, "no sync came");
        }
    }
    log.append(&mut batch(3, 1)).await.unwrap();
    log.flush().await.unwrap();
    assert!(!log.unsynced());
}
