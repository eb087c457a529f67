//! Events as bytes, with whatever oddity the script wants.

use std::time::Duration;

use super::{Dialect, Event, answer::Oddity, http::Act};

/// Comments, and events without data. More of them than any test waits for.
const COMMENT: &str = ": keep-alive\n\nevent: ping\nid: 7\n\n";
const COMMENTS: usize = 300;
const BETWEEN_COMMENTS: Duration = Duration::from_millis(300);

/// The acts that send these events. The last `ending` of them end the message.
pub fn acts(dialect: Dialect, events: Vec<Event>, oddity: Option<&Oddity>) -> Vec<Act> {
    let Some(oddity) = oddity else { return each(&events, frame) };
    match oddity {
        Oddity::Slowly(pause) => slowly(&events, *pause),
        Oddity::ResetAfter(count) => broken(&events, *count, [Act::Reset]),
        Oddity::EndAfter(count) => broken(&events, *count, []),
        Oddity::StallAfter(count) => broken(&events, *count, [Act::Stall]),
        Oddity::ResetBefore(last) => broken(&events, all_but(*last, &events), [Act::Reset]),
        Oddity::StallBefore(last) => broken(&events, all_but(*last, &events), [Act::Stall]),
        Oddity::CommentsBefore(last) => broken(&events, all_but(*last, &events), comments()),
        Oddity::HalfChunkAfter(count) => {
            let half = events.get(*count).map(frame).unwrap_or_default();
            broken(&events, *count, [Act::HalfChunk(half[..half.len() / 2].to_vec())])
        }
        Oddity::FloodAfter(count, size) => {
            let begin = Act::Bytes(b"data: {\"type\":\"flood\",\"text\":\"".to_vec());
            broken(&events, *count, [begin, Act::Flood(*size)])
        }
        Oddity::InvalidUtf8After(count) => {
            let bytes = Act::Bytes(b"data: {\"text\":\"\xff\xfe\xc3\x28\"}\n\n".to_vec());
            let mut acts = broken(&events, *count, [bytes]);
            acts.extend(each(&events[(*count).min(events.len())..], frame));
            acts
        }
        Oddity::ProblemAfter(count, problem) => {
            let event = Act::Bytes(frame(&dialect.problem_event(problem)));
            broken(&events, *count, [event])
        }
        Oddity::UnknownEvents => each(&among(events, unknown), frame),
        Oddity::EndsTwice => each(&ends_twice(dialect, events), frame),
        Oddity::TextAfterTheEnd => text_after_the_end(&events),
        Oddity::Gzip => vec![Act::Bytes(gzip(&events.iter().flat_map(frame).collect::<Vec<_>>()))],
        Oddity::CrLf => each(&events, |event| with_crlf(&frame(event))),
        Oddity::Comments => each(&events, commented),
        Oddity::Bom => {
            let mut acts = vec![Act::Bytes("\u{feff}".into())];
            acts.extend(each(&events, frame));
            acts
        }
        Oddity::ManyDataLines => each(&events, many_data_lines),
        Oddity::Bytewise => {
            let bytes = events.iter().flat_map(frame);
            bytes.map(|byte| Act::Bytes(vec![byte])).collect()
        }
    }
}

fn each(events: &[Event], frame: impl Fn(&Event) -> Vec<u8>) -> Vec<Act> {
    events.iter().map(|event| Act::Bytes(frame(event))).collect()
}

fn frame(event: &Event) -> Vec<u8> {
    let name = event.name.as_ref().map(|name| format!("event: {name}\n")).unwrap_or_default();
    format!("{name}data: {}\n\n", event.data).into_bytes()
}

fn slowly(events: &[Event], pause: Duration) -> Vec<Act> {
    let acts = each(events, frame).into_iter();
    acts.flat_map(|act| [Act::Pause(pause), act]).collect()
}

fn broken(events: &[Event], count: usize, then: impl IntoIterator<Item = Act>) -> Vec<Act> {
    let mut acts = each(&events[..count.min(events.len())], frame);
    acts.extend(then);
    acts
}

fn all_but(last: usize, events: &[Event]) -> usize {
    events.len().saturating_sub(last)
}

fn comments() -> impl Iterator<Item = Act> {
    let comments = std::iter::repeat_n(COMMENT, COMMENTS);
    comments.flat_map(|it| [Act::Pause(BETWEEN_COMMENTS), Act::Bytes(it.into())])
}

fn among(events: Vec<Event>, other: impl Fn(usize) -> Event) -> Vec<Event> {
    let with = |(at, event)| [other(at), event];
    events.into_iter().enumerate().flat_map(with).collect()
}

/// Alternately a type that nobody knows, and JSON without a type.
fn unknown(at: usize) -> Event {
    let data = if at.is_multiple_of(2) {
        serde_json::json!({"type": "response.mood.delta", "delta": "cheerful", "sequence_number": at})
    } else {
        serde_json::json!({"keepalive": at})
    };
    Event::named(&data)
}

/// How many events at the end say that it is the end.
fn ending(dialect: Dialect) -> usize {
    match dialect {
        Dialect::Responses | Dialect::Gemini => 1,
        // The reason, the usage, `[DONE]`.
        Dialect::Chat => 3,
    }
}

fn ends_twice(dialect: Dialect, mut events: Vec<Event>) -> Vec<Event> {
    let from = events.len().saturating_sub(ending(dialect));
    events.extend_from_within(from..);
    events
}

/// The first event that shows text comes once more, behind the end.
fn text_after_the_end(events: &[Event]) -> Vec<Act> {
    let mut acts = each(events, frame);
    acts.push(Act::Bytes(b"data: {\"this\": \"comes too late\"}\n\n".to_vec()));
    acts.push(Act::Stall);
    acts
}

fn with_crlf(bytes: &[u8]) -> Vec<u8> {
    String::from_utf8_lossy(bytes).replace('\n', "\r\n").into_bytes()
}

fn commented(event: &Event) -> Vec<u8> {
    let mut bytes = b": OPENROUTER PROCESSING\n\n:\n\nretry: 3000\nid: 7\n\n".to_vec();
    bytes.extend(frame(event));
    bytes
}

/// A reader joins `data` lines with newlines, which JSON allows between its tokens.
fn many_data_lines(event: &Event) -> Vec<u8> {
    let pretty = serde_json::from_str(&event.data)
        .and_then(|value: serde_json::Value| serde_json::to_string_pretty(&value));
    let event = Event { name: event.name.clone(), data: pretty.unwrap_or(event.data.clone()) };
    String::from_utf8_lossy(&frame(&event))
        .trim_end()
        .lines()
        .map(|line| match line.starts_with("event:") || line.starts_with("data:") {
            true => format!("{line}\n"),
            false => format!("data: {line}\n"),
        })
        .chain(["\n".to_owned()])
        .collect::<String>()
        .into_bytes()
}

/// Gzip that stores (RFC 1951, 3.2.4; RFC 1952): right for every reader, and no compression needed.
pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    let blocks: Vec<&[u8]> = bytes.chunks(65_535).collect();
    for (at, block) in blocks.iter().enumerate() {
        let length = u16::try_from(block.len()).unwrap_or(u16::MAX);
        out.push(u8::from(at + 1 == blocks.len()));
        out.extend(length.to_le_bytes());
        out.extend((!length).to_le_bytes());
        out.extend_from_slice(block);
    }
    out.extend(crc32(bytes).to_le_bytes());
    out.extend(u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes());
    out
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg())
        })
    })
}
