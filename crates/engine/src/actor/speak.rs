//! What is said to the agent: messages, the end of input, interrupts, stops.

use musher_protocol::*;
use musher_runtime::{AgentInput, RuntimeError};
use musher_store::fold::Given;

use super::RunActor;
use crate::core::conflict;

impl RunActor {
    /// A person's words. They are stored first, so they are never lost; a queued message is said when
    /// the turn ends.
    pub(super) async fn hear(&mut self, text: String, delivery: Delivery) -> Result<(), ApiError> {
        let id = format!("message-{}", uuid::Uuid::now_v7());
        self.log.say(AgentEvent::Message { id: id.clone(), text: text.clone(), delivery }).await?;
        let now = delivery == Delivery::Steer || self.log.fold.turn_over;
        if now && self.can_speak() {
            self.speak(id, text).await?;
        }
        Ok(())
    }

    fn can_speak(&self) -> bool {
        self.runtime.is_some() && !self.input_ended && self.stopped_by.is_none()
    }

    /// The message stays queued when the agent can no longer be reached: its end is near, and says
    /// what became of it.
    async fn speak(&mut self, id: String, text: String) -> Result<(), ApiError> {
        match self.try_steer(AgentInput::Message { id: id.clone(), text }).await {
            Ok(()) => {
                self.spoken.push(id);
                Ok(())
            }
            Err(RuntimeError::NotRunning | RuntimeError::Process(_)) => Ok(()),
            Err(error) => Err(failed(&error)),
        }
    }

    /// Says the next queued message, or ends the input: an agent that nobody talks to costs nothing. A
    /// message that was said counts as such before it is confirmed: its turn may be over by then. The
    /// runtime ends the input behind what it was given before.
    pub(super) async fn turn_ended(&mut self) -> Result<(), ApiError> {
        if !self.can_speak() || !self.log.fold.pending.is_empty() {
            return Ok(());
        }
        let mut queued = self.log.fold.queued.iter();
        if let Some(next) = queued.find(|message| !self.spoken.contains(&message.id)).cloned() {
            return self.speak(next.id, next.text).await;
        }
        self.input_ended = true;
        if let Err(error) = self.try_steer(AgentInput::EndOfInput).await {
            tracing::debug!(%error, "input not ended: the agent is ending already");
        }
        Ok(())
    }

    /// After an attach: what a lost engine had stored and perhaps not said. The keeper says a message
    /// or an answer once, however often it is given.
    pub(super) async fn say_what_was_left(&mut self) -> Result<(), ApiError> {
        for Given { request, answer, .. } in self.log.fold.given.clone() {
            if let Err(error) = self.try_steer(AgentInput::Answer { request, answer }).await {
                tracing::debug!(%error, "an answer of the last engine was not given again");
            }
        }
        for message in self.log.fold.queued.clone() {
            if message.delivery == Delivery::Steer {
                self.speak(message.id, message.text).await?;
            }
        }
        if self.log.fold.turn_over {
            self.turn_ended().await?;
        }
        Ok(())
    }

    pub(super) async fn interrupt(&mut self) -> Result<(), ApiError> {
        self.steer(AgentInput::Interrupt).await
    }

    pub(super) async fn set_model(&mut self, model: Option<String>) -> Result<(), ApiError> {
        // One that did not begin yet begins with it.
        if self.runtime.is_some() {
            self.steer(AgentInput::SetModel(model.clone())).await?;
        }
        self.story.settings.model = model;
        self.keep_story().await
    }

    pub(super) async fn set_mode(&mut self, mode: PermissionMode) -> Result<(), ApiError> {
        self.steer(AgentInput::SetPermissionMode(mode)).await?;
        self.story.settings.permission_mode = mode;
        self.keep_story().await
    }

    /// Begins the end. Asked twice, it is begun once.
    pub(super) async fn stop(&mut self, by: StoppedBy) -> Result<(), ApiError> {
        if self.stopped_by.is_some() {
            return Ok(());
        }
        self.stopped_by = Some(by);
        self.stopping.cancel();
        self.enter(RunPhase::Stopping, Some("Stopping".into())).await
    }

    pub(super) async fn steer(&self, input: AgentInput) -> Result<(), ApiError> {
        self.try_steer(input).await.map_err(|error| failed(&error))
    }

    async fn try_steer(&self, input: AgentInput) -> Result<(), RuntimeError> {
        match &self.runtime {
            Some(runtime) => runtime.steer(input).await,
            None => Err(RuntimeError::NotRunning),
        }
    }
}

fn failed(error: &RuntimeError) -> ApiError {
    match error {
        RuntimeError::NotRunning => {
            conflict("The agent is not running.").with_hint("Send it a message to go on.")
        }
        error => ApiError::new(
            ErrorCode::RuntimeFailed,
            format!("That did not reach the agent: {error}."),
        ),
    }
}
