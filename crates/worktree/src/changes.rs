//! What differs between a worktree and its base: committed, staged, unstaged and untracked, each file
//! once. Takes no lock and writes nothing. One short process asks for the settings, then two run at the
//! same time; a last one counts commits, once for each new one.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use musher_protocol::{ChangeKind, FileChange, WorktreeChanges};

use crate::answer::{Answer, why};
use crate::error::{Result, WorktreeError};
use crate::files::{Content, blocking, content, line_count};
use crate::git::{Call, Git};

/// Lines of an untracked file are counted within its first mebibyte.
const COUNTED_BYTES: u64 = 1 << 20;
/// Of so many untracked files the lines are counted; the others are listed with 0.
const COUNTED_FILES: usize = 2000;

impl Git {
    /// Compares the worktree with the commit `base` (whole id; empty: with nothing).
    pub async fn changes(&self, worktree: &Path, base: &str) -> Result<WorktreeChanges> {
        check_commit(base)?;
        let ready = self.prepare(worktree).await?;
        let base_tree = if base.is_empty() { ready.empty_tree } else { base };
        let (tracked, status) = tokio::try_join!(
            self.diff_call(worktree, base_tree).prepared(&ready).answer(),
            self.status_call(worktree).prepared(&ready).answer(),
        )?;
        if tracked.code != 0 {
            return Err(diff_error(&tracked, worktree, base));
        }
        let status = parse_status(&ok(status, worktree, "status")?.text());
        let ahead = self.ahead(worktree, base, status.head.as_deref()).await?;
        let files = parse_diff(&tracked.text());
        let (branch, head) = (status.branch.clone(), status.head.clone());
        let top = worktree.to_owned();
        let files = blocking(move || Ok(completed(files, &status, &top))).await?;
        Ok(WorktreeChanges { files, branch, head, ahead })
    }

    /// Tracked files against a tree.
    pub(crate) fn diff_call<'a>(&'a self, worktree: &'a Path, base: &str) -> Call<'a> {
        self.comparison(worktree).args(["--raw", "--numstat", "-z", base, "--"])
    }

    /// A diff that runs nothing of the repository's own. Dirt inside of submodules is left out: git
    /// would have to run inside of them, where other settings hold.
    pub(crate) fn comparison<'a>(&'a self, worktree: &'a Path) -> Call<'a> {
        let alone = ["--no-ext-diff", "--no-textconv", "--no-color", "--ignore-submodules=dirty"];
        self.call(worktree, &["diff"])
            .args(alone)
            .arg("-M")
            .set("core.bigFileThreshold", LARGEST_COMPARED)
    }

    pub(crate) fn status_call<'a>(&'a self, worktree: &'a Path) -> Call<'a> {
        self.call(worktree, &["status", "--porcelain=v2", "--branch", "-z", "--no-renames"])
            .args(["--untracked-files=all", "--ignore-submodules=dirty"])
    }

    /// How far one commit is from another never changes, so it is asked once for each new commit.
    async fn ahead(&self, worktree: &Path, base: &str, head: Option<&str>) -> Result<u32> {
        let head = match head {
            Some(head) if head != base => head,
            _ => return Ok(0),
        };
        if let Some(known) = self.distances().known(base, head) {
            return Ok(known);
        }
        let range = if base.is_empty() { head.to_owned() } else { format!("{base}..{head}") };
        let answer =
            self.ask(worktree, &["rev-list", "--count"]).arg(range).arg("--").answer().await?;
        let Ok(ahead) = answer.line().parse() else { return Ok(0) };
        self.distances().note(base, head, ahead);
        Ok(ahead)
    }
}

/// A larger file counts as binary: git would hold both versions in memory to compare them.
const LARGEST_COMPARED: &str = "16m";
/// So many counts are remembered, then all are forgotten.
const MOST_DISTANCES: usize = 1000;

/// How many commits lie between two. Shared by all that came from one [`Git`].
#[derive(Clone, Debug, Default)]
pub(crate) struct Distances(Arc<Mutex<HashMap<(String, String), u32>>>);

impl Distances {
    fn known(&self, base: &str, head: &str) -> Option<u32> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(&(base.to_owned(), head.to_owned())).copied()
    }

    fn note(&self, base: &str, head: &str, ahead: u32) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST_DISTANCES {
            known.clear();
        }
        known.insert((base.to_owned(), head.to_owned()), ahead);
    }
}

/// A commit is named by its id only: nothing that git could read as an option or a range.
pub(crate) fn check_commit(base: &str) -> Result<()> {
    let hex = base.bytes().all(|byte| byte.is_ascii_hexdigit());
    let whole = matches!(base.len(), 0 | 40 | 64);
    if hex && whole { Ok(()) } else { Err(WorktreeError::BaseNotFound(base.to_owned())) }
}

pub(crate) fn diff_error(answer: &Answer, worktree: &Path, base: &str) -> WorktreeError {
    if answer.cut {
        why(answer, worktree, "diff")
    } else if answer.stderr.contains("bad object") || answer.stderr.contains("bad revision") {
        WorktreeError::BaseNotFound(base.to_owned())
    } else {
        why(answer, worktree, "diff")
    }
}

fn ok(answer: Answer, dir: &Path, what: &str) -> Result<Answer> {
    if answer.code == 0 { Ok(answer) } else { Err(why(&answer, dir, what)) }
}

/// What `git status` knows and a diff does not.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Status {
    pub(crate) head: Option<String>,
    pub(crate) branch: Option<String>,
    pub(crate) untracked: Vec<String>,
    /// Staged or not; conflicts are here too.
    pub(crate) tracked: Vec<String>,
    pub(crate) conflicted: Vec<String>,
    /// Files that are there and that git was told to overlook; in `tracked` too. Only a removal asks.
    pub(crate) overlooked: Vec<String>,
    /// Files, and folders with a `/` at the end, that a pattern of `.gitignore` names. Only a removal
    /// asks.
    pub(crate) ignored: Vec<String>,
}

/// Reads `--porcelain=v2 -z --branch --no-renames` (git-status, "Porcelain Format Version 2").
pub(crate) fn parse_status(text: &str) -> Status {
    let mut status = Status::default();
    for entry in text.split_terminator('\0') {
        let (mark, rest) = entry.split_once(' ').unwrap_or((entry, ""));
        match mark {
            "#" => status.header(rest),
            "?" => status.untracked.push(rest.to_owned()),
            "!" => status.ignored.push(rest.to_owned()),
            "1" => status.tracked.extend(field(rest, 7)),
            "u" => {
                status.tracked.extend(field(rest, 9));
                status.conflicted.extend(field(rest, 9));
            }
            _ => {}
        }
    }
    status
}

impl Status {
    fn header(&mut self, rest: &str) {
        match rest.split_once(' ') {
            Some(("branch.oid", id)) if id != "(initial)" => self.head = Some(id.to_owned()),
            Some(("branch.head", name)) if name != "(detached)" => {
                self.branch = Some(name.to_owned())
            }
            _ => {}
        }
    }
}

/// The path behind `before` fields; it can hold spaces itself.
fn field(rest: &str, before: usize) -> Option<String> {
    rest.splitn(before + 1, ' ').nth(before).map(str::to_owned)
}

/// Reads `--raw --numstat -z`: first every raw entry (`:modes ids status NUL path NUL [path NUL]`), then
/// every count (`added TAB removed TAB path NUL`, for a rename an empty path and two more).
pub(crate) fn parse_diff(text: &str) -> BTreeMap<String, FileChange> {
    let mut files = BTreeMap::new();
    let mut parts = text.split_terminator('\0');
    while let Some(part) = parts.next() {
        if let Some(raw) = part.strip_prefix(':') {
            let letter =
                raw.rsplit(' ').next().and_then(|status| status.chars().next()).unwrap_or('X');
            let Some(first) = parts.next() else { break };
            let renamed = matches!(letter, 'R' | 'C');
            let path = if renamed { parts.next().unwrap_or(first) } else { first };
            let change =
                files.entry(path.to_owned()).or_insert_with(|| blank(path, kind_of(letter)));
            change.old_path = renamed.then(|| first.to_owned());
        } else {
            let mut fields = part.splitn(3, '\t');
            let (added, removed, path) =
                (fields.next(), fields.next(), fields.next().unwrap_or_default());
            let path = if path.is_empty() { parts.nth(1).unwrap_or_default() } else { path };
            if let Some(change) = files.get_mut(path) {
                count(change, added.unwrap_or_default(), removed.unwrap_or_default());
            }
        }
    }
    files
}

fn count(change: &mut FileChange, added: &str, removed: &str) {
    change.binary = added == "-";
    change.added = added.parse().unwrap_or(0);
    change.removed = removed.parse().unwrap_or(0);
}

fn kind_of(letter: char) -> ChangeKind {
    match letter {
        'A' => ChangeKind::Added,
        'M' => ChangeKind::Modified,
        'D' => ChangeKind::Deleted,
        'R' => ChangeKind::Renamed,
        'U' => ChangeKind::Conflicted,
        _ => ChangeKind::Other,
    }
}

pub(crate) fn blank(path: &str, kind: ChangeKind) -> FileChange {
    FileChange { path: path.to_owned(), kind, old_path: None, added: 0, removed: 0, binary: false }
}

/// Adds what only `git status` knows.
fn completed(
    mut files: BTreeMap<String, FileChange>,
    status: &Status,
    worktree: &Path,
) -> Vec<FileChange> {
    add_untracked(&mut files, status, worktree);
    for path in &status.conflicted {
        let change = files.entry(path.clone());
        change.or_insert_with(|| blank(path, ChangeKind::Conflicted)).kind = ChangeKind::Conflicted;
    }
    files.into_values().collect()
}

/// An untracked file that the base has (somebody took it out of the index) is in the diff as deleted
/// already: it is one change, not two.
fn add_untracked(files: &mut BTreeMap<String, FileChange>, status: &Status, worktree: &Path) {
    for (at, path) in status.untracked.iter().enumerate() {
        let mut change = if at < COUNTED_FILES {
            untracked(worktree, path)
        } else {
            blank(path, ChangeKind::Untracked)
        };
        if let Some(before) = files.get(path) {
            change.removed = before.removed;
            change.kind = ChangeKind::Modified;
        }
        files.insert(path.clone(), change);
    }
}

pub(crate) fn untracked(worktree: &Path, path: &str) -> FileChange {
    let mut change = blank(path, ChangeKind::Untracked);
    match content(&worktree.join(path), COUNTED_BYTES) {
        Content::Text { text, .. } => change.added = line_count(&text),
        Content::Binary => change.binary = true,
        Content::Nothing => {}
    }
    change
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn raw_entries_and_counts_meet_in_one_change() {
        let text = ":100644 100644 a b M\0f\0:100644 100644 a b R086\0old n\0new n\0:000000 100644 0 c A\0b.png\0\
                    1\t2\tf\x003\t0\t\0old n\0new n\0-\t-\tb.png\0";
        let files = parse_diff(text);
        assert_eq!(files.len(), 3);
        assert_eq!((files["f"].added, files["f"].removed), (1, 2));
        assert_eq!(files["new n"].old_path.as_deref(), Some("old n"));
        assert_eq!((files["new n"].kind, files["new n"].added), (ChangeKind::Renamed, 3));
        assert!(files["b.png"].binary);
    }

    #[test]
    fn status_keeps_names_with_spaces() {
        let text = "# branch.oid abc\0# branch.head main\x001 .M N... 100644 100644 100644 a b my file\0\
                    u UU N... 1 2 3 4 a b c both ways\0? new one\0";
        let status = parse_status(text);
        assert_eq!(status.branch.as_deref(), Some("main"));
        assert_eq!(status.tracked, ["my file", "both ways"]);
        assert_eq!(status.conflicted, ["both ways"]);
        assert_eq!(status.untracked, ["new one"]);
    }

    #[test]
    fn only_whole_commit_ids_are_bases() {
        assert!(check_commit(&"a".repeat(40)).is_ok());
        for bad in ["--output=x", "HEAD", "abc", &format!("{}..", "a".repeat(38))] {
            assert!(check_commit(bad).is_err(), "{bad}");
        }
    }
}
