//! One tool of a tool server, as the host sees it.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use async_trait::async_trait;
use musher_protocol::ToolKind;
use musher_runtime::{Call, Effect, ToolOutcome, ToolSpec};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::{
    client::{CallError, Listed, Session},
    offer::Source,
    server::State,
};
use crate::{Demand, Planned, Tool, show::visible, site::cut, tool::STOPPED};

/// What every provider takes as a name.
pub const LONGEST_NAME: usize = 64;
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
    only_reads: bool,
    source: Arc<Source>,
}

impl Served {
    /// `None` when its schema is too large or no object's.
    pub fn new(source: &Arc<Source>, listed: &Listed, name: String) -> Option<Self> {
        if listed.schema.to_string().len() > LARGEST_SCHEMA {
            return None;
        }
        let mut parameters = listed.schema.clone();
        let object = parameters.as_object_mut()?;
        // Some servers leave both out where there is nothing to give; providers refuse that.
        object.entry("type").or_insert_with(|| "object".into());
        object.entry("properties").or_insert_with(|| Value::Object(serde_json::Map::new()));
        object.remove("$schema");
        let description = listed.description.chars().take(LONGEST_DESCRIPTION).collect();
        Some(Self {
            spec: ToolSpec { name, description, parameters },
            name: listed.name.clone(),
            only_reads: listed.only_reads,
            source: source.clone(),
        })
    }

    pub fn named(&self) -> &str {
        &self.spec.name
    }

    /// `Err`: it will not be there again.
    fn may_be_there(&self) -> Result<(), String> {
        match &*self.source.state.borrow() {
            State::Ended(why) => Err(self.gone("has ended", why)),
            _ => Ok(()),
        }
    }

    /// The server, started again when it had gone away; and what a person is told of that, once.
    async fn session(&self) -> (Result<Session, String>, Option<String>) {
        let mut state = self.source.state.clone();
        let away = match &*state.borrow_and_update() {
            State::Away(why) => Some(why.clone()),
            _ => None,
        };
        if away.is_some() {
            self.source.again.wake();
        }
        let settled = state.wait_for(|it| matches!(it, State::Ready(..) | State::Ended(_))).await;
        let session = match settled.as_deref() {
            Ok(State::Ready(session, _)) => Ok(session.clone()),
            Ok(State::Ended(why)) => Err(self.gone("has ended", why)),
            _ => Err(self.gone("has ended", "the run is over")),
        };
        drop(settled);
        let told = away.filter(|_| self.source.again.is_first()).map(|why| {
            let server = self.shown();
            let what = match session {
                Ok(_) => "and was started again",
                Err(_) => "and did not start again",
            };
            format!("The tool server `{server}` ended ({why}) {what}.")
        });
        (session, told)
    }

    fn gone(&self, how: &str, why: &str) -> String {
        let server = self.shown();
        format!("The tool server {server} {how}: {why}. Its tools are gone for this run.")
    }

    fn shown(&self) -> String {
        visible(&self.source.server)
    }

    /// The server went away while it was asked.
    async fn lost(&self) -> String {
        let mut state = self.source.state.clone();
        let away = state.wait_for(|state| matches!(state, State::Away(_) | State::Ended(_)));
        let how = "ended in this call, whose effects are not known";
        match tokio::time::timeout(LAST_WORDS, away).await.as_ref().map(|it| it.as_deref()) {
            Ok(Ok(State::Away(why))) => format!(
                "The tool server {} {how}: {why}. It is started again, once, when one of its tools \
                 is called.",
                self.shown()
            ),
            Ok(Ok(State::Ended(why))) => self.gone(how, why),
            _ => self.gone(how, "how is not known yet"),
        }
    }

    async fn answer(&self, input: &Value) -> ToolOutcome {
        let (session, told) = self.session().await;
        let outcome = match session {
            Ok(session) => self.ask(&session, input).await,
            Err(text) => ToolOutcome::error(text),
        };
        ToolOutcome { warnings: told.into_iter().collect(), ..outcome }
    }

    async fn ask(&self, session: &Session, input: &Value) -> ToolOutcome {
        let asked = tokio::time::timeout(
            self.source.limit,
            session.call(&self.name, input, &self.source.secrets),
        );
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
                self.source.limit.as_secs_f32()
            )),
        }
    }
}

#[async_trait]
impl Tool for Served {
    fn spec(&self) -> ToolSpec {
        self.spec.clone()
    }

    /// What a server says of its own tools is a hint that nobody can prove, so none is there where
    /// nothing may be changed.
    fn only_reads(&self) -> bool {
        false
    }

    async fn plan(&self, input: &Value) -> Result<Planned, String> {
        if !input.is_object() {
            return Err("The arguments are no object.".to_owned());
        }
        self.may_be_there()?;
        let title = format!("{}: {} {input}", self.source.server, self.name);
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
        tokio::select! {
            biased;
            () = stop.cancelled() => ToolOutcome::error(format!(
                "{STOPPED} The tool server was told; whether the call had an effect is not known."
            )),
            outcome = self.answer(&call.input) => outcome,
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
