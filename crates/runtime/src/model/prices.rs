//! What tokens cost: a dated table in `prices.toml`, which a file of the user's overrides.

use std::{collections::BTreeMap, path::Path};

use serde::Deserialize;

use super::codec::Usage;

const TABLE: &str = include_str!("prices.toml");

/// Micro-dollars for a million tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Price {
    pub input: u64,
    pub cached: u64,
    pub output: u64,
}

impl Price {
    pub const FREE: Self = Self { input: 0, cached: 0, output: 0 };

    /// Micro-dollars, rounded up: a sum of roundings never claims less than was spent.
    pub fn of(self, used: Usage) -> u64 {
        let of = |tokens: u64, price: u64| u128::from(tokens) * u128::from(price);
        let sum = of(used.input, self.input)
            + of(used.cached, self.cached)
            + of(used.output, self.output);
        u64::try_from(sum.div_ceil(1_000_000)).unwrap_or(u64::MAX)
    }
}

/// What is known of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Known {
    price: Price,
    /// For whole requests with more input than that.
    #[serde(default)]
    long: Option<Long>,
    /// Tokens it can hold.
    #[serde(default)]
    pub context: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Long {
    above: u64,
    input: u64,
    cached: u64,
    output: u64,
}

impl Known {
    /// The price of an answer of this size.
    pub fn price(&self, used: Usage) -> Price {
        match self.long {
            Some(Long { above, input, cached, output }) if used.input + used.cached > above => {
                Price { input, cached, output }
            }
            _ => self.price,
        }
    }
}

/// Models by name. A name counts for its dated versions too: `gpt-5` for `gpt-5-2025-08-07`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prices {
    /// The day on which the prices were read, `YYYY-MM-DD`.
    pub as_of: String,
    #[serde(default)]
    pub models: BTreeMap<String, Known>,
}

impl Prices {
    /// The table that comes with Musher.
    pub fn built_in() -> Self {
        // A test reads the table: a broken one cannot be shipped.
        toml::from_str(TABLE).unwrap_or_default()
    }

    /// The table with the user's own file over it, if there is one. `Err` says what is wrong with it.
    pub fn with_file(file: &Path) -> Result<Self, String> {
        let mut prices = Self::built_in();
        let text = match std::fs::read_to_string(file) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(prices),
            Err(error) => return Err(format!("{} cannot be read: {error}.", file.display())),
        };
        let own: Self = toml::from_str(&text).map_err(|error| misread(file, &text, &error))?;
        prices.models.extend(own.models);
        prices.as_of = own.as_of;
        Ok(prices)
    }

    pub fn of(&self, model: &str) -> Option<Known> {
        let model = model.rsplit('/').next().unwrap_or(model);
        if let Some(known) = self.models.get(model) {
            return Some(*known);
        }
        let dated = |name: &&String| is_dated(model, name);
        self.models.keys().filter(dated).max_by_key(|name| name.len()).map(|name| self.models[name])
    }

    /// Of an answer: what the model costs that gave it. One that is not known costs what the one costs
    /// that was asked for only if it is the same, or a dated version of it: a router may have taken
    /// any.
    pub fn of_answer(&self, answered: Option<&str>, asked: &str) -> Option<Known> {
        let own = |name: &str| name.rsplit('/').next().unwrap_or_default().to_owned();
        let Some(answered) = answered else { return self.of(asked) };
        let same = own(answered) == own(asked) || is_dated(&own(answered), &own(asked));
        self.of(answered).or_else(|| self.of(asked).filter(|_| same))
    }
}

/// `gpt-5-2025-08-07` of `gpt-5`.
fn is_dated(model: &str, of: &str) -> bool {
    model
        .strip_prefix(of)
        .and_then(|rest| rest.strip_prefix('-'))
        .is_some_and(|date| date.len() >= 4 && date.chars().all(|c| c.is_ascii_digit() || c == '-'))
}

/// What is wrong with a file of prices, where, and how it is written.
fn misread(file: &Path, text: &str, error: &toml::de::Error) -> String {
    let at = error.span().map_or(0, |span| span.start.min(text.len()));
    let line = text.as_bytes()[..at].iter().filter(|byte| **byte == b'\n').count() + 1;
    format!(
        "{}, line {line}: {}. Write it as: as_of = \"2026-11-01\" on the first line, then for each \
         model [models.\"its-name\"] and price = {{ input = 1000000, cached = 100000, output = 5000000 \
         }} (micro-dollars for a million tokens); or remove the file.",
        file.display(),
        error.message().trim_end_matches('.')
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_table_can_be_read() {
        let prices: Prices = toml::from_str(TABLE).unwrap();
        assert!(prices.models.len() > 5);
        assert_eq!(prices.as_of.len(), 10);
    }

    #[test]
    fn a_dated_version_costs_what_its_model_costs_and_a_kind_of_it_does_not() {
        let prices = Prices::built_in();
        let known = prices.of("gpt-5").unwrap();
        assert_eq!(prices.of("gpt-5-2025-08-07"), Some(known));
        assert_eq!(prices.of("openai/gpt-5"), Some(known));
        assert_eq!(prices.of("gpt-5-unheard-of"), None);
        assert_eq!(prices.of("gpt-55"), None);
    }

    #[test]
    fn a_long_request_costs_more_from_its_first_token() {
        let known = Prices::built_in().of("gpt-5.4").unwrap();
        let used = |input| Usage { input, ..Usage::default() };
        assert_eq!(known.price(used(272_000)).of(used(272_000)), 680_000);
        assert_eq!(known.price(used(272_001)).of(used(272_001)), 1_360_005);
    }

    #[test]
    fn a_file_of_the_user_overrides_and_a_broken_one_says_what_is_wrong() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("prices.toml");
        assert_eq!(Prices::with_file(&file).unwrap(), Prices::built_in());
        let own = "as_of = \"2026-11-01\"\n[models.\"my-model\"]\nprice = { input = 1, cached = 1, output = 2 }\n";
        std::fs::write(&file, own).unwrap();
        let prices = Prices::with_file(&file).unwrap();
        assert_eq!(prices.of("my-model").unwrap().price.output, 2);
        assert!(prices.of("gpt-5").is_some());
        std::fs::write(&file, "models = 3").unwrap();
        assert!(Prices::with_file(&file).unwrap_err().contains("prices.toml"));
        let undated = "[models.\"my-model\"]\nprice = { input = 1, cached = 1, output = 2 }\n";
        std::fs::write(&file, undated).unwrap();
        let why = Prices::with_file(&file).unwrap_err();
        assert!(why.contains("line 1") && why.contains("as_of = \"2026-11-01\""), "{why}");
        std::fs::write(&file, "as_of = \"2026-11-01\"\n\nmodels = 3").unwrap();
        assert!(Prices::with_file(&file).unwrap_err().contains("line 3"));
    }

    #[test]
    fn an_answer_of_an_unknown_model_is_not_priced_as_the_one_asked_for() {
        let prices = Prices::built_in();
        let known = prices.of("gpt-5");
        assert_eq!(prices.of_answer(None, "gpt-5"), known);
        assert_eq!(prices.of_answer(Some("gpt-5-2025-08-07"), "gpt-5"), known);
        assert_eq!(prices.of_answer(Some("openai/gpt-5"), "gpt-5"), known);
        assert_eq!(prices.of_answer(Some("of-nobody"), "gpt-5"), None);
        assert_eq!(prices.of_answer(Some("gpt-5"), "of-nobody"), known);
    }
}
