//! Colours the code blocks of a text that is shown already. The text of a block stays the same: only
//! spans around pieces of it are new, made without markup.
import { tokensOf, type Marker, type Token } from './tokens';

/** Rows come and go while one scrolls: what was read is kept for a while. */
const read = new Map<string, Token[]>();
const KEPT = 200;

function known(text: string, language: string, marker: Marker): Token[] {
  const key = `${language}\n${text}`;
  const tokens = read.get(key) ?? tokensOf(text, language, marker);
  read.delete(key);
  read.set(key, tokens);
  for (const oldest of read.keys()) {
    if (read.size <= KEPT) break;
    read.delete(oldest);
  }
  return tokens;
}

/** `growing`: the last block is not finished and is left alone. */
export function paint(box: HTMLElement, marker: Marker, growing: boolean): void {
  for (const code of box.querySelectorAll<HTMLElement>('pre > code:not([data-painted])')) {
    if (growing && code.parentElement === box.lastElementChild) continue;
    const language = /^language-([a-z]+)$/.exec(code.className)?.[1] ?? 'none';
    if (language === 'none') continue;
    const tokens = known(code.textContent ?? '', language, marker);
    code.dataset.painted = '';
    code.replaceChildren(...tokens.map(drawn));
  }
}

function drawn({ text, tint }: Token): Node {
  if (tint === '') return document.createTextNode(text);
  const span = document.createElement('span');
  span.className = `t-${tint}`;
  span.textContent = text;
  return span;
}
