//! `endpoint.json`: what the server must know of its run. The engine writes it, the server reads it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
};

use musher_protocol::PermissionMode;
use musher_runtime::Secrets;
use serde::{Deserialize, Serialize};

use crate::{HostConfig, Rules, ServerSources, rules::RuleError};

/// Its name in the run's folder.
pub const FILE: &str = "endpoint.json";

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Terms {
    pub worktree: PathBuf,
    /// Not written where there are none: so a server that an older engine started, which knows nothing of
    /// it, still reads the terms of its run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub earlier: Vec<PathBuf>,
    pub mark: String,
    /// Whole lines: `deny run git push*`.
    pub rules: Vec<String>,
    pub fetch: bool,
    /// Names of the variables that commands get. Their values may be secrets, so they are not here.
    pub variables: BTreeSet<String>,
    pub keeper: PathBuf,
    pub mode: PermissionMode,
}

impl Terms {
    pub fn load(run_dir: &Path) -> io::Result<Self> {
        Ok(serde_json::from_slice(&fs::read(run_dir.join(FILE))?)?)
    }

    /// Whole: who reads meanwhile sees the old ones or the new ones.
    pub fn save(&self, run_dir: &Path) -> io::Result<()> {
        let draft = run_dir.join(format!("{FILE}.new"));
        fs::write(&draft, serde_json::to_vec(self)?)?;
        fs::rename(draft, run_dir.join(FILE))
    }

    /// The tools' surroundings, with what `environment` has of the named variables.
    pub fn config(
        &self,
        run_dir: &Path,
        environment: impl IntoIterator<Item = (String, String)>,
        secrets: Secrets,
    ) -> Result<HostConfig, RuleError> {
        let named = |(name, _): &(String, String)| self.variables.contains(name);
        let env: BTreeMap<String, String> = environment.into_iter().filter(named).collect();
        Ok(HostConfig {
            worktree: self.worktree.clone(),
            run_dir: run_dir.to_owned(),
            earlier: self.earlier.clone(),
            env,
            mark: self.mark.clone(),
            rules: Rules::parse(&self.rules.join("\n"))?.into(),
            fetch: self.fetch,
            keeper: Some(self.keeper.clone()),
            servers: ServerSources::default(),
            secrets,
        })
    }
}
