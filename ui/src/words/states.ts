//! A run's state as a shape and a word, the same everywhere.
import type { RunOutcome, RunSummary } from '../contract/contract';

import type { Item } from '../state/items';

export type Shape = 'run' | 'need' | 'review' | 'done' | 'fail' | 'wait' | 'idle' | 'stopped';

export interface StateWords {
  shape: Shape;
  /** One or two words. */
  word: string;
}

type Summary = Pick<RunSummary, 'phase' | 'outcome' | 'files_changed' | 'waiting'>;

export function stateOf(run: Summary): StateWords {
  switch (run.phase) {
    case 'waiting_permission':
      return { shape: 'need', word: 'needs your leave' };
    case 'waiting_answer':
      return { shape: 'need', word: 'asks you' };
    case 'waiting_rate_limit':
      return { shape: 'wait', word: 'waits for the limit' };
    case 'queued':
      return { shape: 'idle', word: 'queued' };
    case 'preparing':
      return { shape: 'run', word: 'preparing' };
    case 'starting':
      return { shape: 'run', word: 'starting' };
    case 'stopping':
      return { shape: 'run', word: 'stopping' };
    case 'done':
      return endState(run.outcome, run.files_changed);
    default:
      return { shape: 'run', word: 'running' };
  }
}

function endState(outcome: RunOutcome | null, files: number): StateWords {
  switch (outcome?.reason) {
    case 'completed':
      return files > 0
        ? { shape: 'review', word: 'ready for review' }
        : { shape: 'done', word: 'done' };
    case 'stopped':
      return { shape: 'stopped', word: 'stopped' };
    case 'rate_limited':
      return { shape: 'wait', word: 'used up the limit' };
    case 'limit_reached':
      return { shape: 'fail', word: 'reached its limit' };
    case 'inactive':
      return { shape: 'fail', word: 'fell silent' };
    case 'unconfirmed':
      return { shape: 'fail', word: 'end not proved' };
    default:
      return { shape: 'fail', word: 'failed' };
  }
}

/** What the run does or waits for, with paths as they are within its worktree. */
export function detailOf(run: Pick<RunSummary, 'detail' | 'worktree'>): string | null {
  if (!run.detail || run.worktree === '') return run.detail;
  return run.detail.replaceAll(`${run.worktree}/`, '');
}

/** `trying again (3 of 5)`, while the last that was said is that its server is away. */
export function tryingWords(last: Item | undefined): string | null {
  if (last?.kind !== 'trouble' || last.code !== 'retry') return null;
  const count = /\(\d+ of \d+\)/.exec(last.message)?.[0];
  return ['trying again', count].filter(Boolean).join(' ');
}

/** The word for its end, with the time when a limit ends. */
export function endWord(run: Summary): string {
  const { word } = stateOf(run);
  const { outcome } = run;
  return outcome?.reason === 'rate_limited' && outcome.resets_at
    ? `${word} until ${clock(outcome.resets_at)}`
    : word;
}

export function isLive(run: Pick<RunSummary, 'phase'>): boolean {
  return run.phase !== 'done';
}

export function needsPerson(run: Pick<RunSummary, 'phase'>): boolean {
  return run.phase === 'waiting_permission' || run.phase === 'waiting_answer';
}

/** How a run ended, as a sentence, and what was said last. */
export function endSentence(
  outcome: RunOutcome,
  told = false,
  overHttp = false,
): { sentence: string; lines: string[] } {
  const lines = 'last_lines' in outcome ? outcome.last_lines : [];
  return told
    ? { sentence: toldOf(outcome, overHttp), lines: [] }
    : { sentence: sentenceOf(outcome, overHttp), lines };
}

/** What is left to say where the reason stands right above. */
function toldOf(outcome: RunOutcome, overHttp: boolean): string {
  if (outcome.reason === 'rate_limited') return 'The limit stopped it.';
  const sentence = sentenceOf(outcome, overHttp);
  return 'message' in outcome ? sentence.replace(`: ${outcome.message}`, '.') : sentence;
}

function sentenceOf(outcome: RunOutcome, overHttp: boolean): string {
  switch (outcome.reason) {
    case 'completed':
      return 'Done.';
    case 'failed':
      return outcome.exit_code == null
        ? 'The agent failed.'
        : `The agent failed with exit code ${outcome.exit_code}.`;
    case 'aborted_before_session':
      return outcome.signal == null
        ? 'The agent ended before it began a session.'
        : `The agent was ended by signal ${outcome.signal} before it began a session.`;
    case 'resume_rejected':
      return 'The runtime no longer knows this session. Sending a message starts a new one in the same worktree.';
    case 'rate_limited':
      if (outcome.window === 'overload' && outcome.resets_at)
        return `The model's server is overloaded until ${clock(outcome.resets_at)}.`;
      return outcome.resets_at
        ? `The ${windowWords(outcome.window)} is used up until ${clock(outcome.resets_at)}.`
        : `The ${windowWords(outcome.window)} is used up.`;
    case 'limit_reached':
      return {
        turns: 'It reached its limit of turns.',
        tool_calls: 'It reached its limit of tool calls.',
        tokens: 'It reached its limit of tokens.',
        money: 'It reached its limit of money.',
        time: 'It reached its limit of time.',
        unknown: 'It reached a limit of this run.',
      }[outcome.limit];
    case 'inactive':
      return `Nothing was heard for ${outcome.after_secs} seconds; the last event was ${outcome.last_event}.`;
    case 'stopped':
      return outcome.by === 'user' ? 'You stopped it.' : 'Musher stopped it.';
    case 'spawn_failed':
      return `The agent could not be started: ${outcome.message}`;
    case 'authentication_required':
      if (overHttp) return keySentence(outcome.message);
      return `The agent is not signed in: ${outcome.message}`;
    case 'unconfirmed':
      return `Its end could not be proved; these processes may still live: ${outcome.left.join(', ')}.`;
    default:
      return 'It ended in a way that this version does not know.';
  }
}

/** A model server knows no sign-in: its key is missing, as the engine says, or was refused. */
function keySentence(message: string): string {
  const what = message.startsWith('There is no key') ? 'It has no key' : 'Its key was refused';
  return `${what}: ${message}`;
}

export function windowWords(name: string | null | undefined): string {
  const known: Record<string, string> = {
    five_hour: 'five-hour window',
    seven_day: 'weekly window',
    seven_day_opus: 'weekly window of Opus',
  };
  return known[name ?? ''] ?? (name ? `${name.replaceAll('_', ' ')} window` : 'quota');
}

/** `07:30`, with the day when it is not today. */
export function clock(iso: string, now = new Date()): string {
  const at = new Date(iso);
  const time = at.toLocaleTimeString(undefined, {
    hour: '2-digit',
    minute: '2-digit',
    hour12: false,
  });
  if (at.toDateString() === now.toDateString()) return time;
  return `${at.toLocaleDateString(undefined, { weekday: 'short', day: 'numeric', month: 'short' })} ${time}`;
}
