//! Fills a new database: from what can still be read of a damaged one, then from the transcripts,
//! which are right where the two differ.

use std::{collections::BTreeSet, fs, path::Path};

use musher_protocol::{RunSummary, SessionRef, Story, StoryId};
use rusqlite::{Connection, OpenFlags, types::Value};

use super::rows;
use crate::{Folded, Header, StoreError, fold::RunFold, transcript::fold_transcript};

/// Tables and how many columns they have; what a damaged database may still give.
const SALVAGED: [(&str, &str, usize); 8] = [
    ("projects", "id, data", 2),
    ("stories", "id, created_at, data", 3),
    ("runs", "id, story, created_at, data", 4),
    ("sessions", "story, run, seen_at, data", 4),
    ("trust", "project, digest, at, data", 4),
    ("rules", "project, rule, at", 3),
    ("read_marks", "run, seq", 2),
    ("settings", "key, value", 2),
];

/// What is lost of these comes back by itself.
const FROM_TRANSCRIPTS: [&str; 2] = ["runs", "sessions"];

/// Returns what a person should know; nothing when there was nothing to rebuild from.
pub(super) fn rebuild(
    conn: &Connection,
    dir: &Path,
    damaged: Option<&Path>,
) -> Result<Vec<String>, StoreError> {
    let failed = |e| StoreError::sql("be rebuilt", &e);
    let mut notices = Vec::new();
    if let Some(damaged) = damaged
        && !salvage(conn, damaged)
    {
        notices.push(
            "Not all of it could be read: settings, marks, rules of projects and answers about trust may \
             be missing."
                .to_owned(),
        );
    }
    let mut runs = 0;
    let mut told = BTreeSet::new();
    for path in transcripts(&dir.join("runs"))? {
        let mut fold = RunFold::default();
        let folded = fold_transcript(&path, |event| {
            // Gaps are damage of the file; what is there still counts.
            let _ = fold.apply(&event);
        });
        match folded {
            Ok(Folded { header: Some(header), marks, .. }) => {
                take_in(conn, &header, &fold, &mut told).map_err(failed)?;
                rows::insert_marks(conn, &header.run, &marks).map_err(failed)?;
                runs += 1;
            }
            Ok(_) => notices.push(format!(
                "The first line of {} is damaged, so its run is not listed.",
                path.display()
            )),
            Err(error) => notices.push(error.what),
        }
    }
    if runs > 0 {
        notices.insert(0, format!("Musher's database was rebuilt from {runs} transcript(s)."));
    }
    Ok(notices)
}

fn transcripts(runs: &Path) -> Result<Vec<std::path::PathBuf>, StoreError> {
    let entries = fs::read_dir(runs).map_err(|e| StoreError::io("read", runs, &e))?;
    let paths = entries.flatten().map(|entry| entry.path().join("transcript.jsonl"));
    let mut found: Vec<_> = paths.filter(|path| path.is_file()).collect();
    found.sort();
    Ok(found)
}

/// `told`: the stories that are known from headers alone.
fn take_in(
    conn: &Connection,
    header: &Header,
    fold: &RunFold,
    told: &mut BTreeSet<StoryId>,
) -> rusqlite::Result<()> {
    let mut summary: RunSummary = rows::one(conn, header.run.as_str())
        .ok()
        .flatten()
        .unwrap_or_else(|| header.summary.clone());
    fold.fill(&mut summary);
    rows::put(conn, &summary)?;
    if let Some(project) = &header.project
        && rows::one::<musher_protocol::Project>(conn, project.id.as_str()).ok().flatten().is_none()
    {
        rows::put(conn, project)?;
    }
    if let Some(story) = story(conn, header, fold, told) {
        rows::put(conn, &story)?;
        told.insert(story.id);
    }
    match session(&summary, fold) {
        Some(session) => rows::put_session(conn, &session),
        None => Ok(()),
    }
}

/// The story as its runs say it: its worktree is in the header of those that began with it, and in an
/// event of the one that it was made for. Its settings are those of its last run. Nothing where a row
/// that was kept knows all that.
fn story(
    conn: &Connection,
    header: &Header,
    fold: &RunFold,
    told: &BTreeSet<StoryId>,
) -> Option<Story> {
    let known = rows::one::<Story>(conn, header.story.as_str()).ok().flatten();
    if let Some(known) = known.as_ref().filter(|story| !story.worktree.is_empty()) {
        let facts = header.story_facts.as_ref().filter(|_| told.contains(&header.story))?;
        return Some(Story { settings: facts.settings.clone(), ..known.clone() });
    }
    let mut story = header.story_facts.clone().or(known)?;
    if let Some(made) = fold.worktree.as_ref().filter(|_| story.worktree.is_empty()) {
        story.worktree.clone_from(&made.path);
        story.owns_worktree = true;
        story.branch = Some(made.branch.clone());
        story.base_commit = Some(made.base_commit.clone());
        story.base_name = Some(made.base_name.clone());
    }
    Some(story)
}

fn session(summary: &RunSummary, fold: &RunFold) -> Option<SessionRef> {
    Some(SessionRef {
        runtime: summary.runtime.clone(),
        id: fold.session_id()?.to_owned(),
        model: fold.model().map(str::to_owned),
        cwd: summary.worktree.clone(),
        story: summary.story.clone(),
        run: summary.id.clone(),
        seen_at: fold.last_at?,
    })
}

/// Takes over every row that can be read, and says whether all is there that no transcript has; opened for reading only, so
/// what is kept stays as it was.
fn salvage(conn: &Connection, damaged: &Path) -> bool {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let Ok(old) = Connection::open_with_flags(damaged, flags) else { return false };
    let mut whole = true;
    for (table, columns, count) in SALVAGED {
        let copied = copy_rows(&old, conn, table, columns, count);
        if let Err(error) = &copied {
            tracing::debug!(%error, table, "not every row of the damaged database could be read");
        }
        whole &= FROM_TRANSCRIPTS.contains(&table) || matches!(copied, Ok(true));
    }
    whole
}

/// False: a row was left out.
fn copy_rows(
    from: &Connection,
    to: &Connection,
    table: &str,
    columns: &str,
    count: usize,
) -> rusqlite::Result<bool> {
    let mut whole = true;
    let places = vec!["?"; count].join(", ");
    let mut insert =
        to.prepare(&format!("INSERT OR IGNORE INTO {table} ({columns}) VALUES ({places})"))?;
    let mut select = from.prepare(&format!("SELECT {columns} FROM {table}"))?;
    let mut rows = select.query(())?;
    while let Some(row) = rows.next()? {
        let values = (0..count).map(|n| row.get::<_, Value>(n));
        let values = values.collect::<rusqlite::Result<Vec<_>>>()?;
        if let Err(error) = insert.execute(rusqlite::params_from_iter(values)) {
            tracing::debug!(%error, table, "a row of the damaged database was left out");
            whole = false;
        }
    }
    Ok(whole)
}
