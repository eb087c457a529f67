//! A kill at every point of an agent's work. The transcript holds what was stored until then; the next
//! run goes on with it against a server that holds it to the rules.

use std::sync::Arc;

use musher_protocol::*;
use musher_testkit::dialects::{Dialect, ScriptedEndpoint, agentic};
use serde_json::json;
use tokio::{sync::Semaphore, task::JoinSet};

use super::harness::*;

each_dialect! { no_call_runs_twice_and_every_request_is_valid }

const SIDE_BY_SIDE: usize = 8;

async fn no_call_runs_twice_and_every_request_is_valid(dialect: Dialect) {
    let path = || json!({"path": "a"});
    let steps = [
        vec![("read_file", path()), ("read_file", path())],
        vec![("change", path())],
        vec![("change", path()), ("forbidden", path()), ("read_file", path())],
    ];
    let endpoint = ScriptedEndpoint::start(dialect, agentic(steps, "All of it is done.")).unwrap();
    let over = Setup::new(&endpoint).start().finish().await;
    assert_eq!(over.result.outcome, RunOutcome::Completed);
    let stored = over.stored();
    assert!(stored.len() > 40, "{} events", stored.len());

    let (endpoint, gate) = (Arc::new(endpoint), Arc::new(Semaphore::new(SIDE_BY_SIDE)));
    let mut plays = JoinSet::new();
    for cut in 0..=stored.len() {
        for ended_first in [false, true] {
            let (stored, endpoint, gate) = (stored[..cut].to_vec(), endpoint.clone(), gate.clone());
            plays.spawn(async move {
                let _turn = gate.acquire().await.unwrap();
                resume(&endpoint, stored, ended_first).await.map_err(|why| format!("{cut}: {why}"))
            });
        }
    }
    let wrong: Vec<String> = plays.join_all().await.into_iter().filter_map(Result::err).collect();
    assert!(wrong.is_empty(), "cut behind so many events:\n{}", wrong.join("\n"));
    endpoint.check().unwrap();
}

/// With `ended_first` the next engine gives the run its end before, as it does when it starts.
async fn resume(
    endpoint: &ScriptedEndpoint,
    mut stored: Vec<EventEnvelope>,
    ended_first: bool,
) -> Result<(), String> {
    if let Some(first) = stored.first().filter(|_| ended_first) {
        let run = first.run.clone();
        let setup = Setup::new(endpoint).attached_to(stored[1..].to_vec());
        let over = setup.with(|context| context.run = run).start().end().await;
        if over.result.outcome != (RunOutcome::Stopped { by: StoppedBy::Engine }) {
            return Err(format!("it was not ended: {:?}", over.result.outcome));
        }
        stored = [stored[..1].to_vec(), over.setup.log.stored.lock().unwrap().clone()].concat();
    }
    let known: Vec<String> = stored.iter().filter_map(called).collect();
    let over = Setup::new(endpoint).resuming(stored).start().finish().await;
    let begun = over.setup.tools.begun();
    if let Some(again) = known.iter().find(|id| begun.contains_key(*id)) {
        return Err(format!("{again} ran again"));
    }
    if let Some((twice, _)) = begun.iter().find(|(_, times)| **times != 1) {
        return Err(format!("{twice} ran more than once"));
    }
    match over.result.outcome {
        RunOutcome::Completed => Ok(()),
        other => Err(format!("{other:?}")),
    }
}

fn called(envelope: &EventEnvelope) -> Option<String> {
    match &envelope.event {
        AgentEvent::ToolCall(call) => Some(call.id.clone()),
        AgentEvent::ToolResult(result) => Some(result.id.clone()),
        _ => None,
    }
}
