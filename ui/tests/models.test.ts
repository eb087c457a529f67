import { cleanup, screen, waitFor, within } from '@testing-library/svelte';
import userEvent from '@testing-library/user-event';
import axe from 'axe-core';
import { describe, expect, it } from 'vitest';
import { FakeHost } from '../src/host/fake/fake';
import { keyWords, listedWords } from '../src/words/models';
import { called, openAtlas } from './page';

const KEY = 'sk-canary-77aa01';

const place = (name: string) =>
  waitFor(() => {
    const found = screen
      .getAllByTestId('model-place')
      .find((element) => element.dataset.place === name);
    if (!found) throw new Error(`no place ${name}`);
    return within(found);
  });
const valueOf = (id: string) => (screen.getByTestId(id) as HTMLInputElement).value;

describe('a key', () => {
  it('is saved, is nowhere on the page afterwards, and is forgotten', async () => {
    const host = new FakeHost();
    const user = userEvent.setup();
    const app = await openAtlas(host);
    app.floating = { kind: 'models' };
    const openai = await place('openai');
    const field = openai.getByTestId('key-field') as HTMLInputElement;
    expect([field.type, field.autocomplete]).toEqual(['password', 'off']);
    expect(openai.getByText('No key')).toBeTruthy();
    await user.type(field, `${KEY}{Enter}`);
    await openai.findByText('A key, in the keychain');
    expect(called(host, 'key_set')).toEqual([{ place: 'openai', key: KEY, file: false }]);
    expect(field.value).toBe('');
    expect(document.documentElement.outerHTML).not.toContain(KEY);
    expect(JSON.stringify({ ...localStorage, ...sessionStorage })).not.toContain(KEY);
    await waitFor(() =>
      expect(app.info?.runtimes.find((one) => one.name === 'openai')?.found).toBe(true),
    );
    await user.click(openai.getByTestId('key-forget'));
    await openai.findByText('No key');
    expect(called(host, 'key_remove')).toEqual([{ place: 'openai' }]);
  });

  it('goes into a file only once the person said so', async () => {
    const host = new FakeHost();
    host.keychain = false;
    const user = userEvent.setup();
    (await openAtlas(host)).floating = { kind: 'models' };
    const openai = await place('openai');
    await user.type(openai.getByTestId('key-field'), `${KEY}{Enter}`);
    expect((await openai.findByRole('alert')).textContent).toContain('no keychain');
    expect(host.keys.size).toBe(0);
    await user.click(openai.getByTestId('key-file'));
    await openai.findByText('A key, in a file that only you can read');
    expect(called(host, 'key_set')).toMatchObject([{ file: false }, { file: true, key: KEY }]);
  });

  it('makes what was found out with another one void', async () => {
    const host = new FakeHost();
    const user = userEvent.setup();
    const app = await openAtlas(host);
    app.floating = { kind: 'models' };
    const gemini = await place('gemini');
    await user.click(gemini.getByTestId('probe'));
    expect((await gemini.findByTestId('probe-said')).textContent).toContain('refuses the key');
    expect(gemini.queryByTestId('round-trip')).toBeNull();
    await user.type(gemini.getByTestId('key-field'), `${KEY}{Enter}`);
    await waitFor(() => expect(gemini.queryByTestId('probe-said')).toBeNull());
  });
});

describe('a model server', () => {
  it('is asked only when the person wants it, and tried only when they want that', async () => {
    const host = new FakeHost();
    host.keys.set('openai', 'keychain');
    const user = userEvent.setup();
    (await openAtlas(host)).floating = { kind: 'models' };
    const openai = await place('openai');
    expect(called(host, 'endpoint_probe')).toEqual([]);
    expect(called(host, 'find_local_endpoints')).toEqual([]);
    await user.click(openai.getByTestId('probe'));
    await openai.findByText(/it lists 3 models/);
    await user.click(openai.getByTestId('round-trip'));
    await openai.findByText(/streams and calls tools/);
    expect(called(host, 'endpoint_probe')).toEqual([
      { runtime: 'openai', round_trip: false },
      { runtime: 'openai', round_trip: true },
    ]);
  });

  it('of this machine fills the new story with one click', async () => {
    const host = new FakeHost();
    const user = userEvent.setup();
    const app = await openAtlas(host);
    app.floating = { kind: 'models' };
    await user.click(await screen.findByTestId('look-local'));
    const [first] = await screen.findAllByTestId('use-local');
    if (!first) throw new Error('nothing was found');
    await user.click(first);
    expect(app.floating).toBeNull();
    await screen.findByTestId('address');
    expect(valueOf('address')).toBe('http://127.0.0.1:11434/v1');
    expect(valueOf('model')).toBe('qwen3-coder:30b');
    expect(valueOf('runtime')).toBe('openai');
    expect(screen.getByText('OpenAI-compatible', { selector: 'span' })).toBeTruthy();
    expect(screen.getByTestId('model-said').textContent).toBe('262 k tokens · costs nothing');
    const offered = [...screen.getByTestId('listed').querySelectorAll('option')];
    expect(offered.map((one) => one.value)).toEqual(['qwen3-coder:30b', 'gpt-oss:20b']);
    await user.type(screen.getByLabelText('What the agent should do'), 'Build it{Enter}');
    await waitFor(() => expect(called(host, 'run_start')).toHaveLength(1));
    expect(called(host, 'run_start')).toMatchObject([
      {
        settings: {
          runtime: 'openai',
          model: 'qwen3-coder:30b',
          endpoint: { base_url: 'http://127.0.0.1:11434/v1' },
        },
      },
    ]);
  });

  it('by its address gets a key of its own and says why it does not answer', async () => {
    const host = new FakeHost();
    const user = userEvent.setup();
    (await openAtlas(host)).floating = { kind: 'models' };
    await user.type(await screen.findByTestId('other-address'), 'http://far.example/v1/');
    const far = await place('http://far.example/v1');
    await user.click(far.getByTestId('probe'));
    await far.findByText(/cannot be reached/);
    expect(called(host, 'endpoint_probe')).toMatchObject([{ runtime: 'openai' }]);
    await user.type(far.getByTestId('key-field'), `${KEY}{Enter}`);
    await far.findByText('A key, in the keychain');
    expect(called(host, 'key_set')).toMatchObject([{ place: 'http://far.example/v1' }]);
  });

  it('is told what an address looks like once it was typed', async () => {
    const user = userEvent.setup();
    (await openAtlas(new FakeHost())).floating = { kind: 'models' };
    const field = await screen.findByTestId('other-address');
    await user.type(field, 'ftp://bad');
    expect(screen.queryByTestId('no-address')).toBeNull();
    await user.type(field, '{Enter}');
    expect(screen.getByTestId('no-address').textContent).toContain('begins with http://');
    expect(field.getAttribute('aria-invalid')).toBe('true');
    await user.clear(field);
    await user.type(field, 'http://far.example/v1{Enter}');
    expect(screen.queryByTestId('no-address')).toBeNull();
  });

  it('lists its models in the new story, with what is known of them', async () => {
    const host = new FakeHost();
    const user = userEvent.setup();
    await openAtlas(host);
    await user.selectOptions(await screen.findByTestId('runtime'), 'openai');
    expect(screen.getByTestId('open-models').textContent).toBe('Give it a key');
    expect((screen.getByTestId('list-models') as HTMLButtonElement).disabled).toBe(true);
    await user.type(screen.getByTestId('address'), 'http://127.0.0.1:11434/v1');
    await user.click(screen.getByTestId('list-models'));
    await waitFor(() =>
      expect(screen.getByTestId('listed').querySelectorAll('option')).toHaveLength(2),
    );
    const pick = screen.getByTestId('pick-model') as HTMLSelectElement;
    expect([...pick.options].map((one) => one.text)).toEqual([
      '2 models',
      'qwen3-coder:30b — 262 k tokens · costs nothing',
      expect.stringMatching(/^gpt-oss:20b/),
    ]);
    await user.selectOptions(pick, 'gpt-oss:20b');
    expect(valueOf('model')).toBe('gpt-oss:20b');
    await waitFor(() => expect(pick.value).toBe(''));
    await user.type(screen.getByTestId('model'), '-mine');
    expect(valueOf('model')).toBe('gpt-oss:20b-mine');
    await user.clear(screen.getByTestId('address'));
    expect(screen.queryByTestId('pick-model')).toBeNull();
    expect(screen.getByTestId('listed').querySelectorAll('option')).toHaveLength(0);
  });
});

it('a key that was refused is given anew before the run goes on', async () => {
  const host = new FakeHost();
  const outcome = { reason: 'authentication_required', message: 'Wrong key.' } as const;
  host.add({ id: 'r', story: 's', runtime: 'openai', phase: 'done', outcome }, [
    { type: 'message', id: 'm', text: 'Hello', delivery: 'prompt' },
    { type: 'done', outcome },
  ]);
  const app = await openAtlas(host);
  app.openStory('s');
  const give = await screen.findByTestId('give-key');
  const next = screen.getByTestId('continue');
  expect(give.compareDocumentPosition(next)).toBe(Node.DOCUMENT_POSITION_FOLLOWING);
  expect(screen.getByText('Its key was refused: Wrong key.')).toBeTruthy();
  await userEvent.setup().click(give);
  await screen.findByTestId('models');
});

describe('the agent of the last story', () => {
  const LAST = 'musher.last-agent';
  const AT = 'http://127.0.0.1:11434/v1';
  const start = async (host: FakeHost, address: string) => {
    const user = userEvent.setup();
    const app = await openAtlas(host);
    await user.selectOptions(await screen.findByTestId('runtime'), 'openai');
    await user.type(screen.getByTestId('model'), 'qwen3-coder');
    await user.type(screen.getByTestId('address'), address);
    app.models.chosen.headers = 'X-Key: canary';
    await user.type(screen.getByLabelText('What the agent should do'), 'Build it{Enter}');
    await waitFor(() => expect(called(host, 'run_start')).toHaveLength(1));
    await waitFor(() => expect(app.models.chosen.headers).toBe(''));
    return app;
  };

  it('is offered for the next one, also by a page that is opened anew', async () => {
    const app = await start(new FakeHost(), AT);
    expect(localStorage.getItem(LAST)).not.toContain('canary');
    app.go({ kind: 'new' });
    await screen.findByTestId('address');
    expect(['runtime', 'model', 'address'].map(valueOf)).toEqual(['openai', 'qwen3-coder', AT]);
    cleanup();
    await openAtlas(new FakeHost());
    await screen.findByTestId('address');
    expect(['runtime', 'model', 'address'].map(valueOf)).toEqual(['openai', 'qwen3-coder', AT]);
  });

  it('is not offered where it is no more, and an address with a secret is not kept', async () => {
    await start(new FakeHost(), 'http://ada:canary@far.example/v1');
    expect(localStorage.getItem(LAST)).toBeNull();
    cleanup();
    localStorage.setItem(LAST, JSON.stringify({ runtime: 'openai', model: 'm', address: '' }));
    await openAtlas(new FakeHost());
    expect(((await screen.findByTestId('runtime')) as HTMLSelectElement).value).toBe('claude-code');
  });
});

it('has nothing in the dialog that axe finds serious', async () => {
  const host = new FakeHost();
  const user = userEvent.setup();
  (await openAtlas(host)).floating = { kind: 'models' };
  await user.click((await place('gemini')).getByTestId('probe'));
  await user.click(screen.getByTestId('look-local'));
  await screen.findAllByTestId('use-local');
  const { violations } = await axe.run(screen.getByTestId('models'));
  const bad = violations.filter((one) => ['serious', 'critical'].includes(one.impact ?? ''));
  expect(bad.map((one) => one.id)).toEqual([]);
});

describe('words', () => {
  it('say only what is known of a model', () => {
    const model = { name: 'm', context: null, input_price: null, output_price: null };
    expect(listedWords(model)).toBe('');
    expect(listedWords({ ...model, context: 1_000_000 })).toBe('1 M tokens');
    const priced = { ...model, context: 400_000, input_price: 1_250_000, output_price: 10_000_000 };
    expect(listedWords(priced)).toBe('400 k tokens · $1.25 in, $10 out per million');
    expect(listedWords({ ...model, input_price: 20_000, output_price: 200_000 })).toBe(
      '$0.020 in, $0.20 out per million',
    );
  });
  it('say where a key is', () => {
    expect(keyWords(undefined, false)).toBe('No key');
    expect(keyWords(undefined, true)).toContain('environment');
    expect(keyWords({ place: 'openai', kept: 'file' }, true)).toContain('file');
  });
});
