import { fireEvent, screen, waitFor, within } from '@testing-library/svelte';
import userEvent from '@testing-library/user-event';
import { describe, expect, it, vi } from 'vitest';
import type { AgentEvent } from '../src/contract/contract';
import { FakeHost, fault, type FakeRun } from '../src/host/fake/fake';
import { tool } from '../src/host/fake/make';
import { AppState } from '../src/state/app.svelte';
import { called, open, PROJECT } from './page';

const ASK: AgentEvent = {
  type: 'permission_request',
  request: 'q',
  tool_call: 'c',
  tool: 'Bash',
  kind: 'run',
  title: 'rm -rf build && make',
  input: { command: 'rm -rf build && make' },
};
const SAID: AgentEvent = { type: 'message', id: 'm', text: 'Build it', delivery: 'prompt' };

function asking(host: FakeHost, id = 'run-1'): FakeRun {
  return host.add(
    { id, story: `story-${id}`, title: `Work of ${id}`, phase: 'waiting_permission', waiting: 1 },
    [SAID, tool('c', 'run', 'Bash', 'rm -rf build && make'), ASK],
  );
}

/** A story that waits for leave, opened. */
async function openAsked(): Promise<FakeHost> {
  const host = new FakeHost();
  host.projects = [PROJECT];
  asking(host);
  const app = await open(host);
  app.openStory('story-run-1');
  await screen.findByTestId('permission');
  return host;
}

/** Longer than a card refuses keys that were meant for what was there before. */
const settle = () => new Promise((resolve) => setTimeout(resolve, 450));

describe('with keys alone', () => {
  it('starts, answers, talks on and stops', async () => {
    const host = new FakeHost();
    host.projects = [PROJECT];
    host.onStart = (run) => {
      host.push(run, tool('c', 'run', 'Bash', 'rm -rf build && make'));
      host.push(run, ASK, { phase: 'waiting_permission', waiting: 1 });
    };
    const user = userEvent.setup();
    await open(host);

    (document.activeElement as HTMLElement).blur();
    await user.keyboard('n');
    await user.keyboard('Build it{Enter}');
    await screen.findByTestId('permission');
    expect(called(host, 'run_start')).toMatchObject([
      {
        prompt: 'Build it',
        place: { kind: 'fresh', repository: PROJECT.root, base: 'main' },
        settings: { runtime: 'claude-code', permission_mode: 'ask' },
      },
    ]);
    expect(screen.getByTestId('permission').textContent).toContain('rm -rf build && make');

    await settle();
    (document.activeElement as HTMLElement).blur();
    await user.keyboard('a');
    await waitFor(() => expect(screen.queryByTestId('permission')).toBeNull());
    expect(called(host, 'run_answer')).toEqual([
      { run: 'run-1', request: 'q', answer: { kind: 'allow' } },
    ]);

    await user.keyboard('i');
    await user.keyboard('And the docs{Shift>}{Enter}{/Shift}please{Enter}');
    await waitFor(() =>
      expect(called(host, 'run_send')).toEqual([
        { run: 'run-1', text: 'And the docs\nplease', delivery: 'queue' },
      ]),
    );

    await user.keyboard('{Escape}');
    expect(screen.getByTestId('stop-again').textContent).toContain('again stops coder-1');
    expect(called(host, 'run_stop')).toEqual([]);
    await user.keyboard('{Escape}');
    await waitFor(() => expect(called(host, 'run_stop')).toHaveLength(1));
    await screen.findByText('You stopped it.');
  });

  it('answers nothing while somebody types, and nothing that only just appeared', async () => {
    const user = userEvent.setup();
    const host = await openAsked();
    await user.keyboard('a');
    expect(called(host, 'run_answer')).toEqual([]);
    await settle();
    await user.click(screen.getByTestId('composer-input'));
    await user.keyboard('a bad day');
    expect(called(host, 'run_answer')).toEqual([]);
    expect((screen.getByTestId('composer-input') as HTMLTextAreaElement).value).toBe('a bad day');
  });

  it('sends one answer although the key is pressed many times', async () => {
    const host = await openAsked();
    await settle();
    await userEvent.setup().keyboard('dddaa');
    await waitFor(() => expect(screen.queryByTestId('permission')).toBeNull());
    expect(called(host, 'run_answer')).toEqual([
      { run: 'run-1', request: 'q', answer: { kind: 'deny' } },
    ]);
  });

  it('are written to the new story after its start, and Esc beside it stops nobody', async () => {
    const host = new FakeHost();
    host.projects = [PROJECT];
    host.onStart = (run) => host.push(run, SAID);
    const user = userEvent.setup();
    await open(host);
    await user.keyboard('n');
    await user.keyboard('Build it{Enter}');
    await screen.findByTestId('stop');
    const field = await screen.findByTestId('composer-input');
    await waitFor(() => expect(document.activeElement).toBe(field));

    field.blur();
    await user.keyboard('{Escape}');
    expect(document.activeElement).toBe(screen.getByTestId('composer-input'));
    await user.keyboard('{Escape}');
    expect(called(host, 'run_stop')).toEqual([]);
    await user.keyboard('{Escape}');
    await waitFor(() => expect(called(host, 'run_stop')).toHaveLength(1));
  });

  it('stops nobody with a second Esc that comes late, or with a key that is held down', async () => {
    const host = new FakeHost();
    host.projects = [PROJECT];
    host.add({ id: 'r', story: 's', phase: 'running' }, [SAID]);
    const app = await open(host);
    app.openStory('s', true);
    const field = await screen.findByTestId('composer-input');
    await waitFor(() => expect(document.activeElement).toBe(field));
    const escape = (repeat = false) => fireEvent.keyDown(field, { key: 'Escape', repeat });
    vi.useFakeTimers();
    try {
      await escape();
      await escape(true);
      await escape(true);
      expect(screen.getByTestId('stop-again').textContent).toContain('again stops');
      await vi.advanceTimersByTimeAsync(2100);
      expect(screen.getByTestId('stop-again').textContent.trim()).toBe('');
      await escape();
    } finally {
      vi.useRealTimers();
    }
    expect(called(host, 'run_stop')).toEqual([]);
  });

  it('Esc beside the conversation goes to the card that waits', async () => {
    const user = userEvent.setup();
    const host = await openAsked();
    (document.activeElement as HTMLElement).blur();
    await user.keyboard('{Escape}');
    expect(screen.getByTestId('permission').contains(document.activeElement)).toBe(true);
    expect(called(host, 'run_stop')).toEqual([]);
  });

  it('a stop while something is asked takes that back, and no rule is named', async () => {
    const host = new FakeHost();
    host.projects = [PROJECT];
    const edit = {
      ...ASK,
      tool: 'Edit',
      kind: 'edit',
      title: 'notes.txt',
      input: {},
    } as AgentEvent;
    const run = host.add({ id: 'r', story: 's', phase: 'waiting_permission', waiting: 1 }, [
      SAID,
      tool('c', 'edit', 'Edit', 'notes.txt'),
      edit,
    ]);
    const app = await open(host);
    app.openStory('s');
    await screen.findByTestId('permission');
    const outcome = { reason: 'stopped', by: 'user' } as const;
    host.push(run, { type: 'permission_answer', request: 'q', decision: 'deny', by: 'withdrawn' });
    const card = await screen.findByLabelText('Not edited notes.txt');
    expect(card.textContent).toContain('taken back');
    host.push(run, { type: 'done', outcome }, { phase: 'done', outcome });
    await waitFor(() => expect(card.textContent).toContain('taken back by the stop'));
    expect(card.textContent).not.toContain('rule');
  });

  it('keeps a draft for the page that is opened next, until it is sent', async () => {
    const host = new FakeHost();
    host.projects = [PROJECT];
    asking(host);
    const user = userEvent.setup();
    const app = await open(host);
    app.openStory('story-run-1');
    await user.type(await screen.findByTestId('composer-input'), 'And the docs');
    await waitFor(() => expect(new AppState(host).drafts['story-run-1']).toBe('And the docs'));
    await user.keyboard('{Enter}');
    await waitFor(() => expect(new AppState(host).drafts).toEqual({}));
  });

  it('goes through stories and keeps each draft', async () => {
    const host = new FakeHost();
    host.projects = [PROJECT];
    asking(host, 'one');
    host.add(
      { id: 'two', story: 'story-two', title: 'Second', created_at: '2026-01-01T00:00:00Z' },
      [SAID],
    );
    const user = userEvent.setup();
    const app = await open(host);
    app.openStory('story-one');
    await user.click(await screen.findByTestId('composer-input'));
    await user.keyboard('half a thought');
    (document.activeElement as HTMLElement).blur();
    await user.keyboard('j');
    expect(app.chosen?.story).toBe('story-two');
    await waitFor(() =>
      expect((screen.getByTestId('composer-input') as HTMLTextAreaElement).value).toBe(''),
    );
    await user.keyboard('k');
    await waitFor(() =>
      expect((screen.getByTestId('composer-input') as HTMLTextAreaElement).value).toBe(
        'half a thought',
      ),
    );
    await user.keyboard('go');
    expect(app.place.kind).toBe('overview');
    await user.keyboard('gn');
    expect(app.chosen?.story).toBe('story-one');
  });

  it('answers a question with a number', async () => {
    const host = new FakeHost();
    host.projects = [PROJECT];
    const questions = [
      {
        header: 'Pool',
        question: 'How many?',
        multi_select: false,
        options: [{ label: 'Ten' }, { label: 'Two' }],
      },
    ];
    host.add({ id: 'r', story: 's', phase: 'waiting_answer' }, [
      SAID,
      { type: 'question', request: 'q', questions },
    ]);
    const app = await open(host);
    app.openStory('s');
    await screen.findByTestId('question');
    await settle();
    await userEvent.setup().keyboard('2');
    await waitFor(() =>
      expect(called(host, 'run_answer')).toEqual([
        { run: 'r', request: 'q', answer: { kind: 'answers', answers: { 'How many?': 'Two' } } },
      ]),
    );
  });

  it('opens the palette, finds a story and goes there; the sheet shows every key', async () => {
    const host = new FakeHost();
    host.projects = [PROJECT];
    asking(host, 'one');
    host.add({ id: 'two', story: 'story-two', title: 'Upgrade the router' }, [SAID]);
    const user = userEvent.setup();
    const app = await open(host);
    await user.keyboard('{Control>}k{/Control}');
    await user.type(screen.getByTestId('palette-input'), 'router{Enter}');
    expect(app.chosen?.story).toBe('story-two');
    await user.keyboard('?');
    expect(within(screen.getByTestId('key-sheet')).getByText('Allow once')).toBeTruthy();
    await user.keyboard('{Escape}');
    expect(screen.queryByTestId('key-sheet')).toBeNull();
  });
});

it('a host that is gone is told once, beside the panes and not above them', async () => {
  const host = new FakeHost();
  host.projects = [PROJECT];
  asking(host);
  const hear = host.onNews.bind(host);
  let lost: (() => void) | undefined;
  host.onNews = (onNews: Parameters<typeof hear>[0], _gap?: () => void, onLost?: () => void) => {
    lost = onLost;
    return hear(onNews);
  };
  const real = host.call.bind(host);
  let gone = false;
  host.call = (name, params) =>
    gone ? Promise.reject(fault('internal', 'Nobody answers.', 'Start it.')) : real(name, params);
  const app = await open(host);
  app.openStory('story-run-1');
  await screen.findByTestId('permission');
  gone = true;
  app.conversation('story-run-1').trouble = 'Nobody answers. Asking again.';
  lost?.();
  await screen.findByTestId('lost');
  expect(screen.getAllByText(/Nobody answers/)).toHaveLength(1);
  expect(screen.queryByTestId('notes')).toBeNull();
  gone = false;
  await app.ask();
  await waitFor(() => expect(screen.queryByTestId('lost')).toBeNull());
});

describe('the first start', () => {
  it('offers the demo, which needs no repository', async () => {
    const host = new FakeHost();
    await open(host);
    await userEvent.setup().click(screen.getByTestId('try-demo'));
    await screen.findByTestId('transcript');
    expect(called(host, 'run_start')).toMatchObject([
      {
        place: { kind: 'fresh', repository: 'demo' },
        settings: { runtime: 'demo', permission_mode: 'accept-edits' },
      },
    ]);
  });

  it('says what is missing and how to get it', async () => {
    const host = new FakeHost();
    host.runtimesFound = false;
    await open(host);
    expect(screen.getByText(/npm install -g/)).toBeTruthy();
  });

  it.each([
    ['trust-keep-off', 'restricted'],
    ['trust-allow', 'trusted'],
  ])('asks about what can run by itself before the first start: %s', async (button, decision) => {
    const host = new FakeHost();
    host.projects = [PROJECT];
    host.trust = {
      digest: 'd',
      decision: null,
      changed: [],
      items: [{ path: '.mcp.json', what: 'Starts a tool server.', digest: 'x' }],
    };
    const user = userEvent.setup();
    await open(host);
    await user.type(screen.getByTestId('composer-input'), 'Do it{Enter}');
    await user.click(await screen.findByTestId(button));
    await screen.findByTestId('transcript');
    expect(called(host, 'trust_set')).toMatchObject([{ project: 'api', digest: 'd', decision }]);
    expect(called(host, 'run_start')).toHaveLength(2);
  });
});

describe('folders that are dropped', () => {
  it('are named before the drop and added by it, one by one', async () => {
    const host = new FakeHost();
    const app = await open(host);
    host.folders.set('/x/notes.txt', {
      path: '/x/notes.txt',
      kind: 'file',
      top: null,
      root: null,
      branch: null,
      head: null,
      sentence: 'notes.txt is a file.',
      next: 'Drop a folder.',
      project: null,
      usable: false,
    });
    const paths = ['/x/one', '/x/notes.txt', '/x/two'];
    host.drop({ kind: 'enter', paths, x: 1, y: 1 });
    await waitFor(() =>
      expect(screen.getByTestId('drop-overlay').textContent).toContain('Drop to add 2 of 3'),
    );
    expect(called(host, 'project_add')).toEqual([]);
    host.drop({ kind: 'drop', paths, x: 1, y: 1 });
    await waitFor(() =>
      expect(app.projects.map((project) => project.name)).toEqual(['one', 'two']),
    );
    expect(screen.queryByTestId('drop-overlay')).toBeNull();
    expect(app.notes.map((note) => note.text)).toEqual(['notes.txt is a file.']);
  });

  it('that are linked worktrees become the place of the next story', async () => {
    const host = new FakeHost();
    host.folders.set('/x/tree', {
      path: '/x/tree',
      kind: 'linked_worktree',
      top: '/x/tree',
      root: '/x/main',
      branch: 'b',
      head: 'a',
      sentence: '',
      next: '',
      project: null,
      usable: true,
    });
    await open(host);
    host.drop({ kind: 'drop', paths: ['/x/tree'], x: 1, y: 1 });
    const user = userEvent.setup();
    await user.type(await screen.findByTestId('composer-input'), 'Go{Enter}');
    await waitFor(() =>
      expect(called(host, 'run_start')).toMatchObject([
        { place: { kind: 'worktree', path: '/x/tree' } },
      ]),
    );
  });
});

describe('what goes wrong', () => {
  it('is said where it happened, and the words stay', async () => {
    const host = new FakeHost();
    host.projects = [PROJECT];
    asking(host);
    const app = await open(host);
    app.openStory('story-run-1');
    const real = host.call.bind(host);
    host.call = (name, params) =>
      name === 'run_send'
        ? Promise.reject(fault('disk_full', 'The disk is full.', 'Free some space.'))
        : real(name, params);
    const user = userEvent.setup();
    await user.type(await screen.findByTestId('composer-input'), 'More{Enter}');
    await screen.findByText('The disk is full. Free some space.');
    expect((screen.getByTestId('composer-input') as HTMLTextAreaElement).value).toBe('More');
  });

  it('at the start leaves one sentence and a way on', async () => {
    const host = new FakeHost();
    const real = host.call.bind(host);
    let broken = true;
    host.call = (name, params) =>
      broken && name === 'app_info'
        ? Promise.reject(fault('data_dir_locked', 'Another Musher holds the data directory.'))
        : real(name, params);
    await open(host);
    screen.getByText('Another Musher holds the data directory.');
    broken = false;
    await userEvent.setup().click(screen.getByText('Try again'));
    await screen.findByTestId('dropzone');
  });

  it('a run that ended is continued by a message', async () => {
    const host = new FakeHost();
    host.projects = [PROJECT];
    host.add({ id: 'r', story: 's', phase: 'done', outcome: { reason: 'completed' } }, [
      SAID,
      { type: 'done', outcome: { reason: 'completed' } },
    ]);
    const app = await open(host);
    app.openStory('s');
    const user = userEvent.setup();
    await user.type(await screen.findByTestId('composer-input'), 'Go on{Enter}');
    await waitFor(() =>
      expect(called(host, 'run_send')).toEqual([{ run: 'r', text: 'Go on', delivery: 'queue' }]),
    );
  });

  it('an older summary never replaces a newer one', async () => {
    const host = new FakeHost();
    const run = asking(host);
    const app = await open(host);
    const newer = { ...run.summary, title: 'newer', last_seq: 9 };
    app.admit(newer);
    app.admit({ ...run.summary, title: 'older', last_seq: 5 });
    expect(app.runs.get('run-1')?.title).toBe('newer');
  });
});

it('asks for a story once, whatever number of news come', async () => {
  const host = new FakeHost();
  host.projects = [PROJECT];
  const run = asking(host);
  const other = host.add({ id: 'other', story: 'story-other', phase: 'running' }, [SAID]);
  const app = await open(host);
  app.openStory('story-run-1');
  await screen.findByTestId('permission');
  const before = called(host, 'run_get').length;
  for (let round = 0; round < 5; round += 1) {
    host.push(other, { type: 'text', block: `b${round}`, text: 'x' });
    host.push(run, { type: 'text', block: `b${round}`, text: `round ${round}` });
    await screen.findByText(`round ${round}`);
  }
  expect(called(host, 'run_get')).toHaveLength(before);
});
