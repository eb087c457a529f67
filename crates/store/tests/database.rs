//! The database: rows come back, strangers' fields survive, and no damage hides what happened.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::{fs, path::Path};

use common::*;
use musher_protocol::*;
use musher_store::{LineBatch, Mark, Store, StoreErrorKind, TrustAnswer};
use rusqlite::Connection;
use serde_json::json;

fn opened(dir: &Path) -> (Store, Vec<String>) {
    Store::open(dir).unwrap()
}

fn session(run: &str, id: &str, seen: i64) -> SessionRef {
    SessionRef {
        runtime: "demo".into(),
        id: id.into(),
        model: None,
        cwd: "/w".into(),
        story: story().id,
        run: RunId::parse(run).unwrap(),
        seen_at: at(seen),
    }
}

fn answer(digest: &str, decision: TrustDecision, seconds: i64) -> TrustAnswer {
    let item = TrustItem { path: ".mcp.json".into(), what: "starts".into(), digest: "d".into() };
    let (digest, items) = (digest.to_owned(), vec![item]);
    TrustAnswer { project: project().id, digest, items, decision, at: at(seconds) }
}

#[tokio::test]
async fn what_is_put_is_there_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let (store, notices) = opened(dir.path());
    assert_eq!(notices, Vec::<String>::new());
    store.put_project(&project()).await.unwrap();
    store.put_story(&story()).await.unwrap();
    for (id, created) in [("run-1", 5), ("run-3", 9), ("run-2", 7)] {
        store.put_run(&summary_of(id, created)).await.unwrap();
    }
    store.put_setting("pool", &json!({"live": 4})).await.unwrap();
    store.close().await;
    assert_eq!(store.projects().await.unwrap_err().kind, StoreErrorKind::Closed);

    let (store, notices) = opened(dir.path());
    assert_eq!(notices, Vec::<String>::new());
    assert_eq!(store.projects().await.unwrap(), [project()]);
    assert_eq!(store.story(&story().id).await.unwrap(), Some(story()));
    let ids =
        |runs: Vec<RunSummary>| runs.into_iter().map(|r| r.id.to_string()).collect::<Vec<_>>();
    assert_eq!(ids(store.runs().await.unwrap()), ["run-3", "run-2", "run-1"]);
    assert_eq!(ids(store.runs_of(&story().id).await.unwrap()), ["run-1", "run-2", "run-3"]);
    assert_eq!(store.run(&run_id()).await.unwrap(), Some(summary_of("run-1", 5)));
    assert_eq!(store.setting("pool").await.unwrap(), Some(json!({"live": 4})));
    assert_eq!(store.setting("none").await.unwrap(), None);
}

#[tokio::test]
async fn the_session_seen_last_is_resumed() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = opened(dir.path());
    assert_eq!(store.session_of(&story().id).await.unwrap(), None);
    for (run, id, seen) in [("run-1", "a", 1), ("run-2", "b", 9), ("run-1", "c", 5)] {
        store.put_session(&session(run, id, seen)).await.unwrap();
    }
    assert_eq!(store.session_of(&story().id).await.unwrap(), Some(session("run-2", "b", 9)));
}

#[tokio::test]
async fn trust_holds_for_what_was_seen_and_goes_with_the_project() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = opened(dir.path());
    store.put_project(&project()).await.unwrap();
    store.put_run(&summary()).await.unwrap();
    let first = answer("one", TrustDecision::Trusted, 1);
    let second = answer("two", TrustDecision::Restricted, 2);
    store.put_trust(&first).await.unwrap();
    store.put_trust(&second).await.unwrap();
    let project = project().id;
    assert_eq!(store.trust(&project).await.unwrap(), Some(second));
    assert_eq!(store.trust_of(&project, "one").await.unwrap(), Some(first));
    assert_eq!(store.trust_of(&project, "three").await.unwrap(), None);
    store.remove_project(&project).await.unwrap();
    assert_eq!(store.trust(&project).await.unwrap(), None);
    assert!(store.projects().await.unwrap().is_empty());
    assert_eq!(store.runs().await.unwrap().len(), 1);
}

#[tokio::test]
async fn rules_stay_in_order_are_there_once_and_go_with_the_project() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = opened(dir.path());
    let project = project().id;
    let other = ProjectId::fresh();
    for (rule, seconds) in [("deny run b", 1), ("allow run a", 2), ("deny run b", 3)] {
        store.put_rule(&project, rule, at(seconds)).await.unwrap();
    }
    store.put_rule(&other, "allow run c", at(1)).await.unwrap();
    store.close().await;
    let (store, _) = opened(dir.path());
    assert_eq!(store.rules(&project).await.unwrap(), ["deny run b", "allow run a"]);
    assert!(!store.remove_rule(&project, "allow run c").await.unwrap());
    assert!(store.remove_rule(&project, "allow run a").await.unwrap());
    assert_eq!(store.rules(&project).await.unwrap(), ["deny run b"]);
    store.remove_project(&project).await.unwrap();
    assert_eq!(store.rules(&project).await.unwrap(), Vec::<String>::new());
    assert_eq!(store.rules(&other).await.unwrap(), ["allow run c"]);
}

#[tokio::test]
async fn a_read_mark_never_goes_back() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = opened(dir.path());
    assert_eq!(store.read_to(&run_id()).await.unwrap(), 0);
    for seq in [5, 9, 3] {
        store.mark_read(&run_id(), seq).await.unwrap();
    }
    assert_eq!(store.read_to(&run_id()).await.unwrap(), 9);
    assert_eq!(store.read_marks().await.unwrap().get(&run_id()), Some(&9));
}

fn database(dir: &Path) -> Connection {
    Connection::open(dir.join("musher.db")).unwrap()
}

#[tokio::test]
async fn fields_of_a_newer_musher_survive_and_its_rows_hide_no_others() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = opened(dir.path());
    store.put_run(&summary()).await.unwrap();
    store.close().await;
    let conn = database(dir.path());
    let change = "UPDATE runs SET data = json_set(data, '$.colour', 'red', '$.usage.water_ml', 3)";
    conn.execute(change, ()).unwrap();
    let odd = "INSERT INTO runs (id, story, created_at, data) VALUES ('x', 's', 1, '{\"id\":7}')";
    conn.execute(odd, ()).unwrap();
    drop(conn);
    let (store, _) = opened(dir.path());
    let mut run = store.run(&run_id()).await.unwrap().unwrap();
    run.title = "Another".into();
    run.usage.input_tokens = 12;
    run.branch = None;
    store.put_run(&run).await.unwrap();
    assert_eq!(store.runs().await.unwrap(), [run]);
    store.close().await;
    let data: String = database(dir.path())
        .query_row("SELECT data FROM runs WHERE id = 'run-1'", (), |row| row.get(0))
        .unwrap();
    let data: serde_json::Value = serde_json::from_str(&data).unwrap();
    assert_eq!((&data["colour"], &data["usage"]["water_ml"]), (&json!("red"), &json!(3)));
    assert_eq!((&data["title"], &data["branch"]), (&json!("Another"), &json!(null)));
}

#[tokio::test]
async fn a_newer_database_is_refused_and_untouched() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = opened(dir.path());
    store.close().await;
    database(dir.path()).pragma_update(None, "user_version", 99).unwrap();
    let before = fs::read(dir.path().join("musher.db")).unwrap();
    let error = Store::open(dir.path()).err().unwrap();
    assert_eq!(error.kind, StoreErrorKind::NewerSchema);
    assert!(error.what.contains("99") && error.hint.contains("Update"), "{error}: {}", error.hint);
    assert_eq!(fs::read(dir.path().join("musher.db")).unwrap(), before);
}

/// The database of the first released schema, as a dump: every later version must list all of it.
#[tokio::test]
async fn the_first_schema_opens_whole() {
    let dir = tempfile::tempdir().unwrap();
    database(dir.path()).execute_batch(include_str!("fixtures/schema-v1.sql")).unwrap();
    let (store, notices) = opened(dir.path());
    assert_eq!(notices, Vec::<String>::new());
    assert_eq!(store.projects().await.unwrap(), [project()]);
    assert_eq!(store.stories().await.unwrap(), [story()]);
    assert_eq!(store.runs().await.unwrap(), [summary()]);
    assert_eq!(store.session_of(&story().id).await.unwrap(), Some(session("run-1", "s", 3)));
    let trust = store.trust(&project().id).await.unwrap();
    assert_eq!(trust, Some(answer("digest", TrustDecision::Trusted, 4)));
    assert_eq!(store.read_to(&run_id()).await.unwrap(), 7);
    assert_eq!(store.setting("pool").await.unwrap(), Some(json!({"live": 4})));
    let mark = store.mark_before(&run_id(), 12).await.unwrap();
    assert_eq!(mark, Some(Mark { seq: 10, offset: 4096 }));
}

/// A run with a transcript, a story without one, and what only the database knows.
async fn filled(dir: &Path) {
    let (store, _) = opened(dir);
    store.put_project(&project()).await.unwrap();
    let mut other = story();
    other.id = StoryId::parse("story-2").unwrap();
    store.put_story(&story()).await.unwrap();
    store.put_story(&other).await.unwrap();
    store.put_setting("pool", &json!(3)).await.unwrap();
    store.put_run(&summary()).await.unwrap();
    let mut log = store.create_log(&header()).await.unwrap();
    let mut batch = LineBatch::new(1);
    let session = SessionInfo { session_id: "s".into(), ..SessionInfo::default() };
    batch.push(&envelope(1, AgentEvent::Session(session), None)).unwrap();
    for seq in 2..2_000 {
        batch.push(&envelope(seq, text(seq), None)).unwrap();
    }
    let outcome = RunOutcome::Completed;
    batch.push(&envelope(2_000, AgentEvent::Done { outcome }, None)).unwrap();
    log.append(&mut batch).await.unwrap();
    log.close().await.unwrap();
    store.close().await;
}

async fn run_is_whole(store: &Store) {
    let run = store.run(&run_id()).await.unwrap().unwrap();
    assert_eq!((run.phase, run.last_seq), (RunPhase::Done, 2_000));
    assert_eq!(run.title, summary().title);
    assert_eq!(store.session_of(&story().id).await.unwrap().unwrap().id, "s");
    assert_eq!(store.story(&story().id).await.unwrap().unwrap().title, story().title);
    assert_eq!(store.projects().await.unwrap(), [project()]);
    let end = store.read_events(&run_id(), 1_990, 2_000, 1 << 20).await.unwrap();
    assert_eq!((end.first_seq, end.count), (1_990, 11));
    assert!(store.mark_before(&run_id(), 1_990).await.unwrap().unwrap().offset > 0);
}

#[tokio::test]
async fn a_missing_database_is_made_from_the_transcripts() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path()).await;
    fs::remove_file(dir.path().join("musher.db")).unwrap();
    let (store, notices) = opened(dir.path());
    assert_eq!(notices.len(), 1, "{notices:?}");
    run_is_whole(&store).await;
}

#[tokio::test]
async fn a_database_that_is_none_is_kept_and_rebuilt() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path()).await;
    fs::write(dir.path().join("musher.db"), "this was a database".repeat(500)).unwrap();
    let (store, notices) = opened(dir.path());
    assert!(notices[0].contains("was kept as"), "{notices:?}");
    let kept: Vec<_> = fs::read_dir(dir.path().join("backups")).unwrap().flatten().collect();
    assert_eq!(fs::read(kept[0].path()).unwrap(), "this was a database".repeat(500).as_bytes());
    run_is_whole(&store).await;
}

/// A table is gone although the version says otherwise: what the other tables hold is taken over.
#[tokio::test]
async fn a_sabotaged_database_gives_what_it_still_has() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path()).await;
    database(dir.path()).execute_batch("DROP TABLE runs; DROP TABLE event_index;").unwrap();
    let (store, notices) = opened(dir.path());
    assert_eq!(notices.len(), 2, "{notices:?}");
    run_is_whole(&store).await;
    assert_eq!(store.stories().await.unwrap().len(), 2);
    assert_eq!(store.setting("pool").await.unwrap(), Some(json!(3)));
    assert_eq!(store.story(&story().id).await.unwrap(), Some(story()));
}

#[tokio::test]
async fn any_damaged_page_is_met_with_a_store_that_lists_the_run() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path()).await;
    let path = dir.path().join("musher.db");
    let sound = fs::read(&path).unwrap();
    for page in 0..sound.len() / 4_096 {
        let mut bytes = sound.clone();
        bytes[page * 4_096..(page + 1) * 4_096].fill(0xA5);
        for part in ["-wal", "-shm"] {
            let _ = fs::remove_file(dir.path().join(format!("musher.db{part}")));
        }
        fs::write(&path, bytes).unwrap();
        let (store, _) = opened(dir.path());
        run_is_whole(&store).await;
        store.close().await;
    }
}

#[tokio::test]
async fn a_transcript_that_cannot_be_read_hides_no_other() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path()).await;
    for (run, bytes) in
        [("a", &b""[..]), ("b", b"\xff\xfe\n\xff\n"), ("c", b"{\"musher_transcript\":9}\n")]
    {
        let folder = dir.path().join("runs").join(run);
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("transcript.jsonl"), bytes).unwrap();
    }
    fs::remove_file(dir.path().join("musher.db")).unwrap();
    let (store, notices) = opened(dir.path());
    assert_eq!(notices.len(), 4, "{notices:?}");
    run_is_whole(&store).await;
}

#[tokio::test]
async fn a_recovered_run_goes_on_through_the_store() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = opened(dir.path());
    let mut log = store.create_log(&header()).await.unwrap();
    let mut first = batch(1, 2_000);
    log.append(&mut first).await.unwrap();
    drop(log);
    let (mut log, got) = store.recover_log(&run_id()).await.unwrap();
    assert_eq!((got.next_seq, got.stored_to, got.fold.last_seq), (2_001, 200_000, 2_000));
    log.append(&mut batch(2_001, 10)).await.unwrap();
    let mark = log.index().mark_before(2_005).unwrap();
    log.close().await.unwrap();
    assert_eq!(store.mark_before(&run_id(), 2_005).await.unwrap(), Some(mark));
    let end = store.read_events(&run_id(), 2_005, 2_010, 1 << 20).await.unwrap();
    assert_eq!(end.count, 6);
}
