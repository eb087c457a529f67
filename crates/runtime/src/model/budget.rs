//! What a run has used, and whether it may go on. Asked before each request and before each tool.

use std::time::Duration;

use musher_protocol::{AgentEvent, CostSource, RunLimit, RunLimits, TokenUsage};
use tokio::time::Instant;

use super::{codec::Usage, prices::Price};

/// At this share of a limit the agent is told to come to an end.
const WIND_DOWN: f64 = 0.8;

#[derive(Debug)]
pub(super) struct Budget {
    limits: RunLimits,
    began: Instant,
    turns: u32,
    calls: u32,
    usage: TokenUsage,
    /// Whether there is anything in `usage` yet.
    counted: bool,
    /// An answer whose cost is not known: then the sum is not either.
    unpriced: bool,
    /// An answer whose tokens nobody counted.
    uncounted: bool,
    /// One is being asked for that has its price.
    asked: bool,
    /// One was cut off: what it took is said at an answer's end, and it is paid for all the same.
    cut: bool,
    context: u64,
    /// The limits that the agent was told to come to an end for.
    told: Vec<RunLimit>,
    told_blind: bool,
}

/// Why a limit on money or tokens cannot end the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Blind {
    /// The server does not say how many tokens an answer took.
    Uncounted,
    /// Nobody knows what this model costs.
    Unpriced,
}

impl Blind {
    pub fn in_words(self) -> &'static str {
        match self {
            Self::Uncounted => {
                "The server does not report how many tokens an answer took, so neither tokens nor \
                 money can be counted, and limits on them cannot end the run. Set a limit of \
                 answers, of tool calls or of time."
            }
            Self::Unpriced => {
                "What this model costs is not known, so the limit on money cannot end the run. Add \
                 its price to prices.toml, or set a limit of tokens."
            }
        }
    }
}

impl Budget {
    pub fn new(limits: RunLimits, began: Instant) -> Self {
        Self {
            limits,
            began,
            turns: 0,
            calls: 0,
            usage: TokenUsage::default(),
            counted: false,
            unpriced: false,
            uncounted: false,
            asked: false,
            cut: false,
            context: 0,
            told: Vec::new(),
            told_blind: false,
        }
    }

    /// An answer that costs something is asked for. Until it is counted, nobody knows what.
    pub fn asks(&mut self) {
        self.cut |= std::mem::replace(&mut self.asked, true);
    }

    /// It was refused, or broke off: only then the provider has done something for it. What it reported
    /// until then counts.
    pub fn failed(&mut self, after_words: bool, used: Option<Usage>, price: Option<Price>) {
        self.cut |= std::mem::take(&mut self.asked) && (after_words || used.is_some());
        if let Some(used) = used {
            self.add(used, price);
        }
    }

    /// Whether some of what was used is not in the figures.
    pub fn lacks(&self) -> bool {
        self.cut || self.asked
    }

    /// Counts an answer. `price` is `None` for a model whose price nobody knows.
    pub fn answered(&mut self, usage: Option<Usage>, price: Option<Price>) {
        self.turns += 1;
        self.asked = false;
        let Some(used) = usage else {
            (self.unpriced, self.uncounted) = (true, true);
            return;
        };
        self.add(used, price);
        self.context = used.input + used.cached + used.output;
    }

    fn add(&mut self, used: Usage, price: Option<Price>) {
        self.counted = true;
        self.usage.input_tokens += used.input;
        self.usage.cache_read_input_tokens += used.cached;
        self.usage.output_tokens += used.output;
        match price {
            Some(price) => self.usage.cost_microdollars += price.of(used),
            None => self.unpriced = true,
        }
    }

    pub fn called(&mut self) {
        self.calls += 1;
    }

    pub fn usage(&self) -> TokenUsage {
        let known = self.counted && !self.unpriced;
        let cost_source = match known {
            true if self.lacks() => CostSource::AtLeast,
            true => CostSource::Estimated,
            false => CostSource::Unknown,
        };
        let cost_microdollars = if known { self.usage.cost_microdollars } else { 0 };
        TokenUsage { cost_source, cost_microdollars, ..self.usage.clone() }
    }

    pub fn event(&self, context_window: Option<u64>) -> AgentEvent {
        let context_used = (self.context > 0).then_some(self.context);
        AgentEvent::Usage { usage: self.usage(), context_window, context_used }
    }

    /// The limit that is used up.
    pub fn reached(&self, now: Instant) -> Option<RunLimit> {
        self.shares(now).into_iter().find(|(_, share)| *share >= 1.0).map(|(limit, _)| limit)
    }

    /// The limits that are nearly used up, each of them once.
    pub fn wind_down(&mut self, now: Instant) -> Vec<RunLimit> {
        let near = self.shares(now).into_iter().filter(|(_, share)| *share >= WIND_DOWN);
        let mut near: Vec<RunLimit> = near.map(|(limit, _)| limit).collect();
        near.retain(|limit| !self.told.contains(limit));
        self.told.extend(&near);
        near
    }

    /// Once, when there is a limit that cannot hold: why.
    pub fn blind(&mut self) -> Option<Blind> {
        let money = self.limits.max_cost_microdollars.is_some();
        let why = match (self.uncounted, self.unpriced) {
            (true, _) if money || self.limits.max_tokens.is_some() => Blind::Uncounted,
            (false, true) if money => Blind::Unpriced,
            _ => return None,
        };
        (!std::mem::replace(&mut self.told_blind, true)).then_some(why)
    }

    /// What is left of the time, if there is a limit.
    pub fn deadline(&self) -> Option<Instant> {
        self.limits.max_seconds.map(|secs| self.began + Duration::from_secs(secs))
    }

    /// Of each limit that is set, how much is used: 1 is all of it.
    fn shares(&self, now: Instant) -> Vec<(RunLimit, f64)> {
        let used = &self.usage;
        let tokens = used.input_tokens + used.output_tokens + used.cache_read_input_tokens;
        let seconds = now.duration_since(self.began).as_secs_f64();
        let limits = &self.limits;
        [
            (RunLimit::Turns, limits.max_turns.map(|max| share(self.turns, max))),
            (RunLimit::ToolCalls, limits.max_tool_calls.map(|max| share(self.calls, max))),
            (RunLimit::Tokens, limits.max_tokens.map(|max| share(tokens, max))),
            (
                RunLimit::Money,
                limits.max_cost_microdollars.map(|max| share(used.cost_microdollars, max)),
            ),
            (RunLimit::Time, limits.max_seconds.map(|max| seconds / (max as f64).max(0.001))),
        ]
        .into_iter()
        .filter_map(|(limit, share)| Some((limit, share?)))
        .collect()
    }
}

fn share(used: impl TryInto<u64>, max: impl TryInto<u64>) -> f64 {
    let number = |value: Result<u64, _>| value.unwrap_or(u64::MAX) as f64;
    let (used, max) = (used.try_into().map_err(drop), max.try_into().map_err(drop));
    match number(max) {
        0.0 => 1.0,
        max => number(used) / max,
    }
}

/// A limit in words, for the agent and the window.
pub(super) fn in_words(limit: RunLimit) -> &'static str {
    match limit {
        RunLimit::Turns => "answers",
        RunLimit::ToolCalls => "tool calls",
        RunLimit::Tokens => "tokens",
        RunLimit::Money => "money",
        RunLimit::Time => "time",
        RunLimit::Unknown => "its limit",
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn budget(limits: RunLimits) -> Budget {
        Budget::new(limits, Instant::now())
    }

    #[test]
    fn a_limit_of_turns_is_told_once_and_then_bites() {
        let mut budget = budget(RunLimits { max_turns: Some(5), ..RunLimits::default() });
        let now = Instant::now();
        for _ in 0..4 {
            assert_eq!(budget.reached(now), None);
            budget.answered(None, None);
        }
        assert_eq!(budget.wind_down(now), [RunLimit::Turns]);
        assert_eq!(budget.wind_down(now), []);
        budget.answered(None, None);
        assert_eq!(budget.reached(now), Some(RunLimit::Turns));
    }

    #[test]
    fn each_limit_is_told_for_itself() {
        let limits = RunLimits { max_turns: Some(5), max_tokens: Some(9), ..RunLimits::default() };
        let (mut budget, now) = (budget(limits), Instant::now());
        let used = |input| Some(Usage { input, ..Usage::default() });
        let mut told = |input| {
            budget.answered(used(input), None);
            budget.wind_down(now)
        };
        assert_eq!(told(1), []);
        assert_eq!(told(7), [RunLimit::Tokens]);
        assert_eq!(told(0), []);
        assert_eq!(told(0), [RunLimit::Turns]);
        assert_eq!(told(0), []);
    }

    #[test]
    fn a_cost_that_is_not_known_is_never_zero_and_known() {
        let mut budget = budget(RunLimits::default());
        let price = Price { input: 1_000_000, cached: 100_000, output: 10_000_000 };
        let used = Usage { input: 1_000, cached: 500, output: 100, reasoning: 50 };
        budget.answered(Some(used), Some(price));
        assert_eq!(budget.usage().cost_microdollars, 1_000 + 50 + 1_000);
        assert_eq!(budget.usage().cost_source, CostSource::Estimated);
        budget.answered(Some(used), None);
        assert_eq!(budget.usage().cost_source, CostSource::Unknown);
    }

    #[test]
    fn what_was_cut_off_is_paid_for_too() {
        let source = |happens: fn(&mut Budget)| {
            let mut budget = budget(RunLimits::default());
            let price = Price { input: 1_000_000, cached: 0, output: 0 };
            budget.asks();
            budget.answered(Some(Usage { input: 7, ..Usage::default() }), Some(price));
            assert_eq!(budget.usage().cost_source, CostSource::Estimated);
            happens(&mut budget);
            assert_eq!(budget.usage().cost_microdollars, 7);
            budget.usage().cost_source
        };
        assert_eq!(source(Budget::asks), CostSource::AtLeast);
        let refused = |budget: &mut Budget| {
            budget.asks();
            budget.failed(false, None, None);
        };
        assert_eq!(source(refused), CostSource::Estimated);
        let broken = |budget: &mut Budget| {
            budget.asks();
            budget.failed(true, None, None);
            budget.asks();
            budget.answered(Some(Usage::default()), Some(Price::FREE));
        };
        assert_eq!(source(broken), CostSource::AtLeast, "a later answer does not mend it");
        let mut first = budget(RunLimits::default());
        first.asks();
        assert_eq!(first.usage().cost_source, CostSource::Unknown, "never zero");
    }

    #[test]
    fn a_limit_that_cannot_hold_is_told_once_with_its_reason() {
        let money = RunLimits { max_cost_microdollars: Some(9), ..RunLimits::default() };
        let tokens = RunLimits { max_tokens: Some(9), ..RunLimits::default() };
        let used = Usage { input: 1, ..Usage::default() };
        let price = Price { input: 1, cached: 1, output: 1 };
        let blind = |limits: &RunLimits, used, price| {
            let mut budget = budget(limits.clone());
            budget.answered(used, price);
            (budget.blind(), budget.blind())
        };
        assert_eq!(blind(&money, None, Some(price)), (Some(Blind::Uncounted), None));
        assert_eq!(blind(&tokens, None, Some(price)), (Some(Blind::Uncounted), None));
        assert_eq!(blind(&money, Some(used), None), (Some(Blind::Unpriced), None));
        assert_eq!(blind(&tokens, Some(used), None), (None, None));
        assert_eq!(blind(&money, Some(used), Some(price)), (None, None));
        assert!(Blind::Uncounted.in_words().contains("does not report"));
    }

    #[test]
    fn a_limit_of_zero_lets_nothing_begin() {
        let limits = RunLimits { max_cost_microdollars: Some(0), ..RunLimits::default() };
        assert_eq!(budget(limits).reached(Instant::now()), Some(RunLimit::Money));
    }
}
