//! The calls of an answer, put together from their pieces. OpenAI sends a call's id and name first and
//! its arguments after, all under one `index`. Others leave out the index or the id, send the whole
//! call at once, give every call the index 0, or say id and name again with each piece.

use serde_json::{Map, Value, json};

use super::super::speech::{CallIds, arguments, text};

#[derive(Default)]
pub(super) struct Calls {
    calls: Vec<Call>,
}

#[derive(Default)]
struct Call {
    index: Option<u64>,
    id: String,
    name: String,
    arguments: String,
    /// Members that only this endpoint knows; signatures are among them.
    more: Map<String, Value>,
}

/// A call as it is stored, and what it says.
pub(super) struct Made {
    pub item: Value,
    pub id: String,
    pub name: String,
    pub input: Result<Value, String>,
}

impl Calls {
    /// One entry of `tool_calls`, or the old `function_call` as one.
    pub fn take(&mut self, piece: &Value) {
        let function = &piece["function"];
        let index = piece.get("index").and_then(Value::as_u64);
        let id = text(piece, "id").unwrap_or_default();
        let name = text(function, "name").unwrap_or_default();
        let said = match &function["arguments"] {
            Value::String(said) => said.clone(),
            Value::Null => String::new(),
            whole => whole.to_string(),
        };
        let at = match self.continued(index, id) {
            Some(at) if !self.calls[at].is_followed_by(id, name, &said) => at,
            _ => {
                self.calls.push(Call { index, ..Call::default() });
                self.calls.len() - 1
            }
        };
        let call = &mut self.calls[at];
        if call.id.is_empty() {
            call.id = id.to_owned();
        }
        if call.name.is_empty() {
            call.name = name.to_owned();
        }
        call.arguments.push_str(&said);
        let known = ["index", "id", "type", "function"];
        let more = piece.as_object().into_iter().flatten();
        let more =
            more.filter(|(member, value)| !known.contains(&member.as_str()) && !value.is_null());
        call.more.extend(more.map(|(member, value)| (member.clone(), value.clone())));
    }

    /// The call that a piece may belong to: the latest of its index, else that of its id, else the
    /// latest.
    fn continued(&self, index: Option<u64>, id: &str) -> Option<usize> {
        let latest = |fits: &dyn Fn(&Call) -> bool| self.calls.iter().rposition(fits);
        match index {
            Some(_) => latest(&|call| call.index == index),
            None => latest(&|call| !id.is_empty() && call.id == id).or_else(|| latest(&|_| true)),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }

    pub fn finish(self, ids: &mut CallIds) -> Vec<Made> {
        self.calls.into_iter().map(|call| call.made(ids)).collect()
    }
}

impl Call {
    /// Whether a piece is the beginning of another call. A name comes with each beginning; a
    /// continuation that says it again says the same id, or there are no whole arguments yet.
    fn is_followed_by(&self, id: &str, name: &str, said: &str) -> bool {
        if name.is_empty() {
            return false;
        }
        if !self.id.is_empty() && !id.is_empty() {
            return self.id != id;
        }
        let is_whole = !self.arguments.is_empty() && arguments(&self.arguments).is_ok();
        let is_other = !self.name.is_empty() && self.name != name;
        is_other || is_whole && !said.is_empty()
    }

    fn made(self, ids: &mut CallIds) -> Made {
        let id = ids.give(Some(&self.id));
        let input = arguments(&self.arguments);
        let said = if self.arguments.trim().is_empty() { "{}" } else { &self.arguments };
        let mut item = json!({
            "id": id,
            "type": "function",
            "function": { "name": self.name, "arguments": said },
        });
        if let Some(members) = item.as_object_mut() {
            members.extend(self.more);
        }
        Made { item, id, name: self.name, input }
    }
}
