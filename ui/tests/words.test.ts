import { describe, expect, it } from 'vitest';
import { age, cost, countdown, grouped, homely, short, span } from '../src/words/figures';
import { modelWords } from '../src/words/choices';
import { ranked } from '../src/words/search';
import { endSentence, stateOf } from '../src/words/states';
import { plain } from '../src/words/tools';
import type { RunOutcome, RunPhase } from '../src/contract/contract';

const usage = {
  input_tokens: 0,
  output_tokens: 0,
  cache_creation_input_tokens: 0,
  cache_read_input_tokens: 0,
};

describe('figures', () => {
  it('are short and keep their form', () => {
    const now = Date.parse('2026-05-01T12:00:00Z');
    expect(
      [
        '2026-05-01T11:59:40Z',
        '2026-05-01T11:46:00Z',
        '2026-05-01T09:00:00Z',
        '2026-04-20T12:00:00Z',
      ].map((at) => age(at, now)),
    ).toEqual(['now', '14 m', '3 h', '11 d']);
    expect(countdown('2026-05-01T12:09:41Z', now)).toBe('9:41');
    expect(countdown('2026-05-01T11:00:00Z', now)).toBe('0:00');
    expect(span('2026-05-01T12:00:00Z', '2026-05-01T12:00:06.200Z')).toBe('6.2 s');
    expect(span('2026-05-01T12:00:00Z', '2026-05-01T12:03:05Z')).toBe('3 min 05 s');
    expect([short(940), short(12_400), short(1_200_000)]).toEqual(['940', '12.4 k', '1.2 M']);
    expect([grouped(9999), grouped(48_210)]).toEqual(['9999', '48\u202f210']);
    expect(homely('/home/ada/code')).toBe('~/code');
  });

  it('never invent money', () => {
    expect(cost({ ...usage, cost_microdollars: 0, cost_source: 'unknown' })).toBe('cost unknown');
    expect(cost({ ...usage, cost_microdollars: 1_940_000, cost_source: 'reported' })).toBe('$1.94');
    expect(cost({ ...usage, cost_microdollars: 4200, cost_source: 'estimated' })).toBe(
      'about $0.0042',
    );
    expect(cost({ ...usage, cost_microdollars: 0, cost_source: 'reported' })).toBe('$0.00');
    const least = { ...usage, cost_source: 'at_least' } as const;
    expect(cost({ ...least, cost_microdollars: 1_200_000 })).toBe('at least $1.20');
    expect(cost({ ...least, cost_microdollars: 0 })).toBe('cost unknown');
  });
});

describe('states', () => {
  const run = (phase: RunPhase, outcome: RunOutcome | null = null, files = 0) =>
    stateOf({ phase, outcome, files_changed: files, waiting: 0 }).shape;
  it('have a shape for each phase and outcome', () => {
    expect(
      [
        'queued',
        'preparing',
        'starting',
        'running',
        'waiting_permission',
        'waiting_answer',
        'waiting_rate_limit',
        'stopping',
        'unknown',
      ].map((phase) => run(phase as RunPhase)),
    ).toEqual(['idle', 'run', 'run', 'run', 'need', 'need', 'wait', 'run', 'run']);
    expect(run('done', { reason: 'completed' })).toBe('done');
    expect(run('done', { reason: 'completed' }, 3)).toBe('review');
    expect(run('done', { reason: 'stopped', by: 'user' })).toBe('stopped');
    expect(run('done', { reason: 'rate_limited' })).toBe('wait');
    expect(run('done', { reason: 'failed', last_lines: [] })).toBe('fail');
  });

  it('tell a quota that is used up from a server that is overloaded', () => {
    const resets_at = '2026-11-22T10:05:00Z';
    const ended = (window: string) => endSentence({ reason: 'rate_limited', resets_at, window });
    expect(ended('five_hour').sentence).toContain('The five-hour window is used up until');
    expect(ended('overload').sentence).toContain("The model's server is overloaded until");
  });

  it('say of a model server that its key was refused or is missing, and of a program to sign in', () => {
    const said = (message: string, told: boolean, overHttp: boolean) =>
      endSentence({ reason: 'authentication_required', message }, told, overHttp).sentence;
    expect(said('Wrong.', false, true)).toBe('Its key was refused: Wrong.');
    expect(said('Wrong.', true, true)).toBe('Its key was refused.');
    expect(said('There is no key for OpenAI.', true, true)).toBe('It has no key.');
    expect(said('Wrong.', true, false)).toBe('The agent is not signed in.');
  });

  it('end in the true words of what failed', () => {
    expect(endSentence({ reason: 'failed', exit_code: 1, last_lines: ['boom'] })).toEqual({
      sentence: 'The agent failed with exit code 1.',
      lines: ['boom'],
    });
    expect(endSentence({ reason: 'unconfirmed', left: [12, 13] }).sentence).toContain('12, 13');
  });
});

it('takes the codes of terminals out of output', () => {
  expect(plain('\u001b[1;32mok\u001b[0m \u001b]8;;https://x\u0007link\u001b]8;;\u0007')).toBe(
    'ok link',
  );
});

it('finds by beginnings, words and letters, best first', () => {
  const words = ['Move sessions to Postgres', 'New story', 'Upgrade the router', 'Theme: dark'];
  expect(ranked(words, 'new', (one) => [one])[0]).toBe('New story');
  expect(ranked(words, 'post', (one) => [one])).toEqual(['Move sessions to Postgres']);
  expect(ranked(words, 'utr', (one) => [one])).toContain('Upgrade the router');
  expect(ranked(words, 'zzz', (one) => [one])).toEqual([]);
});

it('names models as people do', () => {
  expect([
    modelWords('claude-opus-4-8'),
    modelWords('claude-sonnet-4-5-20250929'),
    modelWords('opus'),
  ]).toEqual(['Opus 4.8', 'Sonnet 4.5', 'opus']);
});
