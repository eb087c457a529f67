//! The protocol's side: the list of tools, and a call.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use musher_protocol::PermissionMode;
use musher_runtime::{Call, Effect, ToolHost, ToolOutcome, ToolSpec, Verdict};
use rmcp::{
    ErrorData, RoleServer, ServerHandler,
    model::{
        CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, Implementation,
        ListToolsResult, MetaObject, PaginatedRequestParams, ServerCapabilities, ServerConfig,
        Tool, ToolAnnotations,
    },
    service::RequestContext,
};
use serde_json::Value;
use tokio::sync::Semaphore;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{NAME, terms::Terms};
use crate::{Host, tool::STOPPED};

/// Calls that only read and run side by side. One that changes anything takes all their places.
const READERS: u32 = 8;
/// Claude Code's own number of the call (seen in 2.1.330): a command's files are named after it, so that
/// a person finds them from the transcript.
const CALL_ID: &str = "claudecode/toolUseId";
/// Where the answer to an edit tells what changed, as `EditDiff`. It is not for the model.
const EDIT: &str = "musher/edit";

pub struct Server {
    run_dir: PathBuf,
    host: Arc<Host>,
    turns: Arc<Semaphore>,
    learn: Learn,
    ending: CancellationToken,
    calls: TaskTracker,
}

/// Looks again for what the agent must not be told.
type Learn = Arc<dyn Fn() + Send + Sync>;

/// What one call needs, apart from the connection: it ends in its own way when that is lost.
#[derive(Clone)]
struct Desk {
    run_dir: PathBuf,
    host: Arc<Host>,
    turns: Arc<Semaphore>,
    learn: Learn,
}

impl Server {
    pub fn new(run_dir: &Path, host: Host, learn: Learn, ending: CancellationToken) -> Self {
        Self {
            run_dir: run_dir.to_owned(),
            host: Arc::new(host),
            turns: Arc::new(Semaphore::new(READERS as usize)),
            learn,
            ending,
            calls: TaskTracker::new(),
        }
    }

    /// Waits for the calls that were stopped: each ends what it started within its grace.
    pub async fn finish(&self) {
        self.calls.close();
        self.calls.wait().await;
    }

    fn desk(&self) -> Desk {
        let (run_dir, host) = (self.run_dir.clone(), Arc::clone(&self.host));
        let (turns, learn) = (Arc::clone(&self.turns), Arc::clone(&self.learn));
        Desk { run_dir, host, turns, learn }
    }

    /// All of them in every mode: an agent reads the list once, and its mode can change.
    fn specs(&self) -> Vec<ToolSpec> {
        self.host.specs(PermissionMode::Ask)
    }

    fn listed(&self) -> Vec<Tool> {
        let readers = self.host.specs(PermissionMode::Plan);
        let tool = |spec: ToolSpec| {
            let reads = readers.contains(&spec);
            let schema = match spec.parameters {
                Value::Object(schema) => schema,
                _ => serde_json::Map::new(),
            };
            let notes = ToolAnnotations::new().read_only(reads).open_world(false);
            Tool::new(spec.name, spec.description, schema).with_annotations(notes)
        };
        self.specs().into_iter().map(tool).collect()
    }
}

impl ServerHandler for Server {
    fn get_info(&self) -> ServerConfig {
        let tools = ServerCapabilities::builder().enable_tools().build();
        ServerConfig::new(tools)
            .with_server_info(Implementation::new(NAME, env!("CARGO_PKG_VERSION")))
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        Ok(ListToolsResult::with_all_items(self.listed()))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let specs = self.specs();
        if !specs.iter().any(|spec| spec.name == request.name) {
            let names: Vec<&str> = specs.iter().map(|spec| spec.name.as_str()).collect();
            let text = format!("There is no tool of this name; there are {}.", names.join(", "));
            return Err(ErrorData::invalid_params(text, None));
        }
        let given = context.meta.get(CALL_ID).and_then(Value::as_str);
        let call = Call {
            id: given.map_or_else(|| format!("mcp-{}", context.id), str::to_owned),
            name: request.name.into_owned(),
            input: Value::Object(request.arguments.unwrap_or_default()),
        };
        let stop = self.ending.child_token();
        let (desk, stopped) = (self.desk(), stop.clone());
        let mut doing = self.calls.spawn(async move { desk.attend(&call, stopped).await });
        let done = tokio::select! {
            biased;
            done = &mut doing => done,
            () = context.ct.cancelled() => {
                stop.cancel();
                doing.await
            }
        };
        let outcome = done.unwrap_or_else(|error| {
            ToolOutcome::error(format!("The tool failed within Musher: {error}."))
        });
        Ok(answer(outcome).into())
    }
}

impl Desk {
    async fn attend(&self, call: &Call, stop: CancellationToken) -> ToolOutcome {
        let effect = match self.judge(call).await {
            Ok(effect) => effect,
            Err(text) => return ToolOutcome::error(text),
        };
        let places = if effect == Effect::Reads { 1 } else { READERS };
        let turn = tokio::select! {
            biased;
            () = stop.cancelled() => return ToolOutcome::error(STOPPED),
            turn = self.turns.acquire_many(places) => turn,
        };
        // Much can have changed while it waited, the mode too.
        let judged = self.judge(call).await;
        match (turn, judged) {
            (Ok(_turn), Ok(_)) => {
                (self.learn)();
                self.host.call(call, stop).await
            }
            (_, Err(text)) => ToolOutcome::error(text),
            (Err(_), _) => ToolOutcome::error(STOPPED),
        }
    }

    /// What the call does, if it may; else words for the model.
    async fn judge(&self, call: &Call) -> Result<Effect, String> {
        let intent = self.host.intent(call, self.mode()).await?;
        match intent.verdict {
            Verdict::Allow { .. } => Ok(intent.effect),
            Verdict::Deny { reason } => Err(format!("Not allowed: {reason}.")),
            Verdict::Ask { reason } => {
                Err(format!("Not allowed: {reason}. Write it in a simpler way."))
            }
        }
    }

    /// The agent has asked for leave already, so but for `plan` only what is denied counts.
    fn mode(&self) -> PermissionMode {
        match Terms::load(&self.run_dir).map(|terms| terms.mode) {
            Ok(PermissionMode::Plan) | Err(_) => PermissionMode::Plan,
            Ok(_) => PermissionMode::Bypass,
        }
    }
}

fn answer(outcome: ToolOutcome) -> CallToolResult {
    let text = vec![ContentBlock::text(outcome.text)];
    let mut result =
        if outcome.is_error { CallToolResult::error(text) } else { CallToolResult::success(text) };
    if let Some(Ok(edit)) = outcome.edit.map(serde_json::to_value) {
        result.meta = Some(MetaObject([(EDIT.to_owned(), edit)].into_iter().collect()));
    }
    result
}
