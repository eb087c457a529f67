// Generated from crates/protocol by `cargo xtask generate`. Do not edit.


/**
 * What an edit changed in one file.
 */
export type EditDiff = { path: string, created: boolean, hunks: Array<Hunk>, };

/**
 * A hunk of a unified diff; `lines` begin with ` `, `+` or `-`.
 */
export type Hunk = { old_start: number, old_lines: number, new_start: number, new_lines: number, lines: Array<string>, };

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
model: string, 
/**
 * The address that they came from; nor are they anything to another. Absent where an older Musher
 * wrote it: then the run's own settings say it.
 */
place?: string, items: unknown[], };

/**
 * A step of the agent's plan.
 */
export type PlanEntry = { text: string, state: PlanState, };

export type PlanState = "pending" | "in_progress" | "done";

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
