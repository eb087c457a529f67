import { screen, waitFor } from '@testing-library/svelte';
import userEvent from '@testing-library/user-event';
import { describe, expect, it } from 'vitest';
import { FakeHost, fault } from '../src/host/fake/fake';
import { called, openAtlas } from './page';

async function two() {
  const host = new FakeHost();
  for (const id of ['a', 'b'])
    host.add({ id, story: `story-${id}`, title: `Work of ${id}` }, [
      { type: 'message', id: 'm', text: 'Build it', delivery: 'prompt' },
    ]);
  const app = await openAtlas(host);
  const show = async (id: string) => {
    app.openStory(`story-${id}`);
    await waitFor(() =>
      expect(screen.getByTestId('story-title').textContent).toBe(`Work of ${id}`),
    );
    await waitFor(() => expect(app.conversation(`story-${id}`).loaded).toBe(true));
  };
  await show('b');
  return { host, app, show, user: userEvent.setup() };
}
const mode = () => screen.getByLabelText('What it may do unasked') as HTMLSelectElement;

describe('never to ask', () => {
  it('is asked beside the choice, and is given to the story that it names', async () => {
    const { host, user } = await two();
    await user.selectOptions(mode(), 'bypass');
    expect(screen.getByTestId('never-ask').textContent).toContain('“Work of b”');
    expect(called(host, 'run_set_permission_mode')).toEqual([]);
    await user.click(screen.getByTestId('never-ask-yes'));
    const set = [{ run: 'b', mode: 'bypass' }];
    expect(called(host, 'run_set_permission_mode')).toEqual(set);
    await waitFor(() => expect(mode().value).toBe('bypass'));
    expect(screen.queryByTestId('never-ask')).toBeNull();
  });

  it('is offered no more where another story is open, or the run is over', async () => {
    const { host, app, show, user } = await two();
    await user.selectOptions(mode(), 'bypass');
    await show('a');
    expect(screen.queryByTestId('never-ask')).toBeNull();
    expect(app.notes).toEqual([]);
    await show('b');
    expect(screen.queryByTestId('never-ask')).toBeNull();
    await user.selectOptions(mode(), 'bypass');
    expect(screen.getByTestId('never-ask')).toBeTruthy();
    await host.call('run_stop', { run: 'b' });
    await waitFor(() => expect(screen.queryByTestId('never-ask')).toBeNull());
    expect(called(host, 'run_set_permission_mode')).toEqual([]);
  });

  it('says why it was refused, also to who went on to another story', async () => {
    const { host, app, show, user } = await two();
    const real = host.call.bind(host);
    let refuse: (() => void) | null = null;
    host.call = (name, params) =>
      name === 'run_set_permission_mode'
        ? new Promise((_, reject) => (refuse = () => reject(fault('conflict', 'It is over.'))))
        : real(name, params);
    const press = async () => {
      await user.selectOptions(mode(), 'bypass');
      await user.click(screen.getByTestId('never-ask-yes'));
    };
    await press();
    refuse!();
    expect((await screen.findByRole('alert')).textContent).toContain('It is over.');
    expect(mode().value).toBe('ask');
    await press();
    await show('a');
    refuse!();
    await waitFor(() =>
      expect(app.notes.map((one) => one.text)).toEqual(['Work of b: It is over.']),
    );
    expect(app.conversation('story-a').story?.settings.permission_mode).toBe('ask');
  });
});

it('what is sent stays the sending of its own story', async () => {
  const { host, app, show, user } = await two();
  const real = host.call.bind(host);
  let go: (() => void) | null = null;
  host.call = async (name, params) => {
    if (name === 'run_send') await new Promise<void>((done) => (go = done));
    return real(name, params);
  };
  app.drafts['story-a'] = 'Not yet';
  await user.type(screen.getByTestId('composer-input'), 'Go on{Enter}');
  await show('a');
  go!();
  await waitFor(() => expect(app.drafts['story-b']).toBe(''));
  expect(app.drafts['story-a']).toBe('Not yet');
  expect(called(host, 'run_send')).toMatchObject([{ run: 'b', text: 'Go on' }]);
});
