//! The engine's side of a keeper.

mod attach;
mod link;
mod reader;
mod start;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

#[cfg(test)]
pub use attach::unknown_end;
pub use attach::{Attached, clean, living};
pub use reader::SpoolReader;
pub use start::keeper_program;

use crate::{
    Ending, ExitRecord, ProcessError, Signal, SpawnSpec, Stream, files, tree,
    wire::{INPUT_LIMIT, Request},
};
use link::Link;

/// A child, by its keeper. Dropping it (or dying) changes nothing for the child.
#[derive(Clone)]
pub struct Keeper {
    dir: PathBuf,
    child: Option<u32>,
    link: Arc<Link>,
}

impl Keeper {
    /// Starts a keeper in `run_dir` (made if missing, mode 0700; one run in its life) and the child
    /// under it. When this future is dropped half-way, the child may run: `attach` tells.
    ///
    /// # Errors
    /// `Spawn` when the child could not be started: nothing is left of it then.
    pub async fn start(run_dir: &Path, spec: SpawnSpec) -> Result<Self, ProcessError> {
        Self::start_with(&keeper_program()?, run_dir, spec).await
    }

    /// Like `start`, with the keeper's executable named.
    pub async fn start_with(
        keeper: &Path,
        run_dir: &Path,
        spec: SpawnSpec,
    ) -> Result<Self, ProcessError> {
        start::start(keeper, run_dir, spec).await
    }

    /// Finds the child of a run folder again, or what became of it. Whatever is left of a run whose
    /// keeper was killed is ended here.
    pub async fn attach(run_dir: &Path) -> Result<Attached, ProcessError> {
        attach::attach(run_dir).await
    }

    /// The child's pid; for people only, never to be signalled.
    pub fn child(&self) -> Option<u32> {
        self.child
    }

    /// What the child says, from a byte on. Any number of readers, none disturbs another.
    pub fn output(&self, stream: Stream, from: u64) -> SpoolReader {
        SpoolReader::live(self.dir.clone(), stream, from, Arc::clone(&self.link))
    }

    /// Says `text` to the child; returns when it is in the child's pipe. The same `id` twice (even from
    /// another engine) is said once.
    pub async fn input(&self, id: &str, text: &str) -> Result<(), ProcessError> {
        if text.len() > INPUT_LIMIT {
            let why = "This is too long to be said at once; the limit is 8 MiB.".to_owned();
            return Err(ProcessError::Refused(why));
        }
        self.call(Request::Input { id: id.to_owned(), text: text.to_owned() }).await
    }

    /// Nothing more will be said.
    pub async fn close_input(&self) -> Result<(), ProcessError> {
        self.call(Request::CloseInput).await
    }

    pub async fn resize(&self, cols: u16, rows: u16) -> Result<(), ProcessError> {
        self.call(Request::Resize { cols, rows }).await
    }

    /// Signals the child's process group.
    pub async fn signal(&self, signal: Signal) -> Result<(), ProcessError> {
        self.call(Request::Signal { signal }).await
    }

    /// Ends the child and every descendant, and waits until that is written down: on a full disk, until
    /// there is space.
    ///
    /// # Errors
    /// Those of [`Self::end_tree`].
    pub async fn end(&self, ending: Ending) -> Result<ExitRecord, ProcessError> {
        self.end_tree(ending).await?;
        Ok(self.exited().await)
    }

    /// Ends the child and every descendant; returns when they are dead, with what could not be ended,
    /// whatever the disk takes. Goes on in the keeper when this is dropped. A second call can shorten
    /// the first.
    ///
    /// # Errors
    /// `Unconfirmed` when the keeper does not say so in time: somebody stopped it.
    pub async fn end_tree(&self, ending: Ending) -> Result<Vec<u32>, ProcessError> {
        let limit =
            ending.eof_grace + ending.term_grace + tree::KILL_LIMIT + Duration::from_secs(5);
        let order = Request::End {
            eof_grace_ms: millis(ending.eof_grace),
            term_grace_ms: millis(ending.term_grace),
        };
        let ended = async {
            match self.call(order).await {
                Ok(()) | Err(ProcessError::Gone) => Ok(self.link.gone().await),
                Err(error) => Err(error),
            }
        };
        tokio::time::timeout(limit, ended).await.unwrap_or_else(|_| {
            let why = self.trouble().map(|text| format!(": {text}")).unwrap_or_default();
            Err(ProcessError::Unconfirmed { after: limit, why })
        })
    }

    /// Waits for the end of the child and all its descendants.
    pub async fn exited(&self) -> ExitRecord {
        self.link.exited().await
    }

    /// Waits until the child's output is not being taken (a full disk), and says why, for people.
    pub async fn in_trouble(&self) -> String {
        self.link.in_trouble().await
    }

    /// The same, now; nothing while all is well.
    pub fn trouble(&self) -> Option<String> {
        self.link.trouble()
    }

    /// Everything below `to` is not needed any more: segments wholly below it go. What is left at the
    /// end [`clean`] removes.
    pub async fn release(&self, stream: Stream, to: u64) {
        let asked = self.call(Request::Release { stream, to }).await;
        if matches!(asked, Err(ProcessError::Gone)) {
            files::remove_segments_below(&self.dir, stream, to);
        }
    }

    async fn call(&self, request: Request) -> Result<(), ProcessError> {
        self.link.call(request).await
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
