//! One run of the parts: headings, times, counts, and the log of each part in `target/test-logs`.

use anyhow::{Context, Result, bail};
use std::fs::{self, File};
use std::io::Read;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::count::{self, Count};
use super::failed;
use crate::{place, shell};

pub struct Session {
    began: Instant,
    total: Count,
    /// Title, seconds, what came of it.
    parts: Vec<(String, u64, String)>,
    /// Part and test.
    failed: Vec<String>,
    /// Part and test; it passed at the second try.
    flaky: Vec<String>,
    logs: PathBuf,
}

impl Session {
    pub fn new() -> Result<Self> {
        let logs = place::target().join("test-logs");
        fs::create_dir_all(&logs).with_context(|| format!("making {}", logs.display()))?;
        let (total, parts) = (Count::default(), Vec::new());
        let (failed, flaky) = (Vec::new(), Vec::new());
        Ok(Self { began: Instant::now(), total, parts, failed, flaky, logs })
    }

    /// A check that counts as one test. Whether it passed.
    pub fn check(&mut self, title: &str, check: impl FnOnce() -> Result<()>) -> bool {
        let began = heading(title);
        let result = check();
        let passed = result.is_ok();
        let said = match result {
            Ok(()) => "ok".to_owned(),
            Err(error) => {
                eprintln!("{error:#}");
                self.failed.push(title.to_owned());
                "FAILED".to_owned()
            }
        };
        let count = Count { passed: usize::from(passed), failed: usize::from(!passed) };
        self.close(title, began, count, said);
        passed
    }

    /// A program that runs many tests and says how many.
    pub fn suite(&mut self, title: &str, minutes: u64, command: Command) {
        let began = heading(title);
        let watched = self.watch(title, minutes, command);
        let (ended_well, output) = watched.unwrap_or_else(|error| {
            eprintln!("{error:#}");
            (false, String::new())
        });
        let mut count = count::read(&output);
        if !ended_well && count.failed == 0 {
            count.failed = 1;
        }
        if count.failed > 0 {
            let mut names = failed::names(&output);
            if names.is_empty() {
                names.push("it ended badly and named no test".to_owned());
            }
            self.failed.extend(names.into_iter().map(|name| format!("{title}: {name}")));
        }
        let flaky = failed::flaky(&output).into_iter();
        self.flaky.extend(flaky.map(|name| format!("{title}: {name}")));
        if ended_well && count.passed == 0 {
            println!("No test ran here.");
        }
        let said = match count.failed {
            0 => format!("{} passed", count.passed),
            failed => format!("{} passed, {failed} FAILED", count.passed),
        };
        self.close(title, began, count, said);
    }

    pub fn skip(&mut self, title: &str, why: &str) {
        println!("\n=== {title}: skipped, {why}");
        self.parts.push((title.to_owned(), 0, format!("skipped: {why}")));
    }

    /// The list of parts, what failed, and the line that counts; fails when anything failed.
    pub fn finish(self) -> Result<()> {
        println!("\n=== All parts, {} s", self.began.elapsed().as_secs());
        for (title, seconds, said) in &self.parts {
            println!("{seconds:>5} s  {title}: {said}");
        }
        if !self.flaky.is_empty() {
            let names = self.flaky.join("\n  ");
            println!("\nPassed only at the second try, which is a fault to be found:\n  {names}");
        }
        let Count { passed, failed } = self.total;
        let count = format!("{passed} passed, {failed} failed");
        if failed > 0 {
            println!("\nFailed:\n  {}", self.failed.join("\n  "));
            bail!(count);
        }
        println!("{count}");
        Ok(())
    }

    fn close(&mut self, title: &str, began: Instant, count: Count, said: String) {
        self.total += count;
        let seconds = began.elapsed().as_secs();
        println!("--- {title}: {said} ({seconds} s)");
        self.parts.push((title.to_owned(), seconds, said));
    }

    /// Runs the program until it ends, showing what it prints, and returns that.
    ///
    /// Its output goes through a file and not a pipe: a process that a test left behind would keep
    /// a pipe open, and the end would never come.
    fn watch(&self, title: &str, minutes: u64, command: Command) -> Result<(bool, String)> {
        let mut command = limited(command, minutes);
        eprintln!("> {}", shell::line(&command));
        let log = self.logs.join(format!("{}.log", title.replace(' ', "-")));
        let file = File::create(&log).with_context(|| format!("writing {}", log.display()))?;
        command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
        let mut child = command.spawn().with_context(|| format!("starting {title}"))?;
        let mut shown = File::open(&log)?;
        let mut output = Vec::new();
        let mut said = 0;
        loop {
            let ended = ended(&mut child)?;
            shown.read_to_end(&mut output)?;
            let whole = output.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
            print!("{}", String::from_utf8_lossy(&output[said..whole.max(said)]));
            said = whole.max(said);
            if let Some(ended_well) = ended {
                return Ok((ended_well, String::from_utf8_lossy(&output).into_owned()));
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

fn ended(child: &mut Child) -> Result<Option<bool>> {
    Ok(child.try_wait()?.map(|status| status.success()))
}

/// The same command with an end: a test that hangs must not hang the checks. In the foreground, so
/// that Ctrl-C ends it, too.
fn limited(command: Command, minutes: u64) -> Command {
    if !shell::has("timeout") {
        return command;
    }
    let mut limited = shell::command("timeout");
    limited.args(["--foreground", "--kill-after=20"]).arg(format!("{minutes}m"));
    limited.arg(command.get_program()).args(command.get_args());
    shell::same_surroundings(&command, &mut limited);
    limited
}

fn heading(title: &str) -> Instant {
    println!("\n=== {title}");
    Instant::now()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    #[cfg(unix)]
    #[test]
    fn a_suite_is_counted_and_a_silent_failure_is_one() {
        let mut session = Session::new().unwrap();
        let sh = |script: &str| {
            let mut sh = shell::command("sh");
            sh.args(["-c", script]);
            sh
        };
        // What is left behind holds the output open and must not hold up the end.
        session.suite("xtask test a", 1, sh("sleep 30 & echo 2 passed, 1 failed"));
        session.suite("xtask test b", 1, sh("exit 3"));
        assert!(session.check("xtask test c", || Ok(())));
        assert_eq!(session.total, Count { passed: 3, failed: 2 });
        assert!(session.began.elapsed() < Duration::from_secs(20));
        let named = [
            "xtask test a: it ended badly and named no test",
            "xtask test b: it ended badly and named no test",
        ];
        assert_eq!(session.failed, named);
        let end = session.finish();
        assert!(end.is_err_and(|error| error.to_string() == "3 passed, 2 failed"));
    }
}
