//! Bytes to lines: splits at LF, never at anything else, and knows the offset behind each line.
//!
//! Memory is bounded: a line over the limit is thrown away as it comes and reported once, and the
//! stream goes on behind its LF.

use memchr::memchr_iter;

/// The longest line that is decoded. A message of 1 MiB arrives as a line of that size, twice
/// (recordings `big_text`); 32 MiB is far beyond, yet small enough to hold.
pub const LINE_LIMIT: usize = 32 << 20;

/// One line of the child's output, or the news that one was too long.
#[derive(Debug, PartialEq, Eq)]
pub enum Frame<'a> {
    /// Without its LF.
    Line(&'a [u8]),
    TooLong,
}

/// Cuts a stream into lines.
#[derive(Debug)]
pub struct Framer {
    /// The beginning of a line whose LF has not come.
    partial: Vec<u8>,
    /// The line being read is over the limit and was reported.
    skipping: bool,
    /// Offset of the first byte of `partial`.
    start: u64,
    limit: usize,
}

impl Framer {
    /// A framer whose first byte is at `start`; `skipping` as [`Framer::place`] gave it.
    pub fn at(start: u64, skipping: bool) -> Self {
        Self { partial: Vec::new(), skipping, start, limit: LINE_LIMIT }
    }

    /// For tests: another limit.
    #[cfg(test)]
    pub fn with_limit(mut self, limit: usize) -> Self {
        self.limit = limit;
        self
    }

    /// Where another framer could go on: the offset, and whether it stands in an overlong line.
    pub fn place(&self) -> (u64, bool) {
        (self.start, self.skipping)
    }

    /// Takes bytes and gives each line that ended in them, with the offset behind its LF.
    pub fn feed(&mut self, bytes: &[u8], mut each: impl FnMut(Frame<'_>, u64)) {
        let mut from = 0;
        for at in memchr_iter(b'\n', bytes) {
            self.end_line(&bytes[from..at], &mut each);
            from = at + 1;
        }
        self.keep(&bytes[from..], &mut each);
    }

    /// The stream is over: gives the half line that is left, if any.
    pub fn finish(&mut self, mut each: impl FnMut(Frame<'_>, u64)) {
        let rest = std::mem::take(&mut self.partial);
        self.start += rest.len() as u64;
        if !rest.is_empty() && !self.skipping {
            each(Frame::Line(&rest), self.start);
        }
    }

    fn end_line(&mut self, tail: &[u8], each: &mut impl FnMut(Frame<'_>, u64)) {
        let length = self.partial.len() + tail.len();
        self.start += length as u64 + 1;
        if self.skipping {
            self.skipping = false;
        } else if length > self.limit {
            each(Frame::TooLong, self.start);
        } else if self.partial.is_empty() {
            each(Frame::Line(tail), self.start);
        } else {
            self.partial.extend_from_slice(tail);
            each(Frame::Line(&self.partial), self.start);
        }
        self.forget();
    }

    fn keep(&mut self, rest: &[u8], each: &mut impl FnMut(Frame<'_>, u64)) {
        if self.skipping {
            self.start += rest.len() as u64;
            return;
        }
        self.partial.extend_from_slice(rest);
        if self.partial.len() > self.limit {
            self.start += self.partial.len() as u64;
            self.skipping = true;
            self.forget();
            each(Frame::TooLong, self.start);
        }
    }

    /// Empties `partial`; gives its memory back when one long line had made it big.
    fn forget(&mut self) {
        if self.partial.capacity() > 1 << 20 {
            self.partial = Vec::new();
        } else {
            self.partial.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(limit: usize, chunks: &[&[u8]]) -> Vec<(String, u64)> {
        let mut framer = Framer::at(0, false).with_limit(limit);
        let mut seen = Vec::new();
        let mut each = |frame: Frame<'_>, end| {
            let text = match frame {
                Frame::Line(line) => String::from_utf8_lossy(line).into_owned(),
                Frame::TooLong => "<too long>".into(),
            };
            seen.push((text, end));
        };
        for chunk in chunks {
            framer.feed(chunk, &mut each);
        }
        framer.finish(&mut each);
        seen
    }

    #[test]
    fn lines_know_the_offset_behind_them() {
        let seen = lines(100, &[b"ab\nc", b"d\n\n", b"rest"]);
        assert_eq!(
            seen,
            [("ab".into(), 3), ("cd".into(), 6), (String::new(), 7), ("rest".into(), 11)]
        );
    }

    #[test]
    fn a_line_over_the_limit_is_reported_once_and_the_next_one_is_read() {
        let whole = lines(4, &[b"abcdefgh\nok\n"]);
        assert_eq!(whole, [("<too long>".into(), 9), ("ok".into(), 12)]);
        let pieces = lines(4, &[b"abc", b"def", b"gh\no", b"k\n"]);
        assert_eq!(pieces, [("<too long>".into(), 6), ("ok".into(), 12)]);
    }

    #[test]
    fn memory_of_an_endless_line_is_given_back() {
        let mut framer = Framer::at(0, false).with_limit(2 << 20);
        for _ in 0..64 {
            framer.feed(&[b'x'; 1 << 16], |_, _| {});
        }
        assert!(framer.partial.capacity() <= 1 << 20);
        assert_eq!(framer.place(), (64 << 16, true));
    }
}
