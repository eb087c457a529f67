import { describe, expect, it } from 'vitest';
import { emphasis, isLockFile, rowsOf } from '../src/diff/rows';
import { generator } from './random';

const strong = (line: string, other: string) =>
  emphasis(line, other)
    .filter((piece) => piece.strong)
    .map((piece) => piece.text);

describe('rows of a diff', () => {
  it('numbers both sides and pairs changed lines', () => {
    const rows = rowsOf([
      {
        old_start: 41,
        old_lines: 3,
        new_start: 41,
        new_lines: 2,
        lines: [' a', '-b', '-c', '+B', ' d', '\\ No newline at end of file'],
      },
    ]);
    expect(rows.map((row) => [row.kind, row.old, row.new, row.twin])).toEqual([
      ['same', 41, 41, -1],
      ['del', 42, null, 3],
      ['del', 43, null, -1],
      ['add', null, 42, 1],
      ['same', 44, 43, -1],
      ['note', null, null, -1],
    ]);
  });

  it('pairs nothing across unchanged lines or into the next block', () => {
    const rows = rowsOf([
      {
        old_start: 1,
        old_lines: 3,
        new_start: 1,
        new_lines: 3,
        lines: ['-a', ' x', '+b', '-c', '+d'],
      },
    ]);
    expect(rows.map((row) => row.twin)).toEqual([-1, -1, -1, 4, 3]);
  });

  it('says how many lines lie between two hunks', () => {
    const rows = rowsOf([
      { old_start: 1, old_lines: 2, new_start: 1, new_lines: 2, lines: [' a', ' b'] },
      { old_start: 40, old_lines: 1, new_start: 40, new_lines: 1, lines: [' c'] },
    ]);
    expect(rows[2]?.text).toBe('⋯ 37 lines the same');
  });

  it('makes rows of 50,000 lines', () => {
    const lines = Array.from({ length: 50_000 }, (_, at) => `${at % 2 ? '+' : '-'}checksum ${at}`);
    const hunks = [{ old_start: 1, old_lines: 25_000, new_start: 1, new_lines: 25_000, lines }];
    expect(rowsOf(hunks)).toHaveLength(50_000);
  });
});

describe('emphasis within a pair of lines', () => {
  it('marks what the other line has not', () => {
    expect(strong('    store.list().await?;', '    store.delete_expired().await?;')).toEqual([
      'list',
    ]);
    expect(strong('    store.delete_expired().await?;', '    store.list().await?;')).toEqual([
      'delete_expired',
    ]);
    expect(strong('let a = one(x);', 'let b = one(y);')).toEqual(['a', 'x']);
  });

  it('leaves lines plain that share too little, and equal ones', () => {
    expect(strong('completely other words', 'fn main() {}')).toEqual([]);
    expect(strong('same', 'same')).toEqual([]);
  });

  it('never loses or changes a character', () => {
    const random = generator(7);
    const pieces = ['let ', 'a', '_b', ' = ', '(', ')', '  ', 'é', '日本', '🐕', ';', '.', 'await'];
    const line = () =>
      Array.from(
        { length: Math.floor(random() * 30) },
        () => pieces[Math.floor(random() * pieces.length)],
      ).join('');
    for (let turn = 0; turn < 500; turn += 1) {
      const [one, other] = [line(), line()];
      expect(
        emphasis(one, other)
          .map((piece) => piece.text)
          .join(''),
      ).toBe(one);
    }
  });

  it('ends for lines of 100,000 characters, which a quadratic comparison would not', () => {
    const [one, other] = ['a,'.repeat(50_000), 'b,'.repeat(50_000)];
    const pieces = emphasis(one, other);
    expect(pieces.map((piece) => piece.text).join('')).toBe(one);
  });
});

it('knows lock files by name', () => {
  expect(
    ['Cargo.lock', 'web/package-lock.json', 'a/go.sum', 'dist/x.min.js'].every(isLockFile),
  ).toBe(true);
  expect(['src/lock.rs', 'Cargo.toml'].some(isLockFile)).toBe(false);
});
