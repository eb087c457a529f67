//! Ends a process when it has to end: politely, then by force, with proof. None of it waits for the disk.

use std::{convert::Infallible, future::pending, path::Path, time::Duration};

use musher_process::{Ending, Keeper};
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

/// Waits for the order to end, or for the run's time to be up; ends the process; then proves what is
/// left of it. The reading goes on to the end of the output, and ends the run; a keeper that proves
/// nothing is given up, and what it has stored is the end.
pub(super) async fn ender(
    keeper: &Keeper,
    dir: &Path,
    live: &Live,
    deadline: Option<Instant>,
) -> Infallible {
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
    match keeper.end_tree(GRACE).await {
        Ok(left) if left.is_empty() => live.prove(Proof::Gone),
        Ok(left) => live.prove(Proof::Left(left)),
        Err(error) => {
            tracing::error!(%error, "an agent's end could not be confirmed");
            let living = musher_process::living(dir).await;
            live.give_up(living.unwrap_or_else(|| keeper.child().into_iter().collect()));
        }
    }
    pending().await
}

pub(super) async fn at(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => pending().await,
    }
}
