//! `stream_event`: pieces of text and thoughts as they come. The hottest road there is.

use musher_protocol::AgentEvent;

use super::{
    Decoder,
    state::{Pieces, Speaker, block_id},
    wire::{AnswerUsage, Delta, Later, Message, Odd, PieceLine, StreamEvent, Top, string},
};

impl Decoder {
    pub(super) fn stream_event(&mut self, top: &Top<'_>) -> Result<(), Odd> {
        let event: StreamEvent<'_> = serde_json::from_str(top.event.ok_or(Odd)?.get())?;
        self.state.facts.turn_open = true;
        let parent = string(top.parent_tool_use_id);
        let parent = parent.as_deref().unwrap_or_default();
        match &*event.kind {
            "content_block_delta" => {
                let delta = serde_json::from_str(event.delta.ok_or(Odd)?.get())?;
                let message = string(top.api_message_id).unwrap_or_default();
                self.delta(&message, event.index, delta, parent)
            }
            "content_block_start" => {
                self.speaker(parent).open = Some(event.index);
                Ok(())
            }
            "message_start" => self.message_start(event.message, parent),
            "message_delta" => {
                self.note_context(event.usage, parent);
                Ok(())
            }
            "content_block_stop" | "message_stop" | "ping" => Ok(()),
            _ => Err(Odd),
        }
    }

    /// Where the speaker of this name is; a new one has said nothing.
    pub(super) fn speaker(&mut self, parent: &str) -> &mut Speaker {
        let speakers = &mut self.state.speakers;
        let known = speakers.iter().position(|speaker| speaker.parent == parent);
        let at = known.unwrap_or_else(|| {
            speakers.push(Speaker { parent: parent.to_owned(), ..Speaker::default() });
            speakers.len() - 1
        });
        &mut speakers[at]
    }

    /// The fast road: true when this line was a piece and is decoded. Anything else about it, even
    /// the order of its keys, and the line takes the slow road to the same event.
    pub(super) fn piece(&mut self, json: &str) -> bool {
        if !json.starts_with(r#"{"type":"stream_event","event":{"type":"content_block_delta""#) {
            return false;
        }
        let Ok(line) = serde_json::from_str::<PieceLine<'_>>(json) else { return false };
        let whole = line.kind == "stream_event" && line.event.kind == "content_block_delta";
        let parent = string(line.parent_tool_use_id).unwrap_or_default();
        let index = line.event.index;
        whole && self.delta(&line.api_message_id, index, line.event.delta, &parent).is_ok()
    }

    fn delta(
        &mut self,
        message: &str,
        index: u32,
        delta: Delta<'_>,
        parent: &str,
    ) -> Result<(), Odd> {
        let (pieces, text) = match &*delta.kind {
            "text_delta" => (Pieces::Text, delta.text),
            "thinking_delta" => (Pieces::Thinking, delta.thinking),
            // The whole block brings what these build up.
            "input_json_delta" | "signature_delta" | "citations_delta" => return Ok(()),
            _ => return Err(Odd),
        };
        self.state.facts.turn_open = true;
        // Old versions name the message at its start only.
        if !message.is_empty() {
            self.enter_message(parent, message);
        }
        let speaker = self.speaker(parent);
        speaker.open = Some(index);
        speaker.pieces = Some(pieces);
        let block = speaker.block(index);
        self.out.push(spoken(pieces, block, text.into_owned(), true, parent));
        Ok(())
    }

    fn message_start(&mut self, message: Later<'_>, parent: &str) -> Result<(), Odd> {
        let message: Message<'_> = serde_json::from_str(message.ok_or(Odd)?.get())?;
        self.enter_message(parent, &message.id);
        Ok(())
    }

    /// The speaker says this message now. Pieces of another one whose whole never came are taken
    /// back: after a dropped connection the agent says the same once more.
    pub(super) fn enter_message(&mut self, parent: &str, message: &str) {
        let speaker = self.speaker(parent);
        if speaker.message == message {
            return;
        }
        let (parent_id, message) = (parent.to_owned(), message.to_owned());
        let new = Speaker { parent: parent_id, message, ..Speaker::default() };
        let old = std::mem::replace(speaker, new);
        if let (Some(pieces), Some(index)) = (old.pieces, old.open) {
            let block = block_id(&old.message, index);
            self.out.push(spoken(pieces, block, String::new(), false, parent));
        }
    }

    /// Remembers how full the agent's own context is after an answer.
    pub(super) fn note_context(&mut self, usage: Later<'_>, parent: &str) {
        let usage = usage.and_then(|usage| serde_json::from_str::<AnswerUsage>(usage.get()).ok());
        let context = usage.map_or(0, |usage| usage.context());
        if parent.is_empty() && context > 0 {
            self.state.context_used = Some(context);
        }
    }
}

/// Words or thoughts, whole or a piece.
pub(super) fn spoken(
    what: Pieces,
    block: String,
    text: String,
    delta: bool,
    parent: &str,
) -> AgentEvent {
    let parent = (!parent.is_empty()).then(|| parent.to_owned());
    match what {
        Pieces::Text => AgentEvent::Text { block, text, delta, parent },
        Pieces::Thinking => AgentEvent::Thinking { block, text, delta, redacted: false, parent },
    }
}
