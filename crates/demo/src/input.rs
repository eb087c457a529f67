//! What the host says: a thread reads lines from standard input and hands them to the player.

use std::{io::BufRead, sync::mpsc::Sender};

use serde_json::Value;

use crate::tools::Finished;

/// Everything that can happen to the player from outside.
#[derive(Debug)]
pub enum Input {
    User(UserMessage),
    Control {
        id: String,
        request: Value,
    },
    /// The answer to a control request of ours: its response, or its error.
    Answer {
        id: String,
        answer: Result<Value, String>,
    },
    Eof,
    /// What the real program dies of, with its words.
    Fatal(String),
    /// SIGINT.
    Interrupt,
    ToolEnded(Finished),
}

/// A message as it came.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct UserMessage {
    pub text: String,
    pub uuid: Option<String>,
    pub message: Value,
}

/// Reads until the end of input or the end of the player.
pub fn read(input: impl BufRead, to: &Sender<Input>) {
    for line in input.split(b'\n') {
        let Ok(line) = line else { break };
        let line = line.trim_ascii();
        if line.is_empty() {
            continue;
        }
        if let Some(event) = parse(line)
            && to.send(event).is_err()
        {
            return;
        }
    }
    // The player may be gone already.
    let _ = to.send(Input::Eof);
}

/// What one line means; `None` for a type that nobody knows, as the real program has it.
pub fn parse(line: &[u8]) -> Option<Input> {
    let Ok(value) = serde_json::from_slice::<Value>(line) else {
        let chars = String::from_utf8_lossy(line).chars().count();
        return Some(Input::Fatal(format!(
            "Error parsing streaming input line (type=unknown, {chars} chars): SyntaxError"
        )));
    };
    match value["type"].as_str() {
        Some("user") => Some(user(&value)),
        Some("control_request") => Some(Input::Control {
            id: value["request_id"].as_str().unwrap_or_default().to_owned(),
            request: value["request"].clone(),
        }),
        Some("control_response") => Some(answer(&value["response"])),
        _ => None,
    }
}

fn user(value: &Value) -> Input {
    let message = &value["message"];
    if message["role"] != "user" {
        let got = message["role"].as_str().unwrap_or("undefined");
        return Input::Fatal(format!("Error: Expected message role 'user', got '{got}'"));
    }
    Input::User(UserMessage {
        text: text_of(&message["content"]),
        uuid: value["uuid"].as_str().map(str::to_owned),
        message: message.clone(),
    })
}

fn text_of(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(blocks) => {
            blocks.iter().filter_map(|block| block["text"].as_str()).collect::<Vec<_>>().join("\n")
        }
        _ => String::new(),
    }
}

fn answer(response: &Value) -> Input {
    let answer = match response["subtype"].as_str() {
        Some("success") => Ok(response["response"].clone()),
        _ => Err(response["error"].as_str().unwrap_or("unknown error").to_owned()),
    };
    Input::Answer { id: response["request_id"].as_str().unwrap_or_default().to_owned(), answer }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::panic)]
    use super::*;

    #[test]
    fn reads_both_shapes_of_a_message() {
        for line in [
            r#"{"type":"user","message":{"role":"user","content":"hi"},"uuid":"u"}"#,
            r#"{"type":"user","message":{"role":"user","content":[{"type":"text","text":"hi"}]},"uuid":"u"}"#,
        ] {
            let Some(Input::User(message)) = parse(line.as_bytes()) else { panic!("{line}") };
            assert_eq!((message.text.as_str(), message.uuid.as_deref()), ("hi", Some("u")));
        }
    }

    #[test]
    fn dies_of_what_the_real_program_dies_of() {
        assert!(
            matches!(parse(b"this is not json"), Some(Input::Fatal(text)) if text.contains("16 chars"))
        );
        assert!(
            matches!(parse(br#"{"type":"user","message":"text"}"#), Some(Input::Fatal(text)) if text.contains("'undefined'"))
        );
        assert!(parse(br#"{"type":"mystery"}"#).is_none());
    }

    #[test]
    fn end_of_input_is_said_once() {
        let (to, from) = std::sync::mpsc::channel();
        read(&b"\n{\"type\":\"mystery\"}\n"[..], &to);
        drop(to);
        assert!(matches!(from.iter().collect::<Vec<_>>()[..], [Input::Eof]));
    }
}
