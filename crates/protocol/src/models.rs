//! Keys of model providers, and what can be found out about where a model is reached.

use std::collections::BTreeMap;

use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use ts_rs::TS;

/// It cannot be written, neither as JSON nor as `Debug`: a key goes in and never comes out.
#[derive(Clone, Debug, Deserialize, TS)]
#[ts(export_to = "contract.ts")]
pub struct KeySetParams {
    /// `openai`, `gemini`, or the address of an endpoint.
    pub place: String,
    #[ts(type = "string")]
    pub key: SecretString,
    /// The person's consent to a file that only they can read, where no keychain answers.
    #[serde(default)]
    #[ts(as = "Option<bool>", optional)]
    pub file: bool,
}

#[derive(Clone, Debug, Serialize, Deserialize, TS)]
#[ts(export_to = "contract.ts")]
pub struct KeyPlaceParams {
    pub place: String,
}

/// That there is a key, never the key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export_to = "contract.ts")]
pub struct KeptKey {
    pub place: String,
    pub kept: KeptIn,
}

/// Where a key was put.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
#[ts(export_to = "contract.ts")]
pub enum KeptIn {
    Keychain,
    /// `keys.json` in the data directory, which only its user can read.
    File,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export_to = "contract.ts")]
pub struct KeyRemoved {
    /// There was one.
    pub was: bool,
}

/// What is asked about the place where a runtime's models are.
#[derive(Clone, Debug, Default, Serialize, Deserialize, TS)]
#[ts(export_to = "contract.ts")]
pub struct EndpointProbeParams {
    pub runtime: String,
    /// Its provider's when absent.
    #[serde(default)]
    #[ts(optional)]
    pub base_url: Option<String>,
    #[serde(default)]
    #[ts(optional)]
    pub dialect: Option<String>,
    /// Whom the round trip asks; the runtime's default, or the first that is listed, when absent.
    #[serde(default)]
    #[ts(optional)]
    pub model: Option<String>,
    /// Also sends a tiny request with one tool. It costs what such a request costs.
    #[serde(default)]
    #[ts(as = "Option<bool>", optional)]
    pub round_trip: bool,
    /// As a run has them: sent with each request, and kept nowhere.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[ts(as = "Option<BTreeMap<String, String>>", optional)]
    pub headers: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub organization: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub account_project: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export_to = "contract.ts")]
pub struct EndpointReport {
    /// A model server was asked and answered, be it with a refusal.
    pub reachable: bool,
    /// What was found, one sentence.
    pub sentence: String,
    /// The next step when it is not well.
    pub hint: Option<String>,
    pub key: KeyState,
    /// Those with a known price first, otherwise as they were listed.
    pub models: Vec<ListedModel>,
    /// Of a round trip: its answer came piece by piece. `None`: nobody asked, or nothing came.
    pub streaming: Option<bool>,
    /// Of a round trip: the model called the tool that it was told to call.
    pub tool_calls: Option<bool>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
#[ts(export_to = "contract.ts")]
pub enum KeyState {
    /// It was sent, and nothing was said against it.
    Known,
    /// There is none, and one is needed.
    Missing,
    /// There is one, and it does not open this endpoint.
    Refused,
    /// There is none, and it was not asked for.
    NotNeeded,
}

/// A model as its endpoint lists it. What is not known is absent, never zero.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export_to = "contract.ts")]
pub struct ListedModel {
    pub name: String,
    /// Tokens it can hold.
    #[ts(type = "number | null")]
    pub context: Option<u64>,
    /// Micro-dollars for a million tokens.
    #[ts(type = "number | null")]
    pub input_price: Option<u64>,
    #[ts(type = "number | null")]
    pub output_price: Option<u64>,
}

/// A model server of this machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export_to = "contract.ts")]
pub struct LocalEndpoint {
    /// What usually listens there: `Ollama`.
    pub name: String,
    /// The runtime that speaks to it.
    pub runtime: String,
    pub base_url: String,
    pub models: Vec<ListedModel>,
}
