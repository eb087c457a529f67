//! One run against a scripted server, its events collected and stored as the engine would.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use musher_protocol::*;
use musher_runtime::{
    AgentInput, AgentRuntime, AttachPoint, Batch, EventLog, EventSink, EventStream, RuntimeContext,
    RuntimeError, RuntimeKind, ToolAccess,
    model::{Keys, ModelKind, Patience},
};
use musher_testkit::dialects::{Dialect, ScriptedEndpoint};
use secrecy::SecretString;
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
    time::timeout,
};

pub use super::tools::Tools;

/// Longer than anything here takes on a slow machine.
pub const SOON: Duration = Duration::from_secs(30);
/// What opens the scripted servers.
pub const KEY: &str = "sk-scripted-123";

pub const PATIENCE: Patience = Patience {
    connect: Duration::from_secs(5),
    first_byte: Duration::from_secs(5),
    between: Duration::from_secs(5),
    backoff: Duration::from_millis(20),
};

struct OneKey(Option<String>);

/// A keychain that waits for a person who does not come.
#[derive(Clone, Default)]
pub struct Locked(pub watch::Sender<bool>);

#[async_trait]
impl Keys for Locked {
    async fn key(&self, _place: &str) -> Option<SecretString> {
        self.0.send_replace(true);
        std::future::pending().await
    }
}

#[async_trait]
impl Keys for OneKey {
    async fn key(&self, _place: &str) -> Option<SecretString> {
        self.0.clone().map(SecretString::from)
    }
}

/// A story's transcripts.
#[derive(Clone, Default)]
pub struct Transcript {
    pub earlier: Vec<EventEnvelope>,
    pub stored: Arc<Mutex<Vec<EventEnvelope>>>,
}

impl EventLog for Transcript {
    fn subscribe(&self, from_seq: u64) -> EventStream {
        let stored = self.stored.lock().unwrap().clone();
        let from = usize::try_from(from_seq.saturating_sub(1)).unwrap();
        Box::pin(futures::stream::iter(stored.into_iter().skip(from)))
    }

    fn stored(&self) -> EventStream {
        self.subscribe(1)
    }

    fn earlier(&self) -> EventStream {
        Box::pin(futures::stream::iter(self.earlier.clone()))
    }
}

/// What a run is started with, apart from what every test has the same.
pub struct Setup {
    folder: Arc<tempfile::TempDir>,
    dialect: Dialect,
    patience: Patience,
    key: Option<String>,
    locked: Option<Locked>,
    pub tools: Arc<Tools>,
    pub log: Transcript,
    pub context: RuntimeContext,
}

impl Setup {
    pub fn new(endpoint: &ScriptedEndpoint) -> Self {
        let folder = Arc::new(tempfile::tempdir().unwrap());
        let tools = Arc::new(Tools::default());
        let host = ToolAccess { host: Some(tools.clone()), ..ToolAccess::default() };
        let context = context(endpoint, folder.path().to_owned(), host);
        Self {
            folder,
            dialect: endpoint.dialect(),
            patience: PATIENCE,
            key: Some(KEY.into()),
            locked: None,
            tools,
            log: Transcript::default(),
            context,
        }
    }

    pub fn with(mut self, change: impl FnOnce(&mut RuntimeContext)) -> Self {
        change(&mut self.context);
        self
    }

    pub fn limits(self, limits: RunLimits) -> Self {
        self.with(|context| context.limits = limits)
    }

    pub fn patience(self, patience: Patience) -> Self {
        Self { patience, ..self }
    }

    pub fn key(self, key: Option<&str>) -> Self {
        Self { key: key.map(str::to_owned), ..self }
    }

    pub fn locked(self, keys: Locked) -> Self {
        Self { locked: Some(keys), ..self }
    }

    /// A further run of the story that these events are of.
    pub fn resuming(mut self, earlier: Vec<EventEnvelope>) -> Self {
        self.log.earlier = earlier;
        self.with(|context| context.session_id_to_resume = Some("session-1".into()))
    }

    /// The run that these events are of, whose engine is gone.
    pub fn attached_to(self, stored: Vec<EventEnvelope>) -> Self {
        *self.log.stored.lock().unwrap() = stored;
        self.with(|context| context.attach = Some(AttachPoint::default()))
    }

    pub fn kind(&self) -> ModelKind {
        let prices = self.folder.path().join("prices.toml");
        let keys: Arc<dyn Keys> = match self.locked.clone() {
            Some(locked) => Arc::new(locked),
            None => Arc::new(OneKey(self.key.clone())),
        };
        let kind = match self.dialect {
            Dialect::Gemini => ModelKind::gemini(keys, prices),
            _ => ModelKind::openai(keys, prices),
        };
        kind.with_patience(self.patience)
    }

    pub fn price(self, text: &str) -> Self {
        std::fs::write(self.folder.path().join("prices.toml"), text).unwrap();
        self
    }

    pub fn start(self) -> Agent {
        let runtime = self.kind().new_run();
        self.start_with(runtime)
    }

    pub fn start_with(self, runtime: Arc<dyn AgentRuntime>) -> Agent {
        let (sink, batches) = EventSink::new(Arc::new(self.log.clone()));
        let (running, context) = (runtime.clone(), self.context.clone());
        let task = tokio::spawn(async move { running.start(context, sink).await });
        // What an earlier engine stored of this run is not taken here.
        let events = Vec::new();
        Agent { setup: self, runtime, batches, task, events }
    }
}

fn context(endpoint: &ScriptedEndpoint, folder: PathBuf, tools: ToolAccess) -> RuntimeContext {
    RuntimeContext {
        run: RunId::fresh(),
        story_id: StoryId::fresh(),
        agent_name: "coder-1".into(),
        command: None,
        args: Vec::new(),
        env: BTreeMap::new(),
        prompt: "do it".into(),
        prompt_id: "prompt-1".into(),
        cwd: folder.clone(),
        inactivity_timeout_secs: 0,
        tools,
        session_id_to_resume: None,
        fresh_prompt: None,
        project_root: folder.clone(),
        model: Some("scripted-large".into()),
        permission_mode: PermissionMode::Ask,
        limits: RunLimits::default(),
        trust: None,
        transport: Transport::Pipe,
        append_system_prompt: None,
        project_words: None,
        endpoint: EndpointSettings {
            base_url: Some(endpoint.base_url()),
            dialect: Some(endpoint.dialect().name().into()),
            ..EndpointSettings::default()
        },
        secrets: BTreeMap::new(),
        run_dir: folder,
        attach: None,
    }
}

/// A run that goes on.
pub struct Agent {
    pub setup: Setup,
    pub runtime: Arc<dyn AgentRuntime>,
    pub batches: mpsc::Receiver<Batch>,
    task: JoinHandle<Result<RuntimeResult, RuntimeError>>,
    /// Everything taken so far.
    pub events: Vec<AgentEvent>,
}

impl Agent {
    fn store(&mut self, batch: Batch) {
        let mut stored = self.setup.log.stored.lock().unwrap();
        for sourced in batch.events {
            self.events.push(sourced.event.clone());
            let (run, seq) = (self.setup.context.run.clone(), stored.len() as u64 + 1);
            let at = chrono::Utc::now();
            stored.push(EventEnvelope { run, seq, at, event: sourced.event, spool: None });
        }
        if let Some(told) = batch.stored {
            // Who was cut off no longer listens.
            let _ = told.send(());
        }
    }

    /// Takes batches until an event fits, and gives it.
    pub async fn until(&mut self, fits: impl Fn(&AgentEvent) -> bool) -> AgentEvent {
        let mut from = 0;
        loop {
            if let Some(found) = self.events[from..].iter().find(|it| fits(it)) {
                return found.clone();
            }
            from = self.events.len();
            match timeout(SOON, self.batches.recv()).await {
                Ok(Some(batch)) => self.store(batch),
                Ok(None) => {
                    let result = (&mut self.task).await;
                    panic!("the run ended first: {result:?} {:#?}", self.events)
                }
                Err(_) => panic!("it never came: {:#?}", self.events),
            }
        }
    }

    /// Stores a person's leave, as the engine does when it hands it over.
    pub fn granted(&mut self, request: String) {
        let (decision, by) = (PermissionDecision::Allow, AnsweredBy::User);
        let event = AgentEvent::PermissionAnswer { request, decision, by, message: None };
        self.store(Batch { events: vec![event.into()], stored: None });
    }

    /// Takes batches until a tool is begun.
    pub async fn take_until_begun(&mut self) {
        let tools = self.setup.tools.clone();
        let begun = tools.until_begun(1);
        tokio::pin!(begun);
        loop {
            tokio::select! {
                biased;
                () = &mut begun => return,
                Some(batch) = self.batches.recv() => self.store(batch),
            }
        }
    }

    /// Takes batches until there are so many ends of turns.
    pub async fn until_turns_end(&mut self, count: usize) {
        while self.count(|it| matches!(it, AgentEvent::TurnEnded { .. })) < count {
            match timeout(SOON, self.batches.recv()).await {
                Ok(Some(batch)) => self.store(batch),
                other => panic!("it never came: {:?} {:#?}", other.is_err(), self.events),
            }
        }
    }

    pub async fn until_delta(&mut self) {
        self.until(|it| matches!(it, AgentEvent::Text { delta: true, .. })).await;
    }

    pub async fn until_request(&mut self) -> PermissionRequest {
        match self.until(|it| matches!(it, AgentEvent::PermissionRequest(_))).await {
            AgentEvent::PermissionRequest(request) => request,
            other => panic!("{other:?}"),
        }
    }

    pub fn count(&self, fits: impl Fn(&AgentEvent) -> bool) -> usize {
        self.events.iter().filter(|it| fits(it)).count()
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
        while self.count(|it| matches!(it, AgentEvent::TurnEnded { .. })) == 0 {
            match timeout(SOON, self.batches.recv()).await.expect("the turn ends") {
                Some(batch) => self.store(batch),
                None => return self.end().await,
            }
        }
        // It may have ended by itself meanwhile.
        let _ = self.runtime.steer(AgentInput::EndOfInput).await;
        self.end().await
    }

    /// Stops it, and waits for both.
    pub async fn stop(self) -> Over {
        let runtime = self.runtime.clone();
        let (stopped, over) = tokio::join!(runtime.stop(), self.end());
        stopped.unwrap();
        over
    }

    /// Waits for the end and takes the rest: nothing follows behind what `start` returned.
    pub async fn end(mut self) -> Over {
        let all = async {
            while let Some(batch) = self.batches.recv().await {
                self.store(batch);
            }
            (&mut self.task).await.unwrap().unwrap()
        };
        let result = timeout(SOON, all).await.expect("start returns");
        let Self { setup, runtime, events, .. } = self;
        assert_eq!(runtime.get_status(), result.outcome.status());
        Over { result, events, setup, runtime }
    }

    /// As if the engine were gone: nothing more of it happens.
    pub async fn crash(self) -> Setup {
        self.task.abort();
        assert!(self.task.await.is_err_and(|error| error.is_cancelled()));
        self.setup
    }
}

/// A run that is over.
pub struct Over {
    pub result: RuntimeResult,
    pub events: Vec<AgentEvent>,
    pub setup: Setup,
    pub runtime: Arc<dyn AgentRuntime>,
}

impl Over {
    pub fn count(&self, fits: impl Fn(&AgentEvent) -> bool) -> usize {
        self.events.iter().filter(|it| fits(it)).count()
    }

    pub fn said(&self, words: &str) -> bool {
        self.count(|it| is_text(it, words)) > 0
    }

    pub fn warned(&self, code: &str) -> usize {
        self.count(|it| matches!(it, AgentEvent::Warning { code: it, .. } if it == code))
    }

    pub fn results(&self) -> Vec<ToolResult> {
        results(&self.events)
    }

    /// The ids that the agent was said to have, in order.
    pub fn sent(&self) -> Vec<&str> {
        let sent = self.events.iter().filter_map(|it| match it {
            AgentEvent::MessageSent { id } => Some(id.as_str()),
            _ => None,
        });
        sent.collect()
    }

    pub fn stored(&self) -> Vec<EventEnvelope> {
        let given = AgentEvent::Message {
            id: "prompt-1".into(),
            text: "do it".into(),
            delivery: Delivery::Prompt,
        };
        let (run, at) = (self.setup.context.run.clone(), chrono::Utc::now());
        let prompt = EventEnvelope { run, seq: 0, at, event: given, spool: None };
        let stored = self.setup.log.stored.lock().unwrap();
        std::iter::once(prompt).chain(stored.iter().cloned()).collect()
    }
}

pub fn results(events: &[AgentEvent]) -> Vec<ToolResult> {
    let results = events.iter().filter_map(|it| match it {
        AgentEvent::ToolResult(result) => Some(result.clone()),
        _ => None,
    });
    results.collect()
}

/// A whole block of the agent's words that has these in it.
pub fn is_text(event: &AgentEvent, words: &str) -> bool {
    matches!(event, AgentEvent::Text { text, delta: false, .. } if text.contains(words))
}

pub fn stopped() -> RunOutcome {
    RunOutcome::Stopped { by: StoppedBy::User }
}
