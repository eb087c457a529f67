//! What waits to be said to the child. An id is taken once, however often it is sent.

use std::collections::{HashSet, VecDeque};

use crate::wire::INPUT_LIMIT;

/// Who waits to hear that a text was written: a client and its call.
pub type Waiter = (u64, u64);

pub struct Input<P> {
    pipe: Option<P>,
    queue: VecDeque<Text>,
    taken: HashSet<String>,
    bytes: usize,
    close_behind: bool,
}

struct Text {
    id: String,
    bytes: Vec<u8>,
    written: usize,
    waiters: Vec<Waiter>,
}

/// A waiter and what it is told.
pub type Answer = (Waiter, Option<String>);

impl<P> Input<P> {
    pub fn new(pipe: P) -> Self {
        Self {
            pipe: Some(pipe),
            queue: VecDeque::new(),
            taken: HashSet::new(),
            bytes: 0,
            close_behind: false,
        }
    }

    pub fn queued(&self) -> usize {
        self.bytes
    }

    /// The descriptor to wait on while something waits to be written.
    #[cfg(unix)]
    pub fn wants(&self) -> Option<&P> {
        self.pipe.as_ref().filter(|_| !self.queue.is_empty())
    }

    /// Takes a text to be written, and answers what can be answered at once.
    pub fn push(&mut self, id: String, text: String, waiter: Waiter) -> Vec<Answer> {
        if let Some(waiting) = self.queue.iter_mut().find(|text| text.id == id) {
            waiting.waiters.push(waiter);
            return Vec::new();
        }
        if self.taken.contains(&id) {
            return vec![(waiter, None)];
        }
        if self.pipe.is_none() || self.close_behind {
            return refuse(waiter, "The agent takes no more input.");
        }
        if self.bytes + text.len() > INPUT_LIMIT {
            return refuse(waiter, "The agent does not read its input; too much waits already.");
        }
        self.bytes += text.len();
        self.taken.insert(id.clone());
        self.queue.push_back(Text { id, bytes: text.into(), written: 0, waiters: vec![waiter] });
        Vec::new()
    }

    /// The pipe, and what goes into it next.
    pub fn next(&mut self) -> Option<(&mut P, &[u8])> {
        let text = self.queue.front()?;
        Some((self.pipe.as_mut()?, &text.bytes[text.written..]))
    }

    /// So much of `next` is in the pipe.
    pub fn took(&mut self, count: usize) -> Vec<Answer> {
        let mut answers = Vec::new();
        if let Some(text) = self.queue.front_mut() {
            text.written += count;
            if text.written == text.bytes.len() {
                self.bytes -= text.bytes.len();
                answers.extend(text.waiters.drain(..).map(|waiter| (waiter, None)));
                self.queue.pop_front();
            }
        }
        if self.close_behind && self.queue.is_empty() {
            self.pipe = None;
        }
        answers
    }

    /// The child reads the end once it has read what is queued.
    pub fn close_behind_queue(&mut self) {
        self.close_behind = true;
        if self.queue.is_empty() {
            self.pipe = None;
        }
    }

    /// The child reads the end now; what is queued was not said.
    pub fn close(&mut self) -> Vec<Answer> {
        self.pipe = None;
        self.bytes = 0;
        let unsaid = std::mem::take(&mut self.queue);
        for text in &unsaid {
            self.taken.remove(&text.id);
        }
        let why = "The agent closed its input before it had read this.";
        let waiters = unsaid.into_iter().flat_map(|text| text.waiters);
        waiters.map(|waiter| (waiter, Some(why.to_owned()))).collect()
    }
}

fn refuse(waiter: Waiter, why: &str) -> Vec<Answer> {
    vec![(waiter, Some(why.to_owned()))]
}
