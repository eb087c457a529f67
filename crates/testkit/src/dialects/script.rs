//! Which answer a request gets.

use std::sync::Arc;

use serde_json::Value;

use super::{
    Dialect,
    answer::{Answer, Problem},
};

/// A valid request, as a script sees it.
#[derive(Clone, Debug)]
pub struct Asked<'a> {
    pub dialect: Dialect,
    pub body: &'a Value,
    /// Of the valid requests; counts from 1.
    pub number: usize,
}

impl Asked<'_> {
    /// How many answers with calls the model gave since a person spoke last.
    pub fn steps_taken(&self) -> usize {
        self.dialect.steps_taken(self.body)
    }

    /// Whether these words are anywhere in the request.
    pub fn says(&self, words: &str) -> bool {
        holds(self.body, words)
    }
}

fn holds(value: &Value, words: &str) -> bool {
    match value {
        Value::String(text) => text.contains(words),
        Value::Array(items) => items.iter().any(|item| holds(item, words)),
        Value::Object(fields) => fields.values().any(|field| holds(field, words)),
        _ => false,
    }
}

type Answering = dyn Fn(&Asked<'_>) -> Answer + Send + Sync;

/// What an endpoint says.
#[derive(Clone)]
pub struct Script(Arc<Answering>);

impl Script {
    /// One answer for each valid request. When they are used up, requests get a 400 that says so.
    pub fn list(answers: impl IntoIterator<Item = Answer>) -> Self {
        let answers: Vec<Answer> = answers.into_iter().collect();
        Self::by(move |asked| answers.get(asked.number - 1).cloned().unwrap_or_else(over))
    }

    /// The last answer serves all later requests.
    pub fn repeating(answers: impl IntoIterator<Item = Answer>) -> Self {
        let answers: Vec<Answer> = answers.into_iter().collect();
        Self::by(move |asked| {
            answers.get(asked.number - 1).or(answers.last()).cloned().unwrap_or_else(over)
        })
    }

    /// Follows the conversation instead of counting requests, so that a turn that is resumed, by
    /// whomever, goes on where it was: the answer is the one after the steps that were taken since a
    /// person spoke last. The last answer serves all later ones.
    pub fn following(answers: impl IntoIterator<Item = Answer>) -> Self {
        let answers: Vec<Answer> = answers.into_iter().collect();
        Self::by(move |asked| {
            answers.get(asked.steps_taken()).or(answers.last()).cloned().unwrap_or_else(over)
        })
    }

    pub fn by(answering: impl Fn(&Asked<'_>) -> Answer + Send + Sync + 'static) -> Self {
        Self(Arc::new(answering))
    }

    pub(super) fn answer(&self, asked: &Asked<'_>) -> Answer {
        (self.0)(asked)
    }
}

impl<I: IntoIterator<Item = Answer>> From<I> for Script {
    fn from(answers: I) -> Self {
        Self::list(answers)
    }
}

fn over() -> Answer {
    Answer::Problem(Problem::new(400, "invalid_request_error", "The script has no more answers."))
}
