// Generated from crates/protocol by `cargo xtask generate`. Do not edit.

import type {
  ToolKind,
} from './tool';

/**
 * Who gave an answer.
 */
export type AnsweredBy = "user" | "policy" | "rule" | "expiry" | "withdrawn" | "unknown";

export type PermissionDecision = "allow" | "deny";

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
expires_at?: string | null, 
/**
 * The rules that would allow just this in every run of the project, where rules can say it. Set by
 * the engine.
 */
always?: Array<string>, };

/**
 * The agent asks the person something.
 */
export type Question = { request: string, tool_call?: string | null, questions: Array<QuestionItem>, expires_at?: string | null, };

export type QuestionItem = { header: string, question: string, multi_select: boolean, options: Array<QuestionOption>, };

export type QuestionOption = { label: string, description?: string | null, };
