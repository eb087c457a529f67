//! How fast a transcript takes events, and whether an event's cost grows with the transcript:
//! `cargo run --profile bench-road -p musher-store --example append [events] [lines a batch]`.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use chrono::{DateTime, Utc};
use musher_protocol::{AgentEvent, EventEnvelope, RunId, TRANSCRIPT_FORMAT};
use musher_store::{AgentLogWriter, Header, LineBatch, TranscriptIndex};

#[tokio::main]
async fn main() -> Result<()> {
    let mut args = std::env::args().skip(1).map(|a| a.parse::<u64>());
    let events = args.next().transpose()?.unwrap_or(1_000_000);
    let together = args.next().transpose()?.unwrap_or(100);
    let dir = tempfile::tempdir_in(".")?;
    let path = dir.path().join("transcript.jsonl");
    let mut log = AgentLogWriter::create(&path, &header()?).await?;
    let mut batch = LineBatch::new(1);
    let tenth = (events / 10).max(1);
    for part in 0..10 {
        let started = Instant::now();
        let mut serialising = Duration::ZERO;
        while batch.first_seq() <= (part + 1) * tenth {
            let before = Instant::now();
            for seq in batch.next_seq()..batch.next_seq() + together {
                batch.push(&event(seq)?)?;
            }
            serialising += before.elapsed();
            log.append(&mut batch).await?;
        }
        say(part + 1, tenth, started.elapsed(), serialising);
    }
    log.flush().await?;
    tail(&log.index()).await?;
    println!("bytes: {}", std::fs::metadata(&path)?.len());
    log.close().await?;
    let started = Instant::now();
    let (_log, got) = AgentLogWriter::recover(&path).await?;
    let micros = started.elapsed().as_secs_f64() * 1e6 / (got.next_seq - 1) as f64;
    println!("recovery: {micros:.2} µs an event");
    Ok(())
}

fn say(part: u64, events: u64, all: Duration, serialising: Duration) {
    let micros = |d: Duration| d.as_secs_f64() * 1e6 / events as f64;
    let rate = events as f64 / all.as_secs_f64();
    let (all, own) = (micros(all), micros(serialising));
    println!(
        "tenth {part}: {rate:.0} lines/s, {all:.2} µs an event, {own:.2} of them to serialise"
    );
}

async fn tail(index: &TranscriptIndex) -> Result<()> {
    let started = Instant::now();
    let rounds = 200;
    for back in 1..=rounds {
        let from = index.next_seq() - 10 * back;
        let batch = index.read(from..u64::MAX, 2_000).await?;
        anyhow::ensure!(batch.first_seq == from, "read from {}", batch.first_seq);
    }
    println!("a batch at the end: {:.0} µs", started.elapsed().as_secs_f64() * 1e6 / rounds as f64);
    Ok(())
}

fn event(seq: u64) -> Result<EventEnvelope> {
    Ok(EventEnvelope {
        run: RunId::parse("0198c0de-0000-7000-8000-000000000001").context("id")?,
        seq,
        at: DateTime::<Utc>::UNIX_EPOCH,
        event: AgentEvent::Text {
            block: "msg_01".into(),
            text: "a piece of what the agent says, ünd möre ".repeat(3),
            delta: true,
            parent: None,
        },
        spool: Some(seq * 300),
    })
}

fn header() -> Result<Header> {
    let id = "0198c0de-0000-7000-8000-000000000001";
    let at = "2026-01-01T00:00:00Z";
    let usage = serde_json::json!({"input_tokens": 0, "output_tokens": 0, "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0, "cost_microdollars": 0, "cost_source": "unknown"});
    let summary = serde_json::json!({"id": id, "story": "s", "project": "p", "title": "t", "agent_name": "a",
        "runtime": "demo", "worktree": "/w", "status": "idle", "phase": "queued", "usage": usage, "added": 0,
        "removed": 0, "files_changed": 0, "waiting": 0, "unread": false, "demo": true, "created_at": at,
        "updated_at": at, "last_seq": 0});
    Ok(serde_json::from_value(
        serde_json::json!({"musher_transcript": TRANSCRIPT_FORMAT, "run": id,
        "story": "s", "created_at": at, "summary": summary}),
    )?)
}
