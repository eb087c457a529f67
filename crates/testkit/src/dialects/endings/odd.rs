//! What happens to bytes and connections on their way, and what is unusual and right.

use std::time::Duration;

use super::{
    super::{Answer, Dialect, Header, Oddity},
    BEGUN, DONE, Ending, Outcome, Seen, WORDS, done, words,
};

pub fn endings(dialect: Dialect) -> Vec<Ending> {
    let mut all = broken(dialect);
    all.extend(said_whole(dialect));
    all.extend(wrong(dialect));
    all.extend(unusual(dialect));
    all
}

/// How many events come before the first piece of the words.
fn before_text(dialect: Dialect) -> usize {
    match dialect {
        Dialect::Responses => 4,
        Dialect::Chat => 1,
        Dialect::Gemini => 0,
    }
}

/// The connection fails, and then it does not.
fn broken(dialect: Dialect) -> Vec<Ending> {
    let first =
        |name, answer| Ending::new(name, dialect, [answer, done()]).shows([Seen::Text(DONE)]);
    let before = |name, oddity| first(name, Answer::Oddly(words(), oddity));
    let after = |name, oddity| {
        Ending::new(name, dialect, [Answer::Oddly(words(), oddity), done()])
            .shows([Seen::Begun(BEGUN), Seen::Text(DONE)])
    };
    let start = before_text(dialect);
    let in_text = start + 2;
    let mut all = vec![
        first("reset before the headers", Answer::Reset),
        first("stall before the headers", Answer::Stall),
        before("reset before the text", Oddity::ResetAfter(start)),
        before("stall before the text", Oddity::StallAfter(start)),
        after("reset after text", Oddity::ResetAfter(in_text)),
        after("stall between bytes", Oddity::StallAfter(in_text)),
        after("no final event", Oddity::EndAfter(in_text)),
        after("half a chunk", Oddity::HalfChunkAfter(in_text)),
        after("invalid UTF-8", Oddity::InvalidUtf8After(in_text)),
    ];
    // Where the text comes first, this is nothing with 200.
    if start > 0 {
        all.push(before("end before the text", Oddity::EndAfter(start)));
    }
    all
}

/// The reason for the end was said: what goes wrong behind it takes nothing back.
fn said_whole(dialect: Dialect) -> Vec<Ending> {
    let odd = |name, oddity| {
        Ending::new(name, dialect, [Answer::Oddly(words(), oddity)]).shows([Seen::Text(WORDS)])
    };
    let mut all = vec![odd("reset behind it all", Oddity::ResetBefore(0))];
    all.push(odd("silence behind it all", Oddity::StallBefore(0)));
    if dialect == Dialect::Chat {
        all.push(odd("reset before [DONE]", Oddity::ResetBefore(1)));
        all.push(odd("reset before the usage", Oddity::ResetBefore(2)));
        all.push(odd("silence before [DONE]", Oddity::StallBefore(1)));
        all.push(odd("silence before the usage", Oddity::StallBefore(2)));
        all.push(odd("comments before [DONE]", Oddity::CommentsBefore(1)));
    }
    all
}

/// Answers that are none.
fn wrong(dialect: Dialect) -> Vec<Ending> {
    let stops = |name, answer| {
        Ending::new(name, dialect, [answer]).up_to(10).ends(Outcome::Failed { says: "" })
    };
    let raw = |status, kind: &str, body: &str| Answer::Raw {
        status,
        headers: vec![Header::is("content-type", kind)],
        body: body.into(),
    };
    let elsewhere = Answer::Raw {
        status: 307,
        headers: vec![Header::is("location", "http://elsewhere.invalid/v1/take-the-key")],
        body: Vec::new(),
    };
    vec![
        stops(
            "HTML with 200",
            raw(200, "text/html", "<html>Sign in to the hotel's network</html>"),
        ),
        stops("JSON with 200", raw(200, "application/json", "{\"status\":\"fine\"}")),
        stops("nothing with 200", raw(200, "text/event-stream", "")).up_to(1),
        stops(
            "HTML as events",
            raw(200, "text/event-stream", "\n<html>\n<p>Sign in</p>\n</html>\n"),
        )
        .up_to(1),
        stops("no JSON in the events", raw(200, "text/event-stream", "data: {oops\n\n")),
        stops(
            "an event without end",
            Answer::Oddly(words(), Oddity::FloodAfter(before_text(dialect), 100_000_000)),
        ),
        stops("redirect to another host", elsewhere).up_to(1),
    ]
}

/// What a reader of event streams has to take.
fn unusual(dialect: Dialect) -> Vec<Ending> {
    let odd = |name, oddity| {
        Ending::new(name, dialect, [Answer::Oddly(words(), oddity)]).shows([Seen::Text(WORDS)])
    };
    let gzip = Ending::new("gzip unasked", dialect, [Answer::Oddly(words(), Oddity::Gzip)])
        .up_to(10)
        .ends(Outcome::CompletedOrFailed);
    vec![
        odd("unknown events", Oddity::UnknownEvents),
        odd("final events twice", Oddity::EndsTwice),
        odd("data after the end", Oddity::TextAfterTheEnd),
        odd("CRLF", Oddity::CrLf),
        odd("comments", Oddity::Comments),
        odd("byte order mark", Oddity::Bom),
        odd("several data lines", Oddity::ManyDataLines),
        odd("byte by byte", Oddity::Bytewise),
        odd("slowly", Oddity::Slowly(Duration::from_millis(30))),
        gzip,
    ]
}
