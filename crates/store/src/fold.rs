//! What a run's events amount to. Pure: the same events give the same state, on every machine, in the
//! engine, in `musher` and when the database is rebuilt. Nothing else decides a run's status.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use musher_protocol::{
    AgentEvent, Answer, Delivery, EventEnvelope, FileChange, PermissionDecision, PermissionRequest,
    Question, RateLimit, RunId, RunOutcome, RunPhase, RunSummary, RuntimeStatus, SessionInfo,
    TokenUsage, ToolCall, ToolKind, WorktreeMade,
};

/// The state of one run after its events up to `last_seq`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RunFold {
    pub status: RuntimeStatus,
    pub phase: RunPhase,
    pub detail: Option<String>,
    pub until: Option<DateTime<Utc>>,
    /// The first `done`, and no other.
    pub outcome: Option<RunOutcome>,
    pub session: Option<SessionInfo>,
    pub usage: TokenUsage,
    pub context_window: Option<u64>,
    pub context_used: Option<u64>,
    pub rate_limit: Option<RateLimit>,
    pub added: u32,
    pub removed: u32,
    pub files_changed: u32,
    /// Requests without an answer, oldest first. Empty once the run is done.
    pub pending: Vec<Pending>,
    /// Answers that were given and that nothing the agent did since shows to have arrived.
    pub given: Vec<Given>,
    /// Messages given and neither sent nor dropped, oldest first; the prompt is not among them.
    pub queued: Vec<QueuedMessage>,
    /// Every request there ever was, answered or not.
    pub asked: BTreeSet<String>,
    /// The agent has its prompt.
    pub prompt_sent: bool,
    pub turns: u32,
    /// The last turn is over and no message was said since: the agent waits for words.
    pub turn_over: bool,
    /// What the agent does now, for lists: "Reading src/a.rs". Shown where no wait says more.
    pub activity: Option<String>,
    /// Codes of the warnings that did not come from the agent's output.
    pub warned: BTreeSet<String>,
    pub last_seq: u64,
    /// What was made for the run's story.
    pub worktree: Option<WorktreeMade>,
    /// Where a reader of the child's output goes on.
    pub stored_to: u64,
    /// The `type` of the last event, `""` before the first.
    pub last_event: &'static str,
    pub first_at: Option<DateTime<Utc>>,
    pub last_at: Option<DateTime<Utc>>,
    /// Numbers that were skipped: the transcript was damaged.
    pub missing: u64,
    run: Option<RunId>,
    /// Id and text.
    prompt: Option<(String, String)>,
}

/// A request that waits for a person.
#[derive(Clone, Debug, PartialEq)]
pub enum Pending {
    Permission(PermissionRequest),
    Question(Question),
}

impl Pending {
    pub fn request(&self) -> &str {
        match self {
            Pending::Permission(p) => &p.request,
            Pending::Question(q) => &q.request,
        }
    }

    pub fn expires_at(&self) -> Option<DateTime<Utc>> {
        match self {
            Pending::Permission(p) => p.expires_at,
            Pending::Question(q) => q.expires_at,
        }
    }
}

/// An answer on its way to the agent.
#[derive(Clone, Debug, PartialEq)]
pub struct Given {
    pub request: String,
    pub tool_call: Option<String>,
    pub answer: Answer,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueuedMessage {
    pub id: String,
    pub text: String,
    pub delivery: Delivery,
    /// How many turns had ended when the engine gave it to the agent; `None` while it waits for the end
    /// of a turn. An engine says a steering message at once and a queued one when a turn has ended.
    pub given_after: Option<u32>,
}

/// Why an event does not follow the ones before it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FoldError {
    /// The event was applied all the same; `RunFold::missing` counts what is not there.
    #[error("event {found} follows event {last}: events are missing between them")]
    Gap { last: u64, found: u64 },
    #[error("event {seq} belongs to run {run}")]
    OtherRun { run: RunId, seq: u64 },
}

impl RunFold {
    pub fn is_done(&self) -> bool {
        self.outcome.is_some()
    }

    /// The words that started the run.
    pub fn prompt_text(&self) -> Option<&str> {
        self.prompt.as_ref().map(|(_, text)| text.as_str())
    }

    pub fn demo(&self) -> bool {
        self.session.as_ref().is_some_and(|s| s.demo)
    }

    pub fn session_id(&self) -> Option<&str> {
        self.session.as_ref().map(|s| s.session_id.as_str())
    }

    pub fn model(&self) -> Option<&str> {
        self.session.as_ref().and_then(|s| s.model.as_deref())
    }

    pub fn runtime_version(&self) -> Option<&str> {
        self.session.as_ref().and_then(|s| s.runtime_version.as_deref())
    }

    pub fn pending(&self, request: &str) -> Option<&Pending> {
        self.pending.iter().find(|p| p.request() == request)
    }

    /// Takes the next event in. `Ok(false)`: it was in already and changed nothing.
    pub fn apply(&mut self, envelope: &EventEnvelope) -> Result<bool, FoldError> {
        if self.run.as_ref().is_some_and(|run| *run != envelope.run) {
            return Err(FoldError::OtherRun { run: envelope.run.clone(), seq: envelope.seq });
        }
        if envelope.seq <= self.last_seq {
            return Ok(false);
        }
        let last = std::mem::replace(&mut self.last_seq, envelope.seq);
        self.note_envelope(envelope);
        if let (AgentEvent::Warning { code, .. }, None) = (&envelope.event, envelope.spool) {
            self.warned.insert(code.clone());
        }
        self.note_event(&envelope.event);
        if envelope.seq == last + 1 {
            return Ok(true);
        }
        self.missing = self.missing.saturating_add(envelope.seq - last - 1);
        Err(FoldError::Gap { last, found: envelope.seq })
    }

    fn note_envelope(&mut self, envelope: &EventEnvelope) {
        self.run.get_or_insert_with(|| envelope.run.clone());
        self.first_at.get_or_insert(envelope.at);
        self.last_at = Some(envelope.at);
        self.last_event = envelope.event.kind();
        if let Some(offset) = envelope.spool.filter(|o| *o > 0) {
            self.stored_to = self.stored_to.max(offset);
        }
    }

    fn note_event(&mut self, event: &AgentEvent) {
        match event {
            AgentEvent::Usage { usage, context_window, context_used } => {
                self.usage = usage.clone();
                self.context_window = context_window.or(self.context_window);
                self.context_used = context_used.or(self.context_used);
            }
            AgentEvent::Worktree(made) => self.worktree = Some(made.clone()),
            AgentEvent::Changes { files } => self.note_changes(files),
            AgentEvent::Session(session) => self.session = Some(session.clone()),
            AgentEvent::RateLimit(limit) => self.rate_limit = Some(limit.clone()),
            AgentEvent::TurnEnded { .. } => {
                self.turns = self.turns.saturating_add(1);
                self.turn_over = true;
                self.given.clear();
                self.activity = None;
                self.give_next();
            }
            AgentEvent::MessageSent { id } => self.note_sent(id),
            AgentEvent::ToolCall(call) => self.activity = Some(activity_of(call)),
            AgentEvent::Thinking { .. } if self.activity.is_none() => {
                self.activity = Some("Thinking".into());
            }
            AgentEvent::Text { parent: None, delta: false, .. } => self.activity = None,
            AgentEvent::MessageDropped { id, .. } => self.queued.retain(|m| m.id != *id),
            event if !self.is_done() => self.note_while_live(event),
            _ => {}
        }
    }

    /// What can only happen before the end; after it, nothing makes a run alive again.
    fn note_while_live(&mut self, event: &AgentEvent) {
        match event {
            AgentEvent::Status { status, phase, detail, until } if *phase != RunPhase::Done => {
                self.status = *status;
                self.phase = *phase;
                self.detail.clone_from(detail);
                self.until = *until;
            }
            AgentEvent::Message { id, text, delivery } => self.note_message(id, text, *delivery),
            AgentEvent::PermissionRequest(p) => self.ask(Pending::Permission(p.clone())),
            AgentEvent::Question(q) => self.ask(Pending::Question(q.clone())),
            AgentEvent::PermissionAnswer { request, decision, message, .. } => {
                self.note_answer(request, permission_answer(*decision, message));
            }
            AgentEvent::QuestionAnswer { request, answers, .. } if answers.is_empty() => {
                self.note_answer(request, Answer::Deny { message: None });
            }
            AgentEvent::QuestionAnswer { request, answers, .. } => {
                self.note_answer(request, Answer::Answers { answers: answers.clone() });
            }
            AgentEvent::ToolResult(result) => {
                self.given.retain(|given| given.tool_call.as_ref() != Some(&result.id));
            }
            AgentEvent::Done { outcome } => self.end(outcome),
            _ => {}
        }
    }

    fn end(&mut self, outcome: &RunOutcome) {
        self.status = outcome.status();
        self.phase = RunPhase::Done;
        self.detail = None;
        self.until = None;
        self.activity = None;
        self.outcome = Some(outcome.clone());
        self.pending.clear();
        self.given.clear();
    }

    fn note_answer(&mut self, request: &str, answer: Answer) {
        let Some(at) = self.pending.iter().position(|p| p.request() == request) else { return };
        let tool_call = match self.pending.remove(at) {
            Pending::Permission(p) => p.tool_call,
            Pending::Question(q) => q.tool_call,
        };
        self.given.push(Given { request: request.to_owned(), tool_call, answer });
    }

    fn ask(&mut self, pending: Pending) {
        self.pending.retain(|p| p.request() != pending.request());
        self.asked.insert(pending.request().to_owned());
        self.pending.push(pending);
    }

    fn note_message(&mut self, id: &str, text: &str, delivery: Delivery) {
        if delivery == Delivery::Prompt {
            self.prompt.get_or_insert_with(|| (id.to_owned(), text.to_owned()));
            return;
        }
        self.queued.retain(|m| m.id != id);
        let at_once = delivery == Delivery::Steer || self.turn_over;
        self.queued.push(QueuedMessage {
            id: id.to_owned(),
            text: text.to_owned(),
            delivery,
            given_after: at_once.then_some(self.turns),
        });
    }

    /// The end of a turn is when the oldest waiting message is said, unless the agent waits for an
    /// answer.
    fn give_next(&mut self) {
        if self.pending.is_empty()
            && let Some(next) = self.queued.iter_mut().find(|m| m.given_after.is_none())
        {
            next.given_after = Some(self.turns);
        }
    }

    /// That a message was said is known a moment after it was said, and a quick turn ends within that
    /// moment. So it begins a turn only when no turn has ended since it was given: otherwise the turn
    /// that ended was its own.
    fn note_sent(&mut self, id: &str) {
        let is_prompt = self.prompt.as_ref().is_some_and(|(prompt, _)| prompt == id);
        let given_after = match self.queued.iter().position(|m| m.id == id) {
            Some(at) => self.queued.remove(at).given_after.unwrap_or(self.turns),
            None if is_prompt && !self.prompt_sent => 0,
            // Told before, or its own line is damaged: it begins nothing that is known.
            None => return,
        };
        self.prompt_sent |= is_prompt;
        self.turn_over &= self.turns > given_after;
    }

    fn note_changes(&mut self, files: &[FileChange]) {
        let sum =
            |of: fn(&FileChange) -> u32| files.iter().fold(0u32, |n, f| n.saturating_add(of(f)));
        self.added = sum(|f| f.added);
        self.removed = sum(|f| f.removed);
        self.files_changed = u32::try_from(files.len()).unwrap_or(u32::MAX);
    }

    /// Puts the state into `summary`; what no event says (title, worktree, `unread`) stays.
    pub fn fill(&self, summary: &mut RunSummary) {
        summary.status = self.status;
        summary.phase = self.phase;
        summary.detail = self.detail.clone().or_else(|| self.activity.clone());
        summary.until = self.until;
        summary.outcome.clone_from(&self.outcome);
        summary.session_id = self.session_id().map(str::to_owned);
        if let Some(model) = self.model() {
            summary.model = Some(model.to_owned());
        }
        summary.usage = self.usage.clone();
        summary.added = self.added;
        summary.removed = self.removed;
        summary.files_changed = self.files_changed;
        summary.waiting = u32::try_from(self.pending.len()).unwrap_or(u32::MAX);
        if let Some(made) = self.worktree.as_ref().filter(|_| summary.worktree.is_empty()) {
            summary.worktree.clone_from(&made.path);
            summary.branch = Some(made.branch.clone());
        }
        summary.demo |= self.demo();
        summary.updated_at = self.last_at.unwrap_or(summary.updated_at);
        summary.last_seq = self.last_seq;
    }
}

fn permission_answer(decision: PermissionDecision, message: &Option<String>) -> Answer {
    match decision {
        PermissionDecision::Allow => Answer::Allow,
        PermissionDecision::Deny => Answer::Deny { message: message.clone() },
    }
}

/// A tool call in the present, for a list: one line, at most 120 characters.
fn activity_of(call: &ToolCall) -> String {
    let verb = match call.kind {
        ToolKind::Read => "Reading",
        ToolKind::Edit => "Editing",
        ToolKind::Run => "Running",
        ToolKind::Search => "Searching",
        ToolKind::Fetch => "Fetching",
        ToolKind::Plan => return "Planning".into(),
        ToolKind::Agent => "Leading a sub-agent:",
        ToolKind::Other => "Using",
    };
    let what = call.title.lines().next().filter(|t| !t.is_empty()).unwrap_or(&call.name);
    let mut text = format!("{verb} {what}");
    if let Some((cut, _)) = text.char_indices().nth(120) {
        text.truncate(cut);
        text.push('…');
    }
    text
}
