//! A model server that does one thing: it speaks Chat Completions, to one client after the other, in a
//! thread of its own so that it takes nothing of the runtime that is measured.

use std::{
    io::{self, BufRead, BufReader, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    thread,
    time::{Duration, Instant},
};

use chrono::Utc;
use serde_json::{Value, json};

#[derive(Clone, Copy)]
pub struct Pace {
    /// Deltas a second.
    pub rate: u64,
    pub count: u64,
}

#[derive(Clone)]
pub enum Speech {
    Words(Pace),
    /// A call of `run_command`.
    Command(&'static str),
}

/// Serves until the process ends.
pub struct Server {
    pub address: SocketAddr,
}

impl Server {
    pub fn start(speech: Speech) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let address = listener.local_addr()?;
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                // A client that was stopped is gone.
                let _ = answer(client, &speech);
            }
        });
        Ok(Self { address })
    }

    pub fn base_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }
}

fn answer(client: TcpStream, speech: &Speech) -> io::Result<()> {
    client.set_nodelay(true)?;
    let mut client = BufReader::new(client);
    read_request(&mut client)?;
    let mut client = client.into_inner();
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
    client.write_all(head.as_bytes())?;
    let reason = match speech {
        Speech::Words(pace) => {
            words(&mut client, *pace)?;
            "stop"
        }
        Speech::Command(command) => {
            let arguments = json!({"command": command}).to_string();
            let call = json!({"index": 0, "id": "call_1", "type": "function",
                "function": {"name": "run_command", "arguments": arguments}});
            say(&mut client, &json!({"tool_calls": [call]}), None)?;
            "tool_calls"
        }
    };
    say(&mut client, &json!({}), Some(reason))?;
    client.write_all(b"data: [DONE]\n\n")
}

fn read_request(client: &mut impl BufRead) -> io::Result<()> {
    let mut length = 0;
    loop {
        let mut line = String::new();
        if client.read_line(&mut line)? == 0 || line.trim().is_empty() {
            break;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or(0);
        }
    }
    client.read_exact(&mut vec![0; length])
}

fn words(client: &mut TcpStream, pace: Pace) -> io::Result<()> {
    let began = Instant::now();
    for number in 0..pace.count {
        // Due counted from the beginning: a word that was late makes none after it late, and the rate
        // is what was asked for. This thread does nothing else, so its clock is a plain sleep.
        let due = Duration::from_nanos(1_000_000_000 / pace.rate * number);
        thread::sleep(due.saturating_sub(began.elapsed()));
        let sent = Utc::now().timestamp_nanos_opt().unwrap_or_default();
        say(client, &json!({"content": format!("word {number} sent:{sent:020} ")}), None)?;
    }
    Ok(())
}

fn say(client: &mut TcpStream, delta: &Value, reason: Option<&str>) -> io::Result<()> {
    let choice = json!({"index": 0, "delta": delta, "finish_reason": reason});
    let event = json!({"id": "c1", "object": "chat.completion.chunk", "created": 1,
        "model": "words", "choices": [choice]});
    client.write_all(format!("data: {event}\n\n").as_bytes())
}
