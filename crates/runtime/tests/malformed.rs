//! Twenty good lines around one bad one: every good one must be kept, and the bad one readable.
//! And: where a stream is cut changes nothing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use musher_protocol::AgentEvent;
use musher_runtime::{
    Sourced,
    claude::decode::{Decoder, DecoderConfig},
};
use proptest::prelude::*;

/// A bad line, and what of it must be readable in an event afterwards (`None`: it carries nothing).
type Bad = (&'static str, Vec<u8>, Option<String>);

fn bad_lines() -> Vec<Bad> {
    [bad_words(), bad_bytes()].concat()
}

fn bad_words() -> Vec<Bad> {
    let text =
        |name, line: &str, kept: &str| (name, line.as_bytes().to_vec(), Some(kept.to_owned()));
    let nothing = |name, line: &str| (name, line.as_bytes().to_vec(), None);
    let deep = format!("{{\"type\":\"x\",\"deep\":{}1{}}}", "[".repeat(5000), "]".repeat(5000));
    let long = format!("{{\"type\":\"novel\",\"text\":\"{}\"}}", "long ".repeat(1 << 20));
    vec![
        text("not JSON", "Warning: something else prints here", "something else"),
        nothing("blank", ""),
        nothing("white space", " \t "),
        nothing("terminal reset", "\u{1b}[?25h\u{1b}[0m"),
        text("ANSI colours in text", "\u{1b}[31mred alarm\u{1b}[0m", "red alarm"),
        text("ANSI around JSON", &format!("\u{1b}[2K{}\u{1b}[0m", good(77)), "good 77"),
        text("NUL before JSON", &format!("\0{}", good(78)), "good 78"),
        text("NUL inside", "{\"type\":\"no\0body\"}", "body"),
        text("bare null", "null", "null"),
        text("bare number", "42", "42"),
        text("bare string", "\"just words\"", "just words"),
        text("array", "[{\"type\":\"assistant\"}]", "assistant"),
        text("truncated", "{\"type\":\"assistant\",\"message\":{\"id\":\"cut o", "cut o"),
        text("double keys", "{\"type\":\"result\",\"type\":\"twice\"}", "twice"),
        text("deep nesting", &deep, "deep"),
        text("huge number", "{\"type\":\"result\",\"subtype\":\"success\",\"n\":1e9999}", "1e9999"),
        text("half a surrogate", &good(79).replace("good", "\\ud83e good"), "\u{fffd} good 79"),
        text("CRLF", &format!("{}\r", good(80)), "good 80"),
        text("byte order mark", &format!("\u{feff}{}", good(81)), "good 81"),
        text("two objects", &format!("{}{}", good(82), good(83)), "good 83"),
        text("no type", "{\"message\":\"typeless\"}", "typeless"),
        text("type of another type", "{\"type\":17}", "17"),
        text("unheard type", "{\"type\":\"hologram\",\"beam\":1}", "hologram"),
        text(
            "wrong fields",
            "{\"type\":\"assistant\",\"message\":{\"id\":1,\"content\":\"odd\"}}",
            "odd",
        ),
        text("content of numbers", "{\"type\":\"user\",\"message\":{\"content\":[1,2,3]}}", "3"),
        text("request without body", "{\"type\":\"control_request\",\"request_id\":\"r9\"}", "r9"),
        text("result without subtype", "{\"type\":\"result\",\"is_error\":\"maybe\"}", "maybe"),
        text("5 MiB", &long, "long long"),
        text("closing brace alone", "}", "}"),
        text("echoed key", &format!("^C{}", good(84)), "good 84"),
    ]
}

/// Those that are no text.
fn bad_bytes() -> Vec<Bad> {
    vec![
        ("invalid UTF-8 text", b"caf\xe9 au lait".to_vec(), Some("au lait".into())),
        (
            "invalid UTF-8 in JSON",
            good(85).into_bytes().into_iter().chain(*b"\xff").collect(),
            Some("good 85".into()),
        ),
        ("a cut character", b"\xf0\x9f\xa6".to_vec(), Some("\u{fffd}".into())),
        ("random bytes", (0..=255).filter(|b| *b != b'\n').collect(), Some("ABC".into())),
    ]
}

fn good(number: u32) -> String {
    format!(
        r#"{{"type":"assistant","message":{{"id":"m{number}","content":[{{"type":"text","text":"good {number}"}}]}},"parent_tool_use_id":null}}"#
    )
}

fn decode(chunks: &[&[u8]]) -> Vec<Sourced> {
    let mut decoder = Decoder::new(DecoderConfig::default());
    let mut events = Vec::new();
    for chunk in chunks {
        events.extend(decoder.feed(chunk).events);
    }
    events.extend(decoder.finish().events);
    events
}

fn is_good(event: &AgentEvent, number: u32) -> bool {
    matches!(event, AgentEvent::Text { text, .. } if *text == format!("good {number}"))
}

#[test]
fn good_lines_survive_every_bad_one() {
    for (name, bad, kept) in bad_lines() {
        let mut stream = Vec::new();
        for number in 0..20 {
            if number == 10 {
                stream.extend_from_slice(&bad);
                stream.push(b'\n');
            }
            stream.extend_from_slice(good(number).as_bytes());
            stream.push(b'\n');
        }
        let events = decode(&[&stream]);
        let mut rest = events.iter();
        for number in 0..20 {
            assert!(rest.any(|it| is_good(&it.event, number)), "{name}: line {number} is lost");
        }
        let others: Vec<_> = events
            .iter()
            .filter(|it| !(0..20).any(|number| is_good(&it.event, number)))
            .map(|it| serde_json::to_value(&it.event).unwrap())
            .collect();
        match kept {
            Some(kept) => assert!(readable(&others, &kept), "{name}: not kept in {others:?}"),
            None => assert!(others.is_empty(), "{name}: {others:?}"),
        }
    }
}

/// Whether a person can read this somewhere in the events.
fn readable(events: &[serde_json::Value], kept: &str) -> bool {
    events.iter().any(|event| match event {
        serde_json::Value::String(text) => text.contains(kept),
        serde_json::Value::Array(list) => readable(list, kept),
        serde_json::Value::Object(map) => map
            .iter()
            .any(|(key, value)| key.contains(kept) || readable(std::slice::from_ref(value), kept)),
        other => format!("{other}") == kept,
    })
}

#[test]
fn a_half_line_at_the_end_is_kept() {
    let stream = format!("{}\n{{\"type\":\"assistant\",\"mess", good(1));
    let events = decode(&[stream.as_bytes()]);
    assert!(is_good(&events[0].event, 1));
    let AgentEvent::Notice { text, .. } = &events[1].event else { panic!("{events:?}") };
    assert!(text.ends_with("\"mess"));
    assert_eq!(events[1].spool, Some(stream.len() as u64));
}

#[test]
fn an_overlong_line_is_told_once_and_the_stream_goes_on() {
    let mut decoder = Decoder::new(DecoderConfig::default());
    let mut events = Vec::new();
    let piece = vec![b'x'; 1 << 20];
    for _ in 0..40 {
        events.extend(decoder.feed(&piece).events);
    }
    events.extend(decoder.feed(format!("\n{}\n", good(1)).as_bytes()).events);
    let [told, after] = events.as_slice() else { panic!("{events:?}") };
    assert!(matches!(&told.event, AgentEvent::Error { code, .. } if code == "line_too_long"));
    assert!(is_good(&after.event, 1));
    assert_eq!(after.spool, Some((40 << 20) + 2 + good(1).len() as u64));
}

/// A stream with everything in it: multi-byte text, pieces, several events a line, bad lines.
fn mixed_stream() -> Vec<u8> {
    let mut stream =
        include_bytes!("fixtures/claude/agentic_partial.jsonl").split_inclusive(|b| *b == b'\n');
    let mut mixed = Vec::new();
    for (name, bad, _) in bad_lines() {
        if bad.len() < 10_000 && name != "deep nesting" {
            mixed.extend_from_slice(stream.next().unwrap_or_default());
            mixed.extend_from_slice(&bad);
            mixed.push(b'\n');
        }
    }
    mixed.extend(stream.flatten());
    mixed.extend_from_slice("the end, without a line feed: 你好 🦀".as_bytes());
    mixed
}

#[test]
fn a_cut_at_any_byte_changes_nothing() {
    let recorded = include_bytes!("fixtures/claude/agentic_partial.jsonl");
    let mut stream: Vec<u8> =
        recorded.split_inclusive(|b| *b == b'\n').skip(2).take(10).flatten().copied().collect();
    for (_, bad, _) in bad_lines().into_iter().filter(|(_, bad, _)| bad.len() < 80) {
        stream.extend_from_slice(&bad);
        stream.extend_from_slice(b"\r\n");
    }
    stream.extend_from_slice("the end, without a line feed: 你好 🦀".as_bytes());
    let whole = decode(&[&stream]);
    assert!(whole.len() > 15, "{}", whole.len());
    for cut in 0..=stream.len() {
        let (head, tail) = stream.split_at(cut);
        assert_eq!(decode(&[head, tail]), whole, "cut at {cut}");
    }
}

#[test]
fn a_decoder_restored_from_its_checkpoint_goes_on_as_if_never_stopped() {
    let stream = mixed_stream();
    let whole = decode(&[&stream]);
    for cut in (0..=stream.len()).step_by(97) {
        let mut first = Decoder::new(DecoderConfig::default());
        let mut events = first.feed(&stream[..cut]).events;
        let (offset, state) = first.checkpoint();
        let stored = serde_json::to_vec(&state).unwrap();
        let state = serde_json::from_slice(&stored).unwrap();
        let mut second = Decoder::restore(DecoderConfig::default(), offset, state);
        events.extend(second.feed(&stream[offset as usize..]).events);
        events.extend(second.finish().events);
        assert_eq!(events, whole, "restored at {offset}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

    #[test]
    fn any_chunks_give_the_same_events(sizes in prop::collection::vec(1usize..400, 1..200)) {
        let stream = mixed_stream();
        let mut chunks = Vec::new();
        let mut rest = stream.as_slice();
        for size in sizes {
            let (head, tail) = rest.split_at(size.min(rest.len()));
            chunks.push(head);
            rest = tail;
        }
        chunks.push(rest);
        prop_assert_eq!(decode(&chunks), decode(&[&stream]));
    }

    #[test]
    fn no_bytes_panic_and_events_can_be_stored(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        for sourced in decode(&[&bytes]) {
            let stored = serde_json::to_string(&sourced.event).unwrap();
            prop_assert!(serde_json::from_str::<AgentEvent>(&stored).is_ok());
        }
    }

    /// JSON-like noise gets deeper than plain noise.
    #[test]
    fn no_mutation_of_a_good_stream_panics(
        at in 0usize..20_000,
        with in prop::collection::vec(any::<u8>(), 0..8),
        gone in 0usize..40,
    ) {
        let mut stream = include_bytes!("fixtures/claude/ctl_plan_file.jsonl").to_vec();
        let at = at % stream.len();
        let to = (at + gone).min(stream.len());
        stream.splice(at..to, with);
        for sourced in decode(&[&stream]) {
            let stored = serde_json::to_string(&sourced.event).unwrap();
            prop_assert!(serde_json::from_str::<AgentEvent>(&stored).is_ok());
        }
    }
}

/// Not a pass or fail: `cargo test --release -p musher-runtime --test malformed -- --ignored --nocapture`
/// prints what a line costs.
#[test]
#[ignore = "a measurement"]
fn cost_of_a_line() {
    let delta = |n: usize| {
        format!(
            r#"{{"type":"stream_event","event":{{"type":"content_block_delta","index":0,"delta":{{"type":"text_delta","text":"{n} words of the agent, some of them ünïcødé 你好, about as long as they come in a piece of text"}}}},"session_id":"1a36caec-fb71-4f3b-b38c-53bfb219b11c","parent_tool_use_id":null,"uuid":"fd0117e2-ff3e-4a0d-8838-f53fed34d489","api_message_id":"msg_01ABCDEFGHIJKLMNOPQRSTUV"}}"#
        )
    };
    let whole = |n: usize| {
        format!(
            r#"{{"type":"assistant","message":{{"id":"msg_{n}","type":"message","role":"assistant","model":"claude-opus-5-5","content":[{{"type":"text","text":"{}"}}],"stop_reason":null,"usage":{{"input_tokens":120,"cache_creation_input_tokens":3000,"cache_read_input_tokens":20000,"output_tokens":1}}}},"parent_tool_use_id":null,"session_id":"1a36caec-fb71-4f3b-b38c-53bfb219b11c","uuid":"fd0117e2-ff3e-4a0d-8838-f53fed34d489"}}"#,
            "word ".repeat(20)
        )
    };
    let call = |n: usize| {
        format!(
            r#"{{"type":"assistant","message":{{"id":"msg_{n}","type":"message","role":"assistant","model":"claude-opus-5-5","content":[{{"type":"tool_use","id":"toolu_{n}","name":"Bash","input":{{"command":"cargo test --workspace","description":"{}"}}}}],"stop_reason":null}},"parent_tool_use_id":null,"session_id":"1a36caec-fb71-4f3b-b38c-53bfb219b11c"}}"#,
            "word ".repeat(20)
        )
    };
    measure("delta", &delta);
    measure("text", &whole);
    measure("tool call", &call);
}

fn measure(name: &str, line: &dyn Fn(usize) -> String) {
    const LINES: usize = 100_000;
    let stream: String = (0..LINES).map(|n| line(n) + "\n").collect();
    let begun = cpu_ticks();
    let mut events = 0;
    for _ in 0..10 {
        let mut decoder = Decoder::new(DecoderConfig::default());
        for chunk in stream.as_bytes().chunks(64 << 10) {
            events += decoder.feed(chunk).events.len();
        }
    }
    let each = (cpu_ticks() - begun) * 10_000_000 / (10 * LINES);
    println!("{name}: {events} events of {} B, {each} ns of CPU a line", stream.len() / LINES);
}

/// CPU time of this process in hundredths of a second (`man 5 proc_pid_stat`, fields 14 and 15).
fn cpu_ticks() -> usize {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields = stat.rsplit(')').next().unwrap().split_whitespace();
    fields.skip(11).take(2).map(|ticks| ticks.parse::<usize>().unwrap()).sum()
}
