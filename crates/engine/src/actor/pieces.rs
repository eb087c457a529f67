//! What an agent says in pieces: one of them may end in the middle of a key.
//!
//! A piece that ends as a key begins waits for what comes next, whatever that is, with all that came in
//! the same batch: so lines stay whole and in order, and as nothing of them is stored before, an engine
//! that comes after this one reads them again.

use musher_protocol::AgentEvent;
use musher_runtime::{Batch, MOST_WAITING, Secrets, Sourced};

#[derive(Default)]
pub(super) struct Pieces {
    waiting: Vec<Sourced>,
}

impl Pieces {
    /// What can be stored by now. `None`: it waits for more.
    pub fn take(&mut self, batch: Batch, secrets: &Secrets) -> Option<Batch> {
        let mut events = self.rest();
        events.extend(batch.events);
        let is_open = !secrets.is_empty() && hide_across(&mut events, secrets);
        if is_open && batch.stored.is_none() && events.len() < MOST_WAITING {
            self.waiting = events;
            return None;
        }
        Some(Batch { events, stored: batch.stored })
    }

    /// What still waits, when nothing more comes.
    pub fn rest(&mut self) -> Vec<Sourced> {
        std::mem::take(&mut self.waiting)
    }
}

/// Hides what lies across pieces that follow each other. Whether the last of them may go on as a secret.
fn hide_across(events: &mut [Sourced], secrets: &Secrets) -> bool {
    let mut all = String::new();
    for words in events.chunk_by_mut(|one, next| goes_on(&one.event, &next.event)) {
        all.clear();
        let mut texts: Vec<&mut String> =
            words.iter_mut().filter_map(|it| text(&mut it.event)).collect();
        texts.iter().for_each(|text| all += text);
        if texts.len() > 1 && secrets.hides_in(&all) {
            texts.iter_mut().for_each(|text| text.clear());
            *texts[0] = secrets.hide(all.clone());
        }
    }
    secrets.may_go_on(&all)
}

/// Whether both are pieces of the same words.
fn goes_on(one: &AgentEvent, next: &AgentEvent) -> bool {
    use AgentEvent::{Text, Thinking};
    match (one, next) {
        (Text { block: a, delta: true, .. }, Text { block: b, delta: true, .. })
        | (Thinking { block: a, delta: true, .. }, Thinking { block: b, delta: true, .. }) => {
            a == b
        }
        _ => false,
    }
}

/// Of a piece.
fn text(event: &mut AgentEvent) -> Option<&mut String> {
    match event {
        AgentEvent::Text { text, delta: true, .. }
        | AgentEvent::Thinking { text, delta: true, .. } => Some(text),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use musher_runtime::MARK;

    use super::*;

    const KEY: &str = "sk-canary/77d0e3";

    fn says(block: &str, text: &str, delta: bool) -> Sourced {
        AgentEvent::Text { block: block.into(), text: text.into(), delta, parent: None }.into()
    }

    /// What comes out at each of these pieces of one block.
    fn told(pieces: &[&str]) -> Vec<Option<String>> {
        let secrets = Secrets::new(&[secrecy::SecretString::from(KEY)]);
        let mut all = Pieces::default();
        let told = pieces.iter().map(|piece| {
            let batch = Batch { events: vec![says("1", piece, true)], stored: None };
            let told = all.take(batch, &secrets)?;
            let texts = told.events.into_iter().map(|mut it| text(&mut it.event).unwrap().clone());
            Some(texts.collect())
        });
        told.collect()
    }

    #[test]
    fn a_key_in_pieces_is_hidden_wherever_it_is_cut() {
        for cut in 2..KEY.len() {
            let (first, second) = (format!("it is {}", &KEY[..cut]), format!("{} so", &KEY[cut..]));
            assert_eq!(told(&[&first, &second]), [None, Some(format!("it is {MARK} so"))], "{cut}");
        }
        let each: Vec<&str> = [&KEY[..2], &KEY[2..3], &KEY[3..9], "\n", &KEY[9..]].into();
        assert_eq!(told(&each), [None, None, None, None, Some(MARK.into())]);
    }

    #[test]
    fn what_only_begins_like_a_key_comes_with_what_follows() {
        let (a, b) = (Some("words".to_owned()), Some("the task is sk-can not".to_owned()));
        assert_eq!(told(&["words", "the task is sk", "-can", " not"]), [a, None, None, b]);
        let mut all = Pieces::default();
        let secrets = Secrets::new(&[secrecy::SecretString::from(KEY)]);
        let open = || Batch { events: vec![says("1", "sk", true)], stored: None };
        assert!(all.take(open(), &secrets).is_none());
        // Other words of the agent's, and the end of these, keep nothing waiting.
        let other = Batch { events: vec![says("2", "a", true)], stored: None };
        assert_eq!(all.take(other, &secrets).unwrap().events.len(), 2);
        assert!(all.take(open(), &secrets).is_none());
        let whole = Batch { events: vec![says("1", "sk", false)], stored: None };
        assert_eq!(all.take(whole, &secrets).unwrap().events.len(), 2);
        // Nor does who waits until it is stored.
        let awaited = Batch { stored: Some(tokio::sync::oneshot::channel().0), ..open() };
        assert!(all.take(awaited, &secrets).is_some() && all.rest().is_empty());
        for _ in 1..MOST_WAITING {
            assert!(all.take(open(), &secrets).is_none());
        }
        assert_eq!(all.take(open(), &secrets).unwrap().events.len(), MOST_WAITING);
    }
}
