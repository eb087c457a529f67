//! `search`: lines that match a regular expression, by ripgrep's own crates.

use std::{fmt::Write, io, io::Read, ops::ControlFlow};

use grep_regex::{RegexMatcher, RegexMatcherBuilder};
use grep_searcher::{
    BinaryDetection, Searcher, SearcherBuilder, Sink, SinkContext, SinkContextKind, SinkMatch,
};
use musher_protocol::ToolKind;
use musher_runtime::{Secrets, ToolOutcome};
use rustix::fs::FileType;
use schemars::JsonSchema;
use serde::Deserialize;
use tokio_util::sync::CancellationToken;

use crate::{
    Demand,
    files::FileTool,
    list,
    paths::Relative,
    rules::Access,
    show::visible,
    site::{LARGEST, Site, cut},
    tool::STOPPED,
    walk::Walk,
};

const MOST_MATCHES: usize = 200;
const MOST_BYTES: usize = 50_000;
const LONGEST_LINE: usize = 400;
const MOST_CONTEXT: usize = 10;
/// What a compiled expression may take.
const LARGEST_REGEX: usize = 10 << 20;
const HEAP: usize = 32 << 20;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Arguments {
    /// A regular expression (the syntax of Rust's regex crate), matched within single lines.
    pattern: String,
    /// The folder or file to search, from the worktree's folder on; by default the worktree itself.
    path: Option<String>,
    /// Only files whose name matches, for example `*.rs`; with a `/` in it, whose path from the
    /// worktree's folder on matches, for example `src/**/*.rs`.
    glob: Option<String>,
    /// Whether capital and small letters are the same. By default false.
    ignore_case: Option<bool>,
    /// Lines to show before and after each match, at most 10. By default none.
    context: Option<usize>,
    /// Only the paths of the files that match. By default false.
    files_only: Option<bool>,
}

pub struct Search;

impl FileTool for Search {
    type Arguments = Arguments;

    const NAME: &'static str = "search";
    const DESCRIPTION: &'static str = "\
        Searches the text files of the worktree for a regular expression, without those that the \
        ignore files leave out. Matches come as `path:line: text`, lines around them as \
        `path-line- text`.";
    const KIND: ToolKind = ToolKind::Search;
    const ACCESS: Access = Access::Read;

    fn look(wanted: &Arguments) -> Result<(&str, String), String> {
        matcher(wanted)?;
        list::glob(wanted.glob.as_deref())?;
        let mut title = visible(&wanted.pattern);
        if let Some(path) = &wanted.path {
            let _ = write!(title, " in {}", visible(path));
        }
        Ok((wanted.path.as_deref().unwrap_or("."), title))
    }

    fn work(
        site: &Site,
        demand: Option<&Demand>,
        wanted: &Arguments,
        stop: &CancellationToken,
    ) -> Result<ToolOutcome, String> {
        search(site, demand, wanted, stop).map(ToolOutcome::text)
    }
}

fn matcher(wanted: &Arguments) -> Result<RegexMatcher, String> {
    RegexMatcherBuilder::new()
        .case_insensitive(wanted.ignore_case.unwrap_or(false))
        .line_terminator(Some(b'\n'))
        .size_limit(LARGEST_REGEX)
        .build(&wanted.pattern)
        .map_err(|error| {
            format!("The pattern cannot be used: {error}. Escape what is meant as is.")
        })
}

fn search(
    site: &Site,
    demand: Option<&Demand>,
    wanted: &Arguments,
    stop: &CancellationToken,
) -> Result<String, String> {
    let mut found = Found::new(wanted, &site.secrets)?;
    let path = site.root.relative(wanted.path.as_deref().unwrap_or("."));
    let path = path.map_err(|error| error.to_string())?;
    if let Ok(opened) = site.root.open_file(&path) {
        site.admit(Access::Read, demand, &opened.place)?;
        found.file(&path, opened.file);
        return Ok(found.text(None));
    }
    let folder = site.root.open_folder(&path).map_err(|error| error.to_string())?;
    site.admit(Access::Read, demand, &folder.place)?;
    let glob = list::glob(wanted.glob.as_deref())?;
    let rules = site.rules.now();
    let mut walk = Walk::new(site, stop);
    walk.go(&folder, &mut |entry| {
        let fits = glob.as_ref().is_none_or(|glob| glob.is_match(entry.path.as_str()));
        if fits && entry.kind == FileType::RegularFile {
            if rules.denies(Access::Read, entry.path).is_some() {
                found.closed += 1;
            } else if let Some(file) = entry.open() {
                found.file(entry.path, file);
            }
        }
        if found.full { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    if stop.is_cancelled() {
        return Err(STOPPED.to_owned());
    }
    Ok(found.text(walk.cut))
}

/// What was found so far.
struct Found {
    matcher: RegexMatcher,
    searcher: Searcher,
    files_only: bool,
    secrets: Secrets,
    lines: String,
    matches: usize,
    full: bool,
    /// Files that a rule closes.
    closed: usize,
}

impl Found {
    fn new(wanted: &Arguments, secrets: &Secrets) -> Result<Self, String> {
        let files_only = wanted.files_only.unwrap_or(false);
        let context = wanted.context.unwrap_or(0).min(MOST_CONTEXT) * usize::from(!files_only);
        let searcher = SearcherBuilder::new()
            .binary_detection(BinaryDetection::quit(0))
            .heap_limit(Some(HEAP))
            .line_number(true)
            .before_context(context)
            .after_context(context)
            .build();
        let matcher = matcher(wanted)?;
        let (lines, matches, full, closed) = (String::new(), 0, false, 0);
        let secrets = secrets.clone();
        Ok(Self { matcher, searcher, files_only, secrets, lines, matches, full, closed })
    }

    /// A file that cannot be read to its end gives what was found until then.
    fn file(&mut self, path: &Relative, file: std::fs::File) {
        let (matcher, mut searcher) = (self.matcher.clone(), self.searcher.clone());
        let path = visible(path.as_str());
        let sink = Lines { found: self, path };
        let _ = searcher.search_reader(matcher, file.take(LARGEST), sink);
    }

    fn text(self, cut: Option<&str>) -> String {
        let mut text = self.lines;
        if self.matches == 0 {
            text.push_str("[no match]\n");
        }
        if self.full {
            let _ = writeln!(text, "[not all: there are more; name a folder or a glob]");
        }
        if self.closed > 0 {
            let _ = writeln!(text, "[{} files are closed by the project's rules]", self.closed);
        }
        if let Some(cut) = cut {
            let _ = writeln!(text, "[{cut}]");
        }
        text
    }
}

/// Takes the lines of one file.
struct Lines<'a> {
    found: &'a mut Found,
    path: String,
}

impl Lines<'_> {
    fn line(&mut self, number: Option<u64>, bytes: &[u8], sign: char) {
        let text = self.found.secrets.hide(String::from_utf8_lossy(bytes).into_owned());
        let text = cut(text.trim_end_matches(['\r', '\n']), LONGEST_LINE);
        let number = number.unwrap_or_default();
        let _ = writeln!(self.found.lines, "{}{sign}{number}{sign} {text}", self.path);
    }
}

impl Sink for Lines<'_> {
    type Error = io::Error;

    fn matched(&mut self, _: &Searcher, line: &SinkMatch<'_>) -> io::Result<bool> {
        self.found.full = self.found.matches >= MOST_MATCHES || self.found.lines.len() > MOST_BYTES;
        if self.found.full {
            return Ok(false);
        }
        self.found.matches += 1;
        if self.found.files_only {
            let _ = writeln!(self.found.lines, "{}", self.path);
            return Ok(false);
        }
        self.line(line.line_number(), line.bytes(), ':');
        Ok(true)
    }

    fn context(&mut self, _: &Searcher, line: &SinkContext<'_>) -> io::Result<bool> {
        if *line.kind() != SinkContextKind::Other {
            self.line(line.line_number(), line.bytes(), '-');
        }
        Ok(true)
    }

    fn context_break(&mut self, _: &Searcher) -> io::Result<bool> {
        self.found.lines.push_str("--\n");
        Ok(true)
    }
}
