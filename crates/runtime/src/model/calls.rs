//! The calls of one answer: looked at, judged, put before a person where needed, run, answered. What only
//! reads runs side by side; what changes anything runs alone, in order.
//!
//! All are looked at before the first of them runs, to show what the answer is about to do. What counts
//! is the judgement right before a call is begun, by the mode and the rules of then; only a person's own
//! answer outlives a change of the mode.

use std::{collections::BTreeMap, panic::AssertUnwindSafe, time::Duration};

use futures::{FutureExt, future::join_all};
use musher_protocol::*;
use tokio::{sync::oneshot, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{
    ask_user,
    codec::{self, Block},
    conversation::Entry,
    run::{Over, Run, limit, until},
};
use crate::{Call, Effect, Intent, Sourced, ToolOutcome, ToolSpec, Verdict};

/// The code of warnings about what brings the tools.
pub(super) const TOOL_SERVER: &str = "tool_server";

/// The calls of one answer that are looked at. Tools keep what they judged until it is called: they
/// must have room for as many.
pub const MOST_CALLS: usize = 256;

/// What a call is answered with that was not begun.
const NOT_RUN: &str = "Not run: the turn was ended before.";

/// What a call is answered with whose tool broke before it was begun.
const BROKE: &str = "The tool broke within Musher before the call was begun; nothing was done. Do it \
                     in another way.";

/// How long a tool that was stopped may take to end: longer than it takes to end a command by force.
const LONGEST_END: Duration = Duration::from_secs(15);

/// A call, and what it would do.
pub(super) struct Planned {
    pub call: Call,
    /// `Err`: it cannot be made, in words for the model.
    intent: Result<Intent, String>,
}

/// What the model is told of a call.
struct Told {
    text: String,
    is_error: bool,
    was_begun: bool,
}

impl Told {
    fn new(outcome: ToolOutcome, was_begun: bool) -> Self {
        Self { text: outcome.text, is_error: outcome.is_error, was_begun }
    }
}

impl Planned {
    fn is_command(&self) -> bool {
        self.intent.as_ref().is_ok_and(|it| it.kind == ToolKind::Run)
    }

    pub fn can_be_done(&self) -> bool {
        self.intent.is_ok()
    }

    pub fn event(&self) -> AgentEvent {
        let (kind, title) = match &self.intent {
            Ok(intent) => (intent.kind, intent.title.clone()),
            Err(_) => (ToolKind::Other, self.call.name.clone()),
        };
        let Call { id, name, input } = self.call.clone();
        AgentEvent::ToolCall(ToolCall { id, name, kind, title, input, parent: None })
    }
}

/// What was found out about a call for the moment.
struct Judged {
    intent: Result<Intent, String>,
    mode: PermissionMode,
}

impl Judged {
    /// It waits for nothing, and disturbs nobody.
    fn runs_beside_others(&self) -> bool {
        self.intent.as_ref().is_ok_and(|it| {
            it.effect == Effect::Reads && !matches!(it.verdict, Verdict::Ask { .. })
        })
    }

    fn only_reads(&self) -> bool {
        self.intent.as_ref().is_ok_and(|it| it.effect == Effect::Reads)
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
                _ if planned.len() >= MOST_CALLS => Err(too_many()),
                Some(why) => Err(format!("{} Nothing was done. Call it again.", why.trim_end())),
                None => self.intent(&call, self.live.mode()).await,
            };
            planned.push(Planned { call, intent });
        }
        planned
    }

    /// A tool that breaks when it is only looked at is an error of this call alone, too.
    async fn intent(&self, call: &Call, mode: PermissionMode) -> Result<Intent, String> {
        if call.name == ask_user::NAME {
            return Ok(question_intent(call));
        }
        let looked_at = async { self.tools.intent(call, mode).await };
        let intent = AssertUnwindSafe(looked_at).catch_unwind().await;
        intent.unwrap_or_else(|_| Err(BROKE.to_owned())).map_err(|why| {
            let names: Vec<String> = self.offered(mode).into_iter().map(|it| it.name).collect();
            if names.contains(&call.name) { why } else { not_offered(&names) }
        })
    }

    /// What the model is told of.
    pub(super) fn offered(&self, mode: PermissionMode) -> Vec<ToolSpec> {
        let mut specs = self.tools.specs(mode);
        specs.push(ask_user::spec());
        specs
    }

    /// Runs them and puts their results into the conversation, in the order of the calls. Each call has
    /// a result in the end, also when the turn is cut off.
    /// Says which of them are commands that ran.
    pub(super) async fn run_calls(&mut self, planned: Vec<Planned>) -> Result<Vec<bool>, Over> {
        let order: Vec<String> = planned.iter().map(|it| it.call.id.clone()).collect();
        let is_command: Vec<bool> = planned.iter().map(Planned::is_command).collect();
        let mut results = BTreeMap::new();
        let mut over = self.run_all(planned, &mut results).await.err();
        if let Some(Over::Error(error)) = over {
            return Err(error.into());
        }
        let mut ran = is_command;
        for (call, ran) in order.into_iter().zip(&mut ran) {
            let (text, is_error) = match results.remove(&call) {
                Some(Told { text, is_error, was_begun }) => {
                    *ran &= was_begun;
                    (text, is_error)
                }
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
        over.map_or(Ok(ran), Err)
    }

    async fn run_all(
        &mut self,
        planned: Vec<Planned>,
        results: &mut BTreeMap<String, Told>,
    ) -> Result<(), Over> {
        let mut reads: Vec<Call> = Vec::new();
        for Planned { call, intent } in planned {
            let mut judged = self.judge(&call, &intent).await?;
            if !judged.runs_beside_others() && !reads.is_empty() {
                self.run_side_by_side(std::mem::take(&mut reads), results).await?;
                judged = self.judge(&call, &intent).await?;
            }
            if let Err(over) = self.check_limits() {
                // These were within the limit.
                self.run_side_by_side(reads, results).await?;
                return Err(over);
            }
            self.budget.called();
            let only_reads = judged.only_reads();
            match self.leave(&call, judged).await? {
                Leave::Refused(why) => {
                    let outcome = ToolOutcome::error(why);
                    self.tell(&call.id, &outcome).await?;
                    results.insert(call.id, Told::new(outcome, false));
                }
                Leave::Given if call.name == ask_user::NAME => {
                    let outcome = self.ask_person(&call).await?;
                    self.tell(&call.id, &outcome).await?;
                    results.insert(call.id, Told::new(outcome, true));
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
        results: &mut BTreeMap<String, Told>,
    ) -> Result<(), Over> {
        if calls.is_empty() {
            return Ok(());
        }
        if self.turn.is_cancelled() || !self.live.busy(calls.len()) {
            return Err(self.cut_off());
        }
        let stop = self.turn.child_token();
        let late = async {
            until(self.budget.deadline()).await;
            stop.cancel();
            std::future::pending().await
        };
        let run = join_all(calls.iter().map(|call| self.run_one(call, stop.clone())));
        let outcomes: Vec<_> = tokio::select! {
            outcomes = run => outcomes,
            never = late => never,
        };
        for (call, outcome) in calls.into_iter().zip(outcomes) {
            let (outcome, told) = outcome;
            self.left.extend(&outcome.left);
            results.insert(call.id, Told::new(outcome, true));
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
        let outcome = self.ended(call, stop).await;
        // A stop does not wait until the result is stored.
        self.live.idle(&outcome.left);
        let told = self.tell(&call.id, &outcome).await;
        (outcome, told)
    }

    /// One that breaks, or does not end when it is stopped, is an error of this call alone.
    async fn ended(&self, call: &Call, stop: CancellationToken) -> ToolOutcome {
        let run = async { self.tools.call(call, stop.clone()).await };
        let run = AssertUnwindSafe(run).catch_unwind();
        let late = async {
            stop.cancelled().await;
            tokio::time::sleep(LONGEST_END).await;
        };
        let unknown = "whether it had an effect is unknown. Look before you do it again.";
        tokio::select! {
            biased;
            ended = run => {
                ended.unwrap_or_else(|_| ToolOutcome::error(format!("The tool broke: {unknown}")))
            }
            () = late => ToolOutcome::error(format!("The tool did not end in time: {unknown}")),
        }
    }

    /// Stores what came of a call.
    async fn tell(&self, id: &str, outcome: &ToolOutcome) -> Result<(), Over> {
        let code = || TOOL_SERVER.to_owned();
        let warnings = outcome.warnings.iter();
        let mut events: Vec<Sourced> = warnings
            .map(|it| AgentEvent::Warning { code: code(), message: it.clone() }.into())
            .collect();
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

    /// What could not be made at first sight is not made later either.
    async fn judge(&self, call: &Call, at_first: &Result<Intent, String>) -> Result<Judged, Over> {
        let mode = self.live.mode();
        let intent = match at_first {
            Ok(_) => self.guarded(self.intent(call, mode)).await?,
            Err(why) => Err(why.clone()),
        };
        Ok(Judged { intent, mode })
    }

    /// Whether the call may be made: by rule, by mode, or by a person. Told as an event in any case. A
    /// leave is stored before it is used: what has none in the transcript was never begun (`Begun`).
    async fn leave(&self, call: &Call, mut judged: Judged) -> Result<Leave, Over> {
        loop {
            let Judged { intent, mode } = judged;
            let intent = match intent {
                Ok(intent) => intent,
                Err(why) => {
                    let reason = why.trim_end().trim_end_matches('.');
                    self.decided(call, ToolVerdict::Denied, reason).await?;
                    return Ok(Leave::Refused(why));
                }
            };
            match &intent.verdict {
                Verdict::Allow { reason } => {
                    self.decided(call, ToolVerdict::Allowed, reason).await?;
                    if self.live.mode() == mode {
                        return Ok(Leave::Given);
                    }
                }
                Verdict::Deny { reason } => {
                    self.decided(call, ToolVerdict::Denied, reason).await?;
                    return Ok(Leave::Refused(format!("Not allowed: {reason}.")));
                }
                Verdict::Ask { reason } => {
                    self.decided(call, ToolVerdict::Asked, reason).await?;
                    return self.ask_leave(call, &intent, reason.clone()).await;
                }
            }
            // The mode was changed meanwhile: the leave is of one that is over.
            judged = self.judge(call, &Ok(intent)).await?;
        }
    }

    async fn decided(&self, call: &Call, verdict: ToolVerdict, reason: &str) -> Result<(), Over> {
        let (tool_call, reason) = (call.id.clone(), reason.to_owned());
        let decision = ToolDecision { tool_call, verdict, reason };
        let decided = self.sink.commit(vec![AgentEvent::ToolDecision(decision).into()]);
        Ok(self.guarded(decided).await??)
    }

    async fn ask_leave(&self, call: &Call, intent: &Intent, why: String) -> Result<Leave, Over> {
        let id = leave_of(&call.id);
        let answer = self.live.expect_answer(&id);
        let asked = PermissionRequest {
            request: id.clone(),
            tool_call: Some(call.id.clone()),
            tool: call.name.clone(),
            kind: intent.kind,
            title: intent.title.clone(),
            input: call.input.clone(),
            description: None,
            why: Some(why),
            plan: None,
            expires_at: None,
            always: Vec::new(),
        };
        self.sink.say(AgentEvent::PermissionRequest(asked)).await?;
        let refused = "The person did not allow this.";
        let (decision, by) = (PermissionDecision::Deny, AnsweredBy::Withdrawn);
        let withdrawn = AgentEvent::PermissionAnswer { request: id, decision, by, message: None };
        Ok(match self.until_answered(answer, withdrawn).await? {
            Some(Answer::Allow) => {
                // The answer is stored by whoever gave it, ahead of what they take from here.
                self.guarded(self.sink.commit(Vec::new())).await??;
                Leave::Given
            }
            Some(Answer::Deny { message: Some(message) }) => {
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
        let (answers, by) = (BTreeMap::new(), AnsweredBy::Withdrawn);
        let withdrawn = AgentEvent::QuestionAnswer { request, answers, by };
        let answer = self.until_answered(answer, withdrawn).await?;
        Ok(ask_user::outcome(answer.unwrap_or(nobody)))
    }

    /// An interrupted turn asks for nothing more. (At the end of the run the engine says so.)
    async fn until_answered(
        &self,
        answer: oneshot::Receiver<Answer>,
        withdrawn: AgentEvent,
    ) -> Result<Option<Answer>, Over> {
        let answer = self.guarded(answer).await;
        if matches!(answer, Err(Over::Interrupted)) {
            self.sink.say(withdrawn).await?;
        }
        Ok(answer?.ok())
    }
}

/// What asks a person for leave for this call.
pub(super) fn leave_of(call: &str) -> String {
    format!("leave-{call}")
}

fn not_offered(names: &[String]) -> String {
    format!("There is no tool of this name; there are {}.", names.join(", "))
}

fn too_many() -> String {
    format!(
        "Not done: one answer may have {MOST_CALLS} calls, and this one has more. Make the rest of \
         them in your next answer."
    )
}

fn question_intent(call: &Call) -> Intent {
    Intent {
        kind: ToolKind::Other,
        title: ask_user::title(&call.input),
        effect: Effect::Changes,
        verdict: Verdict::Allow { reason: "asking is always allowed".into() },
    }
}
