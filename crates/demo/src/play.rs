//! Steps: what each does. Faults of bad agents are in `faults` and `burst`.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{
    agent::{Agent, Played, Stop},
    ask::Leave,
    script::{Step, Tool},
    sys,
    tools::{self, Outcome},
    wire::Used,
};

/// One use of a tool on its way to its result.
struct Use {
    id: String,
    name: String,
    input: Value,
    canned: Option<String>,
}

impl Agent {
    pub fn play(&mut self, steps: &[Step]) -> Played {
        steps.iter().try_for_each(|step| self.step(step))
    }

    fn step(&mut self, step: &Step) -> Played {
        match step {
            Step::Say(text) => self.stream("text", &self.text(text)),
            Step::Think(text) => self.stream("thinking", &self.text(text)),
            Step::Pause(seconds) => self.pause(*seconds),
            Step::Wait(millis) => self.idle(Duration::from_millis(*millis)),
            Step::Plan(entries) => self.plan(entries),
            Step::Look => self.look(),
            Step::Tools(tools) => self.use_tools(tools).map(drop),
            Step::Tool { tool, allowed, denied } => {
                let granted = self.use_tools(std::slice::from_ref(tool))?;
                self.play(if granted { allowed } else { denied })
            }
            Step::Question { questions } => self.question(questions),
            Step::PlanApproval { plan, approved, refused } => {
                let granted = self.approve_plan(plan)?;
                self.play(if granted { approved } else { refused })
            }
            Step::InMode { mode, steps } if self.mode == *mode => self.play(steps),
            Step::InMode { .. } => Ok(()),
            Step::Repeat { times, steps } => (0..*times).try_for_each(|_| self.play(steps)),
            Step::EndTurn => Err(Stop::TurnOver),
            Step::AwaitMessage => self.await_message(),
            Step::Init => {
                self.init();
                Ok(())
            }
            Step::Usage(more) => {
                self.used = self.used.plus(*more);
                Ok(())
            }
            Step::Carried(before) => {
                if self.args.resume.is_some() && self.told == Used::default() {
                    (self.used, self.told) = (*before, *before);
                }
                Ok(())
            }
            Step::Result(fields) => {
                self.close_message("end_turn");
                self.result(
                    Value::Object(fields.clone()),
                    fields.get("is_error") == Some(&Value::Bool(true)),
                );
                Ok(())
            }
            other => self.fault(other),
        }
    }

    fn plan(&mut self, entries: &[(String, String)]) -> Played {
        let todos: Vec<Value> = entries
            .iter()
            .map(|(text, status)| json!({"content": self.text(text), "status": status, "activeForm": self.text(text)}))
            .collect();
        let tool = Tool::Other {
            name: "TodoWrite".into(),
            input: json!({"todos": todos}),
            output: String::new(),
        };
        self.use_tools(&[tool]).map(drop)
    }

    fn look(&mut self) -> Played {
        let readme = ["README.md", "README", "readme.md", "README.txt", "README.rst"];
        let found = readme.into_iter().find(|name| self.cwd.join(name).is_file());
        let tool = found.map_or(Tool::List, |path| Tool::Read { path: path.into() });
        self.texts.insert("seen", found.unwrap_or("the list of files").to_owned());
        self.use_tools(&[tool]).map(drop)
    }

    /// Uses tools in one message: all are named first, then all asks are open together, and each is
    /// carried out as soon as it may. True when every one was allowed.
    fn use_tools(&mut self, tools: &[Tool]) -> Result<bool, Stop> {
        let mut waiting = Vec::new();
        let mut decided = Vec::new();
        for tool in tools {
            let tool = self.filled(tool);
            let (name, input) = tool.call(&self.cwd);
            let id = self.use_tool(&name, &input)?;
            waiting.push(Use { id, name, input, canned: tool.canned() });
        }
        self.close_message("tool_use");
        let mut asked = Vec::new();
        let mut all = true;
        for one in waiting {
            match self.leave_unasked(&one.name, &one.input) {
                Some(leave) => decided.push((one, leave)),
                None => asked.push((self.ask(&one.id, &one.name, &one.input), one)),
            }
        }
        for (one, leave) in decided {
            all &= self.carry_out(one, leave)?;
        }
        while !asked.is_empty() {
            let open: Vec<_> =
                asked.iter().map(|(id, one)| (id.clone(), one.input.clone())).collect();
            let (at, leave) = self.next_leave(&open)?;
            all &= self.carry_out(asked.remove(at).1, leave)?;
        }
        self.boundary()?;
        Ok(all)
    }

    fn filled(&self, tool: &Tool) -> Tool {
        match tool.clone() {
            Tool::Read { path } => Tool::Read { path: self.text(&path) },
            Tool::Write { path, content } => {
                Tool::Write { path: self.text(&path), content: self.text(&content) }
            }
            Tool::Edit { path, old, new } => {
                Tool::Edit { path: self.text(&path), old: self.text(&old), new: self.text(&new) }
            }
            Tool::Run { command, description } => {
                Tool::Run { command: self.text(&command), description: self.text(&description) }
            }
            other => other,
        }
    }

    fn carry_out(&mut self, one: Use, leave: Leave) -> Result<bool, Stop> {
        let (outcome, meta, granted) = match leave {
            Leave::Granted { input, by } => {
                let outcome = match one.name.as_str() {
                    "Bash" => self.command(input["command"].as_str().unwrap_or_default())?,
                    "AskUserQuestion" | "ExitPlanMode" => self.interaction(&one.name, &input),
                    name => tools::carry_out(name, &input, one.canned.as_deref()),
                };
                (
                    outcome,
                    json!({"permission_decision": {"decision": "accept", "source": by}}),
                    true,
                )
            }
            Leave::Refused { message, meta } => {
                self.note_refusal(&one.name, &one.id, &one.input, &message)?;
                (Outcome::error(message), meta, false)
            }
        };
        self.texts.insert("output", outcome.text.clone());
        self.tool_done(&one.id, outcome, meta);
        Ok(granted)
    }

    /// Runs a command to its end, or until somebody interrupts.
    fn command(&mut self, command: &str) -> Result<Outcome, Stop> {
        let child = match sys::spawn_tool(command) {
            Ok(child) => child,
            Err(error) => {
                return Ok(Outcome::error(format!("The command could not be started: {error}")));
            }
        };
        let pid = child.id();
        self.turn().running = Some(pid);
        tools::watch(child, self.outbox.clone());
        let done = self.wait(None, |agent| {
            let at = agent.ended.iter().position(|done| done.pid == pid)?;
            Some(agent.ended.remove(at))
        })?;
        self.turn().running = None;
        Ok(done.map_or_else(
            || Outcome::error("The command was lost.".into()),
            |done| Outcome::of_command(&done),
        ))
    }

    /// What the two tools that only ask give once they are answered.
    fn interaction(&mut self, name: &str, input: &Value) -> Outcome {
        let (text, structured) = if name == "ExitPlanMode" {
            self.change_mode("default");
            let plan = input["plan"].as_str().unwrap_or_default();
            let text = format!(
                "User has approved your plan. You can now start coding.\n\n## Approved Plan:\n{plan}"
            );
            (text, json!({"plan": plan, "isAgent": false}))
        } else {
            let answers = input["answers"].as_object().cloned().unwrap_or_default();
            let said: Vec<_> = answers
                .iter()
                .map(|(question, answer)| format!("\"{question}\"={answer}"))
                .collect();
            self.texts.insert(
                "answer",
                answers.values().filter_map(Value::as_str).collect::<Vec<_>>().join(", "),
            );
            (format!("Your questions have been answered: {}.", said.join(", ")), input.clone())
        };
        Outcome { text, is_error: false, structured }
    }

    fn question(&mut self, questions: &Value) -> Played {
        self.texts.insert("answer", "nothing".into());
        let input = json!({"questions": questions});
        self.use_tools(&[Tool::Other {
            name: "AskUserQuestion".into(),
            input,
            output: String::new(),
        }])
        .map(drop)
    }

    fn approve_plan(&mut self, plan: &str) -> Result<bool, Stop> {
        let input = json!({"plan": self.text(plan)});
        self.use_tools(&[Tool::Other { name: "ExitPlanMode".into(), input, output: String::new() }])
    }

    /// Between a tool's end and the model's next word: what came meanwhile is taken in.
    fn boundary(&mut self) -> Played {
        self.pause(0.0)?;
        let steps = self.turn().on_message.clone();
        if self.fold() { self.play(&steps) } else { Ok(()) }
    }

    fn await_message(&mut self) -> Played {
        self.wait(None, |agent| (agent.eof || !agent.queue.is_empty()).then_some(()))?;
        self.fold();
        Ok(())
    }
}
