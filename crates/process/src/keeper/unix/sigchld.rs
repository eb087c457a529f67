//! Where no descriptor stands for a process, the signal of a child's death is written to a pair of
//! sockets.

use std::{
    io,
    os::{fd::OwnedFd, unix::net::UnixStream},
};

/// Readable when a child has ended, until it is drained.
pub fn watch() -> io::Result<OwnedFd> {
    let (reader, writer) = UnixStream::pair()?;
    reader.set_nonblocking(true)?;
    signal_hook::low_level::pipe::register(signal_hook::consts::SIGCHLD, writer)?;
    // The child may have ended before: the first look comes at once.
    signal_hook::low_level::raise(signal_hook::consts::SIGCHLD)?;
    Ok(reader.into())
}

pub fn drain(watch: &OwnedFd) {
    let mut bytes = [0_u8; 64];
    while matches!(rustix::io::read(watch, &mut bytes), Ok(1..)) {}
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::process::{Command, Stdio};

    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    fn is_ready(watch: &std::os::fd::OwnedFd, wait: bool) -> bool {
        let timeout = Timespec { tv_sec: if wait { 60 } else { 0 }, tv_nsec: 0 };
        let mut polled = [PollFd::new(watch, PollFlags::IN)];
        // A signal can end the wait early.
        loop {
            match poll(&mut polled, Some(&timeout)) {
                Err(rustix::io::Errno::INTR) => {}
                ready => return ready.unwrap() > 0,
            }
        }
    }

    #[test]
    fn a_childs_end_is_readable_once() {
        let watch = super::watch().unwrap();
        assert!(is_ready(&watch, false), "the first look comes at once");
        super::drain(&watch);
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        assert!(!is_ready(&watch, false));
        drop(child.stdin.take());
        assert!(is_ready(&watch, true));
        super::drain(&watch);
        child.wait().unwrap();
        assert!(!is_ready(&watch, false));
    }
}
