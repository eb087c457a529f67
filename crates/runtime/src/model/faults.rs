//! What an error means: in the body of a refused request, in the middle of a stream, or in what is no
//! answer of a model at all. It goes by codes and statuses. By words only where nothing else is said:
//! Gemini and most local servers tell only in English that a conversation is too long.
//!
//! OpenAI: <https://platform.openai.com/docs/guides/error-codes>. Gemini:
//! <https://ai.google.dev/gemini-api/docs/troubleshooting> and `google/rpc/error_details.proto`.
//! Anthropic's names too, as its models are behind many an endpoint:
//! <https://docs.anthropic.com/en/api/errors>. All read in November 2026.

mod words;

use chrono::{DateTime, Days, NaiveTime, TimeDelta, Utc};
use serde_json::Value;

use super::{
    codec::{Dialect, Fault, FaultKind},
    speech::text,
};
use words::{by_word, is_too_long};

/// The most that is kept of the provider's words.
const MAX_MESSAGE: usize = 2048;

/// What an answer without a model's words in it means. `status` is `None` for an error inside a stream
/// that had begun well.
pub fn fault(dialect: Dialect, status: Option<u16>, body: &str) -> Fault {
    fault_at(Utc::now(), dialect, status, body)
}

/// The same, at a given time: some say in how many seconds to come back.
pub fn fault_at(now: DateTime<Utc>, dialect: Dialect, status: Option<u16>, body: &str) -> Fault {
    match serde_json::from_str(body.trim_start_matches('\u{feff}')) {
        Ok(Value::String(message)) => Said { message, ..Said::default() }.fault(now, status),
        Ok(value) => Said::of(&value).fault(now, status),
        Err(error) => unreadable(dialect, status, body, error.is_eof()),
    }
}

/// An error in the middle of a stream.
pub(super) fn said(_: Dialect, value: &Value) -> Fault {
    Said::of(value).fault(Utc::now(), None)
}

/// A stream that the server gave up, with one word for it.
pub(super) fn stopped(word: &str) -> Fault {
    Fault { kind: FaultKind::Transient, message: format!("The server gave up: {word}.") }
}

fn unreadable(dialect: Dialect, status: Option<u16>, body: &str, is_half: bool) -> Fault {
    let is_page = body.trim_start().get(..1) == Some("<");
    let well = status.is_none_or(|status| (200..300).contains(&status));
    let message = match (body.trim(), status) {
        ("", Some(status)) => format!("The server answered {status} and said nothing."),
        ("", None) => "The server said nothing.".to_owned(),
        _ if is_page && well => {
            format!("The server answered with a web page; {dialect} is not spoken at this address.")
        }
        _ if is_page => {
            format!("The server answered {} with a web page.", status.unwrap_or_default())
        }
        _ if is_half && well => "The server's answer ends in the middle.".to_owned(),
        (_, Some(status)) if !well => clean(&format!("The server answered {status}: {body}")),
        _ => clean(&format!("The server's answer is not {dialect}: {body}")),
    };
    let kind = match status {
        _ if well && (is_half || body.trim().is_empty()) => FaultKind::Transient,
        _ if is_too_long(body) => FaultKind::ContextTooLong,
        Some(status) if !well => by_status(status),
        _ => FaultKind::Refused,
    };
    Fault { kind, message }
}

/// An error in the shapes that there are.
#[derive(Default)]
struct Said {
    /// OpenAI's `code`, then Google's `status`, then `type`: the most exact first.
    words: Vec<String>,
    status: Option<u16>,
    message: String,
    /// Google's details.
    details: Vec<Value>,
    resets_at: Option<DateTime<Utc>>,
    resets_in: Option<i64>,
}

impl Said {
    fn of(value: &Value) -> Self {
        // Google wraps a stream's error in a list.
        let value = value.get(0).unwrap_or(value);
        let inside = value.get("error").or_else(|| value.pointer("/response/error"));
        let error = inside.filter(|error| !error.is_null()).unwrap_or(value);
        let words = ["code", "status", "type"].into_iter().filter_map(|member| text(error, member));
        let code = error.get("code");
        let number = code.and_then(|it| it.as_u64().or_else(|| it.as_str()?.parse().ok()));
        let moment = |member| error.get(member).and_then(Value::as_i64);
        Self {
            words: words.map(str::to_ascii_lowercase).collect(),
            status: number.and_then(|it| u16::try_from(it).ok()),
            message: message_of(error),
            details: error.get("details").and_then(Value::as_array).cloned().unwrap_or_default(),
            resets_at: moment("resets_at").and_then(|at| DateTime::from_timestamp(at, 0)),
            resets_in: moment("resets_in_seconds"),
        }
    }

    fn fault(self, now: DateTime<Utc>, status: Option<u16>) -> Fault {
        let kind = self.kind(now, status);
        let message = match (clean(&self.message), status.or(self.status), self.words.first()) {
            (message, ..) if !message.is_empty() => message,
            (_, _, Some(word)) => format!("The server's error is {}.", clean(word)),
            (_, Some(status), _) => format!("The server answered {status} without a reason."),
            _ => "The server told of an error without a reason.".to_owned(),
        };
        Fault { kind, message }
    }

    fn kind(&self, now: DateTime<Utc>, status: Option<u16>) -> FaultKind {
        let status = status.filter(|status| *status >= 400).or(self.status);
        let said = self.words.iter().find_map(|word| by_word(word));
        if self.is_bad_key() {
            return FaultKind::Authentication;
        }
        match said {
            Some(FaultKind::RateLimited { .. }) => self.limited(now),
            Some(FaultKind::QuotaUsedUp { .. }) => {
                FaultKind::QuotaUsedUp { resets_at: self.resets(now) }
            }
            // A wrong request stays wrong, whatever its error is called.
            Some(FaultKind::Transient)
                if status.is_some_and(is_final) || is_too_long(&self.message) =>
            {
                self.by_status(now, status)
            }
            Some(kind) => kind,
            None => self.by_status(now, status),
        }
    }

    fn by_status(&self, now: DateTime<Utc>, status: Option<u16>) -> FaultKind {
        match status {
            _ if is_too_long(&self.message) => FaultKind::ContextTooLong,
            Some(429) => self.limited(now),
            Some(status) => by_status(status),
            // The request had been taken, so it was not the request.
            None if self.words.iter().any(|word| word.starts_with("invalid")) => FaultKind::Refused,
            None => FaultKind::Transient,
        }
    }

    /// Google's quotas of a day have a limit of their own; no wait that it names is long enough.
    fn limited(&self, now: DateTime<Utc>) -> FaultKind {
        let violations = self.detail("QuotaFailure").and_then(|it| it.get("violations"));
        let violations = violations.and_then(Value::as_array).into_iter().flatten();
        let mut quotas =
            violations.filter_map(|it| text(it, "quotaId").or_else(|| text(it, "subject")));
        if quotas.any(|quota| quota.contains("PerDay")) {
            return FaultKind::QuotaUsedUp { resets_at: google_midnight(now) };
        }
        FaultKind::RateLimited { retry_at: self.resets(now) }
    }

    fn resets(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let delay = self.detail("RetryInfo").and_then(|it| seconds(text(it, "retryDelay")?));
        let delay = delay.or_else(|| self.resets_in.and_then(TimeDelta::try_seconds));
        self.resets_at.or_else(|| now.checked_add_signed(delay?))
    }

    fn detail(&self, kind: &str) -> Option<&Value> {
        self.details.iter().find(|it| text(it, "@type").is_some_and(|name| name.ends_with(kind)))
    }

    fn is_bad_key(&self) -> bool {
        let reason = self.detail("ErrorInfo").and_then(|it| text(it, "reason"));
        reason.is_some_and(|reason| reason.starts_with("API_KEY"))
    }
}

/// `message`; FastAPI's `detail`; or the error itself where it is only words.
fn message_of(error: &Value) -> String {
    let own = error.as_str().or_else(|| text(error, "message"));
    match (own, error.get("detail")) {
        (Some(own), _) => own.to_owned(),
        (None, Some(Value::String(detail))) => detail.clone(),
        (None, Some(detail)) => detail.to_string(),
        (None, None) => String::new(),
    }
}

fn by_status(status: u16) -> FaultKind {
    match status {
        401 | 403 | 407 => FaultKind::Authentication,
        // OpenRouter and DeepSeek: no credits.
        402 => FaultKind::QuotaUsedUp { resets_at: None },
        404 => FaultKind::NotFound,
        413 => FaultKind::ContextTooLong,
        429 => FaultKind::RateLimited { retry_at: None },
        status if is_final(status) => FaultKind::Refused,
        _ => FaultKind::Transient,
    }
}

/// Whether the same request can only fail again.
fn is_final(status: u16) -> bool {
    (400..500).contains(&status) && !matches!(status, 408 | 409 | 425 | 429)
}

/// `34.5s`, as Google writes durations.
fn seconds(text: &str) -> Option<TimeDelta> {
    let seconds: f64 = text.trim().strip_suffix('s')?.parse().ok()?;
    TimeDelta::try_milliseconds((seconds.clamp(0.0, 1e9) * 1000.0).ceil() as i64)
}

/// When Google's quotas of a day begin anew: midnight in California, which is never later than 8:00
/// UTC (<https://ai.google.dev/gemini-api/docs/rate-limits>).
fn google_midnight(now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let today = now.date_naive().and_time(NaiveTime::from_hms_opt(8, 0, 0)?).and_utc();
    if today > now { Some(today) } else { today.checked_add_days(Days::new(1)) }
}

/// The provider's words for a person: no keys, no control characters, not too many.
fn clean(message: &str) -> String {
    let mut words = String::new();
    for word in message.split_inclusive(|it: char| !is_of_a_key(it)) {
        let key = word.trim_end_matches(|it| !is_of_a_key(it));
        let rest = &word[key.len()..];
        words.push_str(if is_key(key) { "[key]" } else { key });
        words.extend(rest.chars().map(|it| if it.is_control() { ' ' } else { it }));
        if words.len() > MAX_MESSAGE {
            let most = MAX_MESSAGE - '…'.len_utf8();
            let end = (0..=most).rev().find(|end| words.is_char_boundary(*end));
            words.truncate(end.unwrap_or_default());
            words.push('…');
            break;
        }
    }
    words.trim().to_owned()
}

fn is_of_a_key(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || "-_*.".contains(letter)
}

/// How the keys of the known providers begin. Providers show keys with stars in them.
fn is_key(word: &str) -> bool {
    const BEGINNINGS: [&str; 9] =
        ["sk-", "AIza", "AQ.", "gsk_", "xai-", "ya29.", "sess-", "hf_", "r8_"];
    word.len() >= 8 && BEGINNINGS.iter().any(|it| word.starts_with(it))
}
