//! The person at the terminal: one question stands there at a time, until it is answered here or
//! elsewhere. A line answers only the question that it was begun for.

use std::collections::VecDeque;

use musher_protocol::*;

use crate::{
    ask::{self, Asked, Heard, Open, Standing},
    print,
    typed::{Line, Typed},
};

const EARLY: &str = "note: What was begun before this question is no answer to it.";

#[derive(Default)]
pub struct Desk {
    /// Questions are put here.
    pub asks: bool,
    /// Events are printed where questions stand, so that a request is told with its prompt.
    pub one_place: bool,
    open: Open,
    standing: Option<Standing>,
    typed: Typed,
}

impl Desk {
    pub fn hear(&mut self, event: &AgentEvent) -> Heard {
        if matches!(event, AgentEvent::Done { .. }) && self.standing.take().is_some() {
            print::end_line();
        }
        let heard = self.open.hear(event);
        let is_about = |standing: &Standing| Some(standing.request()) == ask::answered(event);
        match self.standing.take_if(|standing| is_about(&*standing)) {
            Some(_) => Heard::Elsewhere,
            None => heard,
        }
    }

    /// What nobody is asked here.
    pub fn take(&mut self) -> VecDeque<Asked> {
        self.open.take()
    }

    /// Puts the next question, or the one that stands again where something was printed behind it.
    pub fn stand(&mut self) {
        if !self.asks {
            return;
        }
        match &self.standing {
            Some(_) if print::prompt_stands() => {}
            Some(standing) => print::prompt(&standing.prompt()),
            None => {
                self.standing = self.open.next().map(Standing::of);
                self.put();
            }
        }
    }

    fn put(&mut self) {
        let Some(standing) = &self.standing else { return };
        let early = self.typed.next_question();
        print::end_line();
        standing.show(self.one_place);
        if early {
            eprintln!("{EARLY}");
        }
        print::prompt(&standing.prompt());
    }

    /// The next line; none comes while no question stands. No line is lost with a wait that is given up.
    pub async fn line(&mut self) -> Line {
        if self.standing.is_none() {
            std::future::pending::<()>().await;
        }
        self.typed.line().await
    }

    /// The request that the line answers in full, and how.
    pub fn said(&mut self, line: &Line) -> Option<(String, Answer)> {
        print::typed(line.text.ends_with('\n'));
        if !line.is_meant {
            eprintln!("{EARLY}");
            self.stand();
            return None;
        }
        let answer = self.standing.as_mut()?.take(line.text.trim());
        match answer {
            Some(answer) => {
                self.standing.take().map(|standing| (standing.request().to_owned(), answer))
            }
            None => {
                self.put();
                None
            }
        }
    }
}
