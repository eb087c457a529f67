//! What a run asks of a person, and the person at the terminal who answers it.

use std::{collections::BTreeMap, fmt::Write as _};

use musher_protocol::*;

use crate::print::visible;

/// A request that has no answer yet.
pub enum Asked {
    Permission(String),
    Question(Question),
}

/// The open requests of a run, oldest first.
#[derive(Default)]
pub struct Open(Vec<Asked>);

impl Open {
    /// Takes the event in; says whether it asks for something.
    pub fn hear(&mut self, event: &AgentEvent) -> bool {
        match event {
            AgentEvent::PermissionRequest(asked) => {
                self.0.push(Asked::Permission(asked.request.clone()));
            }
            AgentEvent::Question(asked) => self.0.push(Asked::Question(asked.clone())),
            AgentEvent::PermissionAnswer { request, .. }
            | AgentEvent::QuestionAnswer { request, .. } => {
                self.0.retain(|asked| asked.request() != request);
                return false;
            }
            _ => return false,
        }
        true
    }

    /// All of them; none is asked about twice.
    pub fn take(&mut self) -> Vec<Asked> {
        std::mem::take(&mut self.0)
    }
}

impl Asked {
    pub fn request(&self) -> &str {
        match self {
            Asked::Permission(request) => request,
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

    /// Asks with `read`, which shows a prompt and gives the line that was written.
    pub fn answer(&self, read: impl Fn(&str) -> String) -> Answer {
        match self {
            Asked::Permission(_) => match read("allow? [y/N]> ").trim() {
                "y" | "Y" | "yes" | "allow" => Answer::Allow,
                _ => Answer::Deny { message: None },
            },
            Asked::Question(question) => answer_each(&question.questions, read),
        }
    }
}

fn answer_each(questions: &[QuestionItem], read: impl Fn(&str) -> String) -> Answer {
    let mut answers = BTreeMap::new();
    for item in questions {
        let said = meant(item, read(&prompt(item)).trim());
        if !said.is_empty() {
            answers.insert(item.question.clone(), said);
        }
    }
    match answers.is_empty() {
        true => Answer::Deny { message: None },
        false => Answer::Answers { answers },
    }
}

fn prompt(item: &QuestionItem) -> String {
    let mut text = format!("{}\n", visible(&item.question));
    for (number, option) in (1..).zip(&item.options) {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "    {number}. {}", visible(&option.label));
    }
    let how = match (item.options.is_empty(), item.multi_select) {
        (true, _) => "words",
        (false, false) => "a number, or words",
        (false, true) => "numbers like 1,3, or words",
    };
    text + &format!("answer ({how}; empty: none)> ")
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

    #[test]
    fn no_word_at_all_is_no_answer() {
        let asked = [item(false), item(true)];
        assert_eq!(answer_each(&asked, |_| "\n".into()), Answer::Deny { message: None });
    }
}
