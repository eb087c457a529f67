//! `edit_file`: replaces a text that is there exactly, or writes a whole file.

use memchr::memmem;
use musher_protocol::{EditDiff, Hunk, ToolKind};
use musher_runtime::{MARK, ToolOutcome};
use schemars::JsonSchema;
use serde::Deserialize;
use tokio_util::sync::CancellationToken;

use crate::{
    Demand,
    change::{self, Change},
    files::FileTool,
    paths::Target,
    read::LONGEST_LINE,
    rules::Access,
    show::visible,
    site::{LARGEST, Site, cut, is_binary},
};

/// Of a difference, in bytes: enough to see that the right place was changed.
const TOLD: usize = 8_000;

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
        (Some(_), _) => format!("Replaced in {} place(s).\n{}", change.places, told(&diff)),
        (None, Some(_)) => format!("Written.\n{}", told(&diff)),
        // All of it is new, and the agent's own.
        (None, None) => "Created.".to_owned(),
    };
    Ok(ToolOutcome { edit: Some(diff), ..ToolOutcome::text(text) })
}

/// The difference as the model is told it: its first lines when it is long.
fn told(diff: &EditDiff) -> String {
    let mut text = String::new();
    let lines = diff.hunks.iter().flat_map(|hunk| {
        let Hunk { old_start, old_lines, new_start, new_lines, lines } = hunk;
        let head = format!("@@ -{old_start},{old_lines} +{new_start},{new_lines} @@");
        std::iter::once(head).chain(lines.iter().map(|line| cut(line, LONGEST_LINE)))
    });
    for line in lines {
        if text.len() + line.len() > TOLD {
            return text + "[the rest of the difference is left out]\n";
        }
        text += &line;
        text.push('\n');
    }
    text
}

fn changed(site: &Site, target: &Target, wanted: &Arguments) -> Result<Change, String> {
    let shown = visible(&wanted.path);
    let old = target.old.as_ref().map(|old| old.bytes.as_slice());
    if old.is_some_and(is_binary) {
        return Err(format!("{shown} is binary; it cannot be edited as text."));
    }
    keys_are_let_be(site, target, wanted)?;
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

/// What stands for a key is not the key: it is neither found in a file nor put into one, and who is not
/// shown a key cannot write the rest of its file whole.
fn keys_are_let_be(site: &Site, target: &Target, wanted: &Arguments) -> Result<(), String> {
    let shown = visible(&wanted.path);
    let bytes = target.old.as_ref().map_or(&[][..], |old| &old.bytes);
    let is_meant = |text: &str| text.contains(MARK);
    let mut texts = wanted.old.iter().chain([&wanted.new]);
    if texts.any(|text| is_meant(text)) && memmem::find(bytes, MARK.as_bytes()).is_none() {
        return Err(format!(
            "Nothing was changed in {shown}: `{MARK}` stands for a key that you are not shown, so it can \
             be in neither `old` nor `new`. A key stays as it is; replace what is around it."
        ));
    }
    let is_whole = wanted.old.is_none() && !site.has_seen(&target.place, bytes);
    if is_whole && site.secrets.hides_in(&String::from_utf8_lossy(bytes)) {
        return Err(format!(
            "{shown} cannot be written whole: there is a key in it that you are not shown. It stays as \
             it is; replace what is around it."
        ));
    }
    Ok(())
}

/// What the agent has written, or changed in what it knew, it has seen.
fn remember(site: &Site, target: &Target, wanted: &Arguments, change: &Change) {
    let knew = target.old.as_ref().is_some_and(|old| site.has_seen(&target.place, &old.bytes));
    if wanted.old.is_none() || knew {
        site.saw(&target.place, &change.bytes);
    }
}
