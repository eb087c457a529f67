import { screen, waitFor } from '@testing-library/svelte';
import userEvent from '@testing-library/user-event';
import { describe, expect, it } from 'vitest';
import type { AgentEvent } from '../src/contract/contract';
import { FakeHost } from '../src/host/fake/fake';
import { tool } from '../src/host/fake/make';
import { textOf, times } from '../src/words/find';
import { open } from './page';

const text = (block: string, words: string): AgentEvent => ({ type: 'text', block, text: words });
const EVENTS: AgentEvent[] = [
  { type: 'message', id: 'm', text: 'Mend the Parser', delivery: 'prompt' },
  text('a', 'The parser drops a sign. The PARSER is in one file.'),
  tool('c', 'run', 'Bash', 'cargo test parser'),
  { type: 'tool_result', id: 'c', text: 'ok' },
  text('b', 'Done.'),
];

async function openStory(): Promise<FakeHost> {
  const host = new FakeHost();
  host.add({ id: 'run-1', story: 'story-1', title: 'Mend', phase: 'running' }, EVENTS);
  const app = await open(host);
  app.openStory('story-1');
  await screen.findByText('Done.');
  return host;
}
const count = () => screen.getByTestId('find-count').textContent;

describe('the search in a conversation', () => {
  it('counts matches anywhere, goes round, and Esc ends it and not the agent', async () => {
    const host = await openStory();
    const user = userEvent.setup();
    await user.keyboard('{Control>}f{/Control}');
    const field = await screen.findByTestId('find-input');
    expect(document.activeElement).toBe(field);
    await user.keyboard('parser');
    await waitFor(() => expect(count()).toBe('4 of 4'));
    await user.keyboard('{Enter}');
    expect(count()).toBe('1 of 4');
    await user.keyboard('{Shift>}{Enter}{/Shift}{Shift>}{Enter}{/Shift}');
    expect(count()).toBe('3 of 4');
    await user.keyboard('xyz');
    await waitFor(() => expect(count()).toBe('Not found'));

    (field as HTMLElement).blur();
    await user.keyboard('{Escape}');
    await waitFor(() => expect(screen.queryByTestId('find-input')).toBeNull());
    expect(host.calls.some((call) => call.name === 'run_stop')).toBe(false);
    await user.keyboard('{Escape}{Escape}');
    await waitFor(() => expect(host.calls.some((call) => call.name === 'run_stop')).toBe(true));
  });

  it('counts what comes while it is open', async () => {
    const host = await openStory();
    const user = userEvent.setup();
    await user.keyboard('{Control>}f{/Control}');
    await user.keyboard('done');
    await waitFor(() => expect(count()).toBe('1 of 1'));
    host.push([...host.runs.values()][0]!, text('d', 'Done again, and done.'));
    await waitFor(() => expect(count()).toBe('1 of 3'));
  });
});

it('knows the words of output, of edits and of answers', () => {
  const at = '2026-01-01T00:00:00Z';
  const call = { id: 'c', name: 'Edit', kind: 'edit' as const, title: 'src/A.rs', input: null };
  const hunk = { old_start: 1, old_lines: 0, new_start: 1, new_lines: 1, lines: ['+fn Added()'] };
  const result = { id: 'c', text: 'no', edit: { path: 'src/A.rs', created: false, hunks: [hunk] } };
  const uses = [{ call, result, startedAt: at }];
  const words = textOf({ kind: 'tool', id: 't', at, uses, children: [] });
  expect(words).toContain('src/a.rs');
  expect(words).toContain('fn added()');
  expect(times('aaa', 'aa')).toBe(1);
  expect(times('abc', '')).toBe(0);
});
