//! What the readers of all dialects do alike: number the blocks of an answer, name its calls, read
//! their arguments, and say what an answer is worth in the end.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::codec::{Answer, Block, Finish, Piece, Usage};
use crate::surrogates::repair_surrogates;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Voice {
    Text,
    Thinking,
}

/// The blocks of one answer, as they grow.
#[derive(Debug, Default)]
pub(super) struct Speech {
    blocks: Vec<Block>,
    numbers: u32,
    /// A block whose text is another now than its pieces were.
    amended: Option<u32>,
}

impl Speech {
    /// Says it in the block that is being spoken, or in a new one when the voice changes.
    pub fn say(&mut self, voice: Voice, delta: &str) -> Option<Piece> {
        if delta.is_empty() {
            return None;
        }
        let same = matches!(
            (self.blocks.last(), voice),
            (Some(Block::Text { .. }), Voice::Text)
                | (Some(Block::Thinking { .. }), Voice::Thinking)
        );
        let at = if same { self.blocks.len() - 1 } else { self.open(voice) };
        self.add(at, delta)
    }

    /// Opens a block; its place is for [`Self::add`].
    pub fn open(&mut self, voice: Voice) -> usize {
        let (block, text) = (self.numbers, String::new());
        self.numbers += 1;
        self.blocks.push(match voice {
            Voice::Text => Block::Text { block, text },
            Voice::Thinking => Block::Thinking { block, text },
        });
        self.blocks.len() - 1
    }

    pub fn add(&mut self, at: usize, delta: &str) -> Option<Piece> {
        let said = delta.to_owned();
        if delta.is_empty() {
            return None;
        }
        match self.blocks.get_mut(at)? {
            Block::Text { block, text } => {
                text.push_str(delta);
                Some(Piece::Text { block: *block, delta: said })
            }
            Block::Thinking { block, text } => {
                text.push_str(delta);
                Some(Piece::Thinking { block: *block, delta: said })
            }
            Block::Call { .. } => None,
        }
    }

    /// The rest of a block whose whole text is known now.
    pub fn complete(&mut self, at: usize, whole: &str) -> Option<Piece> {
        let rest = whole.strip_prefix(self.text(at))?.to_owned();
        self.add(at, &rest)
    }

    pub fn text(&self, at: usize) -> &str {
        match self.blocks.get(at) {
            Some(Block::Text { text, .. } | Block::Thinking { text, .. }) => text,
            _ => "",
        }
    }

    /// Of the one block of words there is, the first part was thought. It is kept when nothing is left of
    /// it: what was shown of it is no longer so.
    pub fn was_thought(&mut self, thought: &str, words: &str) {
        let [Block::Text { block, text }] = self.blocks.as_mut_slice() else { return };
        *text = words.to_owned();
        self.amended = Some(*block);
        let block = self.numbers;
        self.numbers += 1;
        self.blocks.insert(0, Block::Thinking { block, text: thought.to_owned() });
    }

    pub fn call(&mut self, id: String, name: String, input: Result<Value, String>) {
        self.blocks.push(Block::Call { id, name, input });
    }

    fn is_empty(&self) -> bool {
        self.blocks.iter().all(|block| match block {
            Block::Text { text, .. } => text.trim().is_empty(),
            Block::Thinking { .. } => true,
            Block::Call { .. } => false,
        })
    }

    /// The whole answer. One that is not to be built on has neither items nor calls: nothing of it
    /// is repeated, and nothing of it runs.
    pub fn answer(
        self,
        items: Vec<Value>,
        finish: Finish,
        usage: Option<Usage>,
        model: Option<String>,
    ) -> Answer {
        let finish = match finish {
            Finish::Done if self.is_empty() => Finish::Empty,
            finish => finish,
        };
        let stands = matches!(finish, Finish::Done | Finish::Length | Finish::Other(_));
        let mut blocks = self.blocks;
        blocks.retain(|block| match block {
            Block::Text { block, .. } if Some(*block) == self.amended => true,
            Block::Text { text, .. } | Block::Thinking { text, .. } => !text.is_empty(),
            Block::Call { .. } => stands,
        });
        let items = if stands { items } else { Vec::new() };
        Answer { items, blocks, finish, usage, model }
    }
}

/// Gives each call an id that no other call of the run has.
#[derive(Debug, Default)]
pub(super) struct CallIds {
    taken: BTreeSet<String>,
}

impl CallIds {
    pub fn avoid(&mut self, taken: BTreeSet<String>) {
        self.taken.extend(taken);
    }

    /// The provider's own, unless it has none or it is taken.
    pub fn give(&mut self, said: Option<&str>) -> String {
        let said = said.filter(|id| !id.is_empty() && !self.taken.contains(*id));
        // 37 characters: some endpoints take 40 at most.
        let id =
            said.map_or_else(|| format!("call_{}", uuid::Uuid::new_v4().simple()), str::to_owned);
        self.taken.insert(id.clone());
        id
    }
}

/// The arguments of a call, from their JSON text. Models leave them out when there are none, and some
/// write the JSON text into a JSON string once more.
pub(super) fn arguments(text: &str) -> Result<Value, String> {
    match serde_json::from_str(text.trim()) {
        _ if text.trim().is_empty() => Ok(Value::Object(Map::new())),
        Ok(Value::String(inner)) => match serde_json::from_str(&inner) {
            Ok(Value::Object(object)) => Ok(Value::Object(object)),
            _ => Err(not_an_object("a string")),
        },
        Ok(value) => object(value),
        Err(error) => Err(format!("The arguments are no JSON ({error}).")),
    }
}

/// The arguments of a call that came as a value.
pub(super) fn object(value: Value) -> Result<Value, String> {
    match value {
        Value::Object(_) => Ok(value),
        Value::Null => Ok(Value::Object(Map::new())),
        Value::Array(_) => Err(not_an_object("a list")),
        _ => Err(not_an_object("a single value")),
    }
}

fn not_an_object(what: &str) -> String {
    format!("The arguments must be a JSON object, and are {what}.")
}

/// One event's data as JSON. Servers that cut an emoji through the middle send each half by itself.
pub(super) fn json(data: &str) -> Result<Value, String> {
    let read = serde_json::from_str(data).or_else(|error| {
        repair_surrogates(data).map_or(Err(error), |repaired| serde_json::from_str(&repaired))
    });
    read.map_err(|error| format!("it is no JSON ({error})"))
}

/// A member that is text.
pub(super) fn text<'a>(value: &'a Value, member: &str) -> Option<&'a str> {
    value.get(member)?.as_str()
}

/// Adds to a text that may not be there yet. In place: a long one comes in ten thousands of pieces.
pub(super) fn grow(text: &mut Value, more: &str) {
    match text {
        Value::String(text) => text.push_str(more),
        other => *other = more.into(),
    }
}

/// What was counted, at a path of members: 0 where nothing is said; `None` where it is no count.
pub(super) fn counted(value: &Value, path: &str) -> Option<u64> {
    match value.pointer(path) {
        None | Some(Value::Null) => Some(0),
        Some(said) => said.as_u64(),
    }
}

/// The same of a count without which the others mean nothing: it has to be said.
pub(super) fn must_count(value: &Value, path: &str) -> Option<u64> {
    value.pointer(path)?.as_u64()
}

/// A number of tokens, at a path of members; 0 where there is none.
pub(super) fn tokens(value: &Value, path: &str) -> u64 {
    value.pointer(path).and_then(Value::as_u64).unwrap_or_default()
}
