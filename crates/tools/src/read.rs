//! `read_file`: a file's lines, numbered.

use std::{fmt::Write, io::Read};

use memchr::memmem;
use musher_protocol::ToolKind;
use musher_runtime::{MARK, Secrets, ToolOutcome};
use schemars::JsonSchema;
use serde::Deserialize;
use tokio_util::sync::CancellationToken;

use crate::{
    Demand,
    files::FileTool,
    rules::Access,
    show::visible,
    site::{LARGEST, Site, cut, is_binary},
};

const MOST_LINES: usize = 2000;
pub const MOST_BYTES: usize = 100_000;
pub const LONGEST_LINE: usize = 2000;
const BOM: &[u8] = b"\xef\xbb\xbf";

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Arguments {
    /// The file, from the worktree's folder on.
    path: String,
    /// The first line to read; the first of the file is 1, which is also the default.
    first_line: Option<usize>,
    /// How many lines to read; at most 2000, which is also the default.
    lines: Option<usize>,
}

pub struct ReadFile;

impl FileTool for ReadFile {
    type Arguments = Arguments;

    const NAME: &'static str = "read_file";
    const DESCRIPTION: &'static str = "\
        Reads a text file of the worktree. Each line has its number and a tab before it; they \
        are not part of the file. Long lines are cut.";
    const KIND: ToolKind = ToolKind::Read;
    const ACCESS: Access = Access::Read;

    fn look(wanted: &Arguments) -> Result<(&str, String), String> {
        let mut title = visible(&wanted.path);
        if wanted.first_line.is_some() || wanted.lines.is_some() {
            let (first, count) = range(wanted.first_line, wanted.lines)?;
            let _ = write!(title, ":{first}-{}", first.saturating_add(count - 1));
        }
        Ok((&wanted.path, title))
    }

    fn work(
        site: &Site,
        demand: Option<&Demand>,
        wanted: &Arguments,
        _stop: &CancellationToken,
    ) -> Result<ToolOutcome, String> {
        read(site, demand, wanted).map(ToolOutcome::text)
    }
}

/// Which line is the first, and how many there are to be.
pub fn range(first: Option<usize>, lines: Option<usize>) -> Result<(usize, usize), String> {
    let first = first.unwrap_or(1);
    let count = lines.unwrap_or(MOST_LINES).min(MOST_LINES);
    if first == 0 || count == 0 {
        return Err("Lines are counted from 1, and at least one is read.".to_owned());
    }
    Ok((first, count))
}

fn read(site: &Site, demand: Option<&Demand>, wanted: &Arguments) -> Result<String, String> {
    let path = site.root.relative(&wanted.path).map_err(|error| error.to_string())?;
    let mut opened = site.root.open_file(&path).map_err(|error| error.to_string())?;
    site.admit(Access::Read, demand, &opened.place)?;
    let shown = visible(&wanted.path);
    if opened.stamp.size > LARGEST {
        return Err(format!(
            "{shown} has {} bytes, more than the {LARGEST} that can be read; look at parts of it \
             with run_command.",
            opened.stamp.size
        ));
    }
    let mut bytes = Vec::new();
    let taken = (&mut opened.file).take(LARGEST).read_to_end(&mut bytes);
    taken.map_err(|error| format!("{shown} could not be read: {error}."))?;
    if is_binary(&bytes) {
        return Err(format!("{shown} is binary ({} bytes); it cannot be shown.", bytes.len()));
    }
    let page = Page::of(&bytes, range(wanted.first_line, wanted.lines)?, &site.secrets);
    if page.whole {
        site.saw(&opened.place, &bytes);
    }
    Ok(page.text)
}

/// What the model is shown of a file.
struct Page {
    text: String,
    /// It is all of the file, as it is.
    whole: bool,
}

impl Page {
    fn of(bytes: &[u8], (first, count): (usize, usize), secrets: &Secrets) -> Self {
        let body = bytes.strip_prefix(BOM).unwrap_or(bytes);
        // Before anything is cut: half a key is one too.
        let decoded = secrets.hide(String::from_utf8_lossy(body).into_owned());
        let is_shown =
            |text: &str| text.contains(MARK) && memmem::find(body, MARK.as_bytes()).is_none();
        let lines: Vec<&str> = decoded.lines().collect();
        let mut page = Self { text: String::new(), whole: first == 1 };
        let mut last = first - 1;
        for line in lines.iter().skip(first - 1).take(count) {
            let shown = cut(line, LONGEST_LINE);
            page.whole &= shown.len() == line.len();
            if page.text.len() + shown.len() > MOST_BYTES {
                break;
            }
            last += 1;
            let _ = writeln!(page.text, "{last:>6}\t{shown}");
        }
        page.whole &= last == lines.len() && decoded.as_bytes() == body;
        if is_shown(&page.text) {
            let _ = writeln!(
                page.text,
                "[`{MARK}` stands for a key, which stays in the file as it is: replace what is around \
                 it, without these words; the file cannot be written whole]"
            );
        }
        page.note(bytes, first, last, lines.len());
        page
    }

    fn note(&mut self, bytes: &[u8], first: usize, last: usize, all: usize) {
        let mut notes = Vec::new();
        match all {
            0 => notes.push("the file is empty".to_owned()),
            all if first > all => notes.push(format!("the file has only {all} lines")),
            all if last < all => {
                notes.push(format!("{all} lines in all; go on with first_line {}", last + 1));
            }
            _ => {}
        }
        if bytes.starts_with(BOM) {
            notes.push("it begins with a byte order mark, which edits keep".to_owned());
        }
        if memmem::find(bytes, b"\r\n").is_some() {
            notes.push("its lines end with CRLF, which edits keep".to_owned());
        }
        if std::str::from_utf8(bytes).is_err() {
            notes.push("it is not all UTF-8: what is not is shown as \u{fffd}".to_owned());
        }
        for note in notes {
            let _ = writeln!(self.text, "[{note}]");
        }
    }
}
