//! Requests read, replies written, as the Messages API has them (SSE events as recorded from it by
//! clients: message_start, content_block_start, _delta, _stop, message_delta, message_stop).

use serde_json::{Value, json};

use super::scenario::{Action, marker};

/// Which scenario a request asks for, at which step.
pub fn picked(body: &Value) -> Option<(String, usize)> {
    let messages = body["messages"].as_array()?;
    let mut answered = 0;
    for message in messages.iter().rev() {
        if message["role"] == "assistant" {
            answered += 1;
        } else if let Some(name) = marker(&text_of(&message["content"])) {
            return Some((name.to_owned(), answered));
        }
    }
    None
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

/// The folder that the client says it works in.
pub fn folder_of(body: &Value) -> Option<String> {
    let mut texts = vec![text_of(&body["system"])];
    texts.extend(body["messages"].as_array()?.iter().map(|message| text_of(&message["content"])));
    texts.iter().find_map(|text| {
        let rest = text.split_once("orking directory: ")?.1;
        Some(rest.lines().next()?.trim().to_owned())
    })
}

/// What a request that is no turn of the conversation wants: `claude` asks for a title, and probes its
/// quota, with requests that offer no tools.
pub fn side_answer(body: &Value) -> Option<&'static str> {
    if body["tools"].as_array().is_some_and(|tools| !tools.is_empty()) {
        return None;
    }
    let wants_title = text_of(&body["system"]).to_lowercase().contains("title");
    if wants_title || body.get("output_config").is_some() || body.get("output_format").is_some() {
        return Some("{\"title\": \"A scripted session\"}");
    }
    (body["max_tokens"] == 1).then_some("#")
}

pub fn blocks(actions: &[Action], folder: &str, request: u64) -> Vec<Value> {
    let block = |(at, action): (usize, &Action)| match action {
        Action::Text(text) => json!({"type": "text", "text": text.replace("$CWD", folder)}),
        Action::Think(text) => {
            json!({"type": "thinking", "thinking": text, "signature": "c2NyaXB0ZWQ="})
        }
        Action::Use { tool, input } => {
            let id = format!("toolu_scripted_{request}_{at}");
            json!({"type": "tool_use", "id": id, "name": tool, "input": in_folder(input, folder)})
        }
    };
    actions.iter().enumerate().map(block).collect()
}

fn in_folder(input: &Value, folder: &str) -> Value {
    let mut input = input.clone();
    for value in input.as_object_mut().into_iter().flat_map(|fields| fields.values_mut()) {
        if let Value::String(text) = value {
            *text = text.replace("$CWD", folder);
        }
    }
    input
}

/// The whole message of an answer that is not streamed.
pub fn message(body: &Value, request: u64, blocks: Vec<Value>) -> Value {
    let uses_tool = blocks.iter().any(|block| block["type"] == "tool_use");
    json!({
        "id": format!("msg_scripted_{request:06}"), "type": "message", "role": "assistant",
        "model": body["model"], "content": blocks, "stop_sequence": null,
        "stop_reason": if uses_tool { "tool_use" } else { "end_turn" },
        "usage": {"input_tokens": 120, "cache_creation_input_tokens": 3000,
            "cache_read_input_tokens": 20000, "output_tokens": 250},
    })
}

/// The events of a streamed message, each ready to be sent.
pub fn events(message: &Value) -> Vec<String> {
    let mut start = message.clone();
    start["content"] = json!([]);
    start["stop_reason"] = Value::Null;
    start["usage"]["output_tokens"] = 1.into();
    let mut out = vec![
        event(json!({"type": "message_start", "message": start})),
        event(json!({"type": "ping"})),
    ];
    for (index, block) in message["content"].as_array().into_iter().flatten().enumerate() {
        let (first, deltas) = pieces(block);
        out.push(event(
            json!({"type": "content_block_start", "index": index, "content_block": first}),
        ));
        let deltas = deltas.into_iter();
        out.extend(deltas.map(|delta| {
            event(json!({"type": "content_block_delta", "index": index, "delta": delta}))
        }));
        out.push(event(json!({"type": "content_block_stop", "index": index})));
    }
    let delta = json!({"stop_reason": message["stop_reason"], "stop_sequence": null});
    out.push(event(json!({"type": "message_delta", "delta": delta, "usage": message["usage"]})));
    out.push(event(json!({"type": "message_stop"})));
    out
}

fn pieces(block: &Value) -> (Value, Vec<Value>) {
    let mut first = block.clone();
    match block["type"].as_str() {
        Some("tool_use") => {
            first["input"] = json!({});
            let deltas = cut(&block["input"].to_string());
            (
                first,
                deltas
                    .iter()
                    .map(|piece| json!({"type": "input_json_delta", "partial_json": piece}))
                    .collect(),
            )
        }
        Some("thinking") => {
            first["thinking"] = "".into();
            let text = block["thinking"].as_str().unwrap_or_default();
            let mut deltas: Vec<Value> = cut(text)
                .iter()
                .map(|piece| json!({"type": "thinking_delta", "thinking": piece}))
                .collect();
            deltas.push(json!({"type": "signature_delta", "signature": block["signature"]}));
            first["signature"] = "".into();
            (first, deltas)
        }
        _ => {
            first["text"] = "".into();
            let text = block["text"].as_str().unwrap_or_default();
            (
                first,
                cut(text)
                    .iter()
                    .map(|piece| json!({"type": "text_delta", "text": piece}))
                    .collect(),
            )
        }
    }
}

/// Pieces of forty characters.
fn cut(text: &str) -> Vec<String> {
    let chars: Vec<char> = text.chars().collect();
    chars.chunks(40).map(|chunk| chunk.iter().collect()).collect()
}

fn event(data: Value) -> String {
    let name = data["type"].as_str().unwrap_or_default().to_owned();
    format!("event: {name}\ndata: {data}\n\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_marker_counts_and_the_step_is_the_turns_after_it() {
        let body = json!({"messages": [
            {"role": "user", "content": "old [[model:hello]]"},
            {"role": "assistant", "content": "x"},
            {"role": "user", "content": [{"type": "text", "text": "new [[model:write]]"}]},
            {"role": "assistant", "content": []},
            {"role": "user", "content": [{"type": "tool_result", "content": "done"}]},
        ]});
        assert_eq!(picked(&body), Some(("write".into(), 1)));
        assert_eq!(picked(&json!({"messages": [{"role": "user", "content": "none"}]})), None);
    }

    #[test]
    fn the_folder_is_read_from_what_the_client_says() {
        let body = json!({"system": [{"type": "text", "text": "Environment\nPrimary working directory: /a/b c\nmore"}], "messages": []});
        assert_eq!(folder_of(&body).as_deref(), Some("/a/b c"));
    }
}
