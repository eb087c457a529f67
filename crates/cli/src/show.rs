//! The commands that only look.

use std::{path::Path, process::ExitCode};

use musher_engine::EngineConfig;
use musher_protocol::*;

use crate::{
    follow, print,
    reach::{Reach, no_run},
    runs::absolute,
};

pub async fn runs(data_dir: &Path, json: bool) -> Result<ExitCode, ApiError> {
    let mut runs: Vec<RunSummary> = Vec::new();
    // A look makes nothing.
    if musher_engine::is_there(data_dir)? {
        let reach = Reach::open(data_dir).await?;
        runs = reach.call("run_list", &Empty {}).await?;
        reach.close().await;
    }
    runs.iter().for_each(|run| print::summary(run, json));
    if runs.is_empty() && !json {
        print::line("No runs yet. Start one: musher run \"…\" --repo DIR");
    }
    Ok(ExitCode::SUCCESS)
}

pub async fn events(
    data_dir: &Path,
    json: bool,
    run: &str,
    from: u64,
    follow: bool,
) -> Result<ExitCode, ApiError> {
    if !musher_engine::is_there(data_dir)? {
        return Err(no_run(run));
    }
    let reach = Reach::open(data_dir).await?;
    let run = reach.find_run(run).await?.id;
    let code = follow::events(&reach, &run, from, follow, json).await;
    reach.close().await;
    code
}

pub async fn worktrees(data_dir: &Path, json: bool, dir: &Path) -> Result<ExitCode, ApiError> {
    let config = EngineConfig::new(data_dir.to_owned());
    let worktrees = musher_engine::worktrees_of(&config, &absolute(dir)?).await?;
    for worktree in &worktrees {
        match json {
            true => print::json(worktree),
            false => print::line(&described(worktree)),
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn described(worktree: &Worktree) -> String {
    let branch = worktree.branch.as_deref().unwrap_or("(no branch)");
    let mut notes = Vec::new();
    for (holds, note) in [
        (worktree.main, "main checkout"),
        (worktree.owned, "made by Musher"),
        (worktree.locked, "locked"),
        (worktree.missing, "its folder is gone"),
    ] {
        if holds {
            notes.push(note);
        }
    }
    format!("{}  {branch}  {}", worktree.path, notes.join(", "))
}
