//! The thread that owns the connection.

use std::io;

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use crate::StoreError;

/// How much work may wait: enough for every run at once, few enough that a stalled disk is felt.
const DEPTH: usize = 256;

enum Job {
    Work(Box<dyn FnOnce(&mut Connection) + Send>),
    Close(oneshot::Sender<()>),
}

#[derive(Clone)]
pub(super) struct Jobs(mpsc::Sender<Job>);

/// The thread ends, and the database is closed, when the last `Jobs` is gone.
pub(super) fn start(conn: Connection) -> io::Result<Jobs> {
    let (jobs, work) = mpsc::channel(DEPTH);
    std::thread::Builder::new().name("musher-database".into()).spawn(move || run(conn, work))?;
    Ok(Jobs(jobs))
}

fn run(mut conn: Connection, mut work: mpsc::Receiver<Job>) {
    while let Some(job) = work.blocking_recv() {
        match job {
            Job::Work(work) => work(&mut conn),
            Job::Close(closed) => {
                drop((conn, work));
                // Nobody may wait for it any more.
                let _ = closed.send(());
                return;
            }
        }
    }
}

impl Jobs {
    /// `doing` completes "Musher's database could not ...".
    pub async fn call<T: Send + 'static>(
        &self,
        doing: &'static str,
        work: impl FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (tell, told) = oneshot::channel();
        let work = Box::new(move |conn: &mut Connection| {
            // A caller that gave up does not need the answer.
            let _ = tell.send(work(conn));
        });
        self.0.send(Job::Work(work)).await.map_err(|_| StoreError::closed())?;
        let done = told.await.map_err(|_| StoreError::closed())?;
        done.map_err(|e| StoreError::sql(doing, &e))
    }

    /// Work whose answer nobody needs; false when there is no room for it.
    pub fn offer(
        &self,
        work: impl FnOnce(&mut Connection) -> rusqlite::Result<()> + Send + 'static,
    ) -> bool {
        let work = Box::new(move |conn: &mut Connection| {
            if let Err(error) = work(conn) {
                tracing::warn!(%error, "the index of events was not kept");
            }
        });
        self.0.try_send(Job::Work(work)).is_ok()
    }

    pub async fn close(&self) {
        let (tell, told) = oneshot::channel();
        if self.0.send(Job::Close(tell)).await.is_ok() {
            // An error means that the thread is gone, which is what is asked for.
            let _ = told.await;
        }
    }
}
