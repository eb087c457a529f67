//! Something that the disk may refuse, tried again every so often until it takes it. Each has its own,
//! so that the trouble of one never puts off another.

use std::{
    io,
    time::{Duration, Instant},
};

/// Between two tries.
const RETRY: Duration = Duration::from_millis(500);

#[derive(Debug, Default)]
pub struct Attempt(Option<Refused>);

#[derive(Debug)]
struct Refused {
    why: String,
    again_at: Instant,
}

impl Attempt {
    /// Notes what came of a try.
    pub fn note(&mut self, tried: Result<(), String>, now: Instant) {
        self.0 = tried.err().map(|why| Refused { why, again_at: now + RETRY });
    }

    pub fn forget(&mut self) {
        self.0 = None;
    }

    /// Why it was refused, while that is so.
    pub fn trouble(&self) -> Option<&str> {
        self.0.as_ref().map(|refused| refused.why.as_str())
    }

    /// When to try again; nothing when nothing was refused.
    pub fn again_at(&self) -> Option<Instant> {
        self.0.as_ref().map(|refused| refused.again_at)
    }

    /// It was refused, and it is time to try again.
    pub fn is_due(&self, now: Instant) -> bool {
        self.again_at().is_some_and(|at| at <= now)
    }

    /// It was refused, and it is too early to try again.
    pub fn is_early(&self, now: Instant) -> bool {
        self.again_at().is_some_and(|at| at > now)
    }
}

/// Why `what` is refused, for a person.
pub fn why(error: &io::Error, what: &str) -> String {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            format!("The disk is full: {what} waits. Free some space and it goes on by itself.")
        }
        _ => format!("It cannot be written ({error}): {what} waits."),
    }
}
