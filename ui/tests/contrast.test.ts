import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';

type Colour = [l: number, c: number, h: number];
type Tokens = Map<string, Colour>;

const source = readFileSync('src/style/tokens.css', 'utf8').replace(/\/\*[\s\S]*?\*\//g, '');

function block(css: string, selector: string): Tokens {
  const start = css.indexOf(`${selector} {`);
  const body = css.slice(start, css.indexOf('}', start));
  const tokens: Tokens = new Map();
  for (const match of body.matchAll(/--([\w-]+):\s*oklch\(([\d.]+) ([\d.]+) ([\d.]+)\)/g)) {
    tokens.set(match[1] ?? '', [Number(match[2]), Number(match[3]), Number(match[4])]);
  }
  if (tokens.size === 0)
    for (const match of body.matchAll(/--([\w-]+):\s*oklch\((\d) 0 0\)/g))
      tokens.set(match[1] ?? '', [Number(match[2]), 0, 0]);
  return tokens;
}

/** Relative luminance of an OKLCH colour, by the matrices of its definition. */
function luminance([lightness, chroma, hue]: Colour): number {
  const angle = (hue * Math.PI) / 180;
  const [a, b] = [chroma * Math.cos(angle), chroma * Math.sin(angle)];
  const l = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3;
  const m = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3;
  const s = (lightness - 0.0894841775 * a - 1.291485548 * b) ** 3;
  const clip = (value: number) => Math.min(1, Math.max(0, value));
  const red = clip(4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s);
  const green = clip(-1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s);
  const blue = clip(-0.0041960863 * l - 0.7034186147 * m + 1.707614701 * s);
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

function contrast(one: Colour, other: Colour): number {
  const [dark, light] = [luminance(one), luminance(other)].sort((x, y) => x - y) as [
    number,
    number,
  ];
  return (light + 0.05) / (dark + 0.05);
}

const GROUNDS = ['bg', 'bg-raised', 'bg-sunken'];
const PAIRS: [text: string, ground: string, least: number][] = [
  ...['text', 'text-2', 'text-3'].flatMap((text) =>
    [...GROUNDS, 'bg-hover', 'bg-active'].map((ground): [string, string, number] => [
      text,
      ground,
      4.5,
    ]),
  ),
  ...['accent', 'need', 'done', 'fail'].flatMap((text) =>
    GROUNDS.map((ground): [string, string, number] => [text, ground, 4.5]),
  ),
  ...['run', 'review', 'wait'].flatMap((shape) =>
    [...GROUNDS, 'bg-hover', 'bg-active'].map((ground): [string, string, number] => [
      shape,
      ground,
      3,
    ]),
  ),
  ['on-accent', 'accent', 4.5],
  ['text', 'find', 4.5],
  ['text', 'accent-soft', 4.5],
  ['text', 'need-soft', 4.5],
  ['text-2', 'need-soft', 4.5],
  ['text-3', 'need-soft', 4.5],
  ['text', 'fail-soft', 4.5],
  ['text-2', 'fail-soft', 4.5],
  ...['add', 'add-strong', 'del', 'del-strong'].map((ground): [string, string, number] => [
    'text',
    ground,
    4.5,
  ]),
  ...['keyword', 'string', 'number', 'name', 'type', 'comment'].flatMap((tint) =>
    ['bg-raised', 'bg-sunken', 'add', 'add-strong', 'del', 'del-strong'].map(
      (ground): [string, string, number] => [`code-${tint}`, ground, 4.5],
    ),
  ),
  ['text-2', 'add', 4.5],
  ['text-2', 'del', 4.5],
  ['done', 'bg-active', 4.5],
  ['fail', 'bg-active', 4.5],
  ['need', 'bg-active', 3],
];

const [base, more = ''] = source.split('@media (prefers-contrast: more)');
const light = block(base ?? '', ':root');
const dark = new Map([...light, ...block(base ?? '', "[data-theme='dark']")]);
const themes: [string, Tokens][] = [
  ['light', light],
  ['dark', dark],
  ['light, more contrast', new Map([...light, ...block(more, ':root')])],
  ['dark, more contrast', new Map([...dark, ...block(more, "[data-theme='dark']")])],
];

describe.each(themes)('%s', (_, tokens) => {
  it.each(PAIRS)('%s on %s has %d:1', (text, ground, least) => {
    const [one, other] = [tokens.get(text), tokens.get(ground)];
    expect(one && other, 'both tokens are in tokens.css').toBeTruthy();
    expect(contrast(one as Colour, other as Colour)).toBeGreaterThanOrEqual(least);
  });
});

describe('the measure itself', () => {
  it('gives black on white 21:1', () => {
    expect(contrast([0, 0, 0], [1, 0, 0])).toBeCloseTo(21, 1);
  });
});

it('no component has a colour of its own', () => {
  const parts = import.meta.glob('../src/**/*.svelte', {
    query: '?raw',
    import: 'default',
    eager: true,
  });
  for (const [path, text] of Object.entries(parts)) {
    const style = /<style>([\s\S]*)<\/style>/.exec(String(text))?.[1] ?? '';
    expect(
      /#[0-9a-f]{3,8}\b|rgba?\(|hsla?\(|oklch\(|\b(white|black|red|green|blue)\b(?!-)/i.exec(
        style,
      )?.[0],
      path,
    ).toBeUndefined();
  }
});
