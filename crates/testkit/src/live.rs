//! The real `claude` for tests: its own home, a scripted model on this machine, nothing else of the
//! world. Where it is, `cargo xtask test --live` says by `MUSHER_LIVE_CLAUDE`; that command also
//! fetches it.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

use crate::{Repo, ScriptedModel};

/// Surroundings for one real `claude`.
pub struct Live {
    pub claude: PathBuf,
    pub model: ScriptedModel,
    pub repo: Repo,
}

impl Live {
    pub fn new() -> Result<Self> {
        Ok(Self { claude: find()?, model: ScriptedModel::start()?, repo: Repo::new()? })
    }

    /// The whole environment. As root, `claude` refuses to skip permissions: do not ask it to.
    pub fn env(&self) -> BTreeMap<String, String> {
        let fixed = [
            ("ANTHROPIC_API_KEY", "test-key"),
            ("DISABLE_AUTOUPDATER", "1"),
            ("DISABLE_TELEMETRY", "1"),
            ("DISABLE_ERROR_REPORTING", "1"),
            ("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1"),
            // The default is ten, which takes minutes.
            ("CLAUDE_CODE_MAX_RETRIES", "1"),
            ("LANG", "C.UTF-8"),
        ];
        let mut env: BTreeMap<String, String> =
            fixed.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        env.extend(self.repo.env().into_iter().map(|(name, value)| (name.to_owned(), value)));
        env.insert("ANTHROPIC_BASE_URL".into(), self.model.url());
        env
    }
}

fn find() -> Result<PathBuf> {
    let named = std::env::var_os("MUSHER_LIVE_CLAUDE").map(PathBuf::from);
    let found = named.or_else(fetched).filter(|path| path.is_file());
    found
        .context("there is no claude to test with: run `cargo xtask test --live`, which fetches it")
}

/// Where `cargo xtask test --live` puts it.
fn fetched() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2)?;
    let versions = std::fs::read_dir(root.join("target/live")).ok()?.filter_map(Result::ok);
    versions
        .map(|version| {
            version.path().join("node_modules/@anthropic-ai/claude-code-linux-x64/claude")
        })
        .find(|path| path.is_file())
}
