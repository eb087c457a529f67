//! What readers are shown in the place of lines that are damaged or missing. It is made while reading and
//! never stored.

use std::path::Path;

use chrono::{DateTime, Utc};
use musher_protocol::{AgentEvent, EventEnvelope, RunId};

use super::{lines::Line, read::run_of};

pub(super) fn damaged(line: &Line<'_>, path: &Path) -> Vec<u8> {
    let event = AgentEvent::Raw {
        kind: "damaged_line".into(),
        value: String::from_utf8_lossy(line.bytes).into_owned().into(),
    };
    stand_in(line.seq, event, path)
}

/// For the lines `from` to `to`.
pub(super) fn missing(from: u64, to: u64, path: &Path) -> Vec<u8> {
    let what = match to - from {
        0 => format!("Event {from} is"),
        _ => format!("Events {from} to {to} are"),
    };
    let message = format!(
        "{what} missing in the transcript of this run: the file {} was cut or changed from outside.",
        path.display()
    );
    stand_in(from, AgentEvent::Warning { code: "transcript_gap".into(), message }, path)
}

/// When it happened is not known: the beginning of time says so.
fn stand_in(seq: u64, event: AgentEvent, path: &Path) -> Vec<u8> {
    let Some(run) = run_of(path).or_else(|| RunId::parse("unknown")) else {
        return b"null".to_vec();
    };
    let envelope = EventEnvelope { run, seq, at: DateTime::<Utc>::UNIX_EPOCH, event, spool: None };
    serde_json::to_vec(&envelope).unwrap_or_else(|_| b"null".to_vec())
}
