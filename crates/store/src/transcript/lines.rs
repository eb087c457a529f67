//! A transcript's lines with their numbers. Numbers are read from the lines, cheaply; where a line is
//! damaged its place tells, so that one bad line does not shift or hide the good ones.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read, Seek, SeekFrom},
    path::Path,
};

use chrono::{DateTime, Utc};
use musher_protocol::{AgentEvent, EventEnvelope, RunId};
use serde::Deserialize;

use super::Mark;

const BUFFER: usize = 64 * 1024;

/// One line, without its end.
pub(super) struct Line<'a> {
    pub seq: u64,
    pub start: u64,
    pub bytes: &'a [u8],
    /// The line itself says `seq`. It may still be damaged behind that.
    pub numbered: bool,
}

/// Goes through a transcript from its header, or from a mark, to the end of its last whole line.
pub(super) struct Lines {
    reader: BufReader<File>,
    line: Vec<u8>,
    /// A line that was read to judge the one before it.
    ahead: Option<Vec<u8>>,
    torn: Vec<u8>,
    offset: u64,
    expected: u64,
}

impl Lines {
    /// From the first line behind the header, which is returned (`None`: the file has no whole line).
    pub fn from_header(path: &Path) -> io::Result<(Self, Option<Vec<u8>>)> {
        let mut lines = Self::over(File::open(path)?, 0, 1);
        let header = lines.read_line()?.then(|| lines.line.clone());
        if let Some(header) = &header {
            lines.offset = header.len() as u64 + 1;
        }
        Ok((lines, header))
    }

    /// From `mark` if a line with its number begins there, else from the header.
    pub fn from_mark(path: &Path, mark: Option<Mark>) -> io::Result<Self> {
        if let Some(mark) = mark.filter(|m| m.offset > 0)
            && let Some(lines) = Self::at(path, mark)?
        {
            return Ok(lines);
        }
        Ok(Self::from_header(path)?.0)
    }

    fn at(path: &Path, mark: Mark) -> io::Result<Option<Self>> {
        let mut file = File::open(path)?;
        file.seek(SeekFrom::Start(mark.offset - 1))?;
        let mut lines = Self::over(file, mark.offset, mark.seq);
        let mut before = [0u8];
        if lines.reader.read(&mut before)? != 1 || before != [b'\n'] || !lines.read_line()? {
            return Ok(None);
        }
        if seq_of(&lines.line) != Some(mark.seq) {
            return Ok(None);
        }
        lines.ahead = Some(std::mem::take(&mut lines.line));
        Ok(Some(lines))
    }

    fn over(file: File, offset: u64, expected: u64) -> Self {
        let reader = BufReader::with_capacity(BUFFER, file);
        Self { reader, line: Vec::new(), ahead: None, torn: Vec::new(), offset, expected }
    }

    /// Where the line after the last one begins.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    pub fn next(&mut self) -> io::Result<Option<Line<'_>>> {
        let (start, said, seq) = loop {
            match self.ahead.take() {
                Some(line) => self.line = line,
                None if self.read_line()? => {}
                None => return Ok(None),
            }
            let start = self.offset;
            self.offset += self.line.len() as u64 + 1;
            let said = seq_of(&self.line);
            match said {
                Some(seq) if seq > self.expected && self.follows(seq)? => break (start, said, seq),
                Some(seq) if seq < self.expected && self.is_double()? => {}
                _ => break (start, said, self.expected),
            }
        };
        self.expected = seq.saturating_add(1);
        Ok(Some(Line { seq, start, bytes: &self.line, numbered: said == Some(seq) }))
    }

    /// Whether the line ahead goes on from `seq`: then lines are missing, else this number is damaged.
    fn follows(&mut self, seq: u64) -> io::Result<bool> {
        let ahead = self.look_ahead()?;
        Ok(ahead.is_some() && ahead == Some(seq.checked_add(1)))
    }

    /// Whether this line, whose number was there before, is one too many: the line ahead does not go on
    /// as if it stood in the place of the expected one.
    fn is_double(&mut self) -> io::Result<bool> {
        let ahead = self.look_ahead()?.flatten();
        Ok(ahead.is_some_and(|ahead| Some(ahead) != self.expected.checked_add(1)))
    }

    /// Reads the next line without taking it: `None` when there is none, else the number it says.
    fn look_ahead(&mut self) -> io::Result<Option<Option<u64>>> {
        let current = std::mem::take(&mut self.line);
        let more = self.read_line()?;
        let ahead = std::mem::replace(&mut self.line, current);
        let said = more.then(|| seq_of(&ahead));
        self.ahead = more.then_some(ahead);
        Ok(said)
    }

    fn read_line(&mut self) -> io::Result<bool> {
        self.line.clear();
        self.reader.read_until(b'\n', &mut self.line)?;
        let whole = self.line.pop_if(|b| *b == b'\n').is_some();
        if !whole && !self.line.is_empty() {
            self.torn = std::mem::take(&mut self.line);
        }
        Ok(whole)
    }

    /// What stands behind the last whole line, once `next` has said that there is no more.
    pub fn torn(&self) -> &[u8] {
        &self.torn
    }
}

/// The number of an envelope. Lines as Musher writes them begin `{"run":"<id>","seq":`, so the rest
/// need not be looked at.
fn seq_of(line: &[u8]) -> Option<u64> {
    quick_seq(line).or_else(|| {
        #[derive(Deserialize)]
        struct Numbered {
            seq: u64,
        }
        serde_json::from_slice::<Numbered>(line).ok().map(|n| n.seq)
    })
}

fn quick_seq(line: &[u8]) -> Option<u64> {
    let rest = line.strip_prefix(b"{\"run\":\"")?;
    let quote = rest.iter().take(65).position(|b| *b == b'"')?;
    let rest = rest[quote + 1..].strip_prefix(b",\"seq\":")?;
    let digits = rest.iter().take(20).position(|b| !b.is_ascii_digit())?;
    std::str::from_utf8(&rest[..digits]).ok()?.parse().ok()
}

/// How much of a line was understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Condition {
    Whole,
    /// Its number and time; perhaps a newer Musher wrote it.
    Foreign,
    Damaged,
}

/// Turns lines into events; what cannot be one becomes `unknown` in its place.
pub(super) struct LineDecoder {
    run: Option<RunId>,
    at: DateTime<Utc>,
}

impl LineDecoder {
    /// `run` is every event's, whatever its line says; `at` stands in until a line says better.
    pub fn new(run: Option<RunId>, at: DateTime<Utc>) -> Self {
        Self { run, at }
    }

    /// `None`: damaged, and no line told the run yet.
    pub fn decode(&mut self, line: &Line<'_>) -> Option<(EventEnvelope, Condition)> {
        match serde_json::from_slice::<EventEnvelope>(line.bytes) {
            Ok(mut envelope) if line.numbered => {
                self.at = envelope.at;
                envelope.run.clone_from(self.run.get_or_insert_with(|| envelope.run.clone()));
                Some((envelope, Condition::Whole))
            }
            _ => self.stand_in(line),
        }
    }

    fn stand_in(&self, line: &Line<'_>) -> Option<(EventEnvelope, Condition)> {
        #[derive(Deserialize)]
        struct Envelope {
            at: DateTime<Utc>,
            #[serde(default)]
            spool: Option<u64>,
        }
        let known = serde_json::from_slice::<Envelope>(line.bytes).ok().filter(|_| line.numbered);
        let envelope = EventEnvelope {
            run: self.run.clone()?,
            seq: line.seq,
            at: known.as_ref().map_or(self.at, |k| k.at),
            event: AgentEvent::Unknown,
            spool: known.as_ref().and_then(|k| k.spool),
        };
        let condition = if known.is_some() { Condition::Foreign } else { Condition::Damaged };
        Some((envelope, condition))
    }
}
