//! What of an item is text that a person may look for.
import type { Item } from '../state/items';
import { plain, pretty } from './tools';

/** Items that did not change keep their identity, so each is put together once. */
const texts = new WeakMap<Item, string>();

/** In lower case. */
export function textOf(item: Item): string {
  const known = texts.get(item);
  if (known !== undefined) return known;
  const text = wordsOf(item).join('\n').toLowerCase();
  texts.set(item, text);
  return text;
}

function wordsOf(item: Item): string[] {
  switch (item.kind) {
    case 'user':
    case 'text':
    case 'thinking':
    case 'summary':
      return [item.text];
    case 'tool':
      return [...item.uses.flatMap(ofUse), ...item.children.map(textOf)];
    case 'permission':
      return [item.request.title, item.request.plan ?? '', item.answer?.message ?? ''];
    case 'question':
      return [
        ...item.question.questions.flatMap((one) => [
          one.question,
          ...one.options.map((option) => option.label),
        ]),
        ...Object.values(item.answer?.answers ?? {}),
      ];
    case 'steps':
      return item.entries.map((entry) => entry.text);
    case 'trouble':
      return [item.message, item.hint ?? ''];
    case 'notices':
      return item.lines.map((line) => plain(line.text));
    case 'raw':
      return item.values.map((one) => `${one.kind} ${pretty(one.value)}`);
    case 'gate':
      return [item.name, item.output ?? ''];
    default:
      return [];
  }
}

function ofUse({ call, result }: Extract<Item, { kind: 'tool' }>['uses'][number]): string[] {
  const lines = result?.edit?.hunks.flatMap((hunk) => hunk.lines.map((line) => line.slice(1)));
  return [call.title, ...(lines ?? [plain(result?.text ?? '')])];
}

/** How often `needle`, in lower case, is in `text`. */
export function times(text: string, needle: string): number {
  if (needle === '') return 0;
  let count = 0;
  for (let at = text.indexOf(needle); at >= 0; at = text.indexOf(needle, at + needle.length))
    count += 1;
  return count;
}
