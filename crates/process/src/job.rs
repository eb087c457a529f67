//! A Job Object: the processes in it, and what they start, stay in it, and Windows kills them all when
//! the last handle to it is closed, also by the death of its holder. None may break away.

use std::{io, os::windows::io::RawHandle};

use win32job::{ExtendedLimitInfo, JobError};

pub struct Job(win32job::Job);

impl Job {
    pub fn new() -> io::Result<Self> {
        let mut limits = ExtendedLimitInfo::new();
        limits.limit_kill_on_job_close();
        win32job::Job::create_with_limit_info(&limits).map(Self).map_err(failed)
    }

    pub fn take_in(&self, process: RawHandle) -> io::Result<()> {
        self.0.assign_process(process as isize).map_err(failed)
    }

    /// What we start from now on is in it from its first moment.
    pub fn take_in_self(&self) -> io::Result<()> {
        self.0.assign_current_process().map_err(failed)
    }

    /// The living. `None`: more than can be listed (1,024), or the system does not say.
    pub fn processes(&self) -> Option<Vec<u32>> {
        let listed = self.0.query_process_id_list().ok()?;
        Some(listed.into_iter().filter_map(|pid| u32::try_from(pid).ok()).collect())
    }

    /// Whoever is in it lives on when it is closed.
    pub fn spare(&self) {
        let _ = self.0.set_extended_limit_info(&ExtendedLimitInfo::new());
    }
}

fn failed(error: JobError) -> io::Error {
    io::Error::other(format!("a Job Object: {error}"))
}
