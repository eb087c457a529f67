//! Models and keys in words.
import type { KeptKey, KeyState, ListedModel } from '../contract/contract';
import type { Shape } from './states';
import { short } from './figures';

/** `400 k tokens · $1.25 in, $10 out per million`; only what is known. */
export function listedWords(model: ListedModel): string {
  const room = model.context === null ? null : `${whole(model.context)} tokens`;
  return [room, priceWords(model)].filter((part) => part !== null).join(' · ');
}

function whole(tokens: number): string {
  return short(tokens).replace('.0 ', ' ');
}

function priceWords({ input_price, output_price }: ListedModel): string | null {
  if (input_price === null || output_price === null) return null;
  if (input_price === 0 && output_price === 0) return 'costs nothing';
  return `${dollars(input_price)} in, ${dollars(output_price)} out per million`;
}

function dollars(micro: number): string {
  const value = micro / 1_000_000;
  return `$${Number.isInteger(value) ? value : value.toFixed(value < 0.1 ? 3 : 2)}`;
}

/** Where the key of a place is, as far as it can be known without asking the place. */
export function keyWords(kept: KeptKey | undefined, found: boolean): string {
  if (kept?.kept === 'keychain') return 'A key, in the keychain';
  if (kept) return 'A key, in a file that only you can read';
  return found ? 'A key, from the environment' : 'No key';
}

/** What the place itself said of the key. */
export const KEY_SHAPES: Record<KeyState, [Shape, string]> = {
  known: ['done', 'well'],
  not_needed: ['done', 'well'],
  missing: ['idle', 'no key'],
  refused: ['fail', 'refused'],
};

export const NO_ADDRESS =
  'An address begins with http:// or https://, for example http://127.0.0.1:11434/v1.';
