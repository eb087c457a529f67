//! The calls of one answer: judged, put before a person where needed, run, answered. What only reads
//! runs side by side; what changes anything runs alone, in order.

use std::collections::BTreeMap;

use futures::future::join_all;
use musher_protocol::*;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{
    ask_user,
    codec::{self, Block},
    conversation::Entry,
    run::{Over, Run, limit, until},
};
use crate::{Call, Effect, Intent, Sourced, ToolOutcome, Verdict};

/// What a call is answered with that was not begun.
const NOT_RUN: &str = "Not run: the turn was ended before.";

/// A call, and what it would do.
pub(super) struct Planned {
    pub call: Call,
    /// `Err`: it cannot be made, in words for the model.
    intent: Result<Intent, String>,
}

impl Planned {
    pub fn event(&self) -> AgentEvent {
        let (kind, title) = match &self.intent {
            Ok(intent) => (intent.kind, intent.title.clone()),
            Err(_) => (ToolKind::Other, self.call.name.clone()),
        };
        let Call { id, name, input } = self.call.clone();
        AgentEvent::ToolCall(ToolCall { id, name, kind, title, input, parent: None })
    }
}

/// Whether a call may be made.
enum Leave {
    Given,
    /// With the words for the model.
    Refused(String),
}

impl Run<'_> {
    /// What the answer's calls would do.
    pub(super) async fn plan(&self, answer: &codec::Answer) -> Vec<Planned> {
        let mut planned = Vec::new();
        for block in &answer.blocks {
            let Block::Call { id, name, input } = block else { continue };
            let (id, name) = (id.clone(), name.clone());
            let (input, broken) = match input {
                Ok(input) => (input.clone(), None),
                Err(why) => (serde_json::Value::Null, Some(why)),
            };
            let call = Call { id, name, input };
            let intent = match broken {
                Some(why) => Err(format!("The arguments are no JSON object: {why}.")),
                None if call.name == ask_user::NAME => Ok(question_intent(&call)),
                None => self.tools.intent(&call, self.live.mode()).await,
            };
            planned.push(Planned { call, intent });
        }
        planned
    }

    /// Runs them and puts their results into the conversation, in the order of the calls. Each call has
    /// a result in the end, also when the turn is cut off.
    pub(super) async fn run_calls(&mut self, planned: Vec<Planned>) -> Result<(), Over> {
        let order: Vec<String> = planned.iter().map(|it| it.call.id.clone()).collect();
        let mut results = BTreeMap::new();
        let mut over = self.run_all(planned, &mut results).await.err();
        if matches!(over, Some(Over::Error(_))) {
            return over.map_or(Ok(()), Err);
        }
        for call in order {
            let (text, is_error) = match results.remove(&call) {
                Some(result) => result,
                None => {
                    let outcome = ToolOutcome::error(NOT_RUN);
                    if let Err(error) = self.tell(&call, &outcome).await {
                        over = Some(error);
                    }
                    (outcome.text, true)
                }
            };
            self.talk.entries.push(Entry::Result { call, text, is_error });
        }
        over.map_or(Ok(()), Err)
    }

    async fn run_all(
        &mut self,
        planned: Vec<Planned>,
        results: &mut BTreeMap<String, (String, bool)>,
    ) -> Result<(), Over> {
        let mut reads: Vec<Call> = Vec::new();
        for Planned { call, intent } in planned {
            let only_reads = intent.as_ref().is_ok_and(|it| it.effect == Effect::Reads);
            if !only_reads {
                self.run_side_by_side(std::mem::take(&mut reads), results).await?;
            }
            self.check_limits()?;
            let leave = match &intent {
                Ok(intent) => self.leave(&call, intent).await?,
                Err(why) => Leave::Refused(why.clone()),
            };
            match leave {
                Leave::Refused(why) => {
                    let outcome = ToolOutcome::error(why);
                    self.tell(&call.id, &outcome).await?;
                    results.insert(call.id, (outcome.text, true));
                }
                Leave::Given if call.name == ask_user::NAME => {
                    let outcome = self.ask_person(&call).await?;
                    self.tell(&call.id, &outcome).await?;
                    results.insert(call.id, (outcome.text, outcome.is_error));
                }
                Leave::Given if only_reads => reads.push(call),
                Leave::Given => self.run_side_by_side(vec![call], results).await?,
            }
        }
        self.run_side_by_side(reads, results).await
    }

    /// Runs calls that do not disturb each other. Returns when all have ended, also when cut off.
    async fn run_side_by_side(
        &mut self,
        calls: Vec<Call>,
        results: &mut BTreeMap<String, (String, bool)>,
    ) -> Result<(), Over> {
        if calls.is_empty() {
            return Ok(());
        }
        calls.iter().for_each(|_| self.budget.called());
        let stop = self.turn.child_token();
        let late = async {
            until(self.budget.deadline()).await;
            stop.cancel();
        };
        let run = join_all(calls.iter().map(|call| self.run_one(call, stop.clone())));
        let outcomes = tokio::select! {
            outcomes = run => outcomes,
            () = async { late.await; std::future::pending::<()>().await } => Vec::new(),
        };
        for (call, outcome) in calls.into_iter().zip(outcomes) {
            let (outcome, told) = outcome;
            self.left.extend(&outcome.left);
            results.insert(call.id, (outcome.text, outcome.is_error));
            told?;
        }
        match (self.turn.is_cancelled(), stop.is_cancelled()) {
            (true, _) => Err(self.cut_off()),
            (false, true) => Err(limit(RunLimit::Time)),
            _ => Ok(()),
        }
    }

    async fn run_one(
        &self,
        call: &Call,
        stop: CancellationToken,
    ) -> (ToolOutcome, Result<(), Over>) {
        let outcome = self.tools.call(call, stop).await;
        let told = self.tell(&call.id, &outcome).await;
        (outcome, told)
    }

    /// Stores what came of a call.
    async fn tell(&self, id: &str, outcome: &ToolOutcome) -> Result<(), Over> {
        let mut events: Vec<Sourced> = Vec::new();
        if let Some(entries) = outcome.plan.clone() {
            events.push(AgentEvent::Plan { entries }.into());
        }
        let result = ToolResult {
            id: id.to_owned(),
            text: outcome.text.clone(),
            is_error: outcome.is_error,
            edit: outcome.edit.clone(),
            parent: None,
        };
        events.push(AgentEvent::ToolResult(result).into());
        Ok(self.sink.commit(events).await?)
    }

    fn check_limits(&self) -> Result<(), Over> {
        if self.turn.is_cancelled() {
            return Err(self.cut_off());
        }
        match self.budget.reached(Instant::now()) {
            Some(RunLimit::Turns) | None => Ok(()),
            Some(reached) => Err(limit(reached)),
        }
    }

    /// Whether the call may be made: by rule, by mode, or by a person. Told as an event in any case.
    async fn leave(&self, call: &Call, intent: &Intent) -> Result<Leave, Over> {
        let (verdict, reason) = match &intent.verdict {
            Verdict::Allow { reason } => (ToolVerdict::Allowed, reason),
            Verdict::Deny { reason } => (ToolVerdict::Denied, reason),
            Verdict::Ask { reason } => (ToolVerdict::Asked, reason),
        };
        let (tool_call, reason) = (call.id.clone(), reason.clone());
        let decision = ToolDecision { tool_call, verdict, reason: reason.clone() };
        self.sink.say(AgentEvent::ToolDecision(decision)).await?;
        match verdict {
            ToolVerdict::Allowed => Ok(Leave::Given),
            ToolVerdict::Denied => Ok(Leave::Refused(format!("Not allowed: {reason}."))),
            ToolVerdict::Asked => self.ask_leave(call, intent, reason).await,
        }
    }

    async fn ask_leave(&self, call: &Call, intent: &Intent, why: String) -> Result<Leave, Over> {
        let request = format!("leave-{}", call.id);
        let answer = self.live.expect_answer(&request);
        let asked = PermissionRequest {
            request,
            tool_call: Some(call.id.clone()),
            tool: call.name.clone(),
            kind: intent.kind,
            title: intent.title.clone(),
            input: call.input.clone(),
            description: None,
            why: Some(why),
            plan: None,
            expires_at: None,
        };
        self.sink.say(AgentEvent::PermissionRequest(asked)).await?;
        let refused = "The person did not allow this.";
        Ok(match self.guarded(answer).await? {
            Ok(Answer::Allow) => Leave::Given,
            Ok(Answer::Deny { message: Some(message) }) => {
                Leave::Refused(format!("{refused} They say: {message}"))
            }
            _ => Leave::Refused(refused.to_owned()),
        })
    }

    async fn ask_person(&self, call: &Call) -> Result<ToolOutcome, Over> {
        let request = format!("question-{}", call.id);
        let question = match ask_user::question(call, request.clone()) {
            Ok(question) => question,
            Err(why) => return Ok(ToolOutcome::error(why)),
        };
        let answer = self.live.expect_answer(&request);
        self.sink.say(AgentEvent::Question(question)).await?;
        let nobody = Answer::Deny { message: None };
        Ok(ask_user::outcome(self.guarded(answer).await?.unwrap_or(nobody)))
    }
}

fn question_intent(call: &Call) -> Intent {
    Intent {
        kind: ToolKind::Other,
        title: ask_user::title(&call.input),
        effect: Effect::Changes,
        verdict: Verdict::Allow { reason: "asking is always allowed".into() },
    }
}
