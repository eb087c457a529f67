//! The control protocol as the agent speaks it: asks, what it takes back, answers to us.

use std::collections::BTreeMap;

use musher_protocol::{
    AgentEvent, AnsweredBy, PermissionDecision, PermissionRequest, Question, QuestionItem,
    QuestionOption,
};
use serde_json::Value;

use super::{Cue, Decoder, state::Ask, system::field, tools, wire::Odd};

impl Decoder {
    pub(super) fn control_request(&mut self, value: &Value) -> Result<(), Odd> {
        let id = field(value, "request_id").ok_or(Odd)?;
        let request = value.get("request").unwrap_or(&Value::Null);
        let subtype = field(request, "subtype").unwrap_or_default();
        self.state.facts.turn_open = true;
        match (subtype, field(request, "tool_name")) {
            ("can_use_tool", Some(tool)) => {
                self.ask(id, tool, request);
                Ok(())
            }
            // Every request needs an answer, or the turn stalls for ever.
            _ => {
                let (request, subtype) = (id.to_owned(), subtype.to_owned());
                self.cues.push(Cue::Unanswerable { request, subtype });
                Err(Odd)
            }
        }
    }

    fn ask(&mut self, id: &str, tool: &str, request: &Value) {
        let input = request.get("input").cloned().unwrap_or_default();
        let tool_call = field(request, "tool_use_id").map(str::to_owned);
        let items = (tool == "AskUserQuestion").then(|| questions(&input)).flatten();
        let ask = Ask {
            tool: tool.to_owned(),
            tool_call: tool_call.clone(),
            input: input.clone(),
            question: items.is_some(),
        };
        self.state.asks.insert(id.to_owned(), ask);
        self.cues.push(Cue::Asks);
        let request_id = id.to_owned();
        self.out.push(match items {
            Some(questions) => AgentEvent::Question(Question {
                request: request_id,
                tool_call,
                questions,
                expires_at: None,
            }),
            None => AgentEvent::PermissionRequest(PermissionRequest {
                request: request_id,
                tool_call,
                tool: tool.to_owned(),
                kind: tools::kind(tool),
                title: tools::whole_title(tool, &input),
                description: field(request, "description").map(str::to_owned),
                why: why(request),
                plan: (tool == "ExitPlanMode").then(|| plan_text(&input)),
                input,
                expires_at: None,
                always: Vec::new(),
            }),
        });
    }

    pub(super) fn control_cancel(&mut self, value: &Value) -> Result<(), Odd> {
        let request = field(value, "request_id").ok_or(Odd)?.to_owned();
        if let Some(ask) = self.state.asks.remove(&request) {
            self.withdrawn(request, &ask);
        }
        Ok(())
    }

    /// An interrupted turn asks for nothing more.
    pub(super) fn withdraw_asks(&mut self) {
        for (request, ask) in std::mem::take(&mut self.state.asks) {
            self.withdrawn(request, &ask);
        }
    }

    fn withdrawn(&mut self, request: String, ask: &Ask) {
        self.cues.push(Cue::Asks);
        let by = AnsweredBy::Withdrawn;
        self.out.push(if ask.question {
            AgentEvent::QuestionAnswer { request, answers: BTreeMap::new(), by }
        } else {
            let decision = PermissionDecision::Deny;
            AgentEvent::PermissionAnswer { request, decision, by, message: None }
        });
    }

    /// Only a refusal of what we asked for is news.
    pub(super) fn control_response(&mut self, value: &Value) {
        let response = value.get("response").unwrap_or(&Value::Null);
        if field(response, "subtype") == Some("error") {
            let why = field(response, "error").unwrap_or("no reason given");
            let message = format!("The agent refused a request: {why}");
            self.out.push(AgentEvent::Warning { code: "request_refused".into(), message });
        }
    }
}

/// Why the agent's own rules did not allow it.
fn why(request: &Value) -> Option<String> {
    let reason = field(request, "decision_reason").map(str::to_owned);
    let path = field(request, "blocked_path").map(|path| format!("{path} is outside its reach."));
    reason.or(path)
}

/// The plan to approve; it is empty when the agent wrote none.
fn plan_text(input: &Value) -> String {
    field(input, "plan").unwrap_or("The agent gave no plan.").to_owned()
}

fn questions(input: &Value) -> Option<Vec<QuestionItem>> {
    let list = input.get("questions")?.as_array()?;
    let items: Vec<_> = list.iter().filter_map(question).collect();
    (!items.is_empty()).then_some(items)
}

fn question(value: &Value) -> Option<QuestionItem> {
    let options = value.get("options").and_then(Value::as_array);
    Some(QuestionItem {
        header: field(value, "header").unwrap_or_default().to_owned(),
        question: field(value, "question")?.to_owned(),
        multi_select: value.get("multiSelect").and_then(Value::as_bool).unwrap_or(false),
        options: options.into_iter().flatten().filter_map(option).collect(),
    })
}

fn option(value: &Value) -> Option<QuestionOption> {
    Some(QuestionOption {
        label: field(value, "label")?.to_owned(),
        description: field(value, "description").map(str::to_owned),
    })
}
