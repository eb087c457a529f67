//! What a person may wish of an endpoint: headers of their own, an account, how long the model thinks
//! and how long it answers. A refusal is one sentence with the next step; it holds no header's value.

use std::collections::{BTreeMap, BTreeSet};

use musher_protocol::{Effort, EndpointSettings};
use reqwest::header::{HeaderName, HeaderValue};

use super::codec::Dialect;

/// More of one header, or more headers, no server takes.
const MOST_HEADERS: usize = 32;
const MOST_BYTES: usize = 8 << 10;

/// OpenAI takes no less (`max_output_tokens`, API reference, November 2026); no model answers with more
/// than the other.
const FEWEST_TOKENS: u32 = 16;
const MOST_TOKENS: u32 = 2_000_000;

/// What opens an endpoint, and what each request says of itself, is not a person's to set.
const TAKEN: &[&str] = &[
    "accept",
    "accept-encoding",
    "authorization",
    "connection",
    "cookie",
    "expect",
    "host",
    "keep-alive",
    "proxy-authorization",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "x-api-key",
    "x-goog-api-key",
];

/// How a model is to answer. What is sent is what was wished: a model that cannot is refused by its
/// provider, in the provider's words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Manner {
    pub effort: Option<Effort>,
    pub max_tokens: Option<u32>,
    /// The server is this machine's own.
    pub is_local: bool,
}

/// # Errors
/// For the first header that cannot be sent, or must not be.
pub fn check_headers(headers: &BTreeMap<String, String>) -> Result<(), String> {
    if headers.len() > MOST_HEADERS {
        return Err(format!("More than {MOST_HEADERS} headers are too many: leave some out."));
    }
    let mut seen = BTreeSet::new();
    for (name, value) in headers {
        let lower = name.to_ascii_lowercase();
        check_name(name, &lower)?;
        check_value(name, value)?;
        if !seen.insert(lower) {
            return Err(format!("The header {name} is there twice: give it once."));
        }
    }
    Ok(())
}

fn check_name(name: &str, lower: &str) -> Result<(), String> {
    // A wrong name may be a value in the wrong place, so it is not repeated.
    if HeaderName::from_bytes(name.as_bytes()).is_err() || name.len() > 128 {
        return Err("A header's name has only letters, digits and signs like `-`: write it as \
                    `Name: value`."
            .to_owned());
    }
    if TAKEN.contains(&lower) || lower.starts_with("content-") {
        return Err(format!(
            "The header {name} is Musher's own to send: leave it out, and keep a key with `musher keys`."
        ));
    }
    Ok(())
}

fn check_value(name: &str, value: &str) -> Result<(), String> {
    let fits = !value.trim().is_empty() && value.len() <= MOST_BYTES && value.is_ascii();
    if fits && HeaderValue::from_str(value).is_ok() {
        return Ok(());
    }
    Err(format!(
        "The value of the header {name} cannot be sent: give one line of plain ASCII, at most 8 kB."
    ))
}

/// The rest of what is wished, for one dialect.
pub(super) fn check(dialect: Dialect, wanted: &EndpointSettings) -> Result<(), String> {
    check_headers(&wanted.headers)?;
    let accounts = [
        ("organization", wanted.organization.as_deref(), "org-abc123"),
        ("project of the account", wanted.account_project.as_deref(), "proj_abc123"),
    ];
    for (what, id, example) in accounts {
        let Some(id) = id else { continue };
        if dialect == Dialect::Gemini {
            return Err(format!("Gemini knows no {what}: leave it out."));
        }
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        if id.is_empty() || id.len() > 128 || !id.bytes().all(plain) {
            return Err(format!("That is no {what}: copy its id, which looks like {example}."));
        }
    }
    match wanted.max_answer_tokens {
        Some(tokens) if !(FEWEST_TOKENS..=MOST_TOKENS).contains(&tokens) => Err(format!(
            "A longest answer of {tokens} makes no sense: give {FEWEST_TOKENS} to {MOST_TOKENS}, \
             or leave the limit out."
        )),
        _ => Ok(()),
    }
}

/// The dialects' word.
pub(super) fn word(effort: Effort) -> &'static str {
    match effort {
        Effort::Low => "low",
        Effort::Medium => "medium",
        Effort::High => "high",
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const CANARY: &str = "canary-61f0";

    fn refused(name: &str, value: &str) -> String {
        check_headers(&[(name.to_owned(), value.to_owned())].into()).unwrap_err()
    }

    #[test]
    fn headers_that_are_musher_s_own_are_refused_and_keys_named() {
        for name in [
            "Authorization",
            "x-api-key",
            "X-Goog-Api-Key",
            "HOST",
            "Content-Type",
            "content-length",
        ] {
            let why = refused(name, CANARY);
            assert!(why.contains("`musher keys`") && why.contains(name), "{why}");
            assert!(!why.contains(CANARY));
        }
        let fine = [("X-Title", "Musher"), ("api-key", "k"), ("OpenAI-Beta", "a=1; b")];
        let fine = fine.map(|(name, value)| (name.to_owned(), value.to_owned()));
        check_headers(&fine.into()).unwrap();
    }

    #[test]
    fn nonsense_is_refused_and_never_repeated() {
        for value in ["", " ", "a\nb", "kéy", "\0", &"x".repeat(9000)] {
            let why = refused("x-title", value);
            assert!(why.contains("x-title") && why.contains("one line"), "{why}");
        }
        let swapped = format!("{CANARY} of mine");
        assert!(!refused(&swapped, "x").contains(CANARY));
        let twice = [("X-A".to_owned(), "1".to_owned()), ("x-a".to_owned(), "2".to_owned())];
        assert!(check_headers(&twice.into()).unwrap_err().contains("twice"));
    }

    #[test]
    fn accounts_are_openai_s_and_limits_are_sane() {
        let of = |organization: &str| EndpointSettings {
            organization: Some(organization.to_owned()),
            ..EndpointSettings::default()
        };
        check(Dialect::OpenAiChat, &of("org-abc")).unwrap();
        assert!(check(Dialect::Gemini, &of("org-abc")).unwrap_err().contains("leave it out"));
        assert!(check(Dialect::OpenAiResponses, &of("my org")).is_err());
        for (tokens, fits) in
            [(0, false), (15, false), (16, true), (64_000, true), (3_000_000, false)]
        {
            let max_answer_tokens = Some(tokens);
            let wanted = EndpointSettings { max_answer_tokens, ..EndpointSettings::default() };
            assert_eq!(check(Dialect::OpenAiChat, &wanted).is_ok(), fits, "{tokens}");
        }
    }
}
