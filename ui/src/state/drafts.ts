//! What was written and not sent: kept by the browser for this address, so that it outlasts the page.
//! Another address, as a server with another port has, has drafts of its own.

const KEY = 'musher.draft.';

export type Drafts = Record<string, string>;

export function keptDrafts(): Drafts {
  const drafts: Drafts = {};
  for (const key of Object.keys(localStorage))
    if (key.startsWith(KEY)) drafts[key.slice(KEY.length)] = localStorage.getItem(key) ?? '';
  return drafts;
}

/** Keeps each draft that is not as it was `before`: another tab may have written the others since. */
export function keepDrafts(drafts: Drafts, before: Drafts): void {
  for (const [story, text] of Object.entries(drafts)) {
    if ((before[story] ?? '') === text) continue;
    try {
      if (text === '') localStorage.removeItem(KEY + story);
      else localStorage.setItem(KEY + story, text);
    } catch {
      // Without room it lasts as long as the page.
    }
  }
}
