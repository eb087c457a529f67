//! `run_command`: a command line of `/bin/sh`, under a keeper of its own, so that its whole tree can be
//! ended with proof, by us or by the engine that comes after us.
//!
//! The shell is `/bin/sh` and not the person's own: what it reads is the language that the rules
//! judge, and it reads no start files, so that the same text does the same everywhere.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use musher_process::{Attached, Ending, ExitRecord, Keeper, ProcessError, SpawnSpec, Stream};
use musher_protocol::ToolKind;
use musher_runtime::{Call, Effect, Secrets, ToolOutcome, ToolSpec};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::{
    Demand, HostConfig, Planned, Tool,
    kept::{self, FOLDER, OF_COMMAND, folders},
    output::Output,
    read_output,
    rules::Script,
    schema,
    show::visible,
    site::Site,
    tool::arguments,
};

const DEFAULT_TIMEOUT: u64 = 120;
const LONGEST_TIMEOUT: u64 = 3600;
/// From TERM to KILL, when a command is stopped or its time is over.
const GRACE: Ending = Ending { eof_grace: Duration::ZERO, term_grace: Duration::from_millis(500) };
/// What a command may say in all. How long it is kept: [`crate::kept`].
const MOST_SAID: u64 = 64 << 20;
/// Both outputs in one, in the order in which they come; then the command itself, unchanged.
const JOINED: &str = "exec /bin/sh -c \"$1\" 2>&1";
/// Calls of one id that a run may have: one, but for a model that says its ids twice.
const MOST_NAMESAKES: u32 = 1000;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Arguments {
    /// The command line, for `/bin/sh -c`.
    command: String,
    /// Seconds after which it is ended; by default 120, at most 3600.
    timeout_seconds: Option<u64>,
}

pub struct RunCommand {
    site: Arc<Site>,
    config: HostConfig,
}

impl RunCommand {
    pub fn new(site: Arc<Site>, config: HostConfig) -> Self {
        Self { site, config }
    }
}

#[async_trait]
impl Tool for RunCommand {
    fn spec(&self) -> ToolSpec {
        ToolSpec {
            name: "run_command".to_owned(),
            description:
                "Runs a command line with /bin/sh in the worktree's folder, without input, \
                          and gives its output (standard output and error together) and exit code. \
                          All that it started is ended with it; nothing runs on in the background. \
                          Of long output the middle is left out."
                    .to_owned(),
            parameters: schema::of::<Arguments>(),
        }
    }

    fn only_reads(&self) -> bool {
        false
    }

    async fn plan(&self, input: &Value) -> Result<Planned, String> {
        let wanted = wanted(input)?;
        let script = Script::look(&wanted.command, |path| self.site.spot(path));
        Ok(Planned {
            kind: ToolKind::Run,
            title: visible(&wanted.command),
            effect: Effect::Changes,
            demand: Demand::Run(script),
        })
    }

    async fn call(
        &self,
        call: &Call,
        _demand: Option<&Demand>,
        stop: CancellationToken,
    ) -> ToolOutcome {
        let wanted = match wanted(&call.input) {
            Ok(wanted) => wanted,
            Err(text) => return ToolOutcome::error(text),
        };
        if stop.is_cancelled() {
            return ToolOutcome::error(crate::tool::STOPPED);
        }
        match self.start(&call.id, &wanted.command).await {
            Ok(running) => running.attend(wanted.timeout(), stop).await,
            Err(text) => ToolOutcome::error(text),
        }
    }

    async fn end_left_over(&self) -> Vec<u32> {
        let HostConfig { run_dir, mark, secrets, .. } = &self.config;
        end_left_over(run_dir, mark, secrets).await
    }
}

/// Ends what the run's earlier commands have left; names what would not end. Takes the secrets out of
/// what they said: who began them may have died before they could.
pub async fn end_left_over(run_dir: &Path, mark: &str, secrets: &Secrets) -> Vec<u32> {
    let mut left = Vec::new();
    for folder in folders(run_dir) {
        let name = folder.file_name().unwrap_or_default().to_string_lossy();
        left.extend(end_one(&folder, &format!("{mark}.{name}")).await);
        kept::hide(folder, secrets).await;
    }
    left
}

impl Arguments {
    fn timeout(&self) -> Duration {
        let seconds = self.timeout_seconds.unwrap_or(DEFAULT_TIMEOUT);
        Duration::from_secs(seconds.clamp(1, LONGEST_TIMEOUT))
    }
}

fn wanted(input: &Value) -> Result<Arguments, String> {
    let wanted: Arguments = arguments(input)?;
    if wanted.command.trim().is_empty() || wanted.command.contains('\0') {
        return Err("The command is empty, or has a NUL in it.".to_owned());
    }
    Ok(wanted)
}

impl RunCommand {
    async fn start(&self, id: &str, command: &str) -> Result<Running, String> {
        let failed = |error: &dyn std::fmt::Display| {
            format!("The command could not be started, nothing was done: {error}.")
        };
        let (folder, name) = fresh_folder(&self.config, id).map_err(|error| failed(&error))?;
        let mark = format!("{}.{name}", self.config.mark);
        let spec = self.spec(command, &mark);
        // The system's sandbox belongs here: around the program of `spec`, before it is started.
        let started = match &self.config.keeper {
            Some(keeper) => Keeper::start_with(keeper, &folder, spec).await,
            None => Keeper::start(&folder, spec).await,
        };
        let keeper = started.map_err(|error| failed(&error))?;
        // It reads nothing. Should this fail, it has ended already.
        let _ = keeper.close_input().await;
        Ok(Running { keeper, folder, mark, secrets: self.config.secrets.clone() })
    }

    fn spec(&self, command: &str, mark: &str) -> SpawnSpec {
        let mut spec = SpawnSpec::new("/bin/sh", &self.config.worktree, mark);
        spec.args = ["-c", JOINED, "sh", command].map(str::to_owned).into();
        spec.env.clone_from(&self.config.env);
        spec.transport = musher_process::Transport::Pipe;
        spec.spool_limit = MOST_SAID + (1 << 20);
        spec
    }
}

/// A command that was started.
struct Running {
    keeper: Keeper,
    folder: PathBuf,
    mark: String,
    secrets: Secrets,
}

/// Why a command ended.
enum End {
    Itself(ExitRecord),
    TimedOut,
    Stopped,
    /// It said too much.
    Full,
    /// What it says can no longer be read.
    Lost(ProcessError),
}

impl Running {
    async fn attend(self, limit: Duration, stop: CancellationToken) -> ToolOutcome {
        let mut output = Output::without(&self.secrets);
        let mut reader = self.keeper.output(Stream::Stdout, 0);
        let end = tokio::select! {
            biased;
            () = stop.cancelled() => End::Stopped,
            end = listen(&self.keeper, &mut reader, &mut output) => end,
            () = tokio::time::sleep(limit) => End::TimedOut,
        };
        let ended = match &end {
            End::Itself(record) => Ok(record.clone()),
            _ => self.keeper.end(GRACE).await,
        };
        let left = match &ended {
            Ok(record) => record.left.clone(),
            Err(_) => marked(&self.mark),
        };
        if !matches!(end, End::Lost(_)) {
            rest(&mut reader, &mut output).await;
        }
        output.finish();
        // Of a command that was ended not all may have been read.
        if output.may_hold_secret() || !matches!(end, End::Itself(_)) {
            kept::hide(self.folder.clone(), &self.secrets).await;
        }
        self.outcome(&end, ended.ok(), output, (limit, left))
    }

    fn outcome(
        &self,
        end: &End,
        record: Option<ExitRecord>,
        output: Output,
        (limit, left): (Duration, Vec<u32>),
    ) -> ToolOutcome {
        let code = record.as_ref().and_then(|record| record.code);
        let mut notes = vec![match end {
            End::Itself(record) => itself(record),
            End::TimedOut => format!("ended after {} s, its time limit", limit.as_secs()),
            End::Stopped => "stopped before it was done".to_owned(),
            End::Full => format!("ended, because it said more than {MOST_SAID} bytes"),
            End::Lost(error) => format!("ended, because its output was lost: {error}"),
        }];
        if !left.is_empty() {
            let pids: Vec<String> = left.iter().map(u32::to_string).collect();
            notes.push(format!("could not be ended: processes {}", pids.join(", ")));
        }
        if output.is_cut() {
            let name = self.folder.file_name().unwrap_or_default().to_string_lossy();
            let what =
                if matches!(end, End::Full) { "what it said until then" } else { "all of it" };
            notes.push(format!("{what} is kept: {} shows lines of {name}", read_output::NAME));
        }
        let is_error = !matches!(end, End::Itself(_)) || code != Some(0) || !left.is_empty();
        let text = format!("{}[{}]", output.text(), notes.join("; "));
        ToolOutcome { text, is_error, left, ..ToolOutcome::default() }
    }
}

pub fn itself(record: &ExitRecord) -> String {
    match (record.code, record.signal) {
        _ if record.lost => "its keeper was killed; how it ended is not known".to_owned(),
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("ended by signal {signal}"),
        (None, None) => "how it ended is not known".to_owned(),
    }
}

async fn listen(
    keeper: &Keeper,
    reader: &mut musher_process::SpoolReader,
    output: &mut Output,
) -> End {
    let mut bytes = Vec::new();
    loop {
        match reader.read(&mut bytes).await {
            Ok(0) => return End::Itself(keeper.exited().await),
            Ok(_) => output.take(&bytes),
            Err(error) => return End::Lost(error),
        }
        bytes.clear();
        if reader.position() > MOST_SAID {
            return End::Full;
        }
    }
}

/// What was said up to the end.
async fn rest(reader: &mut musher_process::SpoolReader, output: &mut Output) {
    let mut bytes = Vec::new();
    let last = async {
        while matches!(reader.read(&mut bytes).await, Ok(1..)) {
            output.take(&bytes);
            bytes.clear();
        }
    };
    // The end was reported, so this waits for nothing; where it was not, it must not wait.
    let _ = tokio::time::timeout(Duration::from_secs(1), last).await;
}

/// A folder of its own for each call, named after its id; a name is given once in a story, because the
/// model knows outputs by it.
fn fresh_folder(config: &HostConfig, id: &str) -> io::Result<(PathBuf, String)> {
    let above = config.run_dir.join(FOLDER);
    let is_taken =
        |name: &str| config.earlier.iter().any(|run| run.join(FOLDER).join(name).exists());
    fs::create_dir_all(&above)?;
    let plain: String = id
        .chars()
        .map(|char| if char.is_ascii_alphanumeric() || char == '-' { char } else { '_' })
        .take(64)
        .collect();
    for number in 1..MOST_NAMESAKES {
        let name = if number == 1 {
            format!("{OF_COMMAND}{plain}")
        } else {
            format!("{OF_COMMAND}{plain}-{number}")
        };
        if is_taken(&name) {
            continue;
        }
        match fs::create_dir(above.join(&name)) {
            Ok(()) => return Ok((above.join(&name), name)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

/// Living processes with a mark.
pub fn marked(mark: &str) -> Vec<u32> {
    musher_process::processes_with_mark(mark).iter().map(|process| process.pid).collect()
}

/// Ends what an earlier engine's call has left.
async fn end_one(folder: &Path, mark: &str) -> Vec<u32> {
    match Keeper::attach(folder).await {
        Ok(Attached::Live(keeper)) => match keeper.end(GRACE).await {
            Ok(record) => record.left,
            Err(_) => marked(mark),
        },
        // Told at its end already; by now its numbers may be others'.
        Ok(Attached::Ended(record)) if record.left.is_empty() => Vec::new(),
        Ok(Attached::Ended(record)) => {
            marked(mark).into_iter().filter(|pid| record.left.contains(pid)).collect()
        }
        Ok(Attached::Lost { left, .. }) => left,
        Err(error) => {
            tracing::warn!(%error, folder = %folder.display(), "a command could not be looked for");
            marked(mark)
        }
    }
}
