//! What differs between the dialects: how a request is written, how an answer is read. A codec knows
//! its provider's items and nothing of tools, money or the network.

use std::{collections::BTreeSet, fmt};

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::{
    conversation::{Conversation, Part},
    wishes::Manner,
};
use crate::ToolSpec;

/// The ways of speaking. The name is what a stored step carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dialect {
    OpenAiResponses,
    OpenAiChat,
    Gemini,
}

impl Dialect {
    pub const ALL: [Self; 3] = [Self::OpenAiResponses, Self::OpenAiChat, Self::Gemini];

    pub fn name(self) -> &'static str {
        match self {
            Self::OpenAiResponses => "openai-responses",
            Self::OpenAiChat => "openai-chat",
            Self::Gemini => "gemini",
        }
    }

    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|dialect| dialect.name() == name)
    }

    pub fn codec(self) -> &'static dyn Codec {
        match self {
            Self::OpenAiResponses => &super::responses::Responses,
            Self::OpenAiChat => &super::chat::Chat,
            Self::Gemini => &super::gemini::Gemini,
        }
    }
}

impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What is asked of the model.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    pub model: &'a str,
    /// Where it is asked, see [`super::Endpoint::place`].
    pub place: &'a str,
    /// The system's words.
    pub instructions: &'a str,
    /// Valid: see [`Conversation::check`].
    pub conversation: &'a Conversation,
    pub tools: &'a [ToolSpec],
    pub manner: Manner,
}

/// One dialect. Pure: the same question gives the same bytes.
pub trait Codec: Send + Sync {
    fn dialect(&self) -> Dialect;

    /// The path and query of a streamed answer, behind the endpoint's base (`https://host/v1`,
    /// `https://host/v1beta`). Begins with `/`.
    fn path(&self, model: &str) -> String;

    fn body(&self, ask: &Ask<'_>) -> Value;

    /// Reads one streamed answer.
    fn reader(&self) -> Box<dyn Reader>;

    /// What stored items say, for whoever cannot take them as they are.
    fn parts(&self, items: &[Value]) -> Vec<Part>;

    /// Whether an item holds thoughts, or what stands for them, that [`Codec::parts`] leaves out.
    fn has_thoughts(&self, item: &Value) -> bool;

    /// What an item has that only its model can read, or that it asks to be given back, each with the
    /// name of its member.
    fn opaque<'a>(&self, item: &'a Value) -> Vec<(&'static str, &'a str)>;

    /// The items in a request, its own and others.
    fn items<'a>(&self, body: &'a Value) -> Vec<&'a Value>;

    /// The items of a step that the same model takes back: all of them but for a reason. `is_earlier`
    /// when a person has spoken since.
    fn taken_back<'a>(&self, items: &'a [Value], _is_earlier: bool) -> Vec<&'a Value> {
        items.iter().collect()
    }
}

/// Reads one answer, event by event.
pub trait Reader: Send {
    /// The ids that calls of the run have already: a call of this answer gets another one. To be said
    /// before anything is read.
    fn avoid(&mut self, taken: BTreeSet<String>);

    /// The `data` of one server-sent event. What it does not know it ignores; what is no JSON is
    /// `Err`, in words.
    fn read(&mut self, data: &str) -> Result<Vec<Piece>, String>;

    /// Whether the provider said that the answer is whole: nothing after this counts.
    fn is_done(&self) -> bool;

    /// Whether the answer is whole when nothing more comes, although more may come.
    fn may_end(&self) -> bool {
        self.is_done()
    }

    /// What it took as far as the provider has said by now; a later figure takes an earlier one's place.
    fn usage(&self) -> Option<Usage>;

    /// All that was said. Without the provider's own end the finish is [`Finish::Cut`].
    fn answer(self: Box<Self>) -> Answer;
}

/// A piece to be shown at once. `block` counts from 0 within the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    Text { block: u32, delta: String },
    Thinking { block: u32, delta: String },
}

/// A whole answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The provider's items as they are to be repeated. None for an answer that is not to be built on:
    /// those with another finish than `Done`, `Length` and `Other`, which have no calls either.
    pub items: Vec<Value>,
    /// What they say, in order, in blocks of the same numbers as the pieces.
    pub blocks: Vec<Block>,
    pub finish: Finish,
    /// `None`: the provider said nothing of it.
    pub usage: Option<Usage>,
    /// The model that answered, in the provider's words.
    pub model: Option<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Block {
    Text {
        block: u32,
        text: String,
    },
    Thinking {
        block: u32,
        text: String,
    },
    /// `input` is `Err` with the words of the trouble when the arguments are no JSON object.
    Call {
        id: String,
        name: String,
        input: Result<Value, String>,
    },
}

/// Why the model stopped. Every reason that the providers document has a place here; the list is in
/// `docs/protocol.md`.
#[derive(Clone, Debug, PartialEq)]
pub enum Finish {
    /// It said what it had to say, or wants tools.
    Done,
    /// The answer is longer than allowed.
    Length,
    /// The model or its provider does not want to answer; in its own words.
    Refused(String),
    /// The call could not be read by the provider itself. Worth a second try.
    Malformed(String),
    /// Nothing was said and nothing is to be done. Worth a second try.
    Empty,
    /// The stream ended without the provider's end.
    Cut,
    /// An error inside the stream.
    Failed(Fault),
    /// A reason that nobody here knows, in the provider's words.
    Other(String),
}

/// What went wrong with a request, as the provider means it.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    pub kind: FaultKind,
    /// The provider's words, without secrets, at most 2 kB.
    pub message: String,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum FaultKind {
    /// Will pass: overloaded, a broken server, a timeout.
    Transient,
    /// Too much in too short a time; `retry_at` if it was said.
    RateLimited {
        retry_at: Option<DateTime<Utc>>,
    },
    /// The account's quota or money is used up: no try helps until then.
    QuotaUsedUp {
        resets_at: Option<DateTime<Utc>>,
    },
    /// No key, a wrong key, no right to the model.
    Authentication,
    /// More than the model can hold.
    ContextTooLong,
    /// Nobody is there at this address. May pass: a server that is starting.
    Unreachable,
    /// Who is there does not speak this dialect: a web page, nothing at all, anything but events.
    NoStream,
    NotFound,
    /// Anything else that a second try does not mend.
    Refused,
}

/// Tokens of one answer, as [`musher_protocol::TokenUsage`] counts them: `input` without the cached
/// ones; `output` with the thoughts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    pub input: u64,
    pub cached: u64,
    pub output: u64,
    /// Of `output`, the thoughts.
    pub reasoning: u64,
}
