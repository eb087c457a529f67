//! The server.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::Result;
use axum::{
    Router,
    body::{Body, Bytes},
    extract::State,
    http::{Method, StatusCode, Uri, header},
    response::Response,
};
use futures::{Stream, StreamExt, stream};
use serde_json::{Value, json};

use super::{
    scenario::{Action, Reply, Scenario, scenarios},
    wire,
};
use crate::loopback::Loopback;

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Recorded {
    pub method: String,
    pub path: String,
    pub body: Value,
    /// The scenario and step that answered it.
    pub scenario: Option<(String, usize)>,
}

/// A running server; gone when dropped.
pub struct ScriptedModel {
    server: Loopback,
    desk: Arc<Desk>,
}

struct Desk {
    scenarios: BTreeMap<String, Scenario>,
    requests: Mutex<Vec<Recorded>>,
}

impl ScriptedModel {
    /// With the scenarios that every server knows.
    pub fn start() -> Result<Self> {
        Self::with([])
    }

    /// With more scenarios, or others of the same names.
    pub fn with(more: impl IntoIterator<Item = (String, Scenario)>) -> Result<Self> {
        let mut scenarios = scenarios();
        scenarios.extend(more);
        let desk = Arc::new(Desk { scenarios, requests: Mutex::default() });
        let served = Arc::clone(&desk);
        let server = Loopback::start("scripted model", |listener| async {
            let app = Router::new().fallback(answer).with_state(served);
            // Ends when the server is dropped.
            let _ = axum::serve(listener, app).await;
        })?;
        Ok(Self { server, desk })
    }

    /// For `ANTHROPIC_BASE_URL`.
    pub fn url(&self) -> String {
        format!("http://{}", self.server.address)
    }

    /// All requests so far, in order.
    pub fn requests(&self) -> Vec<Recorded> {
        self.desk.requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn answer(State(desk): State<Arc<Desk>>, method: Method, uri: Uri, body: Bytes) -> Response {
    let body: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
    let path = uri.path().to_owned();
    let turn = (path.ends_with("/messages") && wire::side_answer(&body).is_none())
        .then(|| wire::picked(&body))
        .flatten();
    let number = desk.record(Recorded {
        method: method.to_string(),
        path: path.clone(),
        body: body.clone(),
        scenario: turn.clone(),
    });
    if path.ends_with("/count_tokens") {
        return json_response(StatusCode::OK, &json!({"input_tokens": 1234}));
    }
    if method == Method::HEAD {
        return json_response(StatusCode::OK, &Value::Null);
    }
    if !path.ends_with("/messages") {
        return json_response(
            StatusCode::NOT_FOUND,
            &error("not_found_error", &format!("no {path} here")),
        );
    }
    let reply = match (wire::side_answer(&body), turn) {
        (Some(text), _) => Reply::Say(vec![Action::Text(text.into())]),
        (None, Some((name, step))) => desk.reply(&name, step),
        (None, None) => Reply::Say(vec![Action::Text(
            "There is no [[model:NAME]] in this conversation.".into(),
        )]),
    };
    respond(reply, &body, number)
}

impl Desk {
    fn record(&self, request: Recorded) -> u64 {
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        requests.push(request);
        requests.len() as u64
    }

    fn reply(&self, name: &str, step: usize) -> Reply {
        let scenario = self.scenarios.get(name);
        let reply = scenario.and_then(|replies| replies.get(step).or(replies.last()));
        reply.cloned().unwrap_or_else(|| {
            Reply::Say(vec![Action::Text(format!("There is no scenario {name}."))])
        })
    }
}

fn respond(reply: Reply, body: &Value, number: u64) -> Response {
    let folder = wire::folder_of(body).unwrap_or_default();
    let say =
        |actions: &[Action]| wire::message(body, number, wire::blocks(actions, &folder, number));
    let streamed = body["stream"] == true;
    match reply {
        Reply::Refuse { status, headers, kind, message } => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            let mut response = json_response(status, &error(kind, message));
            for (name, value) in headers {
                if let Ok(value) = value.parse() {
                    response.headers_mut().insert(name, value);
                }
            }
            response
        }
        Reply::Say(actions) | Reply::Slowly(actions, _) if !streamed => {
            json_response(StatusCode::OK, &say(&actions))
        }
        // What `claude` falls back to when its stream was cut.
        Reply::Cut(text) if !streamed => {
            json_response(StatusCode::OK, &say(&[Action::Text(text.into())]))
        }
        Reply::Say(actions) => sse(pieces(wire::events(&say(&actions)), Duration::ZERO)),
        Reply::Slowly(actions, pause) => sse(pieces(wire::events(&say(&actions)), pause)),
        Reply::Hang(text) => sse(pieces(begun(&say(&[Action::Text(text.into())])), Duration::ZERO)
            .chain(stream::pending())),
        Reply::Cut(text) => {
            let begun = pieces(begun(&say(&[Action::Text(text.into())])), Duration::ZERO);
            sse(begun.chain(stream::once(cut())))
        }
    }
}

/// An error in the body cuts the connection; what was said before has to be on its way first.
async fn cut() -> std::io::Result<Bytes> {
    tokio::time::sleep(Duration::from_millis(50)).await;
    Err(std::io::Error::other("the scenario cuts here"))
}

/// The events of a message up to its first piece of text.
fn begun(message: &Value) -> Vec<String> {
    let mut events = wire::events(message);
    events.truncate(4);
    events
}

fn pieces(
    events: Vec<String>,
    pause: Duration,
) -> impl Stream<Item = std::io::Result<Bytes>> + Send {
    stream::iter(events).then(move |event| async move {
        if !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
        Ok(Bytes::from(event))
    })
}

fn sse(events: impl Stream<Item = std::io::Result<Bytes>> + Send + 'static) -> Response {
    with_type(Response::new(Body::from_stream(events)), "text/event-stream; charset=utf-8")
}

fn json_response(status: StatusCode, value: &Value) -> Response {
    let mut response = Response::new(Body::from(value.to_string()));
    *response.status_mut() = status;
    with_type(response, "application/json")
}

fn with_type(mut response: Response, kind: &'static str) -> Response {
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(kind));
    response
}

fn error(kind: &str, message: &str) -> Value {
    json!({"type": "error", "error": {"type": kind, "message": message}})
}
