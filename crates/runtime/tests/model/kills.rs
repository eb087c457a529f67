//! A kill at every point of an agent's work. The transcript holds what was stored until then; the next
//! run goes on with it against a server that holds it to the rules.

use std::sync::Arc;

use musher_protocol::*;
use musher_runtime::model::{
    begun::{INTERRUPTED, NEVER_BEGUN},
    conversation::{Entry, Fold},
};
use musher_testkit::dialects::{Dialect, ScriptedEndpoint, agentic};
use serde_json::json;
use tokio::{sync::Semaphore, task::JoinSet};

use super::{harness::*, stops::calls};

each_dialect! {
    no_call_runs_twice_and_every_request_is_valid,
    leave_is_stored_before_it_is_used,
}

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
    told_as_they_ended(&stored)?;
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

/// What the model is told of the calls that have no end.
fn told_as_they_ended(stored: &[EventEnvelope]) -> Result<(), String> {
    let mut fold = Fold::default();
    stored.iter().cloned().for_each(|envelope| fold.push(envelope));
    let had_leave = |id: &str| {
        stored.iter().any(|it| {
            matches!(&it.event, AgentEvent::ToolDecision(decided)
                if decided.tool_call == id && decided.verdict == ToolVerdict::Allowed)
        })
    };
    for entry in fold.finish().entries {
        let Entry::Result { call, text, .. } = entry else { continue };
        let unknown = text == INTERRUPTED;
        if (unknown || text == NEVER_BEGUN) && unknown != had_leave(&call) {
            return Err(format!("{call}, whose leave is {}: {text}", had_leave(&call)));
        }
    }
    Ok(())
}

/// The engine dies when it has stored nothing but the calls, then one step on, and so on.
async fn leave_is_stored_before_it_is_used(dialect: Dialect) {
    for (tool, told) in [
        ("change", [NEVER_BEGUN, INTERRUPTED].as_slice()),
        ("read_file", &[NEVER_BEGUN, INTERRUPTED]),
        ("ask", &[NEVER_BEGUN, NEVER_BEGUN, INTERRUPTED]),
    ] {
        for (stored, told) in told.iter().enumerate() {
            let endpoint = ScriptedEndpoint::start(dialect, [calls(tool)]).unwrap();
            let mut agent = Setup::new(&endpoint).start();
            agent.until(|it| matches!(it, AgentEvent::ToolCall(_))).await;
            let decided = |it: &AgentEvent| matches!(it, AgentEvent::ToolDecision(_));
            if stored > 0 {
                agent.until(decided).await;
            }
            if tool == "ask" && stored > 0 {
                let request = agent.until_request().await.request;
                agent.answer(&request, Answer::Allow).await;
                if stored > 1 {
                    agent.granted(request);
                }
            }
            let mut waits = None;
            if *told == NEVER_BEGUN {
                // It waits until this is stored, and is not begun before.
                waits = agent.batches.recv().await.unwrap().stored;
                assert!(waits.is_some(), "{tool} {stored}");
                assert_eq!(agent.setup.tools.begun().len(), 0, "{tool} {stored}");
            } else {
                agent.take_until_begun().await;
            }
            let setup = agent.crash().await;
            drop(waits);
            let stored = setup.log.stored.lock().unwrap().clone();
            let over = Setup::new(&endpoint).attached_to(stored).start().end().await;
            assert_eq!(over.results()[0].text, *told, "{tool}");
        }
    }
}

fn called(envelope: &EventEnvelope) -> Option<String> {
    match &envelope.event {
        AgentEvent::ToolCall(call) => Some(call.id.clone()),
        AgentEvent::ToolResult(result) => Some(result.id.clone()),
        _ => None,
    }
}
