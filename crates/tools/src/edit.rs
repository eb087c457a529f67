//! `edit_file`: replaces a text that is there exactly, or writes a whole file.

use musher_protocol::ToolKind;
use musher_runtime::ToolOutcome;
use schemars::JsonSchema;
use serde::Deserialize;
use tokio_util::sync::CancellationToken;

use crate::{
    Demand,
    change::{self, Change},
    files::FileTool,
    paths::Target,
    rules::Access,
    show::visible,
    site::{LARGEST, Site, is_binary},
};

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Arguments {
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

pub struct EditFile;

impl FileTool for EditFile {
    type Arguments = Arguments;

    const NAME: &'static str = "edit_file";
    const DESCRIPTION: &'static str = "\
        Changes a file of the worktree: replaces `old`, which must be there exactly once, by \
        `new`; or, with `old` null, writes the whole file (a new one, with its folders, or one \
        that you have read whole). The file's line ends and byte order mark are kept.";
    const KIND: ToolKind = ToolKind::Edit;
    const ACCESS: Access = Access::Edit;

    fn look(wanted: &Arguments) -> Result<(&str, String), String> {
        Ok((&wanted.path, visible(&wanted.path)))
    }

    fn work(
        site: &Site,
        demand: Option<&Demand>,
        wanted: &Arguments,
        _stop: &CancellationToken,
    ) -> Result<ToolOutcome, String> {
        edit(site, demand, wanted)
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
