//! `list_files`: what is in a folder and below it.

use std::{fmt::Write, ops::ControlFlow};

use globset::GlobMatcher;
use musher_protocol::ToolKind;
use musher_runtime::ToolOutcome;
use rustix::fs::FileType;
use schemars::JsonSchema;
use serde::Deserialize;
use tokio_util::sync::CancellationToken;

use crate::{
    Demand,
    files::FileTool,
    rules::{Access, path_glob},
    show::visible,
    site::Site,
    tool::STOPPED,
    walk::{Entry, Walk},
};

const MOST: usize = 1000;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Arguments {
    /// The folder, from the worktree's folder on; by default the worktree itself.
    folder: Option<String>,
    /// Only files whose name matches, for example `*.rs`; with a `/` in it, whose path from the
    /// worktree's folder on matches, for example `src/**/*.rs`.
    glob: Option<String>,
    /// How many levels deep to look; 1 is the folder alone. By default all.
    depth: Option<usize>,
    /// Also what the ignore files leave out. By default false.
    ignored: Option<bool>,
}

pub struct ListFiles;

impl FileTool for ListFiles {
    type Arguments = Arguments;

    const NAME: &'static str = "list_files";
    const DESCRIPTION: &'static str = "\
        Lists the files below a folder of the worktree, one path a line, without those that the \
        ignore files leave out. Folders that are not looked into end with `/`, links with `@`.";
    const KIND: ToolKind = ToolKind::Search;
    const ACCESS: Access = Access::Read;

    fn look(wanted: &Arguments) -> Result<(&str, String), String> {
        glob(wanted.glob.as_deref())?;
        let folder = wanted.folder.as_deref().unwrap_or(".");
        let title = match &wanted.glob {
            Some(glob) => format!("{} in {}", visible(glob), visible(folder)),
            None => visible(folder),
        };
        Ok((folder, title))
    }

    fn work(
        site: &Site,
        demand: Option<&Demand>,
        wanted: &Arguments,
        stop: &CancellationToken,
    ) -> Result<ToolOutcome, String> {
        list(site, demand, wanted, stop).map(ToolOutcome::text)
    }
}

/// The matcher of a model's glob.
pub fn glob(text: Option<&str>) -> Result<Option<GlobMatcher>, String> {
    text.map(path_glob).transpose()
}

fn list(
    site: &Site,
    demand: Option<&Demand>,
    wanted: &Arguments,
    stop: &CancellationToken,
) -> Result<String, String> {
    let path = site.root.relative(wanted.folder.as_deref().unwrap_or("."));
    let path = path.map_err(|error| error.to_string())?;
    let folder = site.root.open_folder(&path).map_err(|error| error.to_string())?;
    site.admit(Access::Read, demand, &folder.place)?;
    let glob = glob(wanted.glob.as_deref())?;
    let mut walk = Walk::new(site, stop);
    walk.ignored = wanted.ignored.unwrap_or(false);
    walk.depth = wanted.depth.unwrap_or(walk.depth).clamp(1, walk.depth);
    let (mut lines, mut more) = (Vec::new(), false);
    walk.go(&folder, &mut |entry| {
        let fits = glob.as_ref().is_none_or(|glob| glob.is_match(entry.path.as_str()));
        let Some(line) = line(entry).filter(|_| fits) else { return ControlFlow::Continue(()) };
        more = lines.len() >= MOST;
        if more {
            return ControlFlow::Break(());
        }
        lines.push(line);
        ControlFlow::Continue(())
    });
    if stop.is_cancelled() {
        return Err(STOPPED.to_owned());
    }
    let mut text = lines.iter().fold(String::new(), |text, line| text + line + "\n");
    if lines.is_empty() {
        text.push_str("[nothing]\n");
    }
    if more {
        let _ = writeln!(text, "[only the first {MOST}; name a folder, a glob or a depth]");
    }
    if let Some(cut) = walk.cut {
        let _ = writeln!(text, "[{cut}]");
    }
    Ok(text)
}

fn line(entry: &Entry<'_>) -> Option<String> {
    let path = visible(entry.path.as_str());
    match entry.kind {
        FileType::RegularFile => Some(path),
        FileType::Symlink => Some(path + "@"),
        FileType::Directory => entry.closed.then_some(path + "/"),
        _ => None,
    }
}
