//! The words that are known.

use super::FaultKind;

/// What a code, a type or a status means, in small letters.
const WORDS: [(&[&str], FaultKind); 7] = [
    (
        &[
            "context_length_exceeded",
            "context_window_exceeded",
            "exceed_context_size_error",
            "model_max_prompt_tokens_exceeded",
            "request_too_large",
        ],
        FaultKind::ContextTooLong,
    ),
    (
        &[
            "billing_error",
            "billing_hard_limit_reached",
            "billing_not_active",
            "insufficient_balance",
            "insufficient_credits",
            "insufficient_quota",
            "usage_limit_reached",
        ],
        FaultKind::QuotaUsedUp { resets_at: None },
    ),
    (
        &["rate_limit_error", "rate_limit_exceeded", "resource_exhausted", "too_many_requests"],
        FaultKind::RateLimited { retry_at: None },
    ),
    (
        &[
            "account_deactivated",
            "authentication_error",
            "incorrect_api_key",
            "invalid_api_key",
            "invalid_organization",
            "permission_denied",
            "permission_error",
            "token_expired",
            "unauthenticated",
            "unauthorized",
            "usage_not_included",
        ],
        FaultKind::Authentication,
    ),
    (&["model_not_found", "not_found", "not_found_error"], FaultKind::NotFound),
    (
        &[
            "aborted",
            "api_error",
            "cancelled",
            "deadline_exceeded",
            "engine_overloaded",
            "engine_overloaded_error",
            "internal",
            "internal_error",
            "internal_server_error",
            "overloaded_error",
            "server_error",
            "server_is_overloaded",
            "server_overloaded",
            "service_unavailable",
            "service_unavailable_error",
            "slow_down",
            "timeout",
            "timeout_error",
            "unavailable",
            "unavailable_error",
            "vector_store_timeout",
        ],
        FaultKind::Transient,
    ),
    (
        &[
            "bio_policy",
            "content_filter",
            "content_policy_violation",
            "failed_precondition",
            "invalid_prompt",
            "misalignment_policy_violation",
            "unimplemented",
        ],
        FaultKind::Refused,
    ),
];

pub fn by_word(word: &str) -> Option<FaultKind> {
    WORDS.iter().find(|(words, _)| words.contains(&word)).map(|(_, kind)| *kind)
}

/// Words of vLLM, OpenRouter and most proxies; llama.cpp; Ollama; LM Studio; Gemini; Anthropic.
pub fn is_too_long(message: &str) -> bool {
    const SAYINGS: [&[&str]; 8] = [
        &["maximum context length"],
        &["exceeds the available context size"],
        &["exceeds", "context length"],
        &["exceeds", "context window"],
        &["context length of only"],
        &["context the overflows"],
        &["token count", "exceeds the maximum number of tokens"],
        &["prompt is too long"],
    ];
    let message = message.to_ascii_lowercase();
    SAYINGS.iter().any(|words| words.iter().all(|word| message.contains(word)))
}
