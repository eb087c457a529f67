//! The operating system: output without buffering, signals, processes.
//!
//! The agent's own processes are started here and not by `musher-process`: this program stands for a
//! foreign agent, and does what such agents do.

use std::{
    io::IsTerminal,
    os::unix::process::CommandExt,
    process::{Child, Command, ExitCode, Stdio},
    sync::{
        atomic::{AtomicBool, Ordering},
        mpsc::Sender,
    },
    thread,
};

use rustix::process::{Pid, Signal};

use crate::{
    input::Input,
    script::{Spawn, SpawnHow},
};

/// First argument with which this executable is a tool's wrapper, not an agent.
const TOOL: &str = "--musher-demo-tool";
const DAEMON: &str = "--musher-demo-daemon";
static IGNORING: AtomicBool = AtomicBool::new(false);

/// Writes all of `bytes` to standard output in one call where the system allows. A reader that is
/// gone is no error: the real program works on when its output is closed.
pub fn write_out(mut bytes: &[u8]) -> bool {
    while !bytes.is_empty() {
        match rustix::io::write(rustix::stdio::stdout(), bytes) {
            Ok(0) => return false,
            Ok(written) => bytes = &bytes[written..],
            Err(rustix::io::Errno::INTR) => {}
            Err(_) => return false,
        }
    }
    true
}

/// What the real program does at its end when its output is a terminal: shows the cursor again,
/// without a line end.
pub fn restore_terminal() {
    if std::io::stdout().is_terminal() {
        write_out(b"\x1b[?25h");
    }
}

/// Closes standard output for good; later lines go nowhere.
pub fn close_stdout() {
    if let Ok(null) = std::fs::File::options().write(true).open("/dev/null") {
        let _ = rustix::stdio::dup2_stdout(&null);
    }
}

/// TERM and HUP end the agent and its tools, INT ends the turn; nothing does after
/// [`ignore_signals`].
pub fn watch_signals(to: Sender<Input>) -> std::io::Result<()> {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    let mut signals = signal_hook::iterator::Signals::new([SIGHUP, SIGINT, SIGTERM])?;
    thread::spawn(move || {
        for signal in signals.forever() {
            if IGNORING.load(Ordering::Relaxed) {
                continue;
            }
            if signal == SIGINT && to.send(Input::Interrupt).is_ok() {
                continue;
            }
            kill_descendants(rustix::process::getpid());
            std::process::exit(128 + signal);
        }
    });
    Ok(())
}

pub fn ignore_signals() {
    IGNORING.store(true, Ordering::Relaxed);
}

/// Sends a signal by its name to this very process.
pub fn signal_self(name: &str) {
    let signal = match name {
        "ABRT" => Signal::ABORT,
        "SEGV" => Signal::SEGV,
        "TERM" => Signal::TERM,
        _ => Signal::KILL,
    };
    let _ = rustix::process::kill_process(rustix::process::getpid(), signal);
}

/// Starts `command` in a shell in a session of its own, as the real program starts its Bash tool.
pub fn spawn_tool(command: &str) -> std::io::Result<Child> {
    Command::new(std::env::current_exe()?)
        .args([TOOL, "/bin/sh", "-c", command])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
}

/// Starts a process that stays. Answers with its pid.
pub fn spawn_staying(spawn: &Spawn) -> std::io::Result<u32> {
    let trap = if spawn.stubborn { "trap '' TERM INT HUP; " } else { "" };
    let script = format!("{trap}exec sleep 600");
    let mut command = match spawn.how {
        SpawnHow::Group => Command::new("/bin/sh"),
        SpawnHow::Session | SpawnHow::Daemon => Command::new(std::env::current_exe()?),
    };
    match spawn.how {
        SpawnHow::Group => {}
        SpawnHow::Session => drop(command.args([TOOL, "/bin/sh"])),
        SpawnHow::Daemon => drop(command.args([DAEMON, "/bin/sh"])),
    }
    command.args(["-c", &script]).stdin(Stdio::null()).stderr(Stdio::null());
    if spawn.how == SpawnHow::Daemon {
        // The one in the middle says the pid and is gone.
        let said = command.stdout(Stdio::piped()).output()?.stdout;
        let pid = String::from_utf8_lossy(&said).trim().parse();
        return pid.map_err(|_| std::io::Error::other("the daemon did not say its pid"));
    }
    if !spawn.holds_stdout {
        command.stdout(Stdio::null());
    }
    Ok(command.spawn()?.id())
}

/// The other lives of this executable: `None` when it is to be an agent.
pub fn run_as_tool(args: &[String]) -> Option<ExitCode> {
    let [mode, program, rest @ ..] = args else { return None };
    if mode != TOOL && mode != DAEMON {
        return None;
    }
    let _ = rustix::process::setsid();
    let mut command = Command::new(program);
    command.args(rest);
    if mode == TOOL {
        eprintln!("{}", command.exec());
        return Some(ExitCode::from(127));
    }
    match command.stdout(Stdio::null()).spawn() {
        Ok(child) => println!("{}", child.id()),
        Err(error) => eprintln!("{error}"),
    }
    Some(ExitCode::SUCCESS)
}

/// Kills a tool with all it started.
pub fn kill_tool(pid: u32) {
    let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) else { return };
    kill_descendants(pid);
    let _ = rustix::process::kill_process_group(pid, Signal::KILL);
    let _ = rustix::process::kill_process(pid, Signal::KILL);
}

fn kill_descendants(of: Pid) {
    for pid in descendants(of.as_raw_nonzero().get()) {
        if let Some(pid) = Pid::from_raw(pid) {
            let _ = rustix::process::kill_process(pid, Signal::KILL);
        }
    }
}

/// All processes below `root`, by `/proc`; empty where there is none.
fn descendants(root: i32) -> Vec<i32> {
    let parents: Vec<(i32, i32)> = std::fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(|pid| Some((pid, parent_of(pid)?)))
        .collect();
    let mut found = vec![root];
    let mut at = 0;
    while at < found.len() {
        let parent = found[at];
        found.extend(parents.iter().filter(|(_, of)| *of == parent).map(|(pid, _)| *pid));
        at += 1;
    }
    found.split_off(1)
}

/// The fourth field of `/proc/<pid>/stat`, counted behind the name, which may hold anything.
fn parent_of(pid: i32) -> Option<i32> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok()
}
