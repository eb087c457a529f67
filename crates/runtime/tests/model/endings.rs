//! All scripted endings of a turn: the outcome, the number of requests, the waits between them, what is
//! shown, and that no rule of the dialect was broken.

use std::{sync::Arc, time::Duration};

use musher_protocol::{AgentEvent, RunOutcome};
use musher_runtime::model::Patience;
use musher_testkit::dialects::{Dialect, Ending, Offer, Outcome, ScriptedEndpoint, Seen, endings};
use tokio::{sync::Semaphore, task::JoinSet};

use super::harness::*;

each_dialect! { every_ending_is_as_expected }

/// At once; most of them wait most of the time.
const SIDE_BY_SIDE: usize = 12;

/// Servers that fall silent are given up after this.
const IMPATIENT: Patience =
    Patience { first_byte: Duration::from_secs(2), between: Duration::from_secs(2), ..PATIENCE };

async fn every_ending_is_as_expected(dialect: Dialect) {
    let gate = Arc::new(Semaphore::new(SIDE_BY_SIDE));
    let mut plays = JoinSet::new();
    for ending in endings().into_iter().filter(|it| it.dialect == dialect) {
        let gate = gate.clone();
        plays.spawn(async move {
            let _turn = gate.acquire().await.unwrap();
            let differs = play(&ending).await;
            (!differs.is_empty()).then(|| format!("{}: {}", ending.name, differs.join("; ")))
        });
    }
    assert!(plays.len() >= 40, "{} endings", plays.len());
    let differs: Vec<String> = plays.join_all().await.into_iter().flatten().collect();
    assert!(differs.is_empty(), "{} endings differ:\n{}", differs.len(), differs.join("\n"));
}

/// What is not as it should be.
async fn play(ending: &Ending) -> Vec<String> {
    let endpoint = Offer::new(ending.dialect).start(ending.script()).unwrap();
    let over = Setup::new(&endpoint).patience(IMPATIENT).start().finish().await;
    let (expect, outcome) = (&ending.expect, &over.result.outcome);
    let mut differs: Vec<String> = Vec::new();
    if !fits(expect.outcome, outcome) {
        differs.push(format!("it ended {outcome:?} and not {:?}", expect.outcome));
    }
    let requests = endpoint.turns().len();
    if !expect.requests.contains(&requests) {
        differs.push(format!("{requests} requests and not {:?}", expect.requests));
    }
    differs.extend(endpoint.violations().iter().map(ToString::to_string));
    differs.extend(waits(ending, &endpoint));
    differs.extend(missing(&expect.events, &shown(&over.events)));
    differs
}

fn fits(expected: Outcome, outcome: &RunOutcome) -> bool {
    match (expected, outcome) {
        (Outcome::Completed | Outcome::CompletedOrFailed, RunOutcome::Completed)
        | (Outcome::CompletedOrFailed, RunOutcome::Failed { .. })
        | (Outcome::AuthenticationRequired, RunOutcome::AuthenticationRequired { .. }) => true,
        (Outcome::Failed { says }, RunOutcome::Failed { last_lines, .. }) => {
            last_lines.join(" ").to_lowercase().contains(&says.to_lowercase())
        }
        (Outcome::RateLimited { resets_in: None }, RunOutcome::RateLimited { .. }) => true,
        (
            Outcome::RateLimited { resets_in: Some(seconds) },
            RunOutcome::RateLimited { resets_at: Some(at), .. },
        ) => ((*at - chrono::Utc::now()).num_seconds() - seconds as i64).abs() < 60,
        _ => false,
    }
}

fn waits(ending: &Ending, endpoint: &ScriptedEndpoint) -> Vec<String> {
    let waits = endpoint.waits();
    let differs = ending.expect.waits.iter().filter_map(|wait| {
        let waited = waits.get(wait.before - 2);
        let fits = waited.is_some_and(|it| (wait.at_least..=wait.at_most).contains(it));
        (!fits).then(|| format!("it waited {waited:?} and not {wait:?}"))
    });
    differs.collect()
}

/// What a person sees, one line for each whole thing.
fn shown(events: &[AgentEvent]) -> String {
    let mut shown = String::new();
    for event in events {
        match event {
            AgentEvent::Text { text, delta: true, .. } => shown.push_str(text),
            AgentEvent::Text { text, .. } => shown.push_str(&format!("\ntext {text}\n")),
            AgentEvent::Thinking { text, delta: false, .. } => {
                shown.push_str(&format!("\nthought {text}\n"));
            }
            AgentEvent::ToolCall(call) => shown.push_str(&format!("\ncall {}\n", call.name)),
            AgentEvent::ToolResult(result) if result.is_error => shown.push_str("\nerror\n"),
            _ => {}
        }
    }
    shown
}

fn missing(expected: &[Seen], shown: &str) -> Option<String> {
    let mut rest = shown;
    for seen in expected {
        let line = match seen {
            Seen::Text(text) => format!("\ntext {text}\n"),
            Seen::Begun(text) => (*text).to_owned(),
            Seen::Thinking(text) => format!("\nthought {text}\n"),
            Seen::Call(name) => format!("\ncall {name}\n"),
            Seen::CallFailed => "\nerror\n".to_owned(),
        };
        match rest.find(&line) {
            Some(at) => rest = &rest[at + line.len()..],
            None => return Some(format!("{seen:?} is not in {shown:?}")),
        }
    }
    None
}
