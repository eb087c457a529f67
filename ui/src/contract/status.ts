// Generated from crates/protocol by `cargo xtask generate`. Do not edit.


/**
 * The fine state of a run. Final only as `Done`, which is entered after the process tree is gone.
 */
export type RunPhase = "queued" | "preparing" | "starting" | "running" | "waiting_permission" | "waiting_answer" | "waiting_rate_limit" | "stopping" | "done" | "unknown";

/**
 * The coarse state of a run.
 */
export type RuntimeStatus = "idle" | "running" | "completed" | "failed";
