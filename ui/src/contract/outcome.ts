// Generated from crates/protocol by `cargo xtask generate`. Do not edit.


/**
 * Which of a run's own limits was reached.
 */
export type RunLimit = "turns" | "tool_calls" | "tokens" | "money" | "time" | "unknown";

/**
 * Why a run is over.
 */
export type RunOutcome = { "reason": "completed" } | { "reason": "failed", exit_code?: number | null, last_lines: Array<string>, } | { "reason": "aborted_before_session", signal?: number | null, last_lines: Array<string>, } | { "reason": "resume_rejected", session_id: string, } | { "reason": "rate_limited", resets_at?: string | null, 
/**
 * The runtime's name of the window, for example `five_hour`.
 */
window?: string | null, } | { "reason": "limit_reached", limit: RunLimit, } | { "reason": "inactive", after_secs: number, last_event: string, } | { "reason": "stopped", by: StoppedBy, } | { "reason": "spawn_failed", message: string, } | { "reason": "authentication_required", message: string, } | { "reason": "unconfirmed", left: Array<number>, } | { "reason": "unknown" };

/**
 * Who stopped a run.
 */
export type StoppedBy = "user" | "engine" | "unknown";
