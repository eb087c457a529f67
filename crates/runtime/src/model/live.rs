//! What a run shares with whoever steers and stops it from outside. Its lock is never held over an
//! await.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use musher_protocol::{Answer, PermissionMode, RuntimeStatus};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use crate::{AgentInput, RuntimeError};

/// How many words may wait for the agent's next step.
const INBOX: usize = 64;

/// What reaches the agent between two steps.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Word {
    Message { id: String, text: String },
    End,
}

#[derive(Debug, Default)]
struct State {
    begun: bool,
    over: Option<RuntimeStatus>,
    /// Who waits for which answer.
    asks: BTreeMap<String, oneshot::Sender<Answer>>,
    mode: PermissionMode,
    model: Option<String>,
    /// Cancelled by an interrupt; one for each turn.
    turn: CancellationToken,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Live {
    state: Mutex<State>,
    /// The run has to end.
    pub ending: CancellationToken,
    words: mpsc::Sender<Word>,
    inbox: Mutex<Option<mpsc::Receiver<Word>>>,
    /// Set with the end: processes that may still live.
    left: watch::Sender<Option<Vec<u32>>>,
}

impl Default for Live {
    fn default() -> Self {
        let (words, inbox) = mpsc::channel(INBOX);
        Self {
            state: Mutex::default(),
            ending: CancellationToken::new(),
            words,
            inbox: Mutex::new(Some(inbox)),
            left: watch::Sender::new(None),
        }
    }
}

impl Live {
    fn state(&self) -> MutexGuard<'_, State> {
        // Every change is one assignment, so a panic elsewhere leaves nothing half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives the inbox to the one that begins; `None` for a second one.
    pub fn begin(&self, mode: PermissionMode, model: &str) -> Option<mpsc::Receiver<Word>> {
        let inbox = self.inbox.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        let mut state = self.state();
        state.begun = true;
        state.mode = mode;
        state.model = Some(model.to_owned());
        state.turn = self.ending.child_token();
        Some(inbox)
    }

    pub fn over(&self, status: RuntimeStatus, left: Vec<u32>) {
        let mut state = self.state();
        state.over = Some(status);
        state.asks.clear();
        drop(state);
        self.left.send_replace(Some(left));
    }

    pub fn status(&self) -> RuntimeStatus {
        let state = self.state();
        match (state.begun, state.over) {
            (_, Some(status)) => status,
            (true, None) => RuntimeStatus::Running,
            (false, None) => RuntimeStatus::Idle,
        }
    }

    pub async fn stop(&self) -> Result<(), RuntimeError> {
        self.ending.cancel();
        if !self.state().begun {
            return Ok(());
        }
        let mut left = self.left.subscribe();
        let left = left.wait_for(Option::is_some).await.ok().and_then(|it| it.clone());
        match left {
            Some(left) if !left.is_empty() => Err(RuntimeError::Unconfirmed(left)),
            _ => Ok(()),
        }
    }

    pub fn mode(&self) -> PermissionMode {
        self.state().mode
    }

    pub fn model(&self) -> Option<String> {
        self.state().model.clone()
    }

    /// A token for a turn that begins now.
    pub fn new_turn(&self) -> CancellationToken {
        let turn = self.ending.child_token();
        self.state().turn = turn.clone();
        turn
    }

    /// Before the request is shown, so that no answer comes too early.
    pub fn expect_answer(&self, request: &str) -> oneshot::Receiver<Answer> {
        let (tell, answer) = oneshot::channel();
        self.state().asks.insert(request.to_owned(), tell);
        answer
    }

    pub fn steer(&self, input: AgentInput) -> Result<(), RuntimeError> {
        let mut state = self.state();
        if !state.begun || state.over.is_some() || self.ending.is_cancelled() {
            return Err(RuntimeError::NotRunning);
        }
        match input {
            AgentInput::Message { id, text } => self.put(Word::Message { id, text }),
            AgentInput::EndOfInput => self.put(Word::End),
            AgentInput::Answer { request, answer } => match state.asks.remove(&request) {
                Some(waiting) => waiting.send(answer).map_err(|_| RuntimeError::NotRunning),
                None => Err(RuntimeError::Unsupported("answer a request that is not open")),
            },
            AgentInput::Interrupt => {
                state.turn.cancel();
                Ok(())
            }
            AgentInput::SetModel(model) => {
                state.model = model;
                Ok(())
            }
            AgentInput::SetPermissionMode(mode) => {
                state.mode = mode;
                Ok(())
            }
        }
    }

    fn put(&self, word: Word) -> Result<(), RuntimeError> {
        let full = |_| RuntimeError::Process("it does not listen".into());
        self.words.try_send(word).map_err(full)
    }
}
