//! What errors mean, as the providers write them.

use chrono::{DateTime, TimeDelta, Utc};
use musher_runtime::model::{
    codec::{Dialect, FaultKind},
    faults::{fault, fault_at},
};
use proptest::prelude::*;
use serde_json::{Value, json};

const LIMITED: FaultKind = FaultKind::RateLimited { retry_at: None };
const USED_UP: FaultKind = FaultKind::QuotaUsedUp { resets_at: None };

fn now() -> DateTime<Utc> {
    "2026-11-22T12:00:00Z".parse().unwrap()
}

fn kind(dialect: Dialect, status: Option<u16>, body: &Value) -> FaultKind {
    fault_at(now(), dialect, status, &body.to_string()).kind
}

fn openai(kind: &str, code: Value, message: &str) -> Value {
    json!({ "error": { "message": message, "type": kind, "param": null, "code": code } })
}

#[test]
fn openai_s_errors() {
    let request = "invalid_request_error";
    for (status, error, wanted) in [
        (401, openai(request, "invalid_api_key".into(), "x"), FaultKind::Authentication),
        (403, openai(request, Value::Null, "x"), FaultKind::Authentication),
        (404, openai(request, "model_not_found".into(), "x"), FaultKind::NotFound),
        (400, openai(request, "model_not_found".into(), "x"), FaultKind::NotFound),
        (400, openai(request, "context_length_exceeded".into(), "x"), FaultKind::ContextTooLong),
        (400, openai(request, "unsupported_value".into(), "x"), FaultKind::Refused),
        (429, openai("requests", "rate_limit_exceeded".into(), "x"), LIMITED),
        (429, openai("insufficient_quota", "insufficient_quota".into(), "x"), USED_UP),
        (429, openai("insufficient_quota", Value::Null, "x"), USED_UP),
        (429, json!({}), LIMITED),
        (402, json!({ "error": { "message": "x", "code": 402 } }), USED_UP),
        (500, openai("server_error", Value::Null, "x"), FaultKind::Transient),
        (503, openai("server_error", "slow_down".into(), "x"), FaultKind::Transient),
        (408, json!({}), FaultKind::Transient),
        (409, json!({}), FaultKind::Transient),
        (413, json!({}), FaultKind::ContextTooLong),
        (422, json!({ "detail": [{ "msg": "field required" }] }), FaultKind::Refused),
        // What an error is called does not make a wrong request right.
        (400, openai("server_error", Value::Null, "x"), FaultKind::Refused),
    ] {
        for dialect in [Dialect::OpenAiResponses, Dialect::OpenAiChat] {
            assert_eq!(kind(dialect, Some(status), &error), wanted, "{status} {error}");
        }
    }
}

#[test]
fn a_subscription_s_limit_says_when_it_is_over() {
    let at = now() + TimeDelta::seconds(90);
    for member in [json!({ "resets_at": at.timestamp() }), json!({ "resets_in_seconds": 90 })] {
        let mut error = openai("usage_limit_reached", Value::Null, "x");
        error["error"].as_object_mut().unwrap().extend(member.as_object().unwrap().clone());
        let wanted = FaultKind::QuotaUsedUp { resets_at: Some(at) };
        assert_eq!(kind(Dialect::OpenAiResponses, Some(429), &error), wanted);
    }
}

fn google(code: u16, status: &str, details: Value) -> Value {
    json!({ "error": { "code": code, "message": "Said.", "status": status, "details": details } })
}

fn detail(kind: &str, members: Value) -> Value {
    let mut detail = members;
    detail["@type"] = format!("type.googleapis.com/google.rpc.{kind}").into();
    detail
}

#[test]
fn google_s_errors() {
    let bad_key = detail("ErrorInfo", json!({ "reason": "API_KEY_INVALID" }));
    for (status, error, wanted) in [
        (400, google(400, "INVALID_ARGUMENT", json!([bad_key])), FaultKind::Authentication),
        (400, google(400, "INVALID_ARGUMENT", json!([])), FaultKind::Refused),
        (400, google(400, "FAILED_PRECONDITION", json!([])), FaultKind::Refused),
        (401, google(401, "UNAUTHENTICATED", json!([])), FaultKind::Authentication),
        (403, google(403, "PERMISSION_DENIED", json!([])), FaultKind::Authentication),
        (404, google(404, "NOT_FOUND", json!([])), FaultKind::NotFound),
        (429, google(429, "RESOURCE_EXHAUSTED", json!([])), LIMITED),
        (499, google(499, "CANCELLED", json!([])), FaultKind::Refused),
        (500, google(500, "INTERNAL", json!([])), FaultKind::Transient),
        (503, google(503, "UNAVAILABLE", json!([])), FaultKind::Transient),
        (504, google(504, "DEADLINE_EXCEEDED", json!([])), FaultKind::Transient),
    ] {
        assert_eq!(kind(Dialect::Gemini, Some(status), &error), wanted, "{error}");
        // The error says its status itself, also where there is none.
        assert_eq!(kind(Dialect::Gemini, None, &json!([error])), wanted, "{error}");
    }
}

#[test]
fn google_s_quotas_say_how_long() {
    let retry = detail("RetryInfo", json!({ "retryDelay": "34.5s" }));
    let quota = |id: &str| detail("QuotaFailure", json!({ "violations": [{ "quotaId": id }] }));
    let kind = |details: Value| {
        kind(Dialect::Gemini, Some(429), &google(429, "RESOURCE_EXHAUSTED", details))
    };
    let minute = quota("GenerateRequestsPerMinutePerProjectPerModel-FreeTier");
    let at = now() + TimeDelta::milliseconds(34_500);
    assert_eq!(kind(json!([minute, retry])), FaultKind::RateLimited { retry_at: Some(at) });
    let day = quota("GenerateRequestsPerDayPerProjectPerModel-FreeTier");
    let midnight = "2026-11-23T08:00:00Z".parse().unwrap();
    assert_eq!(kind(json!([retry, day])), FaultKind::QuotaUsedUp { resets_at: Some(midnight) });
    for odd in ["soon", "-5s", "1e400s", "NaNs", ""] {
        let retry = detail("RetryInfo", json!({ "retryDelay": odd }));
        assert!(matches!(kind(json!([retry])), FaultKind::RateLimited { .. }), "{odd}");
    }
}

#[test]
fn anthropic_s_errors() {
    for (status, name, wanted) in [
        (529, "overloaded_error", FaultKind::Transient),
        (500, "api_error", FaultKind::Transient),
        (429, "rate_limit_error", LIMITED),
        (401, "authentication_error", FaultKind::Authentication),
        (403, "permission_error", FaultKind::Authentication),
        (404, "not_found_error", FaultKind::NotFound),
        (413, "request_too_large", FaultKind::ContextTooLong),
        (400, "invalid_request_error", FaultKind::Refused),
    ] {
        let error = json!({ "type": "error", "error": { "type": name, "message": "x" } });
        assert_eq!(kind(Dialect::OpenAiChat, Some(status), &error), wanted, "{name}");
        assert_eq!(kind(Dialect::OpenAiChat, None, &error), wanted, "{name} in a stream");
    }
    assert_eq!(fault(Dialect::OpenAiChat, Some(529), "Overloaded").kind, FaultKind::Transient);
}

#[test]
fn local_servers_say_only_in_words_that_it_is_too_long() {
    for (status, body) in [
        // llama.cpp, of late with a type of its own.
        (
            400,
            r#"{"error":{"code":400,"message":"the request exceeds the available context size. try increasing the context size","type":"invalid_request_error"}}"#,
        ),
        (
            400,
            r#"{"error":{"code":400,"message":"x","type":"exceed_context_size_error","n_ctx":4096}}"#,
        ),
        // vLLM, before and after it put errors into `error`.
        (
            400,
            r#"{"object":"error","message":"This model's maximum context length is 4096 tokens. However, you requested 5000 tokens.","type":"BadRequestError","code":400}"#,
        ),
        (
            400,
            r#"{"error":{"message":"This model's maximum context length is 4096 tokens.","type":"BadRequestError","code":400}}"#,
        ),
        // Ollama.
        (400, r#"{"error":"the input length exceeds the context length"}"#),
        (
            500,
            r#"{"error":{"message":"input length exceeds maximum context length","type":"api_error"}}"#,
        ),
        // LM Studio.
        (
            400,
            r#"{"error":"Trying to keep the first 9000 tokens when context the overflows. However, the model is loaded with context length of only 4096 tokens"}"#,
        ),
        // Gemini, and Anthropic behind a proxy.
        (
            400,
            r#"{"error":{"code":400,"message":"The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).","status":"INVALID_ARGUMENT"}}"#,
        ),
        (400, "prompt is too long: 212345 tokens > 200000 maximum"),
    ] {
        for dialect in Dialect::ALL {
            assert_eq!(
                fault(dialect, Some(status), body).kind,
                FaultKind::ContextTooLong,
                "{body}"
            );
        }
    }
    let other = r#"{"error":"model \"context\" not found, try pulling it first"}"#;
    assert_eq!(fault(Dialect::OpenAiChat, Some(404), other).kind, FaultKind::NotFound);
}

#[test]
fn errors_in_all_shapes_say_their_words() {
    for body in [
        r#"{"error":"Said."}"#,
        r#"{"error":{"message":"Said."}}"#,
        r#"{"message":"Said."}"#,
        r#"{"detail":"Said."}"#,
        r#"[{"error":{"message":"Said."}}]"#,
        r#"{"type":"response.failed","response":{"error":{"message":"Said."}}}"#,
        r#""Said.""#,
        "\u{feff}{\"error\":\"Said.\"}",
    ] {
        let fault = fault(Dialect::OpenAiChat, Some(400), body);
        assert_eq!((fault.message.as_str(), fault.kind), ("Said.", FaultKind::Refused), "{body}");
    }
    let silent = fault(Dialect::OpenAiChat, Some(500), "{}");
    assert_eq!(silent.message, "The server answered 500 without a reason.");
    let word = fault(Dialect::OpenAiChat, Some(400), r#"{"error":{"code":"x_y"}}"#);
    assert_eq!(word.message, "The server's error is x_y.");
}

#[test]
fn what_is_no_answer_is_told_as_what_it_is() {
    for (status, body, kind, message) in [
        (
            Some(200),
            "<!doctype html><p>Hi",
            FaultKind::Refused,
            "The server answered with a web page; openai-chat is not spoken at this address.",
        ),
        (
            Some(502),
            " <html><h1>502",
            FaultKind::Transient,
            "The server answered 502 with a web page.",
        ),
        (Some(404), "<html>", FaultKind::NotFound, "The server answered 404 with a web page."),
        (
            Some(403),
            "<html>",
            FaultKind::Authentication,
            "The server answered 403 with a web page.",
        ),
        (
            Some(200),
            r#"{"choices":[{"del"#,
            FaultKind::Transient,
            "The server's answer ends in the middle.",
        ),
        (Some(200), "", FaultKind::Transient, "The server answered 200 and said nothing."),
        (None, "", FaultKind::Transient, "The server said nothing."),
        (Some(200), "hello", FaultKind::Refused, "The server's answer is not openai-chat: hello"),
        (
            Some(503),
            "no available server",
            FaultKind::Transient,
            "The server answered 503: no available server",
        ),
        (
            Some(404),
            "404 page not found",
            FaultKind::NotFound,
            "The server answered 404: 404 page not found",
        ),
        (Some(500), "", FaultKind::Transient, "The server answered 500 and said nothing."),
    ] {
        let fault = fault(Dialect::OpenAiChat, status, body);
        assert_eq!((fault.kind, fault.message.as_str()), (kind, message), "{body}");
    }
}

#[test]
fn keys_are_not_repeated() {
    for (said, shown) in [
        (
            "Incorrect API key provided: sk-abc****wxyz. See",
            "Incorrect API key provided: [key] See",
        ),
        ("key=AIzaSyA1234567890abcdef&x", "key=[key]&x"),
        ("'sk-proj-a_b-c123' is", "'[key]' is"),
        ("Bearer gsk_0123456789", "Bearer [key]"),
        ("a risk-free task-list", "a risk-free task-list"),
    ] {
        let body = openai("x", Value::Null, said).to_string();
        assert_eq!(fault(Dialect::OpenAiChat, Some(401), &body).message, shown);
    }
}

#[test]
fn words_are_clean_and_not_too_many() {
    let body = openai("x", Value::Null, &format!("a\u{1b}[31m\nb{}", "ü".repeat(5000))).to_string();
    let message = fault(Dialect::OpenAiChat, Some(400), &body).message;
    assert!(message.starts_with("a [31m b"), "{message}");
    assert!(message.len() <= 2048 && message.ends_with('…'));
    let plain = fault(Dialect::OpenAiChat, Some(400), &"x ".repeat(100_000));
    assert!(plain.message.len() <= 2048);
}

proptest! {
    #[test]
    fn no_body_breaks_it(body in "\\PC{0,80}", status in prop::option::of(any::<u16>())) {
        for dialect in Dialect::ALL {
            let fault = fault(dialect, status, &body);
            prop_assert!(!fault.message.is_empty() && fault.message.len() <= 2048);
        }
    }

    #[test]
    fn no_error_breaks_it(
        error in super::answers::junk(),
        status in prop::option::of(400u16..600),
    ) {
        for body in [error.clone(), json!({ "error": error })] {
            let fault = fault(Dialect::Gemini, status, &body.to_string());
            prop_assert!(!fault.message.is_empty());
        }
    }
}
