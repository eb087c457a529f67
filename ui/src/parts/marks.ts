//! Marks what was found in the rows that are drawn, with the browser's own highlights: the rows are
//! not touched. An engine without them shows the row alone.
import type { Finder } from './finder.svelte';

const NAMES = { all: 'found', now: 'found-now' };

export function mark(frame: HTMLElement, finder: Finder, how?: 'into sight'): void {
  const { needle, current } = finder;
  const rows = new Set(finder.all.map((one) => one.key));
  const ranges: Range[] = [];
  let now: Range | undefined;
  for (const row of frame.querySelectorAll<HTMLElement>('[data-key]')) {
    const key = row.dataset.key ?? '';
    if (!rows.has(key)) continue;
    const here = rangesOf(row, needle);
    ranges.push(...here);
    if (current?.key === key) now = here[Math.min(current.nth, here.length - 1)];
  }
  show(ranges, now);
  if (how === 'into sight' && now) bring(frame, now);
}

/** Room that the search itself and the button below cover. */
const [ABOVE, BELOW, BESIDE] = [60, 50, 100];

/** Scrolls no more than is needed: the list up and down, a long line along. */
function bring(frame: HTMLElement, range: Range): void {
  const list = frame.querySelector<HTMLElement>('[role="region"]');
  const line = range.startContainer.parentElement?.closest<HTMLElement>('pre, .bars');
  const [at, sight] = [range.getBoundingClientRect(), list?.getBoundingClientRect()];
  if (list && sight && (at.top < sight.top + ABOVE || at.bottom > sight.bottom - BELOW))
    list.scrollTop += at.top - sight.top - sight.height / 3;
  const along = line?.getBoundingClientRect();
  if (line && along && (at.left < along.left + BESIDE || at.right > along.right))
    line.scrollLeft += at.left - along.left - along.width / 3;
}

export function unmark(): void {
  show([], undefined);
}

function show(ranges: Range[], now: Range | undefined): void {
  if (typeof Highlight === 'undefined') return;
  CSS.highlights.set(NAMES.all, new Highlight(...ranges));
  const one = new Highlight(...(now ? [now] : []));
  one.priority = 1;
  CSS.highlights.set(NAMES.now, one);
}

/** Where the words are in the row's text, across its elements. */
function rangesOf(row: HTMLElement, needle: string): Range[] {
  const nodes: { node: Text; from: number }[] = [];
  let text = '';
  const walker = document.createTreeWalker(row, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    nodes.push({ node: node as Text, from: text.length });
    text += (node as Text).data;
  }
  const lower = text.toLowerCase();
  const ranges: Range[] = [];
  // Where lower case has another length, places would be wrong.
  if (lower.length !== text.length) return ranges;
  for (let at = lower.indexOf(needle); at >= 0; at = lower.indexOf(needle, at + needle.length))
    ranges.push(range(nodes, at, at + needle.length));
  return ranges;
}

function range(nodes: { node: Text; from: number }[], start: number, end: number): Range {
  const made = document.createRange();
  const first = nodes.findLast(({ from }) => from <= start);
  const last = nodes.findLast(({ from }) => from < end);
  if (first) made.setStart(first.node, start - first.from);
  if (last) made.setEnd(last.node, end - last.from);
  return made;
}
