// Generated from crates/protocol by `cargo xtask generate`. Do not edit.

import type {
  TokenUsage,
} from './event';
import type {
  ProjectId,
  RunId,
  StoryId,
} from './ids';
import type {
  RunOutcome,
} from './outcome';
import type {
  RunPhase,
  RuntimeStatus,
} from './status';

/**
 * What answers a permission when no window is open.
 */
export type AnswerPolicy = "allow" | "deny" | "ask";

export type Effort = "low" | "medium" | "high";

/**
 * Where a model is reached; empty is the provider itself.
 */
export type EndpointSettings = { 
/**
 * `http://127.0.0.1:11434/v1`.
 */
base_url: string | null, 
/**
 * `openai-responses` or `openai-chat`, where an endpoint speaks only one of them.
 */
dialect: string | null, 
/**
 * Sent with each request. They may hold secrets: in memory only, never shown again.
 */
headers?: { [key in string]: string }, 
/**
 * The names of those headers. They alone are stored, so that a run is never begun without a
 * header that it was given; the engine fills them in.
 */
header_names?: Array<string>, 
/**
 * OpenAI's: whose account pays, and which project of it.
 */
organization?: string, account_project?: string, 
/**
 * How long the model may think before it answers; its own choice when absent.
 */
effort?: Effort, 
/**
 * The longest answer, thoughts included, in tokens; the model's own limit when absent.
 */
max_answer_tokens?: number, };

/**
 * What an agent may do unasked.
 */
export type PermissionMode = "plan" | "ask" | "accept-edits" | "bypass";

/**
 * A git repository that the user added.
 */
export type Project = { id: ProjectId, name: string, 
/**
 * The main checkout, or the bare repository: absolute, symlinks resolved.
 */
root: string, added_at: string, };

/**
 * What a person wants to be allowed or denied in every run of a project.
 */
export type ProjectRule = { 
/**
 * As it is written: `allow run cargo test*`.
 */
rule: string, allow: boolean, 
/**
 * The same for people, one sentence.
 */
sentence: string, 
/**
 * Which runtimes cannot be told it, one sentence each.
 */
notes: Array<string>, };

/**
 * What a run may spend. `None` is no limit.
 */
export type RunLimits = { 
/**
 * Answers of the model.
 */
max_turns: number | null, max_tool_calls: number | null, 
/**
 * Of all answers together, in and out, the cached ones included.
 */
max_tokens: number | null, max_cost_microdollars: number | null, max_seconds: number | null, };

/**
 * How runs of a story are started; kept with the story so that a restart needs nobody.
 */
export type RunSettings = { 
/**
 * A runtime's name: `claude-code`, `demo`.
 */
runtime: string, agent_name: string, model: string | null, permission_mode: PermissionMode, 
/**
 * How permissions are answered when nobody looks.
 */
answer: AnswerPolicy, 
/**
 * A program in place of the one that would be found.
 */
command: string | null, 
/**
 * More arguments for it.
 */
args: Array<string>, 
/**
 * The names of those variables. They alone are stored, so that a run is never begun without a
 * variable that it was given; the engine fills them in.
 */
env_names?: Array<string>, transport: Transport, limits: RunLimits, 
/**
 * Seconds without any output after which the run ends as inactive; 0 is never.
 */
inactivity_timeout_secs: number, allowed_tools: Array<string>, disallowed_tools: Array<string>, append_system_prompt: string | null, 
/**
 * Where the model is, for runtimes that reach it over HTTP.
 */
endpoint: EndpointSettings, 
/**
 * A file or JSON text of tool servers, passed on to the runtime.
 */
mcp_config: string | null, 
/**
 * An agent with tools of its own is given Musher's besides, as the tool server `musher`.
 */
engine_tools?: boolean, };

/**
 * A run as lists show it: the fold of its events up to `last_seq`.
 */
export type RunSummary = { id: RunId, story: StoryId, project: ProjectId, title: string, agent_name: string, runtime: string, model: string | null, worktree: string, branch: string | null, status: RuntimeStatus, phase: RunPhase, 
/**
 * What it does or waits for, one sentence in the present.
 */
detail: string | null, until: string | null, outcome: RunOutcome | null, session_id: string | null, usage: TokenUsage, added: number, removed: number, files_changed: number, 
/**
 * Permissions and questions that wait for an answer.
 */
waiting: number, unread: boolean, demo: boolean, created_at: string, updated_at: string, last_seq: number, };

/**
 * A piece of work. Its runs follow each other in one worktree and one session.
 */
export type Story = { id: StoryId, project: ProjectId, 
/**
 * The first line of the prompt, at most 80 characters.
 */
title: string, 
/**
 * Absolute path of the worktree its agent works in; empty until it is made.
 */
worktree: string, 
/**
 * The worktree was made by Musher (and may be removed by it).
 */
owns_worktree: boolean, 
/**
 * The branch in the worktree, if it is on one.
 */
branch?: string | null, 
/**
 * What changes are compared with: a commit id.
 */
base_commit?: string | null, 
/**
 * The name the base was chosen by, for example `main`.
 */
base_name?: string | null, created_at: string, settings: RunSettings, };

/**
 * What carries the child's output. Input is a pipe in both.
 */
export type Transport = "pty" | "pipe";

/**
 * What the user decided about a project's own settings, hooks and tool servers.
 */
export type TrustDecision = "trusted" | "restricted";

/**
 * One thing that can run by itself.
 */
export type TrustItem = { 
/**
 * Relative to the worktree, or `git config: core.hooksPath`.
 */
path: string, 
/**
 * What it can do, one sentence.
 */
what: string, 
/**
 * SHA-256 of its content.
 */
digest: string, };

/**
 * What in a repository can run by itself, and what was decided about it.
 */
export type TrustReport = { items: Array<TrustItem>, 
/**
 * SHA-256 over the items; an answer holds for one digest only.
 */
digest: string, 
/**
 * `None`: not asked yet, or something changed since.
 */
decision: TrustDecision | null, 
/**
 * The items that are new or differ since the last answer, by path.
 */
changed: Array<string>, };
