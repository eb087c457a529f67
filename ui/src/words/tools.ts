//! A tool's use in words: what it does while it does it, what it did afterwards.
import type { ToolKind } from '../contract/contract';
import type { ToolUse } from '../state/items';
import { span } from './figures';

const VERBS: Record<ToolKind, [now: string, done: string]> = {
  read: ['Reading', 'Read'],
  edit: ['Editing', 'Edited'],
  run: ['Running', 'Ran'],
  search: ['Searching', 'Searched'],
  fetch: ['Fetching', 'Fetched'],
  plan: ['Planning', 'Planned'],
  agent: ['Sub-agent', 'Sub-agent'],
  other: ['', ''],
};

const NOT_DONE: Partial<Record<ToolKind, string>> = {
  read: 'Not read',
  edit: 'Not edited',
  search: 'Not searched',
  fetch: 'Not fetched',
};

/** What became of a use: it may have been denied, and its run may be over before it was. */
export interface Fate {
  denied: boolean;
  live: boolean;
}

export function verbOf(use: ToolUse, { denied, live }: Fate): string {
  const { kind, name } = use.call;
  const [now, done] = VERBS[kind] ?? VERBS.other;
  // Who denied it stands at the card's right end.
  if (denied) return NOT_DONE[kind] ?? (kind === 'run' ? 'Not run' : `${name} not used`);
  if (!use.result) return live ? now || name : 'Cut off';
  if (wasTurnedDown(use)) return 'Cut off';
  if (now === '') return name;
  // A command that failed was run all the same.
  if (use.result.is_error) return NOT_DONE[kind] ?? done;
  return use.result.edit?.created ? 'Created' : done;
}

/** What Claude Code tells its model of a use that a stop broke off: long, and not meant for a person. */
const TURNED_DOWN = "The user doesn't want to proceed with this tool use.";
export function wasTurnedDown({ result }: ToolUse): boolean {
  return result?.is_error === true && result.text.startsWith(TURNED_DOWN);
}

/** What stands at the right end of a tool's card. */
export function resultNote(uses: ToolUse[]): { text: string; bad: boolean } {
  const last = uses[uses.length - 1];
  if (!last?.result || !last.endedAt) return { text: '', bad: false };
  const failed = uses.some((use) => use.result?.is_error && !wasTurnedDown(use));
  // What was there at once took no time worth reading.
  const quick = Date.parse(last.endedAt) - Date.parse(last.startedAt) < 100;
  const took = quick ? '' : span(last.startedAt, last.endedAt);
  if (failed) return { text: ['failed', took].filter(Boolean).join(' · '), bad: true };
  if (last.call.kind === 'read') {
    const lines = uses.reduce((sum, use) => sum + lineCount(use.result?.text ?? ''), 0);
    return { text: lines > 0 ? `${lines} ${lines === 1 ? 'line' : 'lines'}` : '', bad: false };
  }
  return { text: took, bad: false };
}

export function lineCount(text: string): number {
  const trimmed = text.replace(/\n+$/, '');
  if (trimmed === '') return 0;
  let count = 1;
  for (let at = trimmed.indexOf('\n'); at >= 0; at = trimmed.indexOf('\n', at + 1)) count += 1;
  return count;
}

// Colours and links of terminals; as text, since a pattern with control signs reads badly.
const TERMINAL_CODES = new RegExp(
  String.raw`\x1b(?:\[[0-9;?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])`,
  'g',
);

/** The text without the codes by which terminals colour it. */
export function plain(text: string): string {
  return text.replace(TERMINAL_CODES, '');
}

/** The last `count` lines, or the first. */
export function someLines(text: string, count: number, end: boolean): string {
  const lines = text.replace(/\n+$/, '').split('\n');
  return (end ? lines.slice(-count) : lines.slice(0, count)).join('\n');
}

export function pretty(value: unknown): string {
  if (typeof value === 'string') return value;
  if (value === null || value === undefined) return '';
  const entries = typeof value === 'object' && !Array.isArray(value) ? Object.entries(value) : [];
  if (entries.length > 0 && entries.every(([, part]) => typeof part !== 'object'))
    return entries.map(([name, part]) => `${name}: ${String(part)}`).join('\n');
  return JSON.stringify(value, null, 2);
}
