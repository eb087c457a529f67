//! Whatever happened, in whatever order and wherever it was broken off: what is stored makes a
//! conversation that can be asked with, in every dialect.

use std::collections::BTreeSet;

use chrono::Utc;
use musher_protocol::{
    AgentEvent, Delivery, EventEnvelope, ModelStep, RunId, ToolCall, ToolKind, ToolResult,
};
use musher_runtime::model::{
    begun::{INTERRUPTED, NEVER_BEGUN},
    codec::{Block, Dialect},
    conversation::{Conversation, Entry, Fold, Origin, Part},
};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{PLACE, body, rules::broken, scripts::Said};

/// Who ran: a model over HTTP, or (`None`) an agent of another kind.
type Agent = Option<(Dialect, &'static str)>;

const AGENTS: [Agent; 6] = [
    Some((Dialect::OpenAiResponses, "gpt-5.5")),
    Some((Dialect::OpenAiResponses, "gpt-5.5-mini")),
    Some((Dialect::OpenAiChat, "deepseek-v4-pro")),
    Some((Dialect::Gemini, "gemini-3.8-flash")),
    Some((Dialect::Gemini, "gemini-3.1-pro")),
    None,
];

#[derive(Clone, Debug)]
enum Happens {
    /// Another run begins, of one of the agents.
    Run(usize),
    /// Words are given; the agent gets them or never does.
    Words {
        sent: bool,
    },
    Instruction,
    Step(Turn),
    Summary {
        kept: u32,
    },
}

#[derive(Clone, Debug)]
struct Turn {
    thinks: bool,
    speaks: bool,
    /// Each with an id of a few that repeat, or none.
    calls: Vec<Option<u8>>,
    /// In which order the results come, how many of them, and behind which one somebody speaks.
    order: Vec<u8>,
    answered: usize,
    words_behind: Option<usize>,
}

fn happens(with_summaries: bool) -> impl Strategy<Value = Happens> {
    let turn = (
        any::<bool>(),
        any::<bool>(),
        prop::collection::vec(prop::option::weighted(0.8, 0u8..4), 0..4),
        prop::collection::vec(any::<u8>(), 4),
        0usize..5,
        prop::option::of(0usize..3),
    );
    let turn = turn.prop_map(|(thinks, speaks, calls, order, answered, words_behind)| {
        let speaks = speaks || calls.is_empty();
        Happens::Step(Turn { thinks, speaks, calls, order, answered, words_behind })
    });
    prop_oneof![
        1 => (0..AGENTS.len()).prop_map(Happens::Run),
        2 => any::<bool>().prop_map(|sent| Happens::Words { sent }),
        1 => Just(Happens::Instruction),
        5 => turn,
        u32::from(with_summaries) => (0u32..4).prop_map(|kept| Happens::Summary { kept }),
    ]
}

/// Writes down what happens as the loop and the engine do.
struct Diary {
    events: Vec<EventEnvelope>,
    run: RunId,
    agent: Agent,
    /// Ids of the calls of this run.
    ids: BTreeSet<String>,
    count: usize,
}

impl Diary {
    fn new(first: usize) -> Self {
        let run = RunId::fresh();
        Self { events: Vec::new(), run, agent: AGENTS[first], ids: BTreeSet::new(), count: 0 }
    }

    fn push(&mut self, event: AgentEvent) {
        let (run, seq) = (self.run.clone(), self.events.len() as u64 + 1);
        self.events.push(EventEnvelope { run, seq, at: Utc::now(), event, spool: None });
    }

    fn next(&mut self, what: &str) -> String {
        self.count += 1;
        format!("{what}<{}>", self.count)
    }

    fn write(&mut self, happens: &Happens) {
        match happens {
            Happens::Run(agent) => {
                (self.run, self.agent) = (RunId::fresh(), AGENTS[*agent]);
                self.ids.clear();
            }
            Happens::Words { sent } => self.words(*sent),
            Happens::Instruction => {
                let text = self.next("instruction");
                self.push(AgentEvent::Instruction { text });
            }
            Happens::Step(turn) => self.step(turn),
            Happens::Summary { kept } => {
                let (text, kept) = (self.next("summary"), *kept);
                self.push(AgentEvent::Summary { text, kept });
            }
        }
    }

    fn words(&mut self, sent: bool) {
        let (id, text) = (self.next("id"), self.next("words"));
        self.push(AgentEvent::Message { id: id.clone(), text, delivery: Delivery::Queue });
        if sent {
            self.push(AgentEvent::MessageSent { id });
        }
    }

    fn step(&mut self, turn: &Turn) {
        let count = self.count;
        let id = |id: &Option<u8>| id.map(|id| format!("call_{id}")).unwrap_or_default();
        let input = |at: usize| json!({ "path": format!("argument<{count}.{at}>") });
        let calls = turn.calls.iter().enumerate();
        let said = Said {
            thought: if turn.thinks { self.next("thought") } else { String::new() },
            text: if turn.speaks { self.next("text") } else { String::new() },
            mark: format!("mark<{count}> of {:?}", self.agent),
            calls: calls.map(|(at, call)| (id(call), "read_file".into(), input(at))).collect(),
        };
        let ids = match self.agent {
            Some((dialect, model)) => self.model_step(dialect, model, &said),
            None => self.other_agent(&said),
        };
        self.results(turn, ids);
    }

    /// The loop: the items as a reader gives them, committed with the calls.
    fn model_step(&mut self, dialect: Dialect, model: &str, said: &Said) -> Vec<String> {
        let mut reader = dialect.codec().reader();
        reader.avoid(self.ids.clone());
        for event in said.events(dialect, &[40]) {
            reader.read(&event).unwrap();
        }
        let answer = reader.answer();
        for block in &answer.blocks {
            if let Block::Text { block, text } = block {
                self.text(*block, text);
            }
        }
        let (dialect, model) = (dialect.name().to_owned(), model.to_owned());
        let (place, items) = (Some(PLACE.to_owned()), answer.items);
        self.push(AgentEvent::ModelStep(ModelStep { dialect, model, place, items }));
        let ids = answer.blocks.into_iter().filter_map(|block| match block {
            Block::Call { id, name, input } => {
                self.call(&id, &name, input.unwrap());
                Some(id)
            }
            _ => None,
        });
        ids.collect()
    }

    fn other_agent(&mut self, said: &Said) -> Vec<String> {
        if !said.text.is_empty() {
            self.text(0, &said.text);
        }
        let calls = said.calls.iter().map(|(_, name, input)| {
            let id = self.next("toolu");
            self.call(&id, name, input.clone());
            id
        });
        calls.collect()
    }

    fn text(&mut self, block: u32, text: &str) {
        let (block, text) = (block.to_string(), text.to_owned());
        self.push(AgentEvent::Text { block, text, delta: false, parent: None });
    }

    fn call(&mut self, id: &str, name: &str, input: Value) {
        self.ids.insert(id.to_owned());
        let (id, name, title) = (id.to_owned(), name.to_owned(), name.to_owned());
        let kind = ToolKind::Read;
        self.push(AgentEvent::ToolCall(ToolCall { id, name, kind, title, input, parent: None }));
    }

    fn results(&mut self, turn: &Turn, ids: Vec<String>) {
        let mut ids: Vec<(u8, String)> =
            ids.into_iter().enumerate().map(|(at, id)| (turn.order[at], id)).collect();
        ids.sort();
        for (at, (_, id)) in ids.into_iter().take(turn.answered).enumerate() {
            let text = self.next("result");
            let (is_error, edit, parent) = (at == 1, None, None);
            self.push(AgentEvent::ToolResult(ToolResult { id, text, is_error, edit, parent }));
            if turn.words_behind == Some(at) {
                self.words(true);
            }
        }
    }
}

fn diary(first: usize, story: &[Happens], end: usize) -> Vec<EventEnvelope> {
    let mut diary = Diary::new(first);
    story.iter().for_each(|it| diary.write(it));
    diary.events.truncate(diary.events.len() * end / 100);
    diary.events
}

fn fold(events: &[EventEnvelope]) -> Conversation {
    let mut fold = Fold::default();
    events.iter().cloned().for_each(|it| fold.push(it));
    fold.finish()
}

pub fn call_of(part: &Part) -> Option<&str> {
    match part {
        Part::Call { id, .. } => Some(id),
        Part::Text(_) => None,
    }
}

/// What opaque members hold, in order; foreign ones must not be there, own ones must all be.
fn marks(value: &Value, found: &mut Vec<String>) {
    const OPAQUE: [&str; 3] = ["encrypted_content", "thoughtSignature", "reasoning_content"];
    match value {
        Value::Array(list) => list.iter().for_each(|it| marks(it, found)),
        Value::Object(members) => {
            for (name, value) in members {
                match value.as_str().filter(|_| OPAQUE.contains(&name.as_str())) {
                    // Two messages may have become one.
                    Some(mark) => found.extend(mark.split("\n\n").map(str::to_owned)),
                    None => marks(value, found),
                }
            }
        }
        _ => {}
    }
    found.retain(|it| !it.is_empty());
}

fn own_marks(talk: &Conversation, dialect: Dialect, model: &str) -> Vec<String> {
    let mut own = Vec::new();
    for entry in &talk.entries {
        if let Entry::Step(step) = entry
            && step.origin
                == Some(Origin { dialect, model: model.to_owned(), place: Some(PLACE.into()) })
        {
            step.items.iter().for_each(|it| marks(it, &mut own));
        }
    }
    own
}

fn sendable(talk: &Conversation) -> Result<(), TestCaseError> {
    prop_assert_eq!(talk.check(), Ok(()));
    for (dialect, model) in AGENTS.into_iter().flatten() {
        let body = body(dialect, model, talk);
        let found = broken(dialect, &body);
        prop_assert!(found.is_empty(), "{}: {:?}\n{:#}", dialect, found, body);
        let mut said = Vec::new();
        marks(&body, &mut said);
        prop_assert_eq!(said, own_marks(talk, dialect, model), "{}: {:#}", dialect, body);
    }
    Ok(())
}

/// How often each numbered thing is in a text.
fn times(text: &str, what: &str) -> usize {
    text.matches(what).count()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn every_story_can_be_gone_on_with(
        first in 0..AGENTS.len(),
        story in prop::collection::vec(happens(true), 0..14),
        end in 0usize..=100,
    ) {
        let mut talk = fold(&diary(first, &story, end));
        let mended = { let mut again = talk.clone(); again.mend(); again };
        prop_assert_eq!(&mended, &talk, "mended twice is mended once");
        talk.say("Go on.");
        sendable(&talk)?;
    }

    #[test]
    fn nothing_that_is_known_is_lost(
        first in 0..AGENTS.len(),
        story in prop::collection::vec(happens(false), 0..14),
        end in 0usize..=100,
    ) {
        let events = diary(first, &story, end);
        let mut talk = fold(&events);
        talk.say("Go on.");
        let bodies = AGENTS.into_iter().flatten().map(|(dialect, model)| {
            body(dialect, model, &talk).to_string()
        });
        let bodies: Vec<String> = bodies.collect();
        let sent: BTreeSet<&str> = events.iter().filter_map(|it| match &it.event {
            AgentEvent::MessageSent { id } => Some(id.as_str()),
            _ => None,
        }).collect();
        for event in &events {
            let (known, wanted) = match &event.event {
                AgentEvent::ToolResult(result) => (&result.text, 1),
                AgentEvent::Instruction { text } => (text, 1),
                AgentEvent::Message { id, text, .. } => (text, usize::from(sent.contains(id.as_str()))),
                _ => continue,
            };
            for body in &bodies {
                prop_assert_eq!(times(body, known), wanted, "{} in {}", known, body);
            }
        }
    }
}

#[test]
fn a_call_whose_end_nobody_knows_says_so() {
    let turn = Turn {
        thinks: false,
        speaks: true,
        calls: vec![Some(0), Some(1), Some(2)],
        order: vec![2, 0, 1, 0],
        answered: 1,
        words_behind: None,
    };
    for (first, agent) in AGENTS.iter().enumerate() {
        let story = [Happens::Words { sent: true }, Happens::Step(turn.clone())];
        let talk = fold(&diary(first, &story, 100));
        for (dialect, model) in AGENTS.into_iter().flatten() {
            let body = body(dialect, model, &talk).to_string();
            // No transcript of another kind of agent proves that a call was not begun.
            let told = if agent.is_some() { NEVER_BEGUN } else { INTERRUPTED };
            assert_eq!(times(&body, told), 2, "{dialect}: {body}");
            assert_eq!(times(&body, "result<"), 1, "{dialect}: {body}");
        }
    }
}

#[test]
fn a_summary_stands_for_what_was_before() {
    let words = Happens::Words { sent: true };
    let queued = Happens::Words { sent: false };
    let mut diary = Diary::new(0);
    for it in [&words, &queued, &Happens::Summary { kept: 0 }] {
        diary.write(it);
    }
    diary.push(AgentEvent::MessageSent { id: "id<3>".to_owned() });
    let talk = fold(&diary.events);
    let user = |text: &str| Entry::User { text: text.to_owned() };
    let framed = "What was done so far, summed up:\n\nsummary<5>\n\nThe task, in the person's own \
                  words:\n\nwords<2>";
    assert_eq!(talk.entries, [user(framed), user("words<4>")]);
}

#[test]
fn words_count_when_the_agent_has_them() {
    let mut diary = Diary::new(0);
    let given = |id: &str, text: &str| AgentEvent::Message {
        id: id.to_owned(),
        text: text.to_owned(),
        delivery: Delivery::Queue,
    };
    let sent = |id: &str| AgentEvent::MessageSent { id: id.to_owned() };
    for event in [given("a", "1"), given("b", "2"), given("c", "3"), sent("b"), sent("a")] {
        diary.push(event);
    }
    diary.write(&Happens::Run(5));
    // Another run's words, whatever their id.
    for event in [sent("c"), given("c", "4"), sent("c"), sent("c")] {
        diary.push(event);
    }
    let said: Vec<Entry> = ["2", "1", "4"].map(|text| Entry::User { text: text.to_owned() }).into();
    assert_eq!(fold(&diary.events).entries, said);
}
