//! Following a run: its events to stdout, its requests to whoever sits at the terminal.

use std::{io::IsTerminal, process::ExitCode};

use musher_protocol::*;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{print, reach::Reach};

const WAIT_MS: u32 = 25_000;

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
/// or the signal that ends services, stops the run.
pub async fn to_its_end(reach: &Reach, run: &RunSummary, json: bool) -> Result<ExitCode, ApiError> {
    if !json {
        eprintln!("run {}", run.id);
    }
    let mut follower = Follower { reach, run: run.id.clone(), json, outcome: None };
    let watch = follower.follow(1, true);
    tokio::select! {
        ended = watch => ended,
        () = crate::serve::interrupted() => {
            eprintln!("stopping");
            let _: RunSummary = reach.call("run_stop", &RunParams { run: run.id.clone() }).await?;
            Ok(ExitCode::from(4))
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
    let mut follower = Follower { reach, run: run.clone(), json, outcome: None };
    if follow {
        follower.follow(from, false).await?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut next = from;
    loop {
        let batch = follower.batch(next, 0).await?;
        if batch.events.is_empty() {
            return Ok(ExitCode::SUCCESS);
        }
        next = batch.next_seq;
        for event in &batch.events {
            follower.show(event);
        }
    }
}

/// All events of a run that are stored.
pub async fn events_of(reach: &Reach, run: &RunId) -> Result<Vec<EventEnvelope>, ApiError> {
    let follower = Follower { reach, run: run.clone(), json: false, outcome: None };
    let mut events = Vec::new();
    let mut next = 1;
    loop {
        let batch = follower.batch(next, 0).await?;
        if batch.events.is_empty() {
            return Ok(events);
        }
        next = batch.next_seq;
        events.extend(batch.events.iter().filter_map(|raw| serde_json::from_str(raw.get()).ok()));
    }
}

struct Follower<'a> {
    reach: &'a Reach,
    run: RunId,
    json: bool,
    outcome: Option<RunOutcome>,
}

impl Follower<'_> {
    async fn batch(&self, from_seq: u64, wait_ms: u32) -> Result<Batch, ApiError> {
        let run = self.run.clone();
        let params = RunEventsParams { run, from_seq, max_bytes: None, wait_ms: Some(wait_ms) };
        self.reach.call("run_events", &params).await
    }

    /// With `answer`, requests are answered at the terminal, or end the command where there is none.
    async fn follow(&mut self, from: u64, answer: bool) -> Result<ExitCode, ApiError> {
        let mut next = from;
        loop {
            let batch = self.batch(next, WAIT_MS).await?;
            next = batch.next_seq;
            let mut asked = false;
            for event in &batch.events {
                asked |= self.show(event);
            }
            if batch.end {
                let code = self.outcome.as_ref().map_or(1, RunOutcome::exit_code);
                return Ok(ExitCode::from(code));
            }
            if asked && answer && !self.answer_what_waits().await? {
                return Ok(ExitCode::from(NEEDS_ANSWER));
            }
        }
    }

    /// Prints the event; says whether it asks for something.
    fn show(&mut self, raw: &RawValue) -> bool {
        if self.json {
            print::json_line(raw.get());
        }
        let Ok(envelope) = serde_json::from_str::<EventEnvelope>(raw.get()) else { return false };
        if !self.json {
            print::event(&envelope.event);
        }
        match envelope.event {
            AgentEvent::Done { outcome } => {
                self.outcome = Some(outcome);
                false
            }
            AgentEvent::PermissionRequest(_) | AgentEvent::Question(_) => true,
            _ => false,
        }
    }

    /// `false`: something waits and nobody is here to answer it.
    async fn answer_what_waits(&self) -> Result<bool, ApiError> {
        let detail: RunDetail =
            self.reach.call("run_get", &RunParams { run: self.run.clone() }).await?;
        if detail.summary.waiting == 0 || detail.story.settings.answer != AnswerPolicy::Ask {
            return Ok(true);
        }
        let here = std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
        for request in self.open_requests().await? {
            if !here {
                let run = &self.run;
                eprintln!("needs an answer: musher answer {run} {} allow|deny", request.0);
                continue;
            }
            self.ask(&request).await?;
        }
        Ok(here)
    }

    /// Id of each open request, and whether it is a question.
    async fn open_requests(&self) -> Result<Vec<(String, bool)>, ApiError> {
        let mut open = Vec::new();
        for envelope in events_of(self.reach, &self.run).await? {
            match envelope.event {
                AgentEvent::PermissionRequest(asked) => open.push((asked.request, false)),
                AgentEvent::Question(asked) => open.push((asked.request, true)),
                AgentEvent::PermissionAnswer { request, .. }
                | AgentEvent::QuestionAnswer { request, .. } => open.retain(|(r, _)| *r != request),
                _ => {}
            }
        }
        Ok(open)
    }

    async fn ask(&self, (request, question): &(String, bool)) -> Result<(), ApiError> {
        let prompt = if *question { "answer (empty: none)> " } else { "allow? [y/N]> " };
        let said = tokio::task::spawn_blocking(move || read_line(prompt)).await.unwrap_or_default();
        let answer = match (*question, said.trim()) {
            (false, "y" | "Y" | "yes" | "allow") => Answer::Allow,
            (true, words) if !words.is_empty() => {
                let questions = events_of(self.reach, &self.run).await?;
                let answers = questions.into_iter().find_map(|e| match e.event {
                    AgentEvent::Question(q) if q.request == *request => Some(q.questions),
                    _ => None,
                });
                let answers = answers.unwrap_or_default().into_iter();
                Answer::Answers {
                    answers: answers.map(|q| (q.question, words.to_owned())).collect(),
                }
            }
            _ => Answer::Deny { message: None },
        };
        let params = RunAnswerParams { run: self.run.clone(), request: request.clone(), answer };
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
