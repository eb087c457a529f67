import { screen, waitFor } from '@testing-library/svelte';
import userEvent from '@testing-library/user-event';
import { describe, expect, it } from 'vitest';
import type { RemovalRefusal, RunSummary } from '../src/contract/contract';
import { FakeHost } from '../src/host/fake/fake';
import { called, open } from './page';

const OVER: Partial<RunSummary> = { phase: 'done', outcome: { reason: 'completed' } };

async function askRemoval(host: FakeHost, summary: Partial<RunSummary> = OVER) {
  host.add({ id: 'run-1', story: 'story-1', title: 'Build', worktree: '/w/build', ...summary });
  const app = await open(host);
  app.openStory('story-1');
  const user = userEvent.setup();
  await user.click(await screen.findByTestId('story-menu'));
  await user.click(screen.getByText('Remove worktree…'));
  await screen.findByTestId('remove-dialog');
  return user;
}
function refuse(host: FakeHost, refusals: RemovalRefusal[]) {
  host.removals[0] = { removed: false, refusals, rescue_ref: null, sentence: 'No.' };
}
const removals = (host: FakeHost) => called(host, 'worktree_remove');

describe('removing a worktree', () => {
  it('asks first, and the key that lies ready keeps it', async () => {
    const host = new FakeHost();
    const user = await askRemoval(host);
    expect(document.activeElement?.textContent).toContain('Back');
    expect(removals(host)).toEqual([]);
    await user.click(screen.getByTestId('remove'));
    await screen.findByText('The worktree was removed.');
    expect(removals(host)).toMatchObject([{ path: '/w/build', force: false }]);
  });

  it('names what would be lost and keeps a copy of it', async () => {
    const host = new FakeHost();
    refuse(host, [
      { reason: 'untracked_files', files: ['notes.txt'] },
      { reason: 'unique_commits', commits: ['0123456789abcdef'] },
    ]);
    const kept = 'The worktree was removed. What it held is kept in `refs/musher/rescue/a`.';
    host.removals[1] = { removed: true, refusals: [], rescue_ref: 'a', sentence: kept };
    const user = await askRemoval(host);
    await user.click(screen.getByTestId('remove'));
    const reasons = await screen.findByTestId('reasons');
    expect(reasons.textContent).toContain('1 file that git does not know');
    expect(reasons.textContent).toContain('notes.txt');
    expect(reasons.textContent).toContain('0123456789');
    await user.click(screen.getByTestId('remove-force'));
    await waitFor(() =>
      expect(screen.getByTestId('removed').textContent).toContain('refs/musher/rescue/a'),
    );
    expect(removals(host)).toMatchObject([{ force: false }, { force: true }]);
  });

  it('offers no way past a program that works in it', async () => {
    const host = new FakeHost();
    refuse(host, [
      { reason: 'tracked_changes', files: ['a'] },
      { reason: 'process_inside', pid: 7, name: 'vim' },
    ]);
    const user = await askRemoval(host);
    await user.click(screen.getByTestId('remove'));
    await screen.findByText(/The program vim/);
    expect(screen.queryByTestId('remove-force')).toBeNull();
  });

  it('is not offered while an agent works in it', async () => {
    const host = new FakeHost();
    await askRemoval(host, { phase: 'running' });
    screen.getByText('An agent works in it. Stop it first.');
    expect(screen.queryByTestId('remove')).toBeNull();
  });
});

it('the doctor says what it found, with the next step', async () => {
  const host = new FakeHost();
  await open(host);
  await userEvent.setup().click(await screen.findByTestId('open-doctor'));
  await screen.findByText('git 2.47.1 is installed.');
  screen.getByText('All that Musher needs is here');
  screen.getByText('The login shell did not answer within 5 seconds.');
  expect(screen.getAllByTestId('check')).toHaveLength(2);
});
