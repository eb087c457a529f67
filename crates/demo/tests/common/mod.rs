//! One driven agent: its lines, and what a host says to it.
#![allow(dead_code, reason = "each test program uses a part")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    io::{BufRead, BufReader, Read, Write},
    path::Path,
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

pub const FLAGS: [&str; 8] = [
    "-p",
    "--input-format",
    "stream-json",
    "--output-format",
    "stream-json",
    "--verbose",
    "--permission-prompt-tool",
    "stdio",
];
const PATIENCE: Duration = Duration::from_secs(20);

pub struct Session {
    pub child: Child,
    pub stdin: Option<ChildStdin>,
    lines: Receiver<String>,
    folder: tempfile::TempDir,
}

impl Session {
    pub fn start(more: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_musher-demo-agent"))
            .args(FLAGS)
            .args(more)
            .env("MUSHER_DEMO_SPEED", "fast")
            .env("CLAUDE_CODE_EMIT_SESSION_STATE_EVENTS", "1")
            .current_dir(folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (to, lines) = channel();
        let stdout = child.stdout.take().unwrap();
        thread::spawn(move || {
            for line in BufReader::new(stdout).split(b'\n') {
                let Ok(line) = line else { break };
                if to.send(String::from_utf8_lossy(&line).into_owned()).is_err() {
                    break;
                }
            }
        });
        Self { stdin: child.stdin.take(), child, lines, folder }
    }

    pub fn tell(&mut self, line: Value) {
        let stdin = self.stdin.as_mut().unwrap();
        writeln!(stdin, "{line}").unwrap();
    }

    pub fn say(&mut self, text: &str, uuid: Option<&str>) {
        let mut line = json!({"type": "user", "message": {"role": "user", "content": text}, "parent_tool_use_id": null});
        if let Some(uuid) = uuid {
            line["uuid"] = uuid.into();
        }
        self.tell(line);
    }

    pub fn control(&mut self, id: &str, request: Value) {
        self.tell(json!({"type": "control_request", "request_id": id, "request": request}));
    }

    pub fn answer(&mut self, ask: &Value, response: Value) {
        let id = ask["request_id"].clone();
        self.tell(json!({"type": "control_response", "response": {"subtype": "success", "request_id": id, "response": response}}));
    }

    /// Reads lines until one of this kind; answers with all of them, that one last.
    pub fn until(&self, kind: &str) -> Vec<Value> {
        let deadline = Instant::now() + PATIENCE;
        let mut seen = Vec::new();
        loop {
            match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    let value: Value = serde_json::from_str(&line).unwrap_or(Value::String(line));
                    let found = kind_of(&value) == kind;
                    seen.push(value);
                    if found {
                        return seen;
                    }
                }
                Err(RecvTimeoutError::Disconnected) => panic!("ended before {kind}: {seen:#?}"),
                Err(RecvTimeoutError::Timeout) => panic!("no {kind} in time: {seen:#?}"),
            }
        }
    }

    pub fn one(&self, kind: &str) -> Value {
        self.until(kind).pop().unwrap()
    }

    /// Ends the input and answers with what is left, the exit code and standard error.
    pub fn finish(mut self) -> (Vec<String>, Option<i32>, String) {
        drop(self.stdin.take());
        let rest = self.lines.iter().collect();
        let mut errors = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
        (rest, self.child.wait().unwrap().code(), errors)
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // Ended already in most tests.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `type`, and `subtype` or what else tells lines of a type apart.
pub fn kind_of(line: &Value) -> String {
    let name = line["type"].as_str().unwrap_or("not a line");
    let finer = match name {
        "system" if line["subtype"] == "session_state_changed" => line["state"].as_str(),
        "system" => line["subtype"].as_str(),
        "assistant" | "user" => line["message"]["content"][0]["type"].as_str(),
        "control_request" => line["request"]["subtype"].as_str(),
        "stream_event" => line["event"]["type"].as_str(),
        "command_lifecycle" => line["state"].as_str(),
        _ => None,
    };
    finer.map_or_else(|| name.to_owned(), |finer| format!("{name}/{finer}"))
}

pub fn kinds(lines: &[Value]) -> Vec<String> {
    lines.iter().map(kind_of).collect()
}
