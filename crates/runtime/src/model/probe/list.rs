//! Lists of models, in OpenAI's shape and in Gemini's. How much a model holds is said in many ways:
//! `context_length` (OpenRouter, Together), `max_model_len` (vLLM), `context_window` (Groq),
//! `max_context_length` (Mistral), `meta.n_ctx` (llama.cpp; what it was started with, while its
//! `n_ctx_train` is what the model could hold), `inputTokenLimit` (Gemini). From their API references,
//! November 2026; llama.cpp's from build 11434.

use musher_protocol::ListedModel;
use serde_json::Value;

use super::priced_first;
use crate::model::{codec::Usage, prices::Prices};

/// More than anybody offers; a list of the page has to end.
const MOST: usize = 2000;
/// A longer name is none.
const LONGEST: usize = 200;

/// `None`: it is no list of models.
pub fn read(body: &str) -> Option<Vec<ListedModel>> {
    let value: Value = serde_json::from_str(body.trim_start_matches('\u{feff}')).ok()?;
    let entries = [value.get("data"), value.get("models"), Some(&value)];
    let entries = entries.into_iter().flatten().find_map(Value::as_array)?;
    let models: Vec<ListedModel> = entries.iter().take(MOST).filter_map(model).collect();
    // A list of something else.
    (entries.is_empty() || !models.is_empty() || entries.iter().any(is_gemini)).then_some(models)
}

fn is_gemini(entry: &Value) -> bool {
    entry.get("supportedGenerationMethods").is_some()
}

fn model(entry: &Value) -> Option<ListedModel> {
    if let Some(methods) = entry.get("supportedGenerationMethods").and_then(Value::as_array)
        && !methods.iter().any(|method| method == "generateContent")
    {
        return None;
    }
    let named = |member: &str| entry.get(member).and_then(Value::as_str);
    let name = named("id").or_else(|| named("name"))?;
    let name = name.strip_prefix("models/").unwrap_or(name);
    let is_name = !name.is_empty() && name.len() <= LONGEST && !name.chars().any(char::is_control);
    is_name.then(|| ListedModel {
        name: name.to_owned(),
        context: context(entry),
        input_price: None,
        output_price: None,
    })
}

fn context(entry: &Value) -> Option<u64> {
    const PLACES: [&str; 7] = [
        "/context_length",
        "/max_model_len",
        "/context_window",
        "/max_context_length",
        "/meta/n_ctx",
        "/meta/n_ctx_train",
        "/inputTokenLimit",
    ];
    let said = |place| entry.pointer(place).and_then(Value::as_u64);
    PLACES.into_iter().find_map(said).filter(|tokens| *tokens > 0)
}

/// What runs on this machine costs nothing; of the rest the table knows.
pub fn with_prices(
    mut models: Vec<ListedModel>,
    is_local: bool,
    prices: &Prices,
) -> Vec<ListedModel> {
    for model in &mut models {
        let known = prices.of(&model.name);
        let price = match is_local {
            true => Some(crate::model::Price::FREE),
            false => known.map(|known| known.price(Usage::default())),
        };
        model.input_price = price.map(|price| price.input);
        model.output_price = price.map(|price| price.output);
        model.context = model.context.or(known.and_then(|known| known.context));
    }
    priced_first(&mut models);
    models
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn names(body: &str) -> Option<Vec<(String, Option<u64>)>> {
        Some(read(body)?.into_iter().map(|model| (model.name, model.context)).collect())
    }

    #[test]
    fn each_servers_list_is_read_with_what_it_says_of_its_models() {
        let one = |name: &str, context| Some(vec![(name.to_owned(), context)]);
        let lists = [
            (r#"{"object":"list","data":[{"id":"a"}]}"#, one("a", None)),
            (r#"{"data":[{"id":"a","context_length":4096}]}"#, one("a", Some(4096))),
            (r#"{"data":[{"id":"a","max_model_len":8192}]}"#, one("a", Some(8192))),
            (r#"{"data":[{"id":"a","meta":{"n_ctx_train":2048}}]}"#, one("a", Some(2048))),
            (
                r#"{"data":[{"id":"a","meta":{"n_ctx":512,"n_ctx_train":2048}}]}"#,
                one("a", Some(512)),
            ),
            (r#"[{"id":"a","context_length":0}]"#, one("a", None)),
            (
                r#"{"models":[{"name":"models/g","inputTokenLimit":9,
                   "supportedGenerationMethods":["generateContent"]},
                   {"name":"models/e","supportedGenerationMethods":["embedContent"]}]}"#,
                one("g", Some(9)),
            ),
            (r#"{"object":"list","data":[]}"#, Some(Vec::new())),
            (r#"{"object":"list","data":null}"#, None),
            (r#"{"data":[{"user":"ada"}]}"#, None),
            (r#"{"data":[{"id":""},{"id":"a\u0000b"}]}"#, None),
            (r#"{"ok":true}"#, None),
            ("<html>", None),
            ("", None),
        ];
        for (body, expected) in lists {
            assert_eq!(names(body), expected, "{body}");
        }
    }

    #[test]
    fn an_unknown_price_is_absent_and_a_local_one_is_nothing() {
        let both = || read(r#"{"data":[{"id":"unheard-of"},{"id":"gpt-5"}]}"#).unwrap();
        let far = with_prices(both(), false, &Prices::built_in());
        assert_eq!(far[0].name, "gpt-5", "what can be counted comes first");
        assert_eq!(far[0].output_price, Some(10_000_000));
        assert_eq!((far[1].input_price, far[1].output_price), (None, None));
        let near = with_prices(both(), true, &Prices::built_in());
        assert!(near.iter().all(|model| model.input_price == Some(0)));
    }
}
