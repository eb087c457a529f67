//! Waiting on what really happens, with a limit.

use std::{
    thread,
    time::{Duration, Instant},
};

/// Longer than any step may take on a busy machine.
pub const LIMIT: Duration = Duration::from_secs(60);

/// What `work` comes to.
///
/// # Panics
/// When it takes longer than [`LIMIT`].
#[allow(clippy::panic, reason = "a test that waits in vain has failed")]
pub async fn within<T>(work: impl Future<Output = T>) -> T {
    let Ok(done) = tokio::time::timeout(LIMIT, work).await else {
        panic!("it took longer than {LIMIT:?}")
    };
    done
}

/// Waits until the condition holds.
///
/// # Panics
/// When it does not within [`LIMIT`].
pub async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let limit = Instant::now() + LIMIT;
    while !holds() {
        assert!(Instant::now() < limit, "never happened: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// What `look` finds, looking again until it finds something; for tests that are not async, and for what
/// tells nobody that it happened: another program's files, processes and windows.
///
/// # Panics
/// When it finds nothing within [`LIMIT`].
pub fn until_some<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let limit = Instant::now() + LIMIT;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < limit, "never happened: {what}");
        thread::sleep(Duration::from_millis(20));
    }
}
