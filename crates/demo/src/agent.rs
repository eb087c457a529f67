//! The player's life: waits for a message, plays its turn, waits again, ends with its input.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    path::PathBuf,
    sync::mpsc::{self, Receiver, RecvTimeoutError, Sender},
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    args::Args,
    builtin,
    input::{self, Input, UserMessage},
    script::{Script, Step},
    sys,
    tools::Finished,
    turn::Turn,
    wire::{Used, Wire},
};

/// Why playing does not go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The process ends now, with this code.
    Exit(u8),
    /// The turn ends; the process waits for words.
    Interrupt,
    /// SIGINT: the turn ends, and the process with it.
    Signalled,
    /// `--max-turns` is reached.
    MaxTurns,
    /// The script ends the turn early.
    TurnOver,
}

pub type Played = Result<(), Stop>;

/// The agent while it lives.
pub struct Agent {
    pub args: Args,
    pub wire: Wire,
    pub cwd: PathBuf,
    pub mode: String,
    /// Messages that no turn has taken yet.
    pub queue: VecDeque<UserMessage>,
    /// Answers to our control requests, by request.
    pub answers: HashMap<String, Result<Value, String>>,
    /// Commands that have ended and that nobody has looked at.
    pub ended: Vec<Finished>,
    pub eof: bool,
    pub turn: Option<Turn>,
    /// What texts may name as `{key}`.
    pub texts: BTreeMap<&'static str, String>,
    pub used: Used,
    /// What the result lines have told of it.
    pub told: Used,
    /// Whether the last result was an error: the exit code says so.
    pub failed: bool,
    state: &'static str,
    script: Option<Script>,
    next_turn: usize,
    inbox: Receiver<Input>,
    pub outbox: Sender<Input>,
}

/// Runs the agent to its end; answers with the exit code.
pub fn run(args: Args) -> u8 {
    // Unbounded: the host says little, and a blocked reader would not see the end of input.
    let (outbox, inbox) = mpsc::channel();
    if let Err(error) = sys::watch_signals(outbox.clone()) {
        eprintln!("signals cannot be watched: {error}");
    }
    let mut agent = match Agent::new(args, inbox, outbox) {
        Ok(agent) => agent,
        Err(complaint) => {
            eprintln!("{complaint}");
            return 1;
        }
    };
    agent.listen();
    let code = agent.live();
    sys::restore_terminal();
    code
}

impl Agent {
    fn new(args: Args, inbox: Receiver<Input>, outbox: Sender<Input>) -> Result<Self, String> {
        let cwd = std::env::current_dir()
            .map_err(|error| format!("the working directory cannot be read: {error}"))?;
        let mode = mode_of(&args)?;
        let session = args.resume.clone().or_else(|| args.session_id.clone());
        let session = session.unwrap_or_else(|| uuid::Uuid::new_v4().to_string());
        let mut texts = BTreeMap::new();
        texts.insert("cwd", cwd.display().to_string());
        texts.insert("folder", cwd.file_name().unwrap_or_default().to_string_lossy().into_owned());
        texts.insert("dir", free_name(&cwd));
        texts.insert("session", session.clone());
        Ok(Self {
            wire: Wire::new(session, args.model.clone()),
            next_turn: usize::from(args.resume.is_some()),
            queue: VecDeque::new(),
            answers: HashMap::new(),
            ended: Vec::new(),
            eof: false,
            turn: None,
            used: Used::default(),
            told: Used::default(),
            failed: false,
            state: "idle",
            script: None,
            args,
            cwd,
            mode,
            texts,
            inbox,
            outbox,
        })
    }

    /// Reads standard input from now on; a prompt on the command line is the only message otherwise.
    fn listen(&mut self) {
        if self.args.stream_input {
            let to = self.outbox.clone();
            thread::spawn(move || input::read(std::io::stdin().lock(), &to));
            return;
        }
        let prompt =
            self.args.prompt.clone().or_else(|| std::io::read_to_string(std::io::stdin()).ok());
        self.queue.extend(prompt.map(|text| UserMessage {
            message: json!({"role": "user", "content": text}),
            text,
            uuid: None,
        }));
        self.eof = true;
    }

    fn live(&mut self) -> u8 {
        loop {
            match self.next_message().and_then(|message| self.one_turn(message)) {
                Ok(()) => {}
                Err(Stop::Exit(code)) => return code,
                Err(Stop::Signalled) => return 0,
                // An interrupt with no turn to end.
                Err(Stop::Interrupt | Stop::MaxTurns | Stop::TurnOver) => {}
            }
        }
    }

    fn next_message(&mut self) -> Result<UserMessage, Stop> {
        let next = self.wait(None, |agent| match agent.queue.pop_front() {
            Some(message) => Some(Some(message)),
            None if agent.eof => Some(None),
            None => None,
        })?;
        next.flatten().ok_or(Stop::Exit(u8::from(self.failed)))
    }

    fn one_turn(&mut self, message: UserMessage) -> Played {
        let (script, steps) = self.steps_for(&message)?;
        self.texts.insert("message", message.text.clone());
        self.turn = Some(Turn::new(message, script.on_message.clone()));
        let played = self.play_turn(&script, &steps);
        let ended = self.end_turn(played);
        self.turn = None;
        if !matches!(ended, Err(Stop::Exit(_))) {
            self.state("idle");
        }
        ended
    }

    /// The script of this message and the steps of its turn. A message with a marker of its own starts
    /// that script from its first turn.
    fn steps_for(&mut self, message: &UserMessage) -> Result<(Script, Vec<Step>), Stop> {
        let marked = crate::script::marker(&message.text).is_some() && self.args.script.is_none();
        if marked || self.script.is_none() {
            let loaded =
                builtin::load(self.args.script.as_deref(), &message.text, &self.args.params);
            let loaded = loaded.map_err(|error| {
                eprintln!("{error}");
                Stop::Exit(1)
            })?;
            if marked {
                self.next_turn = 0;
            }
            self.script = Some(loaded.1);
        }
        let Some(script) = &self.script else { return Err(Stop::Exit(1)) };
        let steps =
            script.turns.get(self.next_turn).or(script.turns.last()).cloned().unwrap_or_default();
        self.next_turn += 1;
        Ok((script.clone(), steps))
    }

    /// Waits until `ready` finds what it wants, or until the time has come; hears everything meanwhile.
    pub fn wait<T>(
        &mut self,
        until: Option<Instant>,
        mut ready: impl FnMut(&mut Self) -> Option<T>,
    ) -> Result<Option<T>, Stop> {
        loop {
            if let Some(found) = ready(self) {
                return Ok(Some(found));
            }
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            let heard = match left {
                Some(left) => self.inbox.recv_timeout(left),
                None => self.inbox.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            match heard {
                Ok(input) => self.take(input)?,
                Err(_) => return Ok(None),
            }
        }
    }

    /// Lets `seconds` of the script's time pass.
    pub fn pause(&mut self, seconds: f64) -> Played {
        self.idle(Duration::try_from_secs_f64(seconds * self.args.speed).unwrap_or_default())
    }

    pub fn idle(&mut self, time: Duration) -> Played {
        self.wait(Some(Instant::now() + time), |_| None::<()>).map(drop)
    }

    fn take(&mut self, input: Input) -> Played {
        match input {
            Input::User(message) => {
                self.lifecycle(message.uuid.as_deref(), "queued");
                self.queue.push_back(message);
            }
            Input::Control { id, request } => return self.control(&id, &request),
            Input::Answer { id, answer } => drop(self.answers.insert(id, answer)),
            Input::Eof => self.eof = true,
            Input::ToolEnded(done) => self.ended.push(done),
            Input::Interrupt => return Err(Stop::Signalled),
            Input::Fatal(words) => {
                eprintln!("{words}");
                return Err(Stop::Exit(1));
            }
        }
        Ok(())
    }

    pub fn print(&self, line: &Value) {
        let mut bytes = line.to_string().into_bytes();
        bytes.push(b'\n');
        sys::write_out(&bytes);
    }

    pub fn lifecycle(&self, uuid: Option<&str>, state: &str) {
        if let Some(uuid) = uuid {
            self.print(&self.wire.lifecycle(uuid, state));
        }
    }

    /// Says in what state the session is, to a host that asked for it.
    pub fn state(&mut self, state: &'static str) {
        if self.args.state_events && self.state != state {
            self.print(&self.wire.system("session_state_changed", json!({"state": state})));
        }
        self.state = state;
    }

    pub fn session_state(&self) -> &'static str {
        self.state
    }

    /// Fills `{names}` in; what nobody knows stays as it is.
    pub fn text(&self, template: &str) -> String {
        let mut text = template.replace("{mode}", &self.mode);
        for (key, value) in &self.texts {
            text = text.replace(&format!("{{{key}}}"), value);
        }
        text
    }
}

/// The permission mode as init reports it.
fn mode_of(args: &Args) -> Result<String, String> {
    match args.mode.as_deref() {
        _ if args.bypass => Ok("bypassPermissions".into()),
        None | Some("default" | "manual") => Ok("default".into()),
        Some(mode @ ("acceptEdits" | "auto" | "bypassPermissions" | "dontAsk" | "plan")) => {
            Ok(mode.into())
        }
        Some(other) => Err(format!(
            "error: option '--permission-mode <mode>' argument '{other}' is invalid. Allowed choices are \
             acceptEdits, auto, bypassPermissions, manual, dontAsk, plan."
        )),
    }
}

/// The first of `hello`, `hello-2`, ... that is not there yet: a demo changes nothing of the user's.
fn free_name(cwd: &std::path::Path) -> String {
    (1..)
        .map(|n| if n == 1 { "hello".to_owned() } else { format!("hello-{n}") })
        .find(|name| !cwd.join(name).exists())
        .unwrap_or_default()
}
