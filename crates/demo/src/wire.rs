//! The lines as Claude Code 2.1.330 writes them, from recordings of it. Fields that no reader of ours
//! or of the official SDK looks at are left out; nothing here has a field the real program lacks.

use serde_json::{Map, Value, json};
use uuid::Uuid;

/// What `claude_code_version` and `--version` say.
pub const VERSION: &str = concat!("demo-", env!("CARGO_PKG_VERSION"));
pub const MODEL: &str = "demo-script";

pub fn print_version() {
    println!("{VERSION} (Musher demo agent)");
}

/// What a session has used so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Used {
    pub input: u64,
    pub output: u64,
    /// Dollars.
    pub cost: f64,
}

impl Used {
    pub fn plus(self, more: Self) -> Self {
        Self {
            input: self.input + more.input,
            output: self.output + more.output,
            cost: self.cost + more.cost,
        }
    }

    pub fn since(self, before: Self) -> Self {
        Self {
            input: self.input - before.input,
            output: self.output - before.output,
            cost: self.cost - before.cost,
        }
    }
}

/// Makes lines: knows the session and numbers what needs a number.
pub struct Wire {
    pub session: String,
    pub model: String,
    messages: u64,
    tools: u64,
    results: u64,
}

impl Wire {
    pub fn new(session: String, model: Option<String>) -> Self {
        Self {
            session,
            model: model.unwrap_or_else(|| MODEL.into()),
            messages: 0,
            tools: 0,
            results: 0,
        }
    }

    /// An id that no other line of this session has.
    pub fn uuid(&self) -> String {
        Uuid::new_v4().to_string()
    }

    pub fn next_message(&mut self) -> String {
        self.messages += 1;
        format!("msg_demo_{:06}", self.messages)
    }

    pub fn next_tool(&mut self) -> String {
        self.tools += 1;
        format!("toolu_demo_{:06}", self.tools)
    }

    pub fn finish(&self, mut line: Value) -> Value {
        if let Some(fields) = line.as_object_mut() {
            fields.entry("session_id").or_insert_with(|| self.session.clone().into());
            fields.entry("uuid").or_insert_with(|| self.uuid().into());
        }
        line
    }

    pub fn system(&self, subtype: &str, fields: Value) -> Value {
        let mut line = json!({"type": "system", "subtype": subtype});
        merge(&mut line, fields);
        self.finish(line)
    }

    pub fn init(&self, cwd: &str, mode: &str, tools: &[&str]) -> Value {
        self.system("init", json!({
            "cwd": cwd, "tools": tools, "mcp_servers": [], "model": self.model, "permissionMode": mode,
            "slash_commands": [], "apiKeySource": "none", "claude_code_version": VERSION,
            "output_style": "default", "agents": [], "skills": [], "plugins": [],
            "capabilities": ["interrupt_receipt_v1", "msg_lifecycle_v1"],
        }))
    }

    pub fn stream_event(&self, message: &str, event: Value) -> Value {
        self.finish(json!({
            "type": "stream_event", "event": event, "parent_tool_use_id": null, "api_message_id": message,
        }))
    }

    pub fn message_start(&self, message: &str) -> Value {
        self.stream_event(message, json!({"type": "message_start", "message": {
            "id": message, "type": "message", "role": "assistant", "model": self.model, "content": [],
            "stop_reason": null, "stop_sequence": null, "usage": unfinished_usage(),
        }}))
    }

    pub fn assistant(&self, message: &str, block: Value) -> Value {
        self.finish(json!({
            "type": "assistant",
            "message": {
                "id": message, "type": "message", "role": "assistant", "model": self.model,
                "content": [block], "stop_reason": null, "stop_sequence": null,
                "usage": unfinished_usage(), "context_management": null,
            },
            "parent_tool_use_id": null, "timestamp": now(), "request_id": null,
        }))
    }

    /// What the program says itself when the service failed.
    pub fn synthetic(&self, text: &str, error: &str, status: u16, kind: &str) -> Value {
        self.finish(json!({
            "type": "assistant",
            "message": {
                "id": self.uuid(), "type": "message", "role": "assistant", "model": "<synthetic>",
                "content": [{"type": "text", "text": text}], "stop_reason": "stop_sequence",
                "stop_sequence": "", "usage": unfinished_usage(), "context_management": null,
            },
            "parent_tool_use_id": null, "timestamp": now(), "error": error, "is_api_error_message": true,
            "api_error_status": status, "api_error_type": kind,
        }))
    }

    pub fn tool_result(
        &self,
        tool: &str,
        content: &str,
        is_error: bool,
        structured: Value,
        meta: Value,
    ) -> Value {
        let mut entry = json!({"id": tool});
        merge(&mut entry, meta);
        self.finish(json!({
            "type": "user",
            "message": {"role": "user", "content": [{
                "tool_use_id": tool, "type": "tool_result", "content": content, "is_error": is_error,
            }]},
            "parent_tool_use_id": null, "timestamp": now(), "tool_use_result": structured,
            "tool_result_meta": [entry],
        }))
    }

    pub fn user_text(&self, text: &str) -> Value {
        self.finish(json!({
            "type": "user", "message": {"role": "user", "content": [{"type": "text", "text": text}]},
            "parent_tool_use_id": null, "timestamp": now(),
        }))
    }

    pub fn lifecycle(&self, command: &str, state: &str) -> Value {
        self.finish(json!({"type": "command_lifecycle", "command_uuid": command, "state": state}))
    }

    /// The line that ends a turn; `fields` say how.
    pub fn result(&mut self, used: Used, turn: Used, fields: Value) -> Value {
        let mut line = json!({
            "type": "result", "subtype": "success", "is_error": false, "terminal_reason": "completed",
            "stop_reason": "end_turn", "duration_api_ms": 0, "total_cost_usd": used.cost,
            "usage": usage(turn), "modelUsage": self.model_usage(used), "permission_denials": [],
            "model_usage_since_last_result": self.model_usage(turn),
            "api_error_status": null, "queued_turn_count": 0, "result_index": self.results,
        });
        self.results += 1;
        merge(&mut line, fields);
        self.finish(line)
    }

    fn model_usage(&self, used: Used) -> Value {
        let mut models = Map::new();
        if used.input + used.output > 0 {
            models.insert(self.model.clone(), json!({
                "inputTokens": used.input, "outputTokens": used.output, "cacheReadInputTokens": 0,
                "cacheCreationInputTokens": 0, "costUSD": used.cost, "contextWindow": 200_000,
            }));
        }
        models.into()
    }
}

/// Adds and replaces fields.
pub fn merge(into: &mut Value, fields: Value) {
    if let (Some(into), Value::Object(fields)) = (into.as_object_mut(), fields) {
        into.extend(fields);
    }
}

pub fn now() -> String {
    chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Millis, true)
}

fn usage(used: Used) -> Value {
    json!({
        "input_tokens": used.input, "output_tokens": used.output, "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0, "service_tier": "standard",
    })
}

/// The real program repeats the first figures of a message in each of its lines: one output token.
fn unfinished_usage() -> Value {
    json!({"input_tokens": 0, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0, "output_tokens": 0})
}
