//! How a child's tree ends: end of input, TERM, KILL, the last of the output, the record.
//!
//! A fold over time and what is seen of the tree; it decides and does nothing itself, so that it can be
//! tested without a process. An order to end carries on whoever gave it.

use std::time::{Duration, Instant};

use crate::{Ending, keeper::copier::Ceiling, tree::KILL_LIMIT};

/// What descendants get between TERM and KILL when the child ended by itself.
const NATURAL_GRACE: Duration = Duration::from_secs(2);
/// How long output may stay silent, with the tree gone and a stranger holding the stream open.
const SILENCE: Duration = Duration::from_secs(1);
/// Between two looks at a tree that is being ended.
const LOOK: Duration = Duration::from_millis(10);

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Phase {
    Running,
    /// The input is closed; TERM comes at `until`.
    InputClosed {
        until: Instant,
        term_grace: Duration,
    },
    /// TERM was sent; KILL comes at `until`.
    Terminating {
        until: Instant,
    },
    /// KILL is being sent to whatever lives; what lives at `until` is left.
    Killing {
        until: Instant,
    },
    /// Nothing lives (or can be ended); the rest of the output is taken, until it is silent.
    Draining {
        until: Instant,
    },
    Over,
}

/// What the tree looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tree {
    Child,
    OnlyDescendants,
    Empty,
}

/// What the keeper does upon a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    Nothing,
    CloseInput,
    Terminate,
    Kill,
    /// What still lives could not be ended.
    GiveUp,
}

impl Phase {
    /// Takes an order. It can only bring the end nearer.
    pub fn order(&mut self, ending: Ending, now: Instant) -> Act {
        match self {
            Self::Running => {
                *self = Self::InputClosed {
                    until: now + ending.eof_grace,
                    term_grace: ending.term_grace,
                };
                return Act::CloseInput;
            }
            Self::InputClosed { until, term_grace } => {
                *until = (*until).min(now + ending.eof_grace);
                *term_grace = (*term_grace).min(ending.term_grace);
            }
            Self::Terminating { until } => {
                *until = (*until).min(now + ending.eof_grace + ending.term_grace);
            }
            Self::Killing { .. } | Self::Draining { .. } | Self::Over => {}
        }
        Act::Nothing
    }

    pub fn step(&mut self, tree: Tree, now: Instant) -> Act {
        match *self {
            Self::Running | Self::InputClosed { .. } | Self::Terminating { .. }
                if tree == Tree::Empty =>
            {
                self.drain(now);
                Act::Nothing
            }
            Self::Running if tree == Tree::OnlyDescendants => self.terminate(NATURAL_GRACE, now),
            Self::InputClosed { term_grace, .. } if tree == Tree::OnlyDescendants => {
                self.terminate(term_grace.min(NATURAL_GRACE), now)
            }
            Self::InputClosed { until, term_grace } if now >= until => {
                self.terminate(term_grace, now)
            }
            Self::Terminating { until } if now >= until => {
                *self = Self::Killing { until: now + KILL_LIMIT };
                Act::Kill
            }
            Self::Killing { .. } if tree == Tree::Empty => {
                self.drain(now);
                Act::Nothing
            }
            Self::Killing { until } if now >= until => {
                self.drain(now);
                Act::GiveUp
            }
            Self::Killing { .. } => Act::Kill,
            _ => Act::Nothing,
        }
    }

    /// Output is still coming.
    pub fn heard(&mut self, now: Instant) {
        if let Self::Draining { until } = self {
            *until = now + SILENCE;
        }
    }

    /// Nobody could be asked to end: there is no grace to be given.
    pub fn cut_short(&mut self, now: Instant) {
        if let Self::Terminating { until } = self {
            *until = now;
        }
    }

    fn terminate(&mut self, grace: Duration, now: Instant) -> Act {
        *self = Self::Terminating { until: now + grace };
        Act::Terminate
    }

    fn drain(&mut self, now: Instant) {
        *self = Self::Draining { until: now + SILENCE };
    }

    /// When to look again though nothing happened.
    pub fn due(&self, now: Instant) -> Option<Instant> {
        match *self {
            Self::Running | Self::Over => None,
            Self::InputClosed { until, .. } | Self::Draining { until } => Some(until),
            Self::Terminating { until } | Self::Killing { until } => Some(until.min(now + LOOK)),
        }
    }

    pub fn ceiling(&self) -> Ceiling {
        match self {
            Self::Running => Ceiling::Running,
            Self::InputClosed { .. } | Self::Terminating { .. } | Self::Killing { .. } => {
                Ceiling::Ending
            }
            Self::Draining { .. } | Self::Over => Ceiling::Dead,
        }
    }

    pub fn name(&self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::InputClosed { .. } => "input_closed",
            Self::Terminating { .. } => "terminating",
            Self::Killing { .. } => "killing",
            Self::Draining { .. } => "draining",
            Self::Over => "over",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);
    const GENTLE: Ending =
        Ending { eof_grace: Duration::from_secs(5), term_grace: Duration::from_secs(3) };

    fn at(start: Instant, millis: u32) -> Instant {
        start + MS * millis
    }

    #[test]
    fn an_order_takes_every_step_in_its_time() {
        let start = Instant::now();
        let mut phase = Phase::Running;
        assert_eq!(phase.order(GENTLE, start), Act::CloseInput);
        assert_eq!(phase.step(Tree::Child, at(start, 4999)), Act::Nothing);
        assert_eq!(phase.step(Tree::Child, at(start, 5000)), Act::Terminate);
        assert_eq!(phase.step(Tree::Child, at(start, 7999)), Act::Nothing);
        assert_eq!(phase.step(Tree::Child, at(start, 8000)), Act::Kill);
        assert_eq!(phase.step(Tree::OnlyDescendants, at(start, 8001)), Act::Kill);
        assert_eq!(phase.step(Tree::Empty, at(start, 8002)), Act::Nothing);
        assert_eq!(phase.name(), "draining");
    }

    #[test]
    fn what_does_not_die_is_given_up_in_the_end() {
        let start = Instant::now();
        let mut phase = Phase::Killing { until: at(start, 100) };
        assert_eq!(phase.step(Tree::OnlyDescendants, at(start, 99)), Act::Kill);
        assert_eq!(phase.step(Tree::OnlyDescendants, at(start, 100)), Act::GiveUp);
        assert_eq!(phase.step(Tree::OnlyDescendants, at(start, 101)), Act::Nothing);
    }

    #[test]
    fn a_child_that_ends_takes_its_descendants_along() {
        let start = Instant::now();
        let mut phase = Phase::Running;
        assert_eq!(phase.step(Tree::Child, start), Act::Nothing);
        assert_eq!(phase.step(Tree::OnlyDescendants, start), Act::Terminate);
        assert_eq!(phase.step(Tree::OnlyDescendants, at(start, 1999)), Act::Nothing);
        assert_eq!(phase.step(Tree::OnlyDescendants, at(start, 2000)), Act::Kill);
        let mut alone = Phase::Running;
        assert_eq!(alone.step(Tree::Empty, start), Act::Nothing);
        assert_eq!(alone.name(), "draining");
    }

    #[test]
    fn a_second_order_shortens_and_never_lengthens() {
        let start = Instant::now();
        let mut phase = Phase::Running;
        phase.order(GENTLE, start);
        phase.order(Ending { eof_grace: MS * 9000, term_grace: MS * 9000 }, start);
        assert_eq!(phase.step(Tree::Child, at(start, 5000)), Act::Terminate);
        phase.order(Ending::NOW, at(start, 5001));
        assert_eq!(phase.step(Tree::Child, at(start, 5001)), Act::Kill);
    }

    #[test]
    fn who_cannot_be_asked_gets_no_grace() {
        let start = Instant::now();
        let mut phase = Phase::Running;
        phase.cut_short(start);
        assert_eq!(phase.step(Tree::OnlyDescendants, start), Act::Terminate);
        phase.cut_short(start);
        assert_eq!(phase.step(Tree::OnlyDescendants, start), Act::Kill);
    }

    #[test]
    fn silence_is_counted_from_the_last_byte() {
        let start = Instant::now();
        let mut phase = Phase::Draining { until: at(start, 1000) };
        phase.heard(at(start, 900));
        assert_eq!(phase.due(start), Some(at(start, 1900)));
        let mut running = Phase::Running;
        running.heard(start);
        assert_eq!((running.due(start), running), (None, Phase::Running));
    }
}
