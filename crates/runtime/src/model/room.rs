//! A conversation that no longer fits: summed up once by the model, then cut, then given up. It never
//! goes round: each step makes it shorter, and there are two, until the agent has done work again in
//! what room there was.

use std::fmt::Write;

use musher_protocol::{AgentEvent, RunPhase, RuntimeStatus};

use super::{
    attempt::{NoAnswer, failed},
    codec::Block,
    conversation::{Conversation, Entry, Part, shortened},
    run::{Over, Room, Run},
};

/// What of the old conversation is shown to the model that sums it up, in characters: some 20,000
/// tokens, which every model holds that is of use here.
const TO_SUM: usize = 80_000;
/// Of one entry in it.
const OF_ENTRY: usize = 2_000;
/// The entries that a cut keeps, at most.
const KEPT: usize = 8;
/// Of a person's words, or of a summary of before with theirs.
const OF_WORDS: usize = 12_000;
/// Words that are no more than a cut would leave.
const OF_TASK: usize = 4_000;

/// Steps with calls that have to fit before a conversation that was made shorter counts as a whole one.
/// Fewer, and a model that can hold next to nothing would sum up for ever.
const PROGRESS: u32 = 3;

/// The code that the page knows a summing up by.
const SUMMING: &str = "summing_up";

const ASK: &str = "The conversation below has become too long to go on with. Write what whoever goes \
                   on with the work must know: the task in the person's own words, what was decided \
                   and why, what was changed in which files, what was found out, what failed, and what \
                   is left to do. Leave nothing out that cannot be looked up in the files.\n\n";

impl Run<'_> {
    pub(super) async fn make_room(&mut self) -> Result<(), Over> {
        match self.room {
            // A summary would only be longer.
            Room::Whole if is_only_a_task(&self.talk) => Err(given_up(
                "The task and the descriptions of the tools alone are too long for this model",
            )),
            Room::Whole => {
                self.room = Room::Summed;
                match self.sum_up().await? {
                    Some(summary) => self.shorten(summary, 0).await,
                    None => self.cut().await,
                }
            }
            Room::Summed => self.cut().await,
            Room::Cut => {
                Err(given_up("The conversation is too long for this model, also when it is cut"))
            }
        }
    }

    /// A step was asked for, answered and done. Enough of them, and a long task may be summed up anew.
    pub(super) fn progressed(&mut self) {
        self.since_shorter += 1;
        if self.since_shorter >= PROGRESS {
            self.room = Room::Whole;
        }
    }

    /// The model's own words for what was; `None` when it has none.
    async fn sum_up(&mut self) -> Result<Option<String>, Over> {
        let mut talk = Conversation::default();
        talk.say(format!("{ASK}{}", in_words(&self.talk)));
        self.say_summing(true).await?;
        let answer = self.answer(&talk, &[]).await;
        let answer = match answer {
            Ok(answer) => Some(answer),
            Err(NoAnswer::TooLong) => None,
            Err(NoAnswer::Over(over)) => return Err(over),
        };
        self.say_summing(false).await?;
        let Some(answer) = answer else { return Ok(None) };
        self.count(&answer);
        self.sink.say(self.usage()).await?;
        let texts = answer.blocks.iter().filter_map(|block| match block {
            Block::Text { text, .. } => Some(text.as_str()),
            _ => None,
        });
        let text = texts.collect::<Vec<_>>().join("\n");
        Ok((!text.trim().is_empty()).then_some(text))
    }

    /// Said before the summary streams: its words are not the agent's to the person.
    async fn say_summing(&self, begins: bool) -> Result<(), Over> {
        let detail = begins.then(|| "Sums up the conversation".to_owned());
        if let Some(message) = detail.clone().map(|words| format!("{words}: it grew too long.")) {
            self.sink.say(AgentEvent::Warning { code: SUMMING.into(), message }).await?;
        }
        let (status, phase) = (RuntimeStatus::Running, RunPhase::Running);
        Ok(self.sink.say(AgentEvent::Status { status, phase, detail, until: None }).await?)
    }

    /// Drops the oldest entries; a call is never parted from its results.
    async fn cut(&mut self) -> Result<(), Over> {
        self.room = Room::Cut;
        let text =
            "The beginning of this conversation was cut: the model cannot hold it. Look at the \
                    files for what was done."
                .to_owned();
        let kept = kept(&self.talk);
        self.shorten(text, kept).await
    }

    async fn shorten(&mut self, summary: String, kept: usize) -> Result<(), Over> {
        let event = AgentEvent::Summary { text: summary.clone(), kept: kept as u32 };
        self.sink.commit(vec![event.into()]).await?;
        self.talk.shorten(&summary, kept);
        self.since_shorter = 0;
        Ok(())
    }
}

fn given_up(why: &str) -> Over {
    let message = format!(
        "{why}. Choose a model that holds more, or start its server with a longer context."
    );
    Over::Outcome(failed(&message))
}

/// Whether there is nothing that a cut could leave out: no steps yet, and few words.
fn is_only_a_task(talk: &Conversation) -> bool {
    let mut words = 0;
    talk.entries.iter().all(|entry| match entry {
        Entry::User { text } => {
            words += text.len();
            words <= OF_TASK
        }
        _ => false,
    })
}

/// How many of the last entries a cut keeps: at most [`KEPT`], from the beginning of a step on, and
/// fewer than there are.
fn kept(talk: &Conversation) -> usize {
    let entries = &talk.entries;
    let most = KEPT.min(entries.len() / 2);
    let first = entries.len() - most;
    let begins = (first..entries.len()).find(|at| matches!(entries[*at], Entry::Step(_)));
    begins.map_or(0, |at| entries.len() - at)
}

/// The conversation as text, its middle left out when it is long.
fn in_words(talk: &Conversation) -> String {
    let lines: Vec<String> = talk.entries.iter().map(entry_in_words).collect();
    let whole: usize = lines.iter().map(String::len).sum();
    if whole <= TO_SUM {
        return lines.concat();
    }
    let (mut head, mut tail, mut room) = (0, lines.len(), TO_SUM);
    // From both ends, so that the task and the latest steps stay.
    while head < tail {
        let (from_head, line) = match head + (lines.len() - tail) {
            taken if taken % 4 == 0 => (true, &lines[head]),
            _ => (false, &lines[tail - 1]),
        };
        if line.len() > room {
            break;
        }
        room -= line.len();
        if from_head { head += 1 } else { tail -= 1 }
    }
    format!(
        "{}[{} entries left out]\n{}",
        lines[..head].concat(),
        tail - head,
        lines[tail..].concat()
    )
}

fn entry_in_words(entry: &Entry) -> String {
    match entry {
        Entry::User { text } => format!("Person: {}\n", shortened(text, OF_WORDS)),
        Entry::Result { text, .. } => format!("Result: {}\n", shortened(text, OF_ENTRY)),
        Entry::Step(step) => step.parts.iter().fold(String::new(), |mut said, part| {
            let _ = match part {
                Part::Text(text) => writeln!(said, "Agent: {}", shortened(text, OF_ENTRY)),
                Part::Call { name, input, .. } => {
                    writeln!(said, "Agent calls {name} {}", shortened(&input.to_string(), OF_ENTRY))
                }
            };
            said
        }),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::panic)]
    use proptest::prelude::*;

    use super::*;
    use crate::model::conversation::Step;

    fn talk(steps: usize, words: usize) -> Conversation {
        let mut talk = Conversation::default();
        talk.hear("the task".into());
        for at in 0..steps {
            let call = Part::Call { id: format!("c{at}"), name: "t".into(), input: "x".into() };
            let parts = vec![Part::Text("a".repeat(words)), call];
            talk.entries.push(Entry::Step(Step { origin: None, items: Vec::new(), parts }));
            let (call, text) = (format!("c{at}"), "r".repeat(words));
            talk.entries.push(Entry::Result { call, text, is_error: false });
        }
        talk
    }

    proptest! {
        #[test]
        fn a_cut_conversation_is_valid_and_shorter(steps in 1..60_usize) {
            let mut talk = talk(steps, 3);
            let before = talk.entries.len();
            let kept = kept(&talk);
            talk.shorten("cut", kept);
            prop_assert!(talk.entries.len() <= before);
            prop_assert!(talk.entries.len() < before || before <= 3);
            prop_assert_eq!(talk.check(), Ok(()));
        }
    }

    #[test]
    fn the_persons_words_outlive_each_summary() {
        let mut talk = talk(3, 3);
        talk.hear(format!("and then {}", "x".repeat(9_000)));
        for summary in ["poor", "poorer"] {
            talk.say("of Musher's");
            talk.shorten(summary, 0);
            let [Entry::User { text }] = &talk.entries[..] else { panic!("{talk:?}") };
            assert!(text.starts_with(&format!("What was done so far, summed up:\n\n{summary}\n")));
            assert!(text.contains("own words:\n\nthe task\n") && text.contains("\n\nand then x"));
            assert!(text.len() < 5_000 && !text.contains("of Musher's"), "{}", text.len());
        }
        assert_eq!(talk.check(), Ok(()));
    }

    #[test]
    fn what_is_summed_up_is_bounded_and_keeps_both_ends() {
        let words = in_words(&talk(500, 1_000));
        assert!(words.len() < TO_SUM + 100);
        assert!(words.starts_with("Person: the task"));
        assert!(words.contains("entries left out"));
        assert!(words.trim_end().ends_with("rrr"));
    }
}
