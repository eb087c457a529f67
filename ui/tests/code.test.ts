import { describe, expect, it } from 'vitest';
import { marked } from '../src/code/languages';
import { paint } from '../src/code/paint';
import {
  languageOf,
  languageOfPath,
  linesOf,
  overlaid,
  tokensOf,
  type Token,
} from '../src/code/tokens';
import { rowsOf } from '../src/diff/rows';
import { Tints } from '../src/diff/tints';
import { MarkdownStream } from '../src/markdown/markdown';

const whole = (tokens: readonly { text: string }[]) => tokens.map((one) => one.text).join('');
const tinted = (tokens: readonly Token[], tint: string) =>
  tokens.filter((one) => one.tint === tint).map((one) => one.text);

describe('code in pieces', () => {
  it('is the same text, whatever it is', () => {
    for (const text of [
      'let a = "<b>&amp;</b>"; // x < y && z',
      "const t = `a ${b + '<'} c`;\n/* two\nlines */\n",
      '</span><span class="hljs-keyword">',
      '\u0000\ud800 é 漢',
    ])
      for (const language of ['rust', 'typescript', 'xml', 'bash', 'python', 'yaml'])
        expect(whole(tokensOf(text, language, marked)), language).toBe(text);
  });
  it('knows words, strings, numbers and comments', () => {
    const tokens = tokensOf('fn main() { let a = 12; } // "no"', 'rust', marked);
    expect(tinted(tokens, 'keyword')).toEqual(['fn', 'let']);
    expect(tinted(tokens, 'number')).toEqual(['12']);
    expect(tinted(tokens, 'comment')).toEqual(['// "no"']);
    expect(tinted(tokens, 'name')).toEqual(['main']);
  });
  it('stays plain without a language, when it is huge, and when the marker fails', () => {
    const plain = [{ text: 'let a', tint: '' }];
    expect(tokensOf('let a', null, marked)).toEqual(plain);
    expect(tokensOf('let a', 'klingon', marked)).toEqual(plain);
    expect(tokensOf('let a', 'rust', () => 'less')).toEqual(plain);
    expect(tokensOf('let a;'.repeat(20_000), 'rust', marked)).toHaveLength(1);
  });
  it('finds the language of a block and of a file', () => {
    expect(languageOf('rs')).toBe('rust');
    expect(languageOf('rust,ignore')).toBe('rust');
    expect(languageOf('C++')).toBe('cpp');
    expect(languageOf('prose')).toBeNull();
    expect(languageOf(undefined)).toBeNull();
    expect(languageOfPath('src/a.test.tsx')).toBe('typescript');
    expect(languageOfPath('deep/Makefile')).toBe('makefile');
    expect(languageOfPath('Dockerfile.dev')).toBe('dockerfile');
    expect(languageOfPath('notes.txt')).toBeNull();
  });
});

const hunk = (start: number) => ({
  old_start: start,
  old_lines: 0,
  new_start: start,
  new_lines: 1,
  lines: ['+let a;'],
});

it('what differs lies over the colours', () => {
  const tokens: Token[] = [
    { text: 'let', tint: 'keyword' },
    { text: ' abc', tint: '' },
  ];
  const pieces = [
    { text: 'let a', strong: false },
    { text: 'b', strong: true },
    { text: 'c', strong: false },
  ];
  expect(overlaid(tokens, pieces)).toEqual([
    { text: 'let', tint: 'keyword', strong: false },
    { text: ' a', tint: '', strong: false },
    { text: 'b', tint: '', strong: true },
    { text: 'c', tint: '', strong: false },
  ]);
});

it('a comment over several lines is one on both sides of a diff', () => {
  const rows = rowsOf([
    {
      old_start: 1,
      old_lines: 3,
      new_start: 1,
      new_lines: 3,
      lines: [' /* a', '-let was', '+let is', ' */ let b;'],
    },
  ]);
  const tints = new Tints(rows, 'rust', marked);
  expect(rows.map((_, at) => tints.of(at)?.map((one) => one.tint))).toEqual([
    ['comment'],
    ['comment'],
    ['comment'],
    ['comment', '', 'keyword', ''],
  ]);
  const two = rowsOf([1, 9].map((old_start) => hunk(old_start)));
  const more = new Tints(two, 'rust', marked);
  expect(two.map((row, at) => [row.kind, more.of(at)?.[0]?.tint ?? null])).toEqual([
    ['add', 'keyword'],
    ['hunk', null],
    ['add', 'keyword'],
  ]);
  expect(linesOf([{ text: 'a\n\nb', tint: '' }])).toHaveLength(3);
});

it('a code block is painted without a change of its text, and not while it grows', () => {
  const box = document.createElement('div');
  const source = '```rust\nlet a = "<i>";\n```';
  box.innerHTML = new MarkdownStream().update(source)[0]?.html ?? '';
  const code = box.querySelector('code') as HTMLElement;
  const text = code.textContent;
  paint(box, marked, true);
  expect(code.children).toHaveLength(0);
  paint(box, marked, false);
  expect(code.querySelector('.t-keyword')?.textContent).toBe('let');
  expect(code.textContent).toBe(text);
  expect(box.querySelector('i')).toBeNull();
});
