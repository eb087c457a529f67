//! Following a run: its events to stdout, its requests to whoever sits at the terminal.

use std::{io::IsTerminal, pin::pin, process::ExitCode};

use musher_protocol::*;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{
    ask::Heard,
    desk::Desk,
    held::Held,
    print,
    reach::Reach,
    words::{Words, Write},
};

const WAIT_MS: u32 = 25_000;

/// What a shell says of a program that the end of its terminal ended.
const HUNG_UP: u8 = 129;

/// Nobody can answer what the run asks.
const NEEDS_ANSWER: u8 = 5;

/// A batch whose events are passed on as they are.
#[derive(Deserialize)]
struct Batch {
    events: Vec<Box<RawValue>>,
    next_seq: u64,
    end: bool,
}

/// Prints a run from its first event to its end, and says with its exit code how it ended. Ctrl-C,
/// or the signal that ends services, stops the run; the end of the terminal stops it only when its agent
/// lives in this process.
pub async fn to_its_end(reach: &Reach, run: &RunSummary, json: bool) -> Result<ExitCode, ApiError> {
    if !json {
        eprintln!("run {}", run.id);
    }
    let mut follower = Follower::new(reach, &run.id, json);
    let watch = follower.follow(1, true);
    tokio::select! {
        ended = watch => ended,
        () = crate::serve::interrupted() => {
            // Behind the `^C` that the terminal shows.
            if !print::end_line() && std::io::stderr().is_terminal() {
                eprintln!();
            }
            eprintln!("stopping");
            crate::runs::stopped(reach, &run.id).await?;
            Ok(ExitCode::from(4))
        }
        () = crate::serve::hung_up() => {
            reach.let_go().await;
            Ok(ExitCode::from(HUNG_UP))
        }
    }
}

/// Prints events from `from` on; with `follow`, until the run is over.
pub async fn events(
    reach: &Reach,
    run: &RunId,
    from: u64,
    follow: bool,
    json: bool,
) -> Result<ExitCode, ApiError> {
    let mut follower = Follower::new(reach, run, json);
    if follow {
        follower.follow(from, false).await?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut next = from;
    loop {
        let batch = batch_of(reach, run, next, 0).await?;
        if batch.events.is_empty() || print::ended() {
            return Ok(ExitCode::SUCCESS);
        }
        next = batch.next_seq;
        for event in &batch.events {
            follower.show(event);
        }
    }
}

/// What the run's request asks.
pub async fn questions_of(
    reach: &Reach,
    run: &RunId,
    request: &str,
) -> Result<Vec<QuestionItem>, ApiError> {
    let mut next = 1;
    loop {
        let batch = batch_of(reach, run, next, 0).await?;
        if batch.events.is_empty() {
            let what = format!("The run asks no question {request}.");
            return Err(ApiError::new(ErrorCode::NotFound, what)
                .with_hint(format!("`musher events {run}` shows what it asks.")));
        }
        next = batch.next_seq;
        for raw in &batch.events {
            // An event that cannot be read is no question that could be answered.
            let envelope = serde_json::from_str::<EventEnvelope>(raw.get());
            if let Ok(EventEnvelope { event: AgentEvent::Question(asked), .. }) = envelope
                && asked.request == request
            {
                return Ok(asked.questions);
            }
        }
    }
}

async fn batch_of(
    reach: &Reach,
    run: &RunId,
    from_seq: u64,
    wait_ms: u32,
) -> Result<Batch, ApiError> {
    let run = run.clone();
    let params = RunEventsParams { run, from_seq, max_bytes: None, wait_ms: Some(wait_ms) };
    reach.call("run_events", &params).await
}

struct Follower<'a> {
    reach: &'a Reach,
    run: RunId,
    json: bool,
    usage: TokenUsage,
    outcome: Option<RunOutcome>,
    desk: Desk,
    words: Words,
}

impl<'a> Follower<'a> {
    fn new(reach: &'a Reach, run: &RunId, json: bool) -> Self {
        let words = Words::new(std::io::stdout().is_terminal());
        let (run, usage, desk) = (run.clone(), TokenUsage::default(), Desk::default());
        Self { reach, run, json, usage, outcome: None, desk, words }
    }

    /// With `answer`, requests are answered at the terminal, or end the command where there is none.
    async fn follow(&mut self, from: u64, answer: bool) -> Result<ExitCode, ApiError> {
        let held = Held::new(self.reach, &self.run);
        self.desk.one_place =
            answer && !self.json && somebody_is_here() && std::io::stdout().is_terminal();
        let mut next = from;
        loop {
            let batch = self.next_batch(&held, next).await?;
            next = batch.next_seq;
            let mut asked = false;
            for event in &batch.events {
                asked |= self.show(event);
            }
            if print::ended() && !answer {
                // Only a run that this command started is followed without anybody reading.
                return Ok(ExitCode::SUCCESS);
            }
            if batch.end {
                let code = self.outcome.as_ref().map_or(1, RunOutcome::exit_code);
                return Ok(ExitCode::from(code));
            }
            if asked && answer && !self.somebody_answers().await? {
                if !self.reach.is_bound(&self.run) {
                    return Ok(ExitCode::from(NEEDS_ANSWER));
                }
                eprintln!("note: its agent lives in this process, which waits for the answer.");
            }
            self.desk.stand();
        }
    }

    /// What comes next. Whoever sits here answers meanwhile, and what is answered elsewhere comes with
    /// the events.
    async fn next_batch(&mut self, held: &Held<'_>, from: u64) -> Result<Batch, ApiError> {
        let (reach, run) = (self.reach, self.run.clone());
        let mut poll = pin!(held.during(batch_of(reach, &run, from, WAIT_MS)));
        loop {
            let line = tokio::select! {
                biased;
                batch = &mut poll => return batch,
                line = self.desk.line() => line,
            };
            let Some((request, answer)) = self.desk.said(&line) else { continue };
            let mut sent = pin!(send(reach, &run, request, answer));
            // Both go on: either may wait for the next engine, and no answer is given up half sent.
            tokio::select! {
                sent = &mut sent => sent?,
                batch = &mut poll => {
                    sent.await?;
                    return batch;
                }
            }
            self.desk.stand();
        }
    }

    /// Prints the event; says whether it asks for something.
    fn show(&mut self, raw: &RawValue) -> bool {
        if self.json {
            print::json_line(raw.get());
        }
        let Ok(envelope) = serde_json::from_str::<EventEnvelope>(raw.get()) else {
            if !self.json {
                print::line(raw.get());
            }
            return false;
        };
        let heard = self.desk.hear(&envelope.event);
        if !self.json {
            self.tell(&envelope.event, &heard);
        }
        if matches!(heard, Heard::Elsewhere) {
            print::end_line();
            eprintln!("note: {}", print::settled(&envelope.event));
        }
        match envelope.event {
            AgentEvent::Usage { usage, .. } => self.usage = usage,
            AgentEvent::Done { outcome } => {
                self.outcome = Some(outcome);
                if let Some(spent) = print::spent(&self.usage).filter(|_| !self.json) {
                    print::line(&spent);
                }
            }
            _ => {}
        }
        matches!(heard, Heard::Asks)
    }

    /// As text. What is said on the same terminal to whom it is asked is not said twice.
    fn tell(&mut self, event: &AgentEvent, heard: &Heard) {
        match self.words.hear(event) {
            Some(Write::Piece(text)) => print::piece(&text),
            Some(Write::Rest(text)) => {
                print::piece(&text);
                print::end_line();
            }
            Some(Write::Line(text)) => print::line(&text),
            None => {}
        }
        match (self.desk.one_place, heard) {
            (true, Heard::Asks | Heard::Elsewhere) => return,
            (true, Heard::Settled(asked)) => asked.tell(),
            _ => {}
        }
        print::event(event);
    }

    /// `false`: something waits and nobody is here to answer it.
    async fn somebody_answers(&mut self) -> Result<bool, ApiError> {
        let params = RunParams { run: self.run.clone() };
        let detail: RunDetail = self.reach.call("run_get", &params).await?;
        if detail.story.settings.answer != AnswerPolicy::Ask {
            for asked in self.desk.take().iter().filter(|_| self.desk.one_place) {
                asked.tell();
            }
            return Ok(true);
        }
        if detail.summary.waiting == 0 {
            return Ok(true);
        }
        self.desk.asks = somebody_is_here();
        if !self.desk.asks {
            for asked in self.desk.take() {
                eprintln!("needs an answer: {}", asked.command(&self.run));
            }
        }
        Ok(self.desk.asks)
    }
}

fn somebody_is_here() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

async fn send(reach: &Reach, run: &RunId, request: String, answer: Answer) -> Result<(), ApiError> {
    let params = RunAnswerParams { run: run.clone(), request, answer };
    match reach.call::<Empty>("run_answer", &params).await {
        // Somebody answered in a window meanwhile, or the agent took it back.
        Err(error) if error.code == ErrorCode::Conflict => Ok(()),
        other => other.map(|_| ()),
    }
}
