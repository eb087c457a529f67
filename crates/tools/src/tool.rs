//! What a tool is to the host. The tools here are one kind; those of a tool server
//! ([`crate::mcp`]) are another.

use async_trait::async_trait;
use musher_protocol::ToolKind;
use musher_runtime::{Call, Effect, ToolOutcome, ToolSpec};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::rules::Demand;

/// One tool.
#[async_trait]
pub trait Tool: Send + Sync {
    fn spec(&self) -> ToolSpec;

    /// Whether it is offered where nothing may be changed.
    fn only_reads(&self) -> bool;

    /// What a call would do. Does nothing itself but look. `Err` is for the model.
    async fn plan(&self, input: &Value) -> Result<Planned, String>;

    /// Does it. `demand` is what was judged, when it was judged in this process.
    async fn call(
        &self,
        call: &Call,
        demand: Option<&Demand>,
        stop: CancellationToken,
    ) -> ToolOutcome;

    /// Ends what an earlier engine's calls have left; names what would not end.
    async fn end_left_over(&self) -> Vec<u32> {
        Vec::new()
    }
}

/// A call, looked at.
#[derive(Clone, Debug, PartialEq)]
pub struct Planned {
    pub kind: ToolKind,
    /// One line, as a person may see it (see [`crate::show`]).
    pub title: String,
    pub effect: Effect,
    /// What leave is needed for.
    pub demand: Demand,
}

/// The arguments of a call.
pub(crate) fn arguments<T: DeserializeOwned>(input: &Value) -> Result<T, String> {
    serde::Deserialize::deserialize(input)
        .map_err(|error| format!("The arguments do not fit the tool: {error}."))
}

/// Work on files, off the threads that wait. It ends by itself soon after `stop`.
pub(crate) async fn blocking(
    work: impl FnOnce() -> Result<ToolOutcome, String> + Send + 'static,
) -> ToolOutcome {
    match tokio::task::spawn_blocking(work).await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(text)) => ToolOutcome::error(text),
        Err(error) => ToolOutcome::error(format!("The tool failed within Musher: {error}.")),
    }
}

/// What a call that was stopped says.
pub(crate) const STOPPED: &str = "Stopped before it was done.";
