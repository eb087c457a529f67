//! What a person chooses for a run, in words.
import type { PermissionMode, RuntimeInfo } from '../contract/contract';
import type { Agent } from '../state/agents';
import type { Chosen, Limit } from '../state/chosen';

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

/** `OpenAI · gpt-5.4`; at an address of the person's own, whose model it is says the address. */
export function agentWords(label: string, { model, place }: Agent): string {
  const words = model === null ? 'its default' : modelWords(model);
  return place ? `${words} at ${hostOf(place.base_url ?? '')}` : `${label} · ${words}`;
}

/** `127.0.0.1:11434` of `http://127.0.0.1:11434/v1`. */
export function hostOf(address: string): string {
  return URL.canParse(address) ? new URL(address).host : address;
}

interface LimitWords {
  limit: Limit;
  words: string;
  long: string;
}

const ALL: readonly LimitWords[] = [
  { limit: 'dollars', words: 'dollars', long: 'Dollars at most' },
  { limit: 'minutes', words: 'minutes', long: 'Minutes at most' },
  { limit: 'turns', words: 'turns', long: 'Turns at most: answers of the model' },
];
/** An agent with a loop of its own counts neither. */
const OVER_HTTP: readonly LimitWords[] = [
  { limit: 'calls', words: 'tool calls', long: 'Tool calls at most' },
  { limit: 'tokens', words: 'tokens', long: 'Tokens at most, in and out' },
];

/** The limits that a runtime can hold. */
export function limitsOf({ over_http }: RuntimeInfo): readonly LimitWords[] {
  return over_http ? [...ALL, ...OVER_HTTP] : ALL;
}

/** Whether its agents can be given Musher's tools besides their own. */
export function takesTools({ name }: RuntimeInfo): boolean {
  return name === 'claude-code';
}

/** What was wished where it is folded away: in sight it stays, in few words. */
export function wishedWords({ limits, engineTools }: Chosen): string {
  const set = [...ALL, ...OVER_HTTP].filter(({ limit }) => limits[limit].trim() !== '');
  const most = set.map(({ limit, words }) => `${limits[limit].trim()} ${words}`).join(', ');
  return [most && `at most ${most}`, engineTools && "with Musher's tools"]
    .filter(Boolean)
    .join(', ');
}
