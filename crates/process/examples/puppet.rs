//! A child for the tests of systems without a shell. It does what its first argument says.

use std::{
    env, io,
    process::{Command, ExitCode, Stdio},
    time::Duration,
};

fn main() -> ExitCode {
    match env::args().nth(1).as_deref() {
        // Says what it hears.
        Some("echo") => match io::copy(&mut io::stdin(), &mut io::stdout()) {
            Ok(_) => ExitCode::from(7),
            Err(_) => ExitCode::FAILURE,
        },
        // Two processes below it, the second without its environment; it says their pids.
        Some("tree") => {
            for clear in [false, true] {
                match sleeper(clear).spawn() {
                    Ok(child) => println!("pid {}", child.id()),
                    Err(error) => println!("error {error}"),
                }
            }
            println!("pid {}\ngrown", std::process::id());
            sleep()
        }
        _ => {
            println!("ready");
            sleep()
        }
    }
}

fn sleeper(clear: bool) -> Command {
    let mut command = Command::new(env::current_exe().unwrap_or_default());
    command.arg("sleep").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    if clear {
        command.env_clear();
        hide(&mut command);
    }
    command
}

/// Away from its console and its group, as a daemon would be.
#[cfg(windows)]
fn hide(command: &mut Command) {
    use std::os::windows::process::CommandExt;
    const DETACHED_PROCESS: u32 = 8;
    const CREATE_NEW_PROCESS_GROUP: u32 = 0x200;
    command.creation_flags(DETACHED_PROCESS | CREATE_NEW_PROCESS_GROUP);
}

#[cfg(unix)]
fn hide(command: &mut Command) {
    std::os::unix::process::CommandExt::process_group(command, 0);
}

fn sleep() -> ExitCode {
    std::thread::sleep(Duration::from_secs(1000));
    ExitCode::SUCCESS
}
