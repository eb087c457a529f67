#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
use async_trait::async_trait;
use musher_protocol::*;
use musher_runtime::{
    model::{Patience, *},
    *,
};
use musher_testkit::dialects::{self, Dialect, Ending, Offer, Outcome, Script, Seen, endings};
use secrecy::SecretString;
use serde_json::json;
use std::{collections::BTreeMap, sync::Arc, time::Duration};

struct NoLog;
impl EventLog for NoLog {
    fn subscribe(&self, _from_seq: u64) -> EventStream {
        Box::pin(futures::stream::empty())
    }
}
struct NoKeys;
#[async_trait]
impl musher_runtime::model::Keys for NoKeys {
    async fn key(&self, _p: &str) -> Option<SecretString> {
        Some(SecretString::from("sk-test-123".to_owned()))
    }
}
struct Host;
#[async_trait]
impl ToolHost for Host {
    fn specs(&self, _m: PermissionMode) -> Vec<ToolSpec> {
        ["read_file", "edit_file", "run_command"].map(|n| ToolSpec { name: n.into(), description: "d".into(), parameters: json!({"type":"object","properties":{"path":{"type":"string"}},"required":["path"],"additionalProperties":false}) }).to_vec()
    }
    async fn intent(&self, call: &Call, _m: PermissionMode) -> Result<Intent, String> {
        if call.name != "read_file" {
            return Err("There is no such tool.".into());
        }
        if !call.input["path"].is_string() {
            return Err("path is missing".into());
        }
        Ok(Intent {
            kind: ToolKind::Read,
            title: "README.md".into(),
            effect: Effect::Reads,
            verdict: Verdict::Allow { reason: "reads".into() },
        })
    }
    async fn call(&self, _c: &Call, _s: tokio_util::sync::CancellationToken) -> ToolOutcome {
        ToolOutcome::text("notes")
    }
    async fn end_left_over(&self) -> Vec<u32> {
        vec![]
    }
}

async fn play(ending: &Ending) -> Vec<String> {
    let endpoint = Offer::new(ending.dialect).start(ending.script()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let prices = folder.path().join("prices.toml");
    let kind = match ending.dialect {
        Dialect::Gemini => ModelKind::gemini(Arc::new(NoKeys), prices),
        _ => ModelKind::openai(Arc::new(NoKeys), prices),
    };
    let kind = kind.with_patience(Patience {
        connect: Duration::from_secs(5),
        first_byte: Duration::from_secs(2),
        between: Duration::from_secs(2),
        backoff: Duration::from_millis(20),
    });
    let runtime = kind.new_run();
    let cwd = folder.path().to_owned();
    let context = RuntimeContext {
        run: RunId::fresh(),
        story_id: StoryId::fresh(),
        agent_name: "c".into(),
        command: None,
        args: vec![],
        env: BTreeMap::new(),
        prompt: "do it".into(),
        prompt_id: "p".into(),
        cwd: cwd.clone(),
        inactivity_timeout_secs: 0,
        tools: ToolAccess { host: Some(Arc::new(Host)), ..ToolAccess::default() },
        session_id_to_resume: None,
        fresh_prompt: None,
        project_root: cwd.clone(),
        model: Some("scripted-large".into()),
        permission_mode: PermissionMode::Ask,
        limits: RunLimits::default(),
        trust: None,
        transport: Transport::Pipe,
        append_system_prompt: None,
        endpoint: EndpointSettings {
            base_url: Some(endpoint.base_url()),
            dialect: Some(ending.dialect.name().into()),
            headers: BTreeMap::new(),
        },
        secrets: BTreeMap::new(),
        run_dir: cwd.clone(),
        attach: None,
    };
    let (sink, mut batches) = EventSink::new(Arc::new(NoLog));
    let running = runtime.clone();
    let task = tokio::spawn(async move { running.start(context, sink).await });
    let mut seen: Vec<AgentEvent> = vec![];
    let all = async {
        while let Some(batch) = batches.recv().await {
            if let Some(stored) = batch.stored {
                let _ = stored.send(());
            }
            for event in batch.events {
                let over = matches!(event.event, AgentEvent::TurnEnded { .. });
                seen.push(event.event);
                if over {
                    let _ = runtime.steer(AgentInput::EndOfInput).await;
                }
            }
        }
    };
    let mut wrong = vec![];
    if tokio::time::timeout(Duration::from_secs(40), all).await.is_err() {
        wrong.push("hangs".into());
        task.abort();
        return wrong;
    }
    let result = task.await.unwrap().unwrap();
    let shown = format!("{:?}", result.outcome);
    let fits = match (ending.expect.outcome, &result.outcome) {
        (Outcome::Completed, RunOutcome::Completed) => true,
        (Outcome::CompletedOrFailed, RunOutcome::Completed | RunOutcome::Failed { .. }) => true,
        (Outcome::Failed { says }, RunOutcome::Failed { last_lines, .. }) => {
            last_lines.join(" ").to_lowercase().contains(&says.to_lowercase())
        }
        (Outcome::RateLimited { resets_in }, RunOutcome::RateLimited { resets_at, .. }) => {
            resets_in.is_none_or(|s| {
                resets_at.is_some_and(|at| {
                    let d = (at - chrono::Utc::now()).num_seconds();
                    (s as i64 - d).abs() < 60
                })
            })
        }
        (Outcome::AuthenticationRequired, RunOutcome::AuthenticationRequired { .. }) => true,
        _ => false,
    };
    if !fits {
        wrong.push(format!("outcome {shown} wanted {:?}", ending.expect.outcome));
    }
    let n = endpoint.turns().len();
    if !ending.expect.requests.contains(&n) {
        wrong.push(format!("requests {n} wanted {:?}", ending.expect.requests));
    }
    for v in endpoint.violations() {
        wrong.push(v.to_string());
    }
    let waits = endpoint.waits();
    for w in &ending.expect.waits {
        match waits.get(w.before - 2) {
            Some(d) if *d >= w.at_least && *d <= w.at_most => {}
            other => wrong.push(format!("wait {other:?} wanted {w:?}")),
        }
    }
    let mut texts = String::new();
    for e in &seen {
        match e {
            AgentEvent::Text { text, delta: false, .. } => texts.push_str(&format!("T<{text}>")),
            AgentEvent::Text { text, delta: true, .. } => texts.push_str(text),
            AgentEvent::Thinking { text, delta: false, .. } => {
                texts.push_str(&format!("K<{text}>"))
            }
            AgentEvent::ToolCall(c) => texts.push_str(&format!("C<{}>", c.name)),
            AgentEvent::ToolResult(r) if r.is_error => texts.push_str("E<>"),
            _ => {}
        }
    }
    let mut rest = texts.as_str();
    for s in &ending.expect.events {
        let find = match s {
            Seen::Text(t) => format!("T<{t}>"),
            Seen::Begun(t) => (*t).to_owned(),
            Seen::Thinking(t) => format!("K<{t}>"),
            Seen::Call(n) => format!("C<{n}>"),
            Seen::CallFailed => "E<>".into(),
        };
        match rest.find(&find) {
            Some(at) => rest = &rest[at + find.len()..],
            None => wrong.push(format!("no {find} in {texts}")),
        }
    }
    wrong
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all() {
    let only = std::env::var("ONLY").unwrap_or_default();
    let all = endings().into_iter().filter(|e| e.name.contains(&only));
    let mut set = tokio::task::JoinSet::new();
    let gate = Arc::new(tokio::sync::Semaphore::new(8));
    let mut n = 0;
    for ending in all {
        n += 1;
        let gate = gate.clone();
        set.spawn(async move {
            let _p = gate.acquire().await.unwrap();
            let w = play(&ending).await;
            (ending, w)
        });
    }
    let mut bad = 0;
    while let Some(r) = set.join_next().await {
        let (e, w) = match r {
            Ok(x) => x,
            Err(e) => {
                println!("PANIC {e}");
                continue;
            }
        };
        if !w.is_empty() {
            bad += 1;
            println!(
                "## {:?} {}: {}",
                e.dialect,
                e.name,
                w.join(" | ").chars().take(700).collect::<String>()
            );
        }
    }
    println!("{n} endings, {bad} differ");
    let _ = Script::list([]);
    let _ = dialects::Dialect::ALL;
}
