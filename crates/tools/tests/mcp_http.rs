//! Tool servers over HTTP: a server of our own on loopback, that behaves well or badly.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use common::{Place, done_until, error, ok, until, within};
use musher_runtime::ToolHost;
use musher_tools::{Host, HostConfig, ServerSources};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

/// A server, until it is dropped.
struct Server {
    address: SocketAddr,
    /// First line, token and body of each request.
    heard: Arc<Mutex<Vec<String>>>,
    _tasks: JoinSet<()>,
}

#[derive(Clone, Default)]
struct Manner {
    /// Every request is sent elsewhere.
    redirect: Option<String>,
    mute: bool,
    /// Answers with a page for people.
    html: bool,
}

impl Server {
    async fn new(manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let (mut tasks, notes) = (JoinSet::new(), heard.clone());
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(serve(stream, manner.clone(), notes.clone()));
            }
        });
        Self { address, heard, _tasks: tasks }
    }

    fn url(&self) -> String {
        format!("http://{}/mcp", self.address)
    }

    fn has_heard(&self, what: &str) -> bool {
        self.heard.lock().unwrap().iter().any(|request| request.contains(what))
    }

    fn sources(&self) -> ServerSources {
        let server = json!({"type": "http", "url": self.url(), "headers": {"x-token": "canary-1"}});
        let settings = json!({"mcpServers": {"far": server}}).to_string();
        ServerSources { settings: Some(settings), ..ServerSources::default() }
    }
}

async fn serve(stream: TcpStream, manner: Manner, heard: Arc<Mutex<Vec<String>>>) {
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read);
    loop {
        let (mut head, mut length) = (String::new(), 0);
        loop {
            let start = head.len();
            if lines.read_line(&mut head).await.unwrap_or(0) == 0 {
                return;
            }
            let line = head[start..].to_ascii_lowercase();
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            if line == "\r\n" {
                break;
            }
        }
        let mut body = vec![0; length];
        lines.read_exact(&mut body).await.unwrap();
        heard.lock().unwrap().push(format!("{head}{}", String::from_utf8_lossy(&body)));
        let message = serde_json::from_slice(&body).unwrap_or(Value::Null);
        let Some(answer) = answer(&head, &message, &manner) else { continue };
        if write.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

fn answer(head: &str, message: &Value, manner: &Manner) -> Option<String> {
    let whole = |status: &str, kind: &str, body: &str| {
        let length = body.len();
        let session = "mcp-session-id: s1\r\n";
        Some(format!(
            "HTTP/1.1 {status}\r\n{session}content-type: {kind}\r\ncontent-length: {length}\r\n\r\n{body}"
        ))
    };
    if let Some(to) = &manner.redirect {
        return Some(format!("HTTP/1.1 307 Away\r\nlocation: {to}\r\ncontent-length: 0\r\n\r\n"));
    }
    match (head.split(' ').next().unwrap(), message["method"].as_str()) {
        _ if manner.mute => None,
        _ if manner.html => whole("200 OK", "text/html", "<html>Sign in</html>"),
        ("GET", _) => whole("405 No", "text/plain", ""),
        ("POST", Some(method)) if message.get("id").is_some() => {
            let result = result(method, &message["params"])?;
            let body = json!({"jsonrpc": "2.0", "id": message["id"], "result": result});
            match method {
                "tools/call" => {
                    let events = format!(": ping\n\nevent: message\ndata: {body}\n\n");
                    whole("200 OK", "text/event-stream", &events)
                }
                _ => whole("200 OK", "application/json", &body.to_string()),
            }
        }
        _ => whole("202 Accepted", "text/plain", ""),
    }
}

fn result(method: &str, params: &Value) -> Option<Value> {
    let any = json!({"type": "object", "properties": {}});
    Some(match method {
        "initialize" => json!({
            "protocolVersion": params["protocolVersion"], "capabilities": {"tools": {}},
            "serverInfo": {"name": "far", "version": "1"},
        }),
        "tools/list" => json!({"tools": [
            {"name": "echo", "inputSchema": any}, {"name": "hang", "inputSchema": any},
        ]}),
        _ if params["name"] == "hang" => return None,
        _ => json!({"content": [{"type": "text", "text": params["arguments"].to_string()}]}),
    })
}

async fn opened(place: &Place, servers: ServerSources) -> (Host, Vec<String>) {
    let host = Host::new(HostConfig { servers, ..place.config("") }).unwrap();
    let warnings = within(host.open()).await;
    (host, warnings)
}

#[tokio::test]
async fn tools_over_http_are_called_and_the_session_is_left() {
    let (place, server) = (Place::new(), Server::new(Manner::default()).await);
    let (host, warnings) = opened(&place, server.sources()).await;
    assert_eq!(warnings, Vec::<String>::new());
    assert_eq!(ok(&host, "mcp__far__echo", json!({"a": 1})).await, "{\"a\":1}\n");
    assert!(server.heard.lock().unwrap().iter().all(|request| request.contains("canary-1")));
    assert_eq!(within(host.close()).await, Vec::<u32>::new());
    assert!(server.has_heard("DELETE /mcp"));
    assert!(error(&host, "mcp__far__echo", json!({})).await.contains("the run is over"));
}

#[tokio::test]
async fn a_hanging_call_ends_by_its_limit_and_by_a_stop() {
    let (place, server) = (Place::new(), Server::new(Manner::default()).await);
    let mut servers = server.sources();
    servers.patience.call = Duration::from_millis(100);
    let (host, _) = opened(&place, servers).await;
    let text = error(&host, "mcp__far__hang", json!({})).await;
    assert!(text.contains("gave no answer within 0.1 s"), "{text}");
    assert_eq!(ok(&host, "mcp__far__echo", json!({})).await, "{}\n");
    within(host.close()).await;

    let (host, _) = opened(&place, server.sources()).await;
    let calls = || server.heard.lock().unwrap().iter().filter(|r| r.contains("\"hang\"")).count();
    let (before, stop) = (calls(), CancellationToken::new());
    let hanging = done_until(&host, "mcp__far__hang", json!({}), stop.clone());
    let stopping = async {
        until("the call is there", || calls() > before).await;
        stop.cancel();
    };
    let (outcome, ()) = tokio::join!(hanging, stopping);
    assert!(outcome.is_error && outcome.text.starts_with("Stopped"), "{}", outcome.text);
    within(host.close()).await;
}

#[tokio::test]
async fn a_server_that_goes_away_fails_its_calls() {
    let (place, server) = (Place::new(), Server::new(Manner::default()).await);
    let (host, _) = opened(&place, server.sources()).await;
    drop(server);
    let text = error(&host, "mcp__far__echo", json!({})).await;
    assert!(text.starts_with("The tool server far"), "{text}");
    assert!(!text.contains("canary"), "{text}");
    within(host.close()).await;
}

#[tokio::test]
async fn a_redirect_to_another_host_is_not_followed() {
    let (place, other) = (Place::new(), Server::new(Manner::default()).await);
    let away = Manner { redirect: Some(other.url()), ..Manner::default() };
    let server = Server::new(away).await;
    let (_host, warnings) = opened(&place, server.sources()).await;
    assert!(warnings[0].contains("redirects to another host"), "{warnings:?}");
    assert!(other.heard.lock().unwrap().is_empty());
}

#[tokio::test]
async fn servers_that_are_none_are_warnings() {
    let place = Place::new();
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let mute = Server::new(Manner { mute: true, ..Manner::default() }).await;
    let html = Server::new(Manner { html: true, ..Manner::default() }).await;
    let server = |url: String| json!({"type": "http", "url": url + "?key=canary"});
    let settings = json!({"mcpServers": {
        "closed": server(format!("http://{closed}/")),
        "file": server("file:///etc/passwd".into()),
        "header": {"type": "http", "url": mute.url(), "headers": {"a\nb": "canary"}},
        "html": server(html.url()),
        "mute": server(mute.url()),
        "old": {"type": "sse", "url": mute.url()},
    }});
    let mut servers = mute.sources();
    servers.settings = Some(settings.to_string());
    servers.patience.start = Duration::from_millis(500);
    let (host, warnings) = opened(&place, servers).await;
    for (name, what) in [
        ("closed", "refused"),
        ("file", "neither http nor https"),
        ("header", "header"),
        ("html", "text/html"),
        ("mute", "not ready within 0.5 s"),
        ("old", "sse"),
    ] {
        let about = warnings.iter().find(|text| text.contains(&format!("`{name}`")));
        assert!(about.is_some_and(|text| text.contains(what)), "{name}: {warnings:#?}");
    }
    assert!(!warnings.concat().contains("canary"), "{warnings:#?}");
    within(host.close()).await;
}
