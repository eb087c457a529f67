//! SQLite: what lists need, and what no event says.
//!
//! One thread owns the connection and does one piece of work after the other; callers wait for their
//! answer without holding a worker. WAL with `synchronous = NORMAL`: a killed process loses nothing, a
//! power cut may lose the last rows, and those can be had again from the transcripts.
//!
//! A row's value is kept as JSON. Rewriting it keeps what a newer Musher put there (see [`merge`]).

mod merge;
mod migrate;
mod open;
mod rebuild;
mod rows;
mod thread;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use chrono::{DateTime, Utc};
use musher_protocol::{
    Project, ProjectId, RunId, RunSummary, SessionRef, Story, StoryId, TrustDecision, TrustItem,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    AgentLogWriter, Header, Mark, Recovered, StoreError, StoredBatch,
    data_dir::{make_private_dir, prepare_data_dir, sync_dir},
    transcript::{Request, read_request, run_of},
};
use thread::Jobs;

/// What the person decided about one state of a project's own settings, hooks and tool servers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrustAnswer {
    pub project: ProjectId,
    /// Of the items; the answer holds for nothing else.
    pub digest: String,
    pub items: Vec<TrustItem>,
    pub decision: TrustDecision,
    pub at: DateTime<Utc>,
}

/// The data directory's state. Clones share one writer.
#[derive(Clone)]
pub struct Store {
    dir: Arc<PathBuf>,
    jobs: Jobs,
}

impl Store {
    /// Opens what is there, brings it up to date, or rebuilds it when it is damaged; the sentences say
    /// what a person should know of it. Hold the [`crate::DataDirLock`] meanwhile. Blocks.
    pub fn open(dir: &Path) -> Result<(Self, Vec<String>), StoreError> {
        Self::try_open(dir).map_err(|error| error.where_it_is_full(dir).at_start())
    }

    fn try_open(dir: &Path) -> Result<(Self, Vec<String>), StoreError> {
        let mut notices = prepare_data_dir(dir)?;
        for part in ["runs", "backups"] {
            make_private_dir(&dir.join(part))?;
        }
        let (conn, told) = open::open(dir)?;
        notices.extend(told);
        let jobs =
            thread::start(conn).map_err(|e| StoreError::io("open the database in", dir, &e))?;
        Ok((Self { dir: Arc::new(dir.to_owned()), jobs }, notices))
    }

    /// Waits until all that was asked for is done, and closes the database. Later calls fail.
    pub async fn close(&self) {
        self.jobs.close().await;
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }

    pub fn run_dir(&self, run: &RunId) -> PathBuf {
        self.dir.join("runs").join(run.as_str())
    }

    pub fn transcript_path(&self, run: &RunId) -> PathBuf {
        self.run_dir(run).join("transcript.jsonl")
    }

    /// Makes the run's folder, for the owner alone.
    pub fn create_run_dir(&self, run: &RunId) -> Result<PathBuf, StoreError> {
        let dir = self.run_dir(run);
        make_private_dir(&dir)?;
        sync_dir(&self.dir.join("runs"))?;
        Ok(dir)
    }

    /// Starts the run's transcript, in its folder, which it makes. Its index is kept here too.
    pub async fn create_log(&self, header: &Header) -> Result<AgentLogWriter, StoreError> {
        let (store, run) = (self.clone(), header.run.clone());
        tokio::task::spawn_blocking(move || store.create_run_dir(&run))
            .await
            .map_err(|_| StoreError::closed())??;
        let log = AgentLogWriter::create(&self.transcript_path(&header.run), header).await?;
        Ok(log.indexed_by(self.clone()))
    }

    /// Goes on with the transcript of a run whose engine is gone.
    pub async fn recover_log(
        &self,
        run: &RunId,
    ) -> Result<(AgentLogWriter, Recovered), StoreError> {
        let (log, recovered) = AgentLogWriter::recover(&self.transcript_path(run)).await?;
        Ok((log.indexed_by(self.clone()), recovered))
    }

    /// Events of a run that is over and that no writer holds; of a live one, `TranscriptIndex::read` is
    /// to be used. `last_seq` was its last event, as the list has it: what is missing up to there is
    /// told in its place.
    pub async fn read_events(
        &self,
        run: &RunId,
        from_seq: u64,
        last_seq: u64,
        max_bytes: usize,
    ) -> Result<StoredBatch, StoreError> {
        // Without the index the transcript is scanned: slower, not wrong.
        let hint = self.mark_before(run, from_seq).await.unwrap_or_default();
        let path = self.transcript_path(run);
        let limit_seq = u64::MAX;
        let request = Request { hint, from_seq, limit_seq, last_seq, max_bytes, checked: true };
        tokio::task::spawn_blocking(move || read_request(&path, &request))
            .await
            .map_err(|_| StoreError::closed())?
    }

    /// The last line at or before `seq` whose place is known.
    pub async fn mark_before(&self, run: &RunId, seq: u64) -> Result<Option<Mark>, StoreError> {
        let run = run.clone();
        self.jobs.call("look up an event", move |c| rows::mark_before(c, &run, seq)).await
    }

    /// False when the thread is too busy to take them now; they may be offered again. Never waits.
    pub(crate) fn note_marks(&self, transcript: &Path, marks: &[Mark]) -> bool {
        let Some(run) = run_of(transcript) else { return true };
        let marks = marks.to_vec();
        marks.is_empty() || self.jobs.offer(move |c| rows::put_marks(c, &run, &marks))
    }

    pub async fn put_project(&self, project: &Project) -> Result<(), StoreError> {
        let project = project.clone();
        self.jobs.call("keep a project", move |c| rows::put(c, &project)).await
    }

    /// Oldest first.
    pub async fn projects(&self) -> Result<Vec<Project>, StoreError> {
        self.jobs.call("list the projects", |c| rows::all(c, "ORDER BY rowid")).await
    }

    /// Forgets the project and what was decided about it; its stories and runs stay.
    pub async fn remove_project(&self, project: &ProjectId) -> Result<(), StoreError> {
        let project = project.clone();
        self.jobs.call("forget a project", move |c| rows::remove_project(c, &project)).await
    }

    pub async fn put_story(&self, story: &Story) -> Result<(), StoreError> {
        let story = story.clone();
        self.jobs.call("keep a story", move |c| rows::put(c, &story)).await
    }

    pub async fn story(&self, story: &StoryId) -> Result<Option<Story>, StoreError> {
        let story = story.clone();
        self.jobs.call("read a story", move |c| rows::one(c, story.as_str())).await
    }

    /// Newest first.
    pub async fn stories(&self) -> Result<Vec<Story>, StoreError> {
        self.jobs.call("list the stories", |c| rows::all(c, rows::NEWEST)).await
    }

    pub async fn put_run(&self, run: &RunSummary) -> Result<(), StoreError> {
        let run = run.clone();
        self.jobs.call("keep a run", move |c| rows::put(c, &run)).await
    }

    pub async fn run(&self, run: &RunId) -> Result<Option<RunSummary>, StoreError> {
        let run = run.clone();
        self.jobs.call("read a run", move |c| rows::one(c, run.as_str())).await
    }

    /// Newest first.
    pub async fn runs(&self) -> Result<Vec<RunSummary>, StoreError> {
        self.jobs.call("list the runs", |c| rows::all(c, rows::NEWEST)).await
    }

    /// Oldest first.
    pub async fn runs_of(&self, story: &StoryId) -> Result<Vec<RunSummary>, StoreError> {
        let story = story.clone();
        self.jobs.call("list a story's runs", move |c| rows::runs_of(c, &story)).await
    }

    pub async fn put_session(&self, session: &SessionRef) -> Result<(), StoreError> {
        let session = session.clone();
        self.jobs.call("keep a session", move |c| rows::put_session(c, &session)).await
    }

    /// The session that a next run of the story resumes: the one seen last.
    pub async fn session_of(&self, story: &StoryId) -> Result<Option<SessionRef>, StoreError> {
        let story = story.clone();
        self.jobs.call("read a session", move |c| rows::session_of(c, &story)).await
    }

    pub async fn put_trust(&self, answer: &TrustAnswer) -> Result<(), StoreError> {
        let answer = answer.clone();
        self.jobs.call("keep an answer about trust", move |c| rows::put_trust(c, &answer)).await
    }

    /// The last answer about the project, whatever it was about.
    pub async fn trust(&self, project: &ProjectId) -> Result<Option<TrustAnswer>, StoreError> {
        let project = project.clone();
        self.jobs.call("read about trust", move |c| rows::trust(c, &project)).await
    }

    /// The answer about exactly this: worktrees of one project may differ.
    pub async fn trust_of(
        &self,
        project: &ProjectId,
        digest: &str,
    ) -> Result<Option<TrustAnswer>, StoreError> {
        let (project, digest) = (project.clone(), digest.to_owned());
        self.jobs.call("read about trust", move |c| rows::trust_of(c, &project, &digest)).await
    }

    /// A project's rules, oldest first. They are kept as they are written.
    pub async fn rules(&self, project: &ProjectId) -> Result<Vec<String>, StoreError> {
        let project = project.clone();
        self.jobs.call("read a project's rules", move |c| rows::rules(c, &project)).await
    }

    /// A rule that is there already stays where it is.
    pub async fn put_rule(
        &self,
        project: &ProjectId,
        rule: &str,
        at: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let (project, rule, at) = (project.clone(), rule.to_owned(), at.timestamp_micros());
        let put = move |c: &mut _| rows::put_rule(c, &project, &rule, at);
        self.jobs.call("keep a rule", put).await
    }

    /// Says whether there was one.
    pub async fn remove_rule(&self, project: &ProjectId, rule: &str) -> Result<bool, StoreError> {
        let (project, rule) = (project.clone(), rule.to_owned());
        let remove = move |c: &mut _| rows::remove_rule(c, &project, &rule);
        self.jobs.call("remove a rule", remove).await
    }

    /// The person has seen the run up to `seq`; never goes back.
    pub async fn mark_read(&self, run: &RunId, seq: u64) -> Result<(), StoreError> {
        let run = run.clone();
        self.jobs.call("mark a run as read", move |c| rows::mark_read(c, &run, seq)).await
    }

    /// The person has seen all of a run that nobody writes any more. Changes only that, and gives the
    /// row as it is then; `None`: there is no such run.
    pub async fn see_run(&self, run: &RunId) -> Result<Option<RunSummary>, StoreError> {
        let run = run.clone();
        self.jobs.call("mark a run as read", move |c| rows::see_run(c, &run)).await
    }

    /// 0: never looked at.
    pub async fn read_to(&self, run: &RunId) -> Result<u64, StoreError> {
        let run = run.clone();
        self.jobs.call("read a mark", move |c| rows::read_to(c, &run)).await
    }

    pub async fn read_marks(&self) -> Result<BTreeMap<RunId, u64>, StoreError> {
        self.jobs.call("read the marks", rows::read_marks).await
    }

    pub async fn put_setting(&self, key: &str, value: &Value) -> Result<(), StoreError> {
        let (key, value) = (key.to_owned(), value.to_string());
        self.jobs.call("keep a setting", move |c| rows::put_setting(c, &key, &value)).await
    }

    pub async fn setting(&self, key: &str) -> Result<Option<Value>, StoreError> {
        let key = key.to_owned();
        self.jobs.call("read a setting", move |c| rows::setting(c, &key)).await
    }
}
