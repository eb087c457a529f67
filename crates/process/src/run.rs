//! Short-lived commands, such as git: arguments and never a shell, a time limit, a limit on what they
//! say, and a process group of their own that is ended whole when anything goes wrong, also when the
//! future is dropped. It is asked with TERM first: git that is killed leaves its lock files behind, and
//! then nobody can change the ref that was locked; pyenv in a login shell does the same.

#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

use std::{
    collections::BTreeMap,
    ffi::OsString,
    io,
    path::PathBuf,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    process::{Child, Command},
    time::timeout,
};

use crate::{ProcessError, find_program};

/// How long what a command left behind may hold its output open.
const LEFTOVERS: Duration = Duration::from_millis(500);

/// How long a command may tidy up when it is ended in time.
const TIDYING: Duration = Duration::from_secs(2);

/// What a command reads.
#[derive(Clone, Debug, Default)]
pub enum Input {
    #[default]
    Null,
    Bytes(Vec<u8>),
}

/// One command.
#[derive(Clone, Debug)]
pub struct Cmd {
    /// A path, or a name that is looked for in the `PATH` of `env`.
    pub program: PathBuf,
    pub args: Vec<OsString>,
    pub cwd: PathBuf,
    /// The whole environment.
    pub env: BTreeMap<String, String>,
    pub input: Input,
    pub timeout: Duration,
    /// Bytes kept of each output. A command that says more on its standard output is ended.
    pub output_limit: usize,
    /// The program opens a session of its own, and with it a group; we make none.
    #[cfg_attr(not(unix), expect(dead_code, reason = "sessions are Unix's"))]
    pub(crate) own_session: bool,
}

impl Cmd {
    pub fn new(program: impl Into<PathBuf>, cwd: impl Into<PathBuf>) -> Self {
        Self {
            program: program.into(),
            args: Vec::new(),
            cwd: cwd.into(),
            env: BTreeMap::new(),
            input: Input::Null,
            timeout: Duration::from_secs(60),
            output_limit: 64 << 20,
            own_session: false,
        }
    }

    #[must_use]
    pub fn args<I: IntoIterator<Item = S>, S: Into<OsString>>(mut self, args: I) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }
}

/// How a command ended and what it said.
#[derive(Clone, Debug)]
pub struct Finished {
    pub code: Option<i32>,
    pub signal: Option<i32>,
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
    /// It said more than was kept.
    pub truncated: bool,
}

impl Finished {
    pub fn success(&self) -> bool {
        self.code == Some(0)
    }
}

/// Runs a command to its end. That it fails is no error here; that it cannot start, or takes too long,
/// is.
pub async fn run(cmd: Cmd) -> Result<Finished, ProcessError> {
    let mut child = spawn(&cmd)?;
    let mut group = Group::of(&child);
    match timeout(cmd.timeout, finish(&mut child, &mut group, &cmd)).await {
        Ok(finished) => {
            finished.map_err(ProcessError::io(format!("talking to {}", cmd.program.display())))
        }
        Err(_) => {
            // Collected meanwhile, so that no zombie is left.
            tokio::join!(group.end_in_time(), timeout(TIDYING + LEFTOVERS, child.wait())).1.ok();
            let program = cmd.program.display().to_string();
            Err(ProcessError::TimedOut { program, after: cmd.timeout })
        }
    }
}

fn spawn(cmd: &Cmd) -> Result<Child, ProcessError> {
    let path = cmd.env.get("PATH").map_or("", String::as_str);
    let name = cmd.program.to_string_lossy();
    let missing = || {
        ProcessError::Spawn(format!("The program {name} was not found on the PATH; install it."))
    };
    let program = find_program(&name, path).ok_or_else(missing)?;
    let mut command = Command::new(program);
    command
        .args(&cmd.args)
        .current_dir(&cmd.cwd)
        .env_clear()
        .envs(&cmd.env)
        .stdin(if matches!(cmd.input, Input::Null) { Stdio::null() } else { Stdio::piped() })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    #[cfg(unix)]
    if !cmd.own_session {
        command.process_group(0);
    }
    // Without it a console window would open, for a moment.
    #[cfg(windows)]
    command.creation_flags(windows_sys::Win32::System::Threading::CREATE_NO_WINDOW);
    command.spawn().map_err(|error| {
        let place = if cmd.cwd.is_dir() { "" } else { " (its folder does not exist)" };
        ProcessError::Spawn(format!("The program {name} could not be started{place}: {error}."))
    })
}

async fn finish(child: &mut Child, group: &mut Group, cmd: &Cmd) -> io::Result<Finished> {
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let mut out = Captured::new(cmd.output_limit);
    let mut err = Captured::new(cmd.output_limit);
    let status = {
        let say = async {
            if let (Some(mut stdin), Input::Bytes(bytes)) = (stdin, &cmd.input) {
                // A command that does not want it all closes the pipe: not our failure.
                let _ = stdin.write_all(bytes).await;
            }
        };
        let listen = async { tokio::join!(out.take(stdout), err.drain(stderr), say) };
        tokio::pin!(listen);
        tokio::select! {
            biased;
            (enough, ..) = &mut listen => {
                if enough {
                    tokio::join!(group.end_in_time(), child.wait()).1?
                } else {
                    child.wait().await?
                }
            }
            status = child.wait() => {
                // Its output ends with it, unless it left somebody behind who holds it.
                if timeout(LEFTOVERS, &mut listen).await.is_err() {
                    group.end_in_time().await;
                }
                status?
            }
        }
    };
    group.disarm();
    Ok(finished(status, out, err))
}

fn finished(status: ExitStatus, out: Captured, err: Captured) -> Finished {
    #[cfg(unix)]
    let signal = std::os::unix::process::ExitStatusExt::signal(&status);
    #[cfg(not(unix))]
    let signal = None;
    Finished {
        code: status.code(),
        signal,
        truncated: out.full || err.full,
        stdout: out.bytes,
        stderr: err.bytes,
    }
}

struct Captured {
    bytes: Vec<u8>,
    limit: usize,
    full: bool,
}

impl Captured {
    fn new(limit: usize) -> Self {
        Self { bytes: Vec::new(), limit, full: false }
    }

    /// Takes output up to the limit. True: there is more.
    async fn take(&mut self, source: Option<impl AsyncRead + Unpin>) -> bool {
        let Some(source) = source else { return false };
        let mut source = source.take(self.limit as u64 + 1);
        self.bytes.reserve(4096);
        while matches!(source.read_buf(&mut self.bytes).await, Ok(1..)) {}
        self.full = self.bytes.len() > self.limit;
        self.bytes.truncate(self.limit);
        self.full
    }

    /// Takes output up to the limit and throws the rest away.
    async fn drain(&mut self, source: Option<impl AsyncRead + Unpin>) {
        let Some(mut source) = source else { return };
        self.take(Some(&mut source)).await;
        let mut rest = Vec::with_capacity(4096);
        while matches!(source.read_buf(&mut rest).await, Ok(1..)) {
            rest.clear();
        }
    }
}

#[cfg(unix)]
use unix::Group;
#[cfg(windows)]
use windows::Group;

impl Drop for Group {
    /// Ends the command's group, unless the command has ended.
    fn drop(&mut self) {
        self.end();
    }
}
