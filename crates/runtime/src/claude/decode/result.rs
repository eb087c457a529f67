//! `result`: the end of a turn, and what the run used.

use musher_protocol::{AgentEvent, CostSource, TokenUsage};
use serde_json::Value;

use super::{Cue, Decoder, state::TurnResult, system::field, wire::Odd};

impl Decoder {
    pub(super) fn result(&mut self, value: &Value) -> Result<(), Odd> {
        let subtype = field(value, "subtype").ok_or(Odd)?;
        let result = TurnResult {
            subtype: subtype.to_owned(),
            is_error: value
                .get("is_error")
                .and_then(Value::as_bool)
                .unwrap_or(subtype != "success"),
            terminal_reason: field(value, "terminal_reason").map(str::to_owned),
            api_error_status: value.get("api_error_status").and_then(Value::as_u64),
            words: words(value),
        };
        let facts = &mut self.state.facts;
        facts.turn_open = false;
        facts.resume_rejected = !facts.init && rejects_resume(value);
        if result.aborted() {
            self.withdraw_asks();
        }
        self.usage(value);
        let (ok, reason) = (result.ok(), reason(&result));
        self.state.facts.last_result = Some(result);
        // The run goes on with a new session, or its outcome says it: no turn ended.
        if !self.state.facts.resume_rejected {
            self.out.push(AgentEvent::TurnEnded { ok, reason });
        }
        self.cues.push(Cue::TurnEnded);
        Ok(())
    }

    /// The agent counts on over a resumed session; this run's part is what came since it began.
    fn usage(&mut self, value: &Value) {
        let Some(total) = totals(value.get("modelUsage"), value.get("total_cost_usd")) else {
            return;
        };
        let resumed = self.config.resumed;
        let base = self.state.base.get_or_insert_with(|| base(value, &total, resumed));
        let usage = minus(&total, base);
        if usage == self.state.facts.usage {
            return;
        }
        self.state.facts.usage = usage.clone();
        self.out.push(AgentEvent::Usage {
            usage,
            context_window: self.context_window(value),
            context_used: self.state.context_used,
        });
    }

    fn context_window(&self, value: &Value) -> Option<u64> {
        let models = value.get("modelUsage")?.as_object()?;
        let own = self.state.session.as_ref().and_then(|session| session.model.as_ref());
        let window = |model: &Value| model.get("contextWindow").and_then(Value::as_u64);
        let of_own = own.and_then(|name| models.get(name)).and_then(window);
        of_own.or_else(|| models.values().filter_map(window).max())
    }
}

/// What was used before this process, from its first result. Old versions do not say what came since:
/// then a resumed session's earlier cost cannot be told apart and is not claimed as this run's.
fn base(value: &Value, total: &TokenUsage, resumed: bool) -> TokenUsage {
    let since = value.get("model_usage_since_last_result");
    match (since.and_then(|since| totals(Some(since), None)), resumed) {
        (Some(since), _) => minus(total, &since),
        (None, false) => TokenUsage::default(),
        (None, true) => {
            let turn = turn_tokens(value.get("usage"));
            let before = minus(total, &turn);
            TokenUsage { cost_microdollars: total.cost_microdollars, ..before }
        }
    }
}

/// Sums `modelUsage`; the cost is `total_cost_usd`, or the models' own where that is not given.
fn totals(models: Option<&Value>, cost: Option<&Value>) -> Option<TokenUsage> {
    let models = models?.as_object()?;
    let sum = |name: &str| {
        let each = models.values().filter_map(|model| model.get(name)?.as_u64());
        each.fold(0, u64::saturating_add)
    };
    let of_models = || models.values().filter_map(|model| model.get("costUSD")?.as_f64()).sum();
    Some(TokenUsage {
        input_tokens: sum("inputTokens"),
        output_tokens: sum("outputTokens"),
        cache_creation_input_tokens: sum("cacheCreationInputTokens"),
        cache_read_input_tokens: sum("cacheReadInputTokens"),
        cost_microdollars: microdollars(cost.and_then(Value::as_f64).unwrap_or_else(of_models)),
        cost_source: CostSource::Reported,
    })
}

/// A turn's own `usage`: the main loop only, without cost.
fn turn_tokens(usage: Option<&Value>) -> TokenUsage {
    let number = |name: &str| usage.and_then(|usage| usage.get(name)?.as_u64()).unwrap_or(0);
    TokenUsage {
        input_tokens: number("input_tokens"),
        output_tokens: number("output_tokens"),
        cache_creation_input_tokens: number("cache_creation_input_tokens"),
        cache_read_input_tokens: number("cache_read_input_tokens"),
        ..TokenUsage::default()
    }
}

fn minus(total: &TokenUsage, base: &TokenUsage) -> TokenUsage {
    TokenUsage {
        input_tokens: total.input_tokens.saturating_sub(base.input_tokens),
        output_tokens: total.output_tokens.saturating_sub(base.output_tokens),
        cache_creation_input_tokens: total
            .cache_creation_input_tokens
            .saturating_sub(base.cache_creation_input_tokens),
        cache_read_input_tokens: total
            .cache_read_input_tokens
            .saturating_sub(base.cache_read_input_tokens),
        cost_microdollars: total.cost_microdollars.saturating_sub(base.cost_microdollars),
        cost_source: total.cost_source,
    }
}

fn microdollars(dollars: f64) -> u64 {
    // A cast of a float saturates; a cost is never negative.
    (dollars.max(0.0) * 1e6).round() as u64
}

/// The sentence for people: the error in the agent's words, never its `[ede_diagnostic]`.
fn words(value: &Value) -> Option<String> {
    let errors = value.get("errors").and_then(Value::as_array);
    let errors = errors.into_iter().flatten().filter_map(Value::as_str);
    let errors: Vec<_> = errors.filter(|error| !error.starts_with("[ede_diagnostic]")).collect();
    match errors.is_empty() {
        false => Some(errors.join("\n")),
        true => field(value, "result").filter(|text| !text.is_empty()).map(str::to_owned),
    }
}

/// Why a turn ended otherwise than well.
fn reason(result: &TurnResult) -> Option<String> {
    if result.ok() {
        return None;
    }
    match &result.words {
        _ if result.aborted() => Some("The turn was interrupted.".into()),
        Some(words) => Some(words.clone()),
        None => result.terminal_reason.clone().or_else(|| Some(result.subtype.clone())),
    }
}

/// Texts of 2.1.330 and 2.1.197 for an id that is not known, and for one that is no id at all.
fn rejects_resume(value: &Value) -> bool {
    let errors = value.get("errors").and_then(Value::as_array);
    errors.into_iter().flatten().filter_map(Value::as_str).any(is_resume_rejection)
}

/// Whether these words, a result's error or a line on stderr, reject the session to resume.
pub(crate) fn is_resume_rejection(words: &str) -> bool {
    words.contains("No conversation found with session ID")
        || words.contains("is not a UUID and does not match any session title")
}
