//! A search in a conversation: every match by its row, and the one that is looked at.
import type { Entry } from '../state/conversation.svelte';
import { textOf, times } from '../words/find';

export interface Found {
  key: string;
  /** Of the row. */
  index: number;
  /** Within the row, from 0. */
  nth: number;
}

export class Finder {
  open = $state(false);
  query = $state('');
  private at = $state(0);

  constructor(private rows: () => readonly Entry[]) {}

  readonly needle = $derived(this.query.toLowerCase());
  /** In the order of the conversation; nothing is counted while nobody looks. */
  readonly all = $derived.by(() => (this.open ? matches(this.rows(), this.needle) : []));
  readonly number = $derived(
    this.all.length === 0 ? 0 : Math.min(this.at, this.all.length - 1) + 1,
  );
  readonly current = $derived(this.all[this.number - 1] ?? null);

  /** Another word: the newest match is where the reader most likely is. */
  look(query: string): void {
    this.query = query;
    this.at = Math.max(0, this.all.length - 1);
  }

  step(by: 1 | -1): void {
    const count = this.all.length;
    if (count > 0) this.at = (this.number - 1 + by + count) % count;
  }
}

function matches(rows: readonly Entry[], needle: string): Found[] {
  const found: Found[] = [];
  if (needle.trim() === '') return found;
  rows.forEach(({ key, item }, index) => {
    const count = times(textOf(item), needle);
    for (let nth = 0; nth < count; nth += 1) found.push({ key, index, nth });
  });
  return found;
}
