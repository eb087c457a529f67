//! Keys that a server repeats in whatever it says: none of it reaches an event.

use musher_protocol::*;
use musher_runtime::RuntimeKind;
use musher_testkit::dialects::{
    Answer, Dialect, Header, Item, Message, Oddity, Problem, Script, ScriptedEndpoint,
};
use secrecy::SecretString;

use super::harness::*;

each_dialect! { no_event_holds_a_key }

/// Of no shape that providers' keys have.
const STORED: &str = "canary+stored/4b1d9e77";
const NAMED: &str = "canary+named/91ac03d5";
const HEADER: &str = "canary+header/7730ffe2";

fn echoes() -> Vec<Answer> {
    let said = format!("You sent `Bearer {STORED}`, x-goog-api-key={NAMED} and {HEADER}.");
    let problem = |status, kind| Problem::new(status, kind, said.clone());
    let raw = |status, headers, body: String| Answer::Raw { status, headers, body: body.into() };
    let html = format!("<html>{}{said}</html>", "x".repeat(100));
    // A key that the cut of a long message goes through.
    let long = "y".repeat(2048 - 20 - 12) + &said;
    let kind = Header::is("content-type", format!("text/plain; was=\"{said}\""));
    let words = || Message::new([Item::text(&"Some words before it. ".repeat(20))]);
    let mut all = vec![
        Answer::Problem(problem(401, "UNAUTHENTICATED")),
        Answer::Problem(problem(400, "INVALID_ARGUMENT")),
        Answer::Problem(problem(503, "UNAVAILABLE").header(Header::is("retry-after", "0"))),
        Answer::Problem(Problem::new(429, "RESOURCE_EXHAUSTED", long).code("insufficient_quota")),
        raw(500, vec![], said.clone()),
        raw(400, vec![], html),
        raw(200, vec![kind], said.clone()),
        raw(
            302,
            vec![Header::is("location", format!("http://example.com/{STORED}"))],
            said.clone(),
        ),
    ];
    for kind in ["INVALID_ARGUMENT", "invalid_request_error"] {
        all.push(Answer::Oddly(words(), Oddity::ProblemAfter(3, problem(400, kind))));
    }
    all
}

async fn no_event_holds_a_key(dialect: Dialect) {
    for named in [None, Some(NAMED)] {
        for (at, answer) in echoes().into_iter().enumerate() {
            let endpoint = ScriptedEndpoint::start(dialect, Script::repeating([answer])).unwrap();
            let mut setup = Setup::new(&endpoint).key(Some(STORED));
            let variable =
                if dialect == Dialect::Gemini { "GEMINI_API_KEY" } else { "OPENAI_API_KEY" };
            if let Some(named) = named {
                setup.context.secrets.insert(variable.into(), SecretString::from(named.to_owned()));
            }
            setup.context.endpoint.headers.insert("x-proxy-token".into(), HEADER.into());
            let info = serde_json::to_string(&setup.kind().detect("").await).unwrap();
            let over = setup.start().finish().await;
            let sent = format!("{:?}", endpoint.turns()[0].headers);
            let used = [named.unwrap_or(STORED), HEADER];
            assert!(used.iter().all(|key| sent.contains(key)), "it was not sent: {sent}");
            let all = serde_json::to_string(&over.events).unwrap()
                + &serde_json::to_string(&over.result).unwrap()
                + &format!("{:?}{info}", over.result);
            // A key that was not sent is not known, so nobody can see that it is one.
            let leaked: Vec<&str> = used.into_iter().filter(|key| all.contains(key)).collect();
            assert!(leaked.is_empty(), "answer {at} of {named:?} tells {leaked:?}: {all}");
            assert!(!over.events.is_empty() && over.result.outcome != RunOutcome::Completed);
        }
    }
}
