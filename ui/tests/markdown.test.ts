import { describe, expect, it } from 'vitest';
import { MarkdownStream, safeUrl, sanitize } from '../src/markdown/markdown';
import { generator } from './random';

function html(text: string): string {
  return new MarkdownStream()
    .update(text)
    .map((block) => block.html)
    .join('');
}

/** What must run nothing and fetch nothing, in the forms known from public collections of such. */
const PAYLOADS: string[] = [
  '<script>alert(1)</script>',
  '<img src=x onerror=alert(1)>',
  '<img src="https://evil.test/p.png">',
  '![picture](https://evil.test/p.png)',
  '![picture][ref]\n\n[ref]: https://evil.test/p.png',
  '![](data:image/svg+xml;base64,PHN2Zy8+)',
  '[![inner](https://evil.test/i.png)](https://evil.test)',
  '[click](javascript:alert(1))',
  '[click](JaVaScRiPt:alert(1))',
  '[click](java&#10;script:alert(1))',
  '[click](&#106;avascript:alert(1))',
  '[click](\u0001javascript:alert(1))',
  '[click](data:text/html,<script>alert(1)</script>)',
  '[click](vbscript:msgbox(1))',
  '[click](file:///etc/passwd)',
  '[click](blob:https://evil.test/x)',
  '<javascript:alert(1)>',
  '<a href="javascript:alert(1)">x</a>',
  '<a href="https://evil.test" onclick="alert(1)">x</a>',
  '<svg onload=alert(1)>',
  '<svg><script>alert(1)</script></svg>',
  '<svg><a xlink:href="javascript:alert(1)"><text>x</text></a></svg>',
  '<svg><animate onbegin=alert(1) attributeName=x dur=1s>',
  '<svg><use href="data:image/svg+xml,<svg id=x><script>alert(1)</script></svg>#x"/></svg>',
  '<math><mtext><table><mglyph><style><!--</style><img title="--&gt;&lt;img src=1 onerror=alert(1)&gt;">',
  '<math><mi xlink:href="javascript:alert(1)">x</mi></math>',
  '<form><math><mtext></form><form><mglyph><style></math><img src onerror=alert(1)>',
  '<iframe src="https://evil.test"></iframe>',
  '<iframe srcdoc="<script>alert(1)</script>"></iframe>',
  '<object data="https://evil.test/x.swf"></object>',
  '<embed src="https://evil.test/x">',
  '<video src=x onerror=alert(1)></video>',
  '<video><source onerror="alert(1)"></video>',
  '<audio src="https://evil.test/a.mp3" autoplay>',
  '<body onload=alert(1)>',
  '<input autofocus onfocus=alert(1)>',
  '<details open ontoggle=alert(1)>',
  '<marquee onstart=alert(1)>x</marquee>',
  '<link rel=stylesheet href="https://evil.test/x.css">',
  '<link rel=prefetch href="https://evil.test/x">',
  '<meta http-equiv="refresh" content="0;url=https://evil.test">',
  '<base href="https://evil.test/">',
  '<style>@import "https://evil.test/x.css";</style>',
  '<div style="background:url(https://evil.test/x)">x</div>',
  '<table background="https://evil.test/x"><tr><td>x</td></tr></table>',
  '<noscript><p title="</noscript><img src=x onerror=alert(1)>"></noscript>',
  '<template><script>alert(1)</script></template>',
  '<!--><img src=x onerror=alert(1)>-->',
  '<![CDATA[<img src=x onerror=alert(1)>]]>',
  '<xmp><img src=x onerror=alert(1)></xmp>',
  '`</code><img src=x onerror=alert(1)>`',
  '```"><img src=x onerror=alert(1)>\n</code></pre><script>alert(1)</script>\n```',
  '```<script>\nx\n```',
  '| a |\n| - |\n| <img src=x onerror=alert(1)> |',
  '# <img src=x onerror=alert(1)>',
  '- [ ] <img src=x onerror=alert(1)>',
  '> <script>alert(1)</script>',
  '[x](https://e.test "\\" onmouseover=alert(1) ")',
  '[x](https://e.test/"onmouseover="alert(1))',
  '[<img src=x onerror=alert(1)>](https://e.test)',
  'https://e.test/"><img src=x onerror=alert(1)>',
  '\u001b]8;;javascript:alert(1)\u0007click\u001b]8;;\u0007',
  '<img src=`x`onerror=alert(1)>',
  '<a id=x tabindex=1 onfocus=alert(1)></a>',
  '<isindex action="javascript:alert(1)" type=image>',
  '<portal src="https://evil.test">',
];

const ALLOWED = new Set(
  'P H1 H2 H3 H4 H5 H6 UL OL LI BLOCKQUOTE PRE CODE EM STRONG DEL BR HR TABLE THEAD TBODY TR TH TD SPAN A'.split(
    ' ',
  ),
);
const HARMLESS = new Set(['class', 'data-url', 'title', 'role', 'tabindex', 'start', 'align']);

function check(markup: string, payload: string): void {
  const box = document.createElement('div');
  box.innerHTML = markup;
  for (const element of box.querySelectorAll('*')) {
    expect(ALLOWED, payload).toContain(element.tagName);
    for (const { name, value } of element.attributes) {
      expect(HARMLESS, `${payload}: ${name}="${value}"`).toContain(name);
      if (name === 'data-url') expect(safeUrl(value), payload).not.toBeNull();
    }
  }
}

describe('Markdown of an agent', () => {
  it.each(PAYLOADS)('runs and fetches nothing: %s', (payload) => {
    check(html(payload), payload);
    check(html(`before\n\n${payload}\n\nafter`), payload);
    check(html(`text ${payload} text`), payload);
  });

  it('is sanitised although the parser let something through', () => {
    for (const payload of PAYLOADS) check(sanitize(payload), payload);
  });

  it('runs nothing however the payload is cut while it streams', () => {
    for (const payload of PAYLOADS) {
      const stream = new MarkdownStream();
      for (let end = 1; end <= payload.length; end += 2)
        check(
          stream
            .update(payload.slice(0, end))
            .map((block) => block.html)
            .join(''),
          payload,
        );
    }
  }, 60_000);

  it('shows raw HTML as the text it is', () => {
    const box = document.createElement('div');
    box.innerHTML = html('a <b onclick="x()">bold</b> word');
    expect(box.textContent).toContain('<b onclick="x()">bold</b>');
  });

  it('gives links no address to follow by itself and shows where they lead', () => {
    const markup = html('[the docs](https://example.test/a) and https://plain.test/b');
    expect(markup).not.toContain('href');
    expect(markup).toContain('data-url="https://example.test/a"');
    expect(markup).toContain('<span class="addr">example.test</span>');
    expect(markup).not.toContain('<span class="addr">plain.test</span>');
  });

  it('gives the same blocks for a text that grows and for the whole', () => {
    const text =
      '# Head\n\nA paragraph\nof two lines.\n\n- one\n- two\n\n  more of two\n\n1. x\n\n```rust\nfn main() {}\n\nlet a = 1;\n```\n\n| a | b |\n| - | - |\n| 1 | 2 |\n\nend *here*';
    const whole = html(text);
    for (let seed = 1; seed <= 40; seed += 1) {
      const random = generator(seed);
      const stream = new MarkdownStream();
      for (let end = 0; end < text.length; end += 1 + Math.floor(random() * 9))
        stream.update(text.slice(0, end));
      expect(
        stream
          .update(text)
          .map((block) => block.html)
          .join(''),
        `seed ${seed}`,
      ).toBe(whole);
    }
  });

  it('keeps settled blocks while only the last one grows', () => {
    const stream = new MarkdownStream();
    const before = stream.update('One.\n\nTwo.\n\nThree').slice();
    const after = stream.update('One.\n\nTwo.\n\nThree and more');
    expect(after[0]).toBe(before[0]);
    expect(after[1]).toBe(before[1]);
    expect(after[2]).not.toBe(before[2]);
  });
});
