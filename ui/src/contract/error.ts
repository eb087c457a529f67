// Generated from crates/protocol by `cargo xtask generate`. Do not edit.


/**
 * An error at the edge. `message` is one sentence; `hint` is the next step.
 */
export type ApiError = { code: ErrorCode, message: string, hint?: string | null, };

/**
 * What the window and `musher` branch on; never on the text.
 */
export type ErrorCode = "bad_request" | "not_found" | "conflict" | "git_missing" | "git_failed" | "not_a_repository" | "would_lose_work" | "trust_needed" | "values_missing" | "runtime_missing" | "runtime_failed" | "engine_gone" | "data_dir_locked" | "store_failed" | "disk_full" | "no_permission" | "unsupported" | "unauthorized" | "internal";
