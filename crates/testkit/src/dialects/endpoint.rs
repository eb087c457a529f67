//! The server.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Result, bail};
use serde_json::Value;
use tokio::{
    io::BufReader,
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

use super::{
    Dialect, Turn,
    answer::{Answer, Problem},
    http::{self, Act, Reply, Request},
    rules::{self, Memory, Rule, Violation},
    script::{Asked, Script},
    wire,
};
use crate::loopback::Loopback;

/// What an endpoint is, before it runs.
#[derive(Clone, Debug)]
pub struct Offer {
    dialect: Dialect,
    key: Option<String>,
    needs_key: bool,
    models: Vec<String>,
}

impl Offer {
    /// Any key opens it.
    pub fn new(dialect: Dialect) -> Self {
        let models = ["scripted-large", "scripted-small"].map(str::to_owned).to_vec();
        Self { dialect, key: None, needs_key: true, models }
    }

    /// Only this key opens it; another is answered with 401, which is no violation.
    pub fn key(self, key: &str) -> Self {
        Self { key: Some(key.to_owned()), ..self }
    }

    /// No key is needed, as with a local model.
    pub fn without_key(self) -> Self {
        Self { needs_key: false, ..self }
    }

    pub fn models(self, models: &[&str]) -> Self {
        Self { models: models.iter().map(|&model| model.to_owned()).collect(), ..self }
    }

    pub fn start(self, script: impl Into<Script>) -> Result<ScriptedEndpoint> {
        let desk = Arc::new(Desk { offer: self, script: script.into(), book: Mutex::default() });
        let served = Arc::clone(&desk);
        let server = Loopback::start("scripted endpoint", |listener| async {
            serve(listener, served).await
        })?;
        Ok(ScriptedEndpoint { server, desk })
    }
}

/// A running server; gone when dropped.
pub struct ScriptedEndpoint {
    server: Loopback,
    desk: Arc<Desk>,
}

/// A request as it came.
#[derive(Clone, Debug)]
pub struct RecordedRequest {
    pub method: String,
    /// Path and query.
    pub target: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Value,
    pub arrived: Instant,
    /// When the last byte of the answer was written, or the client had gone.
    pub answered: Option<Instant>,
    /// Whether it asked for an answer of the model.
    pub is_turn: bool,
    pub violations: Vec<Violation>,
}

impl RecordedRequest {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

impl ScriptedEndpoint {
    pub fn start(dialect: Dialect, script: impl Into<Script>) -> Result<Self> {
        Offer::new(dialect).start(script)
    }

    pub fn dialect(&self) -> Dialect {
        self.desk.offer.dialect
    }

    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.server.address)
    }

    /// What a client is given as base: with `/v1` or `/v1beta`.
    pub fn base_url(&self) -> String {
        self.url() + self.dialect().base()
    }

    /// All requests so far, in order.
    pub fn requests(&self) -> Vec<RecordedRequest> {
        self.desk.book().requests.clone()
    }

    /// The requests for an answer of the model.
    pub fn turns(&self) -> Vec<RecordedRequest> {
        self.requests().into_iter().filter(|request| request.is_turn).collect()
    }

    /// How long the client waited before each further turn: from the end of the answer before it, or
    /// from its arrival if that answer had no end.
    pub fn waits(&self) -> Vec<Duration> {
        let turns = self.turns();
        let pairs = turns.iter().zip(turns.iter().skip(1));
        pairs.map(|(a, b)| b.arrived - a.answered.unwrap_or(a.arrived).min(b.arrived)).collect()
    }

    pub fn violations(&self) -> Vec<Violation> {
        self.requests().into_iter().flat_map(|request| request.violations).collect()
    }

    /// An error that names every broken rule.
    pub fn check(&self) -> Result<()> {
        let broken: Vec<String> = self.violations().iter().map(ToString::to_string).collect();
        if !broken.is_empty() {
            bail!("the client broke the rules:\n{}", broken.join("\n"));
        }
        Ok(())
    }
}

struct Desk {
    offer: Offer,
    script: Script,
    book: Mutex<Book>,
}

#[derive(Default)]
struct Book {
    requests: Vec<RecordedRequest>,
    memory: Memory,
    valid_turns: usize,
}

impl Desk {
    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn serve(listener: TcpListener, desk: Arc<Desk>) {
    let place = listener.local_addr().map_or(0, |address| address.port());
    let mut clients = JoinSet::new();
    loop {
        tokio::select! {
            client = listener.accept() => {
                let Ok((stream, _)) = client else { return };
                clients.spawn(converse(stream, Arc::clone(&desk), place));
            }
            Some(_) = clients.join_next(), if !clients.is_empty() => {}
        }
    }
}

/// One request and its answer. A client that goes early is none of our business.
async fn converse(stream: TcpStream, desk: Arc<Desk>, place: u16) {
    let mut stream = BufReader::new(stream);
    let Ok(Some(request)) = http::read(&mut stream).await else { return };
    let (at, reply) = desk.reply(&request, place);
    let _ = http::write(stream, reply).await;
    if let Some(recorded) = desk.book().requests.get_mut(at) {
        recorded.answered = Some(Instant::now());
    }
}

impl Desk {
    /// Where the request is recorded, and its answer.
    fn reply(&self, request: &Request, place: u16) -> (usize, Reply) {
        let body: Value = serde_json::from_slice(&request.body).unwrap_or(Value::Null);
        let mut book = self.book();
        let at = book.requests.len();
        let is_turn = request.method == "POST" && self.offer.dialect.is_turn(request.path());
        let violations = self.violations(request, &body, is_turn, at, &book.memory);
        book.requests.push(RecordedRequest {
            method: request.method.clone(),
            target: request.target.clone(),
            headers: request.headers.clone(),
            body: body.clone(),
            arrived: Instant::now(),
            answered: None,
            is_turn,
            violations: violations.clone(),
        });
        let reply = match violations.first() {
            Some(first) => self.problem(&refusal(self.offer.dialect, first)),
            None if !self.is_open_to(request) => self.problem(&wrong_key(self.offer.dialect)),
            None if is_turn => self.turn(request, &body, place, &mut book),
            None => self.other(request),
        };
        (at, reply)
    }

    fn violations(
        &self,
        request: &Request,
        body: &Value,
        is_turn: bool,
        at: usize,
        memory: &Memory,
    ) -> Vec<Violation> {
        let dialect = self.offer.dialect;
        let mut broken = rules::of_headers(dialect, request, is_turn, self.offer.needs_key);
        if is_turn {
            broken.extend(rules::of_body(dialect, request, body, memory));
        }
        broken.iter_mut().for_each(|violation| violation.request = at);
        broken
    }

    fn is_open_to(&self, request: &Request) -> bool {
        let given = rules::key_of(self.offer.dialect, request);
        self.offer.key.as_deref().is_none_or(|key| given == Some(key))
    }

    fn turn(&self, request: &Request, body: &Value, place: u16, book: &mut Book) -> Reply {
        book.valid_turns += 1;
        let dialect = self.offer.dialect;
        let number = book.valid_turns;
        let answer = self.script.answer(&Asked { dialect, body, number });
        let model = rules::model_of(dialect, request, body);
        let turn = Turn { model: &model, place, number };
        let (message, oddity) = match answer {
            Answer::Says(message) => (message, None),
            Answer::Oddly(message, oddity) => (message, Some(oddity)),
            Answer::Problem(problem) => return self.problem(&problem),
            Answer::Raw { status, headers, body } => {
                let headers = headers.iter().map(super::Header::pair).collect();
                return Reply { head: Some((status, headers)), acts: vec![Act::Bytes(body)] };
            }
            Answer::Reset => return Reply { head: None, acts: vec![Act::Reset] },
            Answer::Stall => return Reply { head: None, acts: vec![Act::Stall] },
        };
        let spoken = dialect.spoken(&message, &turn);
        book.memory.said.push(spoken.said);
        let mut headers = vec![
            ("content-type".to_owned(), "text/event-stream; charset=utf-8".to_owned()),
            ("cache-control".to_owned(), "no-cache".to_owned()),
            ("x-request-id".to_owned(), turn.id("req", 0)),
        ];
        if oddity == Some(super::Oddity::Gzip) {
            headers.push(("content-encoding".to_owned(), "gzip".to_owned()));
        }
        let acts = wire::acts(dialect, spoken.events, oddity.as_ref());
        Reply { head: Some((200, headers)), acts }
    }

    /// The models, or nothing.
    fn other(&self, request: &Request) -> Reply {
        let models = format!("{}/models", self.offer.dialect.base());
        if request.method == "GET" && request.path() == models {
            return json(200, Vec::new(), &self.offer.dialect.models(&self.offer.models));
        }
        let message = format!("Invalid URL ({} {})", request.method, request.path());
        let kind = match self.offer.dialect {
            Dialect::Gemini => "NOT_FOUND",
            _ => "invalid_request_error",
        };
        self.problem(&Problem::new(404, kind, message))
    }

    fn problem(&self, problem: &Problem) -> Reply {
        let headers = problem.headers.iter().map(super::Header::pair).collect();
        json(problem.status, headers, &self.offer.dialect.problem(problem))
    }
}

fn json(status: u16, mut headers: Vec<(String, String)>, body: &Value) -> Reply {
    headers.push(("content-type".to_owned(), "application/json; charset=UTF-8".to_owned()));
    Reply { head: Some((status, headers)), acts: vec![Act::Bytes(body.to_string().into_bytes())] }
}

fn refusal(dialect: Dialect, violation: &Violation) -> Problem {
    match violation.rule {
        Rule::Key => Problem { message: violation.message.clone(), ..wrong_key(dialect) },
        _ => bad_request(dialect, &violation.message),
    }
}

fn bad_request(dialect: Dialect, message: &str) -> Problem {
    let kind = match dialect {
        Dialect::Gemini => "INVALID_ARGUMENT",
        _ => "invalid_request_error",
    };
    Problem::new(400, kind, message)
}

/// Gemini says 400 to a wrong key.
fn wrong_key(dialect: Dialect) -> Problem {
    match dialect {
        Dialect::Gemini => Problem::new(
            400,
            "INVALID_ARGUMENT",
            "API key not valid. Please pass a valid API key.",
        )
        .detail(serde_json::json!({
            "@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID",
            "domain": "googleapis.com", "metadata": {"service": "generativelanguage.googleapis.com"},
        })),
        _ => Problem::new(401, "invalid_request_error", "Incorrect API key provided.")
            .code("invalid_api_key"),
    }
}
