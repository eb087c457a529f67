//! Reading a run while it ends: a person's look never changes what the run came to.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

mod fake;

use fake::{SOON, World};
use futures::future::join_all;
use musher_protocol::*;

/// Many looks while the run ends: the ones that began before its end come back behind it.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_run_that_ends_while_it_is_read_is_over() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::open(dir.path(), 4, chrono::Utc::now).await;
    let repo = musher_testkit::Repo::new().unwrap();
    for _ in 0..8 {
        let path = repo.path().to_string_lossy().into_owned();
        let run = world.start_at(RunPlace::Worktree { path }, |_| {}).await.id;
        let agent = world.started().await;
        world.until(&run, |s| s.phase == RunPhase::Running).await;
        let mut news = world.engine.news();
        let looks = join_all((0..32).map(|_| read_to_its_end(&world, &run)));
        let ending = async { agent.end(RunOutcome::Completed) };
        let looked = tokio::time::timeout(SOON, async { tokio::join!(ending, looks) }).await;
        looked.expect("the list says that the run is over");
        let listed = world.engine.run_list().await.unwrap();
        let listed = listed.into_iter().find(|s| s.id == run).unwrap();
        assert_eq!(listed.phase, RunPhase::Done, "{listed:?}");
        assert!(!listed.unread, "it was looked at after its end");
        // Readers get the newest of what waits for them, so this is the last that anybody was told.
        let told = news.next().await.unwrap().runs;
        let told = told.into_iter().find(|s| s.id == run).unwrap();
        assert_eq!((told.phase, told.unread), (RunPhase::Done, false));
    }
}

async fn read_to_its_end(world: &World, run: &RunId) {
    loop {
        let params = RunParams { run: run.clone() };
        let over = world.engine.run_get(params.clone()).await.unwrap().summary.phase;
        world.engine.run_mark_read(params).await.unwrap();
        if over == RunPhase::Done {
            return;
        }
    }
}

#[tokio::test]
async fn a_run_that_is_not_there_cannot_be_read() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::open(dir.path(), 1, chrono::Utc::now).await;
    let error = world.engine.run_mark_read(RunParams { run: RunId::fresh() }).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::NotFound);
}
