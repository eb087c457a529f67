//! What a permission asks for, as a person reads it: the edit as a diff, and whatever else is in the
//! input. Nothing of the input is left out: what is not shown in a form of its own is shown as it is.
//! An edit is known by the parts that the tools of Claude Code name (`content` of Write,
//! `old_string` and `new_string` of Edit, `edits` of MultiEdit), and those of Musher's own
//! `edit_file`: `old`, null for the whole file, and `new`.
import type { PermissionRequest } from '../contract/contract';
import { pretty } from './tools';

export interface AskedLine {
  sign: ' ' | '+' | '-';
  text: string;
}
export interface Asked {
  /** Places that are changed, each with its lines; empty when it is no edit. */
  places: AskedLine[][];
  added: number;
  removed: number;
  /** The whole of a file is written, in place of what it held. */
  whole: boolean;
  /** What else the input says. */
  rest: string;
}

type Input = Record<string, unknown>;
const OURS = 'edit_file';

export function askedOf(request: PermissionRequest): Asked {
  const none = { places: [], added: 0, removed: 0, whole: false };
  const { input } = request;
  if (typeof input !== 'object' || input === null || Array.isArray(input)) {
    const text = pretty(input);
    return { ...none, rest: text === request.title ? '' : text };
  }
  const parts: Input = { ...input };
  const edit = request.kind === 'edit' ? takeEdit(parts, request.tool) : null;
  const left = Object.fromEntries(
    Object.entries(parts).filter(
      ([name, value]) => value !== request.title && !isTold(name, value, request),
    ),
  );
  const rest = Object.keys(left).length > 0 ? pretty(left) : '';
  if (!edit) return { ...none, rest };
  const lines = edit.places.flat();
  return {
    ...edit,
    added: lines.filter((line) => line.sign === '+').length,
    removed: lines.filter((line) => line.sign === '-').length,
    rest,
  };
}

/** Another part of the card tells it already, or it says that nothing is special. */
function isTold(name: string, value: unknown, request: PermissionRequest): boolean {
  if (name === 'description') return value === request.description;
  return name === 'replace_all' && (value === false || value === null);
}

/** Takes the parts of an edit out of the input; null when there are none of a known form. */
function takeEdit(left: Input, tool: string): { places: AskedLine[][]; whole: boolean } | null {
  if (tool === OURS && typeof left.new === 'string') {
    const { old, new: text } = left;
    delete left.old;
    delete left.new;
    if (typeof old === 'string') [left.old_string, left.new_string] = [old, text];
    else left.content = text;
  }
  if (typeof left.content === 'string') {
    const places = [linesOf(left.content).map((text): AskedLine => ({ sign: '+', text }))];
    delete left.content;
    return { places, whole: true };
  }
  const one = replacement(left);
  if (one) {
    delete left.old_string;
    delete left.new_string;
    return { places: [one], whole: false };
  }
  if (!Array.isArray(left.edits)) return null;
  const places = left.edits.map((edit: unknown) => only(edit));
  if (places.length === 0 || places.some((place) => place === null)) return null;
  delete left.edits;
  return { places: places as AskedLine[][], whole: false };
}

/** One of several edits, unless it says more than a diff could show. */
function only(edit: unknown): AskedLine[] | null {
  if (typeof edit !== 'object' || edit === null) return null;
  const { old_string, new_string, replace_all, ...more } = edit as Input;
  if (replace_all === true || Object.keys(more).length > 0) return null;
  return replacement({ old_string, new_string });
}

function replacement({ old_string, new_string }: Input): AskedLine[] | null {
  if (typeof old_string !== 'string' || typeof new_string !== 'string') return null;
  // The end of the last line counts where it is what differs.
  const both = old_string.endsWith('\n') && new_string.endsWith('\n');
  const lines = (text: string) => (both ? linesOf(text) : text === '' ? [] : text.split('\n'));
  const [before, after] = [lines(old_string), lines(new_string)];
  let head = 0;
  while (head < before.length && head < after.length && before[head] === after[head]) head += 1;
  let tail = 0;
  const most = Math.min(before.length, after.length) - head;
  while (tail < most && before.at(-1 - tail) === after.at(-1 - tail)) tail += 1;
  const line = (sign: AskedLine['sign']) => (text: string) => ({ sign, text });
  return [
    ...before.slice(0, head).map(line(' ')),
    ...before.slice(head, before.length - tail).map(line('-')),
    ...after.slice(head, after.length - tail).map(line('+')),
    ...before.slice(before.length - tail).map(line(' ')),
  ];
}

function linesOf(text: string): string[] {
  return text === '' ? [] : text.replace(/\n$/, '').split('\n');
}
