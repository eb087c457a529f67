//! `assistant` and `user`: whole blocks of the agent, and the results of its tools.

use musher_protocol::{AgentEvent, ToolCall, ToolResult};
use serde_json::{Value, value::RawValue};

use super::{
    Cue, Decoder, edit,
    state::Pieces,
    stream::spoken,
    tools,
    wire::{self, Block, Message, Odd, Top, required, string},
};

/// A block of a message, looked through before anything is remembered of it.
enum Piece {
    Spoken(Pieces, String),
    Redacted,
    Call { id: String, name: String, input: Value },
}

impl Decoder {
    pub(super) fn assistant(&mut self, top: &Top<'_>) -> Result<(), Odd> {
        let message: Message<'_> = serde_json::from_str(top.message.ok_or(Odd)?.get())?;
        let pieces = pieces(message.content)?;
        let parent = string(top.parent_tool_use_id).unwrap_or_default();
        self.state.facts.turn_open = true;
        if let Some(kind) = string(top.error) {
            self.api_error(&kind, pieces);
            return Ok(());
        }
        self.note_context(message.usage, &parent);
        self.enter_message(&parent, &message.id);
        for piece in pieces {
            let speaker = self.speaker(&parent);
            let index = speaker.open.take().unwrap_or(speaker.next);
            speaker.next = index.saturating_add(1);
            speaker.pieces = None;
            let block = speaker.block(index);
            self.say(piece, block, &parent);
        }
        Ok(())
    }

    fn say(&mut self, piece: Piece, block: String, parent: &str) {
        let of = (!parent.is_empty()).then(|| parent.to_owned());
        let event = match piece {
            Piece::Spoken(what, text) => spoken(what, block, text, false, parent),
            Piece::Redacted => AgentEvent::Thinking {
                block,
                text: String::new(),
                delta: false,
                redacted: true,
                parent: of,
            },
            Piece::Call { id, name, input } => return self.call(id, name, input, of),
        };
        self.out.push(event);
    }

    fn call(&mut self, id: String, name: String, input: Value, parent: Option<String>) {
        let plan = parent.is_none().then(|| tools::plan(&name, &input)).flatten();
        let title = tools::title(&name, &input, &self.config.cwd);
        let kind = tools::kind(&name);
        self.out.push(AgentEvent::ToolCall(ToolCall { id, name, kind, title, input, parent }));
        if let Some(entries) = plan {
            self.out.push(AgentEvent::Plan { entries });
        }
    }

    /// The agent's own words for an error of the model's API come as a message of the agent.
    fn api_error(&mut self, kind: &str, pieces: Vec<Piece>) {
        let texts = pieces.into_iter().filter_map(|piece| match piece {
            Piece::Spoken(Pieces::Text, text) => Some(text),
            _ => None,
        });
        let message = texts.collect::<Vec<_>>().join("\n");
        let hint = match kind {
            "authentication_failed" => {
                Some("Run `claude` in a terminal and log in with /login, or set a valid API key.")
            }
            "billing_error" => Some("Check the account's balance."),
            "model_not_found" => Some("Choose another model."),
            _ => None,
        };
        self.state.facts.api_error = Some(kind.to_owned());
        let hint = hint.map(str::to_owned);
        self.out.push(AgentEvent::Error { code: kind.to_owned(), message, hint });
    }

    pub(super) fn user(&mut self, top: &Top<'_>) -> Result<(), Odd> {
        let message: Message<'_> = serde_json::from_str(top.message.ok_or(Odd)?.get())?;
        let blocks = wire::blocks(message.content)?;
        // A replay is something that a person, or Musher, said before.
        if wire::is_true(top.is_replay) {
            return Ok(());
        }
        let parent = string(top.parent_tool_use_id).map(|parent| parent.into_owned());
        let edit = edit::edit(top.tool_use_result, &self.config.cwd);
        let mut results = Vec::with_capacity(blocks.len());
        for block in &blocks {
            results.extend(result(block, parent.as_deref())?);
        }
        if let Some(AgentEvent::ToolResult(first)) = results.first_mut() {
            first.edit = edit;
        }
        for event in results {
            if let AgentEvent::ToolResult(result) = &event {
                self.close_asks_of(&result.id);
            }
            self.out.push(event);
        }
        Ok(())
    }

    /// A tool that has a result asks no more.
    fn close_asks_of(&mut self, call: &str) {
        let before = self.state.asks.len();
        self.state.asks.retain(|_, ask| ask.tool_call.as_deref() != Some(call));
        if self.state.asks.len() != before {
            self.cues.push(Cue::Asks);
        }
    }
}

fn pieces(content: &RawValue) -> Result<Vec<Piece>, Odd> {
    wire::blocks(content)?.iter().map(piece).collect()
}

fn piece(block: &Block<'_>) -> Result<Piece, Odd> {
    Ok(match &*block.kind {
        "text" => Piece::Spoken(Pieces::Text, required(block.text)?.into_owned()),
        "thinking" => Piece::Spoken(Pieces::Thinking, required(block.thinking)?.into_owned()),
        "redacted_thinking" => Piece::Redacted,
        "tool_use" | "server_tool_use" | "mcp_tool_use" => Piece::Call {
            id: required(block.id)?.into_owned(),
            name: required(block.name)?.into_owned(),
            input: input(block)?,
        },
        _ => return Err(Odd),
    })
}

fn input(block: &Block<'_>) -> Result<Value, Odd> {
    Ok(block.input.map(|input| serde_json::from_str(input.get())).transpose()?.unwrap_or_default())
}

/// A tool's result; or words that the agent's program put into the person's mouth, which a reader
/// should see. A sub-agent's brief is in its tool call already, and that a turn was interrupted is told
/// by its end.
fn result(block: &Block<'_>, parent: Option<&str>) -> Result<Option<AgentEvent>, Odd> {
    match &*block.kind {
        "tool_result" => Ok(Some(AgentEvent::ToolResult(ToolResult {
            id: required(block.tool_use_id)?.into_owned(),
            text: result_text(block)?,
            is_error: wire::is_true(block.is_error),
            edit: None,
            parent: parent.map(str::to_owned),
        }))),
        "text" if parent.is_some() => Ok(None),
        "text" => {
            let message = required(block.text)?.into_owned();
            if INTERRUPTED.contains(&message.as_str()) {
                return Ok(None);
            }
            Ok(Some(AgentEvent::Warning { code: "agent_note".into(), message }))
        }
        _ => Err(Odd),
    }
}

/// What 2.1.330 and 2.1.197 say in the person's name when a turn is interrupted.
const INTERRUPTED: [&str; 2] =
    ["[Request interrupted by user]", "[Request interrupted by user for tool use]"];

fn result_text(block: &Block<'_>) -> Result<String, Odd> {
    let Some(content) = block.content else { return Ok(String::new()) };
    if let Some(text) = string(Some(content)) {
        return Ok(text.into_owned());
    }
    let parts = wire::blocks(content)?;
    let texts = parts.iter().map(|part| match string(part.text) {
        Some(text) => text.into_owned(),
        None => format!("[{}]", part.kind),
    });
    Ok(texts.collect::<Vec<_>>().join("\n"))
}
