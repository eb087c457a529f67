//! Which tool servers a run has: those of its settings, and those of the project's `.mcp.json` once the
//! project is trusted. Both have the shape that the clients of the protocol share (Claude Code's page
//! "Connect Claude Code to tools via MCP", November 2026):
//!
//! ```text
//! {"mcpServers": {"<name>": {"command": "...", "args": [], "env": {}, "cwd": "..."},
//!                 "<name>": {"type": "http", "url": "...", "headers": {}}}}
//! ```
//!
//! `${NAME}` and `${NAME:-instead}` stand for a variable of the run's environment, which holds no keys of
//! providers. What cannot be read is a warning, and leaves the other servers alone.

use std::{
    collections::BTreeMap,
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

use serde::Deserialize;
use serde_json::Value;

use crate::{
    HostConfig,
    paths::{PathError, Root},
    show::visible,
};

/// The project's own list, in its root.
const OF_PROJECT: &str = ".mcp.json";
const LARGEST: u64 = 1 << 20;
/// More are a mistake.
pub const MOST_SERVERS: usize = 32;

/// A server as it was asked for. It has no `Debug`: variables and headers hold secrets.
pub struct Wanted {
    pub name: String,
    pub via: Via,
}

pub enum Via {
    Child(Command),
    Http(Remote),
}

pub struct Command {
    pub program: String,
    pub args: Vec<String>,
    pub env: BTreeMap<String, String>,
    pub cwd: PathBuf,
}

pub struct Remote {
    pub url: String,
    pub headers: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct List {
    #[serde(rename = "mcpServers")]
    servers: BTreeMap<String, Value>,
}

#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
struct Entry {
    #[serde(rename = "type")]
    kind: Option<String>,
    command: Option<String>,
    args: Vec<String>,
    env: BTreeMap<String, String>,
    cwd: Option<PathBuf>,
    url: Option<String>,
    headers: BTreeMap<String, String>,
    disabled: bool,
}

/// The run's servers in the order of their names, and what is wrong with the lists.
pub fn read(config: &HostConfig) -> (Vec<Wanted>, Vec<String>) {
    let mut warnings = Vec::new();
    let mut servers = BTreeMap::new();
    let lists = [of_project(config), of_settings(config)];
    for list in lists.into_iter().flatten() {
        match list {
            // The settings come last: a person's own word about a name counts.
            Ok(list) => servers.extend(list.servers),
            Err(why) => warnings.push(why),
        }
    }
    if servers.len() > MOST_SERVERS {
        warnings.push(format!("Only the first {MOST_SERVERS} tool servers are started."));
    }
    let mut wanted = Vec::new();
    for (name, value) in servers.into_iter().take(MOST_SERVERS) {
        match server(&value, config) {
            Ok(Some(via)) => wanted.push(Wanted { name, via }),
            Ok(None) => {}
            Err(why) => {
                let name = visible(&name);
                warnings.push(format!("The tool server `{name}` is not started: {why}."));
            }
        }
    }
    (wanted, warnings)
}

fn of_project(config: &HostConfig) -> Option<Result<List, String>> {
    if !config.servers.trusted {
        return None;
    }
    let opened = Root::open(&config.worktree)
        .and_then(|root| root.relative(OF_PROJECT).and_then(|path| root.open_file(&path)));
    let text = match opened {
        Err(PathError::Missing(_)) => return None,
        opened => opened.map_err(|error| error.to_string()).and_then(|it| text_of(it.file)),
    };
    Some(text.and_then(|text| parse(&text)).map_err(|why| {
        let why = why.trim_end_matches('.');
        format!("The project's {OF_PROJECT} starts no tool servers: {why}.")
    }))
}

fn of_settings(config: &HostConfig) -> Option<Result<List, String>> {
    let text = config.servers.settings.as_deref()?.trim();
    let list = match text {
        "" => return None,
        text if text.starts_with('{') => parse(text),
        path => named(path, config).and_then(|text| parse(&text)),
    };
    Some(list.map_err(|why| format!("The settings start no tool servers: {why}.")))
}

/// A file that the settings name. In the worktree it is the project's: an agent can write there.
fn named(path: &str, config: &HostConfig) -> Result<String, String> {
    let failed = |error: std::io::Error| format!("{} cannot be read ({error})", visible(path));
    let given = config.worktree.join(path);
    let path = given.canonicalize().map_err(failed)?;
    let worktree = config.worktree.canonicalize().map_err(failed)?;
    let is_inside = |place: &Path| place.canonicalize().is_ok_and(|it| it.starts_with(&worktree));
    // A link in the worktree is the project's too, wherever it leads.
    if given.ancestors().any(is_inside) && !config.servers.trusted {
        return Err(format!("{} is in a project that is not trusted", given.display()));
    }
    text_at(&path)
}

/// What the file says; a pipe or a device is not waited for.
fn text_at(path: &Path) -> Result<String, String> {
    let shown = visible(&path.display().to_string());
    match path.metadata() {
        Ok(meta) if !meta.is_file() => return Err(format!("{shown} is no file")),
        _ => {}
    }
    let text = File::open(path).map_err(|error| error.to_string()).and_then(text_of);
    text.map_err(|why| format!("{shown} cannot be read ({why})"))
}

/// Whether a run's own list can be read at all, before there is a run: its file is looked for from `folder`
/// on. What hangs on the run's variables is not looked at.
///
/// # Errors
/// What is wrong with it, a clause.
pub fn check(list: &str, folder: &Path) -> Result<(), String> {
    let list = match list.trim() {
        "" => return Ok(()),
        text if text.starts_with('{') => parse(text)?,
        path => parse(&text_at(&folder.join(path))?)?,
    };
    for (name, value) in &list.servers {
        let of = |why: String| format!("the server `{}`: {why}", visible(name));
        read_entry(value).and_then(|entry| entry.way().map(drop)).map_err(of)?;
    }
    Ok(())
}

fn text_of(file: File) -> Result<String, String> {
    let mut text = String::new();
    let read = file.take(LARGEST + 1).read_to_string(&mut text);
    read.map_err(|error| error.to_string())?;
    match text.len() as u64 > LARGEST {
        true => Err(format!("it is longer than {LARGEST} bytes")),
        false => Ok(text),
    }
}

/// The error tells the place and never the text: there may be a key in it.
fn parse(text: &str) -> Result<List, String> {
    serde_json::from_str(text).map_err(|error| match error.classify() {
        serde_json::error::Category::Data => "it has no list `mcpServers`".to_owned(),
        _ => format!("it is no JSON (line {}, column {})", error.line(), error.column()),
    })
}

fn server(value: &Value, config: &HostConfig) -> Result<Option<Via>, String> {
    let entry = read_entry(value)?;
    match entry.way()? {
        None => Ok(None),
        Some(Way::Child(program)) => child(program, &entry, config).map(Some),
        Some(Way::Remote(url)) => remote(url, &entry, config).map(Some),
    }
}

fn read_entry(value: &Value) -> Result<Entry, String> {
    Entry::deserialize(value).map_err(|_| "its settings have another shape".to_owned())
}

enum Way<'a> {
    Child(&'a str),
    Remote(&'a str),
}

impl Entry {
    /// How it is reached; `None` where it is switched off.
    fn way(&self) -> Result<Option<Way<'_>>, String> {
        if self.disabled {
            return Ok(None);
        }
        match (self.kind.as_deref(), &self.command, &self.url) {
            (None | Some("stdio"), Some(program), _) => Ok(Some(Way::Child(program))),
            (None | Some("http" | "streamable-http"), _, Some(url)) => Ok(Some(Way::Remote(url))),
            (Some("sse"), ..) => {
                Err("the old transport by events (sse) is not spoken; use http".into())
            }
            _ => Err("it has neither a `command` nor a `url`".into()),
        }
    }
}

fn child(program: &str, entry: &Entry, config: &HostConfig) -> Result<Via, String> {
    let filled = |text: &String| filled(text, &config.env);
    let cwd = config.worktree.join(entry.cwd.as_deref().unwrap_or(Path::new("")));
    let mut program = filled(&program.to_owned())?;
    if Path::new(&program).components().count() > 1 {
        program = cwd.join(program).to_string_lossy().into_owned();
    }
    Ok(Via::Child(Command {
        program,
        args: entry.args.iter().map(filled).collect::<Result<_, _>>()?,
        env: all_filled(&entry.env, config)?,
        cwd,
    }))
}

fn remote(url: &str, entry: &Entry, config: &HostConfig) -> Result<Via, String> {
    let url = filled(url, &config.env)?;
    let headers = all_filled(&entry.headers, config)?;
    Ok(Via::Http(Remote { url, headers }))
}

fn all_filled(
    pairs: &BTreeMap<String, String>,
    config: &HostConfig,
) -> Result<BTreeMap<String, String>, String> {
    let filled =
        |(name, value): (&String, &String)| Ok((name.clone(), filled(value, &config.env)?));
    pairs.iter().map(filled).collect()
}

/// A text with its variables put in, once: what a variable holds is not looked at again.
fn filled(text: &str, env: &BTreeMap<String, String>) -> Result<String, String> {
    let mut parts = text.split("${");
    let mut whole = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let Some((inner, rest)) = part.split_once('}') else {
            return Err("a `${` in its settings has no end".to_owned());
        };
        let (name, instead) = match inner.split_once(":-") {
            Some((name, instead)) => (name, Some(instead)),
            None => (inner, None),
        };
        let value = env.get(name).map(String::as_str).or(instead);
        let missing = || format!("the variable {} is not set for this run", visible(name));
        whole.push_str(value.ok_or_else(missing)?);
        whole.push_str(rest);
    }
    Ok(whole)
}
