//! The table of commands in front of a real engine.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
// A test starts real programs and waits for them itself.
#![allow(clippy::disallowed_methods)]

use std::{path::Path, process::Command, sync::Mutex};

use async_trait::async_trait;
use musher_api::{Host, OpenTarget, TerminalHost, dispatch};
use musher_engine::{Engine, EngineConfig};
use musher_protocol::{ApiError, COMMANDS, ErrorCode, HostKind};
use musher_runtime::Registry;
use serde_json::{Value, json};

struct World {
    engine: Engine,
    dir: tempfile::TempDir,
}

async fn world() -> World {
    let dir = tempfile::tempdir().unwrap();
    let config = EngineConfig::new(dir.path().join("data"));
    let engine = Engine::open(config, Registry::default()).await.unwrap();
    World { engine, dir }
}

impl World {
    async fn call(&self, name: &str, params: Value) -> Result<Value, ApiError> {
        let host = TerminalHost::new(HostKind::Terminal);
        let text = dispatch(&self.engine, &host, name, &params.to_string()).await?;
        Ok(serde_json::from_str(&text).unwrap())
    }

    async fn code(&self, name: &str, params: Value) -> ErrorCode {
        self.call(name, params).await.expect_err(name).code
    }

    fn repository(&self) -> std::path::PathBuf {
        let dir = self.dir.path().join("sundial");
        std::fs::create_dir(&dir).unwrap();
        let author = ["-c", "user.name=Test", "-c", "user.email=test@localhost"];
        for args in [&["init", "-q"][..], &["commit", "-q", "--allow-empty", "-m", "begin"]] {
            let git = Command::new("git").args(author).args(args).current_dir(&dir).status();
            assert!(git.unwrap().success());
        }
        dir
    }
}

/// Takes what is to be opened.
#[derive(Default)]
struct Opener(Mutex<Vec<OpenTarget>>);

#[async_trait]
impl Host for Opener {
    fn kind(&self) -> HostKind {
        HostKind::Window
    }

    async fn pick_folders(&self) -> Result<Vec<String>, ApiError> {
        Ok(vec!["/chosen".to_owned()])
    }

    async fn open_external(&self, target: OpenTarget) -> Result<(), ApiError> {
        self.0.lock().unwrap().push(target);
        Ok(())
    }

    async fn show(&self, _folders: Vec<String>) -> Result<(), ApiError> {
        Ok(())
    }
}

#[tokio::test]
async fn a_project_is_added_listed_and_removed() {
    let world = world().await;
    let repository = world.repository();
    let added = world.call("project_add", json!({ "path": repository })).await.unwrap();
    assert_eq!(added["name"], "sundial");
    let listed = world.call("project_list", json!({})).await.unwrap();
    assert_eq!(listed, json!([added]));
    let params = json!({ "project": added["id"] });
    assert_eq!(world.call("project_remove", params).await.unwrap(), json!({}));
    assert_eq!(world.call("project_list", Value::Null).await.unwrap(), json!([]));
}

#[tokio::test]
async fn the_host_is_named() {
    let world = world().await;
    assert_eq!(world.call("app_info", json!({})).await.unwrap()["host"], "terminal");
}

#[tokio::test]
async fn what_needs_a_window_is_unsupported_without_one() {
    let world = world().await;
    assert_eq!(world.code("folder_pick", json!({})).await, ErrorCode::Unsupported);
    let link = json!({ "target": "https://example.org" });
    assert_eq!(world.code("open_external", link).await, ErrorCode::Unsupported);
}

#[tokio::test]
async fn only_files_of_known_worktrees_are_opened() {
    let world = world().await;
    let repository = world.repository();
    std::fs::write(repository.join("a.txt"), "a").unwrap();
    let opener = Opener::default();
    let open = async |target: &Path| {
        let params = json!({ "target": target }).to_string();
        dispatch(&world.engine, &opener, "open_external", &params).await
    };
    assert!(open(&repository.join("a.txt")).await.is_err());
    world.call("project_add", json!({ "path": repository })).await.unwrap();
    open(&repository.join("a.txt")).await.unwrap();
    assert!(open(Path::new("/etc/passwd")).await.is_err());
    assert!(open(&repository.join("../../../etc/passwd")).await.is_err());
    let opened = opener.0.lock().unwrap();
    assert_eq!(*opened, [OpenTarget::File(repository.canonicalize().unwrap().join("a.txt"))]);
}

#[tokio::test]
async fn unknown_commands_and_runs_are_not_found() {
    let world = world().await;
    assert_eq!(world.code("no_such", json!({})).await, ErrorCode::NotFound);
    let params = json!({ "run": "01999999-0000-7000-8000-000000000000" });
    assert_eq!(world.code("run_get", params).await, ErrorCode::NotFound);
}

/// Each command answers with a reply or a typed error to parameters of every wrong shape.
#[tokio::test]
async fn no_command_takes_what_it_does_not_know() {
    let world = world().await;
    for (name, params, _) in COMMANDS {
        for wrong in
            [json!([1]), json!(7), json!("x"), json!({ "run": {}, "path": 1, "project": [] })]
        {
            let answer = world.call(name, wrong.clone()).await;
            let takes_nothing = *params == "Empty" && wrong.is_object();
            if !takes_nothing {
                let code = answer.expect_err(name).code;
                assert_eq!(code, ErrorCode::BadRequest, "{name} {wrong}");
            }
        }
    }
}
