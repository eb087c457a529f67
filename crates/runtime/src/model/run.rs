//! The loop: ask the model, commit what it said, run its calls, until it has nothing more to do, a
//! limit bites, or somebody ends it.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use futures::StreamExt;
use musher_protocol::*;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{
    attempt::{NoAnswer, failed, unsendable},
    budget::{Budget, in_words},
    calls::{Planned, TOOL_SERVER},
    codec::{Answer, Block, Dialect, Finish, Usage},
    conversation::{Conversation, Entry, Fold, Lost, Origin, Step},
    exchange::Exchange,
    fruitless::{self, Asked, Fruitless},
    instructions,
    live::{Inbox, Live, Word},
    prices::{Price, Prices},
};
use crate::{EventSink, RuntimeContext, RuntimeError, Sourced, ToolHost};

/// How often a turn may end badly (cut, malformed, empty) before that is the end.
const BAD_ENDINGS: u32 = 2;

/// What one run works with.
pub(super) struct Run<'a> {
    pub context: &'a RuntimeContext,
    pub live: &'a Live,
    pub sink: &'a EventSink,
    pub exchange: Exchange,
    pub tools: Arc<dyn ToolHost>,
    pub prices: Prices,
    pub inbox: Inbox,
    pub model: String,
    /// For who says no other.
    pub default_model: &'static str,
    /// As they are for the request that is made next.
    pub instructions: String,
    pub talk: Conversation,
    pub budget: Budget,
    /// The turn that runs; cancelled by an interrupt and by the end of the run.
    pub turn: CancellationToken,
    /// Requests made so far; blocks are named by it.
    pub step: u32,
    /// Processes of tools that would not end.
    pub left: Vec<u32>,
    /// The ids of all calls so far: a call's id is its own in the whole story.
    pub taken: BTreeSet<String>,
    pub room: Room,
    /// Steps that were done since the conversation was made shorter.
    pub since_shorter: u32,
    pub backoff: Duration,
}

/// What was done already to make the conversation fit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Room {
    #[default]
    Whole,
    Summed,
    Cut,
}

/// Why the loop is left.
#[derive(Debug)]
pub(super) enum Over {
    Outcome(RunOutcome),
    /// A person interrupted the turn; the run goes on when they speak.
    Interrupted,
    Error(RuntimeError),
}

impl From<RuntimeError> for Over {
    fn from(error: RuntimeError) -> Self {
        Self::Error(error)
    }
}

/// How a turn ended that ended by itself.
struct TurnEnd {
    reason: Option<String>,
    outcome: RunOutcome,
}

impl Run<'_> {
    pub fn dialect(&self) -> Dialect {
        self.exchange.endpoint().dialect
    }

    pub async fn run(&mut self) -> Result<RunOutcome, RuntimeError> {
        match self.turns().await {
            Ok(outcome) | Err(Over::Outcome(outcome)) => Ok(outcome),
            Err(Over::Interrupted) => Ok(RunOutcome::Stopped { by: StoppedBy::User }),
            Err(Over::Error(error)) => Err(error),
        }
    }

    async fn turns(&mut self) -> Result<RunOutcome, Over> {
        self.begin().await?;
        loop {
            self.turn = self.live.new_turn();
            let end = match self.turn().await {
                Ok(end) => end,
                Err(Over::Interrupted) => TurnEnd {
                    reason: Some("interrupted".into()),
                    outcome: RunOutcome::Stopped { by: StoppedBy::User },
                },
                Err(over) => return Err(over),
            };
            if self.budget.lacks() {
                self.sink.say(self.usage()).await?;
            }
            let ok = end.outcome.exit_ok();
            self.sink.say(AgentEvent::TurnEnded { ok, reason: end.reason }).await?;
            match self.next_word().await? {
                Some(Word { id, text }) => self.hear(id, text).await?,
                None => return Ok(end.outcome),
            }
        }
    }

    /// Remembers, says which session it is, and hears the prompt.
    async fn begin(&mut self) -> Result<(), Over> {
        let resumed = self.context.session_id_to_resume.clone();
        if resumed.is_some() {
            let mut fold = Fold::default();
            let mut earlier = self.sink.log().earlier();
            while let Some(envelope) = earlier.next().await {
                if let AgentEvent::ToolCall(call) = &envelope.event {
                    self.taken.insert(call.id.clone());
                }
                fold.push(envelope);
            }
            self.talk = fold.finish();
        }
        let session_id = resumed.unwrap_or_else(|| uuid::Uuid::now_v7().to_string());
        let billing = match self.exchange.endpoint().has_key {
            true => Billing::ApiKey,
            false => Billing::Free,
        };
        let session = SessionInfo {
            session_id,
            model: Some(self.model.clone()),
            billing,
            ..SessionInfo::default()
        };
        self.sink.say(AgentEvent::Session(session)).await?;
        for message in self.guarded(self.tools.open()).await? {
            self.warn(TOOL_SERVER, &message).await?;
        }
        self.warn_of_lost_thoughts().await?;
        self.hear(self.context.prompt_id.clone(), self.context.prompt.clone()).await
    }

    async fn warn_of_lost_thoughts(&self) -> Result<(), Over> {
        let place = self.exchange.endpoint().to_string();
        match self.talk.loses_thoughts(self.dialect(), &self.model, &place) {
            None => Ok(()),
            Some(lost) => self.warn("model_changed", &lost_in_words(&lost)).await,
        }
    }

    async fn warn(&self, code: &str, message: &str) -> Result<(), Over> {
        let (code, message) = (code.to_owned(), message.to_owned());
        Ok(self.sink.say(AgentEvent::Warning { code, message }).await?)
    }

    /// The agent has these words from here on.
    async fn hear(&mut self, id: String, text: String) -> Result<(), Over> {
        self.sink.commit(vec![AgentEvent::MessageSent { id }.into()]).await?;
        self.talk.hear(text);
        Ok(())
    }

    /// `None`: nothing more will be said.
    async fn next_word(&mut self) -> Result<Option<Word>, Over> {
        let ending = self.live.ending.clone();
        let deadline = self.budget.deadline();
        tokio::select! {
            biased;
            () = ending.cancelled() => Err(stopped()),
            () = until(deadline) => Err(limit(RunLimit::Time)),
            word = self.inbox.recv() => Ok(word),
        }
    }

    async fn turn(&mut self) -> Result<TurnEnd, Over> {
        let (mut bad, mut fruitless) = (0, Fruitless::default());
        loop {
            while let Ok(Word { id, text }) = self.inbox.try_recv() {
                self.hear(id, text).await?;
            }
            self.check_budget().await?;
            let answer = self.ask().await?;
            let has_calls = answer.blocks.iter().any(|b| matches!(b, Block::Call { .. }));
            match answer.finish.clone() {
                Finish::Done | Finish::Other(_) if has_calls => {
                    let asked = self.do_calls(&answer).await?;
                    bad = 0;
                    if let Some(why) = fruitless.heed(asked, &self.talk) {
                        return self.ended_badly(why, fruitless::HINT).await;
                    }
                }
                Finish::Done => {
                    self.commit(&answer, &[]).await?;
                    return Ok(TurnEnd { reason: None, outcome: RunOutcome::Completed });
                }
                finish => {
                    // Nothing of it stands, and it was paid for all the same.
                    self.sink.say(self.usage()).await?;
                    bad += 1;
                    if let Some(why) = hopeless(&finish, bad) {
                        return self.ended_badly(why, hint(&finish)).await;
                    }
                    self.mend_ending(&answer, has_calls).await?;
                }
            }
        }
    }

    async fn do_calls(&mut self, answer: &Answer) -> Result<Asked, Over> {
        let planned = self.guarded(self.plan(answer)).await?;
        let mut asked = Asked::of(&planned);
        self.commit(answer, &planned).await?;
        asked.ran = self.run_calls(planned).await?;
        self.progressed();
        Ok(asked)
    }

    /// Before each request: a limit that is used up ends the run, one that nearly is is told.
    async fn check_budget(&mut self) -> Result<(), Over> {
        self.check_reached()?;
        if let Some(blind) = self.budget.blind() {
            self.warn("cost_unknown", blind.in_words()).await?;
        }
        let near = self.budget.wind_down(Instant::now());
        if !near.is_empty() {
            let near: Vec<&str> = near.into_iter().map(in_words).collect();
            let text = format!(
                "Most of what you may use ({}) is used up. Come to an end now: finish the step you \
                 are in, leave the files in a state that works, and say what is left to do.",
                near.join(", ")
            );
            self.instruct(text).await?;
        }
        Ok(())
    }

    pub(super) fn check_reached(&self) -> Result<(), Over> {
        self.budget.reached(Instant::now()).map_or(Ok(()), |reached| Err(limit(reached)))
    }

    pub(super) async fn instruct(&mut self, text: String) -> Result<(), Over> {
        self.sink.commit(vec![AgentEvent::Instruction { text: text.clone() }.into()]).await?;
        self.talk.say(text);
        Ok(())
    }

    /// One answer to the conversation as it is; makes room when it is too long.
    async fn ask(&mut self) -> Result<Answer, Over> {
        let model = self.live.model().unwrap_or_else(|| self.default_model.to_owned());
        if std::mem::replace(&mut self.model, model) != self.model {
            self.warn_of_lost_thoughts().await?;
        }
        loop {
            self.talk.mend();
            self.talk.check().map_err(|invalid| unsendable(&invalid))?;
            let talk = self.talk.clone();
            // Both of one mode: it may change at any time.
            let mode = self.live.mode();
            let specs = self.offered(mode);
            self.instructions = instructions(self.context, mode);
            match self.answer(&talk, &specs).await {
                Ok(answer) => {
                    self.count(&answer);
                    return Ok(answer);
                }
                Err(NoAnswer::TooLong) => {
                    self.make_room().await?;
                    // A summary is an answer too.
                    self.check_reached()?;
                }
                Err(NoAnswer::Over(over)) => return Err(over),
            }
        }
    }

    pub(super) fn count(&mut self, answer: &Answer) {
        let price = self.price(answer.model.as_deref(), answer.usage);
        self.budget.answered(answer.usage, price);
    }

    /// Of an answer that took so much. `model` is who gave it, where that was said.
    pub(super) fn price(&self, model: Option<&str>, usage: Option<Usage>) -> Option<Price> {
        let local = self.exchange.endpoint().is_local();
        let known = self.prices.of_answer(model, &self.model);
        match (local, usage, known) {
            (true, ..) => Some(Price::FREE),
            (_, Some(usage), Some(known)) => Some(known.price(usage)),
            _ => None,
        }
    }

    /// Stores an answer whole; only then may it have an effect.
    async fn commit(&mut self, answer: &Answer, planned: &[Planned]) -> Result<(), Over> {
        let mut events: Vec<Sourced> =
            answer.blocks.iter().filter_map(|block| self.whole(block)).map(Into::into).collect();
        let (dialect, place) = (self.dialect(), self.exchange.endpoint().to_string());
        let step = ModelStep {
            dialect: dialect.name().into(),
            model: self.model.clone(),
            place: Some(place.clone()),
            items: answer.items.clone(),
        };
        events.push(AgentEvent::ModelStep(step).into());
        events.extend(planned.iter().map(|planned| planned.event().into()));
        self.taken.extend(planned.iter().map(|planned| planned.call.id.clone()));
        events.push(self.usage().into());
        self.sink.commit(events).await?;
        self.talk.entries.push(Entry::Step(Step {
            origin: Some(Origin { dialect, model: self.model.clone(), place: Some(place) }),
            items: answer.items.clone(),
            parts: dialect.codec().parts(&answer.items),
        }));
        Ok(())
    }

    pub(super) fn usage(&self) -> AgentEvent {
        let window = self.prices.of(&self.model).and_then(|known| known.context);
        self.budget.event(window)
    }

    fn whole(&self, block: &Block) -> Option<AgentEvent> {
        let (delta, parent) = (false, None);
        Some(match block {
            Block::Text { block, text } => {
                AgentEvent::Text { block: self.block(*block), text: text.clone(), delta, parent }
            }
            Block::Thinking { block, text } => {
                let (block, text) = (self.block(*block), text.clone());
                AgentEvent::Thinking { block, text, delta, redacted: false, parent }
            }
            Block::Call { .. } => return None,
        })
    }

    /// A cut answer goes on; a malformed or empty one is asked for again.
    async fn mend_ending(&mut self, answer: &Answer, has_calls: bool) -> Result<(), Over> {
        if answer.finish != Finish::Length {
            let message = "The model's answer could not be used; it is asked again.";
            return self.warn("bad_answer", message).await;
        }
        let text = match has_calls || answer.items.is_empty() {
            true => "Your answer was longer than allowed and was dropped. Work in smaller parts.",
            false => {
                self.commit(answer, &[]).await?;
                "Your answer was longer than allowed and was cut. Go on where it ended."
            }
        };
        self.instruct(text.to_owned()).await
    }

    async fn ended_badly(&mut self, why: String, hint: &str) -> Result<TurnEnd, Over> {
        let outcome = failed(&why);
        let (code, hint) = ("model_ended".to_owned(), Some(hint.to_owned()));
        self.sink.say(AgentEvent::Error { code, message: why.clone(), hint }).await?;
        Ok(TurnEnd { reason: Some(why), outcome })
    }

    /// Waits for `work`, until the turn or the run is to end.
    pub(super) async fn guarded<T>(&self, work: impl Future<Output = T>) -> Result<T, Over> {
        tokio::select! {
            biased;
            () = self.turn.cancelled() => Err(self.cut_off()),
            () = until(self.budget.deadline()) => Err(limit(RunLimit::Time)),
            done = work => Ok(done),
        }
    }

    /// Why the turn was cancelled.
    pub(super) fn cut_off(&self) -> Over {
        if self.live.ending.is_cancelled() { stopped() } else { Over::Interrupted }
    }
}

fn lost_in_words(lost: &Lost) -> String {
    let whose = match lost {
        Lost::Model => "Another model's hidden thoughts".to_owned(),
        Lost::Place(place) => format!("The model's hidden thoughts at {place}"),
    };
    format!("{whose} cannot be taken over; its words and what its tools found are.")
}

/// Why an ending that came for the `bad`th time is the end; `None` while it may be mended.
fn hopeless(finish: &Finish, bad: u32) -> Option<String> {
    let why = match finish {
        Finish::Refused(why) => return Some(format!("The model does not want to answer: {why}")),
        Finish::Other(why) => {
            return Some(format!("The model ended for a reason of its own: {why}"));
        }
        Finish::Length => "The model's answers are longer than allowed.".to_owned(),
        Finish::Malformed(why) => format!("The model's calls cannot be read: {why}"),
        _ => "The model says nothing.".to_owned(),
    };
    (bad > BAD_ENDINGS).then_some(why)
}

const TRY_ANOTHER: &str = "Send it a message to try again, or choose a model that can use tools.";

/// What a person does about an ending that is the end.
fn hint(finish: &Finish) -> &'static str {
    match finish {
        Finish::Refused(_) => "Put the task in other words, or choose another model.",
        Finish::Length => {
            "Allow longer answers (`--max-answer-tokens`), or send it a message that asks for smaller \
             parts."
        }
        Finish::Malformed(_) => TRY_ANOTHER,
        _ => "Send it a message to try again, or choose another model.",
    }
}

fn stopped() -> Over {
    Over::Outcome(RunOutcome::Stopped { by: StoppedBy::User })
}

pub(super) fn limit(limit: RunLimit) -> Over {
    Over::Outcome(RunOutcome::LimitReached { limit })
}

pub(super) async fn until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
