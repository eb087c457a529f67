import { screen, waitFor } from '@testing-library/svelte';
import userEvent from '@testing-library/user-event';
import { expect, it } from 'vitest';
import type { AgentEvent } from '../src/contract/contract';
import { FakeHost } from '../src/host/fake/fake';
import { tool } from '../src/host/fake/make';
import { open } from './page';

const SAID: AgentEvent = { type: 'message', id: 'm', text: 'Build it', delivery: 'prompt' };
/** A newer engine might say this; the card expects a list of hunks. */
const ODD = {
  type: 'tool_result',
  id: 'c',
  text: '',
  edit: { path: 'a' },
} as unknown as AgentEvent;
const WELL: AgentEvent = { type: 'tool_result', id: 'c', text: 'written' };

async function story(host: FakeHost, events: AgentEvent[]) {
  const run = host.add({ id: 'run-1', story: 'story-1', title: 'Build' }, events);
  const app = await open(host);
  app.openStory('story-1');
  return { app, run };
}

it('an item that cannot be drawn is one row, and the rest stays', async () => {
  const host = new FakeHost();
  const after: AgentEvent = { type: 'text', block: 'b', text: 'And so it went on.' };
  const { run } = await story(host, [SAID, tool('c', 'edit', 'Edit', 'src/a.rs'), ODD, after]);
  const broken = await screen.findByTestId('broken-row');
  await screen.findByText('And so it went on.');
  expect(screen.queryByTestId('broken-page')).toBeNull();
  await userEvent.setup().click(broken);
  expect(broken.parentElement?.textContent).toContain('src/a.rs');
  expect(host.calls.filter((call) => call.name === 'page_log')).toHaveLength(1);

  host.push(run, WELL);
  await waitFor(() => expect(screen.queryByTestId('broken-row')).toBeNull());
});

it('a page that cannot be drawn says so and offers to load it again', async () => {
  const host = new FakeHost();
  const { app } = await story(host, [SAID]);
  await screen.findByText('Build it');
  app.projects = [null as never];
  const card = await screen.findByTestId('broken-page');
  expect(card.textContent).toContain('The page met an error and cannot go on.');
  expect(screen.getByRole('button', { name: 'Reload' })).toBeTruthy();
  expect(host.calls.some((call) => call.name === 'page_log')).toBe(true);
});
