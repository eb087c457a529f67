//! Permissions and questions: each request gets exactly one answer.
//!
//! The answer is given to the runtime first and stored then. Should the engine die between the two,
//! the request is still open at the next start, and a second answer reaches the keeper under the same
//! id, which says it once. Should it die behind the two, before the agent heard, the next start gives
//! the stored answer again.

use std::path::PathBuf;

use musher_protocol::*;
use musher_runtime::{AgentInput, Verdict};
use musher_store::fold::Pending;
use musher_tools::Rules;
use tokio::time::Instant;

use super::RunActor;
use crate::{
    core::{conflict, not_found},
    rules::{own_rules_in_our_words, rules_in},
    settings::ANSWER_WITHIN,
};

impl RunActor {
    /// Puts into a request the time after which it denies itself, and the rules that would have answered
    /// it. Says whether it was a request.
    pub(super) fn prepare_request(&self, event: &mut AgentEvent) -> bool {
        let expires_at = match event {
            AgentEvent::PermissionRequest(request) => {
                request.always = musher_tools::always(request);
                &mut request.expires_at
            }
            AgentEvent::Question(question) => &mut question.expires_at,
            _ => return false,
        };
        let within = chrono::TimeDelta::from_std(ANSWER_WITHIN).unwrap_or_default();
        *expires_at = Some(self.core.now() + within);
        true
    }

    pub(super) fn next_expiry(&self) -> Option<Instant> {
        let next = self.log.fold.pending.iter().filter_map(Pending::expires_at).min()?;
        let left = (next - self.core.now()).to_std().unwrap_or_default();
        Some(Instant::now() + left)
    }

    pub(super) async fn expire(&mut self) -> Result<(), ApiError> {
        let now = self.core.now();
        let late = |p: &&Pending| p.expires_at().is_some_and(|at| at <= now);
        let late: Vec<_> = self.log.fold.pending.iter().filter(late).cloned().collect();
        for pending in late {
            let minutes = ANSWER_WITHIN.as_secs() / 60;
            let message = format!("Nobody answered within {minutes} minutes, so this is denied.");
            let denied = Answer::Deny { message: Some(message) };
            self.settle(&pending, denied, AnsweredBy::Expiry, None).await?;
        }
        self.show_wait().await
    }

    /// Answers what rules answer that were made since the run began, and what its own policy answers.
    pub(super) async fn answer_unasked(&mut self) -> Result<(), ApiError> {
        self.answer_by_rules().await?;
        self.answer_by_policy().await
    }

    /// What waits may have its answer now.
    pub(super) async fn rules_changed(&mut self) -> Result<(), ApiError> {
        self.answer_by_rules().await?;
        self.show_wait().await
    }

    /// The rules from before are the agent's: it asks for nothing that they answer. In plan mode they
    /// allow nothing.
    async fn answer_by_rules(&mut self) -> Result<(), ApiError> {
        let waits = self.log.fold.pending.iter().any(|it| matches!(it, Pending::Permission(_)));
        if !waits {
            return Ok(());
        }
        let plans = self.story.settings.permission_mode == PermissionMode::Plan;
        let Ok(rules) = rules_in(&self.core, &self.story.project).await else {
            // Whoever adds one and starts a run is told which cannot be read; here a person is asked.
            return Ok(());
        };
        let rules: Rules = rules.into_iter().collect();
        if !plans {
            self.answer_edits(&rules).await?;
        }
        for pending in self.log.fold.pending.clone() {
            let Pending::Permission(asked) = &pending else { continue };
            let verdict = musher_tools::answer(&rules, asked);
            let verdict = verdict.filter(|it| !(plans && matches!(it, Verdict::Allow { .. })));
            let Some((answer, reason)) = verdict.and_then(answer_of) else { continue };
            self.settle(&pending, answer, AnsweredBy::Rule, Some(reason)).await?;
        }
        Ok(())
    }

    /// An agent with a loop of its own asks for each edit by our tool, whatever its mode and rules say of
    /// its own: they say the same of ours.
    async fn answer_edits(&mut self, project: &Rules) -> Result<(), ApiError> {
        let settings = &self.story.settings;
        let kind = self.core.registry.get(&settings.runtime);
        if !settings.engine_tools || kind.is_none_or(|kind| kind.needs_tools()) {
            return Ok(());
        }
        let (mode, worktree) = (settings.permission_mode, PathBuf::from(&self.story.worktree));
        let rules = project.clone().of_project_and(own_rules_in_our_words(settings));
        for pending in self.log.fold.pending.clone() {
            let Pending::Permission(asked) = &pending else { continue };
            let by_rule = musher_tools::answer_edit(&rules, asked, PermissionMode::Ask, &worktree);
            let by_mode = || musher_tools::answer_edit(&rules, asked, mode, &worktree);
            let by = if by_rule.is_some() { AnsweredBy::Rule } else { AnsweredBy::Policy };
            let verdict = by_rule.or_else(by_mode);
            let Some((answer, reason)) = verdict.and_then(answer_of) else { continue };
            self.settle(&pending, answer, by, Some(reason)).await?;
        }
        Ok(())
    }

    async fn answer_by_policy(&mut self) -> Result<(), ApiError> {
        let answer = match self.story.settings.answer {
            AnswerPolicy::Ask => return Ok(()),
            AnswerPolicy::Allow => Answer::Allow,
            AnswerPolicy::Deny => Answer::Deny { message: None },
        };
        for pending in self.log.fold.pending.clone() {
            let answer = match (&pending, &answer) {
                // Leave can be given beforehand; an answer to an unknown question cannot.
                (Pending::Question(_), _) => Answer::Deny {
                    message: Some("Nobody is there to answer: decide yourself.".into()),
                },
                (Pending::Permission(_), answer) => answer.clone(),
            };
            self.settle(&pending, answer, AnsweredBy::Policy, None).await?;
        }
        Ok(())
    }

    pub(super) async fn answer(
        &mut self,
        request: &str,
        answer: Answer,
        by: AnsweredBy,
    ) -> Result<(), ApiError> {
        let Some(pending) = self.log.fold.pending(request).cloned() else {
            return Err(match self.log.fold.asked.contains(request) {
                true => conflict("This request was answered already, or the agent took it back."),
                false => not_found("request", request).with_hint(format!(
                    "`musher events {}` shows what it asked.",
                    self.log.summary().id
                )),
            });
        };
        fits(&pending, &answer)?;
        self.settle(&pending, answer, by, None).await?;
        self.show_wait().await
    }

    async fn settle(
        &mut self,
        pending: &Pending,
        answer: Answer,
        by: AnsweredBy,
        rule: Option<String>,
    ) -> Result<(), ApiError> {
        let request = pending.request().to_owned();
        let said = AgentInput::Answer { request: request.clone(), answer: answer.clone() };
        match self.steer(said).await {
            Err(error) if by == AnsweredBy::User => return Err(error),
            // Nobody waits for this answer: the agent is ending, and its end withdraws the request.
            Err(error) => tracing::debug!(%error, %request, "answer not given"),
            Ok(()) => {}
        }
        self.log.say(answered(pending, request, answer, by, rule)).await
    }

    /// Shows that a person is needed, or no longer is.
    pub(super) async fn show_wait(&mut self) -> Result<(), ApiError> {
        let fold = &self.log.fold;
        if !matches!(
            fold.phase,
            RunPhase::Running | RunPhase::WaitingPermission | RunPhase::WaitingAnswer
        ) {
            return Ok(());
        }
        let (phase, detail, until) = match fold.pending.first() {
            None => (RunPhase::Running, None, None),
            Some(Pending::Permission(p)) => {
                (RunPhase::WaitingPermission, Some(wants(p)), p.expires_at)
            }
            Some(Pending::Question(q)) => {
                let asks = q.questions.first().map_or("asks something", |i| i.question.as_str());
                (RunPhase::WaitingAnswer, Some(format!("Asks: {}", one_line(asks))), q.expires_at)
            }
        };
        if (fold.phase, &fold.detail, fold.until) == (phase, &detail, until) {
            return Ok(());
        }
        let status = RuntimeStatus::Running;
        self.log.say(AgentEvent::Status { status, phase, detail, until }).await
    }
}

/// A verdict as an answer, with its reason; `None` is for a person.
fn answer_of(verdict: Verdict) -> Option<(Answer, String)> {
    match verdict {
        Verdict::Allow { reason } => Some((Answer::Allow, reason)),
        Verdict::Deny { reason } => Some((Answer::Deny { message: Some(reason.clone()) }, reason)),
        Verdict::Ask { .. } => None,
    }
}

fn fits(pending: &Pending, answer: &Answer) -> Result<(), ApiError> {
    match (pending, answer) {
        (Pending::Permission(_), Answer::Answers { .. }) => {
            Err(conflict("This is a request for leave: allow or deny it."))
        }
        (Pending::Question(_), Answer::Allow) => {
            Err(conflict("This is a question: choose an answer, or deny."))
        }
        _ => Ok(()),
    }
}

fn answered(
    pending: &Pending,
    request: String,
    answer: Answer,
    by: AnsweredBy,
    rule: Option<String>,
) -> AgentEvent {
    if let Pending::Question(_) = pending {
        let answers = match answer {
            Answer::Answers { answers } => answers,
            _ => Default::default(),
        };
        return AgentEvent::QuestionAnswer { request, answers, by };
    }
    let (decision, message) = match answer {
        Answer::Allow => (PermissionDecision::Allow, rule),
        Answer::Deny { message } => (PermissionDecision::Deny, message),
        Answer::Answers { .. } => (PermissionDecision::Deny, None),
    };
    AgentEvent::PermissionAnswer { request, decision, by, message }
}

fn wants(request: &PermissionRequest) -> String {
    let verb = match request.kind {
        ToolKind::Run => "run",
        ToolKind::Edit => "edit",
        ToolKind::Read => "read",
        ToolKind::Fetch => "fetch",
        ToolKind::Plan => return "Waits for you: approve its plan?".into(),
        _ => "use",
    };
    format!("Waits for you: {verb} {}?", one_line(&request.title))
}

fn one_line(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    match line.char_indices().nth(100) {
        Some((cut, _)) => format!("{}…", &line[..cut]),
        None => line.to_owned(),
    }
}
