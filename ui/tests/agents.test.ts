import { cleanup, screen, waitFor } from '@testing-library/svelte';
import userEvent from '@testing-library/user-event';
import { beforeEach, describe, expect, it } from 'vitest';
import type { AgentEvent, EndpointSettings, RunSummary } from '../src/contract/contract';
import { FakeHost } from '../src/host/fake/fake';
import { called, openAtlas } from './page';

const SAID: AgentEvent = { type: 'message', id: 'm', text: 'Build it', delivery: 'prompt' };
const OVER: Partial<RunSummary> = {
  phase: 'done',
  status: 'completed',
  outcome: { reason: 'completed' },
};

async function story(
  given: Partial<RunSummary>,
  endpoint?: EndpointSettings,
  host = new FakeHost(),
) {
  const run = host.add({ id: 'run-1', story: 'story-1', ...given }, [SAID]);
  if (endpoint) run.story.settings.endpoint = endpoint;
  const app = await openAtlas(host);
  app.openStory('story-1');
  const picker = (await screen.findByTestId('agent')) as HTMLSelectElement;
  return { host, app, picker, user: userEvent.setup() };
}

/** Goes on with `words` by saying something; `become` is what the engine makes of it. */
async function goOn(
  { host, picker, user }: Awaited<ReturnType<typeof story>>,
  words: string,
  become: Partial<RunSummary>,
) {
  const before = called(host, 'run_resume').length;
  const run = host.runs.get('run-1');
  if (!run) throw new Error('no run');
  host.resumed = () => (run.summary = { ...run.summary, ...become });
  await user.selectOptions(picker, option(picker, words));
  await user.type(screen.getByTestId('composer-input'), 'Go on{Enter}');
  await waitFor(() => expect(called(host, 'run_resume')).toHaveLength(before + 1));
  await waitFor(() => expect(bare(picker.selectedOptions[0])).toBe(words));
  return called(host, 'run_resume').at(-1);
}

beforeEach(() => localStorage.clear());

/** Without what its server says of a model. */
const bare = (option?: HTMLOptionElement) => option?.text.split(' — ')[0] ?? '';
const words = (picker: HTMLSelectElement) => [...picker.options].map(bare);
const option = (picker: HTMLSelectElement, wanted: string) =>
  [...picker.options].find((one) => bare(one) === wanted) ?? wanted;

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

describe('an agent at an address', () => {
  const OLLAMA = { base_url: 'http://127.0.0.1:11434/v1', dialect: null };
  const QWEN = { ...OVER, runtime: 'openai', model: 'qwen3-coder' };
  const QWEN_THERE = 'qwen3-coder at 127.0.0.1:11434';

  it('can be had again after another one, with its address', async () => {
    const host = new FakeHost();
    host.runtimesFound = false;
    const shown = await story(QWEN, { ...OLLAMA, headers: { 'X-Key': 'canary' } }, host);
    await goOn(shown, 'Demo agent · its default', { runtime: 'demo', model: null, demo: true });
    expect(words(shown.picker)).toContain(QWEN_THERE);
    expect(JSON.stringify({ ...localStorage })).not.toContain('canary');
    expect(await goOn(shown, QWEN_THERE, QWEN)).toEqual({
      run: 'run-1',
      prompt: 'Go on',
      runtime: 'openai',
      model: 'qwen3-coder',
      endpoint: OLLAMA,
    });
  });

  it('keeps each of its models, also when the page is opened anew', async () => {
    const host = new FakeHost();
    host.local = [];
    const shown = await story(QWEN, OLLAMA, host);
    await shown.user.selectOptions(shown.picker, 'List the models at 127.0.0.1:11434');
    await waitFor(() => expect(words(shown.picker)).toContain('gpt-oss:20b at 127.0.0.1:11434'));
    const other = { model: 'gpt-oss:20b' };
    expect(await goOn(shown, 'gpt-oss:20b at 127.0.0.1:11434', other)).toEqual({
      run: 'run-1',
      prompt: 'Go on',
      ...other,
    });
    expect(words(shown.picker)).toContain(QWEN_THERE);
    cleanup();
    await story({ ...QWEN, ...other }, OLLAMA);
    const anew = screen.getByTestId('agent') as HTMLSelectElement;
    await waitFor(() => expect(words(anew)).toContain(QWEN_THERE));
  });

  it('is asked for its own models, and for those of the provider at the provider', async () => {
    const host = new FakeHost();
    const shown = await story(QWEN, OLLAMA, host);
    expect(words(shown.picker).filter((one) => one.startsWith('OpenAI'))).toEqual([]);
    expect(called(host, 'endpoint_probe')).toEqual([]);
    await shown.user.selectOptions(shown.picker, 'List the models at 127.0.0.1:11434');
    await waitFor(() => expect(called(host, 'endpoint_probe')).toHaveLength(1));
    expect(called(host, 'endpoint_probe')).toMatchObject([
      { runtime: 'openai', base_url: OLLAMA.base_url, round_trip: false },
    ]);
    await waitFor(() => expect(words(shown.picker)).toContain('gpt-oss:20b at 127.0.0.1:11434'));
    expect(words(shown.picker)).not.toContain('List the models at 127.0.0.1:11434');
    expect(bare(shown.picker.selectedOptions[0])).toBe(QWEN_THERE);

    host.keys.set('openai', 'keychain');
    await shown.app.ask();
    await waitFor(() => expect(words(shown.picker)).toContain('OpenAI · gpt-5.4'));
    const change = await goOn(shown, 'OpenAI · gpt-5.4', { model: 'gpt-5.4' });
    expect(change).toMatchObject({
      model: 'gpt-5.4',
      endpoint: { base_url: 'https://api.openai.com/v1', dialect: 'openai-responses' },
    });
  });

  it('shows what a model of the provider can hold and costs, once its list is asked for', async () => {
    const host = new FakeHost();
    host.keys.set('openai', 'keychain');
    const shown = await story({ ...OVER, runtime: 'openai', model: 'gpt-5.4' }, undefined, host);
    await shown.user.selectOptions(shown.picker, 'List the models of OpenAI');
    const listed = await waitFor(() => {
      const found = [...shown.picker.options].filter((one) => one.text.includes(' per million'));
      expect(found.length).toBeGreaterThan(0);
      return found;
    });
    expect(listed[0]?.text).toMatch(
      /^OpenAI · \S+ — \S.* tokens · \$\S+ in, \$\S+ out per million$/,
    );
    expect(words(shown.picker)).not.toContain('List the models of OpenAI');
  });
});
