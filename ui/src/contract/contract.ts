// Generated from crates/protocol by `cargo xtask generate`. Do not edit.

export const TRANSCRIPT_FORMAT = 1;
export const API_VERSION = 1;

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
 * What the agent was told with a denial.
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
ok: boolean, reason?: string | null, } | { "type": "changes", files: Array<FileChange>, } | { "type": "gate", name: string, state: GateState, output?: string | null, } | { "type": "checkpoint", commit: string, label: string, } | { "type": "warning", code: string, message: string, } | { "type": "error", code: string, message: string, hint?: string | null, } | { "type": "notice", stream: Stream, text: string, } | { "type": "raw", kind: string, value: unknown, } | { "type": "done", outcome: RunOutcome, } | { "type": "unknown" };

export type Answer = { "kind": "allow" } | { "kind": "deny", 
/**
 * Told to the agent.
 */
message?: string, } | { "kind": "answers", answers: { [key in string]: string }, };

/**
 * What answers a permission when no window is open.
 */
export type AnswerPolicy = "allow" | "deny" | "ask";

/**
 * Who gave an answer.
 */
export type AnsweredBy = "user" | "policy" | "expiry" | "withdrawn" | "unknown";

/**
 * An error at the edge. `message` is one sentence; `hint` is the next step.
 */
export type ApiError = { code: ErrorCode, message: string, hint?: string | null, };

export type AppInfo = { version: string, api_version: number, data_dir: string, host: HostKind, runtimes: Array<RuntimeInfo>, max_live_runs: number, 
/**
 * Sentences that a person should read now, for example that the store was restored.
 */
notices: Array<string>, };

/**
 * A branch or tag that work can start from.
 */
export type BaseChoice = { name: string, commit: string, 
/**
 * Of the commit, its first line.
 */
subject: string, 
/**
 * The one that is offered first: the branch checked out in the main checkout.
 */
default: boolean, 
/**
 * Commits that its remote branch has and it has not; absent without a remote branch.
 */
behind: number | null, };

/**
 * Who pays for a session.
 */
export type Billing = "subscription" | "api_key" | "free" | "unknown";

export type ChangeKind = "added" | "modified" | "deleted" | "renamed" | "untracked" | "conflicted" | "other";

export type CheckState = "good" | "notice" | "bad";

export type CostSource = "reported" | "estimated" | "unknown";

/**
 * How a message reaches the agent.
 */
export type Delivery = "prompt" | "queue" | "steer" | "unknown";

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

/**
 * What an edit changed in one file.
 */
export type EditDiff = { path: string, created: boolean, hunks: Array<Hunk>, };

export type Empty = Record<string, never>;

/**
 * What is asked about the place where a runtime's models are.
 */
export type EndpointProbeParams = { runtime: string, 
/**
 * Its provider's when absent.
 */
base_url?: string, dialect?: string, 
/**
 * Whom the round trip asks; the runtime's default, or the first that is listed, when absent.
 */
model?: string, 
/**
 * Also sends a tiny request with one tool. It costs what such a request costs.
 */
round_trip?: boolean, };

export type EndpointReport = { 
/**
 * A model server was asked and answered, be it with a refusal.
 */
reachable: boolean, 
/**
 * What was found, one sentence.
 */
sentence: string, 
/**
 * The next step when it is not well.
 */
hint: string | null, key: KeyState, 
/**
 * Those with a known price first, otherwise as they were listed.
 */
models: Array<ListedModel>, 
/**
 * Of a round trip: its answer came piece by piece. `None`: nobody asked, or nothing came.
 */
streaming: boolean | null, 
/**
 * Of a round trip: the model called the tool that it was told to call.
 */
tool_calls: boolean | null, };

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
dialect: string | null, };

/**
 * What the window and `musher` branch on; never on the text.
 */
export type ErrorCode = "bad_request" | "not_found" | "conflict" | "git_missing" | "git_failed" | "not_a_repository" | "would_lose_work" | "trust_needed" | "values_missing" | "runtime_missing" | "runtime_failed" | "engine_gone" | "data_dir_locked" | "store_failed" | "disk_full" | "no_permission" | "unsupported" | "unauthorized" | "internal";

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

/**
 * The diff of one file against the base.
 */
export type FileDiff = { change: FileChange, hunks: Array<Hunk>, 
/**
 * The diff was longer than what is sent; what is shown is its beginning.
 */
truncated: boolean, };

export type FolderKind = "main_checkout" | "linked_worktree" | "bare_repository" | "plain_folder" | "file" | "missing" | "unusable";

/**
 * What a path is. `sentence` says it to a person, `next` what can be done.
 */
export type FolderReport = { path: string, kind: FolderKind, 
/**
 * The checkout the path lies in, when it lies in one: absolute.
 */
top: string | null, 
/**
 * The repository's main checkout or bare folder: absolute.
 */
root: string | null, branch: string | null, 
/**
 * The commit checked out, absent in a repository without commits.
 */
head: string | null, sentence: string, next: string, 
/**
 * The project that it belongs to already.
 */
project: ProjectId | null, 
/**
 * Whether dropping it does something.
 */
usable: boolean, };

export type GateState = "running" | "passed" | "failed";

export type HostKind = "window" | "server" | "terminal";

/**
 * A hunk of a unified diff; `lines` begin with ` `, `+` or `-`.
 */
export type Hunk = { old_start: number, old_lines: number, new_start: number, new_lines: number, lines: Array<string>, };

/**
 * Where a key was put.
 */
export type KeptIn = "keychain" | "file";

/**
 * That there is a key, never the key.
 */
export type KeptKey = { place: string, kept: KeptIn, };

export type KeyPlaceParams = { place: string, };

export type KeyRemoved = { 
/**
 * There was one.
 */
was: boolean, };

/**
 * It cannot be written, neither as JSON nor as `Debug`: a key goes in and never comes out.
 */
export type KeySetParams = { 
/**
 * `openai`, `gemini`, or the address of an endpoint.
 */
place: string, key: string, 
/**
 * The person's consent to a file that only they can read, where no keychain answers.
 */
file?: boolean, };

export type KeyState = "known" | "missing" | "refused" | "not_needed";

/**
 * A model as its endpoint lists it. What is not known is absent, never zero.
 */
export type ListedModel = { name: string, 
/**
 * Tokens it can hold.
 */
context: number | null, 
/**
 * Micro-dollars for a million tokens.
 */
input_price: number | null, output_price: number | null, };

/**
 * A model server of this machine.
 */
export type LocalEndpoint = { 
/**
 * What usually listens there: `Ollama`.
 */
name: string, 
/**
 * The runtime that speaks to it.
 */
runtime: string, base_url: string, models: Array<ListedModel>, };

/**
 * What a model answered to one request, in its provider's own words. The next request repeats the
 * items as they are: signatures and encrypted thoughts in them are lost otherwise. A step is
 * committed by this event; a tool of it runs only once it is stored.
 */
export type ModelStep = { 
/**
 * `openai-responses`, `openai-chat`, `gemini`: how `items` are to be read.
 */
dialect: string, 
/**
 * Whose opaque items these are; they are worth nothing to another model.
 */
model: string, items: unknown[], };

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

export type PermissionDecision = "allow" | "deny";

/**
 * What an agent may do unasked.
 */
export type PermissionMode = "plan" | "ask" | "accept-edits" | "bypass";

/**
 * The agent wants leave for something. The whole of `input` is shown to the person.
 */
export type PermissionRequest = { 
/**
 * The runtime's id of the request.
 */
request: string, tool_call?: string | null, tool: string, kind: ToolKind, 
/**
 * The whole command, the path, or what else is asked for; never shortened.
 */
title: string, input: unknown, description?: string | null, 
/**
 * Why it is not allowed already.
 */
why?: string | null, 
/**
 * For the approval of a plan: the plan, as Markdown.
 */
plan?: string | null, 
/**
 * When it denies itself. Set by the engine.
 */
expires_at?: string | null, };

export type PickedFolders = { 
/**
 * Empty when the person chose none.
 */
paths: Array<string>, };

/**
 * A step of the agent's plan.
 */
export type PlanEntry = { text: string, state: PlanState, };

export type PlanState = "pending" | "in_progress" | "done";

/**
 * A git repository that the user added.
 */
export type Project = { id: ProjectId, name: string, 
/**
 * The main checkout, or the bare repository: absolute, symlinks resolved.
 */
root: string, added_at: string, };

/**
 * A git repository that the user added.
 */
export type ProjectId = string;

export type ProjectParams = { project: ProjectId, };

/**
 * The agent asks the person something.
 */
export type Question = { request: string, tool_call?: string | null, questions: Array<QuestionItem>, expires_at?: string | null, };

export type QuestionItem = { header: string, question: string, multi_select: boolean, options: Array<QuestionOption>, };

export type QuestionOption = { label: string, description?: string | null, };

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
 * Why a worktree is not removed: each is work or a process that would be lost.
 */
export type RemovalRefusal = { "reason": "tracked_changes", files: Array<string>, } | { "reason": "untracked_files", files: Array<string>, } | { "reason": "unique_commits", commits: Array<string>, } | { "reason": "detached_head", commit: string, } | { "reason": "process_inside", pid: number, name: string, } | { "reason": "run_uses_it", run: string, } | { "reason": "main_checkout" } | { "reason": "locked", why: string, };

/**
 * What came of a removal.
 */
export type RemovalReport = { removed: boolean, refusals: Array<RemovalRefusal>, 
/**
 * The ref that keeps all the worktree held.
 */
rescue_ref: string | null, sentence: string, };

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

/**
 * One start of one agent on one story.
 */
export type RunId = string;

/**
 * Which of a run's own limits was reached.
 */
export type RunLimit = "turns" | "tool_calls" | "tokens" | "money" | "time" | "unknown";

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
 * Why a run is over.
 */
export type RunOutcome = { "reason": "completed" } | { "reason": "failed", exit_code?: number | null, last_lines: Array<string>, } | { "reason": "aborted_before_session", signal?: number | null, last_lines: Array<string>, } | { "reason": "resume_rejected", session_id: string, } | { "reason": "rate_limited", resets_at?: string | null, 
/**
 * The runtime's name of the window, for example `five_hour`.
 */
window?: string | null, } | { "reason": "limit_reached", limit: RunLimit, } | { "reason": "inactive", after_secs: number, last_event: string, } | { "reason": "stopped", by: StoppedBy, } | { "reason": "spawn_failed", message: string, } | { "reason": "authentication_required", message: string, } | { "reason": "unconfirmed", left: Array<number>, } | { "reason": "unknown" };

export type RunParams = { run: RunId, };

/**
 * The fine state of a run. Final only as `Done`, which is entered after the process tree is gone.
 */
export type RunPhase = "queued" | "preparing" | "starting" | "running" | "waiting_permission" | "waiting_answer" | "waiting_rate_limit" | "stopping" | "done" | "unknown";

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
env?: { [key in string]: string }, };

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
mcp_config: string | null, };

export type RunStartParams = { prompt: string, place: RunPlace, settings?: RunSettings, 
/**
 * When the trust question is open: start with the project's own settings off, in place of
 * refusing with `trust_needed`.
 */
restrict_untrusted?: boolean, };

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

/**
 * The coarse state of a run.
 */
export type RuntimeStatus = "idle" | "running" | "completed" | "failed";

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
 * Who stopped a run.
 */
export type StoppedBy = "user" | "engine" | "unknown";

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
 * A piece of work; its runs follow each other in one worktree.
 */
export type StoryId = string;

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
 * The agent uses a tool.
 */
export type ToolCall = { id: string, 
/**
 * The runtime's name of the tool.
 */
name: string, kind: ToolKind, 
/**
 * One line: the path, the command, the pattern.
 */
title: string, input: unknown, parent?: string | null, };

/**
 * How a tool call was judged before it ran.
 */
export type ToolDecision = { tool_call: string, verdict: ToolVerdict, 
/**
 * One clause: the rule as it is written, or the mode.
 */
reason: string, };

/**
 * What a tool does, for the icon and the words.
 */
export type ToolKind = "read" | "edit" | "run" | "search" | "fetch" | "plan" | "agent" | "other";

/**
 * What came of a tool call.
 */
export type ToolResult = { 
/**
 * Of its call.
 */
id: string, text: string, is_error?: boolean, 
/**
 * The edit as hunks, for tools that change files.
 */
edit?: EditDiff | null, parent?: string | null, };

export type ToolVerdict = "allowed" | "asked" | "denied";

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

export type TrustParams = { project: ProjectId, 
/**
 * The worktree to look at; the project's main checkout when absent.
 */
worktree: string | null, };

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

export type TrustSetParams = { project: ProjectId, worktree: string | null, 
/**
 * Of the report that the person saw: an answer to something else is refused.
 */
digest: string, decision: TrustDecision, };

/**
 * A checkout of a project.
 */
export type Worktree = { 
/**
 * Absolute.
 */
path: string, branch: string | null, head: string | null, main: boolean, 
/**
 * Made by Musher.
 */
owned: boolean, locked: boolean, 
/**
 * git's record of it is there, the folder is not.
 */
missing: boolean, };

/**
 * What differs between a worktree and its base.
 */
export type WorktreeChanges = { files: Array<FileChange>, branch: string | null, head: string | null, 
/**
 * Commits since the base.
 */
ahead: number, };

/**
 * A worktree by the run that uses it, or by its project and path.
 */
export type WorktreeParams = { run: RunId, };

export type WorktreeRemoveParams = { project: ProjectId, path: string, 
/**
 * Remove although work is in it; a rescue ref keeps it.
 */
force: boolean, };
