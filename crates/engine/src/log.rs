//! A run's own record: numbers its events, stores them, folds them, and only then tells anybody.

use std::sync::Arc;

use musher_protocol::{AgentEvent, ApiError, EventEnvelope, RunPhase, RunSummary};
use musher_runtime::Sourced;
use musher_store::{
    AgentLogWriter, Header, LineBatch, StoreError, StoreErrorKind, TranscriptIndex, fold::RunFold,
};
use tokio::sync::watch;

use crate::{core::Core, settings::DISK_FULL_RETRY};

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
        for envelope in &envelopes {
            // A gap cannot be: the numbers were given here.
            let _ = self.fold.apply(envelope);
        }
        self.show().await;
        Ok(())
    }

    async fn store_lines(&mut self) -> Result<(), StoreError> {
        loop {
            match self.writer.append(&mut self.lines).await {
                Err(error) if error.kind == StoreErrorKind::DiskFull => {
                    let closing = self.core.closing.clone();
                    tokio::select! {
                        () = self.wait_for_space() => {}
                        () = closing.cancelled() => return Err(error),
                    }
                }
                other => return other,
            }
        }
    }

    /// The fold cannot say that the disk is full, since that could not be stored: the list says it.
    async fn wait_for_space(&mut self) {
        let mut summary = self.summary.clone();
        summary.detail = Some("The disk is full: this run waits for space".into());
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
            self.keep().await;
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

    /// The row can be rebuilt from the transcript, so a failure to keep it only costs time at the
    /// next start.
    async fn keep(&mut self) {
        match self.core.store.put_run(&self.summary).await {
            Ok(()) => self.kept = Some(self.summary.clone()),
            Err(error) => tracing::warn!(run = %self.summary.id, %error, "run row not kept"),
        }
    }

    pub async fn mark_read(&mut self) {
        self.read_to = self.fold.last_seq;
        self.show().await;
    }

    /// All of it is on the disk when this returns.
    pub async fn flush(&mut self) -> Result<(), ApiError> {
        self.keep().await;
        Ok(self.writer.flush().await?)
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
