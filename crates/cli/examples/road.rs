//! Pushes a stream of Claude's shape through the whole road and prints what that took, as one JSON
//! line. `cargo xtask bench road` builds it for speed and adds the raw figures.
//!
//! The child is `musher-demo-agent --demo-script burst`; keeper, decoder, run actor, transcript, index
//! and one subscriber are the real ones. CPU time and peak memory are the kernel's (`/proc`), of this
//! process and of the keeper; the child's own are left out. Time is from the `starting` status to the
//! end of the turn, both as stored.

use std::{io::BufRead, path::Path, process::ExitCode, time::Duration};

use chrono::Utc;
use clap::{Parser, ValueEnum};
use musher_engine::{DEMO_REPOSITORY, Engine, EngineConfig};
use musher_protocol::*;
use musher_runtime::{Registry, claude::Demo};
use serde::Deserialize;
use serde_json::json;

const SAMPLE_EVERY: Duration = Duration::from_millis(5);
/// Events a second, and how many, for the latency.
const PACED: (u64, u64) = (1_000, 4_000);

#[derive(Parser)]
struct Args {
    #[arg(long, default_value = "pty")]
    transport: Carrier,
    #[arg(long, default_value_t = 100_000)]
    lines: u64,
}

#[derive(Clone, Copy, ValueEnum)]
enum Carrier {
    Pty,
    Pipe,
}

#[tokio::main(worker_threads = 2)]
async fn main() -> ExitCode {
    let Args { transport, lines } = Args::parse();
    let dir = std::env::temp_dir().join(format!("musher-bench-{}", std::process::id()));
    let measured = measure(&dir, transport, lines).await;
    // What is left of a benchmark is worth nothing.
    let _ = std::fs::remove_dir_all(&dir);
    match measured {
        Ok(measured) => println!("{measured}"),
        Err(error) => {
            eprintln!("{}", error.message);
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

async fn measure(
    dir: &Path,
    transport: Carrier,
    lines: u64,
) -> Result<serde_json::Value, ApiError> {
    let registry = Registry::default().with(Demo);
    let engine = Engine::open(EngineConfig::new(dir.to_owned()), registry).await?;
    let bulk = push(&engine, transport, &["--lines", &lines.to_string()], lines).await?;
    let memory = peak_kib("self");
    let (rate, count) = PACED;
    let paced = ["--lines", &count.to_string(), "--rate", &rate.to_string()];
    let mut late = push(&engine, transport, &paced, count).await?.latencies;
    late.sort_unstable();
    engine.shutdown().await;
    let events = bulk.events.max(1) as f64;
    let cpu = bulk.app_cpu + bulk.keeper_cpu;
    Ok(json!({
        "transport": match transport { Carrier::Pty => "pty", Carrier::Pipe => "pipe" },
        "lines": lines,
        "bytes": bulk.received,
        "seconds": bulk.seconds,
        "lines_per_second": (lines as f64 / bulk.seconds).round(),
        "megabytes_per_second": bulk.received as f64 / bulk.seconds / 1e6,
        "events": bulk.events,
        "app_cpu_seconds": bulk.app_cpu,
        "keeper_cpu_seconds": bulk.keeper_cpu,
        "cpu_microseconds_per_event": cpu / events * 1e6,
        "app_cpu_microseconds_per_event_by_tenth": bulk.by_tenth,
        "app_peak_mib": memory as f64 / 1024.0,
        "keeper_peak_mib": bulk.keeper_peak as f64 / 1024.0,
        "stored_bytes": bulk.stored,
        "stored_to_received": bulk.stored as f64 / bulk.received.max(1) as f64,
        "latency_p50_ms": percentile(&late, 50),
        "latency_p99_ms": percentile(&late, 99),
        "latency_events_per_second": rate,
    }))
}

#[derive(Default)]
struct Pushed {
    seconds: f64,
    events: u64,
    received: u64,
    stored: u64,
    app_cpu: f64,
    keeper_cpu: f64,
    keeper_peak: u64,
    by_tenth: Vec<f64>,
    /// Nanoseconds from the child's write to the subscriber.
    latencies: Vec<u64>,
}

async fn push(
    engine: &Engine,
    transport: Carrier,
    more: &[&str],
    lines: u64,
) -> Result<Pushed, ApiError> {
    let run = engine.run_start(params(transport, more)).await?.id;
    let run_dir = engine.data_dir().join("runs").join(run.as_str());
    let stamps = more.contains(&"--rate");
    let mut subscriber = Subscriber { engine, run, next: 1, stamps, latencies: Vec::new() };
    let mut seen = Pushed::default();
    let mut tick = tokio::time::interval(SAMPLE_EVERY);
    let before = cpu_seconds("self");
    let mut marks = vec![(0, before)];
    loop {
        tokio::select! {
            more = subscriber.take() => if !more? { break },
            _ = tick.tick() => sample_keeper(&run_dir, &mut seen),
        }
        if subscriber.next >= lines / 10 * marks.len() as u64 {
            marks.push((subscriber.next, cpu_seconds("self")));
        }
    }
    seen.app_cpu = cpu_seconds("self") - before;
    seen.by_tenth = marks
        .windows(2)
        .map(|w| (w[1].1 - w[0].1) / (w[1].0 - w[0].0).max(1) as f64 * 1e6)
        .collect();
    seen.events = subscriber.next - 1;
    seen.latencies = subscriber.latencies;
    let transcript = run_dir.join("transcript.jsonl");
    seen.seconds = span(&transcript);
    seen.stored = file_len(&transcript);
    seen.received = received(&run_dir);
    Ok(seen)
}

fn params(transport: Carrier, more: &[&str]) -> RunStartParams {
    let mut arguments = vec!["--demo-script".to_owned(), "burst".to_owned()];
    arguments.extend(more.iter().map(|arg| (*arg).to_owned()));
    let settings = RunSettings {
        runtime: "demo".into(),
        args: arguments,
        transport: match transport {
            Carrier::Pty => Transport::Pty,
            Carrier::Pipe => Transport::Pipe,
        },
        ..RunSettings::default()
    };
    let place = RunPlace::Fresh { repository: DEMO_REPOSITORY.into(), base: None, branch: None };
    RunStartParams { prompt: "go".into(), place, settings, restrict_untrusted: true }
}

/// Reads as the window does: batches, as they are stored. What it does with them is not the road's
/// cost, so of a batch it looks only at the end, and at the stamps when these are wanted.
struct Subscriber<'a> {
    engine: &'a Engine,
    run: RunId,
    next: u64,
    stamps: bool,
    latencies: Vec<u64>,
}

/// How a batch ends, behind its events (see `Engine::run_events`).
#[derive(Deserialize)]
struct Tail {
    next_seq: u64,
    end: bool,
}

impl Subscriber<'_> {
    /// `false` at the end.
    async fn take(&mut self) -> Result<bool, ApiError> {
        let run = self.run.clone();
        let params =
            RunEventsParams { run, from_seq: self.next, max_bytes: None, wait_ms: Some(25_000) };
        let text = self.engine.run_events(params).await?;
        if self.stamps {
            self.note_latencies(&text);
        }
        let tail = text.rfind("],\"next_seq\"").map(|at| format!("{{{}", &text[at + 2..]));
        let Some(Ok(tail)) = tail.map(|tail| serde_json::from_str::<Tail>(&tail)) else {
            return Ok(false);
        };
        self.next = tail.next_seq;
        Ok(!tail.end)
    }

    fn note_latencies(&mut self, text: &str) {
        let now = Utc::now().timestamp_nanos_opt().unwrap_or_default();
        let sent = text.match_indices("sent:").filter_map(|(at, _)| sent_at(&text[at..]));
        self.latencies.extend(sent.map(|sent| u64::try_from(now - sent).unwrap_or_default()));
    }
}

/// The time that the generator wrote into a line.
fn sent_at(stamp: &str) -> Option<i64> {
    stamp.get(5..25)?.trim_start_matches('0').parse().ok()
}

/// Seconds from the child's start to the end of its turn, as stored.
fn span(transcript: &Path) -> f64 {
    let (mut from, mut to) = (None, None);
    let file = std::fs::File::open(transcript).map(std::io::BufReader::new);
    for line in file.into_iter().flat_map(BufRead::lines).map_while(Result::ok) {
        let mark = match () {
            () if line.contains(r#""phase":"starting""#) => &mut from,
            () if line.contains(r#""type":"turn_ended""#) => &mut to,
            () => continue,
        };
        *mark = serde_json::from_str::<EventEnvelope>(&line).ok().map(|envelope| envelope.at);
    }
    let span = from.zip(to).and_then(|(from, to)| (to - from).to_std().ok());
    span.unwrap_or_default().as_secs_f64()
}

fn percentile(sorted: &[u64], percent: usize) -> Option<f64> {
    let at = sorted.len().saturating_sub(1) * percent / 100;
    sorted.get(at).map(|nanos| *nanos as f64 / 1e6)
}

fn sample_keeper(run_dir: &Path, seen: &mut Pushed) {
    let Ok(text) = std::fs::read(run_dir.join("keeper.json")) else { return };
    let Ok(kept) = serde_json::from_slice::<serde_json::Value>(&text) else { return };
    let Some(pid) = kept["keeper"]["pid"].as_u64() else { return };
    let pid = pid.to_string();
    seen.keeper_cpu = seen.keeper_cpu.max(cpu_seconds(&pid));
    seen.keeper_peak = seen.keeper_peak.max(peak_kib(&pid));
}

/// User and system seconds of a process so far; 0 when it is gone. The kernel counts in hundredths
/// (`USER_HZ`, proc(5)).
fn cpu_seconds(pid: &str) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let fields = stat.rsplit_once(')').map(|(_, rest)| rest).unwrap_or_default();
    let ticks = fields.split_whitespace().skip(11).take(2).filter_map(|f| f.parse::<f64>().ok());
    ticks.sum::<f64>() / 100.0
}

/// The most memory a process ever had resident, in KiB.
fn peak_kib(pid: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or_default()
}

fn received(run_dir: &Path) -> u64 {
    let Ok(text) = std::fs::read(run_dir.join("exit.json")) else { return 0 };
    let exit: serde_json::Value = serde_json::from_slice(&text).unwrap_or_default();
    exit["stdout"].as_u64().unwrap_or_default()
}

fn file_len(path: &Path) -> u64 {
    std::fs::metadata(path).map(|meta| meta.len()).unwrap_or_default()
}
