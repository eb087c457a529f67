//! Following a run: its events to stdout, its requests to whoever sits at the terminal.

use std::{io::IsTerminal, process::ExitCode};

use musher_protocol::*;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{
    ask::{Asked, Open},
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
            print::end_line();
            // Behind the `^C` that the terminal shows, and perhaps a question.
            if std::io::stderr().is_terminal() {
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
        let batch = follower.batch(next, 0).await?;
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
    let follower = Follower::new(reach, run, false);
    let mut next = 1;
    loop {
        let batch = follower.batch(next, 0).await?;
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

struct Follower<'a> {
    reach: &'a Reach,
    run: RunId,
    held: Held<'a>,
    json: bool,
    usage: TokenUsage,
    outcome: Option<RunOutcome>,
    open: Open,
    words: Words,
}

impl<'a> Follower<'a> {
    fn new(reach: &'a Reach, run: &RunId, json: bool) -> Self {
        let held = Held::new(reach, run);
        let words = Words::new(std::io::stdout().is_terminal());
        let (run, usage, open) = (run.clone(), TokenUsage::default(), Open::default());
        Self { reach, run, held, json, usage, outcome: None, open, words }
    }

    async fn batch(&self, from_seq: u64, wait_ms: u32) -> Result<Batch, ApiError> {
        let run = self.run.clone();
        let params = RunEventsParams { run, from_seq, max_bytes: None, wait_ms: Some(wait_ms) };
        self.reach.call("run_events", &params).await
    }

    /// With `answer`, requests are answered at the terminal, or end the command where there is none.
    async fn follow(&mut self, from: u64, answer: bool) -> Result<ExitCode, ApiError> {
        let mut next = from;
        loop {
            let batch = self.held.during(self.batch(next, WAIT_MS)).await?;
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
            if asked && answer && !self.answer_what_waits().await? {
                if !self.reach.is_bound(&self.run) {
                    return Ok(ExitCode::from(NEEDS_ANSWER));
                }
                eprintln!("note: its agent lives in this process, which waits for the answer.");
            }
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
        if !self.json {
            match self.words.hear(&envelope.event) {
                Some(Write::Piece(text)) => print::piece(&text),
                Some(Write::Rest(text)) => {
                    print::piece(&text);
                    print::end_line();
                }
                Some(Write::Line(text)) => print::line(&text),
                None => {}
            }
            print::event(&envelope.event);
        }
        let asks = self.open.hear(&envelope.event);
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
        asks
    }

    /// `false`: something waits and nobody is here to answer it.
    async fn answer_what_waits(&mut self) -> Result<bool, ApiError> {
        let params = RunParams { run: self.run.clone() };
        let detail: RunDetail = self.reach.call("run_get", &params).await?;
        if detail.summary.waiting == 0 || detail.story.settings.answer != AnswerPolicy::Ask {
            return Ok(true);
        }
        let here = std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
        for asked in self.open.take() {
            match here {
                true => self.ask(asked).await?,
                false => eprintln!("needs an answer: {}", asked.command(&self.run)),
            }
        }
        Ok(here)
    }

    async fn ask(&self, asked: Asked) -> Result<(), ApiError> {
        let request = asked.request().to_owned();
        let answer = tokio::task::spawn_blocking(move || asked.answer(read_line)).await;
        let answer = answer.unwrap_or(Answer::Deny { message: None });
        let params = RunAnswerParams { run: self.run.clone(), request, answer };
        match self.reach.call::<Empty>("run_answer", &params).await {
            // Somebody answered in a window meanwhile, or the agent took it back.
            Err(error) if error.code == ErrorCode::Conflict => Ok(()),
            other => other.map(|_| ()),
        }
    }
}

fn read_line(prompt: &str) -> String {
    eprint!("{prompt}");
    let mut line = String::new();
    // The end of input is no answer, which denies.
    let _ = std::io::stdin().read_line(&mut line);
    line
}
