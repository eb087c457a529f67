//! The engine's socket, and the client that speaks to it.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::{
    io::Write,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use async_trait::async_trait;
use common::{Answer, Echo, exchange, request};
use futures::StreamExt;
use musher_api::{
    Api, Client, Guest, Host, OpenTarget,
    serve::{Serving, serve_socket},
};
use musher_protocol::{API_VERSION, ApiError, ErrorCode, HostKind};
use tokio::{io::AsyncWriteExt, net::UnixStream};

fn served(dir: &Path) -> Serving {
    serve_socket(Echo::new(), dir).unwrap()
}

async fn raw(dir: &Path, bytes: &[u8]) -> Answer {
    let mut stream = UnixStream::connect(dir.join("engine.sock")).await.unwrap();
    exchange(&mut stream, bytes).await
}

#[tokio::test]
async fn a_client_calls_and_is_answered() {
    let dir = tempfile::tempdir().unwrap();
    let _serving = served(dir.path());
    let client = Client::connect(dir.path()).await.unwrap().expect("an engine");
    let answer = client.call("run_get", r#"{"run":"r"}"#).await.unwrap();
    assert_eq!(answer, r#"{"name":"run_get","params":"{\"run\":\"r\"}"}"#);
    let error = client.call("missing", "{}").await.unwrap_err();
    assert_eq!(
        (error.code, error.message.as_str()),
        (ErrorCode::NotFound, "There is no such run.")
    );
}

#[tokio::test]
async fn a_client_hears_the_news_until_the_engine_ends() {
    let dir = tempfile::tempdir().unwrap();
    let serving = served(dir.path());
    let client = Client::connect(dir.path()).await.unwrap().expect("an engine");
    let mut news = client.news().await.unwrap();
    assert!(news.next().await.expect("what there is").projects);
    let (rest, ()) = tokio::join!(news.next(), serving.end());
    assert!(rest.is_none(), "{rest:?}");
    assert_eq!(client.news().await.err().unwrap().code, ErrorCode::EngineGone);
}

/// A window whose person chooses a folder.
struct Window;

#[async_trait]
impl Host for Window {
    fn kind(&self) -> HostKind {
        HostKind::Window
    }

    async fn pick_folders(&self) -> Result<Vec<String>, ApiError> {
        Ok(vec!["/chosen".to_owned()])
    }

    async fn open_external(&self, target: OpenTarget) -> Result<(), ApiError> {
        assert_eq!(target, OpenTarget::Link("https://example.org/".to_owned()));
        Ok(())
    }

    async fn show(&self, _folders: Vec<String>) -> Result<(), ApiError> {
        Ok(())
    }
}

/// What concerns its person a guest asks its own host; all else goes to the engine.
#[tokio::test]
async fn a_guest_has_a_host_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let engine = Arc::new(Echo { host: HostKind::Terminal, ..Echo::default() });
    let _serving = serve_socket(engine, dir.path()).unwrap();
    let client = Client::connect(dir.path()).await.unwrap().expect("an engine");
    let guest = Guest::new(client, Arc::new(Window));
    let info = guest.call("app_info", "{}").await.unwrap();
    assert!(info.contains(r#""host":"window""#) && info.contains("9.9.9"), "{info}");
    assert_eq!(guest.call("folder_pick", "{}").await.unwrap(), r#"{"paths":["/chosen"]}"#);
    let opened = guest.call("open_external", r#"{"target":"https://example.org/"}"#).await;
    assert_eq!(opened.unwrap(), "{}");
    let refused = guest.call("open_external", r#"{"target":"javascript:1"}"#).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::BadRequest);
    assert!(guest.call("run_list", "{}").await.unwrap().contains("run_list"));
}

#[tokio::test]
async fn the_socket_is_its_owners_alone() {
    let dir = tempfile::tempdir().unwrap();
    let _serving = served(dir.path());
    let mode = dir.path().join("engine.sock").metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[tokio::test]
async fn without_an_engine_there_is_no_client() {
    let dir = tempfile::tempdir().unwrap();
    assert!(Client::connect(dir.path()).await.unwrap().is_none());
    // A socket that an engine left behind when it was killed.
    drop(std::os::unix::net::UnixListener::bind(dir.path().join("engine.sock")).unwrap());
    assert!(Client::connect(dir.path()).await.unwrap().is_none());
}

#[tokio::test]
async fn an_engine_that_is_ending_is_none() {
    let dir = tempfile::tempdir().unwrap();
    let listener = tokio::net::UnixListener::bind(dir.path().join("engine.sock")).unwrap();
    let ending = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.readable().await.unwrap();
        let body = r#"{"code":"engine_gone","message":"Musher is ending."}"#;
        let head = format!("HTTP/1.1 503 x\r\ncontent-length: {}\r\n\r\n", body.len());
        stream.write_all((head + body).as_bytes()).await.unwrap();
        stream
    };
    let (connected, _stream) = tokio::join!(Client::connect(dir.path()), ending);
    assert!(connected.unwrap().is_none());
}

#[tokio::test]
async fn who_is_at_the_door_when_the_end_comes_is_answered() {
    let dir = tempfile::tempdir().unwrap();
    let (serving, door) = (served(dir.path()), dir.path().join("engine.sock"));
    let headers = [("host", "musher"), ("content-type", "application/json")];
    let start = request("POST /rpc/run_start", &headers, "{}");
    // The server is of this thread, and has not looked yet.
    let sent = || {
        let mut stream = std::os::unix::net::UnixStream::connect(&door).unwrap();
        stream.write_all(&start).unwrap();
        stream.set_nonblocking(true).unwrap();
        UnixStream::from_std(stream).unwrap()
    };
    let waiting: Vec<_> = std::iter::repeat_with(sent).take(20).collect();
    serving.end().await;
    assert!(!door.exists());
    for mut stream in waiting {
        let answer = exchange(&mut stream, b"").await;
        assert_eq!(answer.status, 503, "it is not done, and who asked may ask the next engine");
        assert!(answer.text().contains("engine_gone"), "{}", answer.text());
    }
}

#[tokio::test]
async fn who_was_let_in_and_not_heard_when_the_end_comes_is_answered() {
    let dir = tempfile::tempdir().unwrap();
    let serving = served(dir.path());
    let mut let_in = Vec::new();
    for _ in 0..20 {
        let_in.push(UnixStream::connect(dir.path().join("engine.sock")).await.unwrap());
    }
    // Whoever comes last is answered only when those before were let in.
    let headers = [("host", "musher"), ("content-type", "application/json")];
    let start = request("POST /rpc/run_start", &headers, "{}");
    assert_eq!(raw(dir.path(), &start).await.status, 200);
    let (first, rest) = start.split_at(20);
    for stream in &let_in {
        assert_eq!(stream.try_write(first).unwrap(), first.len());
    }
    let hear = async {
        tokio::task::yield_now().await;
        for stream in &mut let_in {
            assert_eq!(exchange(stream, rest).await.status, 503);
        }
    };
    tokio::join!(serving.end(), hear);
}

#[tokio::test]
async fn a_socket_left_behind_is_replaced() {
    let dir = tempfile::tempdir().unwrap();
    drop(std::os::unix::net::UnixListener::bind(dir.path().join("engine.sock")).unwrap());
    let serving = served(dir.path());
    assert!(Client::connect(dir.path()).await.unwrap().is_some());
    serving.end().await;
    assert!(!dir.path().join("engine.sock").exists());
    assert!(Client::connect(dir.path()).await.unwrap().is_none());
}

#[tokio::test]
async fn another_version_is_told_apart() {
    let dir = tempfile::tempdir().unwrap();
    let _serving = serve_socket(Echo::of_version(API_VERSION + 1), dir.path()).unwrap();
    let Err(error) = Client::connect(dir.path()).await else { panic!("it was taken") };
    assert!(error.message.contains("The running Musher 9.9.9"), "{}", error.message);
    assert!(error.hint.is_some());
}

#[tokio::test]
async fn another_start_is_shown_with_its_folders() {
    let dir = tempfile::tempdir().unwrap();
    let echo = Echo::new();
    let _serving = serve_socket(echo.clone(), dir.path()).unwrap();
    let client = Client::connect(dir.path()).await.unwrap().unwrap();
    client.show(&["/a b".to_owned()]).await.unwrap();
    assert_eq!(*echo.shown.lock().unwrap(), ["/a b"]);
}

#[tokio::test]
async fn a_browsers_marks_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let _serving = served(dir.path());
    let json = ("content-type", "application/json");
    for headers in [
        vec![("host", "musher"), json, ("origin", "https://a.example")],
        vec![("host", "musher"), json, ("origin", "null")],
        vec![("host", "musher"), json, ("sec-fetch-site", "same-origin")],
        vec![("host", "localhost"), json],
        vec![("host", "attacker.example"), json],
    ] {
        let answer = raw(dir.path(), &request("POST /rpc/echo", &headers, "{}")).await;
        assert_eq!(answer.status, 403, "{headers:?}");
    }
    let plain = [("host", "musher"), ("content-type", "text/plain")];
    assert_eq!(raw(dir.path(), &request("POST /rpc/echo", &plain, "{}")).await.status, 415);
    let fine = [("host", "musher"), json];
    assert_eq!(raw(dir.path(), &request("POST /rpc/echo", &fine, "{}")).await.status, 200);
    assert_eq!(raw(dir.path(), &request("GET /", &fine, "")).await.status, 404);
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_long_data_directory_works() {
    let dir = tempfile::tempdir().unwrap();
    let long: PathBuf = dir.path().join("d".repeat(120)).join("e".repeat(120));
    std::fs::create_dir_all(&long).unwrap();
    let serving = served(&long);
    let client = Client::connect(&long).await.unwrap().expect("an engine");
    client.call("doctor", "{}").await.unwrap();
    serving.end().await;
    assert!(!long.join("engine.sock").exists());
}
