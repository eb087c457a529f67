//! Starts the child: input on a pipe, output on a terminal or a pipe, errors on a pipe of their own.

use std::{
    fs::OpenOptions,
    io,
    os::fd::{BorrowedFd, OwnedFd},
    os::unix::{fs::OpenOptionsExt, process::CommandExt},
    path::Path,
    process::{Command, Stdio},
};

use portable_pty::{MasterPty, PtySize, native_pty_system};
use rustix::{fs::OFlags, process::Pid};

use super::super::spawning::{cannot_start, resolve};
use crate::{SpawnSpec, Transport, tree::MARK};

/// A started child and our ends of its three streams, all non-blocking.
pub struct Child {
    pub pid: Pid,
    pub stdin: OwnedFd,
    pub stdout: OwnedFd,
    pub stderr: OwnedFd,
}

impl Child {
    pub fn pid(&self) -> u32 {
        self.pid.as_raw_nonzero().get().unsigned_abs()
    }
}

/// The error is a sentence for a person.
pub fn spawn(spec: &SpawnSpec) -> Result<Child, String> {
    let program = resolve(spec)?;
    let (terminal, stdout) = match spec.transport {
        Transport::Pty => {
            let (master, slave) = open_terminal(spec.size)
                .map_err(|error| format!("No terminal could be opened: {error}."))?;
            (Some(master), slave)
        }
        Transport::Pipe => (None, Stdio::piped()),
    };
    let mut child = command(spec, &program)
        .stdout(stdout)
        .spawn()
        .map_err(|error| cannot_start(&program, &error))?;
    let pid = Pid::from_child(&child);
    let ends = ends(&mut child, terminal).map_err(|error| {
        let _ = child.kill();
        let _ = child.wait();
        format!("The streams of {} could not be set up: {error}.", program.display())
    })?;
    Ok(Child { pid, stdin: ends.0, stdout: ends.1, stderr: ends.2 })
}

fn command(spec: &SpawnSpec, program: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .args(&spec.args)
        .current_dir(&spec.cwd)
        .env_clear()
        .envs(&spec.env)
        .env(MARK, &spec.mark)
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0);
    command
}

fn ends(
    child: &mut std::process::Child,
    terminal: Option<OwnedFd>,
) -> io::Result<(OwnedFd, OwnedFd, OwnedFd)> {
    let missing = || io::Error::other("a stream is missing");
    let stdin: OwnedFd = child.stdin.take().ok_or_else(missing)?.into();
    let stderr: OwnedFd = child.stderr.take().ok_or_else(missing)?.into();
    let stdout = match terminal {
        Some(master) => master,
        None => {
            let pipe: OwnedFd = child.stdout.take().ok_or_else(missing)?.into();
            widen(&pipe);
            pipe
        }
    };
    for end in [&stdin, &stdout, &stderr] {
        rustix::io::ioctl_fionbio(end, true)?;
    }
    Ok((stdin, stdout, stderr))
}

/// A wider pipe lets the child run on while the keeper writes; without one it works as well.
#[cfg(target_os = "linux")]
fn widen(pipe: &OwnedFd) {
    let _ = rustix::pipe::fcntl_setpipe_size(pipe, 256 << 10);
}

#[cfg(not(target_os = "linux"))]
fn widen(_pipe: &OwnedFd) {}

/// Our end of a new terminal in raw mode, and the child's. The child's end is opened without becoming
/// anybody's controlling terminal: the child gets no signals from it and cannot open `/dev/tty`.
fn open_terminal((cols, rows): (u16, u16)) -> io::Result<(OwnedFd, Stdio)> {
    let size = PtySize { rows, cols, pixel_width: 0, pixel_height: 0 };
    let pair = native_pty_system().openpty(size).map_err(io::Error::other)?;
    let name =
        pair.master.tty_name().ok_or_else(|| io::Error::other("the terminal has no name"))?;
    let slave = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(OFlags::NOCTTY.bits().cast_signed())
        .open(name)?;
    let mut modes = rustix::termios::tcgetattr(&slave)?;
    modes.make_raw();
    rustix::termios::tcsetattr(&slave, rustix::termios::OptionalActions::Now, &modes)?;
    let master = own_copy(pair.master.as_ref())?;
    Ok((master, Stdio::from(slave)))
}

/// `portable-pty` lends its descriptor as a bare number only, and a poll loop needs the descriptor.
#[expect(
    unsafe_code,
    reason = "the only way from a bare number to a descriptor that can be polled"
)]
fn own_copy(master: &dyn MasterPty) -> io::Result<OwnedFd> {
    let number = master.as_raw_fd().ok_or_else(|| io::Error::other("the terminal is not open"))?;
    // SAFETY: `master` is borrowed for the whole call, so the number stays an open descriptor of it.
    unsafe { BorrowedFd::borrow_raw(number) }.try_clone_to_owned()
}
