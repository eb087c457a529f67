// Generated from crates/protocol by `cargo xtask generate`. Do not edit.

import type {
  AnsweredBy,
  PermissionDecision,
  PermissionRequest,
  Question,
} from './ask';
import type {
  RunId,
} from './ids';
import type {
  RunOutcome,
} from './outcome';
import type {
  RunPhase,
  RuntimeStatus,
} from './status';
import type {
  ModelStep,
  PlanEntry,
  ToolCall,
  ToolDecision,
  ToolResult,
} from './tool';

/**
 * What happened in a run.
 */
export type AgentEvent = { "type": "status", status: RuntimeStatus, phase: RunPhase, 
/**
 * What it waits for or does, one sentence in the present.
 */
detail?: string | null, 
/**
 * When a wait ends by itself.
 */
until?: string | null, } | { "type": "session" } & SessionInfo | { "type": "message", id: string, text: string, delivery: Delivery, } | { "type": "message_sent", id: string, } | { "type": "instruction", text: string, } | { "type": "message_dropped", id: string, why: string, } | { "type": "text", block: string, text: string, delta?: boolean, 
/**
 * The tool call of the sub-agent that speaks, absent for the agent itself.
 */
parent?: string | null, } | { "type": "thinking", block: string, text: string, delta?: boolean, redacted?: boolean, parent?: string | null, } | { "type": "tool_call" } & ToolCall | { "type": "tool_result" } & ToolResult | { "type": "model_step" } & ModelStep | { "type": "tool_decision" } & ToolDecision | { "type": "summary", text: string, 
/**
 * How many of the latest entries of the conversation it knows whole as well.
 */
kept: number, } | { "type": "plan", entries: Array<PlanEntry>, } | { "type": "permission_request" } & PermissionRequest | { "type": "permission_answer", request: string, decision: PermissionDecision, by: AnsweredBy, 
/**
 * What the agent was told with a denial, or the rule that gave leave.
 */
message?: string | null, } | { "type": "question" } & Question | { "type": "question_answer", request: string, 
/**
 * Question text to the answer; empty when it was not answered.
 */
answers: { [key in string]: string }, by: AnsweredBy, } | { "type": "usage", usage: TokenUsage, 
/**
 * Tokens the model can hold, where known.
 */
context_window?: number, 
/**
 * Tokens in the model's context after the last answer, where known.
 */
context_used?: number, } | { "type": "rate_limit" } & RateLimit | { "type": "turn_ended", 
/**
 * Whether the runtime called it a success.
 */
ok: boolean, reason?: string | null, } | { "type": "worktree" } & WorktreeMade | { "type": "changes", files: Array<FileChange>, } | { "type": "gate", name: string, state: GateState, output?: string | null, } | { "type": "checkpoint", commit: string, label: string, } | { "type": "warning", code: string, message: string, } | { "type": "error", code: string, message: string, hint?: string | null, } | { "type": "notice", stream: Stream, text: string, } | { "type": "raw", kind: string, value: unknown, } | { "type": "done", outcome: RunOutcome, } | { "type": "unknown" };

/**
 * Who pays for a session.
 */
export type Billing = "subscription" | "api_key" | "free" | "unknown";

export type ChangeKind = "added" | "modified" | "deleted" | "renamed" | "untracked" | "conflicted" | "other";

export type CostSource = "reported" | "estimated" | "at_least" | "unknown";

/**
 * How a message reaches the agent.
 */
export type Delivery = "prompt" | "queue" | "steer" | "unknown";

/**
 * One event as it is stored and sent: one line of a transcript.
 */
export type EventEnvelope = { run: RunId, 
/**
 * Counts from 1 within the run, without gaps.
 */
seq: number, at: string, event: AgentEvent, };

/**
 * A file that differs from the base.
 */
export type FileChange = { 
/**
 * Relative to the worktree, with `/`.
 */
path: string, kind: ChangeKind, 
/**
 * For a rename: where it was.
 */
old_path?: string | null, 
/**
 * Lines; both 0 for a binary file.
 */
added: number, removed: number, binary?: boolean, };

export type GateState = "running" | "passed" | "failed";

/**
 * News of the account's quota.
 */
export type RateLimit = { state: RateLimitState, 
/**
 * The runtime's name of the window, for example `five_hour`.
 */
window?: string | null, 
/**
 * 0 to 1.
 */
utilization?: number | null, resets_at?: string | null, 
/**
 * The quota is used up but paid overage goes on: no stop.
 */
using_overage: boolean, };

export type RateLimitState = "allowed" | "warning" | "rejected" | "unknown";

/**
 * What a runtime says of its session.
 */
export type SessionInfo = { session_id: string, model?: string | null, runtime_version?: string | null, billing: Billing, permission_mode?: string | null, 
/**
 * Tool servers that did not start, by name.
 */
failed_tool_servers?: Array<string>, 
/**
 * The built-in demo agent speaks, no model.
 */
demo?: boolean, };

/**
 * Where a line of the child came from.
 */
export type Stream = "stdout" | "stderr";

/**
 * Tokens and money of a run. Input tokens do not include the cached ones.
 */
export type TokenUsage = { input_tokens: number, output_tokens: number, cache_creation_input_tokens: number, cache_read_input_tokens: number, 
/**
 * Whole micro-dollars; 0 when unknown (see `cost_source`).
 */
cost_microdollars: number, cost_source: CostSource, };

/**
 * A worktree of Musher's own.
 */
export type WorktreeMade = { path: string, branch: string, base_commit: string, 
/**
 * The base as a person knows it: a branch, a tag, or a short commit.
 */
base_name: string, };
