//! Claude Code, driven over its stream-json in both directions.
//!
//! One run is one process under a keeper (see `musher_process`): its input a pipe, its output a PTY or a
//! pipe whose bytes the keeper spools. Four things go on beside each other, in one task, none of which
//! can stall another for good:
//!
//! * the pump reads the spool, decodes it ([`decode`]) and hands events to the sink; only it waits for
//!   the sink;
//! * the stderr reader makes notices;
//! * the writer says the prompt, then what [`AgentRuntime::steer`] left in its inbox; only it waits for
//!   an agent that does not listen;
//! * the ender waits for a cause to end the process (a stop, a limit, silence), then interrupts, ends
//!   the input, and leaves TERM and KILL to the keeper.
//!
//! A session that cannot be resumed is begun again, once, with the run's `fresh_prompt`: a second
//! process, with its keeper in the folder `p2` of the run's folder; offsets of its output count on
//! behind the first one's. [`outcome`] says how a run ended.
//!
//! When the sink closes, the engine is going: the agent stays under its keeper for the next one.

mod checkpoint;
mod command;
pub mod decode;
mod ending;
mod endpoint;
mod kind;
mod live;
mod opening;
pub mod outcome;
mod plain;
mod process;
mod program;
mod pump;
mod rules;
mod run;
mod say;
mod stderr;
mod writer;

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use async_trait::async_trait;
use musher_protocol::{RunOutcome, RuntimeResult, RuntimeStatus};
use tokio::sync::mpsc;

pub use kind::{ClaudeCode, Demo};
pub use program::Flavour;

use crate::{
    AgentInput, AgentRuntime, EventLog, EventSink, EventStream, RuntimeContext, RuntimeError,
};
use live::{Live, Proof};
use run::Run;
use writer::{INBOX, Word};

/// The folder, in a run's folder, of the process that began a session again.
const SECOND: &str = "p2";

/// One run of `claude`, or of the demo agent.
pub struct ClaudeCodeRuntime {
    flavour: Flavour,
    live: Live,
    words: mpsc::Sender<Word>,
    inbox: Mutex<Option<mpsc::Receiver<Word>>>,
    log: OnceLock<Arc<dyn EventLog>>,
}

impl ClaudeCodeRuntime {
    pub fn new(flavour: Flavour) -> Self {
        let (words, inbox) = mpsc::channel(INBOX);
        let inbox = Mutex::new(Some(inbox));
        Self { flavour, live: Live::default(), words, inbox, log: OnceLock::new() }
    }
}

#[async_trait]
impl AgentRuntime for ClaudeCodeRuntime {
    async fn start(
        &self,
        context: RuntimeContext,
        events: EventSink,
    ) -> Result<RuntimeResult, RuntimeError> {
        let inbox = self.inbox.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(inbox) = inbox else { return Err(RuntimeError::Unsupported("start twice")) };
        self.live.begin();
        self.log.get_or_init(|| events.log());
        let run =
            Run { flavour: self.flavour, live: &self.live, words: &self.words, sink: &events };
        let result = run.run(&context, inbox).await;
        let result = with_tools_ended(&context, result).await;
        let status = result.as_ref().map_or(RuntimeStatus::Failed, |it| it.outcome.status());
        self.live.over(status, proof(&result));
        result
    }

    /// Before `start` it makes sure that `start` ends at once.
    async fn stop(&self) -> Result<(), RuntimeError> {
        self.live.stop();
        if !self.live.has_begun() {
            return Ok(());
        }
        match self.live.proof().await {
            Proof::Gone => Ok(()),
            Proof::Left(left) => Err(RuntimeError::Unconfirmed(left)),
        }
    }

    fn get_status(&self) -> RuntimeStatus {
        self.live.status()
    }

    fn stream_events(&self, from_seq: u64) -> EventStream {
        match self.log.get() {
            Some(log) => log.subscribe(from_seq),
            None => Box::pin(futures::stream::empty()),
        }
    }

    async fn caught_up(&self) {
        self.live.drained().await;
    }

    /// Never waits for the agent: what is said is put in line, and said when it listens.
    async fn steer(&self, input: AgentInput) -> Result<(), RuntimeError> {
        self.live.can_hear()?;
        if let AgentInput::Answer { request, .. } = &input
            && !self.live.may_answer(request)
        {
            return Err(RuntimeError::Unsupported("answer a request that is not open"));
        }
        let ends = input == AgentInput::EndOfInput;
        self.words
            .try_send(Word::Input(input))
            .map_err(|_| RuntimeError::Process("it does not listen".into()))?;
        if ends {
            self.live.end_input();
        }
        Ok(())
    }
}

/// What the end of `start` proves about the process tree.
/// Commands of the engine's tools are children of the agent's tree, with keepers of their own: what of
/// them outlived a tree that was lost is ended here. While the agent lives, nothing is.
async fn with_tools_ended(
    context: &RuntimeContext,
    result: Result<RuntimeResult, RuntimeError>,
) -> Result<RuntimeResult, RuntimeError> {
    let Some(tools) = &context.tools.endpoint else { return result };
    let mut ended = result?;
    let more = tools.end_left_over().await;
    match &mut ended.outcome {
        _ if more.is_empty() => {}
        RunOutcome::Unconfirmed { left } => left.extend(more),
        outcome => *outcome = RunOutcome::Unconfirmed { left: more },
    }
    Ok(ended)
}

fn proof(result: &Result<RuntimeResult, RuntimeError>) -> Proof {
    match result {
        Ok(RuntimeResult { outcome: RunOutcome::Unconfirmed { left }, .. }) => {
            Proof::Left(left.clone())
        }
        // It lives on under its keeper.
        Err(RuntimeError::SinkClosed) => Proof::Left(Vec::new()),
        _ => Proof::Gone,
    }
}
