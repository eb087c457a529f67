//! Leave: who must be asked for what, and what an answer means. As the real program has it, no answer
//! is no leave.

use serde_json::{Value, json};

use crate::{
    agent::{Agent, Played, Stop},
    tools::Outcome,
};

/// Whether a tool may be used.
#[derive(Clone, Debug, PartialEq)]
pub enum Leave {
    /// With this input, which may be another than the one asked for.
    Granted {
        input: Value,
        by: &'static str,
    },
    Refused {
        message: String,
        meta: Value,
    },
}

/// What the real program tells the model of a call that a person stopped.
const REJECTED: &str = "The user doesn't want to proceed with this tool use. The tool use was rejected (eg. if it was \
    a file edit, the new_string was NOT written to the file). STOP what you are doing and wait for the user to tell \
    you how to proceed.";

impl Agent {
    /// Leave that needs no question, or `None`.
    pub fn leave_unasked(&self, name: &str, input: &Value) -> Option<Leave> {
        if self.args.disallowed.iter().any(|tool| tool == name) {
            let text =
                format!("No such tool available: {name}. {name} is disabled for this session");
            return Some(refused(text, json!({})));
        }
        let free = match name {
            "AskUserQuestion" | "ExitPlanMode" => false,
            "Bash" => self.mode == "bypassPermissions",
            "Write" | "Edit" => {
                self.mode == "bypassPermissions"
                    || (self.mode == "acceptEdits" && self.is_inside(input))
            }
            _ => true,
        };
        let listed = self.args.allowed.iter().any(|rule| covers(rule, name, input));
        if free || listed {
            return Some(Leave::Granted { input: input.clone(), by: "config" });
        }
        if !self.args.asks || self.mode == "dontAsk" {
            let text = format!(
                "Claude requested permissions to use {name}, but you haven't granted it yet."
            );
            return Some(refused(text, json!({"non_execution_kind": "user-rejected"})));
        }
        None
    }

    fn is_inside(&self, input: &Value) -> bool {
        let path = std::path::Path::new(input["file_path"].as_str().unwrap_or_default());
        path.starts_with(&self.cwd)
            && !path.components().any(|part| part == std::path::Component::ParentDir)
    }

    /// Asks for leave; answers with the request's id.
    pub fn ask(&mut self, tool_use: &str, name: &str, input: &Value) -> String {
        let id = self.wire.uuid();
        let mut request = json!({
            "subtype": "can_use_tool", "tool_name": name, "display_name": name, "input": input,
            "tool_use_id": tool_use,
        });
        let more = match name {
            "AskUserQuestion" | "ExitPlanMode" => json!({"requires_user_interaction": true}),
            "Bash" => json!({"description": input["description"], "permission_suggestions": [{
                "type": "addRules", "rules": [{"toolName": "Bash", "ruleContent": input["command"]}],
                "behavior": "allow", "destination": "localSettings",
            }]}),
            _ => json!({"description": self.relative(input), "permission_suggestions": [
                {"type": "setMode", "mode": "acceptEdits", "destination": "session"},
            ]}),
        };
        crate::wire::merge(&mut request, more);
        self.state("requires_action");
        self.print(&json!({"type": "control_request", "request_id": id, "request": request}));
        self.turn().asked.push(id.clone());
        id
    }

    fn relative(&self, input: &Value) -> String {
        let path = input["file_path"].as_str().unwrap_or_default();
        let inside = std::path::Path::new(path).strip_prefix(&self.cwd).ok();
        inside.map_or_else(|| path.to_owned(), |inside| inside.display().to_string())
    }

    /// Waits until one of `requests` is answered; answers with its place and what it means.
    pub fn next_leave(&mut self, requests: &[(String, Value)]) -> Result<(usize, Leave), Stop> {
        let found = self.wait(None, |agent| {
            let answered = requests.iter().position(|(id, _)| agent.answers.contains_key(id));
            answered
                .or_else(|| agent.eof.then_some(0))
                .map(|at| (at, agent.answers.remove(&requests[at].0)))
        })?;
        let Some((at, answer)) = found else { return Err(Stop::Exit(1)) };
        self.turn().asked.retain(|open| *open != requests[at].0);
        if self.turn().asked.is_empty() {
            self.state("running");
        }
        let leave = match answer {
            None => refused(
                "Tool permission request failed: AbortError: Tool permission stream closed before response received".into(),
                json!({"non_execution_kind": "permission-rule"}),
            ),
            Some(answer) => self.meaning(answer, &requests[at].1)?,
        };
        Ok((at, leave))
    }

    fn meaning(&mut self, answer: Result<Value, String>, input: &Value) -> Result<Leave, Stop> {
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => {
                return Ok(refused(
                    format!("Tool permission request failed: Error: {error}"),
                    json!({}),
                ));
            }
        };
        match answer["behavior"].as_str() {
            Some("allow") => {
                self.take_updates(&answer["updatedPermissions"]);
                let input =
                    answer.get("updatedInput").filter(|given| given.is_object()).unwrap_or(input);
                Ok(Leave::Granted { input: input.clone(), by: "user_temporary" })
            }
            Some("deny") if answer["interrupt"] == true => Err(Stop::Interrupt),
            Some("deny") => Ok(refused(
                answer["message"].as_str().unwrap_or_default().to_owned(),
                json!({"non_execution_kind": "permission-rule",
                    "permission_decision": {"decision": "reject", "source": "user_reject"}}),
            )),
            _ => Ok(refused(
                "Tool permission request failed: ZodError: Invalid input".into(),
                json!({}),
            )),
        }
    }

    fn take_updates(&mut self, updates: &Value) {
        for update in updates.as_array().into_iter().flatten() {
            match (update["type"].as_str(), update["mode"].as_str()) {
                (Some("setMode"), Some(mode)) => self.change_mode(mode),
                (Some("addRules"), _) => {
                    let rules = update["rules"].as_array().into_iter().flatten();
                    let rules = rules.filter_map(|rule| {
                        rule["toolName"].as_str().map(|tool| match rule["ruleContent"].as_str() {
                            Some(content) => format!("{tool}({content})"),
                            None => tool.to_owned(),
                        })
                    });
                    self.args.allowed.extend(rules);
                }
                _ => {}
            }
        }
    }

    /// Takes back what is open of tools, as after an interrupt.
    pub fn abort_tools(&mut self) {
        for request in std::mem::take(&mut self.turn().asked) {
            self.print(&json!({"type": "control_cancel_request", "request_id": request}));
        }
        if let Some(pid) = self.turn().running.take() {
            crate::sys::kill_tool(pid);
        }
        for id in std::mem::take(&mut self.turn().unfinished) {
            let outcome = Outcome {
                text: REJECTED.into(),
                is_error: true,
                structured: "User rejected tool use".into(),
            };
            self.tool_done(&id, outcome, json!({"non_execution_kind": "user-rejected"}));
        }
        self.print(&self.wire.user_text("[Request interrupted by user for tool use]"));
    }

    /// Notes a refusal for the result line, and says it at once when nobody could be asked.
    pub fn note_refusal(&mut self, name: &str, id: &str, input: &Value, message: &str) -> Played {
        self.turn()
            .denials
            .push(json!({"tool_name": name, "tool_use_id": id, "tool_input": input}));
        if !self.args.asks {
            let fields = json!({"tool_name": name, "tool_use_id": id, "message": message});
            self.print(&self.wire.system("permission_denied", fields));
        }
        Ok(())
    }
}

fn refused(message: String, meta: Value) -> Leave {
    Leave::Refused { message, meta }
}

/// Whether a rule like `Bash`, `Bash(git status)` or `Bash(git:*)` covers a use.
fn covers(rule: &str, name: &str, input: &Value) -> bool {
    let Some((tool, content)) = rule.strip_suffix(')').and_then(|rule| rule.split_once('(')) else {
        return rule == name;
    };
    let command = input["command"].as_str().unwrap_or_default();
    tool == name
        && match content.strip_suffix(":*") {
            Some(prefix) => command
                .strip_prefix(prefix)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(' ')),
            None => command == content,
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_cover_what_they_name_and_no_more() {
        let input = json!({"command": "git status --short"});
        assert!(covers("Bash", "Bash", &input) && covers("Bash(git status:*)", "Bash", &input));
        assert!(covers("Bash(git status --short)", "Bash", &input));
        assert!(
            !covers("Bash(git stat:*)", "Bash", &input)
                && !covers("Bash(git status)", "Bash", &input)
        );
        assert!(!covers("Write", "Bash", &input) && !covers("Write(git:*)", "Bash", &input));
    }
}
