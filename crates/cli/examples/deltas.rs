//! Streams a model's words from a server of its own through the runtime, the engine and its store, and
//! prints how late they are in the transcript; then how soon a stop ends a stream, and a command with
//! grandchildren. One JSON line. `cargo xtask bench deltas` builds it for speed.
//!
//! Beside it a thread reads the same stream from a socket and does nothing else: so late is the machine
//! itself, at the same time.
//!
//! Each delta holds the time just before it is written, so that the write counts as well. It is
//! readable when `run_events`, which reads what is stored, gives it out. A stop is over when the run's
//! end is stored.

#[path = "deltas/raw.rs"]
mod raw;
#[path = "deltas/server.rs"]
mod server;

use std::{
    path::Path,
    process::ExitCode,
    time::{Duration, Instant},
};

use chrono::Utc;
use clap::Parser;
use musher_engine::{DEMO_REPOSITORY, Engine, EngineConfig, with_models};
use musher_protocol::*;
use musher_runtime::Registry;
use serde::Deserialize;
use serde_json::json;

use server::{Pace, Server, Speech};

const STOPS: usize = 9;
/// It has grandchildren of its own and of another session, and none of them ends when it is asked to.
const COMMAND: &str =
    "trap '' TERM; sleep 600 & setsid sh -c \"trap '' TERM; sleep 600; :\" & echo begun; sleep 600";
/// Into a turn before it is stopped.
const BEFORE_STOP: Duration = Duration::from_millis(500);

#[derive(Parser)]
struct Args {
    /// Deltas a second.
    #[arg(long, default_value_t = 500)]
    rate: u64,
    #[arg(long, default_value_t = 30)]
    seconds: u64,
}

#[tokio::main(worker_threads = 2)]
async fn main() -> ExitCode {
    let args = Args::parse();
    let dir = std::env::temp_dir().join(format!("musher-deltas-{}", std::process::id()));
    let measured = measure(&dir, &args).await;
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

async fn measure(dir: &Path, args: &Args) -> Result<serde_json::Value, ApiError> {
    let registry = with_models(Registry::default(), dir);
    let engine = Engine::open(EngineConfig::new(dir.to_owned()), registry).await?;
    let pace = Pace { rate: args.rate, count: args.rate * args.seconds };
    let machine = raw::listen(pace).map_err(no_server)?;
    let mut late = latencies(&engine, pace).await?;
    late.sort_unstable();
    let machine = machine.join().unwrap_or_default();
    let stream = Speech::Words(Pace { rate: args.rate, count: u64::MAX });
    let streaming = stops(&engine, &stream).await?;
    let command = stops(&engine, &Speech::Command(COMMAND)).await?;
    engine.shutdown().await;
    Ok(json!({
        "deltas_per_second": args.rate,
        "deltas": late.len(),
        "latency_p50_ms": percentile(&late, 50),
        "latency_p99_ms": percentile(&late, 99),
        "latency_max_ms": percentile(&late, 100),
        "raw_p50_ms": percentile(&machine, 50),
        "raw_p99_ms": percentile(&machine, 99),
        "stop_streaming_ms": millis(&streaming),
        "stop_command_ms": millis(&command),
    }))
}

async fn start(engine: &Engine, server: &Server) -> Result<RunId, ApiError> {
    let endpoint = EndpointSettings {
        base_url: Some(server.base_url()),
        dialect: Some("openai-chat".into()),
        ..EndpointSettings::default()
    };
    let settings = RunSettings {
        runtime: "openai".into(),
        model: Some("words".into()),
        permission_mode: PermissionMode::Bypass,
        endpoint,
        ..RunSettings::default()
    };
    let place = RunPlace::Fresh { repository: DEMO_REPOSITORY.into(), base: None, branch: None };
    let params = RunStartParams { prompt: "go".into(), place, settings, restrict_untrusted: true };
    Ok(engine.run_start(params).await?.id)
}

/// Nanoseconds from each delta's write until it could be read.
async fn latencies(engine: &Engine, pace: Pace) -> Result<Vec<u64>, ApiError> {
    let server = Server::start(Speech::Words(pace)).map_err(no_server)?;
    let mut reader = Reader { engine, run: start(engine, &server).await?, next: 1 };
    let mut late = Vec::new();
    loop {
        let (text, end) = reader.more().await?;
        let now = Utc::now().timestamp_nanos_opt().unwrap_or_default();
        // The words come once more, whole, when they have ended.
        let count = usize::try_from(pace.count).unwrap_or(usize::MAX) - late.len();
        let sent = text.match_indices("sent:").filter_map(|(at, _)| sent_at(&text[at..]));
        late.extend(sent.take(count).map(|at| u64::try_from(now - at).unwrap_or_default()));
        if end || text.contains("\"turn_ended\"") {
            return Ok(late);
        }
    }
}

/// How long stops take, each of a run of its own.
async fn stops(engine: &Engine, speech: &Speech) -> Result<Vec<Duration>, ApiError> {
    let mut took = Vec::new();
    for _ in 0..STOPS {
        let server = Server::start(speech.clone()).map_err(no_server)?;
        let run = start(engine, &server).await?;
        let mut reader = Reader { engine, run: run.clone(), next: 1 };
        let begun = ["\"delta\":true", "\"tool_decision\""];
        loop {
            let (text, end) = reader.more().await?;
            if end || begun.iter().any(|it| text.contains(it)) {
                break;
            }
        }
        tokio::time::sleep(BEFORE_STOP).await;
        let asked = Instant::now();
        engine.run_stop(RunParams { run }).await?;
        while !reader.more().await?.1 {}
        took.push(asked.elapsed());
    }
    took.sort_unstable();
    Ok(took)
}

/// Reads as the window does: batches, as they are stored.
struct Reader<'a> {
    engine: &'a Engine,
    run: RunId,
    next: u64,
}

/// How a batch ends, behind its events (see `Engine::run_events`).
#[derive(Deserialize)]
struct Tail {
    next_seq: u64,
    end: bool,
}

impl Reader<'_> {
    /// What is new, and whether that was all.
    async fn more(&mut self) -> Result<(String, bool), ApiError> {
        let (run, wait_ms) = (self.run.clone(), Some(25_000));
        let params = RunEventsParams { run, from_seq: self.next, max_bytes: None, wait_ms };
        let text = self.engine.run_events(params).await?;
        let tail = text.rfind("],\"next_seq\"").map(|at| format!("{{{}", &text[at + 2..]));
        let Some(Ok(tail)) = tail.map(|tail| serde_json::from_str::<Tail>(&tail)) else {
            return Ok((text, true));
        };
        self.next = tail.next_seq;
        Ok((text, tail.end))
    }
}

/// The time that the server wrote into a delta.
fn sent_at(stamp: &str) -> Option<i64> {
    stamp.get(5..25)?.trim_start_matches('0').parse().ok()
}

fn percentile(sorted: &[u64], percent: usize) -> Option<f64> {
    let at = sorted.len().saturating_sub(1) * percent / 100;
    sorted.get(at).map(|nanos| *nanos as f64 / 1e6)
}

/// The median and the longest.
fn millis(sorted: &[Duration]) -> serde_json::Value {
    let millis = |at: usize| sorted.get(at).map(|it| (it.as_secs_f64() * 1e3).round());
    json!({"median": millis(sorted.len() / 2), "max": millis(sorted.len().saturating_sub(1))})
}

fn no_server(error: std::io::Error) -> ApiError {
    ApiError::new(ErrorCode::Internal, format!("The server of the benchmark: {error}."))
}
