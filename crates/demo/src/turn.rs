//! A turn's lines: messages of blocks, streamed when asked for, and the line that ends it.

use std::time::Instant;

use serde_json::{Value, json};

use crate::{
    agent::{Agent, Played, Stop},
    input::UserMessage,
    script::{Script, Step},
};

/// Tools that init names; asking needs somebody who answers.
const TOOLS: [&str; 6] = ["Bash", "Edit", "Glob", "Read", "TodoWrite", "Write"];
const ASKING_TOOLS: [&str; 2] = ["AskUserQuestion", "ExitPlanMode"];

/// How fast streamed text comes, in seconds for each piece of [`PIECE`] words.
const PIECE_SECONDS: f64 = 0.13;
const PIECE: usize = 3;

/// What is known of the turn that is played.
pub struct Turn {
    message: UserMessage,
    pub on_message: Vec<Step>,
    /// Messages that came in the middle and were taken in.
    folded: Vec<UserMessage>,
    started: Instant,
    /// The model's message that is open, and how many blocks it has.
    open: Option<(String, usize)>,
    /// The text of the block that is being streamed.
    streaming: Option<(&'static str, String)>,
    /// Tool uses without a result yet: their ids.
    pub unfinished: Vec<String>,
    /// Permission asks without an answer yet: their request ids.
    pub asked: Vec<String>,
    /// Pid of the command that runs.
    pub running: Option<u32>,
    pub denials: Vec<Value>,
    model_calls: u64,
    tool_results: u64,
    last_text: String,
    /// The result line is out.
    pub over: bool,
}

impl Turn {
    pub fn new(message: UserMessage, on_message: Vec<Step>) -> Self {
        Self {
            message,
            on_message,
            folded: Vec::new(),
            started: Instant::now(),
            open: None,
            streaming: None,
            unfinished: Vec::new(),
            asked: Vec::new(),
            running: None,
            denials: Vec::new(),
            model_calls: 0,
            tool_results: 0,
            last_text: String::new(),
            over: false,
        }
    }
}

impl Agent {
    /// The turn that is played. Between turns nothing plays, so a fresh one is never asked for.
    pub fn turn(&mut self) -> &mut Turn {
        self.turn.get_or_insert_with(|| Turn::new(UserMessage::default(), Vec::new()))
    }

    pub fn play_turn(&mut self, script: &Script, steps: &[Step]) -> Played {
        self.play(&script.before)?;
        let uuid = self.turn().message.uuid.clone();
        self.state("running");
        self.lifecycle(uuid.as_deref(), "started");
        if script.init {
            self.init();
        }
        let message = self.turn().message.clone();
        self.replay(&message);
        self.play(steps)
    }

    pub fn init(&mut self) {
        let mut tools: Vec<&str> = TOOLS.to_vec();
        tools.extend(ASKING_TOOLS.iter().filter(|_| self.args.asks));
        tools.retain(|tool| !self.args.disallowed.iter().any(|no| no == tool));
        self.print(&self.wire.init(&self.cwd.display().to_string(), &self.mode, &tools));
        self.turn().over = false;
    }

    /// Repeats a message, to a host that wants to see when it is taken.
    fn replay(&self, message: &UserMessage) {
        if self.args.replay {
            let uuid = message.uuid.clone().unwrap_or_else(|| self.wire.uuid());
            self.print(&self.wire.finish(json!({
                "type": "user", "message": message.message, "parent_tool_use_id": null, "uuid": uuid,
                "timestamp": crate::wire::now(), "isReplay": true,
            })));
        }
    }

    /// Takes in the messages that came in the middle of the turn; true when there were some.
    pub fn fold(&mut self) -> bool {
        let came = !self.queue.is_empty();
        for message in std::mem::take(&mut self.queue) {
            self.replay(&message);
            self.lifecycle(message.uuid.as_deref(), "started");
            self.texts.insert("message", message.text.clone());
            self.turn().folded.push(message);
        }
        came
    }

    pub fn end_turn(&mut self, played: Played) -> Played {
        match played {
            Ok(()) | Err(Stop::TurnOver) if self.turn().over => {}
            Ok(()) | Err(Stop::TurnOver) => {
                let text = self.turn().last_text.clone();
                self.close_message("end_turn");
                self.result(json!({"result": text}), false);
            }
            Err(Stop::Exit(code)) => return Err(Stop::Exit(code)),
            Err(Stop::MaxTurns) => self.end_at_max_turns(),
            Err(Stop::Interrupt | Stop::Signalled) => self.end_interrupted(),
        }
        let uuid = self.turn().message.uuid.clone();
        self.lifecycle(uuid.as_deref(), "completed");
        if played == Err(Stop::Signalled) { played } else { Ok(()) }
    }

    fn end_at_max_turns(&mut self) {
        let limit = self.args.max_turns.unwrap_or_default();
        self.result(json!({
            "subtype": "error_max_turns", "terminal_reason": "max_turns", "stop_reason": "tool_use",
            "errors": [format!("Reached maximum number of turns ({limit})")], "num_turns": limit + 1,
        }), true);
    }

    fn end_interrupted(&mut self) {
        let in_tool = !self.turn().unfinished.is_empty();
        if in_tool {
            self.abort_tools()
        } else {
            self.abort_text()
        }
        let reason = if in_tool { "aborted_tools" } else { "aborted_streaming" };
        self.result(
            json!({
                "subtype": "error_during_execution", "terminal_reason": reason, "stop_reason": null,
                "errors": [format!("[ede_diagnostic] result_type=user terminal_reason={reason}")],
            }),
            true,
        );
    }

    fn abort_text(&mut self) {
        if let Some((kind, text)) = self.turn().streaming.take()
            && let Some((message, _)) = self.turn().open.clone()
        {
            let mut line = self.wire.assistant(&message, block(kind, &text));
            line["aborted"] = true.into();
            self.print(&line);
        }
        self.print(&self.wire.user_text("[Request interrupted by user]"));
        self.close_message("end_turn");
    }

    /// Prints the result line. An error makes the exit code 1 if nothing better follows.
    pub fn result(&mut self, fields: Value, is_error: bool) {
        for message in std::mem::take(&mut self.turn().folded) {
            self.lifecycle(message.uuid.as_deref(), "completed");
        }
        let (used, spent) = (self.used, self.used.since(self.told));
        self.told = used;
        let turn = self.turn();
        turn.over = true;
        let elapsed = u64::try_from(turn.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let mut all = json!({
            "is_error": is_error, "num_turns": turn.tool_results + 1, "duration_ms": elapsed,
            "permission_denials": turn.denials,
        });
        crate::wire::merge(&mut all, fields);
        self.failed = all["is_error"] == true;
        let line = self.wire.result(used, spent, all);
        self.print(&line);
    }

    /// Says or thinks a text, in pieces when the host wants them.
    pub fn stream(&mut self, kind: &'static str, text: &str) -> Played {
        let (message, index) = self.open_message()?;
        let mut start = block(kind, "");
        if kind == "thinking" {
            start["signature"] = "".into();
        }
        self.event(json!({"type": "content_block_start", "index": index, "content_block": start}));
        self.turn().streaming = Some((kind, String::new()));
        for piece in pieces(text) {
            let mut delta = json!({"type": format!("{kind}_delta")});
            delta[kind] = piece.into();
            self.event(json!({"type": "content_block_delta", "index": index, "delta": delta}));
            if let Some((_, said)) = &mut self.turn().streaming {
                said.push_str(piece);
            }
            self.pause(PIECE_SECONDS)?;
        }
        self.turn().streaming = None;
        let mut whole = block(kind, text);
        if kind == "thinking" {
            whole["signature"] = "ZGVtbw==".into();
        } else {
            self.turn().last_text = text.to_owned();
        }
        self.print(&self.wire.assistant(&message, whole));
        self.event(json!({"type": "content_block_stop", "index": index}));
        Ok(())
    }

    /// Prints a tool use; answers with its id.
    pub fn use_tool(&mut self, name: &str, input: &Value) -> Result<String, Stop> {
        let (message, index) = self.open_message()?;
        let id = self.wire.next_tool();
        let start = json!({"type": "tool_use", "id": id, "name": name, "input": {}});
        self.event(json!({"type": "content_block_start", "index": index, "content_block": start}));
        let delta = json!({"type": "input_json_delta", "partial_json": input.to_string()});
        self.event(json!({"type": "content_block_delta", "index": index, "delta": delta}));
        let whole = json!({"type": "tool_use", "id": id, "name": name, "input": input});
        self.print(&self.wire.assistant(&message, whole));
        self.event(json!({"type": "content_block_stop", "index": index}));
        self.turn().unfinished.push(id.clone());
        Ok(id)
    }

    /// Prints what a tool gave. Only a whole set of results lets the model go on.
    pub fn tool_done(&mut self, id: &str, outcome: crate::tools::Outcome, meta: Value) {
        let turn = self.turn();
        turn.unfinished.retain(|open| open != id);
        turn.tool_results += 1;
        self.print(&self.wire.tool_result(
            id,
            &outcome.text,
            outcome.is_error,
            outcome.structured,
            meta,
        ));
    }

    fn open_message(&mut self) -> Result<(String, usize), Stop> {
        if let Some((message, blocks)) = &mut self.turn().open {
            *blocks += 1;
            return Ok((message.clone(), *blocks));
        }
        let limit = self.args.max_turns.unwrap_or(u64::MAX);
        if self.turn().model_calls >= limit {
            return Err(Stop::MaxTurns);
        }
        self.turn().model_calls += 1;
        let message = self.wire.next_message();
        self.turn().open = Some((message.clone(), 0));
        if self.args.partial {
            self.print(&self.wire.system("status", json!({"status": "requesting"})));
            self.print(&self.wire.message_start(&message));
        }
        Ok((message, 0))
    }

    pub fn close_message(&mut self, stop_reason: &str) {
        if self.turn().open.is_some() {
            let delta = json!({"stop_reason": stop_reason, "stop_sequence": null});
            self.event(
                json!({"type": "message_delta", "delta": delta, "usage": {"output_tokens": 0}}),
            );
            self.event(json!({"type": "message_stop"}));
        }
        self.turn().open = None;
    }

    fn event(&mut self, event: Value) {
        if !self.args.partial {
            return;
        }
        if let Some((message, _)) = self.turn().open.clone() {
            self.print(&self.wire.stream_event(&message, event));
        }
    }
}

fn block(kind: &str, text: &str) -> Value {
    let mut block = json!({"type": kind});
    block[kind] = text.into();
    block
}

/// Pieces of a few words that join to the whole text.
fn pieces(text: &str) -> Vec<&str> {
    let ends = text.match_indices(' ').map(|(at, _)| at + 1).collect::<Vec<_>>();
    let cuts = ends
        .chunks(PIECE)
        .filter_map(|chunk| chunk.last().copied())
        .filter(|cut| *cut < text.len());
    let mut from = 0;
    let mut out: Vec<&str> = cuts
        .map(|cut| {
            let piece = &text[from..cut];
            from = cut;
            piece
        })
        .collect();
    out.push(&text[from..]);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_join_to_the_text() {
        for text in
            ["", " ", "a", "one two three four five", "ünï cödé 你 好 🦀 ", "  a  b  c  d  "]
        {
            assert_eq!(pieces(text).concat(), text);
            assert!(pieces(text).iter().all(|piece| piece.split_whitespace().count() <= PIECE));
        }
    }
}
