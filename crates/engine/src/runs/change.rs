//! Another agent, model or place for a story that goes on: what of its settings goes along, and what
//! must not. What was given for one place never goes to another: headers, account, key. What only one
//! agent reads stays with it: its program, its arguments, rules in its own words.

use std::collections::BTreeMap;

use musher_protocol::*;
use musher_runtime::is_key_name;

use super::check::check_settings;
use crate::{
    Engine,
    actor::{Notice, secrets},
    core::conflict,
};

/// See [`RunResumeParams`].
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Change {
    pub runtime: Option<String>,
    pub model: Option<String>,
    pub endpoint: Option<EndpointSettings>,
}

type Given = BTreeMap<String, String>;

/// A runtime, and where its model is reached.
pub(crate) type Place = (String, Option<String>);

impl Change {
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// What a live agent can be told.
    pub fn model_alone(&self) -> Option<&String> {
        self.model.as_ref().filter(|_| self.runtime.is_none() && self.endpoint.is_none())
    }
}

impl Engine {
    /// Fills in what is in memory only, and makes the story's settings those of its next run. Refuses what
    /// a new story could not have either. Returns what a person must know of the change.
    pub(super) async fn fit(
        &self,
        story: &mut Story,
        env: Given,
        headers: Given,
        change: Change,
    ) -> Result<Option<Notice>, ApiError> {
        let (id, settings) = (&story.id, &mut story.settings);
        if change.is_none() {
            settings.env = self.core.env_of(id, env);
            settings.endpoint.headers = self.core.headers_of(id, headers);
            return Ok(None);
        }
        settings.env = self.core.env_of(id, Given::new());
        settings.endpoint.headers = self.core.headers_of(id, Given::new());
        let before = settings.clone();
        let left = self.apply(change, settings)?;
        settings.env.extend(env);
        let moves = self.place(&before) != self.place(settings);
        let again =
            if moves { self.core.headers_at(id, &self.place(settings)) } else { Given::new() };
        let is_known_again = !again.is_empty();
        let new = std::mem::replace(&mut settings.endpoint.headers, again);
        add_headers(&mut settings.endpoint.headers, new);
        add_headers(&mut settings.endpoint.headers, headers);
        check_settings(settings)?;
        self.check_runtime(settings).await?;
        if moves {
            self.core.keep_headers(id, self.place(&before), before.endpoint.headers.clone());
        }
        let chosen = self.choose_model(settings).await?;
        let Some(mut told) = self.notice(&before, settings, &left) else { return Ok(chosen) };
        if let Some(Notice { message, .. }) = chosen {
            told += &format!(" {message}");
        }
        if is_known_again {
            told += " The headers that were given for it go there again.";
        }
        if let Some(name) = self.environments_key(&before, settings).await {
            told += &format!(" The key of {name} in Musher's environment goes there.");
        }
        Ok(Some(Notice { code: "agent_changed", message: told }))
    }

    /// Whose model is reached where.
    fn place(&self, settings: &RunSettings) -> Place {
        let kind = self.core.registry.get(&settings.runtime);
        (settings.runtime.clone(), kind.and_then(|kind| kind.place(&settings.endpoint)))
    }

    /// Says what is left behind.
    fn apply(
        &self,
        change: Change,
        settings: &mut RunSettings,
    ) -> Result<Vec<&'static str>, ApiError> {
        let (before, was) = (settings.runtime.clone(), self.place(settings));
        let Change { runtime, model, endpoint } = change;
        // Whoever names the agent that the story has asks for no other place.
        let anew = runtime.as_ref().is_some_and(|it| *it != settings.runtime);
        let endpoint = endpoint.unwrap_or_default();
        let old = settings.endpoint.clone();
        if anew || endpoint.base_url.is_some() {
            settings.endpoint.base_url.clone_from(&endpoint.base_url);
        }
        settings.runtime = runtime.unwrap_or(settings.runtime.clone());
        if anew || model.is_some() {
            settings.model = model;
        }
        let mut left = Vec::new();
        if was != self.place(settings) {
            left.extend(leave_place(settings, &old, endpoint));
        } else {
            overlay(&mut settings.endpoint, endpoint);
        }
        if before != settings.runtime {
            left.extend(self.leave_agent(&before, settings)?);
        }
        Ok(left)
    }

    /// What the agent of before alone could read.
    fn leave_agent(
        &self,
        before: &str,
        settings: &mut RunSettings,
    ) -> Result<Vec<&'static str>, ApiError> {
        let mut left = Vec::new();
        if settings.command.take().is_some() {
            left.push("its program");
        }
        if !std::mem::take(&mut settings.args).is_empty() {
            left.push("its arguments");
        }
        if self.reads_our_rules(before) == self.reads_our_rules(&settings.runtime) {
            return Ok(left);
        }
        if !settings.disallowed_tools.is_empty() {
            let (before, after) = (self.label(before), self.label(&settings.runtime));
            let rules = settings.disallowed_tools.join("`, `");
            let message = format!(
                "This story denies `{rules}` in words of {before} that {after} would not keep."
            );
            return Err(conflict(message).with_hint(format!(
                "Go on with {before}, or begin a new story with {after} and a rule of its own."
            )));
        }
        if !std::mem::take(&mut settings.allowed_tools).is_empty() {
            left.push("what it was allowed unasked");
        }
        Ok(left)
    }

    fn reads_our_rules(&self, runtime: &str) -> bool {
        self.core.registry.get(runtime).is_some_and(|kind| kind.needs_tools())
    }

    /// The variable whose key goes to an address that is new: nothing nearer opens it.
    async fn environments_key(
        &self,
        before: &RunSettings,
        after: &RunSettings,
    ) -> Option<&'static str> {
        if self.place(before) == self.place(after) {
            return None;
        }
        let kind = self.core.registry.get(&after.runtime)?;
        kind.environments_key(&after.endpoint, &secrets(&after.env)).await
    }

    /// `None`: all is as it was.
    fn notice(&self, before: &RunSettings, after: &RunSettings, left: &[&str]) -> Option<String> {
        let (was, is) = (self.in_words(before), self.in_words(after));
        if was == is && left.is_empty() {
            return None;
        }
        let mut told = format!("From here on this goes on with {is}; before, it was {was}.");
        if before.runtime != after.runtime && !self.reads_our_rules(&after.runtime) {
            told += " It is told in short what was said and done.";
        }
        if !left.is_empty() {
            told += &format!(" Left behind: {}.", left.join(", "));
        }
        Some(told)
    }

    /// What a person calls the agent.
    fn label(&self, runtime: &str) -> String {
        let kind = self.core.registry.get(runtime);
        kind.map_or_else(|| runtime.to_owned(), |kind| kind.label().to_owned())
    }

    /// `OpenAI (gpt-5.4 at http://127.0.0.1:11434/v1 in openai-chat)`.
    fn in_words(&self, settings: &RunSettings) -> String {
        let EndpointSettings { base_url, dialect, .. } = &settings.endpoint;
        let mut words = settings.model.clone().unwrap_or_else(|| "its default model".into());
        let more = [(" at ", base_url), (" in ", dialect)];
        words.extend(
            more.into_iter().filter_map(|(word, what)| Some(format!("{word}{}", what.as_ref()?))),
        );
        format!("{} ({words})", self.label(&settings.runtime))
    }
}

/// Nothing that was given for the old place goes to the new one.
fn leave_place(
    settings: &mut RunSettings,
    old: &EndpointSettings,
    new: EndpointSettings,
) -> Vec<&'static str> {
    settings.endpoint = EndpointSettings { header_names: Vec::new(), ..new };
    let keys = settings.env_names.iter().chain(settings.env.keys()).any(|it| is_key_name(it));
    settings.env.retain(|name, _| !is_key_name(name));
    settings.env_names.retain(|name| !is_key_name(name));
    let wishes = old.effort.is_some() || old.max_answer_tokens.is_some();
    [
        ("its headers", !old.header_names.is_empty()),
        ("its account", old.organization.is_some() || old.account_project.is_some()),
        ("its key", keys),
        ("how long it thinks and answers", wishes),
    ]
    .into_iter()
    .filter_map(|(what, was)| was.then_some(what))
    .collect()
}

/// The same place, reached in another way.
fn overlay(old: &mut EndpointSettings, new: EndpointSettings) {
    let EndpointSettings { dialect, headers, organization, account_project, .. } = new;
    add_headers(&mut old.headers, headers);
    old.dialect = dialect.or(old.dialect.take());
    old.organization = organization.or(old.organization.take());
    old.account_project = account_project.or(old.account_project.take());
    old.effort = new.effort.or(old.effort);
    old.max_answer_tokens = new.max_answer_tokens.or(old.max_answer_tokens);
}

/// A header's name is the same in any case.
fn add_headers(all: &mut Given, more: Given) {
    all.retain(|name, _| !more.keys().any(|it| it.eq_ignore_ascii_case(name)));
    all.extend(more);
}
