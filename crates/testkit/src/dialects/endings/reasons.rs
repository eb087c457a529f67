//! Answers that came whole: what the model said, and the reason that the provider gave for its end.

use super::{
    super::{Answer, Dialect, Item, Message},
    DONE, Ending, Outcome, Seen, WORDS, call, done, reads, words,
};

pub fn endings(dialect: Dialect) -> Vec<Ending> {
    let mut all = vec![
        Ending::new("says something", dialect, [Answer::Says(words())]).shows([Seen::Text(WORDS)]),
        thinks(dialect),
        without_usage(dialect),
        calls(dialect),
        parallel_calls(dialect),
        empty_once(dialect),
        Ending::new("empty for ever", dialect, [Answer::says([])])
            .up_to(3)
            .ends(Outcome::Failed { says: "" }),
    ];
    all.extend(bad_calls(dialect));
    all.extend(match dialect {
        Dialect::Responses => of_responses(),
        Dialect::Chat => of_chat(),
        Dialect::Gemini => of_gemini(),
    });
    all
}

fn thinks(dialect: Dialect) -> Ending {
    let message = Message::new([Item::think("Let me see."), Item::text(WORDS)]);
    Ending::new("thinks and says", dialect, [Answer::Says(message)])
        .shows([Seen::Thinking("Let me see."), Seen::Text(WORDS)])
}

fn without_usage(dialect: Dialect) -> Ending {
    let message = Message { usage: None, ..words() };
    Ending::new("without usage", dialect, [Answer::Says(message)]).shows([Seen::Text(WORDS)])
}

fn calls(dialect: Dialect) -> Ending {
    let first = Answer::says([Item::think("I need the notes."), Item::text(WORDS), reads()]);
    let events = [Seen::Text(WORDS), Seen::Call("read_file"), Seen::Text(DONE)];
    Ending::new("calls a tool", dialect, [first, done()]).shows(events)
}

fn parallel_calls(dialect: Dialect) -> Ending {
    let first = Answer::says([Item::think("All three at once."), reads(), reads(), reads()]);
    let call = Seen::Call("read_file");
    Ending::new("calls in parallel", dialect, [first, done()]).shows([
        call,
        call,
        call,
        Seen::Text(DONE),
    ])
}

fn empty_once(dialect: Dialect) -> Ending {
    Ending::new("empty once", dialect, [Answer::says([]), done()]).shows([Seen::Text(DONE)])
}

/// The fault goes back to the model as the call's result.
fn bad_calls(dialect: Dialect) -> Vec<Ending> {
    let bad = |name, tool, arguments| {
        Ending::new(name, dialect, [Answer::says([call(tool, arguments)]), done()])
            .shows([Seen::CallFailed, Seen::Text(DONE)])
    };
    let mut all = vec![
        bad("arguments are no object", "read_file", "[\"README.md\"]"),
        bad("arguments lack a field", "read_file", "{}"),
        bad("unknown tool", "no_such_tool", "{\"path\":\"README.md\"}"),
    ];
    if dialect != Dialect::Gemini {
        all.push(bad("arguments are broken JSON", "read_file", "{\"path\": \"READ"));
        all.push(bad("arguments are empty", "read_file", ""));
    }
    all
}

/// A reason that ends the run, however often it is asked.
fn stops(name: &'static str, dialect: Dialect, message: Message, says: &'static str) -> Ending {
    Ending::new(name, dialect, [Answer::Says(message)]).up_to(3).ends(Outcome::Failed { says })
}

fn of_responses() -> Vec<Ending> {
    let dialect = Dialect::Responses;
    let refusal = Message::new([Item::Refuse("I cannot help with that.".to_owned())]);
    let failed = |code| Answer::Says(Message::new([]).ending(code));
    let once =
        |name, code| Ending::new(name, dialect, [failed(code), done()]).shows([Seen::Text(DONE)]);
    let too_long = once("failed: context too long", "failed:context_length_exceeded");
    let too_long = too_long.behind_a_step();
    vec![
        stops("refusal", dialect, refusal, "cannot help"),
        stops("length", dialect, words().ending("max_output_tokens"), "long")
            .shows([Seen::Text(WORDS)]),
        stops("content filter", dialect, words().ending("content_filter"), "content_filter"),
        stops("unknown reason", dialect, words().ending("mood"), "mood"),
        stops("cancelled by the provider", dialect, Message::new([]).ending("cancelled"), ""),
        length_in_thoughts(),
        once("failed: server error", "failed:server_error"),
        once("failed: rate limit", "failed:rate_limit_exceeded"),
        too_long,
        Ending::new("failed: quota", dialect, [failed("failed:insufficient_quota")])
            .up_to(1)
            .ends(Outcome::RateLimited { resets_in: None }),
    ]
}

/// Reasoning without what belongs to it: must not be repeated in the next request.
fn length_in_thoughts() -> Ending {
    let message = Message::new([Item::think("So much to think about")]).ending("max_output_tokens");
    stops("length in its thoughts", Dialect::Responses, message, "long")
}

fn of_chat() -> Vec<Ending> {
    let dialect = Dialect::Chat;
    let refusal = Message::new([Item::Refuse("I cannot help with that.".to_owned())]);
    let stopped = |reason| Answer::Says(Message::new([reads()]).ending(reason));
    let calls_anyway = [Seen::Call("read_file"), Seen::Text(DONE)];
    vec![
        stops("refusal", dialect, refusal, "cannot help"),
        stops("length", dialect, words().ending("length"), "long").shows([Seen::Text(WORDS)]),
        stops("content filter", dialect, words().ending("content_filter"), "content_filter"),
        stops("unknown reason", dialect, words().ending("mood"), "mood"),
        stops("length in its thoughts", dialect, thoughts().ending("length"), "long"),
        // Compatible servers say `stop` where OpenAI says `tool_calls`.
        Ending::new("calls, ending as stop", dialect, [stopped("stop"), done()])
            .shows(calls_anyway),
        Ending::new("calls, ending as function_call", dialect, [stopped("function_call"), done()])
            .shows(calls_anyway),
    ]
}

fn thoughts() -> Message {
    Message::new([Item::think("So much to think about")])
}

/// `FinishReason` and `BlockReason` of Google's API reference.
fn of_gemini() -> Vec<Ending> {
    let dialect = Dialect::Gemini;
    let named = [
        ("refusal", "SAFETY"),
        ("content filter", "PROHIBITED_CONTENT"),
        ("recitation", "RECITATION"),
        ("language", "LANGUAGE"),
        ("blocklist", "BLOCKLIST"),
        ("personal data", "SPII"),
        ("other reason", "OTHER"),
        ("unknown reason", "MOOD"),
        ("too many tool calls", "TOO_MANY_TOOL_CALLS"),
        ("image safety", "IMAGE_SAFETY"),
    ];
    let blocked = [
        ("prompt blocked for safety", "block:SAFETY", "SAFETY"),
        ("prompt blocked as prohibited", "block:PROHIBITED_CONTENT", "PROHIBITED_CONTENT"),
    ];
    let mut all: Vec<Ending> = named
        .into_iter()
        .map(|(name, reason)| stops(name, dialect, Message::new([]).ending(reason), reason))
        .collect();
    all.extend(
        blocked.into_iter().map(|(name, reason, says)| {
            stops(name, dialect, Message::new([]).ending(reason), says)
        }),
    );
    all.push(
        stops("length", dialect, words().ending("MAX_TOKENS"), "long").shows([Seen::Text(WORDS)]),
    );
    all.push(stops("length in its thoughts", dialect, thoughts().ending("MAX_TOKENS"), "long"));
    all.extend(
        ["MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "MALFORMED_RESPONSE"].map(again),
    );
    all.push(
        stops(
            "malformed for ever",
            dialect,
            Message::new([]).ending("MALFORMED_FUNCTION_CALL"),
            "",
        )
        .up_to(3),
    );
    all.push(calls_without_ids());
    all
}

/// Worth a second try.
fn again(reason: &'static str) -> Ending {
    let first = Answer::Says(Message::new([]).ending(reason));
    Ending::new(reason, Dialect::Gemini, [first, done()]).shows([Seen::Text(DONE)])
}

fn calls_without_ids() -> Ending {
    let first = Message { call_ids: false, ..Message::new([reads(), reads()]) };
    Ending::new("calls without ids", Dialect::Gemini, [Answer::Says(first), done()]).shows([
        Seen::Call("read_file"),
        Seen::Call("read_file"),
        Seen::Text(DONE),
    ])
}
