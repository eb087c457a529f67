//! The heart: [`AgentRuntime`], what it is given ([`RuntimeContext`]) and what it gives back
//! ([`RuntimeResult`]); and one folder for each runtime.
//!
//! A runtime knows how to start, steer and end one kind of agent, and how to turn what the agent says
//! into [`AgentEvent`]s. It does not number events, store them, or decide what a person is asked:
//! that is the engine's, which hands it an [`EventSink`].

mod context;
mod registry;
mod secrets;
mod sink;
mod surrogates;
mod tools;

pub mod claude;
pub mod model;

pub use context::*;
pub use musher_protocol::{RuntimeResult, RuntimeStatus};
pub use registry::*;
pub use secrets::{Hiding, MARK, Secrets, is_key_name, keys_among};
pub use sink::*;
pub use tools::*;

use async_trait::async_trait;
use musher_protocol::{Answer, PermissionMode};

/// One run of one agent. A value serves one run, so that `stop` and `get_status` act on something.
#[async_trait]
pub trait AgentRuntime: Send + Sync {
    /// Drives the agent to its end and streams on the way. Returns only when the whole process tree
    /// is dead, or with `RunOutcome::Unconfirmed` and what is left. Called once.
    ///
    /// With `context.attach` it takes over a process that lives (or ended) meanwhile, in place of
    /// starting one.
    ///
    /// Failures of the agent are outcomes, not errors: an `Err` means that the runtime itself could
    /// not do its work, and that nothing it started is left. The exception is `SinkClosed`: the engine
    /// is going, and the agent goes on for the next one to attach to.
    ///
    /// The last sink is dropped with its return: then no event follows.
    async fn start(
        &self,
        context: RuntimeContext,
        events: EventSink,
    ) -> Result<RuntimeResult, RuntimeError>;

    /// Ends the agent: politely, then by force. `Ok` is true only when the whole tree is dead; `start`
    /// returns in any case. Before `start` it makes sure that `start` ends at once; after the end it
    /// does nothing. It does not wait for the sink, so it may be awaited where batches are taken.
    async fn stop(&self) -> Result<(), RuntimeError>;

    fn get_status(&self) -> RuntimeStatus;

    /// The run's stored events from `from_seq` on, then new ones as they come, without a gap and
    /// without a double; ends with the run. Empty before `start`.
    fn stream_events(&self, from_seq: u64) -> EventStream;

    /// Whether the agent goes on when the engine lets go. One that does not is stopped then.
    fn outlives_engine(&self) -> bool {
        true
    }

    /// Waits until everything that the agent had said is handed over: after an attach, what it said
    /// while nobody read. Returns at once when there is nothing to catch up with.
    async fn caught_up(&self) {}

    /// Steers a live agent. `Unsupported` when this kind of agent cannot do it, `NotRunning` when
    /// there is nothing to steer. It waits neither for the agent nor for the sink.
    async fn steer(&self, input: AgentInput) -> Result<(), RuntimeError>;
}

/// What can be said to a live agent.
#[derive(Clone, Debug, PartialEq)]
pub enum AgentInput {
    /// A person's words. The runtime emits `MessageSent{id}` once the agent has them; saying the same
    /// `id` twice says it once.
    Message {
        id: String,
        text: String,
    },
    /// The answer to a `PermissionRequest` or a `Question`.
    Answer {
        request: String,
        answer: Answer,
    },
    /// Ends the turn; the agent lives on.
    Interrupt,
    /// Nothing more will be said: the agent finishes its turn and ends.
    EndOfInput,
    /// `None`: the runtime's own default.
    SetModel(Option<String>),
    SetPermissionMode(PermissionMode),
}

/// Why a runtime could not do its own work.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    #[error("this runtime cannot {0}")]
    Unsupported(&'static str),
    #[error("the agent is not running")]
    NotRunning,
    #[error("the agent's process could not be reached: {0}")]
    Process(String),
    #[error("the run's events are no longer taken")]
    SinkClosed,
    /// Processes that may still live.
    #[error("processes of the agent may still live: {}", .0.len())]
    Unconfirmed(Vec<u32>),
}
