import { describe, expect, it } from 'vitest';
import type { AgentEvent, EventEnvelope, RunOutcome } from '../src/contract/contract';
import { rowsToShow } from '../src/parts/leaves';
import type { TextItem, ThinkingItem, ToolItem } from '../src/state/items';
import { Transcript } from '../src/state/transcript';
import { endSentence, endWord, tryingWords } from '../src/words/states';
import { generator } from './random';

function envelopes(events: AgentEvent[]): EventEnvelope[] {
  return events.map((event, at) => ({
    run: 'r',
    seq: at + 1,
    at: new Date(1_760_000_000_000 + at * 250).toISOString(),
    event,
  }));
}

function fold(events: AgentEvent[]): Transcript {
  const transcript = new Transcript();
  transcript.apply(envelopes(events));
  return transcript;
}

const call = (id: string, kind: 'read' | 'run' | 'agent' = 'run', parent?: string): AgentEvent => ({
  type: 'tool_call',
  id,
  kind,
  name: 'Tool',
  title: id,
  input: {},
  parent,
});
const result = (id: string, parent?: string): AgentEvent => ({
  type: 'tool_result',
  id,
  text: `came of ${id}`,
  parent,
});

/** One of everything, with what belongs together far apart. */
const WHOLE: AgentEvent[] = [
  { type: 'message', id: 'm1', text: 'Do it', delivery: 'prompt' },
  { type: 'status', status: 'running', phase: 'running' },
  { type: 'session', session_id: 's', billing: 'subscription' },
  { type: 'thinking', block: 't', text: 'Let ', delta: true },
  { type: 'thinking', block: 't', text: 'me see', delta: true },
  { type: 'text', block: 'a', text: 'I ', delta: true },
  { type: 'text', block: 'a', text: 'will', delta: true },
  { type: 'text', block: 'a', text: 'I will.' },
  call('r1', 'read'),
  call('r2', 'read'),
  result('r2'),
  result('r1'),
  { type: 'plan', entries: [{ text: 'one', state: 'in_progress' }] },
  call('sub', 'agent'),
  call('in1', 'run', 'sub'),
  { type: 'text', block: 'sa', text: 'found', delta: true, parent: 'sub' },
  { type: 'text', block: 'sa', text: ' it', delta: true, parent: 'sub' },
  result('in1', 'sub'),
  { type: 'message', id: 'm2', text: 'And this', delivery: 'queue' },
  result('sub'),
  { type: 'plan', entries: [{ text: 'one', state: 'done' }] },
  { type: 'notice', stream: 'stderr', text: 'w1' },
  { type: 'notice', stream: 'stderr', text: 'w2' },
  { type: 'raw', kind: 'x', value: 1 },
  { type: 'raw', kind: 'y', value: 2 },
  call('c'),
  {
    type: 'permission_request',
    request: 'p',
    tool_call: 'c',
    tool: 'Bash',
    kind: 'run',
    title: 'rm -r x',
    input: {},
  },
  { type: 'permission_answer', request: 'p', decision: 'deny', by: 'user', message: 'no' },
  { type: 'question', request: 'q', questions: [] },
  { type: 'question_answer', request: 'q', answers: { a: 'b' }, by: 'user' },
  { type: 'rate_limit', state: 'warning', using_overage: false },
  { type: 'gate', name: 'tests', state: 'running' },
  { type: 'gate', name: 'tests', state: 'passed' },
  { type: 'warning', code: 'w', message: 'careful' },
  { type: 'error', code: 'e', message: 'broken', hint: 'mend it' },
  { type: 'changes', files: [{ path: 'a', kind: 'modified', added: 1, removed: 0 }] },
  { type: 'message_sent', id: 'm2' },
  { type: 'text', block: 's', text: 'So ', delta: true },
  { type: 'text', block: 's', text: 'far.', delta: true },
  { type: 'summary', text: 'So far.', kept: 0 },
  { type: 'warning', code: 'summing_up', message: 'Sums up' },
  { type: 'thinking', block: 's1', text: 'What was', delta: true },
  { type: 'text', block: 's2', text: 'All of it', delta: true },
  { type: 'summary', text: 'All of it.', kept: 0 },
  { type: 'turn_ended', ok: true },
  { type: 'done', outcome: { reason: 'completed' } },
];

describe('the fold of a transcript', () => {
  it('gives the same items however the events are cut, doubled and overlapped', () => {
    const expected = fold(WHOLE).items;
    const all = envelopes(WHOLE);
    for (let seed = 1; seed <= 300; seed += 1) {
      const random = generator(seed);
      const transcript = new Transcript();
      while (transcript.nextSeq <= all.length) {
        const back = Math.floor(random() * 4);
        const from = Math.max(0, transcript.nextSeq - 1 - back);
        transcript.apply(all.slice(from, transcript.nextSeq - 1 + 1 + Math.floor(random() * 6)));
      }
      expect(transcript.items, `seed ${seed}`).toEqual(expected);
    }
  });

  it('never changes what a view was given', () => {
    const all = envelopes(WHOLE);
    const transcript = new Transcript();
    const given: { items: unknown; copy: string }[] = [];
    for (const one of all) {
      transcript.apply([one]);
      given.push({ items: transcript.items, copy: JSON.stringify(transcript.items) });
    }
    for (const { items, copy } of given) expect(JSON.stringify(items)).toBe(copy);
  });

  it('keeps the identity of what did not change', () => {
    const transcript = new Transcript();
    const all = envelopes(WHOLE);
    transcript.apply(all.slice(0, 8));
    const before = transcript.items;
    transcript.apply(all.slice(8, 12));
    expect(transcript.items.slice(0, before.length)).toEqual(before);
    before.forEach((item, at) => expect(transcript.items[at]).toBe(item));
    expect(transcript.items).not.toBe(before);
  });

  it('does not take an event that skips a number', () => {
    const all = envelopes(WHOLE);
    const transcript = new Transcript();
    expect(transcript.apply(all.slice(0, 3))).toBe('changed');
    expect(transcript.apply(all.slice(4, 6))).toBe('gap');
    expect(transcript.nextSeq).toBe(4);
    expect(transcript.apply(all.slice(0, 2))).toBe('nothing');
    transcript.apply(all.slice(3));
    expect(transcript.items).toEqual(fold(WHOLE).items);
  });

  it('adds deltas and lets the whole block replace them', () => {
    const transcript = new Transcript();
    const all = envelopes(WHOLE);
    transcript.apply(all.slice(0, 7));
    const open = transcript.items.find((item) => item.kind === 'text') as TextItem;
    expect([open.text, open.open]).toEqual(['I will', true]);
    transcript.apply(all.slice(7));
    const whole = transcript.items.find((item) => item.kind === 'text') as TextItem;
    expect([whole.text, whole.open]).toEqual(['I will.', false]);
  });

  it('shows a summary where it was said, once, and folded away', () => {
    const said = (text: string): AgentEvent => ({ type: 'text', block: 's', text, delta: true });
    const summary: AgentEvent = { type: 'summary', text: 'All was read.', kept: 0 };
    const kinds = (events: AgentEvent[]) =>
      fold([...events, summary, { type: 'text', block: 't', text: 'On.' }]).items.map(
        (item) => item.kind,
      );
    expect(kinds([said('All was '), said('read.\n')])).toEqual(['summary', 'text']);
    expect(kinds([said('Something else')])).toEqual(['text', 'summary', 'text']);
    expect(kinds([{ type: 'text', block: 's', text: 'All was read.' }])).toEqual([
      'text',
      'summary',
      'text',
    ]);
    expect(kinds([])).toEqual(['summary', 'text']);
  });

  it('ends thoughts when something follows them', () => {
    const thought = fold(WHOLE).items.find((item) => item.kind === 'thinking') as ThinkingItem;
    expect([thought.text, thought.open]).toEqual(['Let me see', false]);
  });

  it('joins calls and results, reads that follow each other, and a sub-agent with its steps', () => {
    const tools = fold(WHOLE).items.filter((item) => item.kind === 'tool') as ToolItem[];
    expect(tools.map((item) => item.uses.map((use) => [use.call.id, use.result?.text]))).toEqual([
      [
        ['r1', 'came of r1'],
        ['r2', 'came of r2'],
      ],
      [['sub', 'came of sub']],
      [['c', undefined]],
    ]);
    expect(tools[1]?.children.map((child) => child.kind)).toEqual(['tool', 'text']);
    expect((tools[1]?.children[1] as TextItem).text).toBe('found it');
  });

  it('counts what a use took from its leave on', () => {
    const events = envelopes([
      call('c'),
      {
        type: 'permission_request',
        request: 'p',
        tool_call: 'c',
        tool: 'Bash',
        kind: 'run',
        title: 'echo one',
        input: null,
      },
      { type: 'permission_answer', request: 'p', decision: 'allow', by: 'user' },
      result('c'),
    ]);
    const at = ['12:00:00', '12:00:00', '12:01:30', '12:01:30.200'];
    const transcript = new Transcript();
    transcript.apply(events.map((one, n) => ({ ...one, at: `2026-05-01T${at[n]}Z` })));
    const use = (transcript.items[0] as ToolItem).uses[0];
    expect(use?.startedAt).toBe('2026-05-01T12:01:30Z');
    expect(use?.endedAt).toBe('2026-05-01T12:01:30.200Z');
  });

  it('shows a question and its answer once, and a failed one with its card', () => {
    const shown = (is_error: boolean) =>
      rowsToShow(
        fold([
          call('q'),
          {
            type: 'question',
            request: 'r',
            tool_call: 'q',
            questions: [{ question: 'Which?', header: 'c', options: [], multi_select: false }],
          },
          { type: 'question_answer', request: 'r', answers: { 'Which?': 'Green' }, by: 'user' },
          { type: 'tool_result', id: 'q', text: 'Green', is_error },
        ]).items.map((item) => ({ key: item.id, run: 'r', item })),
        false,
      ).map(({ item }) => item.kind);
    expect(shown(false)).toEqual(['question']);
    expect(shown(true)).toEqual(['tool', 'question']);
  });

  it('tells that it tries again only while nothing came after', () => {
    const away: AgentEvent = {
      type: 'warning',
      code: 'retry',
      message: 'Away. Tries again (3 of 5).',
    };
    expect(tryingWords(fold([away]).items.at(-1))).toBe('trying again (3 of 5)');
    const on: AgentEvent = { type: 'text', block: 'a', text: 'On' };
    expect(tryingWords(fold([away, on]).items.at(-1))).toBeNull();
  });

  it('shows a result whose call was never heard, and an event nobody knows', () => {
    const items = fold([result('lost'), { type: 'constructor', beam: 1 } as never]).items;
    expect(items.map((item) => item.kind)).toEqual(['tool', 'raw']);
    expect(items[1]).toMatchObject({ values: [{ kind: 'constructor', value: { beam: 1 } }] });
  });

  it('gives each answer to its request and knows who still waits', () => {
    const transcript = new Transcript();
    const asking = WHOLE.slice(0, 27);
    transcript.apply(envelopes(asking));
    expect(transcript.waiting().map((item) => item.id)).toEqual(['ask:p']);
    transcript.apply(envelopes(WHOLE));
    expect(transcript.waiting()).toEqual([]);
  });

  it('merges the end of the last turn with the end of the run', () => {
    const items = fold(WHOLE).items;
    expect(items.filter((item) => item.kind === 'end')).toHaveLength(1);
    expect(items.at(-1)).toMatchObject({ kind: 'end', outcome: { reason: 'completed' } });
    const two = fold([
      { type: 'turn_ended', ok: true },
      { type: 'text', block: 'z', text: 'x' },
      { type: 'done', outcome: { reason: 'completed' } },
    ]).items;
    expect(two.map((item) => item.kind)).toEqual(['end', 'text', 'end']);
  });

  it('counts for each turn what that turn used', () => {
    const usage = (input_tokens: number, cost_microdollars: number): AgentEvent => ({
      type: 'usage',
      usage: {
        input_tokens,
        output_tokens: 0,
        cache_creation_input_tokens: 0,
        cache_read_input_tokens: 0,
        cost_microdollars,
        cost_source: 'reported',
      },
    });
    const items = fold([
      usage(10, 5),
      { type: 'turn_ended', ok: true },
      { type: 'text', block: 'z', text: 'x' },
      usage(30, 9),
      { type: 'turn_ended', ok: true },
    ]).items;
    const used = items.flatMap((item) =>
      item.kind === 'end' ? [[item.usage?.input_tokens, item.usage?.cost_microdollars]] : [],
    );
    expect(used).toEqual([
      [10, 5],
      [20, 4],
    ]);
  });

  it('marks a queued message as waiting until it is said', () => {
    const transcript = new Transcript();
    transcript.apply(envelopes(WHOLE.slice(0, 19)));
    const waiting = transcript.items.filter((item) => item.kind === 'user').at(-1);
    expect(waiting).toMatchObject({ text: 'And this', sent: false });
    transcript.apply(envelopes(WHOLE));
    expect(transcript.items.filter((item) => item.kind === 'user').at(-1)).toMatchObject({
      sent: true,
    });
  });

  it('folds 10,000 events of 20 MB', () => {
    const prose = 'x'.repeat(2000);
    const events: AgentEvent[] = Array.from({ length: 10_000 }, (_, at): AgentEvent =>
      at % 3 === 0
        ? { type: 'text', block: `b${at}`, text: prose }
        : at % 3 === 1
          ? call(`c${at}`)
          : { type: 'tool_result', id: `c${at - 1}`, text: prose },
    );
    const all = envelopes(events);
    const transcript = new Transcript();
    for (let at = 0; at < all.length; at += 500) transcript.apply(all.slice(at, at + 500));
    expect(transcript.items.length).toBe(6667);
  });

  it('shows one line while the model sums up, and the summary in its place', () => {
    const events: AgentEvent[] = [
      { type: 'text', block: 'a', text: 'Before' },
      { type: 'warning', code: 'summing_up', message: 'Sums up the conversation' },
      { type: 'thinking', block: 't', text: 'hm', delta: true },
      { type: 'text', block: 'b', text: 'All of it', delta: true },
    ];
    expect(fold(events).items.map((item) => item.kind)).toEqual(['text', 'trouble']);
    events.push(
      { type: 'summary', text: 'All of it', kept: 0 },
      { type: 'text', block: 'c', text: 'On', delta: true },
    );
    expect(fold(events).items.map((item) => item.kind)).toEqual(['text', 'summary', 'text']);
  });

  it('tells of a limit once', () => {
    const resets_at = '2030-01-01T21:49:00Z';
    const outcome: RunOutcome = { reason: 'rate_limited', resets_at, window: 'five_hour' };
    const refused: AgentEvent = {
      type: 'error',
      code: 'rate_limit',
      message: 'You hit your limit',
    };
    const { items } = fold([
      {
        type: 'rate_limit',
        state: 'rejected',
        window: 'five_hour',
        resets_at,
        using_overage: false,
      },
      refused,
      { type: 'done', outcome },
    ]);
    expect(items.map((item) => item.kind)).toEqual(['limit', 'end']);
    const end = items[1];
    expect(end?.kind === 'end' && endSentence(outcome, end.told).sentence).toBe(
      'The limit stopped it.',
    );
    const alone = fold([refused, { type: 'done', outcome }]).items;
    expect(alone.map((item) => item.kind)).toEqual(['trouble', 'end']);
    expect(alone[1]?.kind === 'end' && alone[1].told).toBe(false);
    const over = { phase: 'done', outcome, files_changed: 0, waiting: 0 } as const;
    expect(endWord(over)).toMatch(/^used up the limit until .*\d\d:\d\d$/);
  });

  it('counts the tries of one thing in one place, and gives a reason once', () => {
    const warning = (message: string): AgentEvent => ({ type: 'warning', code: 'retry', message });
    const transcript = fold([
      warning('It cannot be reached. Tries again (1 of 5).'),
      warning('It cannot be reached. Tries again (2 of 5).'),
      warning('It is busy. Tries again (3 of 5).'),
      { type: 'error', code: 'x', message: 'It is busy.' },
      { type: 'done', outcome: { reason: 'failed', last_lines: ['It is busy.'] } },
    ]);
    const said = transcript.items.map((item) =>
      item.kind === 'trouble' ? item.message : item.kind,
    );
    expect(said).toEqual([
      'It cannot be reached. Tries again (2 of 5).',
      'It is busy. Tries again (3 of 5).',
      'It is busy.',
      'end',
    ]);
    const end = transcript.items.at(-1);
    expect(end?.kind === 'end' && endSentence(end.outcome as RunOutcome, end.told)).toEqual({
      sentence: 'The agent failed.',
      lines: [],
    });
  });
});
