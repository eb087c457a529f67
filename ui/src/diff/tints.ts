//! The colours of a diff's lines. A hunk is read as the two texts it stands for, so that a comment
//! over several lines is one; it is read when the first of its lines is drawn.
import { linesOf, tokensOf, type Marker, type Token } from '../code/tokens';
import type { DiffRow } from './rows';

export class Tints {
  private lines = new Map<number, Token[]>();
  private read = new Set<number>();
  /** The rows between hunks; each begins the hunk below it. */
  private starts: number[];

  constructor(
    private rows: readonly DiffRow[],
    private language: string | null,
    private marker: Marker | null,
  ) {
    this.starts = rows.flatMap((row, index) => (row.kind === 'hunk' ? [index] : []));
  }

  /** The pieces of the row, or null where it stays plain. */
  of(index: number): Token[] | null {
    if (this.language === null || this.marker === null) return null;
    const first = this.starts.findLast((start) => start <= index) ?? 0;
    if (!this.read.has(first)) this.readHunk(first);
    return this.lines.get(index) ?? null;
  }

  private readHunk(first: number): void {
    this.read.add(first);
    const [before, after]: [number[], number[]] = [[], []];
    for (let at = first; at < this.rows.length; at += 1) {
      const kind = this.rows[at]?.kind;
      if (kind === 'hunk' && at > first) break;
      if (kind === 'del' || kind === 'same') before.push(at);
      if (kind === 'add' || kind === 'same') after.push(at);
    }
    if (before.length > after.length || before.some((at) => this.rows[at]?.kind === 'del'))
      this.readSide(before);
    this.readSide(after);
  }

  private readSide(rows: number[]): void {
    const text = rows.map((at) => this.rows[at]?.text ?? '').join('\n');
    const lines = linesOf(tokensOf(text, this.language, this.marker));
    rows.forEach((at, index) => this.lines.set(at, lines[index] ?? []));
  }
}
