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
