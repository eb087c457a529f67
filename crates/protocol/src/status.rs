//! The state of a run: four values on the wire as the project was founded on, finer phases inside.

use serde::{Deserialize, Serialize};
use ts_rs::TS;

/// The coarse state of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
#[ts(export_to = "contract.ts")]
pub enum RuntimeStatus {
    #[default]
    Idle,
    Running,
    Completed,
    Failed,
}

/// The fine state of a run. Final only as `Done`, which is entered after the process tree is gone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
#[ts(export_to = "contract.ts")]
pub enum RunPhase {
    /// Waits for a free slot.
    #[default]
    Queued,
    /// Its worktree is being made.
    Preparing,
    /// Its process was started and has said nothing yet.
    Starting,
    Running,
    /// A tool wants leave.
    WaitingPermission,
    /// The agent asked something.
    WaitingAnswer,
    /// The account's quota is used up; `until` says when it is back.
    WaitingRateLimit,
    Stopping,
    Done,
    /// Written by a newer Musher.
    #[serde(other)]
    Unknown,
}

impl RunPhase {
    /// The coarse state this phase belongs to; `Done` alone cannot tell success from failure.
    pub fn is_live(self) -> bool {
        !matches!(self, RunPhase::Done)
    }

    /// Whether a person is needed before the run can go on.
    pub fn needs_person(self) -> bool {
        matches!(self, RunPhase::WaitingPermission | RunPhase::WaitingAnswer)
    }
}
