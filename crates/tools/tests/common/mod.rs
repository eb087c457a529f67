//! Shared by the tests: a worktree with a canary outside of it, and calls as a runtime makes them.
#![allow(dead_code, unused_imports, reason = "each test program uses a part")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
};

use musher_protocol::PermissionMode;
use musher_runtime::{Call, Intent, ToolHost, ToolOutcome};
pub use musher_testkit::wait::{LIMIT, until, within};
use musher_tools::{Host, HostConfig, Rules};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

/// What must never be read.
pub const CANARY: &str = "canary-8f1c2a";
/// The example `tools-keeper` of this crate, which cargo builds with the tests.
pub fn keeper_program() -> PathBuf {
    musher_testkit::example("tools-keeper").unwrap()
}

pub struct Place {
    pub folder: tempfile::TempDir,
    pub mark: String,
}

impl Place {
    /// A worktree with some files, and a canary beside it.
    pub fn new() -> Self {
        Self::within(&std::env::temp_dir())
    }

    pub fn within(parent: &Path) -> Self {
        let folder = tempfile::tempdir_in(parent).unwrap();
        let name = folder.path().file_name().unwrap().to_str().unwrap();
        let mark = format!("test-{}-{name}", std::process::id());
        let place = Self { folder, mark };
        place.put("../outside/canary.txt", &format!("{CANARY}\n"));
        place.put(".git/config", &format!("{CANARY}\n"));
        place.put(".git/hooks/pre-commit", &format!("{CANARY}\n"));
        place.put("src/main.rs", "fn main() {\n    println!(\"hello\");\n}\n");
        place.put("src/deep/er/lib.rs", "pub fn one() -> u32 {\n    1\n}\n");
        place.put("README.md", "# Read me\n");
        fs::create_dir(place.folder.path().join("run")).unwrap();
        place
    }

    pub fn root(&self) -> PathBuf {
        self.folder.path().join("work")
    }

    pub fn run_dir(&self) -> PathBuf {
        self.folder.path().join("run")
    }

    pub fn outside(&self) -> PathBuf {
        self.folder.path().join("outside")
    }

    pub fn path(&self, path: &str) -> PathBuf {
        self.root().join(path)
    }

    pub fn put(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::create_dir_all(self.root()).unwrap();
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub fn text(&self, path: &str) -> String {
        fs::read_to_string(self.path(path)).unwrap()
    }

    pub fn link(&self, target: &str, path: &str) {
        std::os::unix::fs::symlink(target, self.path(path)).unwrap();
    }

    /// Nothing outside, and nothing of git's, was touched.
    pub fn assert_whole(&self) {
        let names = |folder: &Path| {
            let mut names: Vec<_> =
                fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name()).collect();
            names.sort();
            names
        };
        assert_eq!(names(&self.outside()), ["canary.txt"]);
        assert_eq!(self.text("../outside/canary.txt"), format!("{CANARY}\n"));
        assert_eq!(names(&self.path(".git")), ["config", "hooks"]);
        assert_eq!(names(&self.path(".git/hooks")), ["pre-commit"]);
        assert_eq!(self.text(".git/config"), format!("{CANARY}\n"));
        assert_eq!(self.text(".git/hooks/pre-commit"), format!("{CANARY}\n"));
        assert_eq!(names(self.folder.path()), ["outside", "run", "work"]);
    }

    pub fn config(&self, rules: &str) -> HostConfig {
        HostConfig {
            worktree: self.root(),
            run_dir: self.run_dir(),
            earlier: Vec::new(),
            env: BTreeMap::from([("PATH".into(), "/usr/local/bin:/usr/bin:/bin".into())]),
            mark: self.mark.clone(),
            rules: Rules::parse(rules).unwrap().into(),
            fetch: false,
            keeper: Some(keeper_program()),
            servers: musher_tools::ServerSources::default(),
            secrets: musher_runtime::Secrets::default(),
        }
    }

    pub fn host(&self) -> Host {
        self.host_with("")
    }

    pub fn host_with(&self, rules: &str) -> Host {
        Host::new(self.config(rules)).unwrap()
    }
}

impl Drop for Place {
    /// A failed test leaves nothing running either.
    fn drop(&mut self) {
        for folder in fs::read_dir(self.run_dir().join("tools")).into_iter().flatten().flatten() {
            let mark = format!("{}.{}", self.mark, folder.file_name().to_string_lossy());
            for process in musher_process::processes_with_mark(&mark) {
                process.signal(rustix::process::Signal::KILL);
            }
        }
    }
}

pub fn call(name: &str, input: Value) -> Call {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let id = format!("call_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
    Call { id, name: name.to_owned(), input }
}

pub async fn intent(host: &Host, name: &str, input: Value) -> Result<Intent, String> {
    host.intent(&call(name, input), PermissionMode::Bypass).await
}

/// Judges and does a call, as a runtime would with leave.
pub async fn done(host: &Host, name: &str, input: Value) -> ToolOutcome {
    done_until(host, name, input, CancellationToken::new()).await
}

pub async fn done_until(
    host: &Host,
    name: &str,
    input: Value,
    stop: CancellationToken,
) -> ToolOutcome {
    let call = call(name, input);
    match host.intent(&call, PermissionMode::Bypass).await {
        Ok(_) => within(host.call(&call, stop)).await,
        Err(text) => ToolOutcome::error(text),
    }
}

pub async fn ok(host: &Host, name: &str, input: Value) -> String {
    let outcome = done(host, name, input).await;
    assert!(!outcome.is_error, "{}", outcome.text);
    outcome.text
}

pub async fn error(host: &Host, name: &str, input: Value) -> String {
    let outcome = done(host, name, input).await;
    assert!(outcome.is_error, "{}", outcome.text);
    outcome.text
}
