//! One request and its streamed answer: bytes, events, and what goes wrong on the way. Nothing is
//! tried again here.

mod heard;
mod when;

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime},
};

use futures::{Stream, StreamExt, TryStreamExt};
use reqwest::{
    Client, Response,
    header::{ACCEPT, CONTENT_TYPE, HeaderMap},
};
use serde_json::Value;
use sse_stream::{Sse, SseByteStream};
use tokio::time::{Instant, timeout, timeout_at};

use super::{
    codec::{Answer, Fault, FaultKind, Finish, Piece, Reader, Usage},
    endpoint::{Endpoint, Patience},
    faults::fault,
};
use heard::Heard;
pub(super) use when::at;
use when::retry_after;

/// The largest single event, and the largest answer. A model's longest answer is some 128,000 tokens,
/// about half a megabyte of text; each token may come in an event of its own of 200 to 500 bytes.
const MAX_EVENT: usize = 8 << 20;
const MAX_ANSWER: usize = 256 << 20;
/// How long a server that may be at its end is waited for: what follows is on its way already.
const AFTER_END: Duration = Duration::from_secs(2);
/// How much of an error's body is read.
const MAX_ERROR: usize = 64 << 10;

/// What went wrong, and what the server said about trying again.
#[derive(Clone, Debug, PartialEq)]
pub struct Trouble {
    pub fault: Fault,
    pub retry_after: Option<Duration>,
}

impl Trouble {
    fn new(kind: FaultKind, message: impl Into<String>) -> Self {
        Self { fault: Fault { kind, message: message.into() }, retry_after: None }
    }
}

/// Asks one endpoint.
#[derive(Clone, Debug)]
pub struct Exchange {
    client: Client,
    endpoint: Endpoint,
    patience: Patience,
    heard: Heard,
}

impl Exchange {
    pub fn new(endpoint: Endpoint, patience: Patience) -> Result<Self, reqwest::Error> {
        let client = endpoint.client(patience.connect).build()?;
        Ok(Self { client, endpoint, patience, heard: Heard::default() })
    }

    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// When its server was heard last.
    pub fn heard(&self) -> &Heard {
        &self.heard
    }

    /// Streams an answer; `show` gets its pieces as they come, and what it took as far as that was said.
    /// An answer that the provider did not end
    /// comes back as one, with [`Finish::Cut`] or [`Finish::Failed`].
    pub async fn stream<S, F>(
        &self,
        path: &str,
        body: &Value,
        reader: Box<dyn Reader>,
        show: S,
    ) -> Result<Answer, Trouble>
    where
        S: FnMut(Vec<Piece>, Option<Usage>) -> F,
        F: Future<Output = bool>,
    {
        let answered = match self.send(path, body).await {
            Ok(response) => {
                let bytes = response.bytes_stream().map_err(ByteError::from);
                self.read(bytes, reader, show).await
            }
            Err(trouble) => Err(trouble),
        };
        match answered {
            Ok(answer) => Ok(Answer { finish: self.masked(answer.finish), ..answer }),
            Err(trouble) => Err(Trouble { fault: self.masked_fault(trouble.fault), ..trouble }),
        }
    }

    /// What is told of a fault, without what opens the endpoint.
    fn masked_fault(&self, fault: Fault) -> Fault {
        Fault { message: self.endpoint.masked(fault.message), ..fault }
    }

    fn masked(&self, finish: Finish) -> Finish {
        match finish {
            Finish::Failed(fault) => Finish::Failed(self.masked_fault(fault)),
            Finish::Refused(why) => Finish::Refused(self.endpoint.masked(why)),
            Finish::Malformed(why) => Finish::Malformed(self.endpoint.masked(why)),
            Finish::Other(why) => Finish::Other(self.endpoint.masked(why)),
            finish => finish,
        }
    }

    async fn read<S, F>(
        &self,
        bytes: impl Stream<Item = Result<bytes::Bytes, ByteError>>,
        mut reader: Box<dyn Reader>,
        mut show: S,
    ) -> Result<Answer, Trouble>
    where
        S: FnMut(Vec<Piece>, Option<Usage>) -> F,
        F: Future<Output = bool>,
    {
        let held = Arc::new(AtomicUsize::new(0));
        let begins = Arc::new(AtomicUsize::new(NOTHING));
        let bytes = noting(bytes, begins.clone(), self.heard.clone());
        let mut heard = false;
        let mut said = Instant::now();
        let mut events = std::pin::pin!(SseByteStream::new(capped(bytes, held.clone())));
        while !reader.is_done() {
            let may_end = reader.may_end();
            let event = match self.next(&mut events, may_end.then_some(said)).await {
                Ok(Some(event)) => event,
                Ok(None) => break,
                Err(fault) => return Ok(failed(reader, fault)),
            };
            held.store(0, Ordering::Relaxed);
            heard |= event.data.is_some();
            let Some(data) = event.data.map(|data| self.harmless(data)) else { continue };
            match reader.read(&data) {
                Ok(pieces) => {
                    self.heard.tells();
                    if !show(pieces, reader.usage()).await {
                        break;
                    }
                    self.heard.now();
                }
                Err(_) if may_end => break,
                Err(why) => {
                    let message = format!("The server sent an event that cannot be read: {why}.");
                    return Ok(failed(reader, Fault { kind: FaultKind::Transient, message }));
                }
            }
            said = Instant::now();
        }
        match begins.load(Ordering::Relaxed) {
            began if !heard && (began == NOTHING || began == usize::from(b'<')) => {
                Err(self.not_events(began))
            }
            _ => Ok(reader.answer()),
        }
    }

    /// The next event; `None` at the end. `whole_since` is when the last of an answer was said that may be
    /// whole: what goes wrong behind it takes nothing back.
    async fn next(
        &self,
        events: &mut (impl Stream<Item = Result<Sse, sse_stream::Error>> + Unpin),
        whole_since: Option<Instant>,
    ) -> Result<Option<Sse>, Fault> {
        let between = self.patience.between;
        let until = match whole_since {
            // Events without data, that keep a connection open, are no more of the answer.
            Some(said) => said + between.min(AFTER_END),
            None => Instant::now() + between,
        };
        match timeout_at(until, events.next()).await {
            Ok(Some(Ok(event))) => Ok(Some(event)),
            Ok(None) => Ok(None),
            Err(_) | Ok(Some(Err(_))) if whole_since.is_some() => Ok(None),
            Ok(Some(Err(error))) => Err(broken(&error)),
            Err(_) => Err(silent(between, "more").fault),
        }
    }

    /// What claims to be a stream of events and is none; asking again gives the same.
    fn not_events(&self, began: usize) -> Trouble {
        let what = if began == NOTHING { "nothing at all" } else { "a web page" };
        let message = format!("{} answered with {what}, and not as a model does.", self.endpoint);
        Trouble::new(FaultKind::NoStream, message)
    }

    /// An error in the stream may repeat what was sent; whole, so that no cut leaves half of it.
    fn harmless(&self, data: String) -> String {
        // Inside of a text the quotes are escaped.
        let is_error = data.contains("\"error\"");
        if is_error { self.endpoint.masked(data) } else { data }
    }

    async fn send(&self, path: &str, body: &Value) -> Result<Response, Trouble> {
        let request = self
            .client
            .post(self.endpoint.url(path))
            .headers(self.endpoint.headers())
            .header(ACCEPT, "text/event-stream")
            .json(body);
        let response = match timeout(self.patience.first_byte, request.send()).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => return Err(unreachable_server(&self.endpoint, &error)),
            Err(_) => return Err(silent(self.patience.first_byte, "anything")),
        };
        self.heard.now();
        let status = response.status();
        if status.is_redirection() {
            let message =
                format!("{} sends the request elsewhere; it was not followed.", self.endpoint);
            return Err(Trouble::new(FaultKind::Refused, message));
        }
        match status.is_success() {
            true if is_event_stream(response.headers()) => Ok(response),
            true => Err(self.no_stream(response).await),
            false => Err(self.refused(response).await),
        }
    }

    async fn refused(&self, response: Response) -> Trouble {
        let status = response.status().as_u16();
        let retry_after = retry_after(response.headers(), SystemTime::now());
        let body = self.error_body(response).await;
        Trouble { fault: fault(self.endpoint.dialect, Some(status), &body), retry_after }
    }

    /// Some servers put an error into an answer that claims success.
    async fn no_stream(&self, response: Response) -> Trouble {
        let kind = content_type(response.headers()).to_owned();
        let body = self.error_body(response).await;
        if serde_json::from_str::<Value>(&body).is_ok_and(|it| it.get("error").is_some()) {
            let fault = fault(self.endpoint.dialect, None, &body);
            return Trouble { fault, retry_after: None };
        }
        let message = format!(
            "{} answered with {kind} where a stream of events was asked for. Is the address right?",
            self.endpoint
        );
        Trouble::new(FaultKind::NoStream, message)
    }

    async fn error_body(&self, response: Response) -> String {
        let mut body = Vec::new();
        let mut bytes = response.bytes_stream();
        while body.len() < MAX_ERROR {
            match timeout(self.patience.between, bytes.next()).await {
                Ok(Some(Ok(more))) => body.extend_from_slice(&more),
                _ => break,
            }
        }
        body.truncate(MAX_ERROR);
        // Before it is cut: half a key is one too.
        self.endpoint.masked(String::from_utf8_lossy(&body).into_owned())
    }
}

/// What was said before it went wrong stays readable; why it went wrong is the finish.
fn failed(reader: Box<dyn Reader>, fault: Fault) -> Answer {
    Answer { finish: Finish::Failed(fault), ..reader.answer() }
}

#[derive(Debug, thiserror::Error)]
enum ByteError {
    #[error("{0}")]
    Http(#[from] reqwest::Error),
    #[error("the answer does not end")]
    TooLong,
}

/// What a body begins with of which nothing has come.
const NOTHING: usize = usize::MAX;

/// The bytes as they are, each of them heard; `begins` is set to the first that is no white space.
fn noting(
    bytes: impl Stream<Item = Result<bytes::Bytes, ByteError>>,
    begins: Arc<AtomicUsize>,
    heard: Heard,
) -> impl Stream<Item = Result<bytes::Bytes, ByteError>> {
    bytes.inspect_ok(move |bytes| {
        heard.now();
        let first = bytes.iter().find(|byte| !byte.is_ascii_whitespace());
        if let (Some(first), NOTHING) = (first, begins.load(Ordering::Relaxed)) {
            begins.store(usize::from(*first), Ordering::Relaxed);
        }
    })
}

/// The bytes, until more of them are held back than an event may have: `held` is set to 0 by whoever
/// takes an event out.
fn capped(
    bytes: impl Stream<Item = Result<bytes::Bytes, ByteError>>,
    held: Arc<AtomicUsize>,
) -> impl Stream<Item = Result<bytes::Bytes, ByteError>> {
    let mut whole = 0;
    bytes.and_then(move |bytes| {
        whole += bytes.len();
        let waiting = held.fetch_add(bytes.len(), Ordering::Relaxed) + bytes.len();
        let fits = waiting <= MAX_EVENT && whole <= MAX_ANSWER;
        futures::future::ready(if fits { Ok(bytes) } else { Err(ByteError::TooLong) })
    })
}

fn broken(error: &sse_stream::Error) -> Fault {
    let (kind, message) = match error {
        sse_stream::Error::Body(error) => match error.downcast_ref() {
            Some(ByteError::TooLong) => {
                (FaultKind::Refused, "The server's answer does not end.".to_owned())
            }
            Some(ByteError::Http(error)) => {
                (FaultKind::Transient, format!("The connection broke: {}.", cause(error)))
            }
            None => (FaultKind::Transient, "The connection broke.".to_owned()),
        },
        _ => (FaultKind::Transient, "The server sent bytes that are no text.".to_owned()),
    };
    Fault { kind, message }
}

fn unreachable_server(endpoint: &Endpoint, error: &reqwest::Error) -> Trouble {
    let kind = match error.is_builder() {
        true => FaultKind::Refused,
        false if error.is_connect() => FaultKind::Unreachable,
        false => FaultKind::Transient,
    };
    Trouble::new(kind, format!("{endpoint} cannot be reached: {}.", cause(error)))
}

/// The innermost reason; the outer ones repeat the address.
fn cause(error: &reqwest::Error) -> String {
    let mut inner: &dyn std::error::Error = error;
    while let Some(source) = inner.source() {
        inner = source;
    }
    inner.to_string()
}

fn silent(after: Duration, what: &str) -> Trouble {
    let message = format!("The server did not say {what} for {} s.", after.as_secs());
    Trouble::new(FaultKind::Transient, message)
}

fn content_type(headers: &HeaderMap) -> &str {
    headers.get(CONTENT_TYPE).and_then(|it| it.to_str().ok()).unwrap_or("nothing named")
}

fn is_event_stream(headers: &HeaderMap) -> bool {
    content_type(headers).trim_start().to_ascii_lowercase().starts_with("text/event-stream")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::test_runner::TestRunner;
    use serde_json::json;

    use super::*;
    use crate::model::codec::Dialect;

    /// A short answer of each dialect, with letters of several bytes.
    fn streams() -> [(Dialect, String); 3] {
        let said = "Größe 你好 🦀";
        let event = |value: Value| format!("event: x\r\ndata: {value}\r\n\r\n");
        let chat = json!({"choices": [{"index": 0, "delta": {"content": said}}]});
        let stop = json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]});
        let message = json!({"type": "message", "role": "assistant",
            "content": [{"type": "output_text", "text": said}]});
        let item = json!({"type": "response.output_item.done", "output_index": 0, "item": message});
        let end = json!({"type": "response.completed", "response": {"status": "completed"}});
        let parts = json!({"parts": [{"text": said}]});
        let gemini = json!({"candidates": [{"content": parts, "finishReason": "STOP"}]});
        [
            (Dialect::OpenAiChat, event(chat) + &event(stop) + "data: [DONE]\n\n"),
            (Dialect::OpenAiResponses, event(item) + &event(end)),
            (Dialect::Gemini, format!(": a comment\n\ndata: {gemini}\n\n")),
        ]
    }

    /// Never asked: only what it reads is of interest.
    fn exchange(dialect: Dialect) -> Exchange {
        let endpoint = Endpoint::new("http://127.0.0.1:9", dialect).unwrap();
        Exchange::new(endpoint, Patience::default()).unwrap()
    }

    async fn read(exchange: &Exchange, chunks: Vec<&[u8]>) -> Answer {
        let dialect = exchange.endpoint().dialect;
        let chunks = chunks.into_iter().map(|it| Ok(bytes::Bytes::copy_from_slice(it)));
        let stream = futures::stream::iter(chunks.collect::<Vec<_>>());
        let show = |_, _| std::future::ready(true);
        exchange.read(stream, dialect.codec().reader(), show).await.unwrap()
    }

    #[tokio::test]
    async fn an_answer_is_the_same_with_a_border_at_every_byte() {
        for (dialect, stream) in streams() {
            let (bytes, exchange) = (stream.as_bytes(), exchange(dialect));
            let whole = read(&exchange, vec![bytes]).await;
            assert_eq!(whole.finish, Finish::Done, "{dialect}");
            assert!(format!("{whole:?}").contains("Größe 你好 🦀"), "{dialect}: {whole:?}");
            for cut in 0..=bytes.len() {
                let (first, second) = bytes.split_at(cut);
                assert_eq!(read(&exchange, vec![first, second]).await, whole, "{dialect}: {cut}");
            }
            assert_eq!(read(&exchange, bytes.chunks(1).collect()).await, whole, "{dialect}");
        }
    }

    #[test]
    fn an_answer_is_the_same_in_any_chunks() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        for (dialect, stream) in streams() {
            let (bytes, exchange) = (stream.as_bytes(), exchange(dialect));
            let whole = runtime.block_on(read(&exchange, vec![bytes]));
            let cuts = proptest::collection::vec(0..bytes.len(), 0..12);
            let tried = TestRunner::default().run(&cuts, |mut cuts| {
                cuts.extend([0, bytes.len()]);
                cuts.sort_unstable();
                let chunks = cuts.windows(2).map(|it| &bytes[it[0]..it[1]]).collect();
                proptest::prop_assert_eq!(&runtime.block_on(read(&exchange, chunks)), &whole);
                Ok(())
            });
            tried.unwrap();
        }
    }
}
