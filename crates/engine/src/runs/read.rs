//! Reading a run's events, while it lives and afterwards.

use std::{sync::Arc, time::Duration};

use futures::{StreamExt, stream};
use musher_protocol::*;
use musher_runtime::{
    EventStream,
    model::{Endpoint, codec::Dialect},
};
use musher_store::{Header, StoredBatch, TranscriptIndex, header_of};

use super::summary_of;
use crate::{
    Engine,
    core::Core,
    settings::{BATCH_BYTES, LONGEST_WAIT},
};

impl Engine {
    /// An `EventBatch` as JSON, put together from the stored lines as they are.
    pub async fn run_events(&self, params: RunEventsParams) -> Result<String, ApiError> {
        let wait = Duration::from_millis(params.wait_ms.unwrap_or(0).into()).min(LONGEST_WAIT);
        let bytes = params.max_bytes.map_or(BATCH_BYTES, |b| b as usize);
        let (batch, end) =
            read_events(&self.core, &params.run, params.from_seq, bytes, wait).await?;
        let StoredBatch { json, next_seq, .. } = batch;
        Ok(format!(r#"{{"events":{json},"next_seq":{next_seq},"end":{end}}}"#))
    }
}

/// Events from `from_seq`, waiting up to `wait` for the first; and whether none will follow.
async fn read_events(
    core: &Core,
    run: &RunId,
    from_seq: u64,
    max_bytes: usize,
    wait: Duration,
) -> Result<(StoredBatch, bool), ApiError> {
    let from_seq = from_seq.max(1);
    let Some(mut handle) = core.runs.get(run) else {
        let summary = summary_of(core, run).await?;
        let last = summary.last_seq;
        let batch = core.store.read_events(run, from_seq, last, max_bytes).await?;
        let end = batch.next_seq > last;
        return Ok((batch, end));
    };
    if !wait.is_zero() {
        handle.followed.notify_one();
        let news = handle.summary.wait_for(|s| s.last_seq >= from_seq || s.phase == RunPhase::Done);
        // The time running out is no error: the batch is empty then.
        let _ = tokio::time::timeout(wait, news).await;
    }
    let shown = handle.summary.borrow().clone();
    read_shown(&handle.index, &shown, from_seq, max_bytes).await
}

/// As far as lists show the run: who was told of a request finds it waiting.
pub(crate) async fn read_shown(
    index: &TranscriptIndex,
    shown: &RunSummary,
    from_seq: u64,
    max_bytes: usize,
) -> Result<(StoredBatch, bool), ApiError> {
    let batch = index.read(from_seq..shown.last_seq.saturating_add(1), max_bytes).await?;
    let end = shown.phase == RunPhase::Done && batch.next_seq > shown.last_seq;
    Ok((batch, end))
}

/// A run's events from `from_seq` on, to its end; an unreadable transcript ends it early.
pub(crate) fn event_stream(core: Arc<Core>, run: RunId, from_seq: u64) -> EventStream {
    let start = (core, run, from_seq, Vec::<EventEnvelope>::new().into_iter(), false);
    Box::pin(stream::unfold(start, |(core, run, mut next, mut ready, mut end)| async move {
        loop {
            if let Some(event) = ready.next() {
                return Some((event, (core, run, next, ready, end)));
            }
            if end {
                return None;
            }
            let read = read_events(&core, &run, next, BATCH_BYTES, LONGEST_WAIT).await.ok()?;
            next = read.0.next_seq;
            end = read.1;
            let events: Vec<EventEnvelope> = serde_json::from_str(&read.0.json).ok()?;
            ready = events.into_iter();
        }
    }))
}

/// A run's events as a later run of the story is told them: an answer whose place an older Musher did not
/// write down has the one of its run's settings.
pub(crate) fn told_stream(core: Arc<Core>, run: RunId) -> EventStream {
    let told = async move {
        let path = core.store.transcript_path(&run);
        let header = tokio::task::spawn_blocking(move || header_of(&path)).await.ok().flatten();
        event_stream(core, run, 1).map(move |mut envelope| {
            if let AgentEvent::ModelStep(step) = &mut envelope.event {
                step.place = step.place.take().or_else(|| place_of(step, header.as_ref()?));
            }
            envelope
        })
    };
    Box::pin(stream::once(told).flatten())
}

fn place_of(step: &ModelStep, header: &Header) -> Option<String> {
    let endpoint = &header.story_facts.as_ref()?.settings.endpoint;
    Some(Endpoint::place(endpoint.base_url.as_deref(), Dialect::of(&step.dialect)?))
}
