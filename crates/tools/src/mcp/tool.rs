//! One tool of a tool server, as the host sees it.

use std::{collections::BTreeSet, time::Duration};

use async_trait::async_trait;
use musher_protocol::ToolKind;
use musher_runtime::{Call, Effect, ToolOutcome, ToolSpec};
use serde_json::Value;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{
    client::{CallError, Listed, Session},
    server::State,
};
use crate::{Demand, Planned, Tool, show::visible, site::cut, tool::STOPPED};

/// What every provider takes as a name.
const LONGEST_NAME: usize = 64;
/// OpenAI refuses longer ones (its API reference, "Create chat completion", November 2026).
const LONGEST_DESCRIPTION: usize = 1000;
/// A tool with a larger schema would fill the model's room by itself.
const LARGEST_SCHEMA: usize = 16 << 10;
const LONGEST_TITLE: usize = 300;
/// How long the end of a server that was lost in a call may take to be known.
const LAST_WORDS: Duration = Duration::from_secs(3);

pub struct Served {
    spec: ToolSpec,
    /// Its name at the server.
    name: String,
    server: String,
    only_reads: bool,
    state: watch::Receiver<State>,
    limit: Duration,
}

/// A server as its tools know it.
pub struct Source<'a> {
    pub server: &'a str,
    pub state: &'a watch::Receiver<State>,
    pub limit: Duration,
}

impl Served {
    /// `None` when its schema is too large or no object's.
    pub fn new(source: &Source<'_>, listed: &Listed, taken: &mut BTreeSet<String>) -> Option<Self> {
        if listed.schema.to_string().len() > LARGEST_SCHEMA {
            return None;
        }
        let mut parameters = listed.schema.clone();
        let object = parameters.as_object_mut()?;
        // Some servers leave both out where there is nothing to give; providers refuse that.
        object.entry("type").or_insert_with(|| "object".into());
        object.entry("properties").or_insert_with(|| Value::Object(serde_json::Map::new()));
        object.remove("$schema");
        let name = format!("mcp__{}__{}", source.server, listed.name);
        let spec = ToolSpec {
            name: unique(&name, LONGEST_NAME, taken),
            description: listed.description.chars().take(LONGEST_DESCRIPTION).collect(),
            parameters,
        };
        Some(Self {
            spec,
            name: listed.name.clone(),
            server: source.server.to_owned(),
            only_reads: listed.only_reads,
            state: source.state.clone(),
            limit: source.limit,
        })
    }

    fn session(&self) -> Result<Session, String> {
        match &*self.state.borrow() {
            State::Ready(session, _) => Ok(session.clone()),
            State::Starting => Err(format!("The tool server {} is not ready yet.", self.shown())),
            State::Ended(why) => Err(self.gone("has ended", why)),
        }
    }

    fn gone(&self, how: &str, why: &str) -> String {
        let server = self.shown();
        format!("The tool server {server} {how}: {why}. Its tools are gone for this run.")
    }

    fn shown(&self) -> String {
        visible(&self.server)
    }

    /// The server went away while it was asked.
    async fn lost(&self) -> String {
        let mut state = self.state.clone();
        let ended = state.wait_for(|state| matches!(state, State::Ended(_)));
        let why = match tokio::time::timeout(LAST_WORDS, ended).await {
            Ok(Ok(state)) => match &*state {
                State::Ended(why) => why.clone(),
                _ => String::new(),
            },
            _ => "how is not known yet".to_owned(),
        };
        let how = "ended in this call, whose effects are not known";
        self.gone(how, &why)
    }

    async fn ask(&self, session: &Session, input: &Value) -> ToolOutcome {
        let asked = tokio::time::timeout(self.limit, session.call(&self.name, input));
        match asked.await {
            Ok(Ok((text, is_error))) => ToolOutcome { text, is_error, ..ToolOutcome::default() },
            Ok(Err(CallError::Failed(why))) => {
                ToolOutcome::error(format!("The tool server {} failed: {why}.", self.shown()))
            }
            Ok(Err(CallError::Over)) => ToolOutcome::error(self.lost().await),
            Err(_) => ToolOutcome::error(format!(
                "The tool server {} gave no answer within {} s; whether the call had an effect is \
                 not known.",
                self.shown(),
                self.limit.as_secs_f32()
            )),
        }
    }
}

#[async_trait]
impl Tool for Served {
    fn spec(&self) -> ToolSpec {
        self.spec.clone()
    }

    /// What a server says of its tools is a hint, so none is there where nothing may be changed.
    fn only_reads(&self) -> bool {
        false
    }

    async fn plan(&self, input: &Value) -> Result<Planned, String> {
        if !input.is_object() {
            return Err("The arguments are no object.".to_owned());
        }
        self.session()?;
        let title = format!("{}: {} {input}", self.server, self.name);
        Ok(Planned {
            kind: ToolKind::Other,
            title: cut(&visible(&title), LONGEST_TITLE),
            effect: if self.only_reads { Effect::Reads } else { Effect::Changes },
            demand: Demand::Tool(self.spec.name.clone()),
        })
    }

    async fn call(
        &self,
        call: &Call,
        _demand: Option<&Demand>,
        stop: CancellationToken,
    ) -> ToolOutcome {
        let session = match self.session() {
            Ok(session) => session,
            Err(text) => return ToolOutcome::error(text),
        };
        tokio::select! {
            biased;
            () = stop.cancelled() => ToolOutcome::error(format!(
                "{STOPPED} The tool server was told; whether the call had an effect is not known."
            )),
            outcome = self.ask(&session, &call.input) => outcome,
        }
    }
}

/// A name of letters, digits, `_` and `-`, not longer than `most`, that nobody else has.
pub fn unique(wanted: &str, most: usize, taken: &mut BTreeSet<String>) -> String {
    let plain = |char: char| if char.is_ascii_alphanumeric() || char == '-' { char } else { '_' };
    let plain: String = wanted.chars().map(plain).take(most).collect();
    let mut name = plain.clone();
    for number in 2_u32.. {
        if taken.insert(name.clone()) {
            break;
        }
        let end = format!("_{number}");
        name = format!("{}{end}", &plain[..plain.len().min(most - end.len())]);
    }
    name
}
