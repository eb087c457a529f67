//! What is said to the agent: lines of its stream-json input. A line that is no JSON, or a user line
//! of another shape, ends the agent at once: so all are built here, from values.

use musher_protocol::{Answer, PermissionMode};
use serde_json::{Value, json};

use super::{command::mode, decode::Ask};

fn line(value: &Value) -> String {
    format!("{value}\n")
}

/// A person's words. The agent tells the message's fate by its `uuid`, where the id holds one.
pub fn message(id: &str, text: &str) -> String {
    let mut value = json!({
        "type": "user",
        "message": {"role": "user", "content": [{"type": "text", "text": text}]},
        "parent_tool_use_id": null,
    });
    let tail = id.len().checked_sub(36).and_then(|at| id.get(at..));
    if let Some(uuid) = tail.and_then(|tail| uuid::Uuid::try_parse(tail).ok()) {
        value["uuid"] = json!(uuid.to_string());
    }
    line(&value)
}

/// Ends the turn.
pub fn interrupt(id: &str) -> String {
    request(id, json!({"subtype": "interrupt"}))
}

pub fn set_model(id: &str, model: Option<&str>) -> String {
    request(id, json!({"subtype": "set_model", "model": model}))
}

pub fn set_permission_mode(id: &str, to: PermissionMode) -> String {
    request(id, json!({"subtype": "set_permission_mode", "mode": mode(to)}))
}

fn request(id: &str, request: Value) -> String {
    line(&json!({"type": "control_request", "request_id": id, "request": request}))
}

/// The answer to a request. The agent's `permission_suggestions` are never sent back: they would write
/// rules into the repository and switch the session's mode.
pub fn answer(request: &str, ask: &Ask, answer: &Answer) -> String {
    let response = match answer {
        Answer::Allow => json!({"behavior": "allow", "updatedInput": ask.input}),
        Answer::Deny { message } => {
            let words = message.as_deref().filter(|words| !words.trim().is_empty());
            json!({"behavior": "deny", "message": words.unwrap_or("The user denied this.")})
        }
        Answer::Answers { answers } => {
            let mut input = ask.input.clone();
            if let Some(input) = input.as_object_mut() {
                input.insert("answers".into(), json!(answers));
            }
            json!({"behavior": "allow", "updatedInput": input})
        }
    };
    let response = json!({"subtype": "success", "request_id": request, "response": response});
    line(&json!({"type": "control_response", "response": response}))
}

/// Says no to a request that Musher does not know.
pub fn refuse(request: &str, subtype: &str) -> String {
    let error = format!("Musher does not answer requests of the kind '{subtype}'.");
    let response = json!({"subtype": "error", "request_id": request, "error": error});
    line(&json!({"type": "control_response", "response": response}))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Value {
        assert!(line.ends_with('\n') && line.matches('\n').count() == 1, "{line:?}");
        serde_json::from_str(line).unwrap()
    }

    fn ask() -> Ask {
        let input = json!({"questions": [{"question": "Which?"}]});
        Ask { tool: "AskUserQuestion".into(), tool_call: None, input, question: true }
    }

    #[test]
    fn a_message_is_one_line_and_carries_its_uuid() {
        let id = "message-019aa85c-7b9a-7aaa-8bbb-0123456789ab";
        let value = parsed(&message(id, "two\nlines \u{2028} \"quoted\""));
        assert_eq!(value["uuid"], "019aa85c-7b9a-7aaa-8bbb-0123456789ab");
        assert_eq!(value["message"]["content"][0]["text"], "two\nlines \u{2028} \"quoted\"");
        assert_eq!(value["message"]["role"], "user");
        assert!(parsed(&message("ü-not-a-uuid", "x")).get("uuid").is_none());
    }

    #[test]
    fn answers_have_the_shapes_that_the_agent_takes() {
        let response = |given: &Answer| parsed(&answer("r1", &ask(), given))["response"].clone();
        let allowed = response(&Answer::Allow);
        assert_eq!(
            (&allowed["request_id"], &allowed["subtype"]),
            (&json!("r1"), &json!("success"))
        );
        assert_eq!(allowed["response"], json!({"behavior": "allow", "updatedInput": ask().input}));
        let denied = response(&Answer::Deny { message: Some("use pnpm".into()) });
        assert_eq!(denied["response"], json!({"behavior": "deny", "message": "use pnpm"}));
        let answers = [("Which?".to_owned(), "Blue".to_owned())].into();
        let answered = response(&Answer::Answers { answers });
        assert_eq!(answered["response"]["updatedInput"]["answers"], json!({"Which?": "Blue"}));
        assert_eq!(answered["response"]["updatedInput"]["questions"], ask().input["questions"]);
    }
}
