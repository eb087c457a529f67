//! Characters that nobody sees although they change what a text says or how it stands: control and
//! direction signs, spaces without width or of another kind, halves of characters.
export interface Part {
  text: string;
  /** What is shown in its place, `⟨U+202E⟩`; absent for text that shows itself. */
  sign?: string;
}

// As text, since a pattern with such characters could not be read. `Cf` holds the direction signs,
// the joiners and the tags; `Mn` only its selectors of variants and the joiner of graphemes.
const CLASSES = String.raw`[\p{Cc}\p{Cf}\p{Cs}\p{Zs}\p{Zl}\p{Zp}]`;
const MORE = [
  String.raw`\u034F|\u115F|\u1160|\u17B4|\u17B5|\u2800|\u3164|\uFFA0`,
  String.raw`[\u180B-\u180F]|[\uFE00-\uFE0F]|[\u{E0100}-\u{E01EF}]`,
].join('|');
const UNSEEN = new RegExp(String.raw`(?![\n\t ])(?:${CLASSES}|${MORE})`, 'gu');

export function signOf(character: string): string {
  const code = character.codePointAt(0) ?? 0;
  return `⟨U+${code.toString(16).toUpperCase().padStart(4, '0')}⟩`;
}

/** The text in parts; joined again they are the text. */
export function partsOf(text: string): Part[] {
  const parts: Part[] = [];
  let from = 0;
  for (const found of text.matchAll(UNSEEN)) {
    if (found.index > from) parts.push({ text: text.slice(from, found.index) });
    parts.push({ text: found[0], sign: signOf(found[0]) });
    from = found.index + found[0].length;
  }
  if (from < text.length) parts.push({ text: text.slice(from) });
  return parts;
}
