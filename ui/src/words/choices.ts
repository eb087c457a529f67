//! What a person chooses for a run, in words.
import type { PermissionMode } from '../contract/contract';

export const MODES: readonly { mode: PermissionMode; label: string; words: string }[] = [
  {
    mode: 'ask',
    label: 'Ask before changes',
    words: 'It asks before it changes a file or runs a command.',
  },
  {
    mode: 'accept-edits',
    label: 'Ask before commands',
    words: 'It edits files in its worktree unasked and asks before commands.',
  },
  { mode: 'plan', label: 'Plan first', words: 'It only reads, then shows you a plan.' },
  {
    mode: 'bypass',
    label: 'Never ask',
    words: 'It asks nothing: every command runs at once, with your rights.',
  },
];

/** `claude-opus-4-8` as `opus 4.8`; anything else as it is. */
export function modelWords(model: string): string {
  const known = /^claude-([a-z]+)-(\d+)(?:-(\d{1,2}))?(?:-\d{8})?$/.exec(model);
  if (!known) return model;
  const [, family = '', major, minor] = known;
  return `${family.charAt(0).toUpperCase()}${family.slice(1)} ${major}${minor ? `.${minor}` : ''}`;
}
