//! A key goes in through the door and comes out nowhere: no reply, no error, no news, no log.
//!
//! One test, as it takes the process's log.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    io::Write,
    path::Path,
    sync::{Arc, Mutex},
};

use musher_api::{Api, Client, EngineApi, TerminalHost, serve::serve_socket};
use musher_engine::{Engine, EngineConfig, with_models};
use musher_protocol::{ErrorCode, HostKind};
use musher_runtime::Registry;
use serde_json::{Value, json};

const CANARY: &str = "sk-canary-6f0b2d81c4";
/// Nobody's: the keychain of whoever runs the tests may be asked for them, and to forget them.
const PLACES: [&str; 2] = ["http://musher-test.invalid/v1", "http://127.0.0.1:1/v1"];

/// Everything that is logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Log {
    fn begin() -> Self {
        let log = Self::default();
        let to = log.clone();
        let subscriber =
            tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_ansi(false);
        subscriber.with_writer(move || to.clone()).init();
        log
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

/// What a call was answered with, whatever it was.
async fn answer(client: &Client, name: &str, params: &str) -> (Option<ErrorCode>, String) {
    let (code, text) = match client.call(name, params).await {
        Ok(reply) => (None, reply),
        Err(error) => (Some(error.code), format!("{error:?}")),
    };
    assert!(!text.contains(CANARY), "{name} answers with the key: {text}");
    (code, text)
}

async fn well(client: &Client, name: &str, params: Value) -> Value {
    let (code, text) = answer(client, name, &params.to_string()).await;
    assert_eq!(code, None, "{name}: {text}");
    serde_json::from_str(&text).unwrap()
}

fn files_with(dir: &Path, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut dirs = vec![dir.to_owned()];
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(dir).unwrap().map(Result::unwrap) {
            let path = entry.path();
            match entry.file_type().unwrap() {
                kind if kind.is_dir() => dirs.push(path),
                kind if kind.is_file() => {
                    let bytes = std::fs::read(&path).unwrap();
                    if bytes.windows(text.len()).any(|it| it == text.as_bytes()) {
                        found.push(entry.file_name().to_string_lossy().into_owned());
                    }
                }
                _ => {}
            }
        }
    }
    found
}

/// Requests to keep a key, each wrong in its own way.
async fn wrong_ways(client: &Client) {
    for wrong in [
        json!({"place": "gemini", "key": format!("{CANARY} two words")}),
        json!({"place": CANARY, "key": "sk-other"}),
        json!({"place": "gemini", "key": [CANARY]}),
        json!({"place": "gemini", "key": {"is": CANARY}}),
        json!({"place": "gemini", "key": CANARY, "file": CANARY}),
        json!({"place": ["gemini"], "key": CANARY}),
        json!(CANARY),
        json!([CANARY]),
    ] {
        let (code, _) = answer(client, "key_set", &wrong.to_string()).await;
        assert_eq!(code, Some(ErrorCode::BadRequest), "{wrong}");
    }
    let torn = format!("{{\"place\":\"gemini\",\"key\":\"{CANARY}\",\"file\":{CANARY}");
    answer(client, "key_set", &torn).await;
}

#[tokio::test]
async fn a_key_comes_out_nowhere() {
    let log = Log::begin();
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let registry = with_models(Registry::default(), &data);
    let engine = Engine::open(EngineConfig::new(data.clone()), registry).await.unwrap();
    let mut news = engine.news();
    let host = Arc::new(TerminalHost::new(HostKind::Terminal));
    let api: Arc<dyn Api> = Arc::new(EngineApi { engine: engine.clone(), host });
    let serving = serve_socket(api, &data).unwrap();
    let client = Client::connect(&data).await.unwrap().unwrap();

    let [far, near] = PLACES;
    let kept = well(&client, "key_set", json!({"place": far, "key": CANARY, "file": true})).await;
    assert_eq!(kept["place"], far);
    let slashed = json!({"place": format!("{near}/"), "key": CANARY, "file": true});
    well(&client, "key_set", slashed).await;
    let listed = well(&client, "key_list", json!({})).await;
    let is_listed = |place| listed.as_array().unwrap().iter().any(|it| it["place"] == place);
    assert!(is_listed(far) && is_listed(near), "{listed}");
    let told = loop {
        let told = news.next().await.unwrap();
        if told.projects {
            break told;
        }
    };
    assert!(!format!("{told:?}").contains(CANARY));
    well(&client, "app_info", json!({})).await;

    wrong_ways(&client).await;
    let probe = json!({"runtime": "openai", "base_url": near, "round_trip": true});
    let report = well(&client, "endpoint_probe", probe).await;
    assert_eq!(report["reachable"], false);

    let removed = well(&client, "key_remove", json!({"place": near})).await;
    assert_eq!(removed["was"], true);
    well(&client, "doctor", json!({})).await;
    let logged = log.text();
    assert!(!logged.is_empty(), "nothing was logged: the test looks at nothing");
    assert!(!logged.contains(CANARY), "the key is in the log");
    let kept_in_file = kept["kept"] == "file";
    let expected: &[&str] = if kept_in_file { &["keys.json"] } else { &[] };
    assert_eq!(files_with(&data, CANARY), expected);
    well(&client, "key_remove", json!({"place": far})).await;
    assert_eq!(files_with(&data, CANARY), Vec::<String>::new());
    serving.end().await;
    engine.shutdown().await;
}
