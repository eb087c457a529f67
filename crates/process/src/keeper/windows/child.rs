//! Starts the child with a pipe for each stream.

use std::process::Stdio;

use tokio::process::{ChildStderr, ChildStdin, ChildStdout, Command};
use windows_sys::Win32::System::Threading::CREATE_NEW_PROCESS_GROUP;

use super::super::spawning::{cannot_start, resolve};
use crate::{SpawnSpec, tree::MARK};

/// A started child and our ends of its three streams.
pub struct Child {
    pub pid: u32,
    pub process: tokio::process::Child,
    pub stdin: ChildStdin,
    pub stdout: ChildStdout,
    pub stderr: ChildStderr,
}

impl Child {
    pub fn pid(&self) -> u32 {
        self.pid
    }
}

/// The error is a sentence for a person. The child has the keeper's own console, which nobody sees, and
/// a group of its own on it; so does what it starts, and no window opens.
pub fn spawn(spec: &SpawnSpec) -> Result<Child, String> {
    let program = resolve(spec)?;
    let mut process = Command::new(&program)
        .args(&spec.args)
        .current_dir(&spec.cwd)
        .env_clear()
        .envs(&spec.env)
        .env(MARK, &spec.mark)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .creation_flags(CREATE_NEW_PROCESS_GROUP)
        .spawn()
        .map_err(|error| cannot_start(&program, &error))?;
    let streams = process.stdin.take().zip(process.stdout.take()).zip(process.stderr.take());
    match process.id().zip(streams) {
        Some((pid, ((stdin, stdout), stderr))) => Ok(Child { pid, process, stdin, stdout, stderr }),
        None => Err(format!("The streams of {} could not be set up.", program.display())),
    }
}
