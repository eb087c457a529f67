//! Code as pieces of one colour. What must hold:
//! - the pieces joined are the text, whatever it is;
//! - nothing here makes markup: views write the pieces as text;
//! - the colours are few, and each is a token of `tokens.css`.

/** The colours of code; `''` is plain. */
export type Tint = '' | 'keyword' | 'string' | 'number' | 'name' | 'type' | 'comment';
export interface Token {
  text: string;
  tint: Tint;
}
export type Marker = (text: string, language: string) => string;

/** Beyond this a text stays plain: one generated file must not stop the page. */
const MOST = 60_000;

const LANGUAGE: Record<string, string> = {
  bash: 'bash sh zsh shell console ksh fish',
  c: 'c h',
  cpp: 'cpp cc cxx hpp hh hxx c++',
  csharp: 'csharp cs c#',
  css: 'css scss less pcss',
  dockerfile: 'dockerfile containerfile',
  go: 'go golang',
  ini: 'ini toml cfg conf editorconfig gitconfig properties',
  java: 'java',
  javascript: 'javascript js mjs cjs jsx',
  json: 'json jsonc json5 jsonl webmanifest',
  kotlin: 'kotlin kt kts',
  makefile: 'makefile make mk',
  php: 'php',
  python: 'python py pyi',
  ruby: 'ruby rb gemspec rakefile gemfile',
  rust: 'rust rs',
  sql: 'sql psql mysql sqlite',
  swift: 'swift',
  typescript: 'typescript ts mts cts tsx',
  xml: 'xml html htm svg svelte vue xhtml plist',
  yaml: 'yaml yml',
};
const BY_NAME = new Map(
  Object.entries(LANGUAGE).flatMap(([language, names]) =>
    names.split(' ').map((name): [string, string] => [name, language]),
  ),
);

/** The language of a code block's word (`rs`, `rust,ignore`), if it is one of ours. */
export function languageOf(word: string | undefined): string | null {
  const name = /^[\w+#.-]+/.exec(word?.trim().toLowerCase() ?? '')?.[0] ?? '';
  return BY_NAME.get(name) ?? null;
}

/** By a file's ending, or its name (`Makefile`). */
export function languageOfPath(path: string): string | null {
  const name = path.split('/').pop()?.toLowerCase() ?? '';
  return BY_NAME.get(name.split('.').pop() ?? '') ?? BY_NAME.get(name.split('.')[0] ?? '') ?? null;
}

const TINTS: Record<string, Tint> = {
  keyword: 'keyword',
  built_in: 'type',
  type: 'type',
  class: 'type',
  literal: 'number',
  number: 'number',
  symbol: 'number',
  string: 'string',
  regexp: 'string',
  char: 'string',
  comment: 'comment',
  quote: 'comment',
  doctag: 'comment',
  meta: 'comment',
  title: 'name',
  section: 'name',
  name: 'name',
  'selector-class': 'name',
  'selector-id': 'name',
  'selector-tag': 'keyword',
  tag: '',
  attr: 'type',
  attribute: 'type',
  property: 'type',
  'template-variable': 'number',
  variable: '',
  subst: '',
};
const SIGNS: Record<string, string> = {
  '&amp;': '&',
  '&lt;': '<',
  '&gt;': '>',
  '&quot;': '"',
  '&#x27;': "'",
};

function tintOf(names: string, around: Tint): Tint {
  const [first = '', second = ''] = names.split(' ');
  if (second.startsWith('class')) return 'type';
  return TINTS[first.replace('hljs-', '')] ?? around;
}

/** What the marker made, as flat pieces. */
function pieces(html: string): Token[] {
  const tokens: Token[] = [];
  const around: Tint[] = [''];
  for (const [part] of html.matchAll(/<span class="[^"]*">|<\/span>|[^<]+/g)) {
    const tint = around[around.length - 1] ?? '';
    if (part === '</span>') around.pop();
    else if (part.startsWith('<')) around.push(tintOf(part.slice(13, -2), tint));
    else {
      const text = part.replace(/&(?:amp|lt|gt|quot|#x27);/g, (sign) => SIGNS[sign] ?? sign);
      const last = tokens[tokens.length - 1];
      if (last?.tint === tint) last.text += text;
      else tokens.push({ text, tint });
    }
  }
  return tokens;
}

/** The text in pieces; in one plain piece when it is too long or could not be read. */
export function tokensOf(text: string, language: string | null, marker: Marker | null): Token[] {
  const plain: Token[] = text === '' ? [] : [{ text, tint: '' }];
  if (language === null || marker === null || text.length > MOST) return plain;
  try {
    const tokens = pieces(marker(text, language));
    const same = tokens.reduce((sum, token) => sum + token.text.length, 0) === text.length;
    return same ? tokens : plain;
  } catch {
    return plain;
  }
}

/** Cut at line ends, which are left out. */
export function linesOf(tokens: readonly Token[]): Token[][] {
  const lines: Token[][] = [[]];
  for (const { text, tint } of tokens) {
    text.split('\n').forEach((part, index) => {
      if (index > 0) lines.push([]);
      if (part !== '') lines[lines.length - 1]?.push({ text: part, tint });
    });
  }
  return lines;
}

export interface Stroke extends Token {
  strong: boolean;
}

/** Lays the pieces that differ over the pieces of one colour; both are the same text. */
export function overlaid(
  tokens: readonly Token[],
  strongs: readonly { text: string; strong: boolean }[],
): Stroke[] {
  const strokes: Stroke[] = [];
  let at = 0;
  let left = strongs[0]?.text.length ?? 0;
  for (const token of tokens) {
    let { text } = token;
    while (text !== '') {
      while (left === 0 && at < strongs.length) left = strongs[++at]?.text.length ?? 0;
      const length = left === 0 ? text.length : Math.min(left, text.length);
      const strong = strongs[at]?.strong ?? false;
      strokes.push({ text: text.slice(0, length), tint: token.tint, strong });
      text = text.slice(length);
      left = Math.max(0, left - length);
    }
  }
  return strokes;
}
