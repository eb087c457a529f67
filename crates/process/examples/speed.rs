//! How fast a child's output gets through a keeper, beside the bare terminal or pipe.
//! `cargo run --profile bench-road -p musher-process --example speed -- pty|pipe [lines] [bytes]`
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use musher_process::{Ending, Keeper, SpawnSpec, Stream, Transport};
use std::{
    io::{Read, Write},
    path::PathBuf,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

fn main() {
    let args: Vec<String> = std::env::args().collect();
    if args.get(1).is_some_and(|arg| arg == "--say") {
        return say(
            args[2].parse().unwrap(),
            args[3].parse().unwrap(),
            args.get(4).map_or(0, |s| s.parse().unwrap()),
        );
    }
    if args.get(1).is_some_and(|arg| arg == "--keeper") {
        std::process::exit(0)
    }
    let transport =
        if args.get(1).is_some_and(|arg| arg == "pipe") { Transport::Pipe } else { Transport::Pty };
    let lines: usize = args.get(2).map_or(200_000, |text| text.parse().unwrap());
    let bytes: usize = args.get(3).map_or(500, |text| text.parse().unwrap());
    let raw = bare(transport, lines, bytes);
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(kept(transport, lines, bytes, raw));
    runtime.block_on(latency(transport));
}

fn say(lines: usize, bytes: usize, pause_us: u64) {
    let mut out = std::fs::File::from(rustix::io::dup(rustix::stdio::stdout()).unwrap());
    let mut line = vec![b'x'; bytes];
    line[bytes - 1] = b'\n';
    let begun = Instant::now();
    for i in 0..lines {
        if pause_us > 0 {
            let due = Duration::from_micros(pause_us * i as u64);
            std::thread::sleep(due.saturating_sub(begun.elapsed()));
            let ns = std::time::SystemTime::now()
                .duration_since(std::time::UNIX_EPOCH)
                .unwrap()
                .as_nanos();
            let text = format!("{ns:030}");
            line[..30].copy_from_slice(text.as_bytes());
        }
        out.write_all(&line).unwrap();
    }
}

fn bare(transport: Transport, lines: usize, bytes: usize) -> f64 {
    let me = std::env::current_exe().unwrap();
    let mut command = Command::new(me);
    command.args(["--say", &lines.to_string(), &bytes.to_string()]);
    let begun = Instant::now();
    let mut buffer = vec![0; 64 << 10];
    let mut total = 0;
    if transport == Transport::Pipe {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut out = child.stdout.take().unwrap();
        loop {
            let n = out.read(&mut buffer).unwrap();
            if n == 0 {
                break;
            }
            total += n;
        }
        child.wait().unwrap();
    } else {
        let pair = portable_pty::native_pty_system().openpty(Default::default()).unwrap();
        let slave = std::fs::OpenOptions::new()
            .read(true)
            .write(true)
            .open(pair.master.tty_name().unwrap())
            .unwrap();
        let mut modes = rustix::termios::tcgetattr(&slave).unwrap();
        modes.make_raw();
        rustix::termios::tcsetattr(&slave, rustix::termios::OptionalActions::Now, &modes).unwrap();
        let mut child = command.stdout(Stdio::from(slave)).spawn().unwrap();
        drop(command);
        let mut reader = pair.master.try_clone_reader().unwrap();
        drop(pair.slave);
        loop {
            let n = reader.read(&mut buffer).unwrap();
            if n == 0 {
                break;
            }
            total += n;
        }
        child.wait().unwrap();
    }
    let secs = begun.elapsed().as_secs_f64();
    assert_eq!(total, lines * bytes);
    println!("raw    {:6.1} MB/s {:.3} s", total as f64 / 1e6 / secs, secs);
    secs
}

fn cpu(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let f: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    (f[11].parse::<f64>().unwrap() + f[12].parse::<f64>().unwrap()) / 100.0
}

fn spec(dir: &std::path::Path, transport: Transport, args: &[String]) -> SpawnSpec {
    let mut spec = SpawnSpec::new(std::env::current_exe().unwrap(), dir, "speed");
    spec.transport = transport;
    spec.spool_limit = 1 << 40;
    spec.args = args.to_vec();
    spec
}

fn keeper() -> PathBuf {
    std::env::current_exe().unwrap().parent().unwrap().join("keeper")
}

async fn kept(transport: Transport, lines: usize, bytes: usize, raw: f64) {
    let dir = tempfile::tempdir().unwrap();
    let mut spec = spec(dir.path(), transport, &[]);
    let me = std::env::current_exe().unwrap();
    spec.program = "/bin/sh".into();
    spec.args = vec!["-c".into(), format!("{} --say {lines} {bytes}; read x", me.display())];
    let begun = Instant::now();
    let before = cpu(std::process::id());
    let keeper = Keeper::start_with(&keeper(), &dir.path().join("run"), spec).await.unwrap();
    let mut reader = keeper.output(Stream::Stdout, 0);
    let (mut out, mut reads) = (Vec::new(), 0);
    while reader.position() < (lines * bytes) as u64 {
        out.clear();
        reader.read(&mut out).await.unwrap();
        reads += 1;
        if reads % 64 == 0 {
            keeper.release(Stream::Stdout, reader.position()).await;
        }
    }
    let secs = begun.elapsed().as_secs_f64();
    let file: serde_json::Value =
        serde_json::from_slice(&std::fs::read(dir.path().join("run/keeper.json")).unwrap())
            .unwrap();
    let pid = file["keeper"]["pid"].as_u64().unwrap() as u32;
    let rss = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let rss = rss.lines().find(|l| l.starts_with("VmHWM")).unwrap().to_owned();
    println!(
        "{}",
        std::fs::read_to_string(format!("/proc/{pid}/io"))
            .unwrap()
            .lines()
            .take(4)
            .collect::<Vec<_>>()
            .join(" ")
    );
    let n = lines as f64;
    println!(
        "keeper {:6.1} MB/s {:.3} s, ratio {:.2}, reads {reads}, keeper cpu {:.2} us/line, engine cpu {:.2} us/line, {rss}",
        (lines * bytes) as f64 / 1e6 / secs,
        secs,
        raw / secs,
        cpu(pid) * 1e6 / n,
        (cpu(std::process::id()) - before) * 1e6 / n
    );
    keeper.end(Ending::NOW).await.unwrap();
}

async fn latency(transport: Transport) {
    let dir = tempfile::tempdir().unwrap();
    let spec =
        spec(dir.path(), transport, &["--say".into(), "3000".into(), "500".into(), "1000".into()]);
    let keeper = Keeper::start_with(&keeper(), &dir.path().join("run"), spec).await.unwrap();
    let mut reader = keeper.output(Stream::Stdout, 0);
    let (mut out, mut lat) = (Vec::new(), Vec::new());
    let before = cpu(std::process::id());
    loop {
        out.clear();
        if reader.read(&mut out).await.unwrap() == 0 {
            break;
        }
        let now =
            std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos();
        for line in out.split(|b| *b == b'\n').filter(|l| l.len() > 30) {
            if let Ok(at) = std::str::from_utf8(&line[..30]).unwrap().parse::<u128>() {
                lat.push(now.saturating_sub(at) as f64 / 1e3);
            }
        }
    }
    lat.sort_by(f64::total_cmp);
    println!(
        "latency at 1000/s: p50 {:.0} us, p99 {:.0} us; engine cpu {:.1} us/line",
        lat[lat.len() / 2],
        lat[lat.len() * 99 / 100],
        (cpu(std::process::id()) - before) * 1e6 / 3000.0
    );
}
