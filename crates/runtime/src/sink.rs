//! Where a runtime puts its events, and where anybody reads them back.

use std::pin::Pin;

use futures::Stream;
use musher_protocol::{AgentEvent, EventEnvelope};
use tokio::sync::{mpsc, oneshot};

use crate::RuntimeError;

/// Events of one run, in order.
pub type EventStream = Pin<Box<dyn Stream<Item = EventEnvelope> + Send>>;

/// An event with the place in the child's output that it was read from.
#[derive(Clone, Debug, PartialEq)]
pub struct Sourced {
    pub event: AgentEvent,
    /// See [`EventEnvelope::spool`]: `Some(end)` on the last event of a line, `Some(0)` on its earlier
    /// ones, `None` for what did not come from the child's standard output.
    pub spool: Option<u64>,
}

impl From<AgentEvent> for Sourced {
    fn from(event: AgentEvent) -> Self {
        Self { event, spool: None }
    }
}

/// How many batches may wait between a runtime and its run actor: enough to keep both busy, few
/// enough that a stalled disk stalls the reader and, through it, the child.
pub const SINK_DEPTH: usize = 16;

/// How many batches, and events, may wait besides for the end of a word that may be a secret.
pub const MOST_WAITING: usize = 32;

/// Events that are stored together, and who waits until they are.
#[derive(Debug, Default)]
pub struct Batch {
    pub events: Vec<Sourced>,
    /// Told once they are stored; dropped unused when they cannot be.
    pub stored: Option<oneshot::Sender<()>>,
}

/// Takes a run's events from its runtime. Cloned freely; one run, one order.
#[derive(Clone)]
pub struct EventSink {
    batches: mpsc::Sender<Batch>,
    log: std::sync::Arc<dyn EventLog>,
}

/// Reads a run's stored and coming events; the engine's side of [`EventSink::subscribe`].
pub trait EventLog: Send + Sync {
    fn subscribe(&self, from_seq: u64) -> EventStream;

    /// What the run has stored so far; ends there.
    fn stored(&self) -> EventStream {
        Box::pin(futures::stream::empty())
    }

    /// What the earlier runs of the story have stored, oldest first; ends there.
    fn earlier(&self) -> EventStream {
        Box::pin(futures::stream::empty())
    }
}

impl EventSink {
    /// A sink, and where its batches come out.
    pub fn new(log: std::sync::Arc<dyn EventLog>) -> (Self, mpsc::Receiver<Batch>) {
        let (batches, out) = mpsc::channel(SINK_DEPTH);
        (Self { batches, log }, out)
    }

    /// Hands over a batch; waits while the store is behind.
    pub async fn emit(&self, batch: Vec<Sourced>) -> Result<(), RuntimeError> {
        if batch.is_empty() {
            return Ok(());
        }
        let batch = Batch { events: batch, stored: None };
        self.batches.send(batch).await.map_err(|_| RuntimeError::SinkClosed)
    }

    /// Hands over a batch and waits until it is stored: before an effect that must not be forgotten.
    pub async fn commit(&self, events: Vec<Sourced>) -> Result<(), RuntimeError> {
        let (stored, known) = oneshot::channel();
        let batch = Batch { events, stored: Some(stored) };
        self.batches.send(batch).await.map_err(|_| RuntimeError::SinkClosed)?;
        known.await.map_err(|_| RuntimeError::SinkClosed)
    }

    /// Hands over one event that did not come from the child's output.
    pub async fn say(&self, event: AgentEvent) -> Result<(), RuntimeError> {
        self.emit(vec![event.into()]).await
    }

    pub fn subscribe(&self, from_seq: u64) -> EventStream {
        self.log.subscribe(from_seq)
    }

    /// The log alone. A runtime keeps this for `stream_events`, never the sink: the run is over when
    /// the last sink is dropped.
    pub fn log(&self) -> std::sync::Arc<dyn EventLog> {
        self.log.clone()
    }
}
