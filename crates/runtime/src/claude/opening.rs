//! What a run was begun with, kept in its folder: a later engine that attaches goes on with the same.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::{RuntimeContext, RuntimeError};

const FILE: &str = "opening.json";

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Opening {
    pub prompt: String,
    pub prompt_id: String,
    pub resume: Option<String>,
    /// Tried once when `resume` is rejected.
    pub fresh_prompt: Option<String>,
}

impl Opening {
    pub fn of(context: &RuntimeContext) -> Self {
        Self {
            prompt: context.prompt.clone(),
            prompt_id: context.prompt_id.clone(),
            resume: context.session_id_to_resume.clone(),
            fresh_prompt: context.fresh_prompt.clone(),
        }
    }

    /// How it goes on when the session to resume is not known.
    pub fn fresh(&self) -> Option<Self> {
        let prompt = self.fresh_prompt.clone().filter(|_| self.resume.is_some())?;
        Some(Self { prompt, prompt_id: self.prompt_id.clone(), ..Self::default() })
    }

    pub async fn save(&self, run_dir: &Path) -> Result<(), RuntimeError> {
        save(run_dir, FILE, self).await
    }

    pub async fn load(run_dir: &Path) -> Option<Self> {
        load(run_dir, FILE).await
    }
}

/// Writes a small file of a run folder whole: a reader sees the old one or the new one.
pub(super) async fn save(
    dir: &Path,
    name: &str,
    value: &impl Serialize,
) -> Result<(), RuntimeError> {
    let failed = |error: &dyn std::fmt::Display| {
        RuntimeError::Process(format!("{} could not be written: {error}", dir.join(name).display()))
    };
    let json = serde_json::to_vec(value).map_err(|error| failed(&error))?;
    let draft = dir.join(format!("{name}.new"));
    tokio::fs::write(&draft, json).await.map_err(|error| failed(&error))?;
    tokio::fs::rename(&draft, dir.join(name)).await.map_err(|error| failed(&error))
}

/// Reads such a file; `None` when there is none, or none that makes sense.
pub(super) async fn load<T: serde::de::DeserializeOwned>(dir: &Path, name: &str) -> Option<T> {
    serde_json::from_slice(&tokio::fs::read(dir.join(name)).await.ok()?).ok()
}

/// Removes such files.
pub(super) fn clear(dir: &Path) {
    for name in [FILE, super::checkpoint::FILE, super::stderr::FILE] {
        let _ = std::fs::remove_file(dir.join(name));
    }
}
