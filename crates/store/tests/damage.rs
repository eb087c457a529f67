//! Transcripts that were cut off or damaged: whatever was before the damage is there, nothing panics.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::{path::Path, sync::OnceLock};

use common::*;
use musher_protocol::*;
use musher_store::{AgentLogWriter, StoreErrorKind, fold_transcript, read_batch};
use proptest::prelude::*;

/// A source line of two events, one alone, and one of Musher's own.
fn small() -> Vec<EventEnvelope> {
    vec![
        envelope(1, AgentEvent::MessageSent { id: "m".into() }, None),
        envelope(2, text(2), Some(0)),
        envelope(3, text(3), Some(300)),
        envelope(4, text(4), Some(400)),
        envelope(5, AgentEvent::TurnEnded { ok: true, reason: None }, None),
        envelope(6, text(6), Some(0)),
        envelope(7, text(7), Some(0)),
        envelope(8, text(8), Some(800)),
    ]
}

fn events_of(path: &Path) -> Vec<EventEnvelope> {
    let mut events = Vec::new();
    fold_transcript(path, |e| events.push(e)).unwrap();
    events
}

/// How many of the first `whole` events may stay: not the first ones of an unfinished source line.
fn expected(events: &[EventEnvelope], whole: usize) -> usize {
    let kept = &events[..whole];
    let open = kept.iter().rev().take_while(|e| e.spool == Some(0)).count();
    whole - open
}

#[tokio::test]
async fn a_transcript_cut_at_any_byte_keeps_every_whole_event_and_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let events = small();
    let path = written(dir.path(), &events).await;
    let file = std::fs::read(&path).unwrap();
    let header_end = file.iter().position(|b| *b == b'\n').unwrap() + 1;
    for len in header_end..=file.len() {
        std::fs::write(&path, &file[..len]).unwrap();
        let torn = path.with_extension("torn");
        let _ = std::fs::remove_file(&torn);
        // A line that lacks only its line end is whole.
        let lines = file[header_end..len].iter().filter(|b| **b == b'\n').count();
        let lacks_end = file.get(len) == Some(&b'\n');
        let keep = expected(&events, lines + usize::from(lacks_end));
        let (mut log, got) = AgentLogWriter::recover(&path).await.unwrap();
        assert_eq!(got.next_seq, keep as u64 + 1, "cut at {len}");
        assert_eq!(events_of(&path), events[..keep], "cut at {len}");
        let stored = events[..keep].iter().filter_map(|e| e.spool).max().unwrap_or(0);
        assert_eq!((got.stored_to, got.damaged), (stored, 0));
        assert_eq!(torn.exists(), got.cut > 0);
        log.append(&mut batch(keep as u64 + 1, 1)).await.unwrap();
        assert_eq!(events_of(&path).len(), keep + 1);
        assert_eq!(log.index().read(1..u64::MAX, 1 << 20).await.unwrap().count, keep as u64 + 1);
    }
}

#[tokio::test]
async fn what_is_cut_is_kept_beside_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = written(dir.path(), &small()[..6]).await;
    let mut file = std::fs::read(&path).unwrap();
    let group = file[..file.len() - 1].iter().rposition(|b| *b == b'\n').unwrap() + 1;
    file.extend_from_slice(b"{\"run\":\"run-1\",\"se");
    std::fs::write(&path, &file).unwrap();
    let (_log, got) = AgentLogWriter::recover(&path).await.unwrap();
    assert_eq!((got.next_seq, got.cut), (6, (file.len() - group) as u64));
    let torn = std::fs::read(path.with_extension("torn")).unwrap();
    assert_eq!(torn.strip_suffix(b"\n").unwrap(), &file[group..]);
}

/// A person's words behind an unfinished source line were acknowledged: nothing is cut.
#[tokio::test]
async fn a_person_s_words_are_never_cut() {
    let dir = tempfile::tempdir().unwrap();
    let words = AgentEvent::Message { id: "m".into(), text: "t".into(), delivery: Delivery::Queue };
    let status = AgentEvent::Status {
        status: RuntimeStatus::Running,
        phase: RunPhase::Running,
        detail: None,
        until: None,
    };
    let mut events = small()[..6].to_vec();
    events.push(envelope(7, status, None));
    let path = written(&dir.path().join("a"), &events).await;
    let (_log, got) = AgentLogWriter::recover(&path).await.unwrap();
    assert_eq!(got.next_seq, 6, "a status may belong to the unfinished line");
    events.push(envelope(8, words, None));
    let path = written(&dir.path().join("b"), &events).await;
    let (_log, got) = AgentLogWriter::recover(&path).await.unwrap();
    assert_eq!((got.next_seq, got.fold.queued.len(), got.cut), (9, 1, 0));
}

#[tokio::test]
async fn a_zeroed_page_in_the_middle_costs_its_lines_only() {
    let dir = tempfile::tempdir().unwrap();
    let events: Vec<_> = (1..=200).map(|n| envelope(n, text(n), None)).collect();
    let path = written(dir.path(), &events).await;
    let mut file = std::fs::read(&path).unwrap();
    file[8_192..12_288].fill(0);
    std::fs::write(&path, &file).unwrap();
    let (_log, got) = AgentLogWriter::recover(&path).await.unwrap();
    assert_eq!((got.next_seq, got.damaged, got.cut), (201, 1, 0));
    let kept = events_of(&path);
    assert!(kept.iter().filter(|e| e.event != AgentEvent::Unknown).all(|e| events.contains(e)));
    assert!(kept.len() > 150, "{}", kept.len());
    let sent = parse(&read_batch(&path, None, 1, u64::MAX, 1 << 20).unwrap().json);
    assert!(
        sent.iter()
            .any(|e| matches!(&e.event, AgentEvent::Raw { kind, .. } if kind == "damaged_line"))
    );
    assert_eq!(sent.last(), events.last());
}

/// A number that is wrong is no gap: the events behind it keep theirs, and all are sent.
#[tokio::test]
async fn a_wrong_number_costs_its_own_line_only() {
    let dir = tempfile::tempdir().unwrap();
    let events: Vec<_> = (1..=20).map(|n| envelope(n, text(n), None)).collect();
    let path = written(dir.path(), &events).await;
    let file = std::fs::read_to_string(&path).unwrap();
    for wrong in ["\"seq\":70,", "\"seq\":1,", "\"seq\":18446744073709551615,"] {
        std::fs::write(&path, file.replace("\"seq\":10,", wrong)).unwrap();
        let sent = parse(&read_batch(&path, None, 1, u64::MAX, 1 << 20).unwrap().json);
        assert_eq!(sent.iter().map(|e| e.seq).collect::<Vec<_>>(), (1..=20).collect::<Vec<_>>());
        assert_eq!(sent[10..], events[10..]);
        assert_ne!(sent[9], events[9]);
    }
    // Lines that are really gone leave a gap.
    let gone = |line: &&str| !line.contains("\"seq\":10,") && !line.contains("\"seq\":11,");
    let rest: Vec<&str> = file.lines().filter(gone).collect();
    std::fs::write(&path, rest.join("\n") + "\n").unwrap();
    let sent = parse(&read_batch(&path, None, 9, u64::MAX, 1 << 20).unwrap().json);
    assert_eq!(sent.iter().map(|e| e.seq).take(3).collect::<Vec<_>>(), [9, 10, 12]);
    let (_log, got) = AgentLogWriter::recover(&path).await.unwrap();
    assert_eq!((got.next_seq, got.fold.missing), (21, 2));
}

/// What a reader is told in the place of missing lines.
fn gaps(sent: &[EventEnvelope]) -> Vec<(u64, String)> {
    let told = |e: &EventEnvelope| match &e.event {
        AgentEvent::Warning { code, message } if code == "transcript_gap" => {
            Some((e.seq, message.clone()))
        }
        _ => None,
    };
    sent.iter().filter_map(told).collect()
}

#[tokio::test]
async fn lines_that_are_gone_are_told_once_in_their_place() {
    let dir = tempfile::tempdir().unwrap();
    let events: Vec<_> = (1..=20).map(|n| envelope(n, text(n), None)).collect();
    let path = written(dir.path(), &events).await;
    let file = std::fs::read_to_string(&path).unwrap();
    let gone = |line: &&str| !line.contains("\"seq\":10,") && !line.contains("\"seq\":11,");
    let rest: Vec<&str> = file.lines().filter(gone).collect();
    std::fs::write(&path, rest.join("\n") + "\n").unwrap();
    // However small the batches are.
    for max_bytes in [1, 300, 1 << 20] {
        let (mut next, mut sent) = (1, Vec::new());
        while next <= 20 {
            let batch = read_batch(&path, None, next, u64::MAX, max_bytes).unwrap();
            assert!(batch.next_seq > next && batch.count > 0);
            next = batch.next_seq;
            sent.extend(parse(&batch.json));
        }
        let told = gaps(&sent);
        assert_eq!(told.len(), 1, "{told:?}");
        assert_eq!(told[0].0, 10);
        assert!(told[0].1.starts_with("Events 10 to 11 are missing"), "{told:?}");
        sent.retain(|e| e.seq != 10);
        assert_eq!(sent.len(), 18);
        assert!(sent.iter().all(|e| events.contains(e)));
    }
}

/// Copied lines, as an editor or a careless merge leaves them: what was there before is left out.
#[tokio::test]
async fn lines_that_are_there_twice_hide_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let events: Vec<_> = (1..=20).map(|n| envelope(n, text(n), None)).collect();
    let path = written(dir.path(), &events).await;
    let file = std::fs::read_to_string(&path).unwrap();
    let lines: Vec<&str> = file.lines().collect();
    for (from, to) in [(10, 11), (3, 9), (1, 13)] {
        let doubled = [&lines[..13], &lines[from..to], &lines[13..]].concat();
        std::fs::write(&path, doubled.join("\n") + "\n").unwrap();
        let sent = parse(&read_batch(&path, None, 1, u64::MAX, 1 << 20).unwrap().json);
        assert_eq!(sent, events, "lines {from} to {to}");
        assert_eq!(events_of(&path), events);
        let (log, got) = AgentLogWriter::recover(&path).await.unwrap();
        assert_eq!((got.next_seq, got.damaged, got.fold.missing), (21, 0, 0));
        assert_eq!(log.index().read(1..u64::MAX, 1 << 20).await.unwrap().count, 20);
    }
}

#[tokio::test]
async fn what_a_newer_musher_wrote_and_what_is_gone_is_not_read() {
    let dir = tempfile::tempdir().unwrap();
    let path = written(dir.path(), &small()).await;
    let file = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, file.replacen("musher_transcript\":1", "musher_transcript\":2", 1))
        .unwrap();
    let error = read_batch(&path, None, 3, u64::MAX, 1 << 20).unwrap_err();
    assert_eq!(error.kind, StoreErrorKind::NewerSchema);
    assert!(
        error.what.contains("newer Musher") && error.hint.contains("Update Musher"),
        "{error:?}"
    );
    assert!(fold_transcript(&path, |_| {}).is_err());
    std::fs::remove_file(&path).unwrap();
    let error = read_batch(&path, None, 1, u64::MAX, 1 << 20).unwrap_err();
    assert!(error.what.contains("is gone") && error.hint.contains("worktree"), "{error:?}");
}

#[tokio::test]
async fn a_zeroed_end_is_cut_and_kept() {
    let dir = tempfile::tempdir().unwrap();
    let path = written(dir.path(), &small()).await;
    let mut file = std::fs::read(&path).unwrap();
    let len = file.len();
    file.extend_from_slice(&[0; 4_096]);
    file.extend_from_slice(b"\n\0\0\0\n");
    std::fs::write(&path, &file).unwrap();
    let (_log, got) = AgentLogWriter::recover(&path).await.unwrap();
    assert_eq!((got.next_seq, got.damaged), (9, 0));
    assert_eq!(std::fs::metadata(&path).unwrap().len(), len as u64);
}

#[tokio::test]
async fn nothing_and_the_future_are_refused_untouched() {
    let dir = tempfile::tempdir().unwrap();
    let path = transcript_in(dir.path());
    for (bytes, kind) in [
        (&b""[..], StoreErrorKind::Corrupt),
        (b"{\"musher_transcript\":1", StoreErrorKind::Corrupt),
        (b"{\"musher_transcript\":99}\n", StoreErrorKind::NewerSchema),
    ] {
        std::fs::write(&path, bytes).unwrap();
        let error = AgentLogWriter::recover(&path).await.err().unwrap();
        assert_eq!(error.kind, kind);
        assert_eq!(std::fs::read(&path).unwrap(), bytes);
    }
}

#[tokio::test]
async fn a_newer_musher_s_events_pass_unchanged() {
    let dir = tempfile::tempdir().unwrap();
    let path = written(dir.path(), &small()).await;
    let line = r#"{"run":"run-1","seq":9,"at":"2030-01-01T00:00:00Z","event":{"type":"hologram","beam":3},"spool":900}"#;
    let mut file = std::fs::read(&path).unwrap();
    file.extend_from_slice(format!("{line}\n").as_bytes());
    std::fs::write(&path, &file).unwrap();
    let (log, got) = AgentLogWriter::recover(&path).await.unwrap();
    assert_eq!((got.next_seq, got.stored_to, got.damaged), (10, 900, 0));
    let sent = log.index().read(9..u64::MAX, 1 << 20).await.unwrap();
    assert_eq!(sent.json, format!("[{line}]"));
}

/// The bytes of `small`, written once.
fn sound_file() -> &'static [u8] {
    static FILE: OnceLock<Vec<u8>> = OnceLock::new();
    FILE.get_or_init(|| {
        let dir = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        std::fs::read(runtime.block_on(written(dir.path(), &small()))).unwrap()
    })
}

fn damaged_at_random() -> impl Strategy<Value = (usize, u8, bool)> {
    (any::<prop::sample::Index>(), 0u8..8, any::<bool>())
        .prop_map(|(index, bit, cut)| (index.index(1 << 20), bit, cut))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    /// One bit flipped anywhere, and perhaps the end cut off too.
    #[test]
    fn a_flipped_bit_costs_no_event_before_it((place, bit, cut) in damaged_at_random()) {
        let dir = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let events = small();
        let path = transcript_in(dir.path());
        let mut file = sound_file().to_vec();
        let place = place % file.len();
        file[place] ^= 1 << bit;
        if cut {
            file.truncate((place + 40).min(file.len()));
        }
        std::fs::write(&path, &file).unwrap();
        let before = file[..place].iter().filter(|b| **b == b'\n').count().saturating_sub(1);
        let before = expected(&events, before.min(events.len()));
        // Readers first, on what is there.
        let read = match read_batch(&path, None, 1, u64::MAX, 1 << 20) {
            Ok(read) => read,
            Err(error) => {
                // The bit made the header's format a newer one.
                prop_assert!(error.kind == StoreErrorKind::NewerSchema && before == 0, "{}", error);
                prop_assert_eq!(std::fs::read(&path).unwrap(), file);
                return Ok(());
            }
        };
        let sent = parse(&read.json);
        prop_assert!(sent.windows(2).all(|w| w[0].seq < w[1].seq));
        prop_assert!(sent.len() >= before);
        match runtime.block_on(AgentLogWriter::recover(&path)) {
            Ok((mut log, got)) => {
                prop_assert!(got.next_seq > before as u64);
                prop_assert_eq!(&events_of(&path)[..before], &events[..before]);
                runtime.block_on(log.append(&mut batch(got.next_seq, 1))).unwrap();
                let again = runtime.block_on(log.index().read(1..u64::MAX, 1 << 20)).unwrap();
                prop_assert_eq!(again.next_seq, got.next_seq + 1);
                parse(&again.json);
            }
            Err(error) => {
                let refused = matches!(error.kind, StoreErrorKind::NewerSchema | StoreErrorKind::Corrupt);
                prop_assert!(refused && before == 0, "{}", error);
                prop_assert_eq!(std::fs::read(&path).unwrap(), file);
            }
        }
    }
}
