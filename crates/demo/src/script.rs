//! What a script can say and do. A script is JSON; an example is `scripts/demo.json`.
//!
//! A step is a word (`"close_stdout"`) or an object with one key (`{"say": "Hello."}`). In texts,
//! `{message}`, `{cwd}`, `{folder}`, `{dir}`, `{mode}`, `{answer}`, `{output}`, `{pids}`, `{seen}` and `{session}`
//! are filled in. A value that is the string `"$name"` is a parameter: its default stands in the
//! script's `params`, and `[[script:NAME name=value]]`, `--name value` or `MUSHER_DEMO_NAME` set it.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::wire::Used;

/// A whole script.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Script {
    /// What it is for, one sentence.
    pub about: String,
    #[serde(default)]
    pub params: Map<String, Value>,
    /// Played when the first message has come, before its turn says anything.
    #[serde(default)]
    pub before: Vec<Step>,
    /// Whether a turn begins with `system/init`, as it should.
    #[serde(default = "yes")]
    pub init: bool,
    /// The steps of each turn; the last serves all later ones. A resumed session begins at the second.
    pub turns: Vec<Vec<Step>>,
    /// Played when a message came in the middle of a turn, at the next tool's end.
    #[serde(default = "noted")]
    pub on_message: Vec<Step>,
}

fn yes() -> bool {
    true
}

fn noted() -> Vec<Step> {
    vec![Step::Say("Noted, in the middle of my work: {message}".into())]
}

/// One thing to say or do.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Step {
    // What every agent does.
    Say(String),
    Think(String),
    /// Seconds, at the usual speed.
    Pause(f64),
    /// Milliseconds, at any speed.
    Wait(u64),
    /// `TodoWrite`: the text of each entry with its state.
    Plan(Vec<(String, String)>),
    /// Reads the README when there is one, else lists the folder.
    Look,
    /// Uses one tool, or several in one message whose asks are open at the same time.
    Tools(Vec<Tool>),
    /// One tool, with what to do next by what the person said.
    Tool {
        tool: Tool,
        #[serde(default)]
        allowed: Vec<Step>,
        #[serde(default)]
        denied: Vec<Step>,
    },
    /// `AskUserQuestion`; the answers are `{answer}` afterwards.
    Question {
        questions: Value,
    },
    /// `ExitPlanMode` with this plan.
    PlanApproval {
        plan: String,
        #[serde(default)]
        approved: Vec<Step>,
        #[serde(default)]
        refused: Vec<Step>,
    },
    /// Played only in this permission mode.
    InMode {
        mode: String,
        steps: Vec<Step>,
    },
    Repeat {
        times: u64,
        steps: Vec<Step>,
    },
    /// Waits until another message came, or nothing more can come.
    AwaitMessage,
    /// Begins a turn that nobody asked for: another init, and another result at its end.
    Init,
    /// Adds to what the session has used.
    Usage(Used),
    /// What a resumed session had used before this process.
    Carried(Used),
    /// Ends the turn here.
    EndTurn,
    /// The result line now, with these fields; what follows is played behind it.
    Result(Map<String, Value>),

    // What the service does.
    RateLimit {
        status: String,
        window: String,
        in_secs: i64,
        #[serde(default)]
        overage: bool,
    },
    ApiError {
        status: u16,
        error: String,
        kind: String,
        message: String,
        #[serde(default)]
        retries: u32,
    },

    // What only a bad agent, or one of another version, does.
    /// A line of JSON of any shape; gets `session_id` and `uuid` when it is an object without them.
    Line(Value),
    /// These bytes as they are, with no line end added.
    Raw(String),
    Stderr(String),
    Garbage {
        case: u64,
    },
    Big {
        bytes: u64,
        line_bytes: usize,
    },
    Burst {
        lines: u64,
        rate: u64,
    },
    /// Sends a control request and keeps what came back as `{answer}`.
    Control(Value),
    RejectResume,
    Spawn(Vec<Spawn>),
    IgnoreSignals,
    CloseStdout,
    /// Never ends; `deaf`: not for an interrupt or the end of input either.
    Hang {
        #[serde(default)]
        deaf: bool,
    },
    Exit(u8),
    /// Sends itself this signal: `KILL`, `ABRT`, `SEGV`, `TERM`.
    Signal(String),
}

/// A use of a tool, really carried out.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Tool {
    Read {
        path: String,
    },
    List,
    Write {
        path: String,
        content: String,
    },
    Edit {
        path: String,
        old: String,
        new: String,
    },
    Run {
        command: String,
        #[serde(default)]
        description: String,
    },
    /// A tool that does nothing here; answers with `output`.
    Other {
        name: String,
        input: Value,
        #[serde(default)]
        output: String,
    },
}

/// A process that the agent leaves running.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Spawn {
    /// Where it lives: in the agent's own process group, in a session of its own, or as a daemon
    /// whose parent is gone.
    pub how: SpawnHow,
    /// Ignores TERM, INT and HUP.
    #[serde(default)]
    pub stubborn: bool,
    /// Keeps the agent's standard output open.
    #[serde(default)]
    pub holds_stdout: bool,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum SpawnHow {
    Group,
    Session,
    Daemon,
}

/// Why a script cannot be played.
#[derive(Debug, thiserror::Error)]
pub enum ScriptError {
    #[error("there is no demo script called {0}; the built-in ones are {1}")]
    Unknown(String, String),
    #[error("the demo script {0} cannot be read: {1}")]
    Unreadable(String, std::io::Error),
    #[error("the demo script {0} is not as it should be: {1}")]
    Malformed(String, serde_json::Error),
}

impl Script {
    /// Reads a script and fills its parameters in.
    pub fn parse(
        name: &str,
        json: &str,
        params: &BTreeMap<String, String>,
    ) -> Result<Self, ScriptError> {
        let malformed = |error| ScriptError::Malformed(name.to_owned(), error);
        let mut value: Value = serde_json::from_str(json).map_err(malformed)?;
        let mut known = value.get("params").and_then(Value::as_object).cloned().unwrap_or_default();
        for (key, slot) in &mut known {
            if let Some(given) = params.get(key) {
                *slot =
                    serde_json::from_str(given).unwrap_or_else(|_| Value::String(given.clone()));
            }
        }
        fill(&mut value, &known);
        serde_json::from_value(value).map_err(malformed)
    }
}

fn fill(value: &mut Value, params: &Map<String, Value>) {
    match value {
        Value::String(text) => {
            if let Some(known) = text.strip_prefix('$').and_then(|name| params.get(name)) {
                *value = known.clone();
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| fill(item, params)),
        Value::Object(fields) => fields.values_mut().for_each(|field| fill(field, params)),
        _ => {}
    }
}

/// A marker `[[script:NAME key=value ...]]` in a message; the last one counts.
pub fn marker(text: &str) -> Option<(String, BTreeMap<String, String>)> {
    let inner = text.rsplit_once("[[script:")?.1.split_once("]]")?.0;
    let mut words = inner.split_whitespace();
    let name = words.next()?.to_owned();
    let params = words
        .filter_map(|word| word.split_once('='))
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect();
    Some((name, params))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;

    #[test]
    fn the_last_marker_counts() {
        let (name, params) = marker("a [[script:hello]] b [[script:late ms=5 x]] c").unwrap();
        assert_eq!(name, "late");
        assert_eq!(params, BTreeMap::from([("ms".into(), "5".into())]));
        assert_eq!(marker("[[script:]] nothing"), None);
    }

    #[test]
    fn parameters_replace_whole_values_only() {
        let json = r#"{"about": "", "params": {"s": 2, "t": 3}, "turns": [[{"pause": "$s"}, {"pause": "$t"}, {"say": "costs $s"}]]}"#;
        let script =
            Script::parse("x", json, &BTreeMap::from([("s".into(), "0.5".into())])).unwrap();
        let [Step::Pause(first), Step::Pause(second), Step::Say(text)] = &script.turns[0][..]
        else {
            panic!("{:?}", script.turns)
        };
        assert_eq!((*first, *second, text.as_str()), (0.5, 3.0, "costs $s"));
    }

    #[test]
    fn a_step_nobody_knows_is_an_error_that_names_the_script() {
        let error =
            Script::parse("x", r#"{"about": "", "turns": [[{"fly": 1}]]}"#, &BTreeMap::new())
                .unwrap_err();
        assert!(error.to_string().contains('x') && error.to_string().contains("fly"));
    }
}
