//! Shared by the tests: a run folder, a shell as the child, and waiting on real conditions.
#![allow(dead_code, unused_imports, reason = "each test program uses a part")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::{Path, PathBuf};

use musher_process::{Keeper, ProcessError, SpawnSpec, SpoolReader, Transport};
pub use musher_testkit::wait::{LIMIT, until, within};

pub const BOTH: [Transport; 2] = [Transport::Pty, Transport::Pipe];

/// The example `keeper` of this crate, which cargo builds with the tests.
pub fn keeper_program() -> PathBuf {
    musher_testkit::example("keeper").unwrap()
}

pub struct Run {
    pub folder: tempfile::TempDir,
    pub mark: String,
}

impl Run {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let name = folder.path().file_name().unwrap().to_str().unwrap();
        let mark = format!("test-{}-{name}", std::process::id());
        Self { folder, mark }
    }

    pub fn dir(&self) -> PathBuf {
        self.folder.path().join("run")
    }

    pub fn spec(&self, program: impl Into<PathBuf>, transport: Transport) -> SpawnSpec {
        let mut spec = SpawnSpec::new(program, self.folder.path(), &self.mark);
        spec.env.insert("PATH".into(), "/usr/local/bin:/usr/bin:/bin".into());
        spec.transport = transport;
        spec
    }

    pub fn shell(&self, script: &str, transport: Transport) -> SpawnSpec {
        let mut spec = self.spec("/bin/sh", transport);
        spec.args = vec!["-c".into(), script.into()];
        spec
    }

    pub async fn start(&self, spec: SpawnSpec) -> Result<Keeper, ProcessError> {
        Keeper::start_with(&keeper_program(), &self.dir(), spec).await
    }

    pub async fn start_shell(&self, script: &str, transport: Transport) -> Keeper {
        self.start(self.shell(script, transport)).await.unwrap()
    }
}

impl Drop for Run {
    /// A failed test leaves nothing running either.
    fn drop(&mut self) {
        for process in musher_process::processes_with_mark(&self.mark) {
            process.signal(rustix::process::Signal::KILL);
        }
    }
}

/// Everything up to the end.
pub async fn read_all(mut reader: SpoolReader) -> Vec<u8> {
    let mut out = Vec::new();
    within(async { while reader.read(&mut out).await.unwrap() > 0 {} }).await;
    out
}

/// Reads until `text` has come.
pub async fn read_until(reader: &mut SpoolReader, text: &str) -> String {
    let mut out = Vec::new();
    within(async {
        loop {
            if String::from_utf8_lossy(&out).contains(text) {
                return;
            }
            let count = reader.read(&mut out).await.unwrap();
            assert!(count > 0, "ended before {text:?}: {}", String::from_utf8_lossy(&out));
        }
    })
    .await;
    String::from_utf8_lossy(&out).into_owned()
}

pub fn alive(mark: &str) -> Vec<u32> {
    musher_process::processes_with_mark(mark).iter().map(|process| process.pid).collect()
}

pub fn segments(dir: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ext| ext == "spool"))
        .collect();
    found.sort();
    found
}

pub fn keeper_pid(dir: &Path) -> u32 {
    let text = std::fs::read(dir.join("keeper.json")).unwrap();
    let value: serde_json::Value = serde_json::from_slice(&text).unwrap();
    u32::try_from(value["keeper"]["pid"].as_u64().unwrap()).unwrap()
}
