// Generated from crates/protocol by `cargo xtask generate`. Do not edit.

import type {
  Delivery,
  EventEnvelope,
} from './event';
import type {
  ProjectId,
  RunId,
} from './ids';
import type {
  EndpointSettings,
  PermissionMode,
  RunSettings,
  RunSummary,
  Story,
  TrustDecision,
} from './model';

export type Answer = { "kind": "allow" } | { "kind": "deny", 
/**
 * Told to the agent.
 */
message?: string, } | { "kind": "answers", answers: { [key in string]: string }, };

export type AppInfo = { version: string, api_version: number, data_dir: string, host: HostKind, runtimes: Array<RuntimeInfo>, max_live_runs: number, 
/**
 * Sentences that a person should read now, for example that the store was restored.
 */
notices: Array<string>, };

export type CheckState = "good" | "notice" | "bad";

export type DiffParams = { run: RunId, 
/**
 * Relative to the worktree.
 */
path: string, };

export type DoctorCheck = { name: string, state: CheckState, 
/**
 * What was found, one sentence.
 */
sentence: string, 
/**
 * The next step when it is not well.
 */
hint: string | null, };

export type DoctorReport = { checks: Array<DoctorCheck>, ok: boolean, };

export type Empty = Record<string, never>;

/**
 * Stored lines as they are. Its JSON is assembled from the stored bytes, never parsed on the way.
 */
export type EventBatch = { events: Array<EventEnvelope>, 
/**
 * Where to go on.
 */
next_seq: number, 
/**
 * No event will follow: the run is over and all of it was sent.
 */
end: boolean, };

export type HostKind = "window" | "server" | "terminal";

/**
 * Pushed to the page, coalesced to at most ten a second: what changed since the last one.
 */
export type News = { 
/**
 * Runs whose summary changed, or that have new events (`last_seq`).
 */
runs: Array<RunSummary>, 
/**
 * The list of projects changed, or it is known now which runtimes are here: ask again
 * (`project_list`, `app_info`).
 */
projects: boolean, };

/**
 * A link or a file to show with the system's own program. Only `https`, `http` and `mailto` links,
 * and files inside a known worktree.
 */
export type OpenParams = { target: string, };

/**
 * An error of the page, for the log.
 */
export type PageLogParams = { message: string, };

export type PathParams = { 
/**
 * Absolute, or beginning with `~/`.
 */
path: string, };

export type PickedFolders = { 
/**
 * Empty when the person chose none.
 */
paths: Array<string>, };

export type ProjectParams = { project: ProjectId, };

/**
 * A rule of a project, as it is written: `deny run git push*`.
 */
export type RuleParams = { project: ProjectId, rule: string, };

export type RunAnswerParams = { run: RunId, request: string, answer: Answer, };

export type RunDetail = { summary: RunSummary, story: Story, 
/**
 * All runs of the story, oldest first.
 */
story_runs: Array<RunId>, };

/**
 * Asks for events from `from_seq` on; with `wait_ms` waits that long (25,000 at most) for one.
 */
export type RunEventsParams = { run: RunId, from_seq: number, 
/**
 * 1 MiB when absent; a single larger event is sent alone.
 */
max_bytes?: number, wait_ms?: number, };

export type RunParams = { run: RunId, };

export type RunPlace = { "kind": "fresh", repository: string, base: string | null, 
/**
 * The new branch's name; made from the prompt when absent.
 */
branch: string | null, } | { "kind": "worktree", path: string, };

export type RunResumeParams = { run: RunId, 
/**
 * "Continue." when absent.
 */
prompt?: string, 
/**
 * Variables for the agent. Their values are never stored, so a run that is gone on with by another
 * Musher needs them again.
 */
env?: { [key in string]: string }, 
/**
 * Headers for the model's requests; the same holds for them.
 */
headers?: { [key in string]: string }, 
/**
 * Another agent, for the story's later runs too. With it, model and address are chosen anew: what
 * is absent is that runtime's own choice.
 */
runtime?: string, model?: string, 
/**
 * With another address it is the whole of the new place, where nothing goes that was given for
 * the old one (headers, account, key); without an address, what it holds is changed.
 */
endpoint?: EndpointSettings, };

export type RunSendParams = { run: RunId, text: string, 
/**
 * `queue` or `steer`.
 */
delivery: Delivery, };

export type RunSetModeParams = { run: RunId, mode: PermissionMode, };

export type RunSetModelParams = { run: RunId, 
/**
 * The runtime's default when absent.
 */
model: string | null, };

export type RunStartParams = { prompt: string, place: RunPlace, settings?: RunSettings, 
/**
 * When the trust question is open: start with the project's own settings off, in place of
 * refusing with `trust_needed`.
 */
restrict_untrusted?: boolean, };

/**
 * A runtime and whether it can run here.
 */
export type RuntimeInfo = { 
/**
 * `claude-code`, `demo`.
 */
name: string, 
/**
 * For people: `Claude Code`, `Demo agent`.
 */
label: string, 
/**
 * The program is there; for a model over HTTP: its key is.
 */
found: boolean, 
/**
 * Its model is reached over HTTP, at an address that can be chosen.
 */
over_http: boolean, path: string | null, version: string | null, 
/**
 * When not found: how to get it.
 */
hint: string | null, models: Array<string>, };

export type TrustParams = { project: ProjectId, 
/**
 * The worktree to look at; the project's main checkout when absent.
 */
worktree: string | null, };

export type TrustSetParams = { project: ProjectId, worktree: string | null, 
/**
 * Of the report that the person saw: an answer to something else is refused.
 */
digest: string, decision: TrustDecision, };

/**
 * A worktree by the run that uses it, or by its project and path.
 */
export type WorktreeParams = { run: RunId, };

export type WorktreeRemoveParams = { project: ProjectId, path: string, 
/**
 * Remove although work is in it; a rescue ref keeps it.
 */
force: boolean, };
