//! What a command says, as far as a model is to read it: the beginning and the end, without secrets.

use std::collections::VecDeque;

use musher_runtime::{Hiding, Secrets};

const HEAD: usize = 8_000;
const TAIL: usize = 22_000;
/// What is said up to here is told whole.
pub const TOLD: usize = HEAD + TAIL;

pub struct Output {
    hiding: Hiding,
    head: Vec<u8>,
    tail: VecDeque<u8>,
    left_out: u64,
}

impl Output {
    pub fn without(secrets: &Secrets) -> Self {
        let hiding = secrets.stream();
        Self { hiding, head: Vec::new(), tail: VecDeque::new(), left_out: 0 }
    }

    pub fn take(&mut self, bytes: &[u8]) {
        let told = self.hiding.take(bytes);
        self.keep(&told);
    }

    /// Nothing more is said.
    pub fn finish(&mut self) {
        let told = self.hiding.finish();
        self.keep(&told);
    }

    /// Whether what was said, as it was said, may hold a secret.
    pub fn may_hold_secret(&self) -> bool {
        self.hiding.has_hidden() || self.hiding.may_have_told()
    }

    fn keep(&mut self, bytes: &[u8]) {
        let room = (HEAD - self.head.len()).min(bytes.len());
        self.head.extend_from_slice(&bytes[..room]);
        self.tail.extend(&bytes[room..]);
        let over = self.tail.len().saturating_sub(TAIL);
        self.tail.drain(..over);
        self.left_out += over as u64;
    }

    pub fn is_cut(&self) -> bool {
        self.left_out > 0
    }

    /// Ends with a line's end, unless it is empty.
    pub fn text(self) -> String {
        let tail: Vec<u8> = self.tail.into();
        let mut bytes = self.head;
        let mut text = if self.left_out == 0 {
            bytes.extend(tail);
            String::from_utf8_lossy(&bytes).into_owned()
        } else {
            let head = whole_lines(&bytes, true);
            let tail = whole_lines(&tail, false);
            let out = self.left_out as usize + HEAD + TAIL - head.len() - tail.len();
            let (head, tail) = (String::from_utf8_lossy(head), String::from_utf8_lossy(tail));
            format!("{head}\n[… {out} bytes left out …]\n{tail}")
        };
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        text
    }
}

/// Without the line that was cut through, where there are lines at all.
fn whole_lines(bytes: &[u8], head: bool) -> &[u8] {
    let end = if head { memchr::memrchr(b'\n', bytes) } else { memchr::memchr(b'\n', bytes) };
    match (end, head) {
        (Some(at), true) => &bytes[..at],
        (Some(at), false) => &bytes[at + 1..],
        (None, _) => bytes,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str, step: usize) -> (String, bool) {
        let mut output = Output::without(&Secrets::default());
        text.as_bytes().chunks(step).for_each(|bytes| output.take(bytes));
        output.finish();
        let is_cut = output.is_cut();
        (output.text(), is_cut)
    }

    #[test]
    fn short_output_is_whole() {
        assert_eq!(said("a\nb", 1), ("a\nb\n".to_owned(), false));
        assert_eq!(said("", 1), (String::new(), false));
        let all = "x".repeat(HEAD + TAIL);
        assert_eq!(said(&all, 7).0.trim_end(), all);
    }

    #[test]
    fn of_long_output_the_middle_goes() {
        let all: String = (0..20_000).map(|number| format!("line {number}\n")).collect();
        for step in [1, 1000, usize::MAX] {
            let (text, is_cut) = said(&all, step);
            assert!(is_cut && text.len() < HEAD + TAIL + 100);
            assert!(text.starts_with("line 0\n") && text.ends_with("line 19999\n"));
            let kept: usize =
                text.lines().filter(|l| !l.starts_with('[')).map(|l| l.len() + 1).sum();
            let out = all.len() - kept;
            assert!(text.contains(&format!("[… {} bytes left out …]", out + 1)), "{out}");
        }
    }
}
