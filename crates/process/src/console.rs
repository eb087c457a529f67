//! The one thing that Windows has for "please end": CTRL_BREAK to a process group of our own console.
//! No safe wrapper of it is kept up; see `docs/decisions/0006-windows-streams-and-jobs.md`.

use std::io;

use windows_sys::Win32::System::Console::{CTRL_BREAK_EVENT, GenerateConsoleCtrlEvent};

/// `group` is the pid of a process that was started with `CREATE_NEW_PROCESS_GROUP` on our console.
/// Never 0: that would be everybody on it, and us.
#[expect(unsafe_code, reason = "a call of the system that no safe wrapper has")]
pub fn send_break(group: u32) -> io::Result<()> {
    if group == 0 {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    // SAFETY: takes two numbers and keeps no pointer; a group that does not exist is an error.
    match unsafe { GenerateConsoleCtrlEvent(CTRL_BREAK_EVENT, group) } {
        0 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}
