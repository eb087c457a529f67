//! What can be found out about an endpoint before anything is asked of an agent: whether it answers,
//! whether its key opens it, what it lists; and, only when that is wanted, whether a real answer
//! streams and calls a tool. Nothing here is kept, and nothing is tried twice.

mod ask;
mod list;
mod local;

use std::time::Duration;

use musher_protocol::{EndpointProbeParams, EndpointReport, KeyState, ListedModel};
use serde_json::json;

use super::{
    codec::{Answer, Ask, Block, Fault, FaultKind, Finish},
    conversation::Conversation,
    endpoint::{Endpoint, Patience},
    exchange::Exchange,
    kind::ModelKind,
    prices::Prices,
    wishes::Manner,
};
use crate::ToolSpec;
use ask::Found;
pub use local::{USUAL_PORTS, find_at};

/// A list of models is small and made in no time. A round trip may have to wait until a local server
/// has loaded its model.
const LIST_PATIENCE: Patience = Patience {
    connect: Duration::from_secs(5),
    first_byte: Duration::from_secs(15),
    between: Duration::from_secs(5),
    backoff: Duration::ZERO,
};
const TRIP_FIRST_BYTE: Duration = Duration::from_secs(120);

/// Of many models, so many are named.
const NAMED: usize = 4;

/// The one tool of the round trip.
const TOOL: &str = "report";

impl ModelKind {
    pub(super) async fn ask_about(&self, wanted: &EndpointProbeParams) -> EndpointReport {
        let endpoint = match self.probed(wanted).await {
            Ok(endpoint) => endpoint,
            Err(why) => return unasked(why, None, KeyState::NotNeeded),
        };
        let is_own = self.is_own(wanted.base_url.as_deref());
        if is_own && !endpoint.has_key {
            let why = format!("{} was not asked: there is no key for it.", self.label());
            return unasked(why, Some(self.key_hint()), KeyState::Missing);
        }
        // A broken file of prices is told by the run that needs it.
        let prices = self.prices().unwrap_or_else(|_| Prices::built_in());
        let place = if is_own { self.label().to_owned() } else { endpoint.to_string() };
        let found = ask::models(&endpoint, LIST_PATIENCE, &prices).await;
        let report = report(&place, &endpoint, found);
        match wanted.round_trip && report.reachable && report.key != KeyState::Refused {
            true => self.round_trip(wanted, endpoint, report).await,
            false => report,
        }
    }

    async fn round_trip(
        &self,
        wanted: &EndpointProbeParams,
        endpoint: Endpoint,
        report: EndpointReport,
    ) -> EndpointReport {
        let own = self.is_own(wanted.base_url.as_deref()).then(|| self.default_model().to_owned());
        let first = || report.models.first().map(|model| model.name.clone());
        let Some(model) = wanted.model.clone().or(own).or_else(first) else {
            let hint = Some("Name a model: it lists none.".to_owned());
            return EndpointReport { hint, ..report };
        };
        match speak(endpoint, &model).await {
            Ok((answer, pieces)) => judged(&model, &answer, pieces, report),
            Err(fault) => failed(&model, &fault, report),
        }
    }
}

/// The one model that is there: what a run is asked with that names none. `Err`: there is not one, in
/// words with the next step.
pub(super) async fn the_only_model(endpoint: &Endpoint) -> Result<String, String> {
    const NAME: &str = "Name the model that it has (`--model`).";
    match ask::models(endpoint, LIST_PATIENCE, &Prices::built_in()).await {
        Found::Models(models) => one_of(endpoint, &models),
        Found::Refused(fault) if fault.kind == FaultKind::Authentication => Err(format!(
            "{endpoint} does not say which models it has: {} Set its key with `musher keys set \
             {endpoint}`, or name the model (`--model`).",
            fault.message
        )),
        Found::Refused(_) => Err(format!("{endpoint} does not say which models it has. {NAME}")),
        Found::Else(why) => Err(format!("{why} {NAME}")),
        Found::Nothing(why) => Err(format!("{why} Start the model server, or mend the address.")),
    }
}

fn one_of(endpoint: &Endpoint, models: &[ListedModel]) -> Result<String, String> {
    let first: Vec<&str> = models.iter().take(NAMED).map(|model| model.name.as_str()).collect();
    match models.len() {
        0 => Err(format!("{endpoint} has no model. Load one there first, or name it (`--model`).")),
        1 => Ok(first[0].to_owned()),
        many => {
            let more = if many > NAMED { ", ..." } else { "" };
            Err(format!(
                "{endpoint} has {many} models, and none was named. Name one (`--model`): {}{more}.",
                first.join(", ")
            ))
        }
    }
}

/// A report of what could not be asked at all.
fn unasked(sentence: String, hint: Option<String>, key: KeyState) -> EndpointReport {
    EndpointReport {
        reachable: false,
        sentence,
        hint,
        key,
        models: Vec::new(),
        streaming: None,
        tool_calls: None,
    }
}

fn report(place: &str, endpoint: &Endpoint, found: Found) -> EndpointReport {
    let well = if endpoint.has_key { KeyState::Known } else { KeyState::NotNeeded };
    let bare = |reachable, sentence, hint: &str, key| EndpointReport {
        reachable,
        ..unasked(sentence, (!hint.is_empty()).then(|| hint.to_owned()), key)
    };
    match found {
        Found::Models(models) => {
            let sentence = listed(place, endpoint.has_key, models.len());
            let hint = if models.is_empty() { "Load one there first." } else { "" };
            EndpointReport { models, ..bare(true, sentence, hint, well) }
        }
        Found::Refused(fault) if fault.kind == FaultKind::Authentication => {
            match endpoint.has_key {
                true => {
                    let sentence = format!("{place} refuses the key: {}", fault.message);
                    bare(true, sentence, "Paste the key again.", KeyState::Refused)
                }
                false => {
                    let sentence = format!("{place} wants a key, and there is none for it.");
                    bare(true, sentence, "Save one for this address.", KeyState::Missing)
                }
            }
        }
        Found::Refused(Fault { kind: FaultKind::NotFound, .. }) => {
            let sentence = format!("{place} answers and lists no models.");
            let hint = "Most addresses end in /v1. If this one is right, name a model yourself.";
            bare(true, sentence, hint, well)
        }
        Found::Refused(fault) => {
            let sentence = format!("{place} answers with an error: {}", fault.message);
            bare(true, sentence, "Try again later.", well)
        }
        Found::Nothing(why) => {
            let hint = match endpoint.is_local() {
                true => "Start the model server, or mend the address.",
                false => "Look at the address and at your connection.",
            };
            bare(false, why, hint, well)
        }
        Found::Else(why) => {
            let hint = "Most addresses end in /v1, as in http://127.0.0.1:11434/v1.";
            bare(false, why, hint, well)
        }
    }
}

fn listed(place: &str, has_key: bool, many: usize) -> String {
    let key = if has_key { " and takes the key" } else { "" };
    match many {
        0 => format!("{place} answers{key}; it has no model."),
        1 => format!("{place} answers{key}; it lists 1 model."),
        many => format!("{place} answers{key}; it lists {many} models."),
    }
}

/// Asks for the least that shows both: words and a call.
async fn speak(endpoint: Endpoint, model: &str) -> Result<(Answer, usize), Fault> {
    let (codec, place) = (endpoint.dialect.codec(), &endpoint.to_string());
    let patience = Patience { first_byte: TRIP_FIRST_BYTE, ..Patience::default() };
    let exchange = Exchange::new(endpoint, patience).map_err(|error| Fault {
        kind: FaultKind::Refused,
        message: format!("No request can be made: {error}."),
    })?;
    let mut conversation = Conversation::default();
    conversation.say("Say hello in one word, then call the tool `report` with the word \"ready\".");
    let tools = [ToolSpec {
        name: TOOL.to_owned(),
        description: "Reports that you are ready. Call it once.".to_owned(),
        parameters: json!({
            "type": "object",
            "properties": {"word": {"type": "string"}},
            "required": ["word"],
            "additionalProperties": false,
        }),
    }];
    let instructions = "Answer in as few words as you can.";
    let manner = Manner::default();
    let ask =
        Ask { model, place, instructions, conversation: &conversation, tools: &tools, manner };
    let mut pieces = 0;
    let show = |more: Vec<_>, _| {
        pieces += more.len();
        std::future::ready(true)
    };
    let answered =
        exchange.stream(&codec.path(model), &codec.body(&ask), codec.reader(), show).await;
    answered.map(|answer| (answer, pieces)).map_err(|trouble| trouble.fault)
}

fn judged(model: &str, answer: &Answer, pieces: usize, report: EndpointReport) -> EndpointReport {
    let called = answer.blocks.iter().any(
        |block| matches!(block, Block::Call { name, input: Ok(_), .. } if name.as_str() == TOOL),
    );
    let broken = match &answer.finish {
        Finish::Failed(fault) => Some(fault.message.clone()),
        Finish::Refused(why) | Finish::Malformed(why) => Some(why.clone()),
        Finish::Cut => Some("the answer was cut off.".to_owned()),
        _ => None,
    };
    if let Some(why) = broken {
        let sentence = format!("{} A test of {model} failed: {why}", report.sentence);
        return EndpointReport { sentence, ..report };
    }
    let streams = called || pieces > 0;
    let what = match (streams, called) {
        (_, true) => "streams and calls tools",
        (true, false) => "streams, and did not call the tool that it was told to call",
        (false, false) => "said nothing",
    };
    let hint = "An agent without tools can change nothing: choose a model that calls them.";
    EndpointReport {
        sentence: format!("{} {model} {what}.", report.sentence),
        hint: if called { report.hint } else { Some(hint.to_owned()) },
        streaming: Some(streams),
        tool_calls: Some(called),
        ..report
    }
}

fn failed(model: &str, fault: &Fault, report: EndpointReport) -> EndpointReport {
    let sentence = format!("{} A test of {model} failed: {}", report.sentence, fault.message);
    let (key, hint) = match fault.kind {
        FaultKind::Authentication => (KeyState::Refused, "This key may not use that model."),
        FaultKind::NotFound => (report.key, "Choose another model, or the other dialect."),
        FaultKind::QuotaUsedUp { .. } => (report.key, "The account has nothing left to spend."),
        _ => (report.key, "Try again later."),
    };
    EndpointReport { sentence, key, hint: Some(hint.to_owned()), ..report }
}

fn priced_first(models: &mut [ListedModel]) {
    models.sort_by_key(|model| model.input_price.is_none());
}
