//! The child read by a loop that does nothing else.

use std::{
    fs::File,
    io::{Read, Write},
    path::Path,
    process::{Child, Command, Stdio},
    time::Instant,
};

use anyhow::{Context, Result};
use rustix::{
    fs::{Mode, OFlags},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{OptionalActions, tcgetattr, tcsetattr},
};

/// As the runtime starts it.
const ARGS: [&str; 8] = [
    "-p",
    "--input-format",
    "stream-json",
    "--output-format",
    "stream-json",
    "--verbose",
    "--include-partial-messages",
    "--demo-script=burst",
];
const PROMPT: &str = "{\"type\":\"user\",\"message\":{\"role\":\"user\",\"content\":\"go\"}}\n";

/// Lines a second through a pipe.
pub fn through_pipe(child: &Path, lines: u64) -> Result<f64> {
    let mut child = command(child, lines).stdout(Stdio::piped()).spawn()?;
    let out = child.stdout.take().context("a pipe")?;
    rate(child, out, lines)
}

/// Lines a second through a PTY in raw mode.
pub fn through_pty(child: &Path, lines: u64) -> Result<f64> {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY)?;
    grantpt(&master)?;
    unlockpt(&master)?;
    let name = ptsname(&master, Vec::new())?;
    let slave = rustix::fs::open(&name, OFlags::RDWR | OFlags::NOCTTY, Mode::empty())?;
    let mut modes = tcgetattr(&slave)?;
    modes.make_raw();
    tcsetattr(&slave, OptionalActions::Now, &modes)?;
    // The command holds the slave's last copy here, and must be gone for the end to be seen.
    let child = {
        let mut command = command(child, lines);
        command.stdout(Stdio::from(slave)).spawn()?
    };
    rate(child, File::from(master), lines)
}

fn command(child: &Path, lines: u64) -> Command {
    let mut command = Command::new(child);
    command.args(ARGS).arg("--lines").arg(lines.to_string());
    command.stdin(Stdio::piped()).stderr(Stdio::null());
    command
}

fn rate(mut child: Child, mut out: impl Read, lines: u64) -> Result<f64> {
    let started = Instant::now();
    let mut input = child.stdin.take().context("a pipe")?;
    input.write_all(PROMPT.as_bytes())?;
    drop(input);
    let mut buffer = vec![0; 64 * 1024];
    // A PTY whose other side is closed ends with an error (EIO), a pipe with nothing.
    while matches!(out.read(&mut buffer), Ok(read) if read > 0) {}
    let seconds = started.elapsed().as_secs_f64();
    child.wait()?;
    Ok(lines as f64 / seconds)
}
