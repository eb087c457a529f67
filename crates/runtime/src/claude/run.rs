//! A run from its start to its outcome: one process, or two when a session could not be resumed.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use musher_process::ProcessError;
use musher_protocol::{AgentEvent, RunOutcome, RuntimeResult, TokenUsage};
use tokio::{sync::mpsc, time::Instant};

use super::{
    Flavour, SECOND,
    live::Live,
    opening::Opening,
    outcome::{Ended, outcome, resume_rejected},
    process::{Child, Drive, Driven},
    pump::Start,
    writer::Word,
};
use crate::{EventSink, RuntimeContext, RuntimeError};

pub(super) struct Run<'a> {
    pub flavour: Flavour,
    pub live: &'a Live,
    pub words: &'a mpsc::Sender<Word>,
    pub sink: &'a EventSink,
}

/// A process that was begun or found.
struct Begun {
    child: Child,
    opening: Opening,
    say: bool,
    start: Start,
}

/// Why there is none.
enum NotBegun {
    Outcome(RunOutcome),
    Error(RuntimeError),
}

impl From<RuntimeError> for NotBegun {
    fn from(error: RuntimeError) -> Self {
        Self::Error(error)
    }
}

impl From<ProcessError> for NotBegun {
    fn from(error: ProcessError) -> Self {
        match error {
            ProcessError::Spawn(message) => Self::Outcome(RunOutcome::SpawnFailed { message }),
            error => Self::Error(RuntimeError::Process(error.to_string())),
        }
    }
}

impl Run<'_> {
    pub async fn run(
        &self,
        context: &RuntimeContext,
        mut inbox: mpsc::Receiver<Word>,
    ) -> Result<RuntimeResult, RuntimeError> {
        let deadline =
            context.limits.max_seconds.map(|secs| Instant::now() + Duration::from_secs(secs));
        match self.processes(context, deadline, &mut inbox).await {
            Ok((driven, resumed)) => {
                self.tell_end(context, &driven).await?;
                Ok(self.result(&driven, resumed.as_deref()))
            }
            Err(NotBegun::Outcome(outcome)) => {
                Ok(RuntimeResult { session_id: None, token_usage: TokenUsage::default(), outcome })
            }
            Err(NotBegun::Error(error)) => Err(error),
        }
    }

    /// Drives the first process and, if its session is not known, the second. Gives how the last one
    /// ended, and the session that it was to resume.
    async fn processes(
        &self,
        context: &RuntimeContext,
        deadline: Option<Instant>,
        inbox: &mut mpsc::Receiver<Word>,
    ) -> Result<(Driven, Option<String>), NotBegun> {
        let mut begun = match context.attach {
            Some(_) => self.attach(context).await?,
            None => {
                let opening = Opening::of(context);
                opening.save(&context.run_dir).await?;
                self.begin(context, opening, context.run_dir.clone()).await?
            }
        };
        loop {
            let drive = Drive {
                child: &begun.child,
                context,
                opening: &begun.opening,
                say: begun.say,
                live: self.live,
                sink: self.sink,
                words: self.words,
                start: begun.start,
                deadline,
            };
            let driven = drive.run(inbox).await?;
            let Some(fresh) = self.fresh(&driven, &begun.opening) else {
                return Ok((driven, begun.opening.resume));
            };
            self.warn("resume_rejected", RESUME_REJECTED.into()).await?;
            let said_to = begun.start.base + driven.end.stdout;
            begun = self.begin(context, fresh, context.run_dir.join(SECOND)).await?;
            begun.start.base = said_to;
        }
    }

    /// How to begin again, when the process says that it does not know the session.
    fn fresh(&self, driven: &Driven, opening: &Opening) -> Option<Opening> {
        let ended = ended(driven, opening.resume.as_deref());
        let again = resume_rejected(&ended)
            && self.live.cause().is_none()
            && driven.end.exit.left.is_empty();
        opening.fresh().filter(|_| again)
    }

    async fn begin(
        &self,
        context: &RuntimeContext,
        opening: Opening,
        dir: PathBuf,
    ) -> Result<Begun, NotBegun> {
        if let Some(cause) = self.live.cause() {
            let nothing = super::decode::Facts::default();
            let exit = super::outcome::Exit::default();
            let ended = Ended {
                facts: &nothing,
                exit: &exit,
                cause: Some(cause),
                stderr: &[],
                resumed: None,
            };
            return Err(NotBegun::Outcome(outcome(&ended)));
        }
        let program = self.program(context)?;
        let start = Start { fresh: true, demo: self.flavour == Flavour::Demo, ..Start::default() };
        let child = Child::start(&dir, &program, context, opening.resume.as_deref()).await?;
        Ok(Begun { child, opening, say: true, start })
    }

    /// The latest process of the run. What was not said to it is said by whoever attaches; only the
    /// prompt is ours.
    async fn attach(&self, context: &RuntimeContext) -> Result<Begun, NotBegun> {
        let stored_to = context.attach.as_ref().map_or(0, |point| point.stored_to);
        let opening = Opening::load(&context.run_dir).await;
        let mut opening = opening.unwrap_or_else(|| Opening::of(context));
        let mut child = self.find(&context.run_dir).await?;
        let second = context.run_dir.join(SECOND);
        let mut base = 0;
        if ["keeper.json", "exit.json"].iter().any(|file| second.join(file).exists()) {
            base = child.end().await.stdout;
            child = self.find(&second).await?;
            opening = opening.fresh().unwrap_or_default();
        }
        self.live.fall_behind();
        let start = Start { fresh: false, base, stored_to, demo: self.flavour == Flavour::Demo };
        let unheard = stored_to <= base && !opening.prompt.is_empty();
        Ok(Begun { child, opening, say: unheard, start })
    }

    /// A keeper that does not answer (somebody stopped it) may hold a living agent: nothing is proved.
    async fn find(&self, dir: &Path) -> Result<Child, NotBegun> {
        let error = match Child::attach(dir).await {
            Ok(child) => return Ok(child),
            Err(error) => error,
        };
        let left = musher_process::living(dir).await.unwrap_or_default();
        if left.is_empty() {
            return Err(error.into());
        }
        self.warn("keeper_silent", error.to_string()).await?;
        Err(NotBegun::Outcome(RunOutcome::Unconfirmed { left }))
    }

    fn program(&self, context: &RuntimeContext) -> Result<PathBuf, NotBegun> {
        let variable = |name: &str| context.env.get(name).map(String::as_str);
        let found = || self.flavour.find(variable("PATH").unwrap_or_default(), variable("HOME"));
        context.command.clone().or_else(found).ok_or_else(|| {
            let message = format!("The agent's program was not found. {}", self.flavour.hint());
            NotBegun::Outcome(RunOutcome::SpawnFailed { message })
        })
    }

    /// What a person should know of the end. An engine that went before it stored the outcome may have
    /// stored this.
    async fn tell_end(
        &self,
        context: &RuntimeContext,
        driven: &Driven,
    ) -> Result<(), RuntimeError> {
        let (code, message) = if driven.end.exit.lost {
            let message = "The agent's keeper was killed; what was left of the agent was ended.";
            ("keeper_lost", message.to_owned())
        } else if driven.end.killed > 0 && self.live.cause().is_none() {
            let killed = driven.end.killed;
            (
                "left_running",
                match killed {
                    1 => "The agent left a process running; it was ended.".to_owned(),
                    many => format!("The agent left {many} processes running; they were ended."),
                },
            )
        } else {
            return Ok(());
        };
        match context.attach.as_ref().is_some_and(|point| point.warned.contains(code)) {
            true => Ok(()),
            false => self.warn(code, message).await,
        }
    }

    fn result(&self, driven: &Driven, resumed: Option<&str>) -> RuntimeResult {
        let cause = self.live.cause();
        RuntimeResult {
            session_id: driven.facts.session_id.clone(),
            token_usage: driven.facts.usage.clone(),
            outcome: outcome(&Ended { cause, ..ended(driven, resumed) }),
        }
    }

    async fn warn(&self, code: &str, message: String) -> Result<(), RuntimeError> {
        self.sink.say(AgentEvent::Warning { code: code.into(), message }).await
    }
}

const RESUME_REJECTED: &str = "The agent no longer knows this conversation, so a new one was begun with what \
     it must know.";

fn ended<'a>(driven: &'a Driven, resumed: Option<&'a str>) -> Ended<'a> {
    Ended {
        facts: &driven.facts,
        exit: &driven.end.exit,
        cause: None,
        stderr: &driven.stderr,
        resumed,
    }
}
