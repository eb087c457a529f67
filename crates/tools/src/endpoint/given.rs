//! The endpoint as the engine gives it to a runtime.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use async_trait::async_trait;
use musher_protocol::PermissionMode;
use musher_runtime::{Secrets, ToolEndpoint, ToolServer};

use super::{COMMAND, NAME, READERS, terms::Terms};
use crate::{HostConfig, run};

/// What an endpoint is made of.
pub struct Offer {
    /// The executable with the subcommand [`COMMAND`].
    pub program: PathBuf,
    /// As for a [`crate::Host`]; of `env` only the names are kept, `keeper` must be there. Of `secrets`
    /// the server knows only what it finds by itself; they are taken out of what its commands have said
    /// once it is gone.
    pub config: HostConfig,
    /// Whole lines, the same as in `config`.
    pub rules: Vec<String>,
    pub mode: PermissionMode,
}

/// The endpoint of one run.
pub struct Endpoint {
    program: PathBuf,
    run_dir: PathBuf,
    terms: Mutex<Terms>,
    secrets: Secrets,
}

impl Endpoint {
    /// Writes down what the server will need.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn new(offer: Offer) -> io::Result<Self> {
        let Offer { program, config, rules, mode } = offer;
        let keeper = config.keeper.ok_or_else(|| io::Error::other("no keeper is named"))?;
        let terms = Terms {
            worktree: config.worktree,
            earlier: config.earlier,
            mark: config.mark,
            rules,
            fetch: config.fetch,
            variables: config.env.into_keys().collect(),
            keeper,
            mode,
        };
        terms.save(&config.run_dir)?;
        Ok(Self {
            program,
            run_dir: config.run_dir,
            terms: Mutex::new(terms),
            secrets: config.secrets,
        })
    }

    /// The one of a run that an earlier engine began, if it had one.
    pub fn found(program: PathBuf, run_dir: &Path, secrets: Secrets) -> Option<Self> {
        let terms = Mutex::new(Terms::load(run_dir).ok()?);
        Some(Self { program, run_dir: run_dir.to_owned(), terms, secrets })
    }
}

#[async_trait]
impl ToolEndpoint for Endpoint {
    fn server(&self) -> ToolServer {
        let run_dir = self.run_dir.to_string_lossy().into_owned();
        ToolServer {
            name: NAME.to_owned(),
            program: self.program.clone(),
            args: vec![COMMAND.to_owned(), run_dir],
            readers: READERS.map(str::to_owned).into(),
        }
    }

    fn set_mode(&self, mode: PermissionMode) -> io::Result<()> {
        let mut terms = self.terms.lock().unwrap_or_else(PoisonError::into_inner);
        if terms.mode == mode {
            return Ok(());
        }
        // Under the lock, so that the last one that is set is the one that stands there.
        let changed = Terms { mode, ..terms.clone() };
        changed.save(&self.run_dir)?;
        *terms = changed;
        Ok(())
    }

    async fn end_left_over(&self) -> Vec<u32> {
        let mark = self.terms.lock().unwrap_or_else(PoisonError::into_inner).mark.clone();
        run::end_left_over(&self.run_dir, &mark, &self.secrets).await
    }
}
