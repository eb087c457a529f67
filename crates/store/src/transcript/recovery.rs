//! Takes over a transcript whose writer is gone. Only its end can be wrong, by a write that was cut
//! off: a torn line, damaged lines, or the first events of a source line whose last one never came.
//! None of these was ever published, so they are cut, after a copy. Everything before stays as it is.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use musher_protocol::{AgentEvent, EventEnvelope};

use super::{
    Header, Mark,
    index::note,
    lines::{Condition, Line, LineDecoder, Lines},
    read::{decoder_for, parse_header},
};
use crate::{StoreError, fold::RunFold};

/// What a recovered transcript holds.
#[derive(Debug)]
pub struct Recovered {
    /// Absent when its line is damaged; the events are not lost with it.
    pub header: Option<Header>,
    pub next_seq: u64,
    /// Where to go on in the child's output: behind the last line whose events are all stored.
    pub stored_to: u64,
    pub fold: RunFold,
    /// Lines that are no events that this version knows, and stay.
    pub damaged: u64,
    /// Bytes cut off the end, kept in `transcript.torn`.
    pub cut: u64,
}

pub(super) struct Found {
    pub recovered: Recovered,
    pub marks: Vec<Mark>,
    pub file: File,
    pub len: u64,
}

pub(super) fn recover(path: &Path) -> Result<Found, StoreError> {
    let failed = |e: io::Error| StoreError::io("recover the transcript", path, &e);
    let file = OpenOptions::new().read(true).write(true).open(path).map_err(failed)?;
    let (mut lines, first) = Lines::from_header(path).map_err(failed)?;
    let header = parse_header(path, first.as_deref())?;
    let mut scan = Scan::new(decoder_for(path, header.as_ref()));
    while let Some(line) = lines.next().map_err(failed)? {
        scan.take(&line);
    }
    let mut end = lines.offset();
    if completed(&mut scan, lines.torn(), end) {
        file_end(&file, end + lines.torn().len() as u64).map_err(failed)?;
        end += lines.torn().len() as u64 + 1;
    }
    let keep = scan.finish(end);
    let cut = cut(&file, path, keep).map_err(failed)?;
    Ok(scan.found(header, file, keep, cut))
}

/// A last line that lacks only its end is whole.
fn completed(scan: &mut Scan, torn: &[u8], start: u64) -> bool {
    let whole = serde_json::from_slice::<EventEnvelope>(torn);
    let Ok(envelope) = whole else { return false };
    if envelope.seq != scan.next_seq {
        return false;
    }
    scan.take(&Line { seq: envelope.seq, start, bytes: torn, numbered: true });
    true
}

fn file_end(file: &File, at: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::write_all_at(file, b"\n", at)
}

/// Cuts the file to `keep`, copying what goes to `transcript.torn` first. Returns how much went.
fn cut(mut file: &File, path: &Path, keep: u64) -> io::Result<u64> {
    let len = file.metadata()?.len();
    if len <= keep {
        return Ok(0);
    }
    let mut torn = OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(path.with_extension("torn"))?;
    file.seek(SeekFrom::Start(keep))?;
    io::copy(&mut file.take(len - keep), &mut torn)?;
    torn.write_all(b"\n")?;
    torn.sync_all()?;
    file.set_len(keep)?;
    file.sync_all()?;
    Ok(len - keep)
}

/// Folds lines, holding back those at the end that may have to go.
struct Scan {
    decoder: LineDecoder,
    fold: RunFold,
    marks: Vec<Mark>,
    next_seq: u64,
    damaged: u64,
    held: Vec<Held>,
}

struct Held {
    start: u64,
    seq: u64,
    event: Option<EventEnvelope>,
    condition: Condition,
}

impl Scan {
    fn new(decoder: LineDecoder) -> Self {
        Self {
            decoder,
            fold: RunFold::default(),
            marks: Vec::new(),
            next_seq: 1,
            damaged: 0,
            held: Vec::new(),
        }
    }

    fn take(&mut self, line: &Line<'_>) {
        let decoded = self.decoder.decode(line);
        let (event, condition) = match decoded {
            Some((event, condition)) => (Some(event), condition),
            None => (None, Condition::Damaged),
        };
        let sound = condition != Condition::Damaged;
        let settles = sound && event.as_ref().is_some_and(|e| self.settles(e));
        self.held.push(Held { start: line.start, seq: line.seq, event, condition });
        if settles {
            self.release(self.held.len());
        }
        self.next_seq = line.seq.saturating_add(1);
    }

    /// Whether an event proves that all before it was stored whole: the last of a source line, what
    /// only comes when a batch was acknowledged, or anything when no source line is open.
    fn settles(&self, envelope: &EventEnvelope) -> bool {
        let open = || self.held.iter().any(|h| h.is_first_part());
        match envelope.spool {
            Some(0) => false,
            Some(_) => true,
            None => !open() || is_outside(&envelope.event),
        }
    }

    fn release(&mut self, count: usize) {
        for held in self.held.drain(..count) {
            note(&mut self.marks, Mark { seq: held.seq, offset: held.start });
            self.damaged += u64::from(held.condition != Condition::Whole);
            if let Some(event) = &held.event {
                // A gap is counted in the fold; the damage was met above.
                let _ = self.fold.apply(event);
            }
        }
    }

    /// Decides what stays of the lines held back; returns the length to keep.
    fn finish(&mut self, end: u64) -> u64 {
        let sound = self.held.iter().rposition(Held::is_sound).map_or(0, |i| i + 1);
        let whole = self.held.iter().position(Held::is_first_part).unwrap_or(sound);
        let keep = sound.min(whole);
        let Some(first_cut) = self.held.get(keep) else {
            self.release(keep);
            return end;
        };
        let (start, seq) = (first_cut.start, first_cut.seq);
        self.release(keep);
        self.next_seq = seq;
        start
    }

    fn found(self, header: Option<Header>, file: File, len: u64, cut: u64) -> Found {
        let recovered = Recovered {
            header,
            next_seq: self.next_seq,
            stored_to: self.fold.stored_to,
            fold: self.fold,
            damaged: self.damaged,
            cut,
        };
        Found { recovered, marks: self.marks, file, len }
    }
}

impl Held {
    fn is_sound(&self) -> bool {
        self.condition != Condition::Damaged
    }

    fn is_first_part(&self) -> bool {
        self.is_sound() && self.event.as_ref().is_some_and(|e| e.spool == Some(0))
    }
}

/// Events that are appended in a batch of their own, by a person's doing or at the end of a run.
fn is_outside(event: &AgentEvent) -> bool {
    matches!(
        event,
        AgentEvent::Message { .. }
            | AgentEvent::PermissionAnswer { .. }
            | AgentEvent::QuestionAnswer { .. }
            | AgentEvent::Done { .. }
    )
}
