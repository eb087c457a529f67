//! `read_output`: parts of what a command of this story has said, when it was too long to be told whole.
//! It lies in the folder of its run, which no tool that takes paths reaches: what is asked for is found
//! among the outputs that are there, and no path is made of it. An agent that goes on knows what was cut
//! in the runs before by the same names (how long it is kept: [`crate::kept`]).

use std::{
    fmt::Write,
    fs::File,
    io::{self, BufRead, BufReader, Read},
    path::PathBuf,
};

use async_trait::async_trait;
use musher_protocol::ToolKind;
use musher_runtime::{Call, Effect, Secrets, ToolOutcome, ToolSpec};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::{
    Demand, HostConfig, Planned, Tool,
    kept::{FOLDER, OF_COMMAND, OUTPUT, folders, spools},
    paths::Root,
    read::{LONGEST_LINE, MOST_BYTES, range},
    schema,
    show::visible,
    site::cut,
    tool::{arguments, blocking},
};

pub const NAME: &str = "read_output";
/// Of one line, in bytes: more than is ever shown of it.
const KEPT: usize = 64 << 10;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Arguments {
    /// The output, as it was named where it was cut.
    output: String,
    /// The first line to read; the first of the output is 1, which is also the default.
    first_line: Option<usize>,
    /// How many lines to read; at most 2000, which is also the default.
    lines: Option<usize>,
}

pub struct ReadOutput {
    /// This run's first.
    run_dirs: Vec<PathBuf>,
    secrets: Secrets,
}

impl ReadOutput {
    pub fn of(config: &HostConfig) -> Self {
        let run_dirs = std::iter::once(&config.run_dir).chain(&config.earlier).cloned().collect();
        Self { run_dirs, secrets: config.secrets.clone() }
    }
}

#[async_trait]
impl Tool for ReadOutput {
    fn spec(&self) -> ToolSpec {
        ToolSpec {
            name: NAME.to_owned(),
            description:
                "Reads lines of a command's output that was cut because it was long. Each line \
                          has its number and a tab before it. Long lines are cut."
                    .to_owned(),
            parameters: schema::of::<Arguments>(),
        }
    }

    fn only_reads(&self) -> bool {
        true
    }

    async fn plan(&self, input: &Value) -> Result<Planned, String> {
        let wanted: Arguments = arguments(input)?;
        let (first, count) = range(wanted.first_line, wanted.lines)?;
        let last = first.saturating_add(count - 1);
        Ok(Planned {
            kind: ToolKind::Read,
            title: format!("{}:{first}-{last}", visible(&wanted.output)),
            effect: Effect::Reads,
            demand: Demand::Nothing,
        })
    }

    async fn call(&self, call: &Call, _: Option<&Demand>, stop: CancellationToken) -> ToolOutcome {
        let (run_dirs, secrets) = (self.run_dirs.clone(), self.secrets.clone());
        let input = call.input.clone();
        blocking(move || {
            let wanted: Arguments = arguments(&input)?;
            let lines = range(wanted.first_line, wanted.lines)?;
            let failed = |why: io::Error| format!("The output could not be read: {why}.");
            let said = said(&run_dirs, &wanted.output)?;
            page(said, lines, &secrets, &stop).map(ToolOutcome::text).map_err(failed)
        })
        .await
    }
}

/// All that a command has said.
fn said(run_dirs: &[PathBuf], wanted: &str) -> Result<Box<dyn Read>, String> {
    let named = |folder: &PathBuf| folder.file_name().is_some_and(|name| name == wanted);
    let found = run_dirs.iter().find_map(|run_dir| {
        let folder = folders(run_dir).into_iter().find(named)?;
        Some((run_dir.join(FOLDER), folder))
    });
    let Some((above, folder)) = found.filter(|_| wanted.starts_with(OF_COMMAND)) else {
        let name = visible(wanted);
        return Err(format!("No output of this story is named {name}; run the command again."));
    };
    let spools = spools(&folder, OUTPUT);
    if spools.is_empty() {
        return Err(format!("The output {wanted} is no longer kept; run the command again."));
    }
    let root = Root::open(&above).map_err(|error| error.to_string())?;
    let mut said: Box<dyn Read> = Box::new(io::empty());
    for spool in spools {
        let spool = spool.file_name().unwrap_or_default().to_string_lossy();
        let file = open(&root, &format!("{wanted}/{spool}"))?;
        said = Box::new(said.chain(file));
    }
    Ok(said)
}

/// By descriptor: a command of the agent's may have put a link there.
fn open(root: &Root, path: &str) -> Result<File, String> {
    let path = root.relative(path).map_err(|error| error.to_string())?;
    Ok(root.open_file(&path).map_err(|error| error.to_string())?.file)
}

fn page(
    said: impl Read,
    (first, count): (usize, usize),
    secrets: &Secrets,
    stop: &CancellationToken,
) -> io::Result<String> {
    let mut said = BufReader::new(said);
    let (mut text, mut last, mut all) = (String::new(), first - 1, 0);
    while let Some(line) = read_line(&mut said)? {
        if stop.is_cancelled() {
            break;
        }
        all += 1;
        if all == last + 1 && last + 1 < first + count {
            let whole = secrets.hide(String::from_utf8_lossy(&line.begin).into_owned());
            let mut shown = cut(whole.trim_end_matches(['\r', '\n']), LONGEST_LINE);
            if line.left_out > 0 {
                shown += &format!(" [and {} behind them]", line.left_out);
            }
            if text.len() + shown.len() <= MOST_BYTES {
                last = all;
                // Writing to a String cannot fail.
                let _ = writeln!(text, "{last:>6}\t{shown}");
            }
        }
    }
    Ok(text + &note(first, last, all))
}

struct Line {
    begin: Vec<u8>,
    left_out: usize,
}

/// The next line, with no more of it in memory than [`KEPT`] bytes: an output may be a single one.
fn read_line(said: &mut impl BufRead) -> io::Result<Option<Line>> {
    let mut line = Line { begin: Vec::new(), left_out: 0 };
    loop {
        let bytes = said.fill_buf()?;
        let end = memchr::memchr(b'\n', bytes);
        let taken = end.map_or(bytes.len(), |at| at + 1);
        let room = KEPT.saturating_sub(line.begin.len()).min(taken);
        line.begin.extend_from_slice(&bytes[..room]);
        line.left_out += taken - room;
        said.consume(taken);
        if end.is_some() || taken == 0 {
            return Ok(Some(line).filter(|line| !line.begin.is_empty()));
        }
    }
}

/// What the model should know besides the lines.
fn note(first: usize, last: usize, all: usize) -> String {
    match all {
        0 => "[the output is empty]\n".to_owned(),
        all if first > all => format!("[the output has only {all} lines]\n"),
        all if last < all => format!("[{all} lines in all; go on with first_line {}]\n", last + 1),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_line_of_any_length_is_shown_by_its_beginning() {
        let long = io::repeat(b'x').take(10 << 20);
        let mut said = BufReader::new((&b"a\n\n"[..]).chain(long).chain(&b"\nb"[..]));
        let lines: Vec<Line> = std::iter::from_fn(|| read_line(&mut said).unwrap()).collect();
        let lengths: Vec<_> = lines.iter().map(|it| (it.begin.len(), it.left_out)).collect();
        assert_eq!(lengths, [(2, 0), (1, 0), (KEPT, (10 << 20) + 1 - KEPT), (1, 0)]);
        let told = page(
            io::repeat(b'x').take(1 << 20),
            (1, 1),
            &Secrets::default(),
            &CancellationToken::new(),
        );
        let more = format!(
            "… [{} bytes more] [and {} behind them]\n",
            KEPT - LONGEST_LINE,
            (1 << 20) - KEPT
        );
        assert!(told.unwrap().ends_with(&more));
    }
}
