//! What a tool changed in a file, from the structured half of its result.

use std::borrow::Cow;

use musher_protocol::{EditDiff, Hunk};
use serde::Deserialize;

use super::{
    tools::relative,
    wire::{Later, string},
};

/// A created file is shown up to here; its hunk still counts all its lines.
const CREATED_LINES: usize = 400;

/// `tool_use_result` of Edit, MultiEdit and Write.
#[derive(Deserialize)]
struct Changed<'a> {
    #[serde(borrow, default, rename = "type")]
    kind: Later<'a>,
    #[serde(borrow, rename = "filePath")]
    path: Cow<'a, str>,
    #[serde(borrow, default)]
    content: Later<'a>,
    #[serde(rename = "structuredPatch")]
    patch: Vec<PatchHunk>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PatchHunk {
    old_start: u32,
    old_lines: u32,
    new_start: u32,
    new_lines: u32,
    lines: Vec<String>,
}

/// `tool_use_result` of the engine's `edit_file`: what its tool server says besides the words for the
/// model.
#[derive(Deserialize)]
struct Served {
    #[serde(rename = "_meta")]
    meta: ServedMeta,
}

#[derive(Deserialize)]
struct ServedMeta {
    #[serde(rename = "musher/edit")]
    edit: Option<EditDiff>,
}

impl From<PatchHunk> for Hunk {
    fn from(hunk: PatchHunk) -> Self {
        let PatchHunk { old_start, old_lines, new_start, new_lines, lines } = hunk;
        Self { old_start, old_lines, new_start, new_lines, lines }
    }
}

/// The edit that this `tool_use_result` tells of, if it tells of one.
pub fn edit(result: Later<'_>, cwd: &str) -> Option<EditDiff> {
    let json = result?.get();
    if memchr::memmem::find(json.as_bytes(), b"\"musher/edit\"").is_some() {
        return serde_json::from_str::<Served>(json).ok()?.meta.edit;
    }
    memchr::memmem::find(json.as_bytes(), b"\"structuredPatch\"")?;
    let changed: Changed<'_> = serde_json::from_str(json).ok()?;
    let created = string(changed.kind).as_deref() == Some("create");
    let mut hunks: Vec<Hunk> = changed.patch.into_iter().map(Hunk::from).collect();
    if created && hunks.is_empty() {
        hunks.extend(string(changed.content).and_then(|content| whole_file(&content)));
    }
    Some(EditDiff { path: relative(&changed.path, cwd).to_owned(), created, hunks })
}

fn whole_file(content: &str) -> Option<Hunk> {
    let count = content.lines().count();
    let lines = content.lines().take(CREATED_LINES).map(|line| format!("+{line}")).collect();
    (count > 0).then(|| Hunk {
        old_start: 0,
        old_lines: 0,
        new_start: 1,
        new_lines: u32::try_from(count).unwrap_or(u32::MAX),
        lines,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::value::RawValue;

    fn of(json: &str) -> Option<EditDiff> {
        let raw = RawValue::from_string(json.to_owned()).unwrap();
        edit(Some(&raw), "/repo")
    }

    #[test]
    fn a_created_file_is_one_hunk_of_new_lines_up_to_the_cap() {
        let diff = of(r#"{"type":"create","filePath":"/repo/a.txt","content":"x\ny\n","structuredPatch":[],"originalFile":null}"#).unwrap();
        assert_eq!((diff.path.as_str(), diff.created), ("a.txt", true));
        assert_eq!(diff.hunks[0].lines, ["+x", "+y"]);
        let long = format!(
            r#"{{"type":"create","filePath":"a","structuredPatch":[],"content":"{}"}}"#,
            "l\\n".repeat(1000)
        );
        let hunk = &of(&long).unwrap().hunks[0];
        assert_eq!((hunk.new_lines, hunk.lines.len()), (1000, CREATED_LINES));
    }

    #[test]
    fn the_engines_own_tool_tells_its_edit_besides() {
        let diff = of(r#"{"content":[{"type":"text","text":"musher/edit"}],
            "_meta":{"musher/edit":{"path":"a.txt","created":true,"hunks":[]}}}"#);
        assert_eq!(diff, Some(EditDiff { path: "a.txt".into(), created: true, hunks: Vec::new() }));
        assert!(of(r#"{"content":"\"musher/edit\"","_meta":{"musher/edit":3}}"#).is_none());
    }

    #[test]
    fn results_of_other_tools_and_odd_shapes_are_no_edit() {
        assert!(of(r#"{"stdout":"structuredPatch","stderr":""}"#).is_none());
        assert!(of(r#""Error: no""#).is_none());
        assert!(of(r#"{"filePath":3,"structuredPatch":[]}"#).is_none());
    }
}
