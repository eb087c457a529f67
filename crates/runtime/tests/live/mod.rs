//! A run of the real `claude` by the runtime itself, watched from where the engine would be.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use musher_protocol::{
    AgentEvent, EndpointSettings, PermissionMode, RunId, RunLimits, RunOutcome, RuntimeResult,
    StoryId, Transport,
};
use musher_runtime::{
    AgentInput, AgentRuntime, Batch, EventLog, EventSink, EventStream, RuntimeContext,
    RuntimeError, RuntimeKind, ToolAccess, claude::ClaudeCode,
};
use musher_testkit::{Live, executable, proof};
use tokio::{sync::mpsc, task::JoinSet};

/// Longer than any step may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Nobody reads a run's stored events here.
struct NoLog;

impl EventLog for NoLog {
    fn subscribe(&self, _: u64) -> EventStream {
        Box::pin(futures::stream::empty())
    }
}

/// What a test asks of a run.
pub struct Plan {
    pub prompt: String,
    pub transport: Transport,
    pub mode: PermissionMode,
    pub allowed: Vec<String>,
    pub resume: Option<String>,
    pub fresh_prompt: Option<String>,
}

impl Plan {
    /// A run that plays this scenario of the model.
    pub fn new(scenario: &str, transport: Transport) -> Self {
        Self {
            prompt: format!("do it [[model:{scenario}]]"),
            transport,
            mode: PermissionMode::Ask,
            allowed: Vec::new(),
            resume: None,
            fresh_prompt: None,
        }
    }
}

/// A run while it lives.
pub struct Run {
    pub runtime: Arc<dyn AgentRuntime>,
    /// Everything that was heard so far.
    pub seen: Vec<AgentEvent>,
    mark: String,
    events: mpsc::Receiver<Batch>,
    waiting: std::collections::VecDeque<AgentEvent>,
    started: JoinSet<Result<RuntimeResult, RuntimeError>>,
}

impl Run {
    pub fn start(live: &Live, plan: Plan) -> Self {
        executable("cli", "musher-keeper").unwrap();
        let context = context(live, plan);
        let mark = format!("MUSHER_RUN={}", context.run);
        let runtime = ClaudeCode::default().new_run();
        let (sink, events) = EventSink::new(Arc::new(NoLog));
        let mut started = JoinSet::new();
        let driven = Arc::clone(&runtime);
        started.spawn(async move { driven.start(context, sink).await });
        Self { runtime, seen: Vec::new(), mark, events, waiting: Default::default(), started }
    }

    /// Waits for an event that is wanted; answers with it.
    pub async fn until(&mut self, what: &str, wanted: impl Fn(&AgentEvent) -> bool) -> AgentEvent {
        let deadline = Instant::now() + PATIENCE;
        loop {
            while let Some(event) = self.waiting.pop_front() {
                self.seen.push(event.clone());
                if wanted(&event) {
                    return event;
                }
            }
            let left = deadline.saturating_duration_since(Instant::now());
            match tokio::time::timeout(left, self.events.recv()).await {
                Ok(Some(batch)) => self.take(batch),
                Ok(None) => panic!("the run ended without {what}: {:#?}", self.seen),
                Err(_) => panic!("no {what} in time: {:#?}", self.seen),
            }
        }
    }

    /// As the engine takes it: what is stored is told.
    fn take(&mut self, batch: Batch) {
        self.waiting.extend(batch.events.into_iter().map(|one| one.event));
        if let Some(told) = batch.stored {
            // Who was cut off no longer listens.
            let _ = told.send(());
        }
    }

    pub async fn turn_end(&mut self) -> bool {
        let wanted = |event: &AgentEvent| matches!(event, AgentEvent::TurnEnded { .. });
        let ended = self.until("the turn's end", wanted).await;
        matches!(ended, AgentEvent::TurnEnded { ok: true, .. })
    }

    /// The id of the next permission request or question.
    pub async fn asked(&mut self) -> String {
        let wanted = |event: &AgentEvent| {
            matches!(event, AgentEvent::PermissionRequest(_) | AgentEvent::Question(_))
        };
        match self.until("a question", wanted).await {
            AgentEvent::PermissionRequest(request) => request.request,
            AgentEvent::Question(question) => question.request,
            other => panic!("{other:?}"),
        }
    }

    pub async fn steer(&self, input: AgentInput) {
        self.runtime.steer(input).await.unwrap();
    }

    pub async fn say(&self, text: &str) {
        let id = RunId::fresh().to_string();
        self.steer(AgentInput::Message { id, text: text.to_owned() }).await;
    }

    /// Ends the input and waits for the end.
    pub async fn finish(self) -> Ended {
        self.steer(AgentInput::EndOfInput).await;
        self.end().await
    }

    /// Waits for the end, and proves that no process is left.
    pub async fn end(mut self) -> Ended {
        let result = loop {
            tokio::select! {
                biased;
                batch = self.events.recv(), if !self.events.is_closed() || !self.events.is_empty() => {
                    batch.into_iter().for_each(|batch| self.take(batch));
                }
                result = self.started.join_next() => break result.unwrap().unwrap().unwrap(),
            }
        };
        while let Ok(batch) = self.events.try_recv() {
            self.take(batch);
        }
        self.seen.extend(self.waiting);
        let left = proof::alive_with_mark(&self.mark);
        assert!(left.is_empty(), "processes outlive the run: {left:?}");
        Ended { outcome: result.outcome.clone(), result, seen: self.seen }
    }

    /// The agent's process.
    pub fn claude(&self, live: &Live) -> u32 {
        let ours = proof::alive_with_mark(&self.mark).into_iter();
        let program = live.claude.canonicalize().unwrap();
        let is_claude = |pid: &u32| {
            std::fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|path| path == program)
        };
        ours.filter(is_claude).min().expect("claude runs")
    }
}

/// A run that is over.
pub struct Ended {
    pub outcome: RunOutcome,
    pub result: RuntimeResult,
    pub seen: Vec<AgentEvent>,
}

impl Ended {
    pub fn count(&self, wanted: impl Fn(&AgentEvent) -> bool) -> usize {
        self.seen.iter().filter(|event| wanted(event)).count()
    }

    /// The whole blocks of text that the agent said.
    pub fn texts(&self) -> Vec<&str> {
        let whole = |event| match event {
            &AgentEvent::Text { ref text, delta: false, .. } => Some(text.as_str()),
            _ => None,
        };
        self.seen.iter().filter_map(whole).collect()
    }

    pub fn session(&self) -> String {
        self.result.session_id.clone().expect("a session was named")
    }
}

fn context(live: &Live, plan: Plan) -> RuntimeContext {
    let run = RunId::fresh();
    let run_dir: PathBuf = live.repo.beside(run.as_str());
    std::fs::create_dir(&run_dir).unwrap();
    let env: BTreeMap<String, String> = live.env();
    RuntimeContext {
        story_id: StoryId::fresh(),
        agent_name: "live".into(),
        command: Some(live.claude.clone()),
        args: Vec::new(),
        env,
        prompt: plan.prompt,
        prompt_id: RunId::fresh().to_string(),
        cwd: live.repo.path(),
        inactivity_timeout_secs: 0,
        tools: ToolAccess { allowed: plan.allowed, ..ToolAccess::default() },
        session_id_to_resume: plan.resume,
        fresh_prompt: plan.fresh_prompt,
        project_root: live.repo.path(),
        model: None,
        permission_mode: plan.mode,
        limits: RunLimits::default(),
        trust: None,
        transport: plan.transport,
        append_system_prompt: None,
        project_words: None,
        endpoint: EndpointSettings::default(),
        secrets: BTreeMap::new(),
        run_dir,
        attach: None,
        run,
    }
}
