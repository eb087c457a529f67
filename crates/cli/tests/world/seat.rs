//! A command at a terminal whose other end is the test's.

use std::{
    fs::File,
    io::{Read, Write},
    process::{Child, Command},
    sync::mpsc::{Receiver, RecvTimeoutError, sync_channel},
    time::Instant,
};

use rustix::{
    fs::{Mode, OFlags, open},
    io::{FdFlags, fcntl_setfd},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
};

use super::SOON;

/// `musher run` of a script as a person reads it.
pub fn plain<'a>(repo: &'a str, script: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let mut args = vec!["run", "go", "--repo", repo, "--runtime", "demo"];
    args.extend(["--arg", "--demo-script", "--arg", script]);
    args.extend(["--arg", "--demo-speed", "--arg", "fast"]);
    args.extend(more);
    args
}

/// Who sits there.
pub struct Seat {
    child: Child,
    own: File,
    told: Receiver<String>,
    said: String,
    /// How much of it was looked at.
    seen: usize,
}

impl Seat {
    pub fn at(mut command: Command) -> Self {
        let (own, theirs) = terminal();
        command.stdin(theirs.try_clone().unwrap()).stderr(theirs.try_clone().unwrap());
        let child = command.stdout(theirs).spawn().unwrap();
        let (tell, told) = sync_channel(64);
        let mut reader = own.try_clone().unwrap();
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(count @ 1..) = reader.read(&mut bytes) {
                let _ = tell.send(String::from_utf8_lossy(&bytes[..count]).into_owned());
            }
        });
        Self { child, own, told, said: String::new(), seen: 0 }
    }

    /// Reads on until the terminal shows `wanted`, behind what was waited for before.
    pub fn until(&mut self, wanted: &str) {
        let deadline = Instant::now() + SOON;
        loop {
            if let Some(at) = self.said[self.seen..].find(wanted) {
                self.seen += at + wanted.len();
                return;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            let more = self.told.recv_timeout(left);
            self.said += &more.unwrap_or_else(|_| panic!("no {wanted:?} in: {}", self.said));
        }
    }

    /// As it is typed: without a line's end it stays in the terminal.
    pub fn write(&mut self, keys: &str) {
        self.own.write_all(keys.as_bytes()).unwrap();
    }

    /// Waits for the command's own end; its exit code, and all that was said.
    pub fn end(mut self) -> (i32, String) {
        let deadline = Instant::now() + SOON;
        loop {
            match self.told.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(more) => self.said += &more,
                // Nobody has the terminal any more.
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {
                    panic!("it did not end by itself: {}", self.said)
                }
            }
        }
        let said = std::mem::take(&mut self.said);
        let ended = self.child.wait().unwrap();
        (ended.code().unwrap(), said)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        // Already gone in every test that passes.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn terminal() -> (File, File) {
    let own = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    // A command that had it would never see its terminal go.
    fcntl_setfd(&own, FdFlags::CLOEXEC).unwrap();
    grantpt(&own).unwrap();
    unlockpt(&own).unwrap();
    let name = ptsname(&own, Vec::new()).unwrap();
    // It is the command's, and its end must not end the test.
    let theirs = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    (File::from(own), File::from(open(name.as_c_str(), theirs, Mode::empty()).unwrap()))
}
