//! Answers whose calls bring nothing. A model that is told what is wrong and does it again would go on
//! for ever, and each answer is paid for. One that fails in ever new ways may be finding out.

use serde_json::Value;

use super::{
    calls::Planned,
    conversation::{Conversation, Entry},
};

/// After how many such answers, one after the other, a turn ends.
const MOST: u32 = 10;

pub(super) const HINT: &str =
    "Tell it in a message what to do in place of that, or choose a model that can use tools.";

/// Counts them in a turn.
#[derive(Default)]
pub(super) struct Fruitless {
    answers: u32,
    before: Asked,
}

/// What the calls of one answer are.
#[derive(Default)]
pub(super) struct Asked {
    calls: Vec<(String, Value)>,
    can_be_done: bool,
}

impl Asked {
    pub fn of(planned: &[Planned]) -> Self {
        let calls = planned.iter().map(|it| (it.call.name.clone(), it.call.input.clone()));
        Self { calls: calls.collect(), can_be_done: planned.iter().any(Planned::can_be_done) }
    }

    /// Of calls whose results are the last entries.
    fn has_failed(&self, talk: &Conversation) -> bool {
        let results = talk.entries.iter().rev().take(self.calls.len());
        results.into_iter().all(|it| matches!(it, Entry::Result { is_error: true, .. }))
    }
}

impl Fruitless {
    /// Counts an answer whose calls are answered by now; gives why the turn ends, when it does.
    pub fn heed(&mut self, asked: Asked, talk: &Conversation) -> Option<String> {
        let again = asked.calls == self.before.calls && asked.has_failed(talk);
        self.answers = if again || !asked.can_be_done { self.answers + 1 } else { 0 };
        self.before = asked;
        (self.answers == MOST).then(|| {
            format!(
                "None of the model's calls in its last {MOST} answers could be done, and it does not \
                 change its ways."
            )
        })
    }
}
