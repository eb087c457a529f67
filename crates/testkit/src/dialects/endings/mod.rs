//! How a turn can end: scripted endings for each dialect, with what is expected of a client.
//!
//! The conversation is one request of a person, to an agent that has a tool `read_file` (with `path`)
//! in a folder with a `README.md`. Endings that need patience say so by [`Expected::waits`] (what the
//! server asked for) or by silence of the server, for which the test sets its own time limits.

mod odd;
mod problems;
mod reasons;

use std::{ops::RangeInclusive, time::Duration};

use serde_json::json;

use super::{Answer, Dialect, Item, Message, Script};

/// One scripted ending.
#[derive(Clone, Debug)]
pub struct Ending {
    pub name: &'static str,
    pub dialect: Dialect,
    pub answers: Vec<Answer>,
    /// Whether the last answer serves all later requests.
    pub repeats: bool,
    pub expect: Expected,
}

#[derive(Clone, Debug)]
pub struct Expected {
    pub outcome: Outcome,
    /// How many requests for an answer the client makes. A range where the number of tries is the
    /// client's own choice.
    pub requests: RangeInclusive<usize>,
    pub waits: Vec<Wait>,
    /// These, in this order, among whatever else is shown.
    pub events: Vec<Seen>,
}

/// How the run ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Completed,
    /// The reason names this, in any case of letters.
    Failed {
        says: &'static str,
    },
    /// `resets_in`: seconds from the answer, when the server said so.
    RateLimited {
        resets_in: Option<u64>,
    },
    AuthenticationRequired,
    /// The client may be able to read it or not; it must not show anything else.
    CompletedOrFailed,
}

/// A pause between requests that the server asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wait {
    /// The request that it is before; 2 is the first one that can wait.
    pub before: usize,
    pub at_least: Duration,
    pub at_most: Duration,
}

/// What a person gets to see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// A whole text.
    Text(&'static str),
    /// The beginning of a text that was broken off.
    Begun(&'static str),
    Thinking(&'static str),
    /// A call of this tool.
    Call(&'static str),
    /// The call before it had an error as its result.
    CallFailed,
}

impl Ending {
    pub fn script(&self) -> Script {
        match self.repeats {
            true => Script::repeating(self.answers.clone()),
            false => Script::list(self.answers.clone()),
        }
    }

    fn new(
        name: &'static str,
        dialect: Dialect,
        answers: impl IntoIterator<Item = Answer>,
    ) -> Self {
        let answers: Vec<Answer> = answers.into_iter().collect();
        let requests = answers.len()..=answers.len();
        let outcome = Outcome::Completed;
        let expect = Expected { outcome, requests, waits: Vec::new(), events: Vec::new() };
        Self { name, dialect, answers, repeats: false, expect }
    }

    /// The last answer again and again, to at most so many requests.
    fn up_to(mut self, most: usize) -> Self {
        self.repeats = true;
        self.expect.requests = *self.expect.requests.start()..=most;
        self
    }

    fn ends(mut self, outcome: Outcome) -> Self {
        self.expect.outcome = outcome;
        self
    }

    fn shows(mut self, events: impl IntoIterator<Item = Seen>) -> Self {
        self.expect.events = events.into_iter().collect();
        self
    }

    /// Behind an answer that there is something to sum up of; the summary may be one more request.
    fn behind_a_step(mut self) -> Self {
        self.answers.insert(0, Answer::says([call("read_file", "{\"path\":\"README.md\"}")]));
        self.answers.push(done());
        self.expect.requests = self.answers.len() - 1..=self.answers.len();
        self
    }

    /// A client may wait a little longer than it was told, never shorter.
    fn waits(mut self, milliseconds: u64) -> Self {
        let at_least = Duration::from_millis(milliseconds);
        let at_most = at_least + Duration::from_secs(3);
        self.expect.waits.push(Wait { before: 2, at_least, at_most });
        self
    }
}

/// All of them. Names are the same in all dialects where the thing is.
pub fn endings() -> Vec<Ending> {
    let all = Dialect::ALL.into_iter();
    all.flat_map(|dialect| {
        [reasons::endings(dialect), problems::endings(dialect), odd::endings(dialect)].concat()
    })
    .collect()
}

/// Long enough for several pieces.
const WORDS: &str = "All is well: the notes are read and the sum is right. Ünïcode 你好 🦀.";
const BEGUN: &str = "All is well:";
const DONE: &str = "Done after all.";

fn words() -> Message {
    Message::new([Item::text(WORDS)])
}

fn done() -> Answer {
    Answer::text(DONE)
}

fn call(name: &str, arguments: &str) -> Item {
    Item::Call { name: name.to_owned(), arguments: arguments.to_owned() }
}

fn reads() -> Item {
    Item::call("read_file", &json!({"path": "README.md"}))
}
