//! Finds by letters in order; what begins with them, or has them at the beginning of words, first.

/** Higher fits better; -1 does not fit. */
export function fit(text: string, query: string): number {
  const hay = text.toLowerCase();
  const needle = query.toLowerCase().trim();
  if (needle === '') return 0;
  const whole = hay.indexOf(needle);
  if (whole === 0) return 100;
  if (whole > 0) return /\W/.test(hay[whole - 1] ?? ' ') ? 80 : 60;
  let score = 40;
  let at = -1;
  for (const letter of needle.replaceAll(' ', '')) {
    const next = hay.indexOf(letter, at + 1);
    if (next < 0) return -1;
    if (next !== at + 1) score -= /\W/.test(hay[next - 1] ?? ' ') ? 1 : 4;
    at = next;
  }
  return Math.max(0, score);
}

/** Those that fit, best first; in their own order where they fit alike. */
export function ranked<T>(list: readonly T[], query: string, words: (one: T) => string[]): T[] {
  if (query.trim() === '') return [...list];
  return list
    .map((one, index) => {
      const [first = '', ...more] = words(one);
      const score = Math.max(fit(first, query), ...more.map((text) => fit(text, query) - 30));
      return { one, index, score };
    })
    .filter(({ score }) => score > 0)
    .sort((a, b) => b.score - a.score || a.index - b.index)
    .map(({ one }) => one);
}
