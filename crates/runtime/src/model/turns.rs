//! A conversation as the writers of all dialects need it: words that follow each other in one piece,
//! and the results of a step beside it, in the order of its calls.

use serde_json::Value;

use super::{
    codec::{Ask, Dialect},
    conversation::{Entry, Part, Step},
};

pub(super) enum Turn<'a> {
    /// Never empty.
    User(Vec<&'a str>),
    Step(StepTurn<'a>),
}

pub(super) struct StepTurn<'a> {
    pub step: &'a Step,
    /// Whether the items may be repeated to the model that is asked.
    pub is_native: bool,
    /// In the order of the calls.
    pub results: Vec<CallResult<'a>>,
}

#[derive(Clone, Copy)]
pub(super) struct CallResult<'a> {
    pub call: &'a str,
    pub name: &'a str,
    pub text: &'a str,
    pub is_error: bool,
    /// Its call's place among the calls of the step.
    pub place: usize,
}

pub(super) fn turns<'a>(ask: &Ask<'a>, dialect: Dialect) -> Vec<Turn<'a>> {
    let mut turns: Vec<Turn<'a>> = Vec::new();
    for entry in &ask.conversation.entries {
        match (entry, turns.last_mut()) {
            (Entry::User { text }, Some(Turn::User(texts))) => texts.push(or_nothing(text)),
            (Entry::User { text }, _) => turns.push(Turn::User(vec![or_nothing(text)])),
            (Entry::Step(step), _) => {
                let is_native = step.is_native(dialect, ask.model, ask.place);
                turns.push(Turn::Step(StepTurn { step, is_native, results: Vec::new() }));
            }
            (Entry::Result { call, text, is_error }, Some(Turn::Step(turn))) => {
                turn.take(call, or_nothing(text), *is_error);
            }
            // No valid conversation has it.
            (Entry::Result { .. }, _) => {}
        }
    }
    turns
}

impl<'a> StepTurn<'a> {
    fn take(&mut self, call: &'a str, text: &'a str, is_error: bool) {
        let calls = self.step.parts.iter().filter_map(|part| match part {
            Part::Call { id, name, .. } => Some((id, name)),
            Part::Text(_) => None,
        });
        for (place, (_, name)) in calls.enumerate().filter(|(_, (id, _))| *id == call) {
            self.results.push(CallResult { call, name, text, is_error, place });
        }
        self.results.sort_by_key(|result| result.place);
    }
}

/// Some endpoints refuse empty texts.
fn or_nothing(text: &str) -> &str {
    if text.trim().is_empty() { "(nothing)" } else { text }
}

/// The arguments of a call as JSON text; of one whose arguments could not be read, none. Endpoints
/// read them again, and refuse the whole conversation for one that is broken.
pub(super) fn arguments_text(input: &Value) -> String {
    if input.is_object() { input.to_string() } else { "{}".to_owned() }
}
