//! `cargo xtask bench start`: from the start of the window's program until the page has drawn its
//! data, and what it then holds in memory. On a display of its own, with a store that was filled by a
//! run of the demo agent.
//!
//! The program says in its log what it does; its page asks for news a second time in the frame behind
//! the one that shows the first. So the time is from outside and includes the loading of the program,
//! and the page needs no stop-watch.

use anyhow::{Context, Result, bail, ensure};
use serde_json::json;
use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::{display::Display, place, shell};

const STARTS: usize = 9;
/// Longer than any start that is worth a figure.
const LIMIT: Duration = Duration::from_secs(30);
const LOOK: Duration = Duration::from_millis(2);
/// After the start WebKit still tidies up; then the memory is counted.
const SETTLED: Duration = Duration::from_secs(5);
/// Said in this order or another; the start is over with the last.
const SAID: [(&str, &str); 5] = [
    ("begins", "begins"),
    ("window", "the window is there"),
    ("engine", "the engine is open"),
    ("answered", "the page listens"),
    ("drawn", "the page asks for news fresh=false"),
];

pub fn command(args: &[String]) -> Result<()> {
    let events = super::number(args, "--events", 100_000)?;
    let programs = match args.iter().position(|arg| arg == "--programs") {
        Some(at) => args.get(at + 1).context("--programs takes a folder")?.into(),
        None => place::target().join("release"),
    };
    let dir = std::env::temp_dir().join(format!("musher-start-{}", std::process::id()));
    let measured = measure(&programs, &dir, events);
    // What is left of a benchmark is worth nothing.
    let _ = fs::remove_dir_all(&dir);
    println!("{}", measured?);
    Ok(())
}

fn measure(programs: &Path, dir: &Path, events: u64) -> Result<serde_json::Value> {
    fill(programs, dir, events)?;
    let display = Display::start()?;
    let start = || Start::of(programs, dir, &display);
    // The first one reads the programs from the disk.
    let cold = start()?.end()?;
    let mut times = Vec::new();
    for _ in 1..STARTS {
        times.push(start()?.end()?);
    }
    let last = start()?;
    std::thread::sleep(SETTLED);
    let memory = memory(last.app)?;
    last.end()?;
    let median = |name: &str| {
        let mut all: Vec<_> = times.iter().filter_map(|times| times.get(name)).collect();
        all.sort_unstable();
        all.get(all.len() / 2).map(|millis| **millis)
    };
    let medians: HashMap<_, _> = SAID.iter().map(|(name, _)| (name, median(name))).collect();
    let drawn: Vec<_> = times.iter().map(|times| times["drawn"]).collect();
    Ok(json!({
        "events": events, "starts": times.len(), "median_ms": medians, "drawn_ms": drawn,
        "first_ms": cold["drawn"], "memory_mib": memory,
    }))
}

/// A project and a run with so many lines of an agent.
fn fill(programs: &Path, dir: &Path, events: u64) -> Result<()> {
    let mut run = shell::command(&programs.join("musher").to_string_lossy());
    run.args(["run", "Fill the store", "--repo", "demo", "--runtime", "demo", "--json"]);
    for arg in ["--demo-script", "burst", "--lines", &events.to_string()] {
        run.args(["--arg", arg]);
    }
    let filled = run.arg("--data-dir").arg(dir.join("data")).stdout(Stdio::null()).status();
    let filled = filled.with_context(|| format!("{}; build it first", shell::line(&run)))?;
    ensure!(filled.success(), "`{}` failed ({filled})", shell::line(&run));
    Ok(())
}

/// A started window that shows its data.
struct Start {
    outer: Child,
    app: u32,
    times: HashMap<&'static str, u64>,
}

impl Start {
    fn of(programs: &Path, dir: &Path, display: &Display) -> Result<Self> {
        let log = dir.join("data/logs/desktop.log");
        let before = fs::metadata(&log).map_or(0, |file| file.len());
        let mut program = shell::command(&programs.join("musher-desktop").to_string_lossy());
        program.arg("--data-dir").arg(dir.join("data")).env("HOME", dir);
        program.env("MUSHER_LOG", "musher_desktop=debug").env("SHELL", "/bin/sh");
        let mut outer = display.on(&program);
        let outer = outer.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        // The bus and the window manager come up before the program does.
        let data_dir = dir.join("data").to_string_lossy().into_owned();
        let app = until("the program's process", || {
            family(outer.id()).into_iter().find(|pid| {
                let line = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
                line.split('\0').next().is_some_and(|name| name.ends_with("musher-desktop"))
                    && line.contains(&data_dir)
            })
        })?;
        let began = Instant::now();
        let mut times = HashMap::new();
        until("the page's data", || {
            let said = said_since(&log, before);
            for (name, words) in SAID {
                if said.contains(words) {
                    times.entry(name).or_insert_with(|| began.elapsed().as_millis() as u64);
                }
            }
            (times.len() == SAID.len()).then_some(())
        })?;
        let last = times["drawn"].max(times["answered"]);
        times.insert("drawn", last);
        Ok(Self { outer, app, times })
    }

    fn end(mut self) -> Result<HashMap<&'static str, u64>> {
        shell::run(shell::command("kill").arg(self.app.to_string()))?;
        self.outer.wait()?;
        Ok(self.times)
    }
}

fn said_since(log: &PathBuf, from: u64) -> String {
    let text = fs::read(log).unwrap_or_default();
    let new = text.get(usize::try_from(from).unwrap_or_default()..).unwrap_or_default();
    String::from_utf8_lossy(new).into_owned()
}

fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> Result<T> {
    let began = Instant::now();
    while began.elapsed() < LIMIT {
        if let Some(found) = look() {
            return Ok(found);
        }
        std::thread::sleep(LOOK);
    }
    bail!("not within {} s: {what}", LIMIT.as_secs())
}

/// A process and all its descendants (proc(5): the fourth field of `stat` is the parent).
fn family(root: u32) -> Vec<u32> {
    let all = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = all.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let parents: HashMap<u32, u32> = pids.filter_map(|pid| Some((pid, parent(pid)?))).collect();
    let is_ours = |mut pid: u32| loop {
        match (pid == root, parents.get(&pid)) {
            (true, _) => return true,
            (_, Some(parent)) => pid = *parent,
            _ => return false,
        }
    };
    parents.keys().copied().filter(|pid| is_ours(*pid)).collect()
}

fn parent(pid: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok()
}

/// MiB by program: shared pages are divided by who shares them (`Pss`, proc(5)).
fn memory(app: u32) -> Result<HashMap<String, u64>> {
    let mut memory = HashMap::new();
    for pid in family(app) {
        let name = fs::read_to_string(format!("/proc/{pid}/comm"))?.trim().to_owned();
        let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
        let pss = rollup.lines().find_map(|line| line.strip_prefix("Pss:"));
        let kib = pss.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
        *memory.entry(name).or_default() += kib.context("Pss")? / 1024;
    }
    Ok(memory)
}
