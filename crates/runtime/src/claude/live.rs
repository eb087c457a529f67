//! What the parts of one run share: the one reading, the one writing, and whoever calls `steer` and
//! `stop` from outside. Its lock is never held over an await.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

use musher_protocol::{RuntimeStatus, StoppedBy};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use super::{decode::Ask, outcome::Cause};
use crate::RuntimeError;

/// How far the run is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Stage {
    #[default]
    Before,
    Live,
    Over(RuntimeStatus),
}

#[derive(Debug, Default)]
struct State {
    stage: Stage,
    cause: Option<Cause>,
    asks: BTreeMap<String, Ask>,
    /// Requests that were answered and whose tool has no result yet.
    answered: BTreeSet<String>,
    /// The message whose `MessageSent` is out, of those that may be said again: the latest.
    confirmed: Option<String>,
    /// Nothing more may be said.
    input_ended: bool,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Live {
    state: Mutex<State>,
    /// The process has to end.
    ending: CancellationToken,
    /// Something was said to the agent, or is waited for otherwise than before.
    moved: Notify,
    /// A turn runs, or is about to.
    busy: watch::Sender<bool>,
    /// Everything that an earlier engine stored was read again: what is open is known.
    caught_up: watch::Sender<bool>,
    /// All that was there to read was read and handed over, once at least.
    drained: watch::Sender<bool>,
    proof: watch::Sender<Option<Proof>>,
    /// The keeper proves nothing and says nothing more; these lived when it was given up.
    given_up: watch::Sender<Option<Vec<u32>>>,
}

/// What is known of the process tree in the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Proof {
    Gone,
    /// These may still live, or others that are not known.
    Left(Vec<u32>),
}

impl Default for Live {
    fn default() -> Self {
        Self {
            state: Mutex::default(),
            ending: CancellationToken::new(),
            moved: Notify::new(),
            busy: watch::Sender::new(false),
            caught_up: watch::Sender::new(false),
            drained: watch::Sender::new(false),
            proof: watch::Sender::new(None),
            given_up: watch::Sender::new(None),
        }
    }
}

impl Live {
    fn state(&self) -> MutexGuard<'_, State> {
        // Every change is one assignment, so a panic elsewhere leaves nothing half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn begin(&self) {
        self.state().stage = Stage::Live;
    }

    pub fn over(&self, status: RuntimeStatus, proof: Proof) {
        self.state().stage = Stage::Over(status);
        self.prove(proof);
    }

    pub fn status(&self) -> RuntimeStatus {
        match self.state().stage {
            Stage::Before => RuntimeStatus::Idle,
            Stage::Live => RuntimeStatus::Running,
            Stage::Over(status) => status,
        }
    }

    pub fn has_begun(&self) -> bool {
        self.state().stage != Stage::Before
    }

    /// Orders the end. The first cause counts.
    pub fn end(&self, cause: Cause) {
        self.state().cause.get_or_insert(cause);
        self.ending.cancel();
    }

    pub fn cause(&self) -> Option<Cause> {
        self.state().cause.clone()
    }

    pub async fn ending(&self) {
        self.ending.cancelled().await;
    }

    pub fn is_ending(&self) -> bool {
        self.ending.is_cancelled()
    }

    pub fn stop(&self) {
        self.end(Cause::Stopped(StoppedBy::User));
    }

    /// The requests that are open as the agent sees it.
    pub fn set_asks(&self, mut asks: BTreeMap<String, Ask>) {
        let mut state = self.state();
        state.answered.retain(|request| asks.contains_key(request));
        asks.retain(|request, _| !state.answered.contains(request));
        state.asks = asks;
    }

    /// Takes an open request out, to answer it.
    pub fn take_ask(&self, request: &str) -> Option<Ask> {
        let mut state = self.state();
        let ask = state.asks.remove(request)?;
        state.answered.insert(request.to_owned());
        drop(state);
        self.moved.notify_one();
        Some(ask)
    }

    pub fn waits_for_person(&self) -> bool {
        !self.state().asks.is_empty()
    }

    /// Whether this request can be answered, as far as is known by now.
    pub fn may_answer(&self, request: &str) -> bool {
        !*self.caught_up.borrow() || self.state().asks.contains_key(request)
    }

    pub fn confirm(&self, message: &str) {
        self.state().confirmed = Some(message.to_owned());
    }

    pub fn is_confirmed(&self, message: &str) -> bool {
        self.state().confirmed.as_deref() == Some(message)
    }

    pub fn end_input(&self) {
        self.state().input_ended = true;
        self.moved.notify_one();
    }

    pub fn input_ended(&self) -> bool {
        self.state().input_ended
    }

    /// Whether there is, or will be, an agent that can hear this.
    pub fn can_hear(&self) -> Result<(), RuntimeError> {
        let state = self.state();
        let deaf = matches!(state.stage, Stage::Over(_)) || state.input_ended;
        if deaf { Err(RuntimeError::NotRunning) } else { Ok(()) }
    }

    pub fn set_busy(&self, busy: bool) {
        self.busy.send_replace(busy);
        self.moved.notify_one();
    }

    /// Waits until what counts as silence may be another thing than before.
    pub async fn moved(&self) {
        self.moved.notified().await;
    }

    pub fn is_busy(&self) -> bool {
        *self.busy.borrow()
    }

    pub async fn idle(&self) {
        let _ = self.busy.subscribe().wait_for(|busy| !busy).await;
    }

    pub fn catch_up(&self) {
        self.caught_up.send_replace(true);
    }

    pub fn drain(&self) {
        self.drained.send_replace(true);
    }

    pub async fn drained(&self) {
        // The sender is ours, so the wait only ends with the value.
        let _ = self.drained.subscribe().wait_for(|done| *done).await;
    }

    pub fn fall_behind(&self) {
        self.caught_up.send_replace(false);
    }

    pub async fn caught_up(&self) {
        let _ = self.caught_up.subscribe().wait_for(|done| *done).await;
    }

    /// The first proof counts.
    pub fn prove(&self, proof: Proof) {
        self.proof.send_if_modified(|known| {
            let news = known.is_none();
            known.get_or_insert(proof);
            news
        });
    }

    pub fn give_up(&self, left: Vec<u32>) {
        self.prove(if left.is_empty() { Proof::Gone } else { Proof::Left(left.clone()) });
        self.given_up.send_replace(Some(left));
    }

    /// Waits until the keeper is given up.
    pub async fn abandoned(&self) {
        let _ = self.given_up.subscribe().wait_for(Option::is_some).await;
    }

    pub fn left_behind(&self) -> Option<Vec<u32>> {
        self.given_up.borrow().clone()
    }

    pub async fn proof(&self) -> Proof {
        let mut proof = self.proof.subscribe();
        let known = proof.wait_for(Option::is_some).await;
        known.ok().and_then(|proof| proof.clone()).unwrap_or(Proof::Left(Vec::new()))
    }
}

#[cfg(test)]
mod tests {
    use musher_protocol::RunLimit;

    use super::*;

    #[test]
    fn the_first_cause_and_the_first_proof_count() {
        let live = Live::default();
        live.end(Cause::Limit(RunLimit::Time));
        live.stop();
        assert_eq!(live.cause(), Some(Cause::Limit(RunLimit::Time)));
        live.prove(Proof::Left(vec![7]));
        live.prove(Proof::Gone);
        assert_eq!(*live.proof.borrow(), Some(Proof::Left(vec![7])));
    }

    #[test]
    fn an_answered_request_is_not_open_again_before_its_result() {
        let ask = Ask { tool: "Bash".into(), tool_call: None, input: ().into(), question: false };
        let asks = BTreeMap::from([("r1".to_owned(), ask)]);
        let live = Live::default();
        live.set_asks(asks.clone());
        assert!(live.take_ask("r1").is_some() && !live.waits_for_person());
        live.set_asks(asks.clone());
        assert!(
            live.take_ask("r1").is_none(),
            "another request came, and this one seems open again"
        );
        live.set_asks(BTreeMap::new());
        live.set_asks(asks);
        assert!(live.waits_for_person(), "the same id asked anew");
    }
}
