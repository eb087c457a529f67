//! Small makers for canned data.
import type { AgentEvent, Hunk, RunSummary, Story, ToolKind } from '../../contract/contract';
import { plainSettings } from '../../state/settings';

const NO_USAGE = {
  input_tokens: 0,
  output_tokens: 0,
  cache_creation_input_tokens: 0,
  cache_read_input_tokens: 0,
  cost_microdollars: 0,
  cost_source: 'unknown',
} as const;

export function ago(minutes: number): string {
  return new Date(Date.now() - minutes * 60_000).toISOString();
}

export function summaryOf(given: Partial<RunSummary> & { id: string }): RunSummary {
  return {
    story: `story of ${given.id}`,
    project: 'api',
    title: 'A story',
    agent_name: 'coder-1',
    runtime: 'claude-code',
    model: 'claude-opus-4-8',
    worktree: '/home/ada/.local/share/musher/worktrees/atlas-api/sessions-pg',
    branch: 'musher/sessions-pg',
    status: 'running',
    phase: 'running',
    detail: null,
    until: null,
    outcome: null,
    session_id: null,
    usage: NO_USAGE,
    added: 0,
    removed: 0,
    files_changed: 0,
    waiting: 0,
    unread: false,
    demo: false,
    created_at: ago(14),
    updated_at: ago(2),
    last_seq: 0,
    ...given,
  };
}

export function storyOf(run: RunSummary): Story {
  return {
    id: run.story,
    project: run.project,
    title: run.title,
    worktree: run.worktree,
    owns_worktree: true,
    branch: run.branch,
    base_commit: '9c2e11d04b7a',
    base_name: 'main',
    created_at: run.created_at,
    settings: { ...plainSettings(run.runtime, run.agent_name), model: run.model },
  };
}

export function tool(
  id: string,
  kind: ToolKind,
  name: string,
  title: string,
  parent?: string,
): AgentEvent {
  return {
    type: 'tool_call',
    id,
    kind,
    name,
    title,
    input: kind === 'run' ? { command: title } : { file_path: title },
    parent,
  };
}

export function result(
  id: string,
  text: string,
  more: { is_error?: boolean; hunks?: Hunk[]; path?: string; parent?: string } = {},
): AgentEvent {
  const edit = more.hunks
    ? { path: more.path ?? '', created: false, hunks: more.hunks }
    : undefined;
  return { type: 'tool_result', id, text, is_error: more.is_error, edit, parent: more.parent };
}

export function hunk(old_start: number, new_start: number, lines: string[]): Hunk {
  return {
    old_start,
    old_lines: lines.filter((line) => !line.startsWith('+')).length,
    new_start,
    new_lines: lines.filter((line) => !line.startsWith('-')).length,
    lines,
  };
}
