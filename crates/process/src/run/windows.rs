//! A command's job.

use tokio::process::Child;

use crate::job::Job;

/// A job in the place of a group. What the command starts in the moment before it is taken in is
/// not in it; there is no console to ask it to end on.
pub struct Group(Option<Job>);

impl Group {
    pub fn of(child: &Child) -> Self {
        let job = Job::new().ok();
        let taken = job.as_ref().zip(child.raw_handle());
        let inside = taken.is_some_and(|(job, process)| job.take_in(process).is_ok());
        Self(job.filter(|_| inside))
    }

    pub fn kill(&mut self) {
        self.0 = None;
    }

    #[expect(clippy::unused_async, reason = "Unix waits here")]
    pub async fn end_in_time(&mut self) {
        self.kill();
    }

    pub fn end(&mut self) {
        self.kill();
    }

    pub fn disarm(&mut self) {
        if let Some(job) = self.0.take() {
            job.spare();
        }
    }
}
