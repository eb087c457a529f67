//! Claude Code's stream-json to [`AgentEvent`]s.
//!
//! [`Decoder::feed`] takes bytes as they come, cut anywhere, and gives events. It cannot fail and does
//! not panic: a line of its protocol that it has no event for becomes `raw`, a line that is no JSON
//! object becomes `notice`. Lines that carry nothing (ticks, the frame of streamed messages) give no
//! event. Texts, thoughts and tool calls come whole, in the blocks of [`AgentEvent::Text`]; with
//! partial messages on, pieces of the same block come before.
//!
//! Each event knows its place: of the events of a line all but the last carry offset 0, the last the
//! offset behind the line. A decoder made with [`Decoder::restore`] goes on at such an offset.

mod control;
mod edit;
pub(super) mod frame;
mod line;
mod message;
mod result;
mod state;
mod stream;
mod system;
mod tools;
mod wire;

use musher_protocol::{AgentEvent, Stream};
use serde_json::{Value, value::RawValue};

use crate::{Sourced, surrogates::repair_surrogates};
use frame::{Frame, Framer};
use wire::{Odd, Top};

pub(crate) use result::is_resume_rejection;
pub use state::{Ask, DecoderState, Facts, TurnResult};

/// What the decoder must know of its run. Not part of its state: whoever restores it knows it too.
#[derive(Clone, Debug, Default)]
pub struct DecoderConfig {
    /// The worktree; paths inside are shown relative to it.
    pub cwd: String,
    /// The demo agent speaks.
    pub demo: bool,
    /// The process goes on with an earlier session.
    pub resumed: bool,
}

/// What the runtime has to do about a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cue {
    /// A request that must be answered with an error, or the turn stalls.
    Unanswerable {
        request: String,
        subtype: String,
    },
    /// The requests that wait for an answer are others than before.
    Asks,
    TurnEnded,
}

/// What came of some bytes.
#[derive(Debug, Default)]
pub struct Decoded {
    pub events: Vec<Sourced>,
    pub cues: Vec<Cue>,
}

/// Turns one process's output into events.
#[derive(Debug)]
pub struct Decoder {
    config: DecoderConfig,
    framer: Framer,
    state: DecoderState,
    /// Events of the line being decoded.
    out: Vec<AgentEvent>,
    cues: Vec<Cue>,
}

impl Decoder {
    pub fn new(config: DecoderConfig) -> Self {
        Self::restore(config, 0, DecoderState::default())
    }

    /// Goes on at the offset that [`Decoder::checkpoint`] gave with this state.
    pub fn restore(config: DecoderConfig, offset: u64, state: DecoderState) -> Self {
        let framer = Framer::at(offset, state.skipping);
        Self { config, framer, state, out: Vec::new(), cues: Vec::new() }
    }

    pub fn state(&self) -> &DecoderState {
        &self.state
    }

    pub fn facts(&self) -> &Facts {
        &self.state.facts
    }

    /// Everything before this offset is decoded.
    pub fn offset(&self) -> u64 {
        self.framer.place().0
    }

    /// Where to go on and with what: everything before this offset is decoded.
    pub fn checkpoint(&self) -> (u64, DecoderState) {
        let (offset, skipping) = self.framer.place();
        (offset, DecoderState { skipping, ..self.state.clone() })
    }

    /// Takes bytes; gives the events of every line that ended in them.
    pub fn feed(&mut self, bytes: &[u8]) -> Decoded {
        self.frames(|framer, each| framer.feed(bytes, each))
    }

    /// The stream is over; gives what a last line without LF holds.
    pub fn finish(&mut self) -> Decoded {
        self.frames(|framer, each| framer.finish(each))
    }

    fn frames(
        &mut self,
        read: impl FnOnce(&mut Framer, &mut dyn FnMut(Frame<'_>, u64)),
    ) -> Decoded {
        let mut events = Vec::new();
        let mut framer = std::mem::replace(&mut self.framer, Framer::at(0, false));
        read(&mut framer, &mut |frame, end| {
            self.frame(frame);
            self.hand_over(end, &mut events);
        });
        self.framer = framer;
        Decoded { events, cues: std::mem::take(&mut self.cues) }
    }

    fn hand_over(&mut self, end: u64, events: &mut Vec<Sourced>) {
        let Some(last) = self.out.len().checked_sub(1) else { return };
        self.state.facts.last_event = self.out[last].kind().into();
        for (at, event) in self.out.drain(..).enumerate() {
            let spool = Some(if at == last { end } else { 0 });
            events.push(Sourced { event, spool });
        }
    }

    fn frame(&mut self, frame: Frame<'_>) {
        match frame {
            Frame::Line(line) => self.line(&line::text(line)),
            Frame::TooLong => {
                let limit = frame::LINE_LIMIT >> 20;
                self.out.push(AgentEvent::Error {
                    code: "line_too_long".into(),
                    message: format!(
                        "A line of the agent's output was over {limit} MiB and was left out."
                    ),
                    hint: None,
                });
            }
        }
    }

    fn line(&mut self, line: &str) {
        let json = line::clean(line);
        if json.is_empty() || self.piece(json) {
            return;
        }
        let object = json.starts_with('{') && !line::too_deep(json);
        if !object || (self.object(json).is_err() && !self.salvage(json)) {
            let text = line.trim_end_matches('\r').to_owned();
            self.out.push(AgentEvent::Notice { stream: Stream::Stdout, text });
        }
    }

    /// Decodes one object. When it is odd, nothing of it is left in `out`.
    fn object(&mut self, json: &str) -> Result<(), Odd> {
        let mark = self.out.len();
        let decoded = serde_json::from_str::<Top<'_>>(json)
            .map_err(Odd::from)
            .and_then(|top| self.dispatch(&top, json));
        if decoded.is_err() {
            self.out.truncate(mark);
        }
        decoded
    }

    fn dispatch(&mut self, top: &Top<'_>, json: &str) -> Result<(), Odd> {
        let kind = top.kind().ok_or(Odd)?;
        match &*kind {
            "stream_event" => self.stream_event(top),
            "assistant" => self.assistant(top),
            "user" => self.user(top),
            "keep_alive" | "ui_invalidate" | "command_lifecycle" => Ok(()),
            kind => self.rare(kind, &serde_json::from_str(json)?),
        }
    }

    fn rare(&mut self, kind: &str, value: &Value) -> Result<(), Odd> {
        match kind {
            "system" => self.system(value),
            "result" => self.result(value),
            "control_request" => self.control_request(value),
            "control_cancel_request" => self.control_cancel(value),
            "rate_limit_event" => self.rate_limit(value),
            "control_response" => {
                self.control_response(value);
                Ok(())
            }
            _ => Err(Odd),
        }
    }

    /// What can still be read of an odd line: cut emoji repaired, several objects taken one by one,
    /// any other object kept whole. `false` when it is no JSON at all.
    fn salvage(&mut self, json: &str) -> bool {
        if let Some(repaired) = repair_surrogates(json) {
            return self.object(&repaired).is_ok() || self.salvage(&repaired);
        }
        if let Some(objects) = several_objects(json) {
            for object in objects {
                if self.object(object.get()).is_err() {
                    self.salvage(object.get());
                }
            }
            return true;
        }
        match serde_json::from_str::<Value>(json) {
            Ok(value) => {
                self.out.push(AgentEvent::Raw { kind: raw_kind(&value), value });
                true
            }
            Err(_) => false,
        }
    }
}

/// The objects of a line that holds more than one, and nothing else.
fn several_objects(json: &str) -> Option<Vec<&RawValue>> {
    let values = serde_json::Deserializer::from_str(json).into_iter::<&RawValue>();
    let values = values.collect::<Result<Vec<_>, _>>().ok()?;
    (values.len() > 1 && values.iter().all(|value| value.get().starts_with('{'))).then_some(values)
}

/// `type`, with its `subtype` where it has one: `system/task_started`.
fn raw_kind(value: &Value) -> String {
    let text = |name: &str| system::field(value, name);
    let inner = |outer: &str, name: &str| value.get(outer).and_then(|it| system::field(it, name));
    let kind = text("type").unwrap_or("untyped");
    let subtype =
        text("subtype").or_else(|| inner("request", "subtype")).or_else(|| inner("event", "type"));
    subtype.map_or_else(|| kind.to_owned(), |subtype| format!("{kind}/{subtype}"))
}
