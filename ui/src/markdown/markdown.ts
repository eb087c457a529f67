//! Markdown of agents, block by block. What must hold:
//! - nothing in it runs and nothing is fetched: raw HTML is shown as text, pictures become their
//!   words, links carry no address that the browser could follow by itself;
//! - while text grows only its last block is parsed and drawn again.
import DOMPurify from 'dompurify';
import { languageOf } from '../code/tokens';
import { Lexer, Marked, type Tokens } from 'marked';

export interface Block {
  key: number;
  raw: string;
  html: string;
}

const TAGS = [
  'p',
  'h1',
  'h2',
  'h3',
  'h4',
  'h5',
  'h6',
  'ul',
  'ol',
  'li',
  'blockquote',
  'pre',
  'code',
  'em',
  'strong',
  'del',
  'br',
  'hr',
  'table',
  'thead',
  'tbody',
  'tr',
  'th',
  'td',
  'span',
  'a',
];
const ATTRIBUTES = ['class', 'data-url', 'title', 'role', 'tabindex', 'start', 'align'];

const escapes: Record<string, string> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (sign) => escapes[sign] ?? sign);
}

/** The address when it is one that the host may open, else null. */
export function safeUrl(href: string): string | null {
  let url: URL;
  try {
    url = new URL(href);
  } catch {
    return null;
  }
  return ['http:', 'https:', 'mailto:'].includes(url.protocol) ? url.href : null;
}

/** A link shows where it leads: by its text when that is the address, else behind it. */
function link(words: string, href: string): string {
  const url = safeUrl(href);
  if (url === null) return `${words} <span class="addr">${escapeHtml(href.slice(0, 200))}</span>`;
  const address = escapeHtml(url);
  const open = `<a role="link" tabindex="0" data-url="${address}" title="${address}">${words}</a>`;
  const plain = words.replace(/<[^>]*>/g, '');
  const same =
    plain === address ||
    plain === escapeHtml(href) ||
    `https://${plain}` === address.replace(/\/$/, '');
  return same ? open : `${open} <span class="addr">${escapeHtml(new URL(url).host || url)}</span>`;
}

const parser = new Marked({
  gfm: true,
  async: false,
  renderer: {
    html: ({ text }: Tokens.HTML | Tokens.Tag) => escapeHtml(text),
    image: ({ text, href }: Tokens.Image) =>
      `<span class="addr">[picture${text ? `: ${escapeHtml(text)}` : ''} ${escapeHtml(href.slice(0, 200))}]</span>`,
    link({ href, tokens }: Tokens.Link) {
      return link(this.parser.parseInline(tokens), href);
    },
    code: ({ text, lang }: Tokens.Code) =>
      `<pre>${lang ? `<span class="lang">${escapeHtml(lang.slice(0, 20))}</span>` : ''}<code class="language-${languageOf(lang) ?? 'none'}">${escapeHtml(text)}</code></pre>`,
    checkbox: ({ checked }: Tokens.Checkbox) => (checked ? '☑ ' : '☐ '),
  },
});

export function sanitize(html: string): string {
  return DOMPurify.sanitize(html, {
    ALLOWED_TAGS: TAGS,
    ALLOWED_ATTR: ATTRIBUTES,
    ALLOW_DATA_ATTR: false,
    ALLOW_ARIA_ATTR: false,
  });
}

function draw(raw: string): string {
  return sanitize(parser.parse(raw) as string);
}

/** The blocks of a text that grows. */
export class MarkdownStream {
  blocks: Block[] = [];
  private text = '';
  /** Where the first block begins that can still change. */
  private tail = 0;
  private settled = 0;

  update(given: string): Block[] {
    const text = given.replace(/\r\n?/g, '\n');
    if (text === this.text) return this.blocks;
    if (!text.startsWith(this.text.slice(0, this.tail))) this.reset();
    this.text = text;
    const tokens = new Lexer({ gfm: true }).lex(text.slice(this.tail));
    const sizes = tokens.map((token) => token.raw);
    const last = tokens.findLastIndex((token) => token.type !== 'space');
    this.blocks = this.blocks.slice(0, this.settled);
    this.settle(sizes.slice(0, Math.max(last, 0)));
    const rest = text.slice(this.tail);
    if (rest.trim() !== '') this.blocks.push({ key: this.settled, raw: rest, html: draw(rest) });
    return this.blocks;
  }

  /** `lex` changes line ends and tabs; where its pieces no longer add up, all stays in the tail. */
  private settle(pieces: string[]): void {
    for (const raw of pieces) {
      if (this.text.slice(this.tail, this.tail + raw.length) !== raw) return;
      this.tail += raw.length;
      if (raw.trim() === '') continue;
      this.blocks.push({ key: this.settled, raw, html: draw(raw) });
      this.settled = this.blocks.length;
    }
  }

  private reset(): void {
    this.blocks = [];
    this.tail = 0;
    this.settled = 0;
  }
}
