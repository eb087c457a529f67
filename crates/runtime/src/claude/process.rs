//! One process of a run: started or found again, driven to its end.

use std::path::{Path, PathBuf};

use musher_process::{
    Attached, Ending, ExitRecord, Keeper, ProcessError, SpawnSpec, SpoolReader, Stream,
};
use musher_protocol::Transport;
use tokio::{sync::mpsc, time::Instant};

use super::{
    command,
    decode::Facts,
    ending,
    live::Live,
    opening::Opening,
    outcome::Exit,
    pump::{Pump, Start},
    stderr,
    writer::{Word, Writer},
};
use crate::{EventSink, RuntimeContext, RuntimeError};

/// How a process ended, and what is known of its output.
#[derive(Clone, Debug, Default)]
pub(super) struct End {
    pub exit: Exit,
    /// Bytes of its output, in all.
    pub stdout: u64,
    /// How many processes had to be killed after it.
    pub killed: usize,
}

impl From<ExitRecord> for End {
    fn from(record: ExitRecord) -> Self {
        Self { exit: Exit::from(&record), stdout: record.stdout, killed: record.killed.len() }
    }
}

/// A process, alive or over.
pub(super) struct Child {
    /// The folder of its keeper.
    pub dir: PathBuf,
    source: Source,
}

enum Source {
    Live(Keeper),
    Over(End),
}

impl Child {
    /// Starts the program in a keeper of its own.
    pub async fn start(
        dir: &Path,
        program: &Path,
        context: &RuntimeContext,
        resume: Option<&str>,
    ) -> Result<Self, ProcessError> {
        let mut spec = SpawnSpec::new(program, &context.cwd, context.run.as_str());
        spec.args = command::arguments(context, resume);
        spec.env = context.env.clone();
        spec.env.insert("CLAUDE_CODE_EMIT_SESSION_STATE_EVENTS".into(), "1".into());
        spec.transport = match context.transport {
            Transport::Pty => musher_process::Transport::Pty,
            Transport::Pipe => musher_process::Transport::Pipe,
        };
        let keeper = Keeper::start(dir, spec).await?;
        Ok(Self { dir: dir.to_owned(), source: Source::Live(keeper) })
    }

    /// Finds again what was started in this folder.
    pub async fn attach(dir: &Path) -> Result<Self, ProcessError> {
        let source = match Keeper::attach(dir).await? {
            Attached::Live(keeper) => Source::Live(keeper),
            Attached::Ended(record) => Source::Over(record.into()),
            Attached::Lost { killed, left } => Source::Over(End {
                exit: Exit { left, lost: true, ..Exit::default() },
                stdout: 0,
                killed: killed.len(),
            }),
        };
        Ok(Self { dir: dir.to_owned(), source })
    }

    pub fn keeper(&self) -> Option<&Keeper> {
        match &self.source {
            Source::Live(keeper) => Some(keeper),
            Source::Over(_) => None,
        }
    }

    pub fn output(&self, stream: Stream, from: u64) -> SpoolReader {
        match &self.source {
            Source::Live(keeper) => keeper.output(stream, from),
            Source::Over(_) => SpoolReader::of_ended(&self.dir, stream, from),
        }
    }

    /// Waits for its end.
    pub async fn end(&self) -> End {
        match &self.source {
            Source::Live(keeper) => keeper.exited().await.into(),
            Source::Over(end) => end.clone(),
        }
    }
}

/// What is known when a process is over.
pub(super) struct Driven {
    pub facts: Facts,
    pub stderr: Vec<String>,
    pub end: End,
}

/// All that driving a process needs.
pub(super) struct Drive<'a> {
    pub child: &'a Child,
    pub context: &'a RuntimeContext,
    pub opening: &'a Opening,
    /// The opening has to be said to it.
    pub say: bool,
    pub live: &'a Live,
    pub sink: &'a EventSink,
    pub words: &'a mpsc::Sender<Word>,
    pub start: Start,
    /// When the run's time is up.
    pub deadline: Option<Instant>,
}

impl Drive<'_> {
    /// Reads, writes and, when ordered, ends; returns when the process tree is gone and all that it
    /// said is in the sink.
    pub async fn run(&self, inbox: &mut mpsc::Receiver<Word>) -> Result<Driven, RuntimeError> {
        let mut pump = Pump::new(self).await;
        let stderr = match self.together(&mut pump, inbox).await {
            Ok(stderr) => stderr,
            Err(error) => {
                self.give_up(&error).await;
                return Err(error);
            }
        };
        let end = match self.live.left_behind() {
            Some(left) => End { exit: Exit { left, ..Exit::default() }, ..End::default() },
            None => self.child.end().await,
        };
        Ok(Driven { facts: pump.facts(), stderr, end })
    }

    /// A runtime that failed leaves nothing behind. Without a sink the engine is going, and the agent
    /// waits for the next one.
    async fn give_up(&self, error: &RuntimeError) {
        if let (Some(keeper), false) =
            (self.child.keeper(), matches!(error, RuntimeError::SinkClosed))
        {
            let ended = keeper.end_tree(Ending::NOW).await;
            ended.map_or_else(|error| tracing::error!(%error, "an agent was not ended"), drop);
        }
    }

    async fn together(
        &self,
        pump: &mut Pump<'_>,
        inbox: &mut mpsc::Receiver<Word>,
    ) -> Result<Vec<String>, RuntimeError> {
        let reading = async {
            let stderr = stderr::follow(self.child, self.live, self.sink);
            let (_, stderr) = tokio::try_join!(pump.run(), stderr)?;
            Ok(stderr)
        };
        let Some(keeper) = self.child.keeper() else { return reading.await };
        let tools = self.context.tools.endpoint.as_deref();
        let writer = Writer { keeper, live: self.live, sink: self.sink, tools };
        let opening = self.say.then_some(self.opening);
        tokio::select! {
            read = reading => read,
            said = writer.run(opening, inbox) => said.map(|never| match never {}),
            never = ending::ender(keeper, &self.child.dir, self.live, self.deadline) => match never {},
        }
    }
}
