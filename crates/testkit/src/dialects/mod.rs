//! Scripted model servers on loopback that speak as the real ones do and hold the client to their
//! rules: OpenAI's Responses API, OpenAI's Chat Completions, Gemini's `streamGenerateContent`.
//!
//! - [`ScriptedEndpoint`] answers as its [`Script`] says, one [`Answer`] for each valid request. Every
//!   request is recorded. One that breaks a rule is answered with the provider's own kind of 400, does
//!   not use up an answer, and is a [`Violation`] that a test can ask for.
//! - [`Message`] is what the model says, in no dialect. Each dialect's file makes its stream of it.
//! - [`Oddity`] is what goes wrong, or is merely unusual, on the way.
//! - [`endings`] are the scripted endings of a turn with what is expected of the client.
//!
//! Each answer closes its connection, so that a reset or a stall meets exactly one request.
//!
//! Wire formats: OpenAI's API reference, "Responses", "Streaming events" and "Chat Completions"
//! (platform.openai.com/docs/api-reference), Google's "Generate content", "Function calling" and
//! "Thought signatures" (ai.google.dev/gemini-api/docs), the words of refusals as clients quote them
//! in public issues; all as of November 2026.

mod agentic;
mod answer;
mod chat;
mod endings;
mod endpoint;
mod gemini;
mod http;
mod responses;
mod rules;
mod script;
mod wire;

pub use agentic::agentic;
pub use answer::{Answer, Header, Item, Message, Oddity, Problem, TokenCount};
pub use endings::{Ending, Expected, Outcome, Seen, Wait, endings};
pub use endpoint::{Offer, RecordedRequest, ScriptedEndpoint};
pub use rules::{Rule, Violation};
pub use script::{Asked, Script};

use serde_json::Value;

/// The ways of speaking.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dialect {
    Responses,
    Chat,
    Gemini,
}

impl Dialect {
    pub const ALL: [Self; 3] = [Self::Responses, Self::Chat, Self::Gemini];

    /// As Musher's stored steps name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Responses => "openai-responses",
            Self::Chat => "openai-chat",
            Self::Gemini => "gemini",
        }
    }

    /// What stands before the paths of this dialect.
    fn base(self) -> &'static str {
        match self {
            Self::Responses | Self::Chat => "/v1",
            Self::Gemini => "/v1beta",
        }
    }

    /// Whether a path asks for an answer of the model.
    fn is_turn(self, path: &str) -> bool {
        match self {
            Self::Responses => path == "/v1/responses",
            Self::Chat => path == "/v1/chat/completions",
            Self::Gemini => {
                path.starts_with("/v1beta/models/") && path.ends_with(":streamGenerateContent")
            }
        }
    }

    /// The stream of a message, and what has to come back of it.
    fn spoken(self, message: &Message, turn: &Turn<'_>) -> Spoken {
        match self {
            Self::Responses => responses::spoken(message, turn),
            Self::Chat => chat::spoken(message, turn),
            Self::Gemini => gemini::spoken(message, turn),
        }
    }

    /// The body of an error.
    fn problem(self, problem: &Problem) -> Value {
        match self {
            Self::Responses | Self::Chat => responses::problem(problem),
            Self::Gemini => gemini::problem(problem),
        }
    }

    /// An error inside a stream that began well.
    fn problem_event(self, problem: &Problem) -> Event {
        match self {
            Self::Responses => responses::problem_event(problem),
            Self::Chat | Self::Gemini => Event::plain(&self.problem(problem)),
        }
    }

    /// How many answers with calls the model gave since a person spoke last.
    fn steps_taken(self, body: &Value) -> usize {
        match self {
            Self::Responses => responses::steps_taken(body),
            Self::Chat => chat::steps_taken(body),
            Self::Gemini => gemini::steps_taken(body),
        }
    }

    fn models(self, models: &[String]) -> Value {
        match self {
            Self::Responses | Self::Chat => chat::models(models),
            Self::Gemini => gemini::models(models),
        }
    }
}

/// Which request a message answers.
struct Turn<'a> {
    model: &'a str,
    /// Different for each endpoint, so that ids of two endpoints do not meet.
    place: u16,
    /// Counts from 1.
    number: usize,
}

impl Turn<'_> {
    /// An id that no other item has.
    fn id(&self, kind: &str, at: usize) -> String {
        format!("{kind}_{:05}x{:03}x{at:02}", self.place, self.number)
    }
}

/// A message in a dialect.
struct Spoken {
    events: Vec<Event>,
    /// The items, calls or parts as the client has them then.
    said: Vec<Value>,
}

/// One server-sent event.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Event {
    name: Option<String>,
    data: String,
}

impl Event {
    fn plain(data: &Value) -> Self {
        Self { name: None, data: data.to_string() }
    }

    /// Under the name that its `type` says.
    fn named(data: &Value) -> Self {
        Self { name: data["type"].as_str().map(str::to_owned), data: data.to_string() }
    }
}

/// Text in pieces of about `size` characters.
fn pieces(text: &str, size: usize) -> Vec<String> {
    let chars: Vec<char> = text.chars().collect();
    chars.chunks(size).map(|chunk| chunk.iter().collect()).collect()
}

/// Base64 that nobody can read, and that no two seeds share: what the providers call encrypted or
/// signed. It holds every character that a careless copy would change.
fn opaque(seed: &str, length: usize) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut state = seed.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let mut out: String = (0..length)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            char::from(LETTERS[(state % 64) as usize])
        })
        .collect();
    out.push_str("+/==");
    out
}
