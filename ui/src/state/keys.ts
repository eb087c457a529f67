//! The keys of the window, once: what they do, how they are shown on the sheet and in the palette.
export interface Key {
  id: string;
  /** As `KeyboardEvent.key`; `g x` is a sequence; `ctrl+k` also means Cmd on a Mac. */
  press: string;
  shown: string;
  words: string;
  group: 'Everywhere' | 'Answer' | 'Conversation' | 'Review' | 'Go to';
}

export const KEYS: readonly Key[] = [
  {
    id: 'palette',
    press: 'ctrl+k',
    shown: 'Ctrl K',
    words: 'Find or do anything',
    group: 'Everywhere',
  },
  { id: 'new', press: 'n', shown: 'N', words: 'New story', group: 'Everywhere' },
  { id: 'next', press: 'j', shown: 'J', words: 'Next story', group: 'Everywhere' },
  { id: 'previous', press: 'k', shown: 'K', words: 'Previous story', group: 'Everywhere' },
  { id: 'pane', press: 'f6', shown: 'F6', words: 'Next pane', group: 'Everywhere' },
  { id: 'keys', press: '?', shown: '?', words: 'This sheet', group: 'Everywhere' },
  { id: 'allow', press: 'a', shown: 'A', words: 'Allow once', group: 'Answer' },
  { id: 'deny', press: 'd', shown: 'D', words: 'Deny', group: 'Answer' },
  { id: 'option', press: '1-9', shown: '1 … 9', words: 'Choose an answer', group: 'Answer' },
  { id: 'write', press: 'i', shown: 'I', words: 'Write a message', group: 'Conversation' },
  {
    id: 'send',
    press: 'enter',
    shown: 'Enter',
    words: 'Send; Shift Enter for a new line',
    group: 'Conversation',
  },
  {
    id: 'stop',
    press: 'escape',
    shown: 'Esc',
    words: 'Back; pressed twice, stop the agent',
    group: 'Conversation',
  },
  {
    id: 'find',
    press: 'ctrl+f',
    shown: 'Ctrl F',
    words: 'Find in the conversation',
    group: 'Conversation',
  },
  { id: 'bottom', press: 'end', shown: 'End', words: 'Newest', group: 'Conversation' },
  { id: 'raw', press: 'r', shown: 'R', words: 'Show or hide raw events', group: 'Conversation' },
  {
    id: 'file-next',
    press: 'j',
    shown: 'J  K',
    words: 'Next and previous changed file',
    group: 'Review',
  },
  { id: 'diff', press: 'enter', shown: 'Enter', words: 'Into the diff', group: 'Review' },
  { id: 'go-overview', press: 'g o', shown: 'G O', words: 'Overview', group: 'Go to' },
  { id: 'go-needs', press: 'g n', shown: 'G N', words: 'Who needs you', group: 'Go to' },
  { id: 'go-changes', press: 'g c', shown: 'G C', words: 'Changes', group: 'Go to' },
  { id: 'go-transcript', press: 'g t', shown: 'G T', words: 'Conversation', group: 'Go to' },
];

/** The window's own id of each single key and sequence; the rest belongs to the focused part. */
const GLOBAL = new Set([
  'palette',
  'new',
  'next',
  'previous',
  'pane',
  'keys',
  'allow',
  'deny',
  'write',
  'stop',
  'bottom',
  'raw',
  'go-overview',
  'go-needs',
  'go-changes',
  'go-transcript',
]);
const SEQUENCE_MS = 1200;

export function isTyping(target: EventTarget | null): boolean {
  return (
    target instanceof Element &&
    target.closest('input, textarea, select, [contenteditable="true"]') !== null
  );
}

/** Turns key presses into ids; remembers a pending `g` for a moment. */
export class KeyReader {
  private pending = 0;

  read(event: KeyboardEvent): string | null {
    // What ends a composed character is not for the window.
    if (event.isComposing) return null;
    const name = event.key.toLowerCase();
    if ((event.ctrlKey || event.metaKey) && name === 'k') return 'palette';
    if ((event.ctrlKey || event.metaKey) && name === 'f') return 'find';
    if (name === 'f6') return 'pane';
    if (name === 'escape') return 'stop';
    if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return null;
    if (performance.now() < this.pending) {
      this.pending = 0;
      return idOf(`g ${name}`);
    }
    if (name === 'g') {
      this.pending = performance.now() + SEQUENCE_MS;
      return null;
    }
    return idOf(name);
  }
}

function idOf(press: string): string | null {
  return KEYS.find((key) => key.press === press && GLOBAL.has(key.id))?.id ?? null;
}
