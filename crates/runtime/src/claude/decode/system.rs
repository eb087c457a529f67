//! `system` and the other lines about the agent itself: session, retries, quota.

use chrono::{DateTime, Utc};
use musher_protocol::{AgentEvent, Billing, RateLimit, RateLimitState, SessionInfo};
use serde_json::Value;

use super::{Decoder, wire::Odd};

/// A string field.
pub(super) fn field<'a>(value: &'a Value, name: &str) -> Option<&'a str> {
    value.get(name).and_then(Value::as_str)
}

fn owned(value: &Value, name: &str) -> Option<String> {
    field(value, name).map(str::to_owned)
}

impl Decoder {
    pub(super) fn system(&mut self, value: &Value) -> Result<(), Odd> {
        self.state.facts.started = true;
        let subtype = field(value, "subtype").ok_or(Odd)?;
        if subtype != "init" {
            self.first_session_id(value);
        }
        match subtype {
            "init" => self.init(value)?,
            "status" => self.status(value),
            "api_retry" => self.warn("api_retry", retry_sentence(value)),
            "permission_denied" => self.warn("permission_denied", denial_sentence(value)),
            "compact_boundary" => self.warn("compacted", compact_sentence(value)),
            "informational" | "notification" => {
                let words = field(value, "content").or_else(|| field(value, "message"));
                self.warn("agent_note", words.ok_or(Odd)?.to_owned());
            }
            // Ticks without content; a message counts as sent when it is in the agent's pipe.
            "session_state_changed" | "ui_invalidate" | "thinking_tokens" | "command_lifecycle" => {
            }
            _ => return Err(Odd),
        }
        Ok(())
    }

    fn warn(&mut self, code: &str, message: String) {
        self.out.push(AgentEvent::Warning { code: code.into(), message });
    }

    /// Hooks and ticks come before `init` and name the session already.
    fn first_session_id(&mut self, value: &Value) {
        if let (None, Some(id)) = (&self.state.session, owned(value, "session_id")) {
            self.session(SessionInfo { session_id: id, ..SessionInfo::default() });
        }
    }

    /// `init` comes with every turn; it is news only when something differs.
    fn init(&mut self, value: &Value) -> Result<(), Odd> {
        self.state.facts.init = true;
        self.state.facts.turn_open = true;
        self.state.facts.api_error = None;
        self.session(SessionInfo {
            session_id: owned(value, "session_id").ok_or(Odd)?,
            model: owned(value, "model"),
            runtime_version: owned(value, "claude_code_version"),
            billing: billing(field(value, "apiKeySource")),
            permission_mode: owned(value, "permissionMode"),
            failed_tool_servers: failed_servers(value),
            demo: false,
        });
        Ok(())
    }

    fn session(&mut self, mut info: SessionInfo) {
        if self.config.demo {
            info.demo = true;
            info.billing = Billing::Free;
        }
        self.state.facts.session_id = Some(info.session_id.clone());
        if self.state.session.as_ref() != Some(&info) {
            self.state.session = Some(info.clone());
            self.out.push(AgentEvent::Session(info));
        }
    }

    fn status(&mut self, value: &Value) {
        let mode = owned(value, "permissionMode");
        if let (Some(info), Some(_)) = (&self.state.session, &mode) {
            let info = SessionInfo { permission_mode: mode, ..info.clone() };
            self.session(info);
        }
        if field(value, "status") == Some("compacting") {
            self.warn("compacting", "The agent shortens its conversation to make room.".into());
        }
    }

    pub(super) fn rate_limit(&mut self, value: &Value) -> Result<(), Odd> {
        let info = value.get("rate_limit_info").ok_or(Odd)?;
        let limit = rate_limit(info).ok_or(Odd)?;
        self.state.facts.rate_limit = Some(limit.clone());
        self.out.push(AgentEvent::RateLimit(limit));
        Ok(())
    }
}

/// Whose key it is, as `apiKeySource` says: `none` (seen with a subscriber's token) and `oauth` are a
/// login, everything else names where a key came from.
fn billing(source: Option<&str>) -> Billing {
    match source {
        None => Billing::Unknown,
        Some("none" | "oauth") => Billing::Subscription,
        Some(_) => Billing::ApiKey,
    }
}

fn failed_servers(value: &Value) -> Vec<String> {
    let servers = value.get("mcp_servers").and_then(Value::as_array);
    let failed = servers.into_iter().flatten().filter(|one| field(one, "status") == Some("failed"));
    failed.filter_map(|server| owned(server, "name")).collect()
}

fn retry_sentence(value: &Value) -> String {
    let number = |name| value.get(name).and_then(Value::as_u64);
    let status = number("error_status").map(|status| status.to_string());
    let error = field(value, "error").filter(|error| *error != "unknown");
    let cause: Vec<String> =
        status.into_iter().chain(error.map(|error| error.replace('_', " "))).collect();
    let cause = if cause.is_empty() { String::new() } else { format!(" ({})", cause.join(", ")) };
    let which = match (number("attempt"), number("max_retries")) {
        (Some(attempt), Some(most)) => format!("try {attempt} of {most}"),
        _ => "another try".into(),
    };
    let wait = number("retry_delay_ms")
        .map_or(String::new(), |ms| format!(" in {}.{} s", ms / 1000, ms % 1000 / 100));
    format!("The model's server did not answer as it should{cause}; {which} follows{wait}.")
}

fn denial_sentence(value: &Value) -> String {
    let tool = field(value, "tool_name").unwrap_or("A tool");
    let why = field(value, "message").unwrap_or("It was not allowed.");
    format!("{tool} was denied: {why}")
}

fn compact_sentence(value: &Value) -> String {
    let before = value.pointer("/compact_metadata/pre_tokens").and_then(Value::as_u64);
    match before {
        Some(tokens) => format!("The agent shortened its conversation of {tokens} tokens."),
        None => "The agent shortened its conversation.".into(),
    }
}

/// The typed quota news. `resetsAt` is seconds since 1970; some sources give RFC 3339 `reset_at`.
fn rate_limit(info: &Value) -> Option<RateLimit> {
    let state = match field(info, "status")? {
        "allowed" => RateLimitState::Allowed,
        "allowed_warning" => RateLimitState::Warning,
        "rejected" => RateLimitState::Rejected,
        _ => RateLimitState::Unknown,
    };
    let window = owned(info, "rateLimitType");
    let of_window = window.as_ref().and_then(|name| info.get("unifiedWindows")?.get(name));
    let number = |name| info.get(name).or_else(|| of_window?.get(name)).and_then(Value::as_f64);
    let names = ["resetsAt", "reset_at", "resets_at"];
    let resets_at =
        names.iter().find_map(|name| time(info.get(*name).or_else(|| of_window?.get(*name))?));
    Some(RateLimit {
        state,
        utilization: number("utilization"),
        resets_at,
        using_overage: info.get("isUsingOverage").and_then(Value::as_bool).unwrap_or(false),
        window,
    })
}

fn time(value: &Value) -> Option<DateTime<Utc>> {
    match value {
        Value::String(text) => Some(DateTime::parse_from_rfc3339(text).ok()?.to_utc()),
        _ => DateTime::from_timestamp(value.as_f64()? as i64, 0),
    }
}
