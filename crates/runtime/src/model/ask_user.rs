//! The one tool that is the runtime's own: a question to the person.

use std::collections::BTreeMap;

use musher_protocol::{Answer, Question, QuestionItem, QuestionOption};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{Call, ToolOutcome, ToolSpec};

pub(super) const NAME: &str = "ask_user";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Input {
    question: String,
    #[serde(default)]
    options: Option<Vec<String>>,
}

pub(super) fn spec() -> ToolSpec {
    ToolSpec {
        name: NAME.into(),
        description:
            "Asks the person who gave you this work. Use it when their decision is needed \
                      and you cannot find it out yourself."
                .into(),
        parameters: json!({
            "type": "object",
            "properties": {
                "question": {"type": "string", "description": "One question, with what they need to decide."},
                "options": {
                    "type": ["array", "null"],
                    "items": {"type": "string"},
                    "description": "Short answers to choose from; they may answer otherwise. Null for none.",
                },
            },
            "required": ["question", "options"],
            "additionalProperties": false,
        }),
    }
}

/// The question as it is shown, or what is wrong with the call.
pub(super) fn question(call: &Call, request: String) -> Result<Question, String> {
    let input: Input = serde_json::from_value(call.input.clone())
        .map_err(|error| format!("These arguments do not fit {NAME}: {error}."))?;
    let options = input.options.unwrap_or_default().into_iter();
    let options = options.map(|label| QuestionOption { label, description: None }).collect();
    let item = QuestionItem {
        header: "Question".into(),
        question: input.question,
        multi_select: false,
        options,
    };
    Ok(Question {
        request,
        tool_call: Some(call.id.clone()),
        questions: vec![item],
        expires_at: None,
    })
}

pub(super) fn outcome(answer: Answer) -> ToolOutcome {
    match answer {
        Answer::Answers { answers } => ToolOutcome::text(in_words(&answers)),
        Answer::Deny { message: Some(message) } => ToolOutcome::error(message),
        _ => ToolOutcome::error("The person did not answer. Decide yourself, or stop here."),
    }
}

fn in_words(answers: &BTreeMap<String, String>) -> String {
    answers.values().cloned().collect::<Vec<_>>().join("\n")
}

/// What of the call goes into its title.
pub(super) fn title(input: &Value) -> String {
    input["question"].as_str().unwrap_or("asks something").to_owned()
}
