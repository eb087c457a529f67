//! An agent's words at a terminal: as they come, each once, and not lost when the agent is cut off.

use musher_protocol::AgentEvent;

/// What is to be written.
#[derive(Debug, PartialEq, Eq)]
pub enum Write {
    /// More of the line that is open.
    Piece(String),
    /// The end of it: whatever comes next is something else.
    Rest(String),
    Line(String),
}

/// The blocks of which only pieces have come, oldest first.
pub struct Words {
    /// Somebody reads along; otherwise only whole blocks are written.
    live: bool,
    open: Vec<Block>,
}

struct Block {
    name: String,
    told: String,
}

impl Words {
    pub fn new(live: bool) -> Self {
        Self { live, open: Vec::new() }
    }

    pub fn hear(&mut self, event: &AgentEvent) -> Option<Write> {
        match event {
            AgentEvent::Text { block, text, delta: true, .. } => self.piece(block, text),
            AgentEvent::Text { block, text, delta: false, .. } => self.whole(block, text),
            AgentEvent::TurnEnded { .. } | AgentEvent::Done { .. } => self.cut_off(),
            // The answer is broken off; the next one says its own.
            AgentEvent::Warning { code, .. } if code == "retry" => self.cut_off(),
            _ => None,
        }
    }

    fn piece(&mut self, name: &str, text: &str) -> Option<Write> {
        let is_last = self.open.last().is_some_and(|block| block.name == name);
        match self.open.iter_mut().find(|block| block.name == name) {
            Some(block) => block.told += text,
            None => self.open.push(Block { name: name.to_owned(), told: text.to_owned() }),
        }
        let begins = !is_last && self.open.len() > 1;
        self.live.then(|| Write::Piece(format!("{}{text}", if begins { "\n" } else { "" })))
    }

    fn whole(&mut self, name: &str, text: &str) -> Option<Write> {
        let at = self.open.iter().position(|block| block.name == name);
        let is_last = at.is_some_and(|at| at + 1 == self.open.len());
        let told = at.map(|at| self.open.remove(at).told).filter(|_| self.live);
        match told.as_deref().and_then(|told| text.strip_prefix(told)) {
            Some(rest) if is_last => Some(Write::Rest(rest.to_owned())),
            Some("") => None,
            _ => Some(Write::Line(text.to_owned())),
        }
    }

    /// Of several blocks the last is the one that was being said.
    fn cut_off(&mut self) -> Option<Write> {
        let last = std::mem::take(&mut self.open).pop()?;
        (!self.live).then_some(Write::Line(last.told))
    }
}

#[cfg(test)]
mod tests {
    use musher_protocol::{RunOutcome, StoppedBy};

    use super::*;

    fn say(block: &str, text: &str, delta: bool) -> AgentEvent {
        AgentEvent::Text { block: block.into(), text: text.into(), delta, parent: None }
    }

    fn written(live: bool, events: &[AgentEvent]) -> Vec<Write> {
        let mut words = Words::new(live);
        events.iter().filter_map(|event| words.hear(event)).collect()
    }

    fn piece(text: &str) -> Write {
        Write::Piece(text.into())
    }

    fn line(text: &str) -> Write {
        Write::Line(text.into())
    }

    fn rest(text: &str) -> Write {
        Write::Rest(text.into())
    }

    #[test]
    fn words_are_told_as_they_come_and_once() {
        let events = [
            say("1", "I lo", true),
            say("1", "ok.", true),
            say("2", "And", true),
            say("1", "I look.", false),
            say("2", "And mend.", false),
            say("3", "Done.", false),
        ];
        let live = [piece("I lo"), piece("ok."), piece("\nAnd"), rest(" mend."), line("Done.")];
        assert_eq!(written(true, &events), live);
        assert_eq!(written(false, &events), [line("I look."), line("And mend."), line("Done.")]);
    }

    #[test]
    fn a_block_ends_where_the_next_begins() {
        let events = [say("1", "One.", true), say("1", "One.", false), say("2", "Two.", true)];
        assert_eq!(written(true, &events), [piece("One."), rest(""), piece("Two.")]);
    }

    #[test]
    fn a_block_that_became_another_is_told_again() {
        let events = [say("1", "<thi", true), say("1", "Hello.", false)];
        assert_eq!(written(true, &events), [piece("<thi"), line("Hello.")]);
    }

    #[test]
    fn what_was_cut_off_is_not_lost() {
        let done = AgentEvent::Done { outcome: RunOutcome::Stopped { by: StoppedBy::User } };
        let events = [say("1", "I was abo", true), done];
        assert_eq!(written(true, &events), [piece("I was abo")]);
        assert_eq!(written(false, &events), [line("I was abo")]);
    }

    #[test]
    fn what_was_broken_off_comes_before_what_is_said_instead() {
        let again = AgentEvent::Warning { code: "retry".into(), message: "Tries again.".into() };
        let events = [say("1", "I was abo", true), again, say("2", "I look.", false)];
        assert_eq!(written(false, &events), [line("I was abo"), line("I look.")]);
        assert_eq!(written(true, &events), [piece("I was abo"), line("I look.")]);
    }
}
