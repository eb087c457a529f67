//! A diff as rows of equal height, and what differs within a pair of changed lines.
import type { Hunk } from '../contract/contract';

export interface DiffRow {
  kind: 'same' | 'add' | 'del' | 'hunk' | 'note';
  old: number | null;
  new: number | null;
  text: string;
  /** The row it replaces or is replaced by, as an index; -1 without one. */
  twin: number;
}

export function rowsOf(hunks: readonly Hunk[]): DiffRow[] {
  const rows: DiffRow[] = [];
  hunks.forEach((hunk, index) => {
    const before = hunks[index - 1];
    if (before) rows.push(between(before, hunk));
    addLines(rows, hunk);
  });
  return rows;
}

function between(before: Hunk, hunk: Hunk): DiffRow {
  const hidden = Math.max(0, hunk.old_start - before.old_start - before.old_lines);
  const text = hidden === 1 ? '⋯ 1 line the same' : `⋯ ${hidden} lines the same`;
  return { kind: 'hunk', old: null, new: null, text, twin: -1 };
}

function addLines(rows: DiffRow[], hunk: Hunk): void {
  let before = hunk.old_start;
  let after = hunk.new_start;
  let deleted: number[] = [];
  let paired = 0;
  for (const line of hunk.lines) {
    const text = line.slice(1);
    const at = rows.length;
    if (line.startsWith('-')) {
      if (paired > 0) [deleted, paired] = [[], 0];
      deleted.push(at);
      rows.push({ kind: 'del', old: before++, new: null, text, twin: -1 });
    } else if (line.startsWith('+')) {
      const twin = deleted[paired] ?? -1;
      if (twin >= 0) (rows[twin] as DiffRow).twin = at;
      paired += 1;
      rows.push({ kind: 'add', old: null, new: after++, text, twin });
    } else {
      [deleted, paired] = [[], 0];
      if (line.startsWith('\\'))
        rows.push({ kind: 'note', old: null, new: null, text: line.slice(2), twin: -1 });
      else rows.push({ kind: 'same', old: before++, new: after++, text, twin: -1 });
    }
  }
}

export interface Piece {
  text: string;
  strong: boolean;
}

/** Longer lines are compared by their ends only: a minified file must not block the page. */
const LONGEST = 400;

/** The line in pieces, those that the other line has not as strong. Lines that share too little are
    left plain: emphasis everywhere says nothing. */
export function emphasis(line: string, other: string): Piece[] {
  if (line === other || line === '' || other === '') return [{ text: line, strong: false }];
  const [mine, theirs] = [words(line), words(other)];
  const head = commonHead(mine, theirs);
  const tail = commonTail(mine, theirs, head);
  const middle = mine.slice(head, mine.length - tail);
  const rest = theirs.slice(head, theirs.length - tail);
  const kept = line.length > LONGEST ? middle.map(() => false) : common(middle, rest);
  const flags = [
    ...mine.slice(0, head).map(() => true),
    ...kept,
    ...mine.slice(mine.length - tail).map(() => true),
  ];
  const shared = mine.reduce(
    (sum, word, index) => sum + (flags[index] && word.trim() ? word.length : 0),
    0,
  );
  if (shared < 0.3 * line.trim().length) return [{ text: line, strong: false }];
  return joined(mine, flags);
}

function words(line: string): string[] {
  return line.match(/[\p{L}\p{N}_]+|\s+|[^\p{L}\p{N}_\s]/gu) ?? [];
}

function commonHead(a: string[], b: string[]): number {
  let count = 0;
  while (count < a.length && count < b.length && a[count] === b[count]) count += 1;
  return count;
}

function commonTail(a: string[], b: string[], head: number): number {
  let count = 0;
  const most = Math.min(a.length, b.length) - head;
  while (count < most && a[a.length - 1 - count] === b[b.length - 1 - count]) count += 1;
  return count;
}

/** For each word of `a` whether it is in the longest common subsequence with `b`. */
function common(a: string[], b: string[]): boolean[] {
  const width = b.length + 1;
  const table = new Uint16Array((a.length + 1) * width);
  const at = (i: number, j: number) => table[i * width + j] ?? 0;
  for (let i = a.length - 1; i >= 0; i -= 1)
    for (let j = b.length - 1; j >= 0; j -= 1)
      table[i * width + j] =
        a[i] === b[j] ? at(i + 1, j + 1) + 1 : Math.max(at(i + 1, j), at(i, j + 1));
  const kept = a.map(() => false);
  for (let i = 0, j = 0; i < a.length && j < b.length;) {
    if (a[i] === b[j]) [kept[i], i, j] = [true, i + 1, j + 1];
    else if (at(i + 1, j) >= at(i, j + 1)) i += 1;
    else j += 1;
  }
  return kept;
}

/** Joins neighbours; a lone space or sign between two strong words is strong too. */
function joined(list: string[], kept: boolean[]): Piece[] {
  const pieces: Piece[] = [];
  list.forEach((text, index) => {
    const bridge =
      kept[index] && kept[index - 1] === false && kept[index + 1] === false && !/\w/.test(text);
    const strong = !kept[index] || bridge === true;
    const last = pieces[pieces.length - 1];
    if (last?.strong === strong) last.text += text;
    else pieces.push({ text, strong });
  });
  return pieces;
}

const LOCKS = new Set([
  'Cargo.lock',
  'package-lock.json',
  'yarn.lock',
  'pnpm-lock.yaml',
  'poetry.lock',
  'uv.lock',
  'Gemfile.lock',
  'composer.lock',
  'go.sum',
  'flake.lock',
  'bun.lock',
  'deno.lock',
  'Pipfile.lock',
  'npm-shrinkwrap.json',
  'gradle.lockfile',
  'packages.lock.json',
]);

/** Written by a program: folded until somebody wants to see it. */
export function isLockFile(path: string): boolean {
  return LOCKS.has(path.split('/').pop() ?? '') || /\.min\.(js|css)$/.test(path);
}
