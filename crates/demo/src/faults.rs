//! What only bad agents do, and agents of a version nobody knows yet.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::{
    agent::{Agent, Played, Stop},
    burst::{self, Generator},
    script::{Spawn, SpawnHow, Step},
    sys,
};

impl Agent {
    pub fn fault(&mut self, step: &Step) -> Played {
        match step {
            Step::RateLimit { status, window, in_secs, overage } => {
                self.rate_limit(status, window, *in_secs, *overage)
            }
            Step::ApiError { status, error, kind, message, retries } => {
                self.api_error(*status, error, kind, message, *retries)?;
            }
            Step::Line(line) => self.print(&self.wire.finish(line.clone())),
            Step::Raw(text) => drop(sys::write_out(self.text(text).as_bytes())),
            Step::Stderr(text) => eprintln!("{}", self.text(text)),
            Step::Garbage { case } => self.garbage(*case),
            Step::Big { bytes, line_bytes } => {
                self.pour(burst::until_bytes(*bytes), *line_bytes, 0)?
            }
            Step::Burst { lines, rate } => self.pour(burst::until_lines(*lines), 0, *rate)?,
            Step::Control(request) => self.own_request(request)?,
            Step::RejectResume => self.reject_resume()?,
            Step::Spawn(spawns) => self.spawn(spawns),
            Step::IgnoreSignals => sys::ignore_signals(),
            Step::CloseStdout => sys::close_stdout(),
            Step::Hang { deaf } => self.hang(*deaf)?,
            Step::Exit(code) => return Err(Stop::Exit(*code)),
            Step::Signal(name) => sys::signal_self(name),
            // `play` has all others.
            _ => {}
        }
        Ok(())
    }

    fn rate_limit(&mut self, status: &str, window: &str, in_secs: i64, overage: bool) {
        let resets = chrono::Utc::now().timestamp() + in_secs;
        let mut info = json!({
            "status": status, "resetsAt": resets, "rateLimitType": window, "isUsingOverage": overage,
            "overageStatus": if overage { "allowed" } else { "rejected" },
        });
        if status == "allowed_warning" {
            info["utilization"] = 0.92.into();
        }
        self.print(&self.wire.finish(json!({"type": "rate_limit_event", "rate_limit_info": info})));
    }

    fn api_error(
        &mut self,
        status: u16,
        error: &str,
        kind: &str,
        message: &str,
        retries: u32,
    ) -> Played {
        for attempt in 1..=retries {
            self.print(&self.wire.system("api_retry", json!({
                "attempt": attempt, "max_retries": retries, "retry_delay_ms": 500, "error_status": status,
                "error": error,
            })));
            self.pause(0.5)?;
        }
        self.close_message("end_turn");
        self.print(&self.wire.synthetic(message, error, status, kind));
        self.result(json!({
            "terminal_reason": "api_error", "stop_reason": "stop_sequence", "api_error_status": status,
            "api_error_type": kind, "result": message,
        }), true);
        Ok(())
    }

    /// Good text lines around malformed ones: all cases, or the one that is named (counted from 1).
    fn garbage(&mut self, case: u64) {
        let cases = burst::malformed();
        for good in 1..=burst::GOOD_LINES {
            let message = self.wire.next_message();
            let block = json!({"type": "text", "text": format!("good {good}")});
            self.print(&self.wire.assistant(&message, block));
            let here = cases.iter().enumerate().filter(|(at, _)| match case {
                0 => *at as u64 % burst::GOOD_LINES == good - 1,
                n => good == burst::GOOD_LINES / 2 && *at as u64 == n - 1,
            });
            for (_, (_, bytes)) in here {
                sys::write_out(bytes);
            }
        }
    }

    fn pour(&mut self, until: burst::Until, line_bytes: usize, rate: u64) -> Played {
        let mut generator = Generator::new(&self.wire.session, line_bytes);
        let started = Instant::now();
        let (mut lines, mut bytes) = (0_u64, 0_u64);
        while !until.reached(lines, bytes) {
            if let Some(nanos) = lines.saturating_mul(1_000_000_000).checked_div(rate) {
                let due = started + Duration::from_nanos(nanos);
                std::thread::sleep(due.saturating_duration_since(Instant::now()));
            }
            let line = generator.next_line();
            bytes += line.len() as u64;
            if !sys::write_out(line) {
                break;
            }
            lines += 1;
            // An interrupt is heard now and then; asking each time would cost more than the line.
            if lines.is_multiple_of(1024) {
                self.pause(0.0)?;
            }
        }
        Ok(())
    }

    /// Asks the host something that only this script knows of, and says what came back.
    fn own_request(&mut self, request: &Value) -> Played {
        let id = self.wire.uuid();
        self.print(&json!({"type": "control_request", "request_id": id, "request": request}));
        let answer = self.wait(None, |agent| {
            agent.answers.remove(&id).map(Some).or(agent.eof.then_some(None))
        })?;
        let words = match answer.flatten() {
            Some(Ok(response)) => format!("success {response}"),
            Some(Err(error)) => format!("error {error}"),
            None => "no answer".into(),
        };
        self.texts.insert("answer", words);
        Ok(())
    }

    fn reject_resume(&mut self) -> Played {
        let Some(id) = self.args.resume.clone() else { return Ok(()) };
        let words = format!("No conversation found with session ID: {id}");
        eprintln!("{words}");
        self.result(json!({
            "subtype": "error_during_execution", "num_turns": 0, "stop_reason": null, "duration_ms": 0,
            "terminal_reason": null, "errors": [words],
        }), true);
        Err(Stop::Exit(1))
    }

    fn spawn(&mut self, spawns: &[Spawn]) {
        let mut said = Vec::new();
        for spawn in spawns {
            let name = match spawn.how {
                SpawnHow::Group => "group",
                SpawnHow::Session => "session",
                SpawnHow::Daemon => "daemon",
            };
            match sys::spawn_staying(spawn) {
                Ok(pid) => said.push(format!("{name}={pid}")),
                Err(error) => said.push(format!("{name} failed: {error}")),
            }
        }
        self.texts.insert("pids", said.join(" "));
    }

    fn hang(&mut self, deaf: bool) -> Played {
        if deaf {
            loop {
                std::thread::park();
            }
        }
        self.wait(None, |_| None::<()>).map(drop)
    }
}
