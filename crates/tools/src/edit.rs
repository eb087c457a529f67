//! `edit_file`: replaces a text that is there exactly, or writes a whole file.

use std::sync::Arc;

use async_trait::async_trait;
use musher_protocol::ToolKind;
use musher_runtime::{Call, Effect, ToolOutcome, ToolSpec};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::{
    Demand, Planned, Tool,
    change::{self, Change},
    paths::Target,
    rules::Access,
    schema,
    show::visible,
    site::{LARGEST, Site, is_binary},
    tool::{arguments, blocking},
};

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Arguments {
    /// The file, from the worktree's folder on.
    path: String,
    /// The text to replace, exactly as it is in the file (without line numbers); it must be there
    /// exactly once. Null: `new` is the whole file.
    old: Option<String>,
    /// What comes in its place.
    new: String,
    /// Replace every occurrence of `old`. By default false.
    replace_all: Option<bool>,
}

pub struct EditFile(pub Arc<Site>);

#[async_trait]
impl Tool for EditFile {
    fn spec(&self) -> ToolSpec {
        ToolSpec {
            name: "edit_file".to_owned(),
            description: "Changes a file of the worktree: replaces `old`, which must be there \
                          exactly once, by `new`; or, with `old` null, writes the whole file (a new \
                          one, with its folders, or one that you have read whole). The file's line \
                          ends and byte order mark are kept."
                .to_owned(),
            parameters: schema::of::<Arguments>(),
        }
    }

    fn only_reads(&self) -> bool {
        false
    }

    async fn plan(&self, input: &Value) -> Result<Planned, String> {
        let wanted: Arguments = arguments(input)?;
        let demand = Demand::Path(Access::Edit, self.0.spot(&wanted.path)?);
        let title = visible(&wanted.path);
        Ok(Planned { kind: ToolKind::Edit, title, effect: Effect::Changes, demand })
    }

    async fn call(
        &self,
        call: &Call,
        demand: Option<&Demand>,
        _stop: CancellationToken,
    ) -> ToolOutcome {
        let (site, demand, input) = (self.0.clone(), demand.cloned(), call.input.clone());
        blocking(move || edit(&site, demand.as_ref(), &arguments(&input)?)).await
    }
}

fn edit(site: &Site, demand: Option<&Demand>, wanted: &Arguments) -> Result<ToolOutcome, String> {
    let words = |error: crate::paths::PathError| error.to_string();
    let path = site.root.relative(&wanted.path).map_err(words)?;
    // Judged as it leads now, before a folder is made for it.
    site.admit(Access::Edit, demand, &site.root.place(&path).map_err(words)?)?;
    let target = site.root.target(&path, LARGEST, wanted.old.is_none()).map_err(words)?;
    site.admit(Access::Edit, demand, &target.place)?;
    let change = changed(site, &target, wanted)?;
    site.root.write(&target, &change.bytes).map_err(words)?;
    remember(site, &target, wanted, &change);
    let old = target.old.as_ref().map(|old| old.bytes.as_slice());
    let diff = change::diff(target.place.as_str(), old, &change.bytes);
    let text = match (&wanted.old, old) {
        (Some(_), _) => format!("Replaced in {} place(s).", change.places),
        (None, Some(_)) => "Written.".to_owned(),
        (None, None) => "Created.".to_owned(),
    };
    Ok(ToolOutcome { edit: Some(diff), ..ToolOutcome::text(text) })
}

fn changed(site: &Site, target: &Target, wanted: &Arguments) -> Result<Change, String> {
    let shown = visible(&wanted.path);
    let old = target.old.as_ref().map(|old| old.bytes.as_slice());
    if old.is_some_and(is_binary) {
        return Err(format!("{shown} is binary; it cannot be edited as text."));
    }
    match (&wanted.old, old) {
        (None, None) => Ok(Change::whole(b"", &wanted.new)),
        (None, Some(bytes)) if site.has_seen(&target.place, bytes) => {
            Ok(Change::whole(bytes, &wanted.new))
        }
        (None, Some(_)) => Err(format!(
            "{shown} is there already, and you have not read all of it as it is now; read it first, \
             or replace a part of it."
        )),
        (Some(text), Some(bytes)) => {
            Change::replace(bytes, text, &wanted.new, wanted.replace_all.unwrap_or(false))
                .map_err(|why| format!("Nothing was changed in {shown}: {why}"))
        }
        (Some(_), None) => Err(format!("There is no {shown}; to make it, leave `old` null.")),
    }
}

/// What the agent has written, or changed in what it knew, it has seen.
fn remember(site: &Site, target: &Target, wanted: &Arguments, change: &Change) {
    let knew = target.old.as_ref().is_some_and(|old| site.has_seen(&target.place, &old.bytes));
    if wanted.old.is_none() || knew {
        site.saw(&target.place, &change.bytes);
    }
}
