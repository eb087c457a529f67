import { screen, waitFor, within } from '@testing-library/svelte';
import userEvent from '@testing-library/user-event';
import { afterEach, describe, expect, it, vi } from 'vitest';
import type { AgentEvent, FolderReport, PermissionRequest } from '../src/contract/contract';
import { FakeHost, fault } from '../src/host/fake/fake';
import { result, tool } from '../src/host/fake/make';
import { askedOf } from '../src/words/asked';
import { named, refusal } from '../src/words/folders';
import { partsOf } from '../src/words/signs';
import { resultNote, verbOf } from '../src/words/tools';
import { called, openAtlas } from './page';

const request = (more: Partial<PermissionRequest>): PermissionRequest => ({
  request: 'q',
  tool: 'Edit',
  kind: 'edit',
  title: 'src/a.rs',
  input: {},
  ...more,
});
const ASK: AgentEvent = {
  type: 'permission_request',
  ...request({ tool: 'Bash', kind: 'run', title: 'make', input: { command: 'make' } }),
};
const settle = () => new Promise((resolve) => setTimeout(resolve, 450));
const answers = (host: FakeHost) => called(host, 'run_answer');

describe('what is unseen in a text', () => {
  it('is named, and the parts joined are the text', () => {
    const text = 'ls \u202egnp\u200b\u0007 \u00a0é\n\tend\u{e0041}';
    const parts = partsOf(text);
    expect(parts.map((part) => part.text).join('')).toBe(text);
    expect(parts.flatMap((part) => part.sign ?? [])).toEqual([
      '⟨U+202E⟩',
      '⟨U+200B⟩',
      '⟨U+0007⟩',
      '⟨U+00A0⟩',
      '⟨U+E0041⟩',
    ]);
    expect(partsOf('plain text, 日本 ✔\n')).toHaveLength(1);
  });
});

describe('what a permission asks for', () => {
  it('is a diff for an edit, with whatever else the input says', () => {
    const asked = askedOf(
      request({
        input: {
          file_path: 'src/a.rs',
          old_string: 'a\nb\nc\n',
          new_string: 'a\nB\nc\n',
          replace_all: true,
        },
      }),
    );
    expect(asked.places).toEqual([
      [
        { sign: ' ', text: 'a' },
        { sign: '-', text: 'b' },
        { sign: '+', text: 'B' },
        { sign: ' ', text: 'c' },
      ],
    ]);
    expect([asked.added, asked.removed, asked.rest]).toEqual([1, 1, 'replace_all: true']);
  });

  it('is every line of a file that is written, and the ends of lines count', () => {
    const write = askedOf(request({ input: { file_path: 'src/a.rs', content: 'x\ny\n' } }));
    expect([write.whole, write.added, write.rest]).toEqual([true, 2, '']);
    const end = askedOf(request({ input: { old_string: 'a', new_string: 'a\n' } }));
    expect(end.added).toBe(1);
    const odd = askedOf(
      request({ input: { edits: [{ old_string: 'a', new_string: 'b', x: 1 }] } }),
    );
    expect(odd.places).toEqual([]);
    expect(odd.rest).toContain('old_string');
  });

  it('knows the edits of Musher’s own tool', () => {
    const ours = (input: object) => askedOf(request({ tool: 'edit_file', input }));
    const one = ours({ path: 'src/a.rs', old: 'a - b', new: 'a + b', replace_all: null });
    expect(one.places).toEqual([
      [
        { sign: '-', text: 'a - b' },
        { sign: '+', text: 'a + b' },
      ],
    ]);
    expect([one.whole, one.rest]).toEqual([false, '']);
    const all = ours({ path: 'src/a.rs', old: null, new: 'x\ny\n' });
    expect([all.whole, all.added, all.rest]).toEqual([true, 2, '']);
    const other = askedOf(request({ tool: 'db__swap', input: { old: 'a', new: 'b' } }));
    expect([other.places.length, other.rest]).toEqual([0, 'old: a\nnew: b']);
  });

  it('leaves nothing of a command’s input out', () => {
    const input = { command: 'make', description: 'Builds', run_in_background: true };
    const asked = askedOf(request({ kind: 'run', title: 'make', description: 'Builds', input }));
    expect(asked.rest).toBe('run_in_background: true');
  });
});

describe('a command that does not fit', () => {
  const real = Object.getOwnPropertyDescriptor(Element.prototype, 'scrollHeight');
  afterEach(() => real && Object.defineProperty(Element.prototype, 'scrollHeight', real));

  it('is allowed by no click and no key before its end was seen', async () => {
    Object.defineProperty(Element.prototype, 'scrollHeight', {
      configurable: true,
      get(this: Element) {
        return this.getAttribute('data-testid') === 'read-box' ? 666 : 0;
      },
    });
    const host = new FakeHost();
    host.add({ id: 'r', story: 's', phase: 'waiting_permission', waiting: 1 }, [ASK]);
    const app = await openAtlas(host);
    app.openStory('s');
    const box = await screen.findByTestId('read-box');
    box.scrollBy = () => undefined;
    expect((await screen.findByTestId('read-on')).textContent).toBe('37 more lines');
    expect((screen.getByTestId('allow') as HTMLButtonElement).disabled).toBe(true);
    await settle();
    const user = userEvent.setup();
    await user.keyboard('a');
    await settle();
    expect(answers(host)).toEqual([]);
    box.scrollTop = 666;
    box.dispatchEvent(new Event('scroll'));
    await waitFor(() =>
      expect((screen.getByTestId('allow') as HTMLButtonElement).disabled).toBe(false),
    );
    await user.keyboard('a');
    await waitFor(() => expect(answers(host)).toHaveLength(1));
  });
});

describe('the overview', () => {
  it('answers the first that waits by key, and one key answers one', async () => {
    const host = new FakeHost();
    for (const id of ['one', 'two'])
      host.add({ id, story: `s-${id}`, title: id, phase: 'waiting_permission', waiting: 1 }, [ASK]);
    const app = await openAtlas(host);
    app.go({ kind: 'overview' });
    expect(await screen.findAllByTestId('waiting-ask')).toHaveLength(2);
    await settle();
    await userEvent.setup().keyboard('aa');
    await waitFor(() => expect(screen.queryAllByTestId('waiting-ask')).toHaveLength(1));
    expect(answers(host)).toHaveLength(1);
    await userEvent.setup().click(screen.getByTestId('deny'));
    await waitFor(() => expect(screen.queryAllByTestId('waiting-ask')).toHaveLength(0));
    expect(answers(host)).toMatchObject([
      { answer: { kind: 'allow' } },
      { answer: { kind: 'deny' } },
    ]);
  });

  it('allows nothing that it does not show whole', async () => {
    const host = new FakeHost();
    const long = Array.from({ length: 42 }, (_, at) => `echo ${at}`).join('\n');
    host.add({ id: 'r', story: 's', phase: 'waiting_permission', waiting: 1 }, [
      { type: 'permission_request', ...request({ kind: 'run', title: long, input: {} }) },
    ]);
    const app = await openAtlas(host);
    app.go({ kind: 'overview' });
    await screen.findByText(/Open to see it/);
    expect(screen.queryByTestId('allow')).toBeNull();
    await settle();
    await userEvent.setup().keyboard('a');
    await waitFor(() => expect(app.chosen?.story).toBe('s'));
    expect(answers(host)).toEqual([]);
  });
});

describe('folders that are refused', () => {
  const report = (path: string, more: Partial<FolderReport> = {}): FolderReport => ({
    path,
    kind: 'plain_folder',
    top: null,
    root: null,
    branch: null,
    head: null,
    sentence: `\`${path}\` is not in a git repository.`,
    next: 'Run `git init`.',
    project: null,
    usable: false,
    ...more,
  });

  it('are one note, and each sentence names its folder', () => {
    const many = Array.from({ length: 38 }, (_, at) => report(`/x/${at}`));
    const file = report('/x/a', { kind: 'file', sentence: '`/x/a` is a file.' });
    expect(refusal([], 40)).toBeNull();
    expect(refusal([file], 40)?.text).toBe('`/x/a` is a file.');
    const same = refusal(many, 40);
    expect(same?.text).toBe('38 of 40 folders were not added: not in a git repository.');
    expect(same?.details?.[0]).toBe('/x/0');
    const mixed = refusal([...many, file], 40);
    expect(mixed?.text).toBe('39 of 40 folders were not added.');
    expect(mixed?.details?.at(-1)).toBe('`/x/a` is a file.');
    expect(named({ path: '/x/b.git', sentence: 'This is a bare repository: it is empty.' })).toBe(
      '`b.git` is a bare repository: it is empty.',
    );
    expect(named({ path: '/x/l', sentence: 'This link leads nowhere.' })).toBe(
      '`l`: This link leads nowhere.',
    );
  });

  it('beside one that was added are one note, which goes by itself but not while it is read', async () => {
    const host = new FakeHost();
    host.folders.set('/x/plain', report('/x/plain'));
    host.folders.set('/x/file', report('/x/file', { kind: 'file', sentence: 'It is a file.' }));
    const app = await openAtlas(host);
    vi.useFakeTimers();
    try {
      await app.drops.addAll(['/x/plain', '/x/file', '/x/good']);
      await vi.advanceTimersByTimeAsync(1);
      const [note, ...more] = screen.getByTestId('notes').querySelectorAll('.note');
      expect(more).toEqual([]);
      expect(note?.textContent).toContain('2 of 3 folders were not added.');
      within(note as HTMLElement)
        .getByText('Which ones')
        .focus();
      await vi.advanceTimersByTimeAsync(60_000);
      expect(app.notes).toHaveLength(1);
      (document.activeElement as HTMLElement).blur();
      await vi.advanceTimersByTimeAsync(60_000);
      expect(app.notes).toEqual([]);
    } finally {
      vi.useRealTimers();
    }
  });

  it('never take the window: three notes are seen, and Esc puts all away', async () => {
    const host = new FakeHost();
    const app = await openAtlas(host);
    for (let at = 0; at < 9; at += 1) app.note({ level: 'error', text: `Note ${at}.` });
    await screen.findByText('6 more');
    expect(screen.getAllByRole('alert')).toHaveLength(3);
    await userEvent.setup().keyboard('{Escape}');
    await waitFor(() => expect(screen.queryByTestId('notes')).toBeNull());
  });

  it('a path that was corrected is looked at again, however fast Enter came', async () => {
    const host = new FakeHost();
    host.folders.set('/x/on', report('/x/on'));
    const app = await openAtlas(host);
    app.floating = { kind: 'folder' };
    const user = userEvent.setup();
    await user.type(await screen.findByTestId('folder-path'), '/x/on');
    await screen.findByText(/is not in a git repository/);
    expect((screen.getByTestId('folder-add') as HTMLButtonElement).disabled).toBe(true);
    await user.keyboard('e{Enter}');
    await waitFor(() => expect(app.projects.map((one) => one.root)).toContain('/x/one'));
    expect(app.floating).toBeNull();
  });

  it('a look that fails says its next step', async () => {
    const host = new FakeHost();
    const app = await openAtlas(host);
    const real = host.call.bind(host);
    host.call = (name, params) =>
      name === 'folder_inspect'
        ? Promise.reject(fault('git_missing', 'git was not found.', 'Install git.'))
        : real(name, params);
    app.floating = { kind: 'folder' };
    await userEvent.setup().type(await screen.findByTestId('folder-path'), '/x');
    await screen.findByText(/Install git/);
  });
});

describe('the words of a tool', () => {
  const use = (kind: 'edit' | 'run', over = false) => ({
    call: { id: 'c', name: 'T', kind, title: 'x', input: null },
    startedAt: '',
    ...(over ? { result: { id: 'c', text: '', is_error: true } } : {}),
  });
  it('never say that something was done which was not', () => {
    const [yes, no] = [true, false];
    expect(verbOf(use('edit', true), { denied: yes, live: yes })).toBe('Not edited');
    expect(verbOf(use('edit', true), { denied: no, live: yes })).toBe('Not edited');
    expect(verbOf(use('run'), { denied: no, live: no })).toBe('Cut off');
    expect(verbOf(use('run'), { denied: no, live: yes })).toBe('Running');
    expect(verbOf(use('run', true), { denied: no, live: no })).toBe('Ran');
    const text = "The user doesn't want to proceed with this tool use. The tool use was rejected.";
    const stopped = { ...use('run'), result: { id: 'c', text, is_error: true }, endedAt: '' };
    expect(verbOf(stopped, { denied: no, live: no })).toBe('Cut off');
    expect(resultNote([{ ...stopped, endedAt: 'x' }]).bad).toBe(false);
  });
});

it('a worktree that is gone has no composer and nothing to remove', async () => {
  const host = new FakeHost();
  const outcome = { reason: 'completed' } as const;
  host.add({ id: 'r', story: 's', phase: 'done', outcome }, [
    tool('c', 'run', 'Bash', 'make'),
    result('c', 'ok'),
    { type: 'done', outcome },
  ]);
  const real = host.call.bind(host);
  host.call = (name, params) =>
    name === 'worktree_changes'
      ? Promise.reject(fault('not_found', 'The worktree /x is gone.', 'Start a new story.'))
      : real(name, params);
  const app = await openAtlas(host);
  app.openStory('s');
  await screen.findByTestId('gone');
  expect(screen.queryByTestId('composer-input')).toBeNull();
  const user = userEvent.setup();
  await user.click(screen.getByTestId('story-menu'));
  expect(screen.queryByText('Remove worktree…')).toBeNull();
  await user.keyboard('{Escape}');
  await user.click(screen.getByText(/^New story/, { selector: '[data-testid="gone"] button' }));
  expect(app.place).toEqual({ kind: 'new', project: 'api' });
});
