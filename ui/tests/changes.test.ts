import { screen, waitFor } from '@testing-library/svelte';
import userEvent from '@testing-library/user-event';
import { describe, expect, it } from 'vitest';
import type { AgentEvent, FileChange } from '../src/contract/contract';
import { FakeHost, fault } from '../src/host/fake/fake';
import { hunk } from '../src/host/fake/make';
import { openAtlas } from './page';

const MANY = 20_000;
const files = Array.from({ length: MANY }, (_, at): FileChange => {
  return { path: `gen/part-${at}.rs`, kind: 'untracked', added: 3, removed: 0 };
});
const SAID: AgentEvent = { type: 'message', id: 'm', text: 'Generate', delivery: 'prompt' };

describe('a list of very many changed files', () => {
  it('draws those in sight alone, says how many there are, and is walked by keys', async () => {
    const host = new FakeHost();
    const run = host.add({ id: 'r', story: 's' }, [SAID, { type: 'changes', files }]);
    for (const file of files.slice(0, 3)) host.diff(run, file, [hunk(1, 1, ['+one'])]);
    const app = await openAtlas(host);
    app.openStory('s');

    await screen.findByText(/^20\s000 changed files$/);
    expect(screen.getAllByTestId('changed-file').length).toBeLessThan(80);
    const chosen = () =>
      document.querySelector('[data-testid="changed-file"][aria-current="true"]');
    await waitFor(() => expect(chosen()?.getAttribute('data-path')).toBe('gen/part-0.rs'));
    screen.getByTestId('changed-files').focus();
    await userEvent.setup().keyboard('{ArrowDown}{ArrowDown}');
    await waitFor(() => expect(chosen()?.getAttribute('data-path')).toBe('gen/part-2.rs'));
  });
});

it('the first file with lines is shown, until the person chooses another', async () => {
  const host = new FakeHost();
  const cache: FileChange = {
    path: 'a.pyc',
    kind: 'untracked',
    added: 0,
    removed: 0,
    binary: true,
  };
  const calc: FileChange = { path: 'calc.py', kind: 'modified', added: 1, removed: 1 };
  const run = host.add({ id: 'r', story: 's' }, [SAID, { type: 'changes', files: [cache] }]);
  for (const file of [cache, calc]) host.diff(run, file, []);
  const app = await openAtlas(host);
  app.openStory('s');
  const user = userEvent.setup();
  const shown = (path: string) =>
    waitFor(() =>
      expect(
        document.querySelector('[data-testid="changed-file"][aria-current="true"]'),
      ).toHaveProperty('dataset.path', path),
    );
  await shown('a.pyc');
  host.push(run, { type: 'changes', files: [cache, calc] });
  await shown('calc.py');
  await user.click(document.querySelector('[data-path="a.pyc"]')!);
  host.push(run, { type: 'changes', files: [cache, { ...calc, added: 2 }] });
  await waitFor(() => expect(app.conversation('s').files?.[1]?.added).toBe(2));
  await shown('a.pyc');
});

describe('changes that cannot be read', () => {
  const GONE = fault('git_failed', 'The folder `/x` is not there.', 'Run `git status`.');
  function failing(name: string, list: FileChange[]): FakeHost {
    const host = new FakeHost();
    const outcome = { reason: 'completed' } as const;
    host.add({ id: 'r', story: 's', phase: 'done', outcome }, [
      SAID,
      { type: 'changes', files: list },
      { type: 'done', outcome },
    ]);
    const real = host.call.bind(host);
    host.call = (asked, params) => (asked === name ? Promise.reject(GONE) : real(asked, params));
    return host;
  }

  it('are never told as none', async () => {
    const app = await openAtlas(failing('worktree_changes', []));
    app.openStory('s');
    await waitFor(() => expect(app.conversation('s').files).toEqual([]));
    const told = await screen.findByText('/x');
    expect(told.tagName).toBe('CODE');
    expect(screen.queryByText(/Nothing differs/)).toBeNull();
  });

  it('say what is code as code, in the place of the diff too', async () => {
    const app = await openAtlas(failing('worktree_diff', files.slice(0, 1)));
    app.openStory('s');
    expect((await screen.findByText('git status')).tagName).toBe('CODE');
  });
});
