//! A run's own record: numbers its events, stores them, folds them, and only then tells anybody.

use std::sync::Arc;

use musher_protocol::{AgentEvent, ApiError, ErrorCode, EventEnvelope, RunPhase, RunSummary};
use musher_runtime::Sourced;
use musher_store::{
    AgentLogWriter, Header, LineBatch, StoreError, StoreErrorKind, TranscriptIndex, fold::RunFold,
};
use tokio::sync::watch;

use crate::{
    core::Core,
    settings::{DISK_FULL_RETRY, WAITS_FOR_SPACE},
};

/// The one writer of a run's state.
pub(crate) struct RunLog {
    core: Arc<Core>,
    writer: AgentLogWriter,
    lines: LineBatch,
    pub fold: RunFold,
    summary: RunSummary,
    shown: watch::Sender<Arc<RunSummary>>,
    /// What the database has of the run; the fold is newer while nothing that lists show changed.
    kept: Option<RunSummary>,
    /// Events up to here were seen by a person.
    pub read_to: u64,
}

impl RunLog {
    pub async fn create(core: Arc<Core>, header: Header) -> Result<Self, ApiError> {
        let writer = core.store.create_log(&header).await?;
        let summary = header.summary;
        Ok(Self::over(core, writer, RunFold::default(), summary, 0))
    }

    pub fn over(
        core: Arc<Core>,
        writer: AgentLogWriter,
        fold: RunFold,
        mut summary: RunSummary,
        read_to: u64,
    ) -> Self {
        fold.fill(&mut summary);
        let (shown, _) = watch::channel(Arc::new(summary.clone()));
        let lines = LineBatch::new(fold.last_seq + 1);
        Self { core, writer, lines, fold, summary, shown, kept: None, read_to }
    }

    pub fn watch(&self) -> watch::Receiver<Arc<RunSummary>> {
        self.shown.subscribe()
    }

    pub fn index(&self) -> Arc<TranscriptIndex> {
        self.writer.index()
    }

    pub fn summary(&self) -> &RunSummary {
        &self.summary
    }

    /// Changes what no event says (branch, worktree).
    pub async fn amend(&mut self, change: impl FnOnce(&mut RunSummary)) {
        change(&mut self.summary);
        self.show().await;
    }

    pub async fn say(&mut self, event: AgentEvent) -> Result<(), ApiError> {
        self.append(vec![event.into()]).await
    }

    /// Stores a batch, then shows it. Waits out a full disk: nothing is dropped.
    pub async fn append(&mut self, batch: Vec<Sourced>) -> Result<(), ApiError> {
        let at = self.core.now();
        let mut envelopes = Vec::with_capacity(batch.len());
        for Sourced { event, spool } in batch {
            let seq = self.lines.next_seq();
            let envelope = EventEnvelope { run: self.summary.id.clone(), seq, at, event, spool };
            self.lines.push(&envelope)?;
            envelopes.push(envelope);
        }
        self.store_lines().await?;
        let folded = envelopes.iter().try_for_each(|envelope| self.fold_in(envelope));
        self.show().await;
        folded
    }

    /// The numbers were given here, so what does not follow is a fault of Musher's own.
    fn fold_in(&mut self, envelope: &EventEnvelope) -> Result<(), ApiError> {
        let why = match self.fold.apply(envelope) {
            Ok(true) => return Ok(()),
            Ok(false) => format!("event {} was there already", envelope.seq),
            Err(error) => error.to_string(),
        };
        let message = format!("What this run came to cannot be told for sure: {why}.");
        Err(ApiError::new(ErrorCode::Internal, message))
    }

    async fn store_lines(&mut self) -> Result<(), StoreError> {
        loop {
            match self.writer.append(&mut self.lines).await {
                Ok(()) => return Ok(()),
                Err(error) => self.wait_out(error).await?,
            }
        }
    }

    /// Back when what failed may be tried again.
    async fn wait_out(&mut self, error: StoreError) -> Result<(), StoreError> {
        if error.kind != StoreErrorKind::DiskFull {
            return Err(error);
        }
        let closing = self.core.closing.clone();
        tokio::select! {
            () = self.wait_for_space() => Ok(()),
            () = closing.cancelled() => Err(error),
        }
    }

    /// The fold cannot say that the disk is full, since that could not be stored: the list says it.
    async fn wait_for_space(&mut self) {
        let mut summary = self.summary.clone();
        summary.detail = Some(WAITS_FOR_SPACE.into());
        self.publish(summary);
        tokio::time::sleep(DISK_FULL_RETRY).await;
    }

    /// What happened since cannot be stored, so the list alone says why.
    pub fn show_fault(&self, error: &ApiError) {
        let mut summary = self.summary.clone();
        summary.detail = Some(error.message.clone());
        self.publish(summary);
    }

    async fn show(&mut self) {
        self.fold.fill(&mut self.summary);
        self.summary.unread = self.is_unread();
        self.publish(self.summary.clone());
        if self.kept.as_ref().is_none_or(|kept| differs(kept, &self.summary)) {
            // Kept at the next change, or at the end of the run, which tells when it cannot be.
            if let Err(error) = self.keep().await {
                tracing::warn!(run = %self.summary.id, %error, "run row not kept");
            }
        }
    }

    fn is_unread(&self) -> bool {
        let notable = self.fold.is_done() || !self.fold.pending.is_empty();
        notable && self.fold.last_seq > self.read_to
    }

    fn publish(&self, summary: RunSummary) {
        let summary = Arc::new(summary);
        self.shown.send_replace(summary.clone());
        self.core.news.run_changed(&summary);
    }

    /// Waits out a full disk, as for lines.
    async fn keep(&mut self) -> Result<(), StoreError> {
        loop {
            match self.core.store.put_run(&self.summary).await {
                Ok(()) => {
                    self.kept = Some(self.summary.clone());
                    return Ok(());
                }
                Err(error) => self.wait_out(error).await?,
            }
        }
    }

    pub async fn mark_read(&mut self) -> Result<(), ApiError> {
        self.core.store.mark_read(&self.summary.id, self.fold.last_seq).await?;
        self.read_to = self.fold.last_seq;
        self.show().await;
        Ok(())
    }

    /// All of it is on the disk when this returns.
    pub async fn flush(&mut self) -> Result<(), ApiError> {
        // First what everything else can be had from again.
        self.writer.flush().await?;
        Ok(self.keep().await?)
    }

    pub async fn close(self) {
        if let Err(error) = self.writer.close().await {
            tracing::warn!(run = %self.summary.id, %error, "transcript not closed");
        }
    }
}

/// Whether the database must learn of it: what lists show, but not every new event or token.
fn differs(kept: &RunSummary, now: &RunSummary) -> bool {
    kept.phase != now.phase
        || kept.outcome != now.outcome
        || kept.session_id != now.session_id
        || kept.branch != now.branch
        || kept.worktree != now.worktree
        || kept.waiting != now.waiting
        || kept.files_changed != now.files_changed
        || kept.unread != now.unread
        || now.phase == RunPhase::Done
}

#[cfg(test)]
#[path = "log_tests.rs"]
mod tests;
