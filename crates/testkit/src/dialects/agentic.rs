//! The scenario that every runtime has to get through: work in several steps, then words.

use serde_json::Value;

use super::{Answer, Item, Message, Script};

/// An agent that thinks, speaks, and calls tools step by step (several calls of a step are parallel),
/// for example reads a file, edits it and runs a command; then says `result`. It goes on where the
/// conversation is, so a turn that was broken off and resumed is finished and not begun anew.
///
/// Tools are named by the caller: `[vec![("read_file", json!({"path": "a.txt"}))], ...]`.
pub fn agentic<'a>(steps: impl IntoIterator<Item = Vec<(&'a str, Value)>>, result: &str) -> Script {
    let mut answers: Vec<Answer> =
        steps.into_iter().enumerate().map(|(at, calls)| step(at, &calls)).collect();
    let thought = Item::think("The command says that it holds. I can report.");
    answers.push(Answer::says([thought, Item::text(result)]));
    Script::following(answers)
}

fn step(at: usize, calls: &[(&str, Value)]) -> Answer {
    let names: Vec<&str> = calls.iter().map(|(name, _)| *name).collect();
    let mut items =
        vec![Item::think(&format!("Step {}: next comes {}.", at + 1, names.join(", ")))];
    if at == 0 {
        items.push(Item::text("I look at what is there before I change it. 🦀"));
    }
    items.extend(calls.iter().map(|(name, arguments)| Item::call(name, arguments)));
    Answer::Says(Message::new(items))
}
