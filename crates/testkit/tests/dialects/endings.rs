//! The endings: how many there are, and that each oddity does to a client what its name says.

use std::{collections::BTreeSet, time::Duration};

use futures::StreamExt;
use musher_testkit::dialects::{
    Answer, Dialect, Ending, Header, Item, Message, Oddity, Problem, ScriptedEndpoint, endings,
};

use crate::client::{body, request, says};

#[test]
fn there_are_forty_for_each_dialect_with_different_names() {
    for dialect in Dialect::ALL {
        let of_it: Vec<Ending> = endings().into_iter().filter(|it| it.dialect == dialect).collect();
        assert!(of_it.len() >= 40, "{dialect:?}: {}", of_it.len());
        let names: BTreeSet<&str> = of_it.iter().map(|ending| ending.name).collect();
        assert_eq!(names.len(), of_it.len(), "{dialect:?}: names");
        for ending in of_it {
            let requests = &ending.expect.requests;
            assert!(requests.start() <= requests.end(), "{}", ending.name);
            assert!(ending.repeats || ending.answers.len() >= *requests.end(), "{}", ending.name);
        }
    }
}

/// Only where silence is right: elsewhere it is a failure.
const STALLED: Duration = Duration::from_secs(2);

/// Every answer of every ending can be given to a correct request.
#[tokio::test]
async fn all_can_be_played() {
    for ending in endings() {
        let endpoint = ScriptedEndpoint::start(ending.dialect, ending.script()).unwrap();
        let body = body(ending.dialect, &[says(ending.dialect, "go")]);
        for answer in &ending.answers {
            let sent = request(&endpoint, &body).timeout(STALLED).send().await;
            let head = sent.map(|response| response.status().as_u16());
            match answer {
                Answer::Reset | Answer::Stall => assert!(head.is_err(), "{}", ending.name),
                Answer::Problem(Problem { status, .. }) | Answer::Raw { status, .. } => {
                    assert_eq!(head.unwrap(), *status, "{}", ending.name);
                }
                _ => assert_eq!(head.unwrap(), 200, "{}", ending.name),
            }
        }
        endpoint.check().unwrap();
        assert_eq!(endpoint.turns().len(), ending.answers.len());
    }
}

/// What came, and whether it came to its end.
async fn bytes(dialect: Dialect, answer: Answer) -> (Vec<u8>, bool) {
    let endpoint = ScriptedEndpoint::start(dialect, [answer]).unwrap();
    let body = body(dialect, &[says(dialect, "go")]);
    let Ok(response) = request(&endpoint, &body).send().await else { return (Vec::new(), false) };
    endpoint.check().unwrap();
    let mut stream = response.bytes_stream();
    let mut got = Vec::new();
    while let Ok(next) = tokio::time::timeout(Duration::from_secs(2), stream.next()).await {
        match next {
            Some(Ok(more)) => got.extend(more),
            Some(Err(_)) => return (got, false),
            None => return (got, true),
        }
    }
    (got, false)
}

fn message() -> Message {
    Message::new([Item::text("Some words that come in several pieces.")])
}

async fn odd(oddity: Oddity) -> (Vec<u8>, bool) {
    bytes(Dialect::Chat, Answer::Oddly(message(), oddity)).await
}

fn count(bytes: &[u8], what: &str) -> usize {
    String::from_utf8_lossy(bytes).matches(what).count()
}

#[tokio::test]
async fn what_breaks_off() {
    for answer in [Answer::Reset] {
        assert_eq!(bytes(Dialect::Chat, answer).await, (Vec::new(), false));
    }
    for oddity in [Oddity::ResetAfter(3), Oddity::HalfChunkAfter(3), Oddity::StallAfter(3)] {
        let (got, ended) = odd(oddity.clone()).await;
        assert!(!ended, "{oddity:?}");
        // Half of an event is more than none and less than one.
        assert_eq!(count(&got, "\n\n"), 3, "{oddity:?}");
    }
    let (got, ended) = odd(Oddity::EndAfter(3)).await;
    assert!(ended && count(&got, "\n\n") == 3 && count(&got, "[DONE]") == 0);
}

#[tokio::test]
async fn silence_before_the_headers() {
    let endpoint = ScriptedEndpoint::start(Dialect::Chat, [Answer::Stall]).unwrap();
    let body = body(Dialect::Chat, &[says(Dialect::Chat, "go")]);
    let sent = request(&endpoint, &body).timeout(Duration::from_millis(300)).send().await;
    assert!(sent.unwrap_err().is_timeout());
}

#[tokio::test]
async fn bytes_that_are_odd() {
    let (got, _) = odd(Oddity::InvalidUtf8After(2)).await;
    assert!(String::from_utf8(got).is_err());
    let (got, _) = odd(Oddity::CrLf).await;
    assert_eq!(count(&got, "\n"), count(&got, "\r\n"));
    let (got, _) = odd(Oddity::Bom).await;
    assert!(got.starts_with("\u{feff}data".as_bytes()));
    let (got, _) = odd(Oddity::Gzip).await;
    assert_eq!(got[..2], [0x1f, 0x8b]);
    let (got, ended) = odd(Oddity::FloodAfter(1, 1_000_000)).await;
    assert!(ended && got.len() > 1_000_000 && count(&got, "\n\n") == 1);
}

#[tokio::test]
async fn events_that_are_odd() {
    let (plain, _) = bytes(Dialect::Chat, Answer::Says(message())).await;
    let events = count(&plain, "data: ");
    let (got, _) = odd(Oddity::UnknownEvents).await;
    assert_eq!(count(&got, "data: "), events * 2);
    let (got, _) = odd(Oddity::Comments).await;
    assert_eq!((count(&got, "data: "), count(&got, "OPENROUTER")), (events, events));
    let (got, _) = odd(Oddity::EndsTwice).await;
    assert_eq!(count(&got, "[DONE]"), 2);
    let (got, _) = odd(Oddity::ManyDataLines).await;
    assert!(count(&got, "data: ") > events * 3 && count(&got, "\n\n") == events);
    let (got, ended) = odd(Oddity::TextAfterTheEnd).await;
    assert!(!ended && count(&got, "too late") == 1);
    let (got, _) = odd(Oddity::Bytewise).await;
    assert_eq!(count(&got, "data: "), events);
}

#[tokio::test]
async fn errors_in_a_stream() {
    let problem = Problem::new(503, "UNAVAILABLE", "overloaded");
    for dialect in Dialect::ALL {
        let oddity = Oddity::ProblemAfter(1, problem.clone());
        let (got, ended) = bytes(dialect, Answer::Oddly(message(), oddity)).await;
        let text = String::from_utf8(got).unwrap();
        let last = text.trim_end().lines().last().unwrap().strip_prefix("data: ").unwrap();
        let last: serde_json::Value = serde_json::from_str(last).unwrap();
        assert!(ended);
        assert_eq!(last["error"]["message"], "overloaded");
    }
}

#[tokio::test]
async fn headers_of_problems() {
    let problem = Problem::new(429, "requests", "slower")
        .header(Header::is("retry-after-ms", 5))
        .header(Header::DateIn("retry-after", 60));
    let endpoint = ScriptedEndpoint::start(Dialect::Chat, [Answer::Problem(problem)]).unwrap();
    let body = body(Dialect::Chat, &[says(Dialect::Chat, "go")]);
    let response = request(&endpoint, &body).send().await.unwrap();
    assert_eq!(response.status(), 429);
    assert_eq!(response.headers()["retry-after-ms"], "5");
    let date = response.headers()["retry-after"].to_str().unwrap();
    assert!(date.ends_with(" GMT") && date.len() == 29, "{date}");
}
