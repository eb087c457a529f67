import { screen, waitFor } from '@testing-library/svelte';
import userEvent from '@testing-library/user-event';
import type { AppState } from '../src/state/app.svelte';
import { describe, expect, it } from 'vitest';
import { FakeHost, fault, type FakeRun } from '../src/host/fake/fake';
import { called, openAtlas } from './page';

const DONE = { status: 'completed', phase: 'done', outcome: { reason: 'completed' } } as const;

/** A story that was begun with a variable, in an engine that does not know its value. */
async function forgetful(): Promise<{ host: FakeHost; app: AppState; run: FakeRun }> {
  const host = new FakeHost();
  const run = host.add({ id: 'r', story: 's', ...DONE }, [
    { type: 'message', id: 'm', text: 'Build it', delivery: 'prompt' },
  ]);
  const real = host.call.bind(host);
  host.call = async (name, params) => {
    const { env } = params as { env?: Record<string, string> };
    if (['run_send', 'run_resume'].includes(name) && !env?.DB_URL)
      throw fault('values_missing', 'It was started with the variables DB_URL.');
    const reply = await real(name, params);
    if (name !== 'run_get') return reply;
    const detail = reply as { story: { settings: object } };
    const settings = { ...detail.story.settings, env_names: ['DB_URL'] };
    return { ...detail, story: { ...detail.story, settings } } as never;
  };
  const app = await openAtlas(host);
  app.openStory('s');
  return { host, app, run };
}

describe('values that were lost at a restart', () => {
  it('are asked for, and the message goes with them', async () => {
    const { host, app } = await forgetful();
    const user = userEvent.setup();
    await user.type(await screen.findByTestId('composer-input'), 'Go on{Enter}');
    await screen.findByText('1 value to give again');
    const field = screen.getByTestId('value') as HTMLInputElement;
    expect([field.type, document.activeElement]).toEqual(['password', field]);
    expect((screen.getByTestId('values-go') as HTMLButtonElement).disabled).toBe(true);
    await user.keyboard('postgres://x{Enter}');
    await waitFor(() => expect(app.floating).toBeNull());
    expect(called(host, 'run_resume')).toEqual([
      { run: 'r', prompt: 'Go on', env: { DB_URL: 'postgres://x' }, headers: {} },
    ]);
    expect(app.drafts.s).toBe('');
  });
});

describe('the palette', () => {
  it('offers no removal of a worktree that is gone', async () => {
    const host = new FakeHost();
    host.add({ id: 'r', story: 's', ...DONE }, [
      { type: 'message', id: 'm', text: 'Build it', delivery: 'prompt' },
    ]);
    const real = host.call.bind(host);
    let gone = false;
    host.call = (name, params) =>
      gone && name === 'worktree_changes'
        ? Promise.reject(fault('not_found', 'It is gone.'))
        : real(name, params);
    const app = await openAtlas(host);
    const looked = async () => {
      app.openStory('s');
      await screen.findByTestId(gone ? 'gone' : 'composer-input');
      app.floating = { kind: 'palette' };
      await screen.findByTestId('palette-input');
      return screen.queryByText('Remove worktree…');
    };
    expect(await looked()).not.toBeNull();
    gone = true;
    app.go({ kind: 'new' });
    await waitFor(() => expect(screen.queryByTestId('story-menu')).toBeNull());
    expect(await looked()).toBeNull();
  });
});
