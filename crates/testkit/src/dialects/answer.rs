//! What a server can answer with, in no dialect.

use std::time::Duration;

use serde_json::Value;

/// One answer.
#[derive(Clone, Debug)]
pub enum Answer {
    /// A streamed message, as it should be.
    Says(Message),
    /// A streamed message with an oddity.
    Oddly(Message, Oddity),
    /// An HTTP error in the provider's own shape.
    Problem(Problem),
    /// Anything at all.
    Raw { status: u16, headers: Vec<Header>, body: Vec<u8> },
    /// The connection is reset before a byte was sent.
    Reset,
    /// Nothing is ever sent.
    Stall,
}

/// What a model says in one answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    pub items: Vec<Item>,
    /// The dialect's own word for why it ended; `None`: as is natural after these items. For Gemini,
    /// `block:REASON` blocks the prompt. For Responses, `failed:CODE` ends with `response.failed`.
    pub reason: Option<&'static str>,
    pub usage: Option<TokenCount>,
    /// Whether Gemini's calls have ids; older models give none. The other dialects always have them.
    pub call_ids: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Item {
    /// Shown thoughts, with what is opaque about them.
    Think(String),
    Text(String),
    /// `arguments` is sent as it stands, so that it can be broken. (Gemini has no text there: what is
    /// no JSON becomes a string.)
    Call {
        name: String,
        arguments: String,
    },
    /// The model says no, in the way of OpenAI's dialects; Gemini just says it.
    Refuse(String),
}

/// Tokens as Musher counts them: `input` without the cached ones, `output` with the thoughts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenCount {
    pub input: u64,
    pub cached: u64,
    pub output: u64,
    pub reasoning: u64,
}

impl TokenCount {
    pub const USUAL: Self = Self { input: 120, cached: 2000, output: 250, reasoning: 40 };
}

impl Default for Message {
    fn default() -> Self {
        Self { items: Vec::new(), reason: None, usage: Some(TokenCount::USUAL), call_ids: true }
    }
}

impl Message {
    pub fn new(items: impl IntoIterator<Item = Item>) -> Self {
        Self { items: items.into_iter().collect(), ..Self::default() }
    }

    pub fn ending(self, reason: &'static str) -> Self {
        Self { reason: Some(reason), ..self }
    }

    pub fn has_calls(&self) -> bool {
        self.items.iter().any(|item| matches!(item, Item::Call { .. }))
    }
}

impl Item {
    pub fn think(text: &str) -> Self {
        Self::Think(text.to_owned())
    }

    pub fn text(text: &str) -> Self {
        Self::Text(text.to_owned())
    }

    pub fn call(name: &str, arguments: &Value) -> Self {
        Self::Call { name: name.to_owned(), arguments: arguments.to_string() }
    }
}

impl Answer {
    pub fn says(items: impl IntoIterator<Item = Item>) -> Self {
        Self::Says(Message::new(items))
    }

    pub fn text(text: &str) -> Self {
        Self::says([Item::text(text)])
    }

    pub fn call(name: &str, arguments: &Value) -> Self {
        Self::says([Item::call(name, arguments)])
    }
}

/// What goes wrong with a stream, or is unusual and right. Numbers count events.
#[derive(Clone, Debug, PartialEq)]
pub enum Oddity {
    /// A pause before each event.
    Slowly(Duration),
    ResetAfter(usize),
    /// The body ends well, the message does not.
    EndAfter(usize),
    StallAfter(usize),
    /// All but so many of the last events; then a reset, or silence for ever.
    ResetBefore(usize),
    StallBefore(usize),
    /// All but so many of the last events, and then nothing but comments and events without data.
    CommentsBefore(usize),
    /// A chunk of HTTP's chunked coding that is shorter than announced, then the end.
    HalfChunkAfter(usize),
    /// An event that begins and has no end, of so many bytes.
    FloodAfter(usize, usize),
    /// Bytes that are no UTF-8 inside a text.
    InvalidUtf8After(usize),
    /// An error event takes the place of the rest.
    ProblemAfter(usize, Problem),
    /// Events of types that nobody knows, between the good ones.
    UnknownEvents,
    /// The events that end the message come twice.
    EndsTwice,
    /// More text after the events that end the message, and then nothing, ever.
    TextAfterTheEnd,
    Gzip,
    CrLf,
    /// Comments and empty events between the good ones.
    Comments,
    Bom,
    /// The JSON of each event is spread over several `data:` lines.
    ManyDataLines,
    /// Each byte in a chunk of its own.
    Bytewise,
}

/// An error of the provider.
#[derive(Clone, Debug, PartialEq)]
pub struct Problem {
    pub status: u16,
    /// OpenAI's `type`; Gemini's `status`.
    pub kind: &'static str,
    /// OpenAI's `code`.
    pub code: Option<&'static str>,
    pub message: String,
    pub headers: Vec<Header>,
    /// Gemini's `details`.
    pub details: Vec<Value>,
}

impl Problem {
    pub fn new(status: u16, kind: &'static str, message: impl Into<String>) -> Self {
        let (headers, details) = (Vec::new(), Vec::new());
        Self { status, kind, code: None, message: message.into(), headers, details }
    }

    pub fn code(self, code: &'static str) -> Self {
        Self { code: Some(code), ..self }
    }

    pub fn header(mut self, header: Header) -> Self {
        self.headers.push(header);
        self
    }

    pub fn detail(mut self, detail: Value) -> Self {
        self.details.push(detail);
        self
    }
}

/// A header of an answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Header {
    Is(&'static str, String),
    /// An HTTP date that lies so many seconds after the answer.
    DateIn(&'static str, u64),
}

impl Header {
    pub fn is(name: &'static str, value: impl ToString) -> Self {
        Self::Is(name, value.to_string())
    }

    pub(super) fn pair(&self) -> (String, String) {
        match self {
            Self::Is(name, value) => ((*name).to_owned(), value.clone()),
            Self::DateIn(name, seconds) => {
                let at = std::time::SystemTime::now() + Duration::from_secs(*seconds);
                ((*name).to_owned(), httpdate::fmt_http_date(at))
            }
        }
    }
}
