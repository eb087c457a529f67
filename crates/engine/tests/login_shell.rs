//! A login shell that hangs: what is only looked at does not wait for it, what starts a program does.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

mod fake;

use std::path::Path;

use fake::{SOON, World};
use futures::{FutureExt, future::BoxFuture};
use musher_engine::EngineConfig;
use musher_process::{LoginPath, PathSource};
use musher_protocol::*;
use tokio::{sync::Semaphore, time::timeout};

/// The shells hang until there is a permit: one for each test, which may run beside each other.
static FIRST: Semaphore = Semaphore::const_new(0);
static SECOND: Semaphore = Semaphore::const_new(0);

fn late(shell: &'static Semaphore) -> BoxFuture<'static, LoginPath> {
    async move {
        shell.acquire().await.unwrap().forget();
        let path = format!("/from/the/shell:{}", std::env::var("PATH").unwrap());
        LoginPath { path, source: PathSource::Login, note: None }
    }
    .boxed()
}

async fn open(dir: &Path, login: fn() -> BoxFuture<'static, LoginPath>) -> World {
    let config = EngineConfig { login, ..EngineConfig::new(dir.join("data")) };
    timeout(SOON, World::open_as(config)).await.expect("it opens")
}

fn knows_the_shell(info: &AppInfo) -> bool {
    info.runtimes[0].path.as_ref().unwrap().starts_with("/from/the/shell")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_shell_that_hangs_holds_up_only_what_starts_a_program() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = open(dir.path(), || late(&FIRST)).await;
    let mut news = world.engine.news();
    let listed = async {
        assert!(world.engine.run_list().await.unwrap().is_empty());
        assert!(world.engine.project_list().await.unwrap().is_empty());
        world.engine.app_info(HostKind::Server).await.unwrap()
    };
    let info = timeout(SOON, listed).await.expect("lists do not wait");
    assert!(!knows_the_shell(&info), "the shell has said nothing yet");

    let mut start = Box::pin(world.start(|_| {}));
    assert!(start.as_mut().now_or_never().is_none(), "an agent needs the shell's PATH");
    FIRST.add_permits(1);
    let run = timeout(SOON, start).await.expect("the shell has answered").id;
    // The first start adds its project too, so only what is asked afterwards counts.
    let told = timeout(SOON, async { while !news.next().await.unwrap().projects {} });
    told.await.expect("the page is told to ask again");
    assert!(knows_the_shell(&world.engine.app_info(HostKind::Server).await.unwrap()));

    let agent = world.started().await;
    assert!(agent.context.env["PATH"].starts_with("/from/the/shell"));
    agent.end(RunOutcome::Completed);
    world.until(&run, |s| s.phase == RunPhase::Done).await;
}

/// News of the shell's answer alone, and an engine that is closed before it.
#[tokio::test(flavor = "multi_thread")]
async fn the_answer_of_the_shell_is_news() {
    let dir = tempfile::tempdir().unwrap();
    let world = open(dir.path(), || late(&SECOND)).await;
    let mut news = world.engine.news();
    assert!(news.next().now_or_never().is_none(), "nothing is known yet");
    SECOND.add_permits(1);
    assert!(timeout(SOON, news.next()).await.unwrap().unwrap().projects);
    world.engine.shutdown().await;

    let dir = tempfile::tempdir().unwrap();
    let world = open(dir.path(), || late(&SECOND)).await;
    timeout(SOON, world.engine.shutdown()).await.expect("it does not wait for the shell");
}
