//! Thoughts that stand in the words. Local servers that do not take a model's template apart (llama.cpp
//! with `--reasoning-format none`, older Ollama, LM Studio and vLLM without a reasoning parser) send
//! them as the model wrote them: at the beginning of an answer, between tags.
//!
//! Only tags at the very beginning count: further on they may be what the answer is about. Where the
//! template itself writes the opening tag (Qwen3's thinking models of July 2025, DeepSeek-R1's), only the
//! closing one is sent. That it was one is known at its end alone, so such thoughts are shown as words
//! until the answer is whole ([`unopened`]).
//!
//! What is sent back: Qwen's documentation has thoughts of earlier turns left out, and those of the turn
//! that goes on kept (<https://github.com/QwenLM/Qwen3/discussions/1398>, and the template of Qwen3:
//! behind the last words of the person). DeepSeek-R1's template leaves out all of them itself.

use super::super::speech::Voice;

/// DeepSeek, Qwen and most others; some tunes of theirs; Mistral's Magistral.
const TAGS: [(&str, &str); 3] =
    [("<think>", "</think>"), ("<thinking>", "</thinking>"), ("[THINK]", "[/THINK]")];

/// Takes the words of one answer apart, however they are cut into pieces.
#[derive(Debug, Default)]
pub(super) struct Apart {
    at: At,
    /// What may be the beginning of a tag.
    held: String,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum At {
    #[default]
    Beginning,
    /// Nothing was thought yet; this tag ends it.
    Opened(&'static str),
    Thinking(&'static str),
    /// Behind the thoughts, before the first word.
    Closed,
    Saying,
}

impl Apart {
    /// What can be told of it so far.
    pub fn take(&mut self, said: &str) -> Vec<(Voice, String)> {
        if self.at == At::Saying {
            return vec![(Voice::Text, said.to_owned())];
        }
        self.held.push_str(said);
        let mut told = Vec::new();
        while let Some(more) = self.step() {
            told.extend(more);
        }
        told
    }

    /// The rest, when nothing more comes.
    pub fn finish(&mut self) -> Option<(Voice, String)> {
        let rest = std::mem::take(&mut self.held);
        let voice = match self.at {
            At::Opened(_) | At::Thinking(_) => Voice::Thinking,
            _ => Voice::Text,
        };
        (!rest.is_empty()).then_some((voice, rest))
    }

    /// One step on: what is told by it. `None` when more has to come first.
    fn step(&mut self) -> Option<Option<(Voice, String)>> {
        match self.at {
            At::Beginning => self.begin(),
            At::Opened(_) | At::Closed if self.held.trim_start().is_empty() => None,
            At::Opened(tag) => {
                self.held = self.held.trim_start().to_owned();
                self.at = At::Thinking(tag);
                Some(None)
            }
            At::Thinking(tag) => self.think(tag),
            At::Closed => {
                self.at = At::Saying;
                let words = std::mem::take(&mut self.held);
                Some(Some((Voice::Text, words.trim_start().to_owned())))
            }
            At::Saying => None,
        }
    }

    fn begin(&mut self) -> Option<Option<(Voice, String)>> {
        let begun = self.held.trim_start();
        if let Some((rest, close)) = opened(begun) {
            (self.held, self.at) = (rest.to_owned(), At::Opened(close));
            return Some(None);
        }
        if TAGS.iter().any(|(open, _)| open.starts_with(begun)) {
            return None;
        }
        self.at = At::Saying;
        Some(Some((Voice::Text, std::mem::take(&mut self.held))))
    }

    fn think(&mut self, close: &'static str) -> Option<Option<(Voice, String)>> {
        if let Some((thought, rest)) = self.held.split_once(close) {
            let thought = thought.to_owned();
            (self.held, self.at) = (rest.to_owned(), At::Closed);
            return Some((!thought.is_empty()).then_some((Voice::Thinking, thought)));
        }
        let tag = (1..close.len()).rev().find(|end| self.held.ends_with(&close[..*end]));
        let told = self.held.len() - tag.unwrap_or_default();
        let rest = self.held.split_off(told);
        let thought = std::mem::replace(&mut self.held, rest);
        (!thought.is_empty()).then_some(Some((Voice::Thinking, thought)))
    }
}

fn opened(begun: &str) -> Option<(&str, &'static str)> {
    TAGS.iter().find_map(|(open, close)| Some((begun.strip_prefix(open)?, *close)))
}

/// The thoughts and the words of a whole answer whose opening tag was not sent. The closing one has a
/// line of its own, as those models write it, in no block of code, and no opening one stands before it:
/// an answer about such tags is none.
pub(super) fn unopened(said: &str) -> Option<(&str, &str)> {
    if opened(said.trim_start()).is_some() {
        return None;
    }
    let (thought, close, words) = TAGS.iter().find_map(|(open, close)| {
        let (thought, words) = said.split_once(close)?;
        (!thought.contains(open)).then_some((thought, close, words))
    })?;
    let begins_line = thought.trim_end_matches([' ', '\t']).ends_with('\n');
    let ends_line = words.trim_start_matches([' ', '\t', '\r']);
    let is_alone = begins_line && (ends_line.is_empty() || ends_line.starts_with('\n'));
    let in_code = thought.matches("```").count() % 2 == 1 || words.contains(close);
    (is_alone && !in_code && !thought.trim().is_empty())
        .then(|| (thought.trim_start(), words.trim_start()))
}

/// The words without the thoughts before them.
pub(super) fn without_thoughts(said: &str) -> &str {
    match opened(said.trim_start()) {
        None => unopened(said).map_or(said, |(_, words)| words),
        Some((rest, close)) => rest.split_once(close).map_or("", |(_, words)| words.trim_start()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn told(pieces: &[&str]) -> (String, String) {
        let mut apart = Apart::default();
        let (mut thought, mut said) = (String::new(), String::new());
        let taken = pieces.iter().flat_map(|piece| apart.take(piece)).collect::<Vec<_>>();
        for (voice, words) in taken.into_iter().chain(apart.finish()) {
            match voice {
                Voice::Thinking => thought.push_str(&words),
                Voice::Text => said.push_str(&words),
            }
        }
        (thought, said)
    }

    /// What is said, what of it is thought, what is said aloud.
    const CASES: [(&str, &str, &str); 16] = [
        ("Hello.", "", "Hello."),
        ("<think>Hm.</think>Hello.", "Hm.", "Hello."),
        ("\n<think>\nHm.\n</think>\n\nHello.\n", "Hm.\n", "Hello.\n"),
        ("<think>\n\n</think>\n\nHello.", "", "Hello."),
        ("<think></think>", "", ""),
        ("<think>größe < 3 </thin 🦀</think>ö", "größe < 3 </thin 🦀", "ö"),
        ("<think>Hm. </think", "Hm. </think", ""),
        ("<think>Hm.", "Hm.", ""),
        ("<thin", "", "<thin"),
        ("  ", "", "  "),
        ("<thinking>a</think>b</thinking>c", "a</think>b", "c"),
        ("[THINK]a[/THINK]b", "a", "b"),
        (
            "The tag <think>a</think> is not one here.",
            "",
            "The tag <think>a</think> is not one here.",
        ),
        ("<think>a</think>b <think>c</think>", "a", "b <think>c</think>"),
        ("<THINK>", "", "<THINK>"),
        ("<thought>a", "", "<thought>a"),
    ];

    #[test]
    fn thoughts_are_told_apart_however_they_are_cut() {
        for (whole, thought, said) in CASES {
            let expected = (thought.to_owned(), said.to_owned());
            assert_eq!(told(&[whole]), expected, "{whole:?}");
            for (cut, _) in whole.char_indices() {
                let (first, second) = whole.split_at(cut);
                assert_eq!(told(&[first, second]), expected, "{first:?} {second:?}");
            }
            let each: Vec<&str> = whole.split_inclusive(|_| true).collect();
            assert_eq!(told(&each), expected, "{each:?}");
        }
    }

    #[test]
    fn a_closing_tag_alone_ends_thoughts_where_nothing_else_can_be_meant() {
        for (said, thought, words) in [
            ("Hm.\n</think>\n\nHello.", "Hm.\n", "Hello."),
            ("\nHm.\n\nMore.\n</think>\r\n", "Hm.\n\nMore.\n", ""),
            ("A ```x``` b\n  </think> \nYes <b>", "A ```x``` b\n  ", "Yes <b>"),
            ("Hm.\n[/THINK]\nHello.", "Hm.\n", "Hello."),
        ] {
            assert_eq!(unopened(said), Some((thought, words)), "{said:?}");
            assert_eq!(without_thoughts(said), words);
        }
        for said in [
            "Hello.",
            "The tag </think> ends it.",
            "It ends with\n</think> and no other.",
            "First <think>, then\n</think>\nis written.",
            "```\n</think>\n```\nis how it ends.",
            "One\n</think>\nand another\n</think>\n",
            "\n</think>\nHello.",
        ] {
            assert_eq!(unopened(said), None, "{said:?}");
        }
    }

    #[test]
    fn what_is_said_is_told_without_delay() {
        let mut apart = Apart::default();
        assert_eq!(apart.take("<think>Hm"), [(Voice::Thinking, "Hm".to_owned())]);
        assert_eq!(apart.take(", no </"), [(Voice::Thinking, ", no ".to_owned())]);
        assert_eq!(apart.take("b>"), [(Voice::Thinking, "</b>".to_owned())]);
        assert_eq!(apart.take("</think>"), []);
        assert_eq!(apart.take("Yes"), [(Voice::Text, "Yes".to_owned())]);
        assert_eq!(apart.take(" <"), [(Voice::Text, " <".to_owned())]);
    }

    proptest! {
        #[test]
        fn any_pieces_tell_the_same(words in "(<think>)?[<>/think a\n]{0,30}(</think>)?[a<é]{0,5}", cuts in prop::collection::vec(0usize..40, 0..6)) {
            let mut cuts: Vec<usize> =
                cuts.into_iter().filter(|cut| words.is_char_boundary(*cut)).collect();
            cuts.extend([0, words.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&str> = cuts.windows(2).map(|it| &words[it[0]..it[1]]).collect();
            let (thought, said) = told(&pieces);
            prop_assert_eq!(&(thought, said.clone()), &told(&[&words]));
            let rest = unopened(&words).map_or(said.as_str(), |(_, rest)| rest);
            prop_assert_eq!(without_thoughts(&words), rest);
        }
    }
}
