//! The parts of Claude Code's stream-json that are read on the hot road, borrowed from the line.
//!
//! Source of the shapes: recordings of Claude Code 2.1.330 and 2.1.197. Keys come in any order, there
//! are many more than these, and they change between versions: so almost everything is a
//! [`RawValue`], looked into only when it is needed.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

/// This line is JSON, but not what was expected of it.
#[derive(Debug)]
pub struct Odd;

impl From<serde_json::Error> for Odd {
    fn from(_: serde_json::Error) -> Self {
        Odd
    }
}

/// A value that is looked into later.
pub type Later<'a> = Option<&'a RawValue>;

/// The top of a line.
#[derive(Deserialize)]
pub struct Top<'a> {
    #[serde(borrow, default, rename = "type")]
    kind: Later<'a>,
    #[serde(borrow, default)]
    pub parent_tool_use_id: Later<'a>,
    /// On `stream_event`, newer versions only.
    #[serde(borrow, default)]
    pub api_message_id: Later<'a>,
    #[serde(borrow, default)]
    pub event: Later<'a>,
    #[serde(borrow, default)]
    pub message: Later<'a>,
    /// On `assistant`: the kind of an API error.
    #[serde(borrow, default)]
    pub error: Later<'a>,
    #[serde(borrow, default)]
    pub tool_use_result: Later<'a>,
    #[serde(borrow, default, rename = "isReplay")]
    pub is_replay: Later<'a>,
}

impl<'a> Top<'a> {
    /// The line's `type`; `None` when it has none or it is no string.
    pub fn kind(&self) -> Option<Cow<'a, str>> {
        string(self.kind)
    }
}

/// The line that comes most, read in one pass: a piece of text or of thoughts.
#[derive(Deserialize)]
pub struct PieceLine<'a> {
    #[serde(borrow, rename = "type")]
    pub kind: Cow<'a, str>,
    #[serde(borrow)]
    pub event: PieceEvent<'a>,
    #[serde(borrow, default)]
    pub parent_tool_use_id: Later<'a>,
    #[serde(borrow, default)]
    pub api_message_id: Cow<'a, str>,
}

#[derive(Deserialize)]
pub struct PieceEvent<'a> {
    #[serde(borrow, rename = "type")]
    pub kind: Cow<'a, str>,
    pub index: u32,
    #[serde(borrow)]
    pub delta: Delta<'a>,
}

/// `stream_event`'s `event`: the model API's own stream event.
#[derive(Deserialize)]
pub struct StreamEvent<'a> {
    #[serde(borrow, rename = "type")]
    pub kind: Cow<'a, str>,
    #[serde(default)]
    pub index: u32,
    #[serde(borrow, default)]
    pub delta: Later<'a>,
    #[serde(borrow, default)]
    pub message: Later<'a>,
    #[serde(borrow, default)]
    pub usage: Later<'a>,
}

/// `content_block_delta`'s `delta`.
#[derive(Deserialize)]
pub struct Delta<'a> {
    #[serde(borrow, rename = "type")]
    pub kind: Cow<'a, str>,
    #[serde(borrow, default)]
    pub text: Cow<'a, str>,
    #[serde(borrow, default)]
    pub thinking: Cow<'a, str>,
}

/// `assistant`'s and `user`'s `message`.
#[derive(Deserialize)]
pub struct Message<'a> {
    #[serde(borrow, default)]
    pub id: Cow<'a, str>,
    /// A list of blocks, or a string.
    #[serde(borrow)]
    pub content: &'a RawValue,
    #[serde(borrow, default)]
    pub usage: Later<'a>,
}

/// A content block.
#[derive(Deserialize)]
pub struct Block<'a> {
    #[serde(borrow, rename = "type")]
    pub kind: Cow<'a, str>,
    #[serde(borrow, default)]
    pub text: Later<'a>,
    #[serde(borrow, default)]
    pub thinking: Later<'a>,
    #[serde(borrow, default)]
    pub id: Later<'a>,
    #[serde(borrow, default)]
    pub name: Later<'a>,
    #[serde(borrow, default)]
    pub input: Later<'a>,
    #[serde(borrow, default)]
    pub tool_use_id: Later<'a>,
    #[serde(borrow, default)]
    pub content: Later<'a>,
    #[serde(borrow, default)]
    pub is_error: Later<'a>,
}

/// Tokens of one answer of the model.
#[derive(Deserialize, Default)]
#[serde(default)]
pub struct AnswerUsage {
    pub input_tokens: u64,
    pub output_tokens: u64,
    pub cache_creation_input_tokens: u64,
    pub cache_read_input_tokens: u64,
}

impl AnswerUsage {
    pub fn context(&self) -> u64 {
        [self.output_tokens, self.cache_creation_input_tokens, self.cache_read_input_tokens]
            .iter()
            .fold(self.input_tokens, |sum, tokens| sum.saturating_add(*tokens))
    }
}

/// A JSON string; `None` for anything else.
pub fn string(value: Later<'_>) -> Option<Cow<'_, str>> {
    let text = value?.get();
    let inner = text.strip_prefix('"')?.strip_suffix('"')?;
    match memchr::memchr(b'\\', inner.as_bytes()) {
        None => Some(Cow::Borrowed(inner)),
        Some(_) => serde_json::from_str(text).ok().map(Cow::Owned),
    }
}

/// A JSON string that must be one.
pub fn required(value: Later<'_>) -> Result<Cow<'_, str>, Odd> {
    string(value).ok_or(Odd)
}

pub fn is_true(value: Later<'_>) -> bool {
    value.is_some_and(|value| value.get() == "true")
}

/// The list of a `content`; a plain string counts as one text block.
pub fn blocks<'a>(content: &'a RawValue) -> Result<Vec<Block<'a>>, Odd> {
    if content.get().starts_with('"') {
        let block =
            Block { kind: "text".into(), text: Some(content), ..serde_json::from_str(EMPTY)? };
        return Ok(vec![block]);
    }
    Ok(serde_json::from_str(content.get())?)
}

const EMPTY: &str = r#"{"type":"text"}"#;
