//! A runtime whose agent is the test itself: it says what the test says, and the test hears what the
//! engine tells it.
#![allow(dead_code, reason = "each test program uses a part")]

use std::{
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use musher_engine::{Engine, EngineConfig};
use musher_protocol::*;
use musher_runtime::*;
use tokio::sync::{mpsc, oneshot};

/// Longest wait for something that must come.
pub const SOON: Duration = Duration::from_secs(20);

/// One started run, in the test's hands.
pub struct FakeRun {
    pub context: RuntimeContext,
    pub sink: EventSink,
    pub heard: mpsc::UnboundedReceiver<Heard>,
    end: Option<oneshot::Sender<(RunOutcome, TokenUsage)>>,
}

#[derive(Debug, PartialEq)]
pub enum Heard {
    Input(AgentInput),
    Stop,
}

impl FakeRun {
    pub async fn say(&self, event: AgentEvent) {
        self.sink.say(event).await.unwrap();
    }

    /// The words that a message was, once the engine says one.
    pub async fn hear(&mut self) -> Heard {
        tokio::time::timeout(SOON, self.heard.recv()).await.unwrap().unwrap()
    }

    pub fn end(self, outcome: RunOutcome) {
        self.end_having_used(outcome, TokenUsage::default());
    }

    pub fn end_having_used(mut self, outcome: RunOutcome, usage: TokenUsage) {
        self.end.take().unwrap().send((outcome, usage)).unwrap();
    }
}

struct Fake {
    started: mpsc::UnboundedSender<FakeRun>,
    inputs: Mutex<Option<mpsc::UnboundedSender<Heard>>>,
    /// What is told before the start is heard after it, as by the real runtimes.
    heard: Mutex<Option<mpsc::UnboundedReceiver<Heard>>>,
}

#[async_trait]
impl AgentRuntime for Fake {
    async fn start(
        &self,
        context: RuntimeContext,
        sink: EventSink,
    ) -> Result<RuntimeResult, RuntimeError> {
        let heard = self.heard.lock().unwrap().take().unwrap();
        let (end, ended) = oneshot::channel();
        sink.say(session("session-1")).await?;
        let run = FakeRun { context, sink, heard, end: Some(end) };
        self.started.send(run).map_err(|_| RuntimeError::NotRunning)?;
        let ended = ended.await.map_err(|_| RuntimeError::Process("dropped".into()))?;
        let (outcome, token_usage) = ended;
        *self.inputs.lock().unwrap() = None;
        Ok(RuntimeResult { session_id: None, token_usage, outcome })
    }

    async fn stop(&self) -> Result<(), RuntimeError> {
        self.tell(Heard::Stop)
    }

    fn get_status(&self) -> RuntimeStatus {
        RuntimeStatus::Running
    }

    fn stream_events(&self, _from_seq: u64) -> EventStream {
        Box::pin(futures::stream::empty())
    }

    async fn steer(&self, input: AgentInput) -> Result<(), RuntimeError> {
        self.tell(Heard::Input(input))
    }
}

impl Fake {
    fn tell(&self, heard: Heard) -> Result<(), RuntimeError> {
        let inputs = self.inputs.lock().unwrap();
        let inputs = inputs.as_ref().ok_or(RuntimeError::NotRunning)?;
        inputs.send(heard).map_err(|_| RuntimeError::NotRunning)
    }
}

struct FakeKind {
    name: &'static str,
    /// Its tools and its conversation are Musher's.
    ours: bool,
    started: mpsc::UnboundedSender<FakeRun>,
}

#[async_trait]
impl RuntimeKind for FakeKind {
    fn name(&self) -> &'static str {
        self.name
    }

    fn label(&self) -> &'static str {
        match self.name {
            "other" => "Some other",
            name => name,
        }
    }

    fn needs_tools(&self) -> bool {
        self.ours
    }

    fn is_elsewhere(&self, wanted: &EndpointSettings) -> bool {
        self.ours && wanted.base_url.is_some()
    }

    /// As many as the address says in its end.
    async fn only_model(
        &self,
        wanted: &EndpointSettings,
        _given: &std::collections::BTreeMap<String, secrecy::SecretString>,
    ) -> Result<String, String> {
        match wanted.base_url.as_deref() {
            Some(base) if base.ends_with("/many") => Err("There are many: a, b.".into()),
            _ => Ok("the-one".into()),
        }
    }

    fn check_endpoint(&self, wanted: &EndpointSettings) -> Result<(), String> {
        match self.ours || *wanted == EndpointSettings::default() {
            true => Ok(()),
            false => {
                Err(format!("{} reaches its model by itself: leave out the address", self.name))
            }
        }
    }

    fn new_run(&self) -> Arc<dyn AgentRuntime> {
        let (inputs, heard) = mpsc::unbounded_channel();
        let (inputs, heard) = (Mutex::new(Some(inputs)), Mutex::new(Some(heard)));
        Arc::new(Fake { started: self.started.clone(), inputs, heard })
    }

    async fn detect(&self, path: &str) -> RuntimeInfo {
        RuntimeInfo {
            over_http: false,
            name: self.name.into(),
            label: "Fake".into(),
            found: true,
            path: Some(path.into()),
            version: None,
            hint: None,
            models: Vec::new(),
        }
    }
}

/// An engine over a data directory, and where its started runs come out.
pub struct World {
    pub engine: Engine,
    pub started: mpsc::UnboundedReceiver<FakeRun>,
}

impl World {
    pub async fn open(
        dir: &Path,
        max_live_runs: usize,
        now: fn() -> chrono::DateTime<chrono::Utc>,
    ) -> Self {
        Self::open_as(EngineConfig { max_live_runs, now, ..EngineConfig::new(dir.join("data")) })
            .await
    }

    pub async fn open_as(config: EngineConfig) -> Self {
        let (tx, started) = mpsc::unbounded_channel();
        let kind = |name, ours| FakeKind { name, ours, started: tx.clone() };
        let kinds = [("fake", false), ("other", false), ("ours", true)];
        let all = kinds.into_iter().fold(Registry::default(), |all, it| all.with(kind(it.0, it.1)));
        let engine = Engine::open(config, all).await.unwrap();
        Self { engine, started }
    }

    pub async fn start(&self, change: impl FnOnce(&mut RunSettings)) -> RunSummary {
        let place = RunPlace::Fresh {
            repository: musher_engine::DEMO_REPOSITORY.into(),
            base: None,
            branch: None,
        };
        self.start_at(place, change).await
    }

    pub async fn start_at(
        &self,
        place: RunPlace,
        change: impl FnOnce(&mut RunSettings),
    ) -> RunSummary {
        let mut settings = RunSettings { runtime: "fake".into(), ..RunSettings::default() };
        change(&mut settings);
        let params = RunStartParams {
            prompt: "Do it\nwell".into(),
            place,
            settings,
            restrict_untrusted: false,
        };
        self.engine.run_start(params).await.unwrap()
    }

    pub async fn started(&mut self) -> FakeRun {
        tokio::time::timeout(SOON, self.started.recv()).await.unwrap().unwrap()
    }

    /// Waits until the run's summary is as wanted.
    pub async fn until(&self, run: &RunId, wanted: impl Fn(&RunSummary) -> bool) -> RunSummary {
        let mut news = self.engine.news();
        let find = async {
            loop {
                let detail = self.engine.run_get(RunParams { run: run.clone() }).await.unwrap();
                if wanted(&detail.summary) {
                    return detail.summary;
                }
                news.next().await;
            }
        };
        tokio::time::timeout(SOON, find).await.expect("the run came into the wanted state")
    }

    pub async fn events(&self, run: &RunId) -> Vec<EventEnvelope> {
        let params = RunEventsParams {
            run: run.clone(),
            from_seq: 1,
            max_bytes: Some(64 << 20),
            wait_ms: None,
        };
        let text = self.engine.run_events(params).await.unwrap();
        let batch: EventBatch = serde_json::from_str(&text).unwrap();
        batch.events
    }
}

/// Goes on with nothing new.
pub fn resume(run: &RunId) -> RunResumeParams {
    let (env, headers) = Default::default();
    let run = run.clone();
    RunResumeParams { run, prompt: None, env, headers, runtime: None, model: None, endpoint: None }
}

pub fn session(id: &str) -> AgentEvent {
    AgentEvent::Session(SessionInfo { session_id: id.into(), ..SessionInfo::default() })
}

pub fn wants(request: &str, title: &str) -> AgentEvent {
    AgentEvent::PermissionRequest(PermissionRequest {
        request: request.into(),
        tool_call: None,
        tool: "Bash".into(),
        kind: ToolKind::Run,
        title: title.into(),
        input: serde_json::json!({ "command": title }),
        description: None,
        why: None,
        plan: None,
        expires_at: None,
        always: Vec::new(),
    })
}

pub fn turn_ended() -> AgentEvent {
    AgentEvent::TurnEnded { ok: true, reason: None }
}

pub fn sent(id: &str) -> AgentEvent {
    AgentEvent::MessageSent { id: id.into() }
}
