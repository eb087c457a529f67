//! A question until it is answered: what is tried again, after how long, and what is given up.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use chrono::{DateTime, Utc};
use musher_protocol::{AgentEvent, RunOutcome, RunPhase, RuntimeStatus};
use serde_json::Value;

use super::{
    codec::{Answer, Ask, Dialect, Fault, FaultKind, Finish, Piece, Usage},
    conversation::{Conversation, Entry, Invalid, check_repeated},
    exchange::{Trouble, at},
    run::{Over, Run},
    wishes::Manner,
};
use crate::{RuntimeError, ToolSpec};

/// Requests for one answer, the first included.
const TRIES: u32 = 6;
/// Of these, how many may be made after something of the answer was shown.
const TRIES_AFTER_WORDS: u32 = 2;
/// The longest wait that is waited; a server that asks for more has used up its quota for now.
const LONGEST_WAIT: Duration = Duration::from_secs(120);
const LONGEST_BACKOFF: Duration = Duration::from_secs(30);

/// What stands for a window of the account's where the server itself is what is short.
const OVERLOAD: &str = "overload";

/// Why there is no answer.
pub(super) enum NoAnswer {
    /// More than the model can hold.
    TooLong,
    Over(Over),
}

impl<E: Into<Over>> From<E> for NoAnswer {
    fn from(over: E) -> Self {
        Self::Over(over.into())
    }
}

/// What has come of one request so far. It stays when the request is cut off.
#[derive(Debug, Default)]
struct Came {
    shown: AtomicBool,
    used: Mutex<Option<Usage>>,
}

impl Came {
    fn heed(&self, pieces: &[Piece], used: Option<Usage>) {
        if !pieces.is_empty() {
            self.shown.store(true, Ordering::Relaxed);
        }
        *self.used.lock().unwrap_or_else(PoisonError::into_inner) = used;
    }

    fn shown(&self) -> bool {
        self.shown.load(Ordering::Relaxed)
    }

    fn used(&self) -> Option<Usage> {
        *self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request that brought no answer.
struct Broken {
    trouble: Trouble,
    /// Whether anything of an answer was shown.
    shown: bool,
    /// Whether the provider said what it took.
    counted: bool,
}

impl Run<'_> {
    /// Asks until there is an answer that the provider ended.
    pub(super) async fn answer(
        &mut self,
        talk: &Conversation,
        tools: &[ToolSpec],
    ) -> Result<Answer, NoAnswer> {
        let body = self.body(talk, tools)?;
        let (mut made, mut after_words) = (0, 0);
        self.exchange.heard().now();
        loop {
            made += 1;
            let Broken { trouble, shown, counted } = match self.attempt(talk, &body).await? {
                Ok(answer) => return Ok(answer),
                Err(broken) => broken,
            };
            if counted {
                self.sink.say(self.usage()).await?;
            }
            if trouble.fault.kind == FaultKind::ContextTooLong {
                return Err(NoAnswer::TooLong);
            }
            after_words += u32::from(shown);
            let may = made < TRIES && after_words <= TRIES_AFTER_WORDS;
            match wait_for(&trouble, made, self.backoff, jitter()).filter(|_| may) {
                Some(wait) => {
                    self.check_reached()?;
                    self.wait(&trouble, wait, made, last_event(talk, shown)).await?;
                }
                None => return Err(self.give_up(trouble).await?.into()),
            }
        }
    }

    /// One request. What the provider reported for it is counted, whatever came of it.
    async fn attempt(
        &mut self,
        talk: &Conversation,
        body: &Value,
    ) -> Result<Result<Answer, Broken>, Over> {
        self.step += 1;
        if !self.exchange.endpoint().is_local() {
            self.budget.asks();
        }
        let came = Came::default();
        let (model, ended) = match self.heeded(self.request(body, &came)).await {
            Ok(Some(Ok(answer))) => match broken_off(&answer.finish) {
                Some(fault) => (answer.model, Ok(Trouble { fault, retry_after: None })),
                None => return Ok(Ok(answer)),
            },
            Ok(Some(Err(trouble))) => (None, Ok(trouble)),
            Ok(None) => (None, Err(self.silent(last_event(talk, came.shown())))),
            Err(over) => (None, Err(over)),
        };
        let (shown, used) = (came.shown(), came.used());
        let price = self.price(model.as_deref(), used);
        // Nobody knows how far one had come that was not waited for.
        self.budget.failed(shown || ended.is_err(), used, price);
        ended.map(|trouble| Err(Broken { trouble, shown, counted: used.is_some() }))
    }

    /// Waits for `work` as the turn does, and while the server is heard. `None`: it was silent for longer
    /// than the run may be.
    async fn heeded<T>(&self, work: impl Future<Output = T>) -> Result<Option<T>, Over> {
        let limit = self.context.inactivity_timeout_secs;
        if limit == 0 {
            return self.guarded(work).await.map(Some);
        }
        let silence = self.exchange.heard().silent_for(Duration::from_secs(limit));
        let work = async {
            tokio::select! {
                biased;
                done = work => Some(done),
                () = silence => None,
            }
        };
        self.guarded(work).await
    }

    fn silent(&self, last_event: &str) -> Over {
        let after_secs = self.context.inactivity_timeout_secs;
        Over::Outcome(RunOutcome::Inactive { after_secs, last_event: last_event.to_owned() })
    }

    /// The request. One that leaves out what has to be in it is never made.
    fn body(&self, talk: &Conversation, tools: &[ToolSpec]) -> Result<Value, Over> {
        let instructions = &self.instructions;
        let manner = self.manner();
        let place = &self.exchange.endpoint().to_string();
        let ask =
            Ask { model: &self.model, place, instructions, conversation: talk, tools, manner };
        let body = self.dialect().codec().body(&ask);
        check_repeated(self.dialect(), &ask, &body).map_err(|invalid| unsendable(&invalid))?;
        Ok(body)
    }

    async fn request(&self, body: &Value, came: &Came) -> Result<Answer, Trouble> {
        let codec = self.dialect().codec();
        let show = |pieces: Vec<Piece>, used| {
            came.heed(&pieces, used);
            let events: Vec<_> = pieces.into_iter().map(|it| self.piece(it).into()).collect();
            async move { events.is_empty() || self.sink.emit(events).await.is_ok() }
        };
        let path = codec.path(&self.model);
        let mut reader = codec.reader();
        reader.avoid(self.taken.clone());
        self.exchange.stream(&path, body, reader, show).await
    }

    fn manner(&self) -> Manner {
        let wished = &self.context.endpoint;
        let is_local = self.exchange.endpoint().is_local();
        Manner { effort: wished.effort, max_tokens: wished.max_answer_tokens, is_local }
    }

    fn piece(&self, piece: Piece) -> AgentEvent {
        let (delta, parent) = (true, None);
        match piece {
            Piece::Text { block, delta: text } => {
                AgentEvent::Text { block: self.block(block), text, delta, parent }
            }
            Piece::Thinking { block, delta: text } => {
                let block = self.block(block);
                AgentEvent::Thinking { block, text, delta, redacted: false, parent }
            }
        }
    }

    /// The id of a block: its request and its number in the answer.
    pub(super) fn block(&self, block: u32) -> String {
        format!("{}.{block}", self.step)
    }

    /// The window says what is waited for, and until when. A wait that the server asked for is no silence
    /// of it.
    async fn wait(
        &mut self,
        trouble: &Trouble,
        wait: Duration,
        made: u32,
        last_event: &str,
    ) -> Result<(), Over> {
        let fault = &trouble.fault;
        let said = as_sentence(&fault.message);
        let message = format!("{said} Tries again ({made} of {}).", TRIES - 1);
        self.sink.say(AgentEvent::Warning { code: "retry".into(), message }).await?;
        let phase = match fault.kind {
            FaultKind::RateLimited { .. } => RunPhase::WaitingRateLimit,
            _ => RunPhase::Running,
        };
        let detail = Some("Waits to ask the model again".to_owned());
        self.say_phase(phase, detail, Some(at(Utc::now(), wait))).await?;
        let waited = tokio::time::sleep(wait);
        if asked_to_wait(trouble).is_some() {
            self.guarded(waited).await?;
            self.exchange.heard().now();
        } else if self.heeded(waited).await?.is_none() {
            return Err(self.silent(last_event));
        }
        self.say_phase(RunPhase::Running, None, None).await
    }

    async fn say_phase(
        &self,
        phase: RunPhase,
        detail: Option<String>,
        until: Option<chrono::DateTime<Utc>>,
    ) -> Result<(), Over> {
        let status = RuntimeStatus::Running;
        Ok(self.sink.say(AgentEvent::Status { status, phase, detail, until }).await?)
    }

    /// Most servers that are not OpenAI's have no `/responses`.
    fn not_found(&self) -> &'static str {
        match self.dialect() {
            Dialect::OpenAiResponses => {
                "Check the model's name and the address. A server that only has chat completions \
                 needs `--dialect openai-chat`."
            }
            _ => "Check the model's name and the address.",
        }
    }

    /// The outcome of a fault that no further try mends, told in the provider's words.
    async fn give_up(&self, trouble: Trouble) -> Result<Over, RuntimeError> {
        let asked = asked_to_wait(&trouble);
        let after = asked.map(|wait| at(Utc::now(), wait));
        let is_far = asked.is_some_and(|wait| wait > LONGEST_WAIT);
        let Fault { kind, mut message } = trouble.fault;
        let limited = |resets_at, window| RunOutcome::RateLimited { resets_at, window };
        let (code, hint, outcome) = match (kind, after) {
            (
                FaultKind::RateLimited { retry_at: resets_at }
                | FaultKind::QuotaUsedUp { resets_at },
                _,
            ) => {
                let outcome = limited(resets_at.or(after), None);
                ("rate_limited", "Resume it when the quota is back.", outcome)
            }
            (FaultKind::Transient, Some(until)) if is_far => {
                message = format!("{} {}", as_sentence(&message), not_before(until));
                let outcome = limited(Some(until), Some(OVERLOAD.to_owned()));
                ("rate_limited", "Resume it then, or choose another model.", outcome)
            }
            (FaultKind::Authentication, _) => {
                let outcome = RunOutcome::AuthenticationRequired { message: message.clone() };
                (
                    "authentication",
                    "Check the key: `musher doctor --models` asks the server about it.",
                    outcome,
                )
            }
            (FaultKind::NotFound, _) => ("not_found", self.not_found(), failed(&message)),
            _ => ("model_failed", next_step(kind), failed(&message)),
        };
        let (code, hint) = (code.to_owned(), Some(hint.to_owned()));
        self.sink.say(AgentEvent::Error { code, message, hint }).await?;
        Ok(Over::Outcome(outcome))
    }
}

/// A provider's own words need not end as a sentence does.
fn as_sentence(words: &str) -> String {
    match words.ends_with(['.', '!', '?']) {
        true => words.to_owned(),
        false => format!("{words}."),
    }
}

fn not_before(until: DateTime<Utc>) -> String {
    format!("The server does not want to be asked again before {}.", until.format("%F %R UTC"))
}

/// What a person does about a fault that ended the turn.
fn next_step(kind: FaultKind) -> &'static str {
    match kind {
        FaultKind::Unreachable => {
            "Start the model server, or mend the address; then send it a message to go on."
        }
        FaultKind::NoStream => {
            "Start the model server, or mend the address: `musher doctor` shows who answers there. \
             Then send it a message to go on."
        }
        FaultKind::Refused => {
            "Mend what the server names, then send it a message to go on from the last step."
        }
        _ => "Send it a message to go on from the last step.",
    }
}

/// The end of a run whose conversation is broken, by a fault of ours.
pub(super) fn unsendable(invalid: &Invalid) -> Over {
    Over::Outcome(failed(&format!("The conversation cannot be sent: {invalid}.")))
}

pub(super) fn failed(message: &str) -> RunOutcome {
    RunOutcome::Failed { exit_code: None, last_lines: vec![message.to_owned()] }
}

/// What broke off an answer that the provider did not end.
fn broken_off(finish: &Finish) -> Option<Fault> {
    match finish {
        Finish::Failed(fault) => Some(fault.clone()),
        Finish::Cut => Some(Fault {
            kind: FaultKind::Transient,
            message: "The server ended its answer in the middle.".into(),
        }),
        _ => None,
    }
}

/// The last thing that happened before a silence, by the name of its event.
fn last_event(talk: &Conversation, shown: bool) -> &'static str {
    match talk.entries.last() {
        _ if shown => "text",
        Some(Entry::Result { .. }) => "tool_result",
        Some(Entry::Step(_)) => "model_step",
        _ => "message_sent",
    }
}

/// How long the server wants not to be asked.
fn asked_to_wait(trouble: &Trouble) -> Option<Duration> {
    trouble.retry_after.or(match trouble.fault.kind {
        FaultKind::RateLimited { retry_at } => {
            retry_at.map(|at| (at - Utc::now()).to_std().unwrap_or_default())
        }
        _ => None,
    })
}

/// How long to wait before the next try; `None` when none would help.
fn wait_for(trouble: &Trouble, made: u32, backoff: Duration, jitter: f64) -> Option<Duration> {
    let passes = matches!(
        trouble.fault.kind,
        FaultKind::Transient | FaultKind::Unreachable | FaultKind::RateLimited { .. }
    );
    match asked_to_wait(trouble) {
        _ if !passes => None,
        Some(said) if said > LONGEST_WAIT => None,
        // Not all of those who were sent away at once come back at once.
        Some(said) => Some(said + backoff.mul_f64(jitter / 4.0)),
        None => {
            let doubled = backoff.saturating_mul(1 << (made - 1).min(16));
            Some(doubled.min(LONGEST_BACKOFF).mul_f64(0.5 + jitter / 2.0))
        }
    }
}

/// From 0 to 1.
fn jitter() -> f64 {
    f64::from(getrandom::u32().unwrap_or(u32::MAX / 2)) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn trouble(kind: FaultKind, retry_after: Option<u64>) -> Trouble {
        let retry_after = retry_after.map(Duration::from_secs);
        Trouble { fault: Fault { kind, message: String::new() }, retry_after }
    }

    #[test]
    fn waits_double_and_have_an_end() {
        let trouble = trouble(FaultKind::Transient, None);
        let waits: Vec<_> =
            (1..8).filter_map(|made| wait_for(&trouble, made, SECOND, 1.0)).collect();
        assert_eq!(
            waits.iter().map(Duration::as_secs).collect::<Vec<_>>(),
            [1, 2, 4, 8, 16, 30, 30]
        );
        assert_eq!(wait_for(&trouble, 1, SECOND, 0.0), Some(SECOND / 2));
    }

    #[test]
    fn the_server_s_own_figure_is_kept_unless_it_is_hours() {
        let limited = FaultKind::RateLimited { retry_at: None };
        assert_eq!(wait_for(&trouble(limited, Some(7)), 1, SECOND, 0.0), Some(7 * SECOND));
        assert_eq!(wait_for(&trouble(limited, Some(3600)), 1, SECOND, 0.0), None);
    }

    #[test]
    fn each_trouble_has_a_next_step_that_fits() {
        assert!(next_step(FaultKind::Unreachable).starts_with("Start the model server"));
        assert!(next_step(FaultKind::NoStream).contains("mend the address"));
        assert!(next_step(FaultKind::Transient).starts_with("Send it a message"));
        assert!(wait_for(&trouble(FaultKind::Unreachable, None), 1, SECOND, 0.0).is_some());
        assert_eq!(wait_for(&trouble(FaultKind::NoStream, None), 1, SECOND, 0.0), None);
    }

    #[test]
    fn what_a_second_try_does_not_mend_is_not_tried() {
        for kind in [FaultKind::Authentication, FaultKind::Refused, FaultKind::NotFound] {
            assert_eq!(wait_for(&trouble(kind, Some(1)), 1, SECOND, 0.0), None);
        }
    }
}
