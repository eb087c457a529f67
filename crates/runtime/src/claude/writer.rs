//! Says things to the agent, one after the other, beside the reading: an agent that does not listen
//! stalls only this.

use std::convert::Infallible;

use musher_process::{Keeper, ProcessError};
use musher_protocol::{AgentEvent, Answer};
use tokio::sync::mpsc;

use super::{command, live::Live, opening::Opening, say};
use crate::{AgentInput, EventSink, RuntimeError, ToolEndpoint};

/// How many things may wait to be said. A person does not say so many; an agent that asks so much
/// without listening hears no more refusals.
pub(super) const INBOX: usize = 256;

/// What is to be said.
pub(super) enum Word {
    Input(AgentInput),
    /// An answer to a request that Musher does not know.
    Refuse {
        request: String,
        subtype: String,
    },
}

pub(super) struct Writer<'a> {
    pub keeper: &'a Keeper,
    pub live: &'a Live,
    pub sink: &'a EventSink,
    pub tools: Option<&'a dyn ToolEndpoint>,
}

impl Writer<'_> {
    /// Says the opening, if any, then what comes in, until the run's end drops it.
    pub async fn run(
        &self,
        opening: Option<&Opening>,
        inbox: &mut mpsc::Receiver<Word>,
    ) -> Result<Infallible, RuntimeError> {
        if let Some(opening) = opening {
            self.message(&opening.prompt_id, &opening.prompt).await?;
        }
        self.live.caught_up().await;
        while let Some(word) = inbox.recv().await {
            match word {
                Word::Input(input) => self.input(input).await?,
                Word::Refuse { request, subtype } => {
                    let id = format!("refuse-{request}");
                    self.write(&id, &say::refuse(&request, &subtype)).await;
                }
            }
        }
        std::future::pending().await
    }

    async fn input(&self, input: AgentInput) -> Result<(), RuntimeError> {
        let id = format!("musher-{}", uuid::Uuid::now_v7());
        match input {
            AgentInput::Message { id, text } => {
                self.live.set_busy(true);
                return self.message(&id, &text).await;
            }
            AgentInput::Answer { request, answer } => self.answer(&request, &answer).await,
            AgentInput::Interrupt => drop(self.write(&id, &say::interrupt(&id)).await),
            AgentInput::SetModel(model) => {
                self.write(&id, &say::set_model(&id, model.as_deref())).await;
            }
            AgentInput::SetPermissionMode(mode) => {
                if let Some(tools) = self.tools {
                    command::set_mode(tools, mode);
                }
                self.write(&id, &say::set_permission_mode(&id, mode)).await;
            }
            AgentInput::EndOfInput => {
                let closed = self.keeper.close_input().await;
                closed.unwrap_or_else(|error| tracing::debug!(%error, "input not closed"));
            }
        }
        Ok(())
    }

    /// Confirms the words once, although a session that is begun again hears them a second time. A
    /// process that ends at once may end before its confirmation: then the next one's counts.
    async fn message(&self, id: &str, text: &str) -> Result<(), RuntimeError> {
        let said = self.write(id, &say::message(id, text)).await;
        if said && !self.live.is_confirmed(id) {
            self.sink.say(AgentEvent::MessageSent { id: id.into() }).await?;
            self.live.confirm(id);
        }
        Ok(())
    }

    /// The keeper writes an answer once, whoever gives it again.
    async fn answer(&self, request: &str, answer: &Answer) {
        match self.live.take_ask(request) {
            Some(ask) => {
                let line = say::answer(request, &ask, answer);
                self.write(&format!("answer-{request}"), &line).await;
            }
            None => tracing::debug!(request, "the request was taken back before its answer"),
        }
    }

    /// Whether it is in the agent's pipe. When not, the agent is ending, and its end tells more.
    async fn write(&self, id: &str, line: &str) -> bool {
        match self.keeper.input(id, line).await {
            Ok(()) => true,
            Err(error @ (ProcessError::Gone | ProcessError::Refused(_))) => {
                tracing::debug!(%error, id, "not said");
                false
            }
            Err(error) => {
                tracing::warn!(%error, id, "not said");
                false
            }
        }
    }
}
