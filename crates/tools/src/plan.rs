//! `update_plan`: the agent's list of steps, for the person who watches.

use async_trait::async_trait;
use musher_protocol::{PlanEntry, PlanState, ToolKind};
use musher_runtime::{Call, Effect, ToolOutcome, ToolSpec};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::{Demand, Planned, Tool, schema, tool::arguments};

pub const NAME: &str = "update_plan";
const MOST_STEPS: usize = 100;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Arguments {
    /// All steps, in order; they replace the ones before.
    steps: Vec<Step>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Step {
    /// What is done in this step, in a few words.
    text: String,
    state: State,
}

#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum State {
    Pending,
    InProgress,
    Done,
}

pub struct UpdatePlan;

#[async_trait]
impl Tool for UpdatePlan {
    fn spec(&self) -> ToolSpec {
        ToolSpec {
            name: NAME.to_owned(),
            description:
                "Shows your list of steps to the person. Call it when you begin with work \
                          of several steps, and again whenever one of them is begun or done."
                    .to_owned(),
            parameters: schema::of::<Arguments>(),
        }
    }

    fn only_reads(&self) -> bool {
        true
    }

    async fn plan(&self, input: &Value) -> Result<Planned, String> {
        let steps = steps(input)?;
        let done = steps.iter().filter(|step| step.state == PlanState::Done).count();
        Ok(Planned {
            kind: ToolKind::Plan,
            title: format!("{done} of {} steps done", steps.len()),
            // So that two of them keep their order.
            effect: Effect::Changes,
            demand: Demand::Nothing,
        })
    }

    async fn call(&self, call: &Call, _: Option<&Demand>, _: CancellationToken) -> ToolOutcome {
        match steps(&call.input) {
            Ok(steps) => {
                let text = format!("The plan of {} steps is shown.", steps.len());
                ToolOutcome { plan: Some(steps), ..ToolOutcome::text(text) }
            }
            Err(text) => ToolOutcome::error(text),
        }
    }
}

fn steps(input: &Value) -> Result<Vec<PlanEntry>, String> {
    let Arguments { steps } = arguments(input)?;
    if steps.len() > MOST_STEPS {
        return Err(format!("A plan has at most {MOST_STEPS} steps; put some of them together."));
    }
    let entry = |step: Step| PlanEntry {
        text: step.text,
        state: match step.state {
            State::Pending => PlanState::Pending,
            State::InProgress => PlanState::InProgress,
            State::Done => PlanState::Done,
        },
    };
    Ok(steps.into_iter().map(entry).collect())
}
