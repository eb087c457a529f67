//! Reading transcripts: batches of stored lines as they are, and folds over all of them.

use std::{io, path::Path};

use chrono::{DateTime, Utc};
use musher_protocol::{EventEnvelope, RunId};

use super::{
    Header, Mark, gap,
    lines::{Condition, Line, LineDecoder, Lines},
};
use crate::{StoreError, StoreErrorKind};

/// Stored events, ready to be sent: `json` is `[line,line]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredBatch {
    pub json: String,
    pub first_seq: u64,
    /// Where to go on.
    pub next_seq: u64,
    pub count: u64,
}

/// What to read. `limit_seq` is the first number not to be read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request {
    pub hint: Option<Mark>,
    pub from_seq: u64,
    pub limit_seq: u64,
    /// The run is over, and this was its last event; 0 when that is not known.
    pub last_seq: u64,
    pub max_bytes: usize,
    /// Lines may be damaged: each must be an event before it is sent.
    pub checked: bool,
}

/// Reads events from `from_seq` up to, not including, `limit_seq` (what the writer has published;
/// `u64::MAX` for a run that is over), at most `max_bytes` of lines but at least one line.
///
/// `hint` saves the way there; a wrong one costs time only. A damaged line is sent as a `raw` event
/// of the kind `damaged_line`, so that the batch stays JSON and the person sees that something was there.
/// For the same reason one `warning` with the code `transcript_gap` stands for lines that are missing.
pub fn read_batch(
    path: &Path,
    hint: Option<Mark>,
    from_seq: u64,
    limit_seq: u64,
    max_bytes: usize,
) -> Result<StoredBatch, StoreError> {
    read_request(
        path,
        &Request { hint, from_seq, limit_seq, last_seq: 0, max_bytes, checked: true },
    )
}

pub(crate) fn read_request(path: &Path, request: &Request) -> Result<StoredBatch, StoreError> {
    if request.from_seq >= request.limit_seq {
        return Ok(Collected::new(request, path).finish());
    }
    if request.checked {
        refuse_newer(path)?;
    }
    collect(path, request).map_err(|e| unreadable(path, &e))
}

/// A run that no writer holds may have been written by any Musher.
fn refuse_newer(path: &Path) -> Result<(), StoreError> {
    let (_, first) = Lines::from_header(path).map_err(|e| unreadable(path, &e))?;
    first.map_or(Ok(()), |line| check_format(path, &line))
}

fn unreadable(path: &Path, error: &io::Error) -> StoreError {
    if error.kind() != io::ErrorKind::NotFound {
        return StoreError::io("read the transcript", path, error);
    }
    let what = format!("The transcript of this run is gone: there is no {}.", path.display());
    StoreError::new(StoreErrorKind::Corrupt, what).with_hint(
        "Put the file back if you have it elsewhere; the run's worktree is as the agent left it.",
    )
}

fn collect(path: &Path, request: &Request) -> io::Result<StoredBatch> {
    let mut lines = Lines::from_mark(path, request.hint)?;
    let mut batch = Collected::new(request, path);
    while let Some(line) = lines.next()? {
        if line.seq < request.from_seq {
            continue;
        }
        if line.seq >= request.limit_seq || !batch.take(&line) {
            return Ok(batch.finish());
        }
    }
    batch.take_gap(request.last_seq.saturating_add(1));
    Ok(batch.finish())
}

struct Collected<'a> {
    request: &'a Request,
    path: &'a Path,
    json: Vec<u8>,
    first_seq: Option<u64>,
    next_seq: u64,
    count: u64,
}

impl<'a> Collected<'a> {
    fn new(request: &'a Request, path: &'a Path) -> Self {
        let (json, next_seq) = (vec![b'['], request.from_seq);
        Self { request, path, json, first_seq: None, next_seq, count: 0 }
    }

    /// False when the line does not fit any more.
    fn take(&mut self, line: &Line<'_>) -> bool {
        self.take_gap(line.seq);
        let stand_in = (!self.is_sound(line)).then(|| gap::damaged(line, self.path));
        let bytes = stand_in.as_deref().unwrap_or(line.bytes);
        if self.count > 0 && self.json.len() + bytes.len() > self.request.max_bytes {
            return false;
        }
        self.push(line.seq, bytes);
        self.next_seq = line.seq.saturating_add(1);
        true
    }

    /// Stands for the lines from where it is up to, not including, `seq`, if there should be any.
    fn take_gap(&mut self, seq: u64) {
        if seq > self.next_seq {
            let told = gap::missing(self.next_seq, seq - 1, self.path);
            self.push(self.next_seq, &told);
            self.next_seq = seq;
        }
    }

    fn push(&mut self, seq: u64, bytes: &[u8]) {
        if self.count > 0 {
            self.json.push(b',');
        }
        self.json.extend_from_slice(bytes);
        self.first_seq.get_or_insert(seq);
        self.count += 1;
    }

    fn is_sound(&self, line: &Line<'_>) -> bool {
        let parses = || serde_json::from_slice::<EventEnvelope>(line.bytes).is_ok();
        line.numbered
            && std::str::from_utf8(line.bytes).is_ok()
            && (!self.request.checked || parses())
    }

    fn finish(mut self) -> StoredBatch {
        self.json.push(b']');
        StoredBatch {
            json: text(self.json),
            first_seq: self.first_seq.unwrap_or(self.next_seq),
            next_seq: self.next_seq,
            count: self.count,
        }
    }
}

/// Every line in it was checked, so nothing is lost or copied here.
pub(super) fn text(json: Vec<u8>) -> String {
    String::from_utf8(json).unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned())
}

/// A transcript lies in a folder with its run's name.
pub(crate) fn run_of(path: &Path) -> Option<RunId> {
    RunId::parse(path.parent()?.file_name()?.to_str()?)
}

/// What a run was begun with; `None` when that cannot be read.
pub fn header_of(path: &Path) -> Option<Header> {
    let (_, first) = Lines::from_header(path).ok()?;
    parse_header(path, first.as_deref()).ok()?
}

/// What a whole transcript holds besides its events.
#[derive(Debug)]
pub struct Folded {
    /// Absent when its line is damaged.
    pub header: Option<Header>,
    pub events: u64,
    /// Lines that were no events that this version knows; each was passed on as `unknown`.
    pub damaged: u64,
    pub marks: Vec<Mark>,
    pub next_seq: u64,
}

/// Passes every event on, in order. Never stops at a damaged line; a torn last one is left out.
pub fn fold_transcript(
    path: &Path,
    mut each: impl FnMut(EventEnvelope),
) -> Result<Folded, StoreError> {
    let failed = |e: io::Error| StoreError::io("read the transcript", path, &e);
    let (mut lines, first) = Lines::from_header(path).map_err(failed)?;
    let header = parse_header(path, first.as_deref())?;
    let mut decoder = decoder_for(path, header.as_ref());
    let mut folded = Folded { header, events: 0, damaged: 0, marks: Vec::new(), next_seq: 1 };
    while let Some(line) = lines.next().map_err(failed)? {
        super::index::note(&mut folded.marks, Mark { seq: line.seq, offset: line.start });
        folded.next_seq = line.seq.saturating_add(1);
        let Some((envelope, condition)) = decoder.decode(&line) else {
            folded.damaged += 1;
            continue;
        };
        folded.events += 1;
        folded.damaged += u64::from(condition != Condition::Whole);
        each(envelope);
    }
    Ok(folded)
}

pub(super) fn decoder_for(path: &Path, header: Option<&Header>) -> LineDecoder {
    let run = run_of(path).or_else(|| header.map(|h| h.run.clone()));
    LineDecoder::new(run, header.map_or(DateTime::<Utc>::UNIX_EPOCH, |h| h.created_at))
}

/// `Ok(None)`: the header is damaged, the events are not. An error: there is no line at all, or a
/// newer Musher wrote it.
pub(super) fn parse_header(path: &Path, line: Option<&[u8]>) -> Result<Option<Header>, StoreError> {
    let Some(line) = line else {
        let what = format!("The transcript {} holds nothing.", path.display());
        return Err(StoreError::new(StoreErrorKind::Corrupt, what)
            .with_hint("This run cannot go on; start a new one."));
    };
    check_format(path, line)?;
    Ok(serde_json::from_slice(line).ok())
}

fn check_format(path: &Path, header: &[u8]) -> Result<(), StoreError> {
    #[derive(serde::Deserialize)]
    struct Format {
        musher_transcript: u32,
    }
    let format = serde_json::from_slice::<Format>(header).map_or(0, |f| f.musher_transcript);
    if format <= musher_protocol::TRANSCRIPT_FORMAT {
        return Ok(());
    }
    let what = format!(
        "A newer Musher wrote the transcript {}, in a form that this one cannot read.",
        path.display()
    );
    Err(StoreError::new(StoreErrorKind::NewerSchema, what)
        .with_hint("Update Musher; the transcript is untouched."))
}
