import { screen, waitFor } from '@testing-library/svelte';
import userEvent from '@testing-library/user-event';
import { describe, expect, it } from 'vitest';
import type { AgentEvent, RunSummary } from '../src/contract/contract';
import { FakeHost } from '../src/host/fake/fake';
import { called, openAtlas } from './page';

const SAID: AgentEvent = { type: 'message', id: 'm', text: 'Build it', delivery: 'prompt' };
const OVER: Partial<RunSummary> = {
  phase: 'done',
  status: 'completed',
  outcome: { reason: 'completed' },
};

async function story(given: Partial<RunSummary>) {
  const host = new FakeHost();
  host.add({ id: 'run-1', story: 'story-1', ...given }, [SAID]);
  const app = await openAtlas(host);
  app.openStory('story-1');
  const picker = (await screen.findByTestId('agent')) as HTMLSelectElement;
  return { host, picker, user: userEvent.setup() };
}

const words = (picker: HTMLSelectElement) => [...picker.options].map((one) => one.text);

describe('the agent of a story', () => {
  it('is another one once the story is over and something is said', async () => {
    const { host, picker, user } = await story(OVER);
    expect(words(picker)).toEqual([
      'Claude Code · Opus 4.8',
      'Claude Code · Sonnet 5',
      'Demo agent · its default',
      'Gemini · its default',
      'Gemini · gemini-3.5-flash',
    ]);
    await user.selectOptions(picker, 'Demo agent · its default');
    expect(called(host, 'run_set_model')).toEqual([]);
    await user.type(screen.getByTestId('composer-input'), 'And the docs{Enter}');
    const change = { run: 'run-1', prompt: 'And the docs', runtime: 'demo' };
    await waitFor(() => expect(called(host, 'run_resume')).toEqual([change]));
    expect(called(host, 'run_send')).toEqual([]);
  });

  it('keeps its place when only the model is another', async () => {
    const { host, picker, user } = await story(OVER);
    await user.selectOptions(picker, 'Claude Code · Sonnet 5');
    await user.type(screen.getByTestId('composer-input'), 'Go on{Enter}');
    const change = { run: 'run-1', prompt: 'Go on', model: 'claude-sonnet-5' };
    await waitFor(() => expect(called(host, 'run_resume')).toEqual([change]));
  });

  it('is told of another model while it lives, and stays what it is', async () => {
    const { host, picker, user } = await story({});
    expect(words(picker)).toEqual([
      'Claude Code · its default',
      'Claude Code · Opus 4.8',
      'Claude Code · Sonnet 5',
    ]);
    await user.selectOptions(picker, 'Claude Code · its default');
    expect(called(host, 'run_set_model')).toEqual([{ run: 'run-1', model: null }]);
    await user.type(screen.getByTestId('composer-input'), 'Go on{Enter}');
    await waitFor(() => expect(called(host, 'run_send')).toHaveLength(1));
  });
});
