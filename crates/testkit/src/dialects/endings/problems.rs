//! HTTP errors in the providers' own shapes, with what they say about trying again.
//!
//! OpenAI: "Error codes" and "Rate limits" of its guides (`x-ratelimit-*` headers); Gemini:
//! "Troubleshooting" and google.rpc's error details (`RetryInfo`, `QuotaFailure`).

use serde_json::json;

use super::{
    super::{Answer, Dialect, Header, Item, Message, Oddity, Problem},
    BEGUN, DONE, Ending, Outcome, Seen, done, words,
};

pub fn endings(dialect: Dialect) -> Vec<Ending> {
    let mut all = refused(dialect);
    all.extend(passing(dialect));
    all.extend(rate_limited(dialect));
    all.extend(used_up(dialect));
    all.extend(in_stream(dialect));
    all
}

fn is_gemini(dialect: Dialect) -> bool {
    dialect == Dialect::Gemini
}

/// What no second try mends.
fn refused(dialect: Dialect) -> Vec<Ending> {
    let stops = |name, problem, outcome| {
        Ending::new(name, dialect, [Answer::Problem(problem)]).up_to(1).ends(outcome)
    };
    let (key, right, model, request) = if is_gemini(dialect) {
        (
            Problem::new(
                400,
                "INVALID_ARGUMENT",
                "API key not valid. Please pass a valid API key.",
            )
            .detail(json!({"@type": "type.googleapis.com/google.rpc.ErrorInfo",
                    "reason": "API_KEY_INVALID", "domain": "googleapis.com"})),
            Problem::new(403, "PERMISSION_DENIED", "The caller does not have permission"),
            Problem::new(404, "NOT_FOUND", "models/scripted is not found for API version v1beta"),
            Problem::new(400, "INVALID_ARGUMENT", "Request contains an invalid argument."),
        )
    } else {
        let kind = "invalid_request_error";
        (
            Problem::new(401, kind, "Incorrect API key provided: sk-x***y.")
                .code("invalid_api_key"),
            Problem::new(403, kind, "You have insufficient permissions for this operation."),
            Problem::new(404, kind, "The model `scripted` does not exist").code("model_not_found"),
            Problem::new(400, kind, "Invalid value for 'temperature'.").code("invalid_value"),
        )
    };
    let unauthenticated = match dialect {
        Dialect::Gemini => Problem::new(401, "UNAUTHENTICATED", "Request had invalid credentials."),
        _ => Problem::new(401, "invalid_request_error", "You didn't provide an API key."),
    };
    vec![
        stops("wrong key", key, Outcome::AuthenticationRequired),
        stops("401", unauthenticated, Outcome::AuthenticationRequired),
        stops("403", right, Outcome::AuthenticationRequired),
        stops("404 model", model, Outcome::Failed { says: "scripted" }),
        stops("400", request, Outcome::Failed { says: "invalid" }),
        too_long_once(dialect),
        Ending::new("context too long for ever", dialect, [Answer::Problem(too_long(dialect))])
            .up_to(4)
            .ends(Outcome::Failed { says: "" }),
    ]
}

fn too_long(dialect: Dialect) -> Problem {
    if is_gemini(dialect) {
        let message = "The input token count (1200000) exceeds the maximum number of tokens allowed \
                       (1048576).";
        return Problem::new(400, "INVALID_ARGUMENT", message);
    }
    let message = "Your input exceeds the context window of this model. Please adjust your input and \
                   try again.";
    Problem::new(400, "invalid_request_error", message).code("context_length_exceeded")
}

/// A client makes the conversation shorter: by a summary that it asks for, or by a cut.
fn too_long_once(dialect: Dialect) -> Ending {
    let answers = [Answer::Problem(too_long(dialect)), done()];
    Ending::new("context too long", dialect, answers).shows([Seen::Text(DONE)]).behind_a_step()
}

/// What passes.
fn passing(dialect: Dialect) -> Vec<Ending> {
    let named: [(&str, u16, &str); 8] = [
        ("408 once", 408, "DEADLINE_EXCEEDED"),
        ("409 once", 409, "ABORTED"),
        ("500 once", 500, "INTERNAL"),
        ("502 once", 502, "UNAVAILABLE"),
        ("503 once", 503, "UNAVAILABLE"),
        ("504 once", 504, "DEADLINE_EXCEEDED"),
        ("529 once", 529, "UNAVAILABLE"),
        ("429 once", 429, "RESOURCE_EXHAUSTED"),
    ];
    let problem = |status, status_name| match dialect {
        Dialect::Gemini => Problem::new(status, status_name, "The service is not well."),
        _ if status == 429 => rate_limit(dialect),
        _ => Problem::new(status, "server_error", "The server had an error."),
    };
    let once = |(name, status, status_name)| {
        Ending::new(name, dialect, [Answer::Problem(problem(status, status_name)), done()])
            .shows([Seen::Text(DONE)])
    };
    let mut all: Vec<Ending> = named.into_iter().map(once).collect();
    let gateway = Answer::Raw {
        status: 502,
        headers: vec![Header::is("content-type", "text/html")],
        body: b"<html><h1>502 Bad Gateway</h1></html>".to_vec(),
    };
    all.push(Ending::new("502 in HTML once", dialect, [gateway, done()]).shows([Seen::Text(DONE)]));
    let broken = Answer::Problem(problem(500, "INTERNAL"));
    let mut five = Ending::new("500 for ever", dialect, vec![broken; 2])
        .up_to(10)
        .ends(Outcome::Failed { says: "" });
    five.expect.requests = 2..=10;
    all.push(five);
    all
}

fn rate_limit(dialect: Dialect) -> Problem {
    if is_gemini(dialect) {
        let message = "Resource has been exhausted (e.g. check quota).";
        return Problem::new(429, "RESOURCE_EXHAUSTED", message);
    }
    let message = "Rate limit reached for scripted on requests per min (RPM).";
    Problem::new(429, "requests", message).code("rate_limit_exceeded")
}

fn rate_limited(dialect: Dialect) -> Vec<Ending> {
    let after = |name, problem: Problem, milliseconds| {
        Ending::new(name, dialect, [Answer::Problem(problem), done()])
            .waits(milliseconds)
            .shows([Seen::Text(DONE)])
    };
    let with = |header| rate_limit(dialect).header(header);
    let far = with(Header::is("retry-after", 7200));
    let maintained =
        Problem::new(503, "UNAVAILABLE", "Busy.").header(Header::is("retry-after", 3600));
    let mut all = vec![
        after("429, seconds", with(Header::is("retry-after", 1)), 1000),
        after("429, part of a second", with(Header::is("retry-after", "0.4")), 400),
        // A date has whole seconds: up to one less is left of it.
        after("429, date", with(Header::DateIn("retry-after", 2)), 900),
        after("429, date gone by", with(Header::is("retry-after", PAST)), 0),
        after("429, milliseconds", with(Header::is("retry-after-ms", 600)), 600),
        after("429, no number", with(Header::is("retry-after", "soon")), 0),
        after("503, seconds", Problem { status: 503, ..with(Header::is("retry-after", 1)) }, 1000),
        Ending::new("429, far away", dialect, [Answer::Problem(far)])
            .up_to(1)
            .ends(Outcome::RateLimited { resets_in: Some(7200) }),
        Ending::new("503, far away", dialect, [Answer::Problem(maintained)])
            .up_to(1)
            .ends(Outcome::RateLimited { resets_in: Some(3600) }),
    ];
    if is_gemini(dialect) {
        all.push(after("429, RetryInfo", rate_limit(dialect).detail(retry_info("1.2s")), 1200));
    } else {
        let none_left = with(Header::is("x-ratelimit-remaining-requests", 0));
        let reset = none_left.header(Header::is("x-ratelimit-reset-requests", "900ms"));
        all.push(after("429, reset of requests", reset, 900));
        let none_left = with(Header::is("x-ratelimit-remaining-tokens", 0));
        let reset = none_left.header(Header::is("x-ratelimit-reset-tokens", "1.1s"));
        all.push(after("429, reset of tokens", reset, 1100));
    }
    all
}

const PAST: &str = "Wed, 21 Oct 2015 07:28:00 GMT";

fn retry_info(delay: &str) -> serde_json::Value {
    json!({"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay})
}

/// No try helps.
fn used_up(dialect: Dialect) -> Vec<Ending> {
    let stops = |name, problem, resets_in| {
        Ending::new(name, dialect, [Answer::Problem(problem)])
            .up_to(1)
            .ends(Outcome::RateLimited { resets_in })
    };
    let message = "You exceeded your current quota, please check your plan and billing details.";
    if is_gemini(dialect) {
        let violation = json!({"quotaId": "GenerateRequestsPerDayPerProjectPerModel-FreeTier",
            "quotaMetric": "generativelanguage.googleapis.com/generate_content_free_tier_requests"});
        let failure = json!({"@type": "type.googleapis.com/google.rpc.QuotaFailure",
            "violations": [violation]});
        let quota = Problem::new(429, "RESOURCE_EXHAUSTED", message).detail(failure);
        let far = rate_limit(dialect).detail(retry_info("35000s"));
        return vec![
            stops("quota used up", quota.clone(), None),
            // The delay is the one of the minute's limit: it does not bring the day's quota back.
            stops("quota of the day with a short delay", quota.detail(retry_info("12s")), None),
            stops("429, RetryInfo far away", far, Some(35_000)),
        ];
    }
    let quota = Problem::new(429, "insufficient_quota", message).code("insufficient_quota");
    let reset = quota.clone().header(Header::is("retry-after", 35_000));
    vec![stops("quota used up", quota, None), stops("quota with reset", reset, Some(35_000))]
}

/// A stream that begins well and then says an error.
fn in_stream(dialect: Dialect) -> Vec<Ending> {
    let (overloaded, server) = if is_gemini(dialect) {
        (
            Problem::new(503, "UNAVAILABLE", "The model is overloaded. Please try again later."),
            Problem::new(500, "INTERNAL", "An internal error has occurred."),
        )
    } else {
        (
            Problem::new(503, "server_error", "Our servers are currently overloaded.")
                .code("server_is_overloaded"),
            Problem::new(500, "server_error", "An error occurred while processing your request.")
                .code("server_error"),
        )
    };
    let once = |name, after, problem| {
        let first = Answer::Oddly(thoughtful(), Oddity::ProblemAfter(after, problem));
        Ending::new(name, dialect, [first, done()]).shows([Seen::Text(DONE)])
    };
    let before_text = if is_gemini(dialect) { 0 } else { 1 };
    let mut overloaded_after_text =
        once("overloaded after text", in_text(dialect), overloaded.clone());
    overloaded_after_text.expect.events.insert(0, Seen::Begun(BEGUN));
    let too_long = once("context too long in the stream", before_text, too_long(dialect));
    let too_long = too_long.behind_a_step();
    vec![
        once("overloaded in the stream", before_text, overloaded),
        once("rate limit in the stream", before_text, rate_limit(dialect)),
        once("server error in the stream", before_text, server),
        overloaded_after_text,
        too_long,
    ]
}

/// How many events there are up to the second piece of the words.
fn in_text(dialect: Dialect) -> usize {
    match dialect {
        Dialect::Responses => 12,
        Dialect::Chat => 4,
        Dialect::Gemini => 3,
    }
}

/// One piece of thoughts, then the words.
fn thoughtful() -> Message {
    let mut message = words();
    message.items.insert(0, Item::think("Hm."));
    message
}
