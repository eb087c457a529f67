//! Where the programs are, and which version.

use std::{
    collections::{BTreeMap, HashMap},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use musher_process::{Cmd, Environment, find_program, run};

/// Which program a runtime runs. Both speak the same language.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flavour {
    ClaudeCode,
    /// The built-in demo agent: only the model is scripted.
    Demo,
}

impl Flavour {
    /// The program, from the user's PATH and the places where installers put it.
    pub fn find(self, path: &str, home: Option<&str>) -> Option<PathBuf> {
        match self {
            Self::ClaudeCode => find_program("claude", path).or_else(|| find_claude(home)),
            Self::Demo => find_demo(),
        }
    }

    /// How to get it.
    pub fn hint(self) -> &'static str {
        match self {
            Self::ClaudeCode => "Install it with `npm install -g @anthropic-ai/claude-code`.",
            Self::Demo => "Reinstall Musher: musher-demo-agent belongs beside its program.",
        }
    }
}

/// Places of the native installer, of npm with a prefix of its own, of Homebrew and of Bun.
fn find_claude(home: Option<&str>) -> Option<PathBuf> {
    let in_home = [".claude/local", ".local/bin", ".npm-global/bin", ".bun/bin"];
    let homes = home.into_iter().flat_map(|home| in_home.map(|dir| Path::new(home).join(dir)));
    let fixed = ["/usr/local/bin", "/opt/homebrew/bin"].map(PathBuf::from);
    let folders = std::env::join_paths(homes.chain(fixed)).ok()?;
    find_program("claude", folders.to_str()?)
}

/// Beside our own program, or one folder up, where cargo puts it for tests.
fn find_demo() -> Option<PathBuf> {
    let name = format!("musher-demo-agent{}", std::env::consts::EXE_SUFFIX);
    let own = std::env::current_exe().ok()?;
    let mut places = own.ancestors().skip(1).take(2).map(|folder| folder.join(&name));
    places.find(|at| at.is_file())
}

/// `--version` of a program, asked once for each state of its file.
#[derive(Debug, Default)]
pub(super) struct Versions {
    known: Mutex<HashMap<FileState, Option<String>>>,
}

/// A program's path, and when it was written.
type FileState = (PathBuf, Option<SystemTime>);

impl Versions {
    pub async fn of(&self, program: &Path, path: &str) -> Option<String> {
        let changed = std::fs::metadata(program).and_then(|file| file.modified()).ok();
        let key = (program.to_owned(), changed);
        let known = |known: &Mutex<HashMap<_, _>>| {
            known.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned()
        };
        if let Some(version) = known(&self.known) {
            return version;
        }
        let version = ask(program, path).await;
        let mut table = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        table.insert(key, version.clone());
        version
    }
}

async fn ask(program: &Path, path: &str) -> Option<String> {
    let mut cmd = Cmd::new(program, std::env::temp_dir()).args(["--version"]);
    cmd.env = Environment::for_agent(&BTreeMap::new(), path);
    cmd.timeout = Duration::from_secs(10);
    cmd.output_limit = 64 << 10;
    let finished = run(cmd).await.ok().filter(|finished| finished.success())?;
    // `2.1.330 (Claude Code)`
    let text = String::from_utf8_lossy(&finished.stdout);
    let version =
        text.split_whitespace().find(|word| word.starts_with(|c: char| c.is_ascii_digit()));
    version.map(str::to_owned)
}
