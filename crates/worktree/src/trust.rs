//! What in a repository can run by itself, each with a hash, so that a person can approve exactly that
//! and is asked again when a byte of it changes.
//!
//! Looked at: settings, hooks and tool servers of coding agents, editors' tasks, files that shells and
//! hook tools load, git's hooks, and git settings of the repository that name programs. Not looked at:
//! instructions for agents (`CLAUDE.md`, `AGENTS.md`), which run nothing, and build files, which run
//! only when somebody builds.

use std::io::Read;
use std::path::{Path, PathBuf};

use musher_protocol::TrustItem;
use sha2::{Digest, Sha256};

use crate::error::{Result, WorktreeError};
use crate::files::blocking;
use crate::git::Git;
use crate::programs::{Setting, danger};

/// Files and folders by name, with what they can do. Folders are taken with all that is in them.
const WATCHED: &[(&str, &str)] = &[
    (".claude/agents", "Agents of Claude Code, with the tools that they may use."),
    (".claude/commands", "Commands of Claude Code, which can run programs."),
    (".claude/hooks", "Programs that Claude Code runs by itself."),
    (".claude/plugins", "Plugins of Claude Code, which can run programs."),
    (".claude/settings.json", "Settings of Claude Code: hooks, permissions, environment."),
    (".claude/settings.local.json", "Settings of Claude Code: hooks, permissions, environment."),
    (".claude/skills", "Skills of Claude Code, which can run programs."),
    (".codex", "Settings of Codex: tool servers and permissions."),
    (".cursor/hooks.json", "Programs that Cursor runs by itself."),
    (".cursor/mcp.json", "Tool servers that Cursor starts."),
    (".devcontainer", "Programs that a development container runs."),
    (".env", "Variables that some agents load."),
    (".envrc", "A script that direnv runs."),
    (".gemini", "Settings of Gemini CLI: tool servers and permissions."),
    (".husky", "git hooks, which run with git commands."),
    (".mcp.json", "Tool servers that agents start."),
    (".musher", "Musher's own scripts for this project."),
    (".opencode", "Settings of opencode: tool servers, plugins and permissions."),
    (".pre-commit-config.yaml", "git hooks, which run with git commands."),
    (".vscode/launch.json", "Programs that an editor starts."),
    (".vscode/mcp.json", "Tool servers that an editor starts."),
    (".vscode/settings.json", "Settings of an editor, which can name programs."),
    (".vscode/tasks.json", "Programs that an editor runs."),
    ("lefthook.yml", "git hooks, which run with git commands."),
    ("opencode.json", "Settings of opencode: tool servers, plugins and permissions."),
];

/// More files than this in the watched folders are an error: they could not be shown to a person.
const MOST_FILES: usize = 2000;
const DEEPEST: usize = 12;

/// What can run by itself, sorted by path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustItems {
    pub items: Vec<TrustItem>,
    /// SHA-256 over all of them.
    pub digest: String,
}

impl Git {
    /// Lists and hashes. Reads files and settings; runs nothing of the repository.
    pub async fn trust_items(&self, worktree: &Path) -> Result<TrustItems> {
        let settings = self.settings(worktree.into()).await?;
        let common = self
            .ask(worktree, &["rev-parse", "--path-format=absolute", "--git-common-dir"])
            .done()
            .await?;
        let (top, common) = (worktree.to_owned(), PathBuf::from(common.line()));
        blocking(move || collected(&top, &common, &settings)).await
    }
}

fn collected(worktree: &Path, common: &Path, settings: &[Setting]) -> Result<TrustItems> {
    let mut items = setting_items(settings);
    for (hooks, label) in hook_folders(worktree, common, settings) {
        items.extend(hook_items(&hooks, label)?);
    }
    items.extend(file_items(worktree)?);
    items.sort_by(|a, b| (&a.path, &a.digest).cmp(&(&b.path, &b.digest)));
    items.dedup();
    let digest = digest_of(&items);
    Ok(TrustItems { items, digest })
}

fn digest_of(items: &[TrustItem]) -> String {
    let mut hash = Sha256::new();
    for item in items {
        hash.update(format!("{}\0{}\0{}\n", item.path, item.what, item.digest));
    }
    hex(hash)
}

/// The repository's own settings that name a program; the user's and the machine's are their own.
fn setting_items(settings: &[Setting]) -> Vec<TrustItem> {
    let own = settings.iter().filter(|setting| setting.own);
    let dangerous = own.filter_map(|setting| danger(setting).map(|what| (setting, what)));
    let item = |(setting, what): (&Setting, &str)| TrustItem {
        path: format!("git config: {}", setting.key),
        what: format!("{what} Now: {}", setting.value.chars().take(200).collect::<String>()),
        digest: hex(Sha256::new().chain_update(&setting.value)),
    };
    dangerous.map(item).collect()
}

/// git's own folder, and the one that `core.hooksPath` names when it is not the same.
/// The labels tell the two apart, and are the same in every worktree of a repository.
fn hook_folders(
    worktree: &Path,
    common: &Path,
    settings: &[Setting],
) -> Vec<(PathBuf, &'static str)> {
    let named = settings.iter().rev().find(|s| s.own && s.key == "core.hookspath");
    let mut folders = vec![(common.join("hooks"), "git hook")];
    let named = named.map(|setting| worktree.join(&setting.value));
    folders.extend(named.map(|folder| (folder, "git hook of core.hooksPath")));
    folders
}

fn hook_items(folder: &Path, label: &str) -> Result<Vec<TrustItem>> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Ok(Vec::new()) };
    let mut items = Vec::new();
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if !name.ends_with(".sample") && runs(&entry.path()) {
            let what = "A git hook: a program that git runs by itself.".to_owned();
            items.push(TrustItem {
                path: format!("{label}: {name}"),
                what,
                digest: file_digest(&entry.path())?,
            });
        }
    }
    Ok(items)
}

fn runs(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    path.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

fn file_items(worktree: &Path) -> Result<Vec<TrustItem>> {
    let top = worktree.canonicalize().map_err(|e| WorktreeError::io(worktree, e))?;
    let mut items = Vec::new();
    for (name, what) in WATCHED {
        let mut files = Vec::new();
        collect(&top.join(name), 0, &mut files)?;
        for file in files {
            items.push(file_item(&top, &file, what)?);
        }
    }
    Ok(items)
}

/// Files, links included, below a path. Folders behind links are not entered: the link is the item.
fn collect(path: &Path, depth: usize, files: &mut Vec<PathBuf>) -> Result<()> {
    let Ok(meta) = path.symlink_metadata() else { return Ok(()) };
    if files.len() >= MOST_FILES || depth > DEEPEST {
        let said = format!("`{}` holds too many files to show them for approval", path.display());
        return Err(WorktreeError::Failed { what: "trust".into(), said });
    }
    if !meta.is_dir() {
        files.push(path.to_owned());
        return Ok(());
    }
    let entries = std::fs::read_dir(path).map_err(|e| WorktreeError::io(path, e))?;
    for entry in entries.flatten() {
        collect(&entry.path(), depth + 1, files)?;
    }
    Ok(())
}

fn file_item(top: &Path, file: &Path, what: &str) -> Result<TrustItem> {
    let path = file.strip_prefix(top).unwrap_or(file).to_string_lossy().into_owned();
    let target = file.read_link().ok();
    let Some(target) = target else {
        return Ok(TrustItem { path, what: what.to_owned(), digest: file_digest(file)? });
    };
    let real = file.canonicalize().ok();
    let out = real.as_ref().is_none_or(|real| !real.starts_with(top));
    let lead = if out { "out of the worktree, to" } else { "to" };
    let mut hash = Sha256::new().chain_update(target.to_string_lossy().as_bytes());
    if let Some(real) = real.filter(|real| real.is_file()) {
        hash.update(file_digest(&real)?);
    }
    Ok(TrustItem {
        path,
        what: format!("{what} It is a link {lead} `{}`.", target.display()),
        digest: hex(hash),
    })
}

/// Pipes and devices are not read: opening one could wait for ever.
fn file_digest(path: &Path) -> Result<String> {
    let io = |e| WorktreeError::io(path, e);
    let mut hash = Sha256::new();
    if !path.metadata().map_err(io)?.is_file() {
        return Ok(hex(hash.chain_update("not a file")));
    }
    let mut file = std::fs::File::open(path).map_err(io)?;
    let mut buffer = vec![0; 64 << 10];
    loop {
        match file.read(&mut buffer).map_err(io)? {
            0 => return Ok(hex(hash)),
            count => hash.update(&buffer[..count]),
        }
    }
}

fn hex(hash: Sha256) -> String {
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}
