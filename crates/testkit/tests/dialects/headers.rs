//! What stands around the body: keys, types, addresses; the list of models; the records.

use std::time::Duration;

use musher_testkit::dialects::{Answer, Dialect, Offer, Rule, ScriptedEndpoint};
use reqwest::header;
use serde_json::{Value, json};

use crate::client::{HTTP, KEY, MODEL, ask, body, request, says, url};

fn hello(dialect: Dialect) -> Value {
    body(dialect, &[says(dialect, "hello")])
}

fn endpoint(dialect: Dialect) -> ScriptedEndpoint {
    ScriptedEndpoint::start(dialect, [Answer::text("Hello.")]).unwrap()
}

/// The status of a request that was spoilt, and the rule that it broke.
async fn spoilt(
    dialect: Dialect,
    spoil: impl FnOnce(reqwest::RequestBuilder) -> reqwest::RequestBuilder,
) -> (u16, Vec<Rule>) {
    let endpoint = endpoint(dialect);
    let response = spoil(request(&endpoint, &hello(dialect))).send().await.unwrap();
    let rules = endpoint.violations().iter().map(|broken| broken.rule).collect();
    (response.status().as_u16(), rules)
}

/// A later header of the same name does not replace the first: a fresh request.
fn bare(endpoint: &ScriptedEndpoint) -> reqwest::RequestBuilder {
    let body = hello(endpoint.dialect()).to_string();
    HTTP.post(url(endpoint)).header("accept", "text/event-stream").body(body)
}

#[tokio::test]
async fn a_key_in_its_header() {
    for dialect in Dialect::ALL {
        let endpoint = endpoint(dialect);
        let wrong = match dialect {
            Dialect::Gemini => bare(&endpoint).bearer_auth(KEY),
            _ => bare(&endpoint).header("x-goog-api-key", KEY),
        };
        let response = wrong.header(header::CONTENT_TYPE, "application/json").send().await.unwrap();
        let status = if dialect == Dialect::Gemini { 400 } else { 401 };
        assert_eq!(response.status(), status);
        assert_eq!(endpoint.violations()[0].rule, Rule::Key);
    }
}

#[tokio::test]
async fn only_the_right_key_opens() {
    for dialect in Dialect::ALL {
        let endpoint = Offer::new(dialect).key("another").start([Answer::text("Hi.")]).unwrap();
        let heard = ask(&endpoint, &hello(dialect)).await;
        assert_eq!(heard.status, if dialect == Dialect::Gemini { 400 } else { 401 });
        endpoint.check().unwrap();
    }
}

#[tokio::test]
async fn no_key_where_none_is_needed() {
    let endpoint = Offer::new(Dialect::Chat).without_key().start([Answer::text("Hi.")]).unwrap();
    let request = bare(&endpoint).header(header::CONTENT_TYPE, "application/json");
    assert_eq!(request.send().await.unwrap().status(), 200);
    endpoint.check().unwrap();
}

#[tokio::test]
async fn no_key_in_the_address() {
    for (dialect, pair) in [
        (Dialect::Gemini, "key=abc".to_owned()),
        (Dialect::Gemini, format!("user={KEY}")),
        (Dialect::Chat, "api_key=x".to_owned()),
    ] {
        let endpoint = endpoint(dialect);
        let mark = if dialect == Dialect::Gemini { "&" } else { "?" };
        let address = url(&endpoint) + mark + &pair;
        let request = HTTP.post(address).json(&hello(dialect));
        let request = request.bearer_auth(KEY).header("x-goog-api-key", KEY);
        assert_eq!(request.send().await.unwrap().status(), 400, "{pair}");
        let rules: Vec<Rule> = endpoint.violations().iter().map(|broken| broken.rule).collect();
        assert_eq!(rules, [Rule::KeyInUrl], "{pair}");
    }
}

#[tokio::test]
async fn types_of_what_comes_and_goes() {
    let endpoint = endpoint(Dialect::Chat);
    let text = bare(&endpoint).bearer_auth(KEY).header(header::CONTENT_TYPE, "text/plain");
    assert_eq!(text.send().await.unwrap().status(), 400);
    assert_eq!(endpoint.violations()[0].rule, Rule::ContentType);
    let accept =
        header::HeaderMap::from_iter([(header::ACCEPT, "application/json".parse().unwrap())]);
    let refused = spoilt(Dialect::Chat, |it| it.headers(accept)).await;
    assert_eq!(refused, (400, vec![Rule::Accept]));
}

#[tokio::test]
async fn what_is_no_json() {
    let (status, rules) = spoilt(Dialect::Responses, |it| it.body("{oops")).await;
    assert_eq!((status, rules), (400, vec![Rule::Body]));
}

#[tokio::test]
async fn lists_its_models() {
    for dialect in Dialect::ALL {
        let endpoint = Offer::new(dialect).models(&["one", "two"]).start([]).unwrap();
        let request = HTTP.get(endpoint.base_url() + "/models");
        let request = request.bearer_auth(KEY).header("x-goog-api-key", KEY);
        let models: Value = request.send().await.unwrap().json().await.unwrap();
        let second = match dialect {
            Dialect::Gemini => models["models"][1]["name"] == "models/two",
            _ => models["data"][1]["id"] == "two",
        };
        assert!(second, "{models}");
        endpoint.check().unwrap();
        assert!(endpoint.turns().is_empty());
    }
}

#[tokio::test]
async fn speaks_its_own_dialect_only() {
    let endpoint = endpoint(Dialect::Chat);
    let elsewhere = endpoint.base_url() + "/responses";
    let request = HTTP.post(elsewhere).bearer_auth(KEY).json(&json!({}));
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), 404);
    let error: Value = response.json().await.unwrap();
    assert_eq!(error["error"]["type"], "invalid_request_error");
}

#[tokio::test]
async fn records_what_came_and_when() {
    let dialect = Dialect::Gemini;
    let endpoint =
        ScriptedEndpoint::start(dialect, [Answer::text("a"), Answer::text("b")]).unwrap();
    ask(&endpoint, &hello(dialect)).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    ask(&endpoint, &hello(dialect)).await;
    let turns = endpoint.turns();
    assert_eq!(turns.len(), 2);
    assert_eq!(turns[0].header("x-goog-api-key"), Some(KEY));
    assert_eq!(turns[0].body, hello(dialect));
    assert!(turns[0].target.contains(MODEL));
    let waits = endpoint.waits();
    assert!(waits[0] >= Duration::from_millis(290), "{waits:?}");
    assert!(waits[0] < Duration::from_secs(20), "{waits:?}");
}

#[tokio::test]
async fn a_refused_request_uses_up_no_answer() {
    let endpoint = endpoint(Dialect::Responses);
    let mut wrong = hello(Dialect::Responses);
    wrong["store"] = json!(true);
    assert_eq!(ask(&endpoint, &wrong).await.status, 400);
    assert_eq!(ask(&endpoint, &hello(Dialect::Responses)).await.status, 200);
    assert_eq!(ask(&endpoint, &hello(Dialect::Responses)).await.status, 400, "no more answers");
    assert_eq!(endpoint.violations().len(), 1);
}

#[tokio::test]
async fn nothing_is_left_of_a_dropped_endpoint() {
    let endpoint = ScriptedEndpoint::start(Dialect::Chat, [Answer::Stall]).unwrap();
    let waiting = request(&endpoint, &hello(Dialect::Chat)).send();
    let address = endpoint.url();
    let port = address.rsplit(':').next().unwrap().to_owned();
    let (ended, ()) = tokio::join!(waiting, async {
        while endpoint.turns().is_empty() {
            tokio::task::yield_now().await;
        }
        drop(endpoint);
    });
    assert!(ended.is_err(), "a client that waits is let go");
    let connected = std::net::TcpStream::connect(("127.0.0.1", port.parse().unwrap()));
    assert!(connected.is_err(), "nobody listens");
}
