//! What a run asks of a person, and the person at the terminal who answers it.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt::Write as _,
};

use musher_protocol::*;

use crate::print::{self, visible};

/// A request that has no answer yet.
pub enum Asked {
    Permission(PermissionRequest),
    Question(Question),
}

/// What an event is to the open requests.
pub enum Heard {
    Nothing,
    Asks,
    /// It answers this one of them, about which nobody was asked here.
    Settled(Box<Asked>),
    /// It answers what is being asked here.
    Elsewhere,
}

/// The open requests of a run that nobody is asked about yet, oldest first.
#[derive(Default)]
pub struct Open(VecDeque<Asked>);

/// The request that an event answers.
pub fn answered(event: &AgentEvent) -> Option<&str> {
    match event {
        AgentEvent::PermissionAnswer { request, .. }
        | AgentEvent::QuestionAnswer { request, .. } => Some(request),
        _ => None,
    }
}

impl Open {
    pub fn hear(&mut self, event: &AgentEvent) -> Heard {
        match event {
            AgentEvent::PermissionRequest(asked) => {
                self.0.push_back(Asked::Permission(asked.clone()));
                Heard::Asks
            }
            AgentEvent::Question(asked) => {
                self.0.push_back(Asked::Question(asked.clone()));
                Heard::Asks
            }
            _ => answered(event).and_then(|request| self.settle(request)).unwrap_or(Heard::Nothing),
        }
    }

    fn settle(&mut self, request: &str) -> Option<Heard> {
        let at = self.0.iter().position(|asked| asked.request() == request)?;
        self.0.remove(at).map(|asked| Heard::Settled(Box::new(asked)))
    }

    pub fn next(&mut self) -> Option<Asked> {
        self.0.pop_front()
    }

    /// All of them; none is asked about twice.
    pub fn take(&mut self) -> VecDeque<Asked> {
        std::mem::take(&mut self.0)
    }
}

impl Asked {
    pub fn request(&self) -> &str {
        match self {
            Asked::Permission(asked) => &asked.request,
            Asked::Question(question) => &question.request,
        }
    }

    /// The command that answers it from elsewhere.
    pub fn command(&self, run: &RunId) -> String {
        let words = match self {
            Asked::Permission(_) => "allow|deny",
            Asked::Question(_) => "choose --message ...",
        };
        format!("musher answer {run} {} {words}", self.request())
    }

    /// Prints what was held back to be told where it is asked.
    pub fn tell(&self) {
        match self {
            Asked::Permission(asked) => print::permission(asked),
            Asked::Question(question) => question.questions.iter().for_each(print::question),
        }
    }
}

/// The request that somebody is asked about, and what was said to it so far.
pub struct Standing {
    asked: Asked,
    at: usize,
    answers: BTreeMap<String, String>,
}

impl Standing {
    pub fn of(asked: Asked) -> Self {
        Self { asked, at: 0, answers: BTreeMap::new() }
    }

    pub fn request(&self) -> &str {
        self.asked.request()
    }

    fn item(&self) -> Option<&QuestionItem> {
        match &self.asked {
            Asked::Permission(_) => None,
            Asked::Question(question) => question.questions.get(self.at),
        }
    }

    /// Says what the prompt is about; with `one_place`, events are printed on the prompt's terminal.
    pub fn show(&self, one_place: bool) {
        match (&self.asked, self.item()) {
            (Asked::Permission(_), _) if one_place => self.asked.tell(),
            (Asked::Permission(asked), _) => eprintln!("{}", visible(&print::wanted(asked))),
            (_, Some(item)) => eprint!("{}", text(item)),
            (_, None) => {}
        }
    }

    pub fn prompt(&self) -> String {
        self.item().map_or_else(|| "allow? [y/N]> ".to_owned(), prompt)
    }

    /// Takes a line in; gives the answer with the last one that it needs.
    pub fn take(&mut self, said: &str) -> Option<Answer> {
        let Asked::Question(question) = &self.asked else {
            return Some(match said {
                "y" | "Y" | "yes" | "allow" => Answer::Allow,
                _ => Answer::Deny { message: None },
            });
        };
        if let Some(item) = question.questions.get(self.at) {
            let said = meant(item, said);
            if !said.is_empty() {
                self.answers.insert(item.question.clone(), said);
            }
        }
        self.at += 1;
        (self.at >= question.questions.len()).then(|| match std::mem::take(&mut self.answers) {
            answers if answers.is_empty() => Answer::Deny { message: None },
            answers => Answer::Answers { answers },
        })
    }
}

/// As it stands among the events ([`print::question`]).
fn text(item: &QuestionItem) -> String {
    let mut text = format!("? {}\n", visible(&item.question));
    for (number, option) in (1..).zip(&item.options) {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "    {number}. {}", visible(&option.label));
    }
    text
}

fn prompt(item: &QuestionItem) -> String {
    let how = match (item.options.is_empty(), item.multi_select) {
        (true, _) => "words",
        (false, false) => "a number, or words",
        (false, true) => "numbers like 1,3, or words",
    };
    format!("answer ({how}; empty: none)> ")
}

/// Numbers stand for the options; anything else is the person's own words.
fn meant(item: &QuestionItem, said: &str) -> String {
    let option = |number: &str| {
        let place = number.trim().parse::<usize>().ok()?.checked_sub(1)?;
        Some(item.options.get(place)?.label.as_str())
    };
    let labels: Option<Vec<_>> = match item.multi_select {
        true => said.split(',').map(option).collect(),
        false => option(said).map(|label| vec![label]),
    };
    labels.map_or_else(|| said.to_owned(), |labels| labels.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(multi_select: bool) -> QuestionItem {
        let option = |label: &str| QuestionOption { label: label.into(), description: None };
        QuestionItem {
            header: "Size".into(),
            question: "Which size?".into(),
            multi_select,
            options: vec![option("Small"), option("Large")],
        }
    }

    #[test]
    fn numbers_are_options_and_all_else_is_words() {
        for (multi, said, answer) in [
            (false, "2", "Large"),
            (false, "3", "3"),
            (false, "0", "0"),
            (false, "1,2", "1,2"),
            (true, "1, 2", "Small, Large"),
            (true, "1, none", "1, none"),
            (false, "as large as it gets", "as large as it gets"),
        ] {
            assert_eq!(meant(&item(multi), said), answer, "{said}");
        }
    }

    fn said(lines: &[&str]) -> Option<Answer> {
        let questions = vec![item(false), QuestionItem { question: "Why?".into(), ..item(true) }];
        let request = "1".into();
        let asked = Question { request, tool_call: None, questions, expires_at: None };
        let mut standing = Standing::of(Asked::Question(asked));
        lines.iter().fold(None, |given, line| given.or(standing.take(line)))
    }

    #[test]
    fn every_question_of_a_request_is_answered_before_it_is() {
        assert_eq!(said(&["2"]), None);
        let answers = [("Which size?", "Large"), ("Why?", "Small, Large")];
        let answers = answers.map(|(asked, said)| (asked.to_owned(), said.to_owned())).into();
        assert_eq!(said(&["2", "1,2"]), Some(Answer::Answers { answers }));
    }

    #[test]
    fn no_word_at_all_is_no_answer() {
        assert_eq!(said(&["", ""]), Some(Answer::Deny { message: None }));
    }
}
