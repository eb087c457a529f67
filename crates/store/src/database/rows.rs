//! The rows: each value as JSON beside the columns that queries need. Runs on the database's thread.

use std::collections::BTreeMap;

use musher_protocol::{Project, ProjectId, RunId, RunSummary, SessionRef, Story, StoryId};
use rusqlite::{
    Connection, OptionalExtension, ToSql,
    types::{ToSqlOutput, Type},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::{TrustAnswer, merge::merged};
use crate::Mark;

type Done<T> = rusqlite::Result<T>;

pub(super) const NEWEST: &str = "ORDER BY created_at DESC, id DESC";

/// A value with a row of its own, found by its id.
pub(super) trait Row: Serialize + DeserializeOwned {
    const TABLE: &'static str;
    fn id(&self) -> &str;
    /// Columns besides `id` and `data`.
    fn columns(&self) -> Vec<(&'static str, ToSqlOutput<'_>)>;
}

impl Row for Project {
    const TABLE: &'static str = "projects";
    fn id(&self) -> &str {
        self.id.as_str()
    }
    fn columns(&self) -> Vec<(&'static str, ToSqlOutput<'_>)> {
        Vec::new()
    }
}

impl Row for Story {
    const TABLE: &'static str = "stories";
    fn id(&self) -> &str {
        self.id.as_str()
    }
    fn columns(&self) -> Vec<(&'static str, ToSqlOutput<'_>)> {
        vec![("created_at", self.created_at.timestamp_micros().into())]
    }
}

impl Row for RunSummary {
    const TABLE: &'static str = "runs";
    fn id(&self) -> &str {
        self.id.as_str()
    }
    fn columns(&self) -> Vec<(&'static str, ToSqlOutput<'_>)> {
        vec![
            ("story", self.story.as_str().into()),
            ("created_at", self.created_at.timestamp_micros().into()),
        ]
    }
}

pub(super) fn put<T: Row>(conn: &Connection, value: &T) -> Done<()> {
    let mut names = String::from("id, data");
    let mut places = String::from("?1, ?2");
    let mut updates = String::from("data = excluded.data");
    let columns = value.columns();
    for (n, (name, _)) in columns.iter().enumerate() {
        names.push_str(&format!(", {name}"));
        places.push_str(&format!(", ?{}", n + 3));
        updates.push_str(&format!(", {name} = excluded.{name}"));
    }
    let sql = format!(
        "INSERT INTO {} ({names}) VALUES ({places}) ON CONFLICT (id) DO UPDATE SET {updates}",
        T::TABLE
    );
    let stored = data_of(conn, T::TABLE, value.id())?;
    let data = json(merged(stored.as_deref(), value))?;
    let id = value.id();
    let mut values: Vec<&dyn ToSql> = vec![&id, &data];
    values.extend(columns.iter().map(|(_, value)| value as &dyn ToSql));
    conn.prepare_cached(&sql)?.execute(values.as_slice())?;
    Ok(())
}

fn data_of(conn: &Connection, table: &str, id: &str) -> Done<Option<String>> {
    conn.prepare_cached(&format!("SELECT data FROM {table} WHERE id = ?1"))?
        .query_row([id], |row| row.get(0))
        .optional()
}

pub(super) fn one<T: Row>(conn: &Connection, id: &str) -> Done<Option<T>> {
    data_of(conn, T::TABLE, id)?.map(|data| parse(&data)).transpose()
}

/// Leaves out what cannot be understood: one bad row must not hide the others.
pub(super) fn all<T: Row>(conn: &Connection, order: &str) -> Done<Vec<T>> {
    list(conn, &format!("SELECT data FROM {} {order}", T::TABLE), &[])
}

pub(super) fn runs_of(conn: &Connection, story: &StoryId) -> Done<Vec<RunSummary>> {
    let sql = "SELECT data FROM runs WHERE story = ?1 ORDER BY created_at, id";
    list(conn, sql, &[&story.as_str()])
}

fn list<T: DeserializeOwned>(conn: &Connection, sql: &str, values: &[&dyn ToSql]) -> Done<Vec<T>> {
    let mut query = conn.prepare_cached(sql)?;
    let rows = query.query_map(values, |row| row.get::<_, String>(0))?;
    let mut found = Vec::new();
    for data in rows {
        match serde_json::from_str(&data?) {
            Ok(value) => found.push(value),
            Err(error) => tracing::warn!(%error, sql, "a stored row was not understood"),
        }
    }
    Ok(found)
}

pub(super) fn remove_project(conn: &mut Connection, project: &ProjectId) -> Done<()> {
    let change = conn.transaction()?;
    change.execute("DELETE FROM projects WHERE id = ?1", [project.as_str()])?;
    change.execute("DELETE FROM trust WHERE project = ?1", [project.as_str()])?;
    change.execute("DELETE FROM rules WHERE project = ?1", [project.as_str()])?;
    change.commit()
}

pub(super) fn put_session(conn: &Connection, session: &SessionRef) -> Done<()> {
    let key = [session.story.as_str(), session.run.as_str()];
    let stored: Option<String> = conn
        .prepare_cached("SELECT data FROM sessions WHERE story = ?1 AND run = ?2")?
        .query_row(key, |row| row.get(0))
        .optional()?;
    let data = json(merged(stored.as_deref(), session))?;
    conn.prepare_cached(
        "INSERT INTO sessions (story, run, seen_at, data) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (story, run) DO UPDATE SET seen_at = excluded.seen_at, data = excluded.data",
    )?
    .execute((key[0], key[1], session.seen_at.timestamp_micros(), data))?;
    Ok(())
}

pub(super) fn session_of(conn: &Connection, story: &StoryId) -> Done<Option<SessionRef>> {
    let sql = "SELECT data FROM sessions WHERE story = ?1 ORDER BY seen_at DESC, run DESC LIMIT 1";
    Ok(list(conn, sql, &[&story.as_str()])?.pop())
}

pub(super) fn put_trust(conn: &Connection, answer: &TrustAnswer) -> Done<()> {
    let data = json(serde_json::to_string(answer))?;
    conn.prepare_cached(
        "INSERT OR REPLACE INTO trust (project, digest, at, data) VALUES (?1, ?2, ?3, ?4)",
    )?
    .execute((answer.project.as_str(), &answer.digest, answer.at.timestamp_micros(), data))?;
    Ok(())
}

pub(super) fn trust(conn: &Connection, project: &ProjectId) -> Done<Option<TrustAnswer>> {
    let sql = "SELECT data FROM trust WHERE project = ?1 ORDER BY at DESC LIMIT 1";
    Ok(list(conn, sql, &[&project.as_str()])?.pop())
}

pub(super) fn trust_of(
    conn: &Connection,
    project: &ProjectId,
    digest: &str,
) -> Done<Option<TrustAnswer>> {
    let sql = "SELECT data FROM trust WHERE project = ?1 AND digest = ?2";
    Ok(list(conn, sql, &[&project.as_str(), &digest])?.pop())
}

pub(super) fn rules(conn: &Connection, project: &ProjectId) -> Done<Vec<String>> {
    let mut query =
        conn.prepare_cached("SELECT rule FROM rules WHERE project = ?1 ORDER BY at, rowid")?;
    query.query_map([project.as_str()], |row| row.get(0))?.collect()
}

pub(super) fn put_rule(conn: &Connection, project: &ProjectId, rule: &str, at: i64) -> Done<()> {
    conn.prepare_cached("INSERT OR IGNORE INTO rules (project, rule, at) VALUES (?1, ?2, ?3)")?
        .execute((project.as_str(), rule, at))?;
    Ok(())
}

pub(super) fn remove_rule(conn: &Connection, project: &ProjectId, rule: &str) -> Done<bool> {
    let removed = conn
        .prepare_cached("DELETE FROM rules WHERE project = ?1 AND rule = ?2")?
        .execute((project.as_str(), rule))?;
    Ok(removed > 0)
}

pub(super) fn mark_read(conn: &Connection, run: &RunId, seq: u64) -> Done<()> {
    conn.prepare_cached(
        "INSERT INTO read_marks (run, seq) VALUES (?1, ?2)
         ON CONFLICT (run) DO UPDATE SET seq = max(seq, excluded.seq)",
    )?
    .execute((run.as_str(), number(seq)))?;
    Ok(())
}

pub(super) fn see_run(conn: &mut Connection, run: &RunId) -> Done<Option<RunSummary>> {
    let change = conn.transaction()?;
    let Some(mut summary) = one::<RunSummary>(&change, run.as_str())? else { return Ok(None) };
    mark_read(&change, run, summary.last_seq)?;
    summary.unread = false;
    put(&change, &summary)?;
    change.commit()?;
    Ok(Some(summary))
}

pub(super) fn read_to(conn: &Connection, run: &RunId) -> Done<u64> {
    let seq: Option<i64> = conn
        .prepare_cached("SELECT seq FROM read_marks WHERE run = ?1")?
        .query_row([run.as_str()], |row| row.get(0))
        .optional()?;
    Ok(seq.and_then(|s| s.try_into().ok()).unwrap_or(0))
}

pub(super) fn read_marks(conn: &mut Connection) -> Done<BTreeMap<RunId, u64>> {
    let mut query = conn.prepare_cached("SELECT run, seq FROM read_marks")?;
    let rows = query.query_map((), |row| Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?)))?;
    let mut marks = BTreeMap::new();
    for row in rows {
        let (run, seq) = row?;
        if let (Some(run), Ok(seq)) = (RunId::parse(&run), seq.try_into()) {
            marks.insert(run, seq);
        }
    }
    Ok(marks)
}

pub(super) fn put_setting(conn: &Connection, key: &str, value: &str) -> Done<()> {
    conn.prepare_cached("INSERT OR REPLACE INTO settings (key, value) VALUES (?1, ?2)")?
        .execute((key, value))?;
    Ok(())
}

pub(super) fn setting(conn: &Connection, key: &str) -> Done<Option<Value>> {
    Ok(list(conn, "SELECT value FROM settings WHERE key = ?1", &[&key])?.pop())
}

pub(super) fn put_marks(conn: &mut Connection, run: &RunId, marks: &[Mark]) -> Done<()> {
    let change = conn.transaction()?;
    insert_marks(&change, run, marks)?;
    change.commit()
}

pub(super) fn insert_marks(conn: &Connection, run: &RunId, marks: &[Mark]) -> Done<()> {
    let mut insert = conn.prepare_cached(
        "INSERT OR REPLACE INTO event_index (run, seq, at_byte) VALUES (?1, ?2, ?3)",
    )?;
    for mark in marks {
        insert.execute((run.as_str(), number(mark.seq), number(mark.offset)))?;
    }
    Ok(())
}

pub(super) fn mark_before(conn: &Connection, run: &RunId, seq: u64) -> Done<Option<Mark>> {
    conn.prepare_cached(
        "SELECT seq, at_byte FROM event_index WHERE run = ?1 AND seq <= ?2
         ORDER BY seq DESC LIMIT 1",
    )?
    .query_row((run.as_str(), number(seq)), |row| {
        Ok(Mark {
            seq: row.get::<_, i64>(0)?.unsigned_abs(),
            offset: row.get::<_, i64>(1)?.unsigned_abs(),
        })
    })
    .optional()
}

/// SQLite's numbers are signed.
fn number(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn json<T>(result: serde_json::Result<T>) -> Done<T> {
    result.map_err(|e| rusqlite::Error::ToSqlConversionFailure(e.into()))
}

fn parse<T: DeserializeOwned>(data: &str) -> Done<T> {
    serde_json::from_str(data)
        .map_err(|e| rusqlite::Error::FromSqlConversionFailure(0, Type::Text, e.into()))
}
