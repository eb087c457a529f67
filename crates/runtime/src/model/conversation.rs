//! What the model is told: the conversation so far, made from stored events and nothing else. So a
//! stop, a crash, a resume and a replay are the same thing.

mod opaque;

use std::collections::BTreeSet;

use musher_protocol::{AgentEvent, EventEnvelope, ModelStep, RunId};
use serde_json::Value;

use super::{
    begun::{Begun, INTERRUPTED},
    codec::Dialect,
};
pub use opaque::check_repeated;

/// What stands where a model would have the first word.
pub const BEGINNING: &str = "(How this began is not known.)";

/// Of a person's words beside a summary, in characters.
const OF_PERSON: usize = 4_000;

/// One entry after the other, oldest first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Conversation {
    pub entries: Vec<Entry>,
    /// The person's first words, and their latest if they said more: no summary takes their place.
    pub task: Option<String>,
    pub latest: Option<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Entry {
    /// A person's words, or Musher's.
    User { text: String },
    /// One answer of a model.
    Step(Step),
    /// What came of a call of the step before.
    Result { call: String, text: String, is_error: bool },
}

#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// Whose `items` these are; `None` for a runtime that has no items.
    pub origin: Option<Origin>,
    /// The provider's own words, to be repeated as they are to the same model.
    pub items: Vec<Value>,
    /// What they say, for everybody else.
    pub parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    pub dialect: Dialect,
    pub model: String,
    /// The server's address, see [`super::Endpoint::place`]. `None`, where nobody wrote it down: nothing says that
    /// it is another one than that which goes on.
    pub place: Option<String>,
}

impl Origin {
    fn is(&self, dialect: Dialect, model: &str, place: &str) -> bool {
        let is_at = self.place.as_deref().is_none_or(|own| own == place);
        is_at && self.dialect == dialect && self.model == model
    }
}

/// What a model that goes on cannot be told, because it was thought elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lost {
    /// By another model.
    Model,
    /// At this other address: opaque items are the secret of whoever made them.
    Place(String),
}

#[derive(Clone, Debug, PartialEq)]
pub enum Part {
    Text(String),
    Call { id: String, name: String, input: Value },
}

impl Step {
    pub fn calls(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Call { id, .. } => Some(id.as_str()),
            Part::Text(_) => None,
        })
    }

    /// Whether the items may be repeated to this model, there.
    pub fn is_native(&self, dialect: Dialect, model: &str, place: &str) -> bool {
        self.origin.as_ref().is_some_and(|it| it.is(dialect, model, place))
    }
}

impl Conversation {
    /// A person's words; what Musher says goes by [`Self::say`].
    pub fn hear(&mut self, text: String) {
        self.note(&text);
        self.say(text);
    }

    fn note(&mut self, text: &str) {
        let place = if self.task.is_none() { &mut self.task } else { &mut self.latest };
        *place = Some(text.to_owned());
    }

    pub fn say(&mut self, text: impl Into<String>) {
        self.entries.push(Entry::User { text: text.into() });
    }

    /// Makes it one that a request can be made of, once something is asked: each call has exactly one
    /// result, directly behind its step; one whose end nobody knows has the result that says so. Words
    /// that were said meanwhile follow behind. Results that answer no call, and second ones, are
    /// dropped. A call whose id was used before gets another.
    pub fn mend(&mut self) {
        let mut steps = Steps::default();
        let mut mended: Vec<Entry> = Vec::with_capacity(self.entries.len() + 1);
        for entry in self.entries.drain(..) {
            match entry {
                Entry::Result { call, text, is_error } => steps.answer(call, text, is_error),
                Entry::Step(mut step) => {
                    steps.begin(mended.len(), &mut step);
                    mended.push(Entry::Step(step));
                }
                words => mended.push(words),
            }
        }
        if matches!(mended.first(), Some(Entry::Step(_))) {
            self.entries.push(Entry::User { text: BEGINNING.to_owned() });
        }
        let mut results = steps.results().into_iter().peekable();
        for (at, entry) in mended.into_iter().enumerate() {
            self.entries.push(entry);
            if let Some((_, results)) = results.next_if(|(step, _)| *step == at) {
                self.entries.extend(results);
            }
        }
    }

    /// Whether a request may be made of it: it begins and ends with words or results, each call has
    /// exactly one result directly behind its step, and no id is used twice.
    pub fn check(&self) -> Result<(), Invalid> {
        let mut seen = BTreeSet::new();
        let mut open: Vec<&str> = Vec::new();
        match self.entries.first() {
            None => return Err(Invalid::Empty),
            Some(Entry::User { .. }) => {}
            Some(_) => return Err(Invalid::NoBeginning),
        }
        for entry in &self.entries {
            match entry {
                Entry::Result { call, .. } => match open.iter().position(|id| id == call) {
                    Some(at) => drop(open.remove(at)),
                    None => return Err(Invalid::Orphan(call.clone())),
                },
                _ if !open.is_empty() => return Err(Invalid::Open(open[0].to_owned())),
                Entry::Step(step) => {
                    open.extend(step.calls());
                    if let Some(twice) = step.calls().find(|id| !seen.insert(*id)) {
                        return Err(Invalid::Twice(twice.to_owned()));
                    }
                }
                Entry::User { .. } => {}
            }
        }
        match (open.first(), self.entries.last()) {
            (Some(id), _) => Err(Invalid::Open((*id).to_owned())),
            (None, Some(Entry::Step(_))) => Err(Invalid::NothingAsked),
            _ => Ok(()),
        }
    }

    /// Puts a summary, with the person's own words, in the place of all but the latest `kept` entries.
    pub fn shorten(&mut self, summary: &str, kept: usize) {
        self.mend();
        let from = self.entries.len().saturating_sub(kept);
        self.entries.drain(..from);
        let text = self.framed(summary);
        self.entries.insert(0, Entry::User { text });
    }

    fn framed(&self, summary: &str) -> String {
        let mut text = format!("What was done so far, summed up:\n\n{summary}");
        let words = [("The task", &self.task), ("The latest that they said", &self.latest)];
        for (what, words) in words.into_iter().filter_map(|(what, it)| Some((what, it.as_ref()?))) {
            let words = shortened(words, OF_PERSON);
            text += &format!("\n\n{what}, in the person's own words:\n\n{words}");
        }
        text
    }

    /// Whether the model that answered last was told thoughts that this one cannot take. What was lost
    /// at an earlier change is not lost again.
    pub fn loses_thoughts(&self, dialect: Dialect, model: &str, place: &str) -> Option<Lost> {
        let steps = self.entries.iter().filter_map(|entry| match entry {
            Entry::Step(step) => Some((step.origin.as_ref()?, &step.items)),
            _ => None,
        });
        let (last, _) = steps.clone().next_back()?;
        let codec = last.dialect.codec();
        let has_thoughts = steps
            .filter(|(origin, _)| *origin == last)
            .any(|(_, items)| items.iter().any(|item| codec.has_thoughts(item)));
        match (&last.place, last.dialect == dialect && last.model == model) {
            _ if !has_thoughts => None,
            (_, false) => Some(Lost::Model),
            (Some(own), true) if own != place => Some(Lost::Place(own.clone())),
            _ => None,
        }
    }
}

pub(super) fn shortened(text: &str, chars: usize) -> String {
    match text.char_indices().nth(chars) {
        Some((cut, _)) => format!("{} …", &text[..cut]),
        None => text.to_owned(),
    }
}

/// The steps of a conversation that is mended, and the results of their calls.
#[derive(Default)]
struct Steps {
    taken: BTreeSet<String>,
    steps: Vec<Calls>,
}

struct Calls {
    /// Which entry the step is.
    entry: usize,
    /// The ids as they were said, and as they are now.
    open: Vec<(String, String)>,
    results: Vec<Entry>,
}

impl Steps {
    fn begin(&mut self, entry: usize, step: &mut Step) {
        let mut open = Vec::new();
        for part in &mut step.parts {
            let Part::Call { id, .. } = part else { continue };
            let said = id.clone();
            for again in 2.. {
                if self.taken.insert(id.clone()) {
                    break;
                }
                *id = format!("{said}_{again}");
            }
            open.push((said, id.clone()));
        }
        self.steps.push(Calls { entry, open, results: Vec::new() });
    }

    /// The latest call of this id that has no result is meant.
    fn answer(&mut self, call: String, text: String, is_error: bool) {
        for step in self.steps.iter_mut().rev() {
            if let Some(at) = step.open.iter().position(|(said, _)| *said == call) {
                let (_, call) = step.open.remove(at);
                return step.results.push(Entry::Result { call, text, is_error });
            }
        }
    }

    /// By entry, in order.
    fn results(self) -> Vec<(usize, Vec<Entry>)> {
        let with_all = |mut step: Calls| {
            step.results.extend(step.open.into_iter().map(|(_, call)| interrupted(call)));
            (step.entry, step.results)
        };
        self.steps.into_iter().map(with_all).collect()
    }
}

fn interrupted(call: String) -> Entry {
    Entry::Result { call, text: INTERRUPTED.to_owned(), is_error: true }
}

/// Why no request can be made of a conversation. A fault of ours: it is never sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    #[error("nothing was said yet")]
    Empty,
    #[error("it does not begin with a person's words")]
    NoBeginning,
    #[error("the call {0} has no result")]
    Open(String),
    #[error("a result answers no call: {0}")]
    Orphan(String),
    #[error("the call {0} is there twice")]
    Twice(String),
    #[error("the model has the last word already")]
    NothingAsked,
    #[error("hidden thoughts of the model ({0}) are not in the request where they belong")]
    Dropped(&'static str),
    #[error("hidden thoughts are in the request that are not this model's")]
    Foreign,
}

/// Makes a conversation of stored events, run by run. A run that has model steps is told by them; one
/// that has none (another kind of agent) by its texts and calls.
#[derive(Debug, Default)]
pub struct Fold {
    done: Conversation,
    run: Option<RunId>,
    /// Words that were given and that the agent does not have yet.
    given: Vec<(String, String)>,
    native: Vec<Entry>,
    neutral: Vec<Entry>,
    begun: Begun,
}

impl Fold {
    pub fn push(&mut self, envelope: EventEnvelope) {
        if self.run.as_ref() != Some(&envelope.run) {
            self.end_run();
            self.given.clear();
            self.begun = Begun::default();
            self.run = Some(envelope.run);
        }
        self.begun.heed(&envelope.event);
        match envelope.event {
            AgentEvent::Message { id, text, .. } => self.given.push((id, text)),
            AgentEvent::MessageSent { id } => self.sent(&id),
            AgentEvent::ModelStep(step) => self.native.extend(stored_step(step).map(Entry::Step)),
            AgentEvent::Text { text, delta: false, parent: None, .. } => {
                self.part(Part::Text(text));
            }
            AgentEvent::ToolCall(call) if call.parent.is_none() => {
                self.part(Part::Call { id: call.id, name: call.name, input: call.input });
            }
            AgentEvent::ToolResult(result) if result.parent.is_none() => {
                let is_error = result.is_error;
                let entry = Entry::Result { call: result.id, text: result.text, is_error };
                self.both(entry);
            }
            AgentEvent::Instruction { text } => self.both(Entry::User { text }),
            AgentEvent::Summary { text, kept } => {
                self.end_run();
                self.done.shorten(&text, kept as usize);
            }
            _ => {}
        }
    }

    pub fn finish(mut self) -> Conversation {
        self.end_run();
        self.done.mend();
        self.done
    }

    fn sent(&mut self, id: &str) {
        let Some(at) = self.given.iter().position(|(known, _)| known == id) else { return };
        let (_, text) = self.given.remove(at);
        self.done.note(&text);
        self.both(Entry::User { text });
    }

    fn both(&mut self, entry: Entry) {
        self.neutral.push(entry.clone());
        self.native.push(entry);
    }

    fn part(&mut self, part: Part) {
        match self.neutral.last_mut() {
            Some(Entry::Step(step)) => step.parts.push(part),
            _ => self.neutral.push(Entry::Step(Step {
                origin: None,
                items: Vec::new(),
                parts: vec![part],
            })),
        }
    }

    /// The ends of calls that have none. Only those of other kinds of agents are left to be mended: who
    /// allowed them is not known.
    fn open_among(&self, entries: &[Entry]) -> Vec<Entry> {
        let answered: BTreeSet<&str> = entries
            .iter()
            .filter_map(|entry| match entry {
                Entry::Result { call, .. } => Some(call.as_str()),
                _ => None,
            })
            .collect();
        let steps = entries.iter().filter_map(|entry| match entry {
            Entry::Step(step) => Some(step),
            _ => None,
        });
        let open = steps.flat_map(Step::calls).filter(|call| !answered.contains(call));
        open.map(|call| Entry::Result {
            call: call.to_owned(),
            text: self.begun.answer(call).to_owned(),
            is_error: true,
        })
        .collect()
    }

    fn end_run(&mut self) {
        let is_native = self.native.iter().any(|entry| matches!(entry, Entry::Step(_)));
        let (native, neutral) =
            (std::mem::take(&mut self.native), std::mem::take(&mut self.neutral));
        if !is_native {
            return self.done.entries.extend(neutral);
        }
        let open = self.open_among(&native);
        self.done.entries.extend(native);
        self.done.entries.extend(open);
    }
}

/// `None` for a dialect that a newer Musher knows.
fn stored_step(step: ModelStep) -> Option<Step> {
    let dialect = Dialect::of(&step.dialect)?;
    let parts = dialect.codec().parts(&step.items);
    let origin = Origin { dialect, model: step.model, place: step.place };
    Some(Step { origin: Some(origin), items: step.items, parts })
}
