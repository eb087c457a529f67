//! Effort of thought and the limit of an answer: where they stand in each dialect, and nowhere else.
//! OpenAI's API reference (`reasoning.effort`, `reasoning_effort`, `max_output_tokens`,
//! `max_completion_tokens`) and Google's "Thinking" page (a level from Gemini 3 on, a budget before, never
//! both), November 2026.

use serde_json::{Value, json};

use super::{super::Dialect, Findings, Rule};

const EFFORTS: [&str; 6] = ["none", "minimal", "low", "medium", "high", "xhigh"];

pub fn check(dialect: Dialect, model: &str, body: &Value, found: &mut Findings) {
    match dialect {
        Dialect::Responses => {
            effort(&body["reasoning"]["effort"], found);
            limit("max_output_tokens", &body["max_output_tokens"], 16, found);
            unknown(body, &["reasoning_effort", "max_tokens", "max_completion_tokens"], found);
        }
        Dialect::Chat => {
            effort(&body["reasoning_effort"], found);
            limit("max_completion_tokens", &body["max_completion_tokens"], 1, found);
            unknown(body, &["reasoning", "max_output_tokens"], found);
        }
        Dialect::Gemini => {
            let config = &body["generationConfig"];
            limit("maxOutputTokens", &config["maxOutputTokens"], 1, found);
            thinking(model, &config["thinkingConfig"], found);
            unknown(body, &["reasoning", "reasoning_effort", "thinkingConfig"], found);
        }
    }
}

fn effort(value: &Value, found: &mut Findings) {
    let known = value.is_null() || value.as_str().is_some_and(|it| EFFORTS.contains(&it));
    found
        .unless(known, Rule::Wishes, || format!("Invalid value: {value}. Supported: {EFFORTS:?}."));
}

fn limit(name: &str, value: &Value, fewest: u64, found: &mut Findings) {
    let fits = value.is_null() || value.as_u64().is_some_and(|it| it >= fewest);
    found.unless(fits, Rule::Wishes, || {
        format!("Invalid '{name}': integer below minimum value. Expected a value >= {fewest}.")
    });
}

fn unknown(body: &Value, names: &[&str], found: &mut Findings) {
    for name in names {
        found.unless(body.get(name).is_none(), Rule::Wishes, || {
            format!("Unknown parameter: '{name}'.")
        });
    }
}

fn thinking(model: &str, config: &Value, found: &mut Findings) {
    let (level, budget) = (&config["thinkingLevel"], &config["thinkingBudget"]);
    found.unless(level.is_null() || budget.is_null(), Rule::Wishes, || {
        "You can only set only one of thinking budget and thinking level.".to_owned()
    });
    let is_old = model.starts_with("gemini-2");
    found.unless(level.is_null() || !is_old, Rule::Wishes, || {
        "Thinking level is not supported for this model.".to_owned()
    });
    let known = ["MINIMAL", "LOW", "MEDIUM", "HIGH"].map(|it| json!(it));
    found.unless(level.is_null() || known.contains(level), Rule::Wishes, || {
        format!("Invalid value at 'generation_config.thinking_config.thinking_level': {level}")
    });
    let whole = budget.is_null() || budget.as_i64().is_some_and(|it| it >= -1);
    found.unless(whole, Rule::Wishes, || "The thinking budget is invalid.".to_owned());
}
