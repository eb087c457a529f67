//! What a run shares with whoever steers and stops it from outside. Its lock is never held over an
//! await.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

use musher_protocol::{Answer, PermissionMode, RuntimeStatus};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use crate::{AgentInput, RuntimeContext, RuntimeError};

/// How many words may wait for the agent's next step.
const INBOX: usize = 64;

/// A person's words, which reach the agent between two steps.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Word {
    pub id: String,
    pub text: String,
}

/// Where they come out. The end of input needs no room among them: it is the end of the queue, behind
/// all that was said before.
pub(super) type Inbox = mpsc::Receiver<Word>;

#[derive(Debug, Default)]
struct State {
    begun: bool,
    over: Option<RuntimeStatus>,
    /// Who waits for which answer.
    asks: BTreeMap<String, oneshot::Sender<Answer>>,
    /// The ids of all words so far: what is said twice is heard once.
    said: BTreeSet<String>,
    mode: PermissionMode,
    model: Option<String>,
    /// Cancelled by an interrupt; one for each turn.
    turn: CancellationToken,
}

/// What a stop has to wait for. It does not wait for events to be taken.
#[derive(Debug, Default)]
struct Work {
    /// Tools that run, or may still from an earlier engine.
    busy: usize,
    over: bool,
    /// Processes that would not end.
    left: Vec<u32>,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Live {
    state: Mutex<State>,
    /// The run has to end.
    pub ending: CancellationToken,
    /// `None` once nothing more will be said.
    words: Mutex<Option<mpsc::Sender<Word>>>,
    inbox: Mutex<Option<Inbox>>,
    work: watch::Sender<Work>,
}

impl Default for Live {
    fn default() -> Self {
        let (words, inbox) = mpsc::channel(INBOX);
        Self {
            state: Mutex::default(),
            ending: CancellationToken::new(),
            words: Mutex::new(Some(words)),
            inbox: Mutex::new(Some(inbox)),
            work: watch::Sender::default(),
        }
    }
}

impl Live {
    fn state(&self) -> MutexGuard<'_, State> {
        // Every change is one assignment, so a panic elsewhere leaves nothing half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives the inbox to the one that begins; `None` for a second one.
    /// Until [`Self::idle`], a stop waits for it: an earlier engine may have left something.
    pub fn begin(&self, context: &RuntimeContext) -> Option<Inbox> {
        let inbox = self.inbox.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        self.work.send_modify(|work| work.busy = 1);
        let mut state = self.state();
        state.begun = true;
        state.said.insert(context.prompt_id.clone());
        state.mode = context.permission_mode;
        state.model = context.model.clone();
        state.turn = self.ending.child_token();
        Some(inbox)
    }

    /// Before so many tools run: whether they may. Each of them is [`Self::idle`] once.
    pub fn busy(&self, tools: usize) -> bool {
        self.work.send_modify(|work| work.busy += tools);
        // A stop that came before this does not wait for them.
        let may = !self.ending.is_cancelled();
        if !may {
            self.work.send_modify(|work| work.busy -= tools);
        }
        may
    }

    /// One of them has ended, but for these processes.
    pub fn idle(&self, left: &[u32]) {
        self.work.send_modify(|work| {
            work.busy -= 1;
            work.left.extend(left);
        });
    }

    pub fn over(&self, status: RuntimeStatus, left: Vec<u32>) {
        let mut state = self.state();
        state.over = Some(status);
        state.asks.clear();
        drop(state);
        self.work.send_replace(Work { busy: 0, over: true, left });
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
        let mut work = self.work.subscribe();
        let ended = work.wait_for(|work| work.over || work.busy == 0).await;
        match ended {
            Ok(work) if !work.left.is_empty() => Err(RuntimeError::Unconfirmed(work.left.clone())),
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
            AgentInput::Message { id, .. } if state.said.contains(&id) => Ok(()),
            AgentInput::Message { id, text } => {
                self.put(Word { id: id.clone(), text })?;
                state.said.insert(id);
                Ok(())
            }
            AgentInput::EndOfInput => {
                self.words().take();
                Ok(())
            }
            AgentInput::Answer { request, answer } => {
                let waiting = state.asks.remove(&request);
                // Who waited may have gone, when the turn was interrupted.
                let heard = waiting.is_some_and(|waiting| waiting.send(answer).is_ok());
                let closed = RuntimeError::Unsupported("answer a request that is not open");
                if heard { Ok(()) } else { Err(closed) }
            }
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

    fn words(&self) -> MutexGuard<'_, Option<mpsc::Sender<Word>>> {
        self.words.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, word: Word) -> Result<(), RuntimeError> {
        let words = self.words();
        let words = words.as_ref().ok_or(RuntimeError::NotRunning)?;
        words.try_send(word).map_err(|_| RuntimeError::Process("it does not listen".into()))
    }
}
