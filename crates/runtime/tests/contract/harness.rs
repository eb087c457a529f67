//! One run of the scripted agent in a folder of its own, its events collected as the engine would.
#![allow(dead_code, reason = "each test program uses a part")]

use std::{
    path::PathBuf,
    sync::{Arc, LazyLock},
    time::Duration,
};

use musher_protocol::*;
use musher_runtime::{
    AgentInput, AgentRuntime, AttachPoint, Batch, EventLog, EventSink, EventStream, RuntimeContext,
    RuntimeError, Sourced, ToolAccess,
    claude::{ClaudeCodeRuntime, Flavour},
};
use musher_testkit::{executable, proof};
use tokio::{sync::mpsc, task::JoinHandle, time::timeout};

/// Longer than anything here takes on a slow machine.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// The agent, with the keeper's executable built beside it.
static AGENT: LazyLock<PathBuf> = LazyLock::new(|| {
    executable("cli", "musher-keeper").unwrap();
    executable("demo", "musher-demo-agent").unwrap()
});

struct NoLog;

impl EventLog for NoLog {
    fn subscribe(&self, _from_seq: u64) -> EventStream {
        Box::pin(futures::stream::empty())
    }
}

/// What a run is started with, apart from what every test has the same.
pub struct Setup {
    /// Removed with the last of the test.
    _folder: Arc<tempfile::TempDir>,
    pub context: RuntimeContext,
}

impl Setup {
    pub fn new(transport: Transport, script: &str) -> Self {
        let folder = Arc::new(tempfile::tempdir().unwrap());
        let cwd = folder.path().join("worktree");
        let run_dir = folder.path().join("run");
        std::fs::create_dir(&cwd).unwrap();
        std::fs::create_dir(&run_dir).unwrap();
        let mut env: std::collections::BTreeMap<String, String> = ["PATH", "HOME"]
            .into_iter()
            .filter_map(|name| Some((name.to_owned(), std::env::var(name).ok()?)))
            .collect();
        env.insert("MUSHER_DEMO_SCRIPT".into(), script.into());
        env.insert("MUSHER_DEMO_SPEED".into(), "fast".into());
        let context = RuntimeContext {
            run: RunId::fresh(),
            story_id: StoryId::fresh(),
            agent_name: "coder-1".into(),
            command: Some(AGENT.clone()),
            args: Vec::new(),
            env,
            prompt: "do it".into(),
            prompt_id: "prompt-1".into(),
            cwd: cwd.clone(),
            inactivity_timeout_secs: 0,
            tools: ToolAccess::default(),
            session_id_to_resume: None,
            fresh_prompt: None,
            project_root: cwd,
            model: None,
            permission_mode: PermissionMode::Ask,
            limits: RunLimits::default(),
            trust: None,
            transport,
            append_system_prompt: None,
            project_words: None,
            endpoint: EndpointSettings::default(),
            secrets: std::collections::BTreeMap::new(),
            run_dir,
            attach: None,
        };
        Self { _folder: folder, context }
    }

    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.context.env.insert(name.into(), value.into());
        self
    }

    pub fn with(mut self, change: impl FnOnce(&mut RuntimeContext)) -> Self {
        change(&mut self.context);
        self
    }

    pub fn start(self) -> Agent {
        self.start_as(Flavour::ClaudeCode)
    }

    pub fn start_as(self, flavour: Flavour) -> Agent {
        self.start_with(Arc::new(ClaudeCodeRuntime::new(flavour)))
    }

    pub fn start_with(self, runtime: Arc<ClaudeCodeRuntime>) -> Agent {
        let (sink, batches) = EventSink::new(Arc::new(NoLog));
        let (running, context) = (runtime.clone(), self.context.clone());
        let task = tokio::spawn(async move { running.start(context, sink).await });
        Agent { setup: self, runtime, batches, task, events: Vec::new() }
    }
}

/// A run that goes on.
pub struct Agent {
    pub setup: Setup,
    pub runtime: Arc<ClaudeCodeRuntime>,
    batches: mpsc::Receiver<Batch>,
    task: JoinHandle<Result<RuntimeResult, RuntimeError>>,
    /// Everything taken so far.
    pub events: Vec<Sourced>,
}

impl Agent {
    /// Takes batches until an event fits, and gives it.
    pub async fn until(&mut self, fits: impl Fn(&AgentEvent) -> bool) -> AgentEvent {
        let mut from = 0;
        loop {
            if let Some(found) = self.events[from..].iter().find(|it| fits(&it.event)) {
                return found.event.clone();
            }
            from = self.events.len();
            match timeout(PATIENCE, self.batches.recv()).await {
                Ok(Some(batch)) => self.events.extend(taken(batch)),
                Ok(None) => {
                    let result = (&mut self.task).await;
                    panic!("the run ended first: {result:?} {:#?}", self.events)
                }
                Err(_) => panic!("it never came: {:#?}", self.events),
            }
        }
    }

    /// Takes batches until there are so many events.
    pub async fn until_count(&mut self, count: usize) {
        while self.events.len() < count {
            let batch = timeout(PATIENCE, self.batches.recv()).await.expect("more comes");
            self.events.extend(taken(batch.expect("the run goes on")));
        }
    }

    pub async fn until_said(&mut self, words: &str) {
        self.until(|event| is_text(event, words)).await;
    }

    pub async fn until_turn_ends(&mut self) {
        self.until(|event| matches!(event, AgentEvent::TurnEnded { .. })).await;
    }

    pub async fn until_request(&mut self) -> PermissionRequest {
        let fits = |event: &AgentEvent| matches!(event, AgentEvent::PermissionRequest(_));
        match self.until(fits).await {
            AgentEvent::PermissionRequest(request) => request,
            other => panic!("{other:?}"),
        }
    }

    pub async fn steer(&self, input: AgentInput) {
        self.runtime.steer(input).await.unwrap();
    }

    pub async fn message(&self, id: &str, text: &str) {
        self.steer(AgentInput::Message { id: id.into(), text: text.into() }).await;
    }

    pub async fn answer(&self, request: &str, answer: Answer) {
        self.steer(AgentInput::Answer { request: request.into(), answer }).await;
    }

    /// Ends the input once the turn is over, as the engine does, and gives the end.
    pub async fn finish(mut self) -> Over {
        self.until_turn_ends().await;
        self.steer(AgentInput::EndOfInput).await;
        self.end().await
    }

    /// Waits for the end, takes the rest, and proves that nothing is left.
    pub async fn end(mut self) -> Over {
        let taken = async {
            while let Some(batch) = self.batches.recv().await {
                self.events.extend(taken(batch));
            }
        };
        let (result, ()) = timeout(PATIENCE, async { tokio::join!(&mut self.task, taken) })
            .await
            .expect("start returns");
        let result = result.unwrap().unwrap();
        let mark = format!("MUSHER_RUN={}", self.setup.context.run);
        assert_eq!(proof::alive_with_mark(&mark), [0u32; 0], "processes are left");
        Over { result, events: self.events, setup: self.setup, runtime: self.runtime }
    }

    /// What its start returns, whatever may be left of it, and what it said.
    pub async fn unproved(mut self) -> (Result<RuntimeResult, RuntimeError>, Vec<Sourced>) {
        let taken = async {
            while let Some(batch) = self.batches.recv().await {
                self.events.extend(taken(batch));
            }
        };
        let both = timeout(PATIENCE, async { tokio::join!(&mut self.task, taken) });
        let (result, ()) = both.await.expect("start returns");
        (result.unwrap(), self.events)
    }

    /// As if the engine were gone: nobody reads any more, the agent goes on under its keeper.
    pub fn abandon(self) -> (Setup, Vec<Sourced>) {
        self.task.abort();
        (self.setup, self.events)
    }
}

/// As the engine takes it: what is stored is told.
fn taken(batch: Batch) -> Vec<Sourced> {
    if let Some(told) = batch.stored {
        // Who was cut off no longer listens.
        let _ = told.send(());
    }
    batch.events
}

/// A run that is over.
pub struct Over {
    pub result: RuntimeResult,
    pub events: Vec<Sourced>,
    pub setup: Setup,
    pub runtime: Arc<ClaudeCodeRuntime>,
}

impl Over {
    pub fn count(&self, fits: impl Fn(&AgentEvent) -> bool) -> usize {
        self.events.iter().filter(|it| fits(&it.event)).count()
    }

    pub fn said(&self, words: &str) -> bool {
        self.count(|event| is_text(event, words)) > 0
    }

    pub fn warned(&self, code: &str) -> bool {
        self.count(|event| matches!(event, AgentEvent::Warning { code: it, .. } if it == code)) > 0
    }
}

/// A whole block of the agent's words that has these in it.
pub fn is_text(event: &AgentEvent, words: &str) -> bool {
    matches!(event, AgentEvent::Text { text, delta: false, .. } if text.contains(words))
}

/// Where an engine would go on that stored these events.
pub fn stored_to(events: &[Sourced]) -> AttachPoint {
    let stored_to = events.iter().filter_map(|it| it.spool).max().unwrap_or(0);
    let warned = events.iter().filter_map(|it| match &it.event {
        AgentEvent::Warning { code, .. } => Some(code.clone()),
        _ => None,
    });
    AttachPoint { stored_to, warned: warned.collect() }
}
