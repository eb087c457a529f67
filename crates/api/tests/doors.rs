//! What the TCP door lets in, and all that it refuses.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::time::Duration;

use common::{Answer, Echo, exchange, request};
use musher_api::serve::{ServeInfo, Serving, serve_tcp};
use tokio::{io::AsyncReadExt, net::TcpStream};

struct Server {
    info: ServeInfo,
    serving: Serving,
    _page: tempfile::TempDir,
}

async fn server() -> Server {
    let page = tempfile::tempdir().unwrap();
    std::fs::write(page.path().join("index.html"), "<title>Musher</title>").unwrap();
    std::fs::create_dir(page.path().join("assets")).unwrap();
    std::fs::write(page.path().join("assets/a.js"), "1").unwrap();
    std::os::unix::fs::symlink("/etc/passwd", page.path().join("assets/link.txt")).unwrap();
    let (info, serving) = serve_tcp(Echo::new(), 0, page.path()).await.unwrap();
    Server { info, serving, _page: page }
}

const JSON: (&str, &str) = ("content-type", "application/json");

impl Server {
    async fn send(&self, bytes: &[u8]) -> Answer {
        let mut stream = TcpStream::connect(self.info.address).await.unwrap();
        let answer = exchange(&mut stream, bytes);
        tokio::time::timeout(Duration::from_secs(10), answer).await.expect("an answer")
    }

    fn host(&self) -> String {
        self.info.address.to_string()
    }

    fn bearer(&self) -> String {
        format!("Bearer {}", self.info.token)
    }

    /// A command with these headers in place of the right ones of the same name; an empty value
    /// leaves the header out.
    async fn rpc(&self, changed: &[(&str, &str)]) -> Answer {
        let (host, bearer) = (self.host(), self.bearer());
        let mut headers = vec![("host", host.as_str()), ("authorization", bearer.as_str()), JSON];
        headers.retain(|(name, _)| changed.iter().all(|(other, _)| name != other));
        headers.extend(changed.iter().filter(|(_, value)| !value.is_empty()));
        self.send(&request("POST /rpc/echo", &headers, "{}")).await
    }

    async fn get(&self, path: &str) -> Answer {
        self.send(&request(&format!("GET {path}"), &[("host", &self.host())], "")).await
    }

    /// A WebSocket's handshake.
    async fn upgrade(&self, path: &str, changed: &[(&str, &str)]) -> Answer {
        let host = self.host();
        let mut headers = vec![
            ("host", host.as_str()),
            ("connection", "upgrade"),
            ("upgrade", "websocket"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ];
        headers.retain(|(name, _)| changed.iter().all(|(other, _)| name != other));
        headers.extend_from_slice(changed);
        self.send(&request(&format!("GET {path}"), &headers, "")).await
    }
}

#[tokio::test]
async fn a_right_request_is_answered() {
    let server = server().await;
    let answer = server.rpc(&[]).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.text(), r#"{"name":"echo","params":"{}"}"#);
    for host in ["localhost", "[::1]", "LOCALHOST"] {
        let host = format!("{host}:{}", server.info.address.port());
        assert_eq!(server.rpc(&[("host", &host)]).await.status, 200, "{host}");
    }
    let origin = format!("http://{}", server.host());
    assert_eq!(server.rpc(&[("origin", &origin)]).await.status, 200);
    assert_eq!(
        server.rpc(&[("origin", &origin), ("sec-fetch-site", "same-origin")]).await.status,
        200
    );
}

#[tokio::test]
async fn requests_without_the_right_token_are_refused() {
    let server = server().await;
    let token = &server.info.token;
    assert_eq!(token.len(), 64);
    for wrong in [
        String::new(),
        "Bearer ".to_owned(),
        format!("Bearer {}", "0".repeat(64)),
        format!("Bearer {}", &token[..63]),
        format!("Bearer {token}0"),
        format!("Basic {token}"),
        token.clone(),
    ] {
        assert_eq!(server.rpc(&[("authorization", &wrong)]).await.status, 401, "{wrong:?}");
    }
    let doubled = server.bearer();
    let twice = [("authorization", doubled.as_str()), ("authorization", "Bearer x")];
    assert_eq!(server.rpc(&twice).await.status, 401);
}

#[tokio::test]
async fn a_token_in_the_address_is_refused() {
    let server = server().await;
    let host = server.host();
    let headers = [("host", host.as_str()), JSON];
    for path in ["/rpc/echo", "/news", "/"] {
        for method in ["POST", "GET"] {
            let first = format!("{method} {path}?token={}", server.info.token);
            assert_eq!(server.send(&request(&first, &headers, "{}")).await.status, 400, "{first}");
        }
    }
    let socket = server.upgrade(&format!("/news?token={}", server.info.token), &[]).await;
    assert_eq!(socket.status, 400);
}

#[tokio::test]
async fn a_foreign_host_is_refused_even_with_the_token() {
    let server = server().await;
    let port = server.info.address.port();
    for host in [
        "attacker.example".to_owned(),
        format!("attacker.example:{port}"),
        "127.0.0.1".to_owned(),
        format!("127.0.0.1.attacker.example:{port}"),
        format!("0.0.0.0:{port}"),
        format!("127.0.0.1:{}", port.wrapping_add(1)),
        String::new(),
    ] {
        assert!([400, 403].contains(&server.rpc(&[("host", &host)]).await.status), "{host:?}");
    }
    let foreign = [("host", "attacker.example")];
    assert_eq!(server.send(&request("GET /", &foreign, "")).await.status, 403);
}

#[tokio::test]
async fn another_pages_requests_are_refused_even_with_the_token() {
    let server = server().await;
    let port = server.info.address.port();
    for origin in [
        "null".to_owned(),
        "https://attacker.example".to_owned(),
        format!("https://127.0.0.1:{port}"),
        format!("http://127.0.0.1:{}", port.wrapping_add(1)),
        "http://127.0.0.1".to_owned(),
        format!("http://127.0.0.1:{port}.attacker.example"),
    ] {
        assert_eq!(server.rpc(&[("origin", &origin)]).await.status, 403, "{origin}");
    }
    for site in ["cross-site", "same-site"] {
        assert_eq!(server.rpc(&[("sec-fetch-site", site)]).await.status, 403, "{site}");
    }
    let preflight = server
        .send(&request("OPTIONS /rpc/echo", &[("host", &server.host()), ("origin", "null")], ""))
        .await;
    assert_eq!(preflight.status, 403);
    assert_eq!(preflight.header("access-control-allow-origin"), None);
}

#[tokio::test]
async fn a_simple_post_is_refused() {
    let server = server().await;
    for kind in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""] {
        let answer = server.rpc(&[("content-type", kind)]).await;
        assert_eq!(answer.status, 415, "{kind}");
    }
    assert_eq!(
        server.rpc(&[("content-type", "Application/JSON; charset=utf-8")]).await.status,
        200
    );
    let simple =
        [("content-type", "text/plain"), ("authorization", ""), ("origin", "https://a.example")];
    assert_eq!(server.rpc(&simple).await.status, 403);
}

#[tokio::test]
async fn commands_take_post_only() {
    let server = server().await;
    let (host, bearer) = (server.host(), server.bearer());
    let headers = [("host", host.as_str()), ("authorization", bearer.as_str())];
    assert_eq!(server.send(&request("GET /rpc/echo", &headers, "")).await.status, 405);
    assert_eq!(server.send(&request("GET /rpc/echo", &headers[..1], "")).await.status, 401);
    // The way for another start of the program is not served over TCP.
    let shown = [headers[0], headers[1], JSON];
    let answer = server.send(&request("POST /show", &shown, r#"{"folders":[]}"#)).await;
    assert_eq!(answer.status, 405);
}

#[tokio::test]
async fn errors_keep_their_code() {
    let server = server().await;
    let (host, bearer) = (server.host(), server.bearer());
    let headers = [("host", host.as_str()), ("authorization", bearer.as_str()), JSON];
    let answer = server.send(&request("POST /rpc/missing", &headers, "{}")).await;
    assert_eq!(answer.status, 404);
    assert!(answer.text().contains(r#""code":"not_found""#), "{}", answer.text());
}

#[tokio::test]
async fn a_body_has_a_limit() {
    let server = server().await;
    let (host, bearer) = (server.host(), server.bearer());
    let headers = [("host", host.as_str()), ("authorization", bearer.as_str()), JSON];
    // The longest prompt there may be, each of its bytes spelled with six.
    let fits = "\\u0001".repeat(4 << 20);
    assert_eq!(server.send(&request("POST /rpc/echo", &headers, &fits)).await.status, 200);
    let longer = "x".repeat((25 << 20) + 1);
    let refused = server.send(&request("POST /rpc/echo", &headers, &longer)).await;
    assert_eq!(refused.status, 413);
    assert!(refused.text().contains(r#""code":"bad_request""#));
    assert!(refused.text().contains(r#""hint":"Put a long text"#), "{}", refused.text());
}

#[tokio::test]
async fn a_websocket_needs_the_token_and_its_own_page() {
    let server = server().await;
    let protocol = format!("musher.{}", server.info.token);
    let offered = ("sec-websocket-protocol", protocol.as_str());
    assert_eq!(server.upgrade("/news", &[]).await.status, 401);
    assert_eq!(
        server.upgrade("/news", &[("sec-websocket-protocol", "musher.0")]).await.status,
        401
    );
    assert_eq!(
        server.upgrade("/news", &[offered, ("origin", "https://a.example")]).await.status,
        403
    );
    assert_eq!(server.upgrade("/news", &[offered, ("origin", "null")]).await.status, 403);
    assert_eq!(server.upgrade("/news", &[offered, ("host", "a.example")]).await.status, 403);
    let own = format!("http://{}", server.host());
    let fine = server.upgrade("/news", &[offered, ("origin", &own)]).await;
    assert_eq!(fine.status, 101);
    assert_eq!(fine.header("sec-websocket-protocol"), Some(protocol.as_str()));
    let bearer = server.bearer();
    assert_eq!(server.upgrade("/news", &[("authorization", &bearer)]).await.status, 101);
}

#[tokio::test]
async fn news_begins_with_everything() {
    let server = server().await;
    let mut stream = TcpStream::connect(server.info.address).await.unwrap();
    let (host, bearer) = (server.host(), server.bearer());
    let headers = [
        ("host", host.as_str()),
        ("authorization", bearer.as_str()),
        ("connection", "upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];
    let mut frame = exchange(&mut stream, &request("GET /news", &headers, "")).await.body;
    while frame.len() < 2 || frame.len() < 2 + usize::from(frame[1]) {
        assert_ne!(stream.read_buf(&mut frame).await.unwrap(), 0);
    }
    // A short text frame: 0x81, its length, the text (RFC 6455, 5.2).
    assert_eq!(frame[0], 0x81);
    assert_eq!(&frame[2..], br#"{"runs":[],"projects":true}"#);
}

#[tokio::test]
async fn the_page_is_served_and_nothing_beside_it() {
    let server = server().await;
    let index = server.get("/").await;
    assert_eq!(index.status, 200);
    assert_eq!(index.text(), "<title>Musher</title>");
    assert_eq!(index.header("content-type"), Some("text/html; charset=utf-8"));
    assert_eq!(index.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(index.header("cache-control"), Some("no-store"));
    let policy = index.header("content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'none'; script-src 'self';"), "{policy}");
    let script = server.get("/assets/a.js").await;
    assert_eq!(script.header("content-type"), Some("text/javascript; charset=utf-8"));
    for path in [
        "/assets",
        "/nothing",
        "/../Cargo.toml",
        "/%2e%2e/%2e%2e/etc/passwd",
        "//etc/passwd",
        "/assets/link.txt",
    ] {
        assert_eq!(server.get(path).await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn refusals_are_hardened_too() {
    let server = server().await;
    let refused = server.rpc(&[("authorization", "")]).await;
    assert_eq!(refused.header("x-content-type-options"), Some("nosniff"));
    assert!(refused.header("content-security-policy").is_some());
    assert!(refused.text().contains(r#""code":"unauthorized""#));
}

#[tokio::test]
async fn only_loopback_listens() {
    assert!(server().await.info.address.ip().is_loopback());
}

#[tokio::test]
async fn the_end_waits_for_nobody_long() {
    let server = server().await;
    let mut stream = TcpStream::connect(server.info.address).await.unwrap();
    let (host, bearer) = (server.host(), server.bearer());
    let headers = [("host", host.as_str()), ("authorization", bearer.as_str()), JSON];
    let waiting = request("POST /rpc/run_events", &headers, "{}");
    let waiting = exchange(&mut stream, &waiting);
    let (address, serving) = (server.info.address, server.serving);
    let end = async {
        // The command is on its way once a later one was answered.
        let mut other = TcpStream::connect(address).await.unwrap();
        exchange(&mut other, &request("POST /rpc/echo", &headers, "{}")).await;
        serving.end().await;
    };
    let both = async { tokio::join!(waiting, end).0 };
    let answer = tokio::time::timeout(Duration::from_secs(5), both).await.expect("it ends");
    assert_eq!(answer.status, 503);
    assert!(TcpStream::connect(address).await.is_err());
}
