//! Lines in bulk: the generator of the road benchmark, and the malformed lines.
//!
//! A generator cycles through ready-made lines and only writes digits into them, so that the reader
//! is what a benchmark measures. Shapes and sizes follow a recorded stream of Claude Code 2.1.330 with
//! partial messages: mostly text deltas, at times a whole block, a tool use and its result; about 500
//! bytes a line, four words of a hundred outside ASCII. Each line carries the nanoseconds of its
//! sending since 1970 behind `sent:`.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

/// Good lines around the malformed ones.
pub const GOOD_LINES: u64 = 20;

/// Stand where the number of the cycle and the time are written: same length as what replaces them.
const CYCLE: &str = "@cycle@@";
const STAMP: &str = "@nanoseconds@@since@";
/// A message of the stream: start, block start, deltas, whole block, block stop; tool use, result.
const DELTAS: usize = 40;
const MESSAGES: usize = 16;

/// When pouring is enough.
#[derive(Clone, Copy, Debug)]
pub enum Until {
    Lines(u64),
    Bytes(u64),
}

pub fn until_lines(lines: u64) -> Until {
    Until::Lines(lines)
}

pub fn until_bytes(bytes: u64) -> Until {
    Until::Bytes(bytes)
}

impl Until {
    pub fn reached(self, lines: u64, bytes: u64) -> bool {
        match self {
            Until::Lines(limit) => lines >= limit,
            Until::Bytes(limit) => bytes >= limit,
        }
    }
}

struct Line {
    bytes: Vec<u8>,
    cycle: Vec<usize>,
    stamp: Option<usize>,
}

/// Endless lines.
pub struct Generator {
    lines: Vec<Line>,
    at: usize,
    cycle: u32,
}

impl Generator {
    /// `line_bytes` 0: the usual size.
    pub fn new(session: &str, line_bytes: usize) -> Self {
        let mut lines = Vec::new();
        for message in 0..MESSAGES {
            message_lines(session, message, line_bytes, &mut |value| lines.push(Line::new(&value)));
        }
        Self { lines, at: 0, cycle: 0 }
    }

    /// The next line with its line end.
    pub fn next_line(&mut self) -> &[u8] {
        if self.at == self.lines.len() {
            self.at = 0;
            self.cycle += 1;
        }
        let line = &mut self.lines[self.at];
        self.at += 1;
        for at in &line.cycle {
            write_digits(&mut line.bytes[*at..*at + CYCLE.len()], self.cycle.into());
        }
        if let Some(at) = line.stamp {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
            write_digits(&mut line.bytes[at..at + STAMP.len()], now);
        }
        &line.bytes
    }
}

impl Line {
    fn new(value: &Value) -> Self {
        let mut text = value.to_string();
        text.push('\n');
        let cycle = text.match_indices(CYCLE).map(|(at, _)| at).collect();
        let stamp = text.find(STAMP);
        Self { bytes: text.into_bytes(), cycle, stamp }
    }
}

fn write_digits(into: &mut [u8], mut number: u128) {
    for digit in into.iter_mut().rev() {
        *digit = b'0' + u8::try_from(number % 10).unwrap_or_default();
        number /= 10;
    }
}

/// The lines of one message that streams a text and uses a tool, and of the tool's result.
fn message_lines(session: &str, n: usize, line_bytes: usize, out: &mut impl FnMut(Value)) {
    let id = format!("msg_demo_{CYCLE}_{n:03}");
    let deltas = (0..DELTAS)
        .map(|at| words(n * DELTAS + at, if line_bytes == 0 { 220 } else { line_bytes }));
    let deltas: Vec<String> = deltas.collect();
    let mut lines = vec![
        event(&id, json!({"type": "message_start", "message": message(&id, json!([]))})),
        event(
            &id,
            json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
        ),
    ];
    lines.extend(deltas.iter().map(|words| {
        let delta = json!({"type": "text_delta", "text": format!("sent:{STAMP} {words}")});
        event(&id, json!({"type": "content_block_delta", "index": 0, "delta": delta}))
    }));
    lines.push(whole(&id, json!({"type": "text", "text": deltas[..2.min(deltas.len())].concat()})));
    lines.push(event(&id, json!({"type": "content_block_stop", "index": 0})));
    lines.extend(tool_lines(&id, n));
    for (count, mut line) in lines.into_iter().enumerate() {
        line["session_id"] = session.into();
        line["uuid"] = format!("{n:08x}-0000-4000-8000-{CYCLE}{count:04}").into();
        out(line);
    }
}

fn tool_lines(id: &str, n: usize) -> [Value; 2] {
    let tool = format!("toolu_demo_{CYCLE}_{n:03}");
    let input =
        json!({"command": format!("echo {}", words(n, 120)), "description": "say some words"});
    let said = words(n + 7, 300);
    let result =
        json!({"tool_use_id": tool, "type": "tool_result", "content": said, "is_error": false});
    [
        whole(id, json!({"type": "tool_use", "id": tool, "name": "Bash", "input": input})),
        json!({
            "type": "user", "message": {"role": "user", "content": [result]}, "parent_tool_use_id": null,
            "tool_use_result": {"stdout": said, "stderr": "", "interrupted": false, "isImage": false},
        }),
    ]
}

fn message(id: &str, content: Value) -> Value {
    json!({
        "id": id, "type": "message", "role": "assistant", "model": crate::wire::MODEL, "content": content,
        "stop_reason": null, "stop_sequence": null, "usage": {"input_tokens": 0, "output_tokens": 0},
    })
}

fn whole(id: &str, block: Value) -> Value {
    json!({"type": "assistant", "message": message(id, json!([block])), "parent_tool_use_id": null})
}

fn event(id: &str, event: Value) -> Value {
    json!({"type": "stream_event", "event": event, "parent_tool_use_id": null, "api_message_id": id})
}

/// About `bytes` of words, four of a hundred outside ASCII; the same for the same seed.
fn words(seed: usize, bytes: usize) -> String {
    const PLAIN: [&str; 12] = [
        "agent", "reads", "every", "file", "and", "writes", "small", "steps", "with", "tests",
        "before", "asking",
    ];
    const OTHER: [&str; 4] = ["ünïcödé", "你好", "🦀", "naïve"];
    let mut out = String::with_capacity(bytes + 16);
    let mut at = seed * 31;
    while out.len() < bytes {
        let word = if at.is_multiple_of(25) {
            OTHER[at / 25 % OTHER.len()]
        } else {
            PLAIN[at % PLAIN.len()]
        };
        out.push_str(word);
        out.push(' ');
        at += 1;
    }
    out
}

/// Malformed lines by name, with their line ends: the kinds on which programs that read such streams
/// were seen to fail.
pub fn malformed() -> Vec<(&'static str, Vec<u8>)> {
    let mut cases: Vec<(&'static str, Vec<u8>)> = [
        ("blank", "\n"),
        ("spaces", "   \t \n"),
        ("plain text", "npm warn deprecated something@1.0.0\n"),
        ("coloured text", "\x1b[31merror:\x1b[0m \x1b[1mred\x1b[0m\n"),
        ("terminal title and cursor", "\x1b]0;title\x07\x1b[?25h\x1b[2K\r\n"),
        ("null", "null\n"),
        ("true", "true\n"),
        ("number", "42\n"),
        ("string", "\"just a string\"\n"),
        ("array", "[1,2,{\"type\":\"assistant\"}]\n"),
        ("empty object", "{}\n"),
        ("cut object", "{\"type\":\"assistant\",\"message\":{\"id\":\"x\",\"con\n"),
        ("two objects in one line", "{\"type\":\"noise_a\"}{\"type\":\"noise_b\"}\n"),
        ("type of another kind", "{\"type\":17,\"message\":null}\n"),
        ("message of another kind", "{\"type\":\"assistant\",\"message\":\"none\"}\n"),
        (
            "content of another kind",
            "{\"type\":\"user\",\"message\":{\"role\":\"user\",\"content\":{\"a\":1}}}\n",
        ),
        ("number too large", "{\"type\":\"noise\",\"n\":1e999}\n"),
        ("line ends with CR", "{\"type\":\"noise_crlf\"}\r\n"),
    ]
    .into_iter()
    .map(|(name, text)| (name, text.as_bytes().to_vec()))
    .collect();
    cases.push(("NUL", b"\0\0{\"type\":\"noise\"}\0\n".to_vec()));
    cases.push(("no UTF-8", b"{\"type\":\"noise\",\"text\":\"\xff\xfe\xc3\"}\n".to_vec()));
    cases.push(("byte order mark", b"\xef\xbb\xbf{\"type\":\"noise\"}\n".to_vec()));
    cases.push(("lone surrogate", b"{\"type\":\"noise\",\"text\":\"\\ud800\"}\n".to_vec()));
    cases.push(("deep nesting", [vec![b'['; 100_000], vec![b'\n']].concat()));
    cases.push(("long line of no JSON", [vec![b'x'; 3 << 20], vec![b'\n']].concat()));
    cases
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn lines_are_json_of_the_promised_size_and_mix() {
        let mut generator = Generator::new("s", 0);
        let (mut bytes, mut other, mut deltas, mut ids) = (0, 0, 0, HashSet::new());
        const LINES: usize = 3_000;
        for _ in 0..LINES {
            let line = generator.next_line().to_vec();
            bytes += line.len();
            let value: Value = serde_json::from_slice(&line).unwrap();
            deltas += usize::from(value["event"]["type"] == "content_block_delta");
            other += usize::from(!line.is_ascii());
            assert!(ids.insert(value["uuid"].as_str().unwrap().to_owned()), "the same uuid twice");
        }
        assert!((450..560).contains(&(bytes / LINES)), "{} bytes a line", bytes / LINES);
        assert!(deltas * 10 > LINES * 8 && other * 2 > LINES);
    }

    #[test]
    fn a_line_says_when_it_was_sent() {
        let mut generator = Generator::new("s", 0);
        let line =
            std::iter::repeat_with(|| String::from_utf8(generator.next_line().to_vec()).unwrap())
                .find(|line| line.contains("sent:"))
                .unwrap();
        let stamp: u128 = line.split_once("sent:").unwrap().1[..20].parse().unwrap();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos();
        assert!(now - stamp < 60_000_000_000);
    }

    #[test]
    fn at_least_nineteen_ways_to_be_malformed() {
        let cases = malformed();
        assert!(cases.len() >= 19);
        assert!(cases.iter().all(|(_, bytes)| bytes.ends_with(b"\n")));
    }
}
