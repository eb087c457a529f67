//! An [`Api`] that answers by itself, and raw HTTP/1.1: the tests say exactly what travels.
#![allow(dead_code, reason = "each test program uses a part")]

use std::sync::Arc;

use async_trait::async_trait;
use futures::StreamExt;
use musher_api::{Api, NewsStream};
use musher_protocol::{API_VERSION, ApiError, ErrorCode, HostKind, News};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Answers every command with its name and parameters; keeps what `show` was given.
pub struct Echo {
    pub api_version: u32,
    pub host: HostKind,
    pub shown: std::sync::Mutex<Vec<String>>,
}

impl Echo {
    pub fn new() -> Arc<Self> {
        Arc::new(Self::default())
    }

    pub fn of_version(api_version: u32) -> Arc<Self> {
        Arc::new(Self { api_version, ..Self::default() })
    }
}

impl Default for Echo {
    fn default() -> Self {
        Self { api_version: API_VERSION, host: HostKind::Window, shown: Default::default() }
    }
}

#[async_trait]
impl Api for Echo {
    async fn call(&self, name: &str, params: &str) -> Result<String, ApiError> {
        match name {
            "app_info" => Ok(serde_json::json!({
                "version": "9.9.9", "api_version": self.api_version, "data_dir": "/d", "host": self.host,
                "runtimes": [], "max_live_runs": 1, "notices": [],
            })
            .to_string()),
            "run_events" => std::future::pending().await,
            "missing" => Err(ApiError::new(ErrorCode::NotFound, "There is no such run.")),
            _ => Ok(serde_json::json!({ "name": name, "params": params }).to_string()),
        }
    }

    async fn news(&self) -> Result<NewsStream, ApiError> {
        let first = News { runs: Vec::new(), projects: true };
        let never = futures::stream::pending();
        Ok(Box::pin(futures::stream::iter([first]).chain(never)))
    }

    async fn give_way(&self) -> Result<(), ApiError> {
        Ok(())
    }

    async fn show(&self, folders: Vec<String>) -> Result<(), ApiError> {
        self.shown.lock().unwrap().extend(folders);
        Ok(())
    }
}

pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        let line = self.head.lines().find(|line| {
            line.split(':').next().is_some_and(|named| named.eq_ignore_ascii_case(name))
        })?;
        Some(line.split_once(':')?.1.trim())
    }
}

/// Sends the request as it is and reads the answer: its head, and as much body as the head names.
pub async fn exchange<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S, request: &[u8]) -> Answer {
    // A refusal may come before all of a long request was read.
    let _ = stream.write_all(request).await;
    let mut bytes = Vec::new();
    let head_end = loop {
        if let Some(at) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break at + 4;
        }
        assert_ne!(stream.read_buf(&mut bytes).await.unwrap(), 0, "no answer: {bytes:?}");
    };
    let head = String::from_utf8(bytes[..head_end].to_vec()).unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let mut answer = Answer { status, head, body: bytes[head_end..].to_vec() };
    let length = answer.header("content-length").map_or(0, |length| length.parse().unwrap());
    while answer.body.len() < length {
        assert_ne!(stream.read_buf(&mut answer.body).await.unwrap(), 0, "the answer is cut");
    }
    answer
}

/// A request from lines of its head and a body.
pub fn request(first: &str, headers: &[(&str, &str)], body: &str) -> Vec<u8> {
    let mut text = format!("{first} HTTP/1.1\r\n");
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    if first.starts_with("POST") {
        text.push_str(&format!("content-length: {}\r\n", body.len()));
    }
    text.push_str("\r\n");
    text.push_str(body);
    text.into_bytes()
}
