//! What holds for the answers of every dialect.

use musher_runtime::model::codec::{Answer, Block, Dialect, Finish, Piece, Usage};
use proptest::prelude::*;
use serde_json::json;

use super::{read, read_with_pieces, scripts::Said};

fn an_answer() -> Said {
    Said {
        thought: "Der Name «größe» 🦀 must be looked up.".to_owned(),
        text: "I look it up – at once.".to_owned(),
        mark: "c2lnbmVk".to_owned(),
        calls: vec![
            ("call_a".to_owned(), "read_file".to_owned(), json!({ "path": "src/größe.rs" })),
            ("call_b".to_owned(), "run_command".to_owned(), json!({ "command": "cargo test\n" })),
        ],
    }
}

/// The event with which the provider says that it is done: one before the last two for Chat, where the
/// usage and `[DONE]` follow.
fn end_of(dialect: Dialect, events: &[String]) -> usize {
    events.len() - if dialect == Dialect::OpenAiChat { 3 } else { 1 }
}

fn is_cut(answer: &Answer) -> bool {
    let no_call = answer.blocks.iter().all(|block| !matches!(block, Block::Call { .. }));
    answer.finish == Finish::Cut && answer.items.is_empty() && no_call
}

#[test]
fn a_whole_answer_is_read() {
    for dialect in Dialect::ALL {
        let answer = read(dialect, &an_answer().events(dialect, &[30, 60]));
        assert_eq!(answer.finish, Finish::Done, "{dialect}");
        let said = an_answer();
        let call = |at: usize| {
            let (id, name, input) = said.calls[at].clone();
            Block::Call { id, name, input: Ok(input) }
        };
        let blocks = [
            Block::Thinking { block: 0, text: said.thought.clone() },
            Block::Text { block: 1, text: said.text.clone() },
            call(0),
            call(1),
        ];
        assert_eq!(answer.blocks, blocks, "{dialect}");
        let usage = Usage { input: 600, cached: 400, output: 90, reasoning: 30 };
        assert_eq!(answer.usage, Some(usage), "{dialect}");
        assert!(answer.model.is_some());
    }
}

#[test]
fn the_pieces_are_the_blocks() {
    for dialect in Dialect::ALL {
        let (pieces, answer) =
            read_with_pieces(dialect, &an_answer().events(dialect, &[10, 50, 90]));
        for block in &answer.blocks {
            let (Block::Text { block: number, text } | Block::Thinking { block: number, text }) =
                block
            else {
                continue;
            };
            let shown: String = pieces
                .iter()
                .filter_map(|piece| match piece {
                    Piece::Text { block, delta } | Piece::Thinking { block, delta } => {
                        (block == number).then_some(delta.as_str())
                    }
                })
                .collect();
            assert_eq!(&shown, text, "{dialect}");
        }
    }
}

#[test]
fn an_answer_is_cut_at_every_byte() {
    for dialect in Dialect::ALL {
        let events = an_answer().events(dialect, &[50]);
        for at in 0..=end_of(dialect, &events) {
            for byte in 0..events[at].len() {
                let mut reader = dialect.codec().reader();
                for event in &events[..at] {
                    reader.read(event).unwrap();
                }
                let half = String::from_utf8_lossy(&events[at].as_bytes()[..byte]);
                let read = reader.read(&half);
                assert!(byte == 0 || read.is_err(), "{dialect}: half an event was read: {half}");
                assert!(!reader.is_done());
                let answer = reader.answer();
                assert!(is_cut(&answer), "{dialect}, event {at}, byte {byte}: {answer:?}");
            }
        }
    }
}

#[test]
fn nothing_counts_behind_the_end() {
    // Gemini has no word for the end: what follows a reason belongs to the answer.
    for dialect in [Dialect::OpenAiChat, Dialect::OpenAiResponses] {
        let events = an_answer().events(dialect, &[]);
        let mut reader = dialect.codec().reader();
        for event in events.iter().chain(&events) {
            reader.read(event).unwrap();
        }
        assert!(reader.is_done(), "{dialect}");
        assert_eq!(reader.answer(), read(dialect, &events), "{dialect}");
    }
}

#[test]
fn ids_that_are_taken_are_not_given_again() {
    for dialect in Dialect::ALL {
        let mut reader = dialect.codec().reader();
        reader.avoid(["call_a".to_owned()].into());
        for event in an_answer().events(dialect, &[]) {
            reader.read(&event).unwrap();
        }
        let answer = reader.answer();
        let ids: Vec<&str> = super::calls(&answer).iter().map(|(id, ..)| *id).collect();
        assert_ne!(ids[0], "call_a", "{dialect}");
        assert_eq!(ids[1], "call_b", "{dialect}");
        let parts = dialect.codec().parts(&answer.items);
        let stored: Vec<&str> = parts.iter().filter_map(super::talks::call_of).collect();
        assert_eq!(stored, ids, "{dialect}: the items say another id");
    }
}

#[test]
fn an_answer_of_nothing_is_empty() {
    for dialect in Dialect::ALL {
        let thought = Said { thought: "Hm.".to_owned(), ..Said::default() };
        for said in [Said::default(), thought] {
            let answer = read(dialect, &said.events(dialect, &[]));
            assert_eq!(answer.finish, Finish::Empty, "{dialect}");
            assert!(answer.items.is_empty());
        }
    }
}

#[test]
fn the_unknown_is_passed_over() {
    for dialect in Dialect::ALL {
        for strange in [
            "{}",
            "[]",
            "null",
            "1",
            r#""x""#,
            r#"{"type":"new.event","a":[1]}"#,
            r#"{"choices":[{}]}"#,
            r#"{"choices":[{"delta":7}]}"#,
            r#"{"candidates":[{}]}"#,
            r#"{"candidates":[{"content":{"parts":[{},null,3,{"newThing":{}}]}}]}"#,
            r#"{"type":"response.output_item.done","item":null}"#,
            r#"{"type":"response.output_item.added","item":"x"}"#,
            r#"{"type":"response.function_call_arguments.done","arguments":"x"}"#,
            r#"{"choices":[{"delta":{"tool_calls":[null,{},{"function":null}]}}]}"#,
        ] {
            let mut reader = dialect.codec().reader();
            reader.read(strange).unwrap();
            let _ = reader.answer();
        }
    }
}

/// Names that mean something to a reader.
const MEMBERS: [&str; 30] = [
    "type",
    "response",
    "item",
    "output",
    "output_index",
    "content",
    "summary",
    "delta",
    "arguments",
    "call_id",
    "choices",
    "tool_calls",
    "function",
    "index",
    "usage",
    "message",
    "reasoning_details",
    "candidates",
    "parts",
    "text",
    "functionCall",
    "args",
    "finishReason",
    "finish_reason",
    "thought",
    "error",
    "code",
    "details",
    "usageMetadata",
    "promptFeedback",
];
/// And values that do.
const VALUES: [&str; 11] = [
    "message",
    "reasoning",
    "function_call",
    "response.output_item.done",
    "STOP",
    "stop",
    "response.output_item.added",
    "response.completed",
    "response.output_text.delta",
    "response.function_call_arguments.delta",
    "response.function_call_arguments.done",
];

/// Anything that a server could send, with the members that mean something.
pub fn junk() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(json!(null)),
        any::<u64>().prop_map(|it| json!(it)),
        any::<bool>().prop_map(|it| json!(it)),
        "[a-z{}\":]{0,8}".prop_map(|it| json!(it)),
        prop::sample::select(&VALUES[..]).prop_map(|it| json!(it)),
    ];
    leaf.prop_recursive(5, 40, 5, |inner| {
        let member = prop::sample::select(&MEMBERS[..]);
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(serde_json::Value::from),
            prop::collection::vec((member, inner), 0..6).prop_map(|members| {
                members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
            }),
        ]
    })
}

proptest! {
    #[test]
    fn an_answer_is_the_same_in_any_pieces(
        thought in "\\PC{0,40}",
        text in "\\PC{0,60}",
        cuts in prop::collection::vec(0usize..=100, 0..8),
        calls in 0usize..3,
    ) {
        let mut said = an_answer();
        said.calls.truncate(calls);
        (said.thought, said.text) = (thought, text);
        for dialect in Dialect::ALL {
            let whole = read(dialect, &said.events(dialect, &[]));
            prop_assert_eq!(read(dialect, &said.events(dialect, &cuts)), whole);
        }
    }

    #[test]
    fn no_event_breaks_a_reader(events in prop::collection::vec(junk(), 1..6)) {
        for dialect in Dialect::ALL {
            let mut reader = dialect.codec().reader();
            for event in &events {
                reader.read(&event.to_string()).unwrap();
            }
            let answer = reader.answer();
            dialect.codec().parts(&answer.items);
        }
    }

    /// A transcript that was damaged on disk.
    #[test]
    fn no_stored_item_breaks_a_writer(items in prop::collection::vec(junk(), 1..6)) {
        for dialect in Dialect::ALL {
            let answer = Answer { items: items.clone(), blocks: Vec::new(), finish: Finish::Done,
                usage: None, model: None };
            let step = super::step(dialect, "m", &answer);
            let talk = super::talk([super::user("Go."), step, super::user("On.")]);
            super::body(dialect, "m", &talk);
        }
    }
}

/// Junk is not a known cost of nothing.
#[test]
fn a_count_that_is_none_leaves_the_usage_unknown() {
    for junk in [json!("100"), json!(null), json!(-5), json!({}), json!(1.5)] {
        let chat = json!({ "choices": [], "usage": { "prompt_tokens": junk,
            "completion_tokens": 3 } });
        let responses = json!({ "type": "response.completed", "response": {
            "status": "completed", "usage": { "input_tokens": junk, "output_tokens": 3 } } });
        let gemini = json!({ "candidates": [{ "finishReason": "STOP" }],
            "usageMetadata": { "promptTokenCount": junk, "candidatesTokenCount": 3 } });
        for (dialect, event) in [
            (Dialect::OpenAiChat, chat),
            (Dialect::OpenAiResponses, responses),
            (Dialect::Gemini, gemini),
        ] {
            assert_eq!(read(dialect, &[event.to_string()]).usage, None, "{dialect}: {junk}");
        }
    }
}
