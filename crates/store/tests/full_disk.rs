//! A disk that is full: nothing is lost, and it goes on by itself when there is room again. On a real
//! small disk where one may be mounted; the same at every byte, without one, is a test of
//! `transcript/file.rs` that runs everywhere.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::{fs, path::Path};

use common::*;
use musher_protocol::{ApiError, ErrorCode};
use musher_store::{DataDirLock, LineBatch, Store, StoreErrorKind};
use musher_testkit::disk;

/// SQLite calls it a disk I/O error: the file that it shares its memory by cannot grow.
#[tokio::test]
async fn a_start_on_a_full_disk_says_so() {
    let test = "a_start_on_a_full_disk_says_so";
    let Some(disk) = disk::small(test, 4, &[]).unwrap() else { return };
    let data = disk.join("data");
    let (store, _) = Store::open(&data).unwrap();
    store.close().await;
    disk::fill(&disk.join("filler")).unwrap();
    let Err(error) = Store::open(&data) else { panic!("there is no room to open it") };
    assert_eq!(error.kind, StoreErrorKind::DiskFull, "{error:?}");
    assert!(error.what.ends_with("is full.") && error.hint.contains("start Musher again"));
}

#[tokio::test]
async fn a_full_disk_pauses_and_loses_nothing() {
    let test = "a_full_disk_pauses_and_loses_nothing";
    let Some(disk) = disk::small(test, 4, &[]).unwrap() else { return };
    let data = disk.join("data");
    let _lock = DataDirLock::acquire(&data).unwrap();
    let (store, _) = Store::open(&data).unwrap();
    store.put_run(&summary()).await.unwrap();
    let mut log = store.create_log(&header()).await.unwrap();
    let index = log.index();
    let filler = disk.join("filler");
    disk::fill(&filler).unwrap();
    let mut batch = LineBatch::new(1);
    let mut refused = 0;
    while batch.next_seq() <= 20_000 {
        for seq in batch.next_seq()..batch.next_seq() + 100 {
            batch.push(&envelope(seq, text(seq), None)).unwrap();
        }
        if let Err(error) = log.append(&mut batch).await {
            assert_eq!(error.kind, StoreErrorKind::DiskFull, "{error}");
            assert_eq!(ApiError::from(error).code, ErrorCode::DiskFull);
            let file = fs::read(index.path()).unwrap();
            assert_eq!(file.last(), Some(&b'\n'));
            assert_eq!(index.next_seq(), batch.first_seq());
            refused += 1;
            let _ = fs::remove_file(&filler);
            if refused == 1 {
                log.append(&mut batch).await.unwrap();
            } else {
                break;
            }
        }
    }
    assert!(refused >= 1, "the disk was never full");
    let stored = index.next_seq() - 1;
    let got = index.read(1..u64::MAX, 1 << 30).await.unwrap();
    let seqs: Vec<u64> = parse(&got.json).iter().map(|e| e.seq).collect();
    assert_eq!(seqs, (1..=stored).collect::<Vec<_>>());
    assert!(stored > 100);
    database_goes_on(&store, &filler).await;
}

async fn database_goes_on(store: &Store, filler: &Path) {
    disk::fill(filler).unwrap();
    let mut long = story();
    long.title = "t".repeat(200_000);
    let mut full = None;
    for _ in 0..40 {
        if let Err(error) = store.put_story(&long).await {
            full = Some(error.kind);
            break;
        }
        long.title.push_str(&"u".repeat(100_000));
    }
    assert_eq!(full, Some(StoreErrorKind::DiskFull));
    assert_eq!(store.runs().await.unwrap(), [summary()]);
    fs::remove_file(filler).unwrap();
    store.put_story(&story()).await.unwrap();
    assert_eq!(store.stories().await.unwrap(), [story()]);
}
