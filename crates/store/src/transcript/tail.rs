//! The last lines of a transcript that is being written, so that who follows it reads no file.

use std::{collections::VecDeque, ops::Range, sync::Arc};

use super::{
    LineBatch,
    read::{StoredBatch, text},
};

/// Bytes that are kept; one batch more while it is the newest.
const KEPT: usize = 256 << 10;

/// Lines of one append, each with its end.
#[derive(Clone, Debug)]
struct Piece {
    first_seq: u64,
    bytes: Arc<[u8]>,
}

/// The newest appends, without a gap.
#[derive(Clone, Debug, Default)]
pub(super) struct Tail {
    pieces: VecDeque<Piece>,
    size: usize,
}

impl Tail {
    pub fn push(&mut self, lines: &LineBatch) {
        self.size += lines.bytes().len();
        self.pieces.push_back(Piece { first_seq: lines.first_seq(), bytes: lines.bytes().into() });
        while self.size > KEPT && self.pieces.len() > 1 {
            self.size -= self.pieces.pop_front().map_or(0, |piece| piece.bytes.len());
        }
    }

    /// The pieces with the lines from `from_seq` on; nothing when the first of them is not kept.
    pub fn from(&self, from_seq: u64) -> Option<Self> {
        let behind = self.pieces.partition_point(|piece| piece.first_seq <= from_seq);
        let pieces = self.pieces.range(behind.checked_sub(1)?..).cloned().collect();
        Some(Self { pieces, size: 0 })
    }

    /// The lines with a number in `seqs`, at most `max_bytes` of them, but at least one if there is one.
    pub fn read(&self, seqs: Range<u64>, max_bytes: usize) -> StoredBatch {
        let (first_seq, mut next_seq) = (seqs.start, seqs.start);
        let mut json = vec![b'['];
        let lines = self.pieces.iter().flat_map(Piece::lines);
        for (seq, line) in lines.filter(|(seq, _)| seqs.contains(seq)) {
            if json.len() > 1 {
                if json.len() + line.len() > max_bytes {
                    break;
                }
                json.push(b',');
            }
            json.extend_from_slice(line);
            next_seq = seq + 1;
        }
        json.push(b']');
        StoredBatch { json: text(json), first_seq, next_seq, count: next_seq - first_seq }
    }
}

impl Piece {
    /// Text in JSON holds no line ends of its own.
    fn lines(&self) -> impl Iterator<Item = (u64, &[u8])> {
        let body = self.bytes.strip_suffix(b"\n").unwrap_or(&self.bytes);
        (self.first_seq..).zip(body.split(|byte| *byte == b'\n'))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use chrono::{DateTime, Utc};
    use musher_protocol::{AgentEvent, EventEnvelope, RunId};

    use super::*;

    fn batch(first_seq: u64, count: u64, size: usize) -> LineBatch {
        let mut batch = LineBatch::new(first_seq);
        for seq in first_seq..first_seq + count {
            let event = AgentEvent::Checkpoint { commit: "\n".repeat(size), label: "é".into() };
            let (run, at) = (RunId::parse("r").unwrap(), DateTime::<Utc>::UNIX_EPOCH);
            batch.push(&EventEnvelope { run, seq, at, event, spool: None }).unwrap();
        }
        batch
    }

    fn numbers(batch: &StoredBatch) -> Vec<u64> {
        let events: Vec<EventEnvelope> = serde_json::from_str(&batch.json).unwrap();
        assert_eq!(
            (batch.count, batch.next_seq),
            (events.len() as u64, batch.first_seq + batch.count)
        );
        events.iter().map(|event| event.seq).collect()
    }

    #[test]
    fn lines_are_read_from_any_of_them_on_over_the_borders_of_appends() {
        let mut tail = Tail::default();
        assert!(tail.from(1).is_none());
        for first in [3, 5, 6] {
            tail.push(&batch(first, if first == 5 { 1 } else { 2 }, 1));
        }
        assert!(tail.from(2).is_none(), "line 2 is only in the file");
        for from in 3..=8 {
            for end in [from, 7, u64::MAX] {
                let read = tail.from(from).unwrap().read(from..end, usize::MAX);
                assert_eq!(numbers(&read), (from..end.min(8)).collect::<Vec<_>>());
            }
        }
        let one = tail.from(4).unwrap().read(4..8, 1);
        assert_eq!(numbers(&one), [4], "at least one, however small the limit");
    }

    #[test]
    fn what_is_kept_has_a_limit_but_for_the_newest() {
        let mut tail = Tail::default();
        for seq in 1..=20 {
            tail.push(&batch(seq, 1, KEPT / 16));
        }
        assert!(tail.size <= KEPT && tail.from(20).is_some() && tail.from(1).is_none());
        tail.push(&batch(21, 1, KEPT));
        assert_eq!(tail.pieces.len(), 1);
        assert_eq!(numbers(&tail.from(21).unwrap().read(21..22, 1)), [21]);
    }
}
