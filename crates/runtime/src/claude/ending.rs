//! Ends a process when it has to end: politely, then by force, with proof.

use std::time::Duration;

use musher_process::{Ending, Keeper, ProcessError};
use musher_protocol::RunLimit;
use tokio::time::{Instant, sleep_until, timeout};

use super::{
    live::{Live, Proof},
    outcome::Cause,
    say,
};

/// How long an interrupted turn may take to end. The agent kills its tools' trees itself meanwhile,
/// in 1.2 to 1.7 s when measured.
const INTERRUPT: Duration = Duration::from_secs(2);

const GRACE: Ending =
    Ending { eof_grace: Duration::from_secs(2), term_grace: Duration::from_secs(2) };

/// Waits for the order to end, or for the run's time to be up; ends the process; then tells what is
/// left of it. Returns only when not even that can be told.
pub(super) async fn ender(keeper: &Keeper, live: &Live, deadline: Option<Instant>) -> Vec<u32> {
    tokio::select! {
        () = live.ending() => {}
        () = at(deadline) => live.end(Cause::Limit(RunLimit::Time)),
    }
    if live.is_busy() {
        let interrupted = async {
            let id = format!("stop-{}", uuid::Uuid::now_v7());
            let _ = keeper.input(&id, &say::interrupt(&id)).await;
            live.idle().await;
        };
        tokio::select! {
            _ = timeout(INTERRUPT, interrupted) => {}
            _ = keeper.exited() => {}
        }
    }
    match keeper.end(GRACE).await {
        Ok(record) => {
            live.prove(match record.left {
                left if left.is_empty() => Proof::Gone,
                left => Proof::Left(left),
            });
            // The reading goes on to the end of the output, and ends the run.
            std::future::pending().await
        }
        Err(error) => unconfirmed(keeper, &error),
    }
}

fn unconfirmed(keeper: &Keeper, error: &ProcessError) -> Vec<u32> {
    tracing::error!(%error, "an agent's end could not be confirmed");
    keeper.child().into_iter().collect()
}

pub(super) async fn at(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
