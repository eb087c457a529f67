//! Answers whose calls bring nothing. A model that is told what is wrong and does it again would go on
//! for ever, and each answer is paid for. One that fails in ever new ways may be finding out, and one
//! whose command ends badly was told so by the command: that is no failure of the call.

use std::{
    collections::{BTreeSet, VecDeque},
    hash::{DefaultHasher, Hash, Hasher},
};

use serde_json::Value;

use super::{
    calls::Planned,
    conversation::{Conversation, Entry},
};

/// After how many such answers, one after the other, a turn ends.
const MOST: u32 = 10;
/// The same for answers that go round among a few calls: each is another than the one before.
const ROUND: usize = 20;
/// So few different failures in that many answers are a circle; more may be a search.
const FEW: usize = 4;

pub(super) const HINT: &str =
    "Tell it in a message what to do in place of that, or choose a model that can use tools.";

/// Counts them in a turn.
#[derive(Default)]
pub(super) struct Fruitless {
    answers: u32,
    before: Asked,
    /// The failures of each of the last answers that had any, since a call succeeded.
    failed: VecDeque<BTreeSet<u64>>,
}

/// What the calls of one answer are.
#[derive(Default)]
pub(super) struct Asked {
    calls: Vec<(String, Value)>,
    can_be_done: bool,
    /// Which of them are commands that ran.
    pub ran: Vec<bool>,
}

impl Asked {
    pub fn of(planned: &[Planned]) -> Self {
        let calls = planned.iter().map(|it| (it.call.name.clone(), it.call.input.clone()));
        let can_be_done = planned.iter().any(Planned::can_be_done);
        Self { calls: calls.collect(), can_be_done, ran: Vec::new() }
    }

    /// The error of each call, in order; `None` for one that succeeded. Their results are the last
    /// entries.
    fn errors<'a>(&self, talk: &'a Conversation) -> Vec<Option<&'a str>> {
        let from = talk.entries.len().saturating_sub(self.calls.len());
        let error = |entry: &'a Entry| match entry {
            Entry::Result { is_error: true, text, .. } => Some(text.as_str()),
            _ => None,
        };
        talk.entries[from..].iter().map(error).collect()
    }

    /// Name, arguments and error of each call that failed.
    fn failures(&self, errors: &[Option<&str>]) -> BTreeSet<u64> {
        let ran = self.ran.iter().copied().chain(std::iter::repeat(false));
        let calls = self.calls.iter().zip(errors).zip(ran).filter(|(_, ran)| !ran);
        calls.filter_map(|((call, error), _)| Some(fingerprint(call, (*error)?))).collect()
    }
}

fn fingerprint((name, input): &(String, Value), error: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    (name, input.to_string(), error).hash(&mut hasher);
    hasher.finish()
}

impl Fruitless {
    /// Counts an answer whose calls are answered by now; gives why the turn ends, when it does.
    pub fn heed(&mut self, asked: Asked, talk: &Conversation) -> Option<String> {
        let errors = asked.errors(talk);
        let has_failed = errors.iter().all(Option::is_some);
        let again = asked.calls == self.before.calls && has_failed;
        self.answers = if again || !asked.can_be_done { self.answers + 1 } else { 0 };
        let goes_round = self.goes_round(asked.failures(&errors), has_failed);
        self.before = asked;
        if self.answers == MOST {
            return Some(format!(
                "None of the model's calls in its last {MOST} answers could be done, and it does not \
                 change its ways."
            ));
        }
        goes_round.then(|| {
            format!(
                "The model's calls failed in its last {ROUND} answers that had any to fail: the same \
                 few again and again, and none of them succeeded."
            )
        })
    }

    /// What a command that ran says neither counts nor clears: an agent whose tests fail while its edits
    /// succeed works, one whose edits fail as well does not.
    fn goes_round(&mut self, failures: BTreeSet<u64>, has_failed: bool) -> bool {
        if !has_failed {
            self.failed.clear();
        } else if !failures.is_empty() {
            self.failed.push_back(failures);
        }
        if self.failed.len() > ROUND {
            self.failed.pop_front();
        }
        let different: BTreeSet<&u64> = self.failed.iter().flatten().collect();
        self.failed.len() == ROUND && different.len() <= FEW
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One answer with one call and its result; `ran`: it was a command that ran.
    fn answer(
        counts: &mut Fruitless,
        name: &str,
        input: u32,
        error: Option<&str>,
        ran: bool,
    ) -> bool {
        let calls = vec![(name.to_owned(), Value::from(input))];
        let asked = Asked { calls, can_be_done: true, ran: vec![ran] };
        let (text, is_error) = (error.unwrap_or("done").to_owned(), error.is_some());
        let result = Entry::Result { call: "c".to_owned(), text, is_error };
        let talk = Conversation { entries: vec![result], ..Conversation::default() };
        counts.heed(asked, &talk).is_some()
    }

    /// After how many answers it ends, at most 200.
    fn ends(mut next: impl FnMut(u32, &mut Fruitless) -> bool) -> Option<u32> {
        let mut counts = Fruitless::default();
        (1..=200).find(|number| next(*number, &mut counts))
    }

    #[test]
    fn a_round_of_a_few_failures_has_an_end() {
        for calls in 2..=4 {
            let round = ends(|n, it| answer(it, "edit_file", n % calls, Some("not found"), false));
            assert_eq!(round, Some(20), "{calls}");
        }
        let wide = ends(|n, it| answer(it, "edit_file", n % 5, Some("not found"), false));
        assert_eq!(wide, None, "that many may be a search");
        let told = ends(|n, it| answer(it, "ask", n % 2, Some(&format!("try {n}")), false));
        assert_eq!(told, None, "it hears something new each time");
    }

    #[test]
    fn an_agent_that_works_while_its_tests_fail_is_never_ended() {
        let works = ends(|n, it| match n % 3 {
            0 => answer(it, "edit_file", n, None, false),
            1 => answer(it, "run_command", 0, Some("1 test failed"), true),
            _ => answer(it, "edit_file", 0, Some("not found"), false),
        });
        assert_eq!(works, None);
        let looks = ends(|n, it| answer(it, "run_command", n % 2, Some("1 test failed"), true));
        assert_eq!(looks, None, "what a command says is an answer");
    }

    #[test]
    fn tests_that_fail_between_edits_that_fail_are_no_work() {
        let round = ends(|n, it| match n % 2 {
            0 => answer(it, "run_command", 0, Some("1 test failed"), true),
            _ => answer(it, "edit_file", 0, Some("not found"), false),
        });
        assert_eq!(round, Some(39));
    }

    #[test]
    fn one_success_begins_the_count_anew() {
        let mut counts = Fruitless::default();
        for number in 0..19 {
            assert!(!answer(&mut counts, "edit_file", number % 2, Some("no"), false));
        }
        assert!(!answer(&mut counts, "edit_file", 7, None, false));
        for number in 0..19 {
            assert!(!answer(&mut counts, "edit_file", number % 2, Some("no"), false));
        }
        assert!(answer(&mut counts, "edit_file", 1, Some("no"), false));
    }
}
