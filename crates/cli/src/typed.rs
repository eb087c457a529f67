//! What is typed at the terminal, and which question each line was begun for.
//!
//! A read of a terminal can be ended by nothing but a line. One thread does nothing else, from the first
//! question on; the end of the process does not wait for it.

use std::{
    io::{BufRead, ErrorKind},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::sync::mpsc;

#[derive(Default)]
pub struct Typed {
    /// `None`: nothing was asked yet.
    lines: Option<mpsc::Receiver<Line>>,
    /// The number of the question that stands.
    question: Arc<AtomicU64>,
    /// The beginning of a line was thrown away, and its end is still to come.
    begun: bool,
    /// The question that stands has had a line.
    has_line: bool,
}

pub struct Line {
    /// With its end, which a terminal shows; the end of the input has none.
    pub text: String,
    /// Begun for the question that stands.
    pub is_meant: bool,
    question: u64,
}

/// What lay in the terminal, unread, and is thrown away.
#[derive(Default)]
struct Leftover {
    any: bool,
    begun: bool,
}

impl Typed {
    /// What comes from here on is for another question. Says whether something came too early for it.
    pub fn next_question(&mut self) -> bool {
        let mut early = false;
        while self.lines.as_mut().is_some_and(|lines| lines.try_recv().is_ok()) {
            early = true;
            self.begun = false;
        }
        let left = leftover(self.lines.is_some() && !self.has_line);
        self.begun |= left.begun;
        self.has_line = false;
        self.question.fetch_add(1, Ordering::SeqCst);
        self.lines.get_or_insert_with(|| listen(self.question.clone()));
        early || left.any || left.begun
    }

    /// The next line. Where nothing can be read it is empty, as at the end of the input.
    pub async fn line(&mut self) -> Line {
        let heard = match &mut self.lines {
            Some(lines) => lines.recv().await,
            None => None,
        };
        let now = self.question.load(Ordering::SeqCst);
        let line = heard.unwrap_or(Line { text: String::new(), is_meant: true, question: now });
        self.has_line = true;
        let is_meant = !std::mem::take(&mut self.begun) && line.question == now;
        Line { is_meant, ..line }
    }
}

/// One line may wait: past the end of its input the thread would go on for ever.
fn listen(question: Arc<AtomicU64>) -> mpsc::Receiver<Line> {
    let (tell, lines) = mpsc::channel(1);
    let read = move || {
        let mut input = std::io::stdin().lock();
        while tell.blocking_send(next_line(&mut input, &question)).is_ok() {}
    };
    // Without a thread nobody tells anything, which is the end of the input.
    let _ = std::thread::Builder::new().name("typed".into()).spawn(read);
    lines
}

/// A terminal gives a line as a whole, unless what was typed of it was drawn out of it between two
/// questions: then it belongs to the one that stood when this read began.
fn next_line(input: &mut impl BufRead, question: &AtomicU64) -> Line {
    let before = question.load(Ordering::SeqCst);
    let mut bytes = Vec::new();
    let mut begun_for = None;
    loop {
        let (count, is_whole) = match input.fill_buf() {
            Ok(got) => {
                let end = got.iter().position(|byte| *byte == b'\n');
                let count = end.map_or(got.len(), |end| end + 1);
                bytes.extend_from_slice(&got[..count]);
                (count, end.is_some() || got.is_empty())
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(_) => (0, true),
        };
        input.consume(count);
        let now = if is_whole { question.load(Ordering::SeqCst) } else { before };
        let question = *begun_for.get_or_insert(now);
        if is_whole {
            let text = String::from_utf8_lossy(&bytes).into_owned();
            return Line { text, is_meant: true, question };
        }
    }
}

/// A terminal keeps the line that is being typed to itself; it counts what it has of it only while it
/// is not asked for whole lines.
#[cfg(unix)]
fn leftover(_unanswered: bool) -> Leftover {
    use rustix::{
        io::ioctl_fionread,
        termios::{LocalModes, OptionalActions, QueueSelector, tcflush, tcgetattr, tcsetattr},
    };
    let input = std::io::stdin();
    let Ok(mode) = tcgetattr(&input) else { return Leftover::default() };
    let mut bare = mode.clone();
    bare.local_modes.remove(LocalModes::ICANON);
    let lines = ioctl_fionread(&input).unwrap_or(0);
    let is_bare = tcsetattr(&input, OptionalActions::Now, &bare).is_ok();
    let all = ioctl_fionread(&input).unwrap_or(lines);
    // What cannot be thrown away is read, and belongs to an earlier question.
    let _ = tcflush(&input, QueueSelector::IFlush);
    if is_bare {
        // It was this terminal's own mode a moment ago.
        let _ = tcsetattr(&input, OptionalActions::Now, &mode);
    }
    Leftover { any: all > 0, begun: all > lines }
}

/// Here it cannot be seen: after a question that was left without a line, one may have been begun.
#[cfg(not(unix))]
fn leftover(unanswered: bool) -> Leftover {
    Leftover { any: false, begun: unanswered }
}

#[cfg(test)]
mod tests {
    use std::io::{BufReader, Read};

    use super::*;

    /// Gives one piece a read; another question stands from the second on.
    struct Pieces<'a>(Vec<&'a str>, &'a AtomicU64);

    impl Read for Pieces<'_> {
        fn read(&mut self, to: &mut [u8]) -> std::io::Result<usize> {
            if self.0.is_empty() {
                return Ok(0);
            }
            let piece = self.0.remove(0);
            to[..piece.len()].copy_from_slice(piece.as_bytes());
            self.1.fetch_add(1, Ordering::SeqCst);
            Ok(piece.len())
        }
    }

    fn read(pieces: &[&str]) -> (String, u64) {
        let question = AtomicU64::new(1);
        let mut input = BufReader::new(Pieces(pieces.to_vec(), &question));
        let line = next_line(&mut input, &question);
        (line.text, line.question)
    }

    #[test]
    fn a_line_belongs_to_the_question_that_stood_when_it_was_begun() {
        assert_eq!(read(&["y\n"]), ("y\n".into(), 2), "whole: typed while the second stood");
        assert_eq!(read(&["y", "\n"]), ("y\n".into(), 1), "in pieces: begun for the first");
        assert_eq!(read(&["y"]), ("y".into(), 1), "ended without a line's end");
        assert_eq!(read(&[]), (String::new(), 1), "the end of the input");
    }
}
