//! What the fake host plays, by name.
import type { AgentEvent, FileChange, RunSummary } from '../../contract/contract';
import type { FakeHost, FakeRun } from './fake';
import { ago, hunk, result, tool } from './make';
import { ask, BEGIN, CLEANUP, FILES, QUESTION, SUMMING } from './script';

type Scene = (host: FakeHost) => void;

function main(host: FakeHost, change: Partial<RunSummary>, events: AgentEvent[]): FakeRun {
  const run = host.add(
    {
      id: 'run-main',
      story: 'main',
      title: 'Move sessions to Postgres',
      agent_name: 'coder-2',
      added: 412,
      removed: 180,
      files_changed: 6,
      usage: { ...base, cost_microdollars: 1_940_000, cost_source: 'reported' },
      ...change,
    },
    [...BEGIN, ...events],
  );
  for (const file of FILES) host.diff(run, file, diffOf(file));
  sessionStorage.setItem('musher.story', 'main');
  return run;
}
const base = {
  input_tokens: 18_200,
  output_tokens: 6100,
  cache_creation_input_tokens: 22_000,
  cache_read_input_tokens: 310_400,
};

function diffOf(file: FileChange) {
  if (file.path === 'src/jobs/cleanup.rs') return CLEANUP;
  if (file.path === 'Cargo.lock')
    return [
      hunk(
        1,
        1,
        Array.from(
          { length: 50_000 },
          (_, at) => `${at % 26 === 0 ? '-' : '+'}checksum = "${(at * 2654435761).toString(16)}"`,
        ),
      ),
    ];
  return [
    hunk(
      1,
      1,
      Array.from(
        { length: file.added },
        (_, at) =>
          `+${'    '.repeat(at % 3)}let row_${at} = sqlx::query!("SELECT * FROM sessions WHERE id = $1", id).fetch_one(&pool).await?;`,
      ),
    ),
  ];
}

function team(host: FakeHost): void {
  host.projects = [
    { id: 'api', name: 'atlas-api', root: '/home/ada/code/atlas-api', added_at: ago(9000) },
    { id: 'web', name: 'atlas-web', root: '/home/ada/code/atlas-web', added_at: ago(9000) },
    { id: 'dot', name: 'dotfiles', root: '/home/ada/dotfiles', added_at: ago(9000) },
  ];
  const done = { status: 'completed', phase: 'done', outcome: { reason: 'completed' } } as const;
  const say = (text: string): AgentEvent[] => [
    { type: 'message', id: 'm', delivery: 'prompt', text },
    { type: 'text', block: 'b', text: 'I will look at it.' },
  ];
  const runs: (Partial<RunSummary> & { id: string })[] = [
    {
      id: 'r1',
      title: 'Rate-limit the login route',
      phase: 'waiting_permission',
      waiting: 1,
      unread: true,
      detail: 'waiting for you: run cargo add governor --features tower?',
      created_at: ago(2),
      added: 84,
      removed: 12,
    },
    {
      id: 'r2',
      title: 'Flaky test in billing',
      agent_name: 'coder-4',
      detail: 'running cargo nextest run -p billing for the 6th time',
      created_at: ago(31),
      added: 9,
      removed: 3,
    },
    {
      id: 'r3',
      title: 'Typed errors in the client',
      agent_name: 'coder-3',
      ...done,
      files_changed: 7,
      unread: true,
      created_at: ago(80),
      updated_at: ago(61),
      added: 301,
      removed: 96,
    },
    {
      id: 'r4',
      title: 'Drop Node 18',
      agent_name: 'coder-2',
      ...done,
      created_at: ago(400),
      updated_at: ago(300),
    },
    {
      id: 'r5',
      project: 'web',
      title: 'Dark mode for charts',
      agent_name: 'coder-3',
      phase: 'waiting_answer',
      waiting: 1,
      unread: true,
      detail: 'asks: which palette for the series?',
      created_at: ago(6),
      added: 210,
      removed: 44,
    },
    {
      id: 'r6',
      project: 'web',
      title: 'Keyboard map for the grid',
      detail: 'reading grid/focus.ts, step 3 of 5',
      created_at: ago(22),
      added: 158,
      removed: 20,
    },
    {
      id: 'r7',
      project: 'web',
      title: 'Bundle under 200 kB',
      agent_name: 'coder-5',
      phase: 'waiting_rate_limit',
      detail: 'The five-hour window is used up.',
      until: new Date(Date.now() + 27 * 60_000).toISOString(),
      created_at: ago(70),
      added: 31,
      removed: 220,
    },
    {
      id: 'r8',
      project: 'web',
      title: 'Upgrade the router',
      agent_name: 'coder-2',
      status: 'failed',
      phase: 'done',
      outcome: { reason: 'failed', exit_code: 1, last_lines: ['npm error'] },
      unread: true,
      created_at: ago(90),
      updated_at: ago(40),
      added: 96,
      removed: 133,
      files_changed: 4,
    },
    {
      id: 'r9',
      project: 'dot',
      title: 'Tidy the zsh start',
      status: 'idle',
      phase: 'queued',
      created_at: ago(0),
    },
    {
      id: 'r10',
      project: 'dot',
      title: 'Sort the aliases',
      status: 'idle',
      phase: 'done',
      outcome: { reason: 'stopped', by: 'user' },
      created_at: ago(1500),
      updated_at: ago(1490),
    },
  ];
  for (const run of runs) host.add(run, say(run.title ?? ''));
}

/** Types words into the run, as a model streams them. */
function stream(host: FakeHost, run: FakeRun): void {
  const words = SUMMING.type === 'text' ? SUMMING.text.split(/(?<= )/) : [];
  let at = 0;
  const timer = setInterval(() => {
    const word = words[at++];
    if (word === undefined) clearInterval(timer);
    else host.push(run, { type: 'text', block: 'live', text: word, delta: true });
  }, 40);
}

/** 10,000 events of about 2 kB each. */
function big(host: FakeHost): void {
  const events: AgentEvent[] = [];
  const prose = 'The cleanup job reads each row once and then deletes it. '.repeat(34);
  for (let at = 0; at < 3333; at += 1) {
    events.push({ type: 'text', block: `x${at}`, text: `Step ${at}. ${prose}` });
    events.push(tool(`y${at}`, at % 2 === 0 ? 'run' : 'search', 'Bash', `cargo test step_${at}`));
    events.push(result(`y${at}`, `${prose}\n`.repeat(2)));
  }
  main(host, {}, events);
}

/** 57 kB of one message in 950 pieces, and how long the page was blocked by them. */
function long(host: FakeHost): void {
  team(host);
  const run = main(host, {}, []);
  const text =
    `${'A sentence with `code` and **weight** that goes on for a while. '.repeat(8)}\n\n`.repeat(
      112,
    );
  const told = window as unknown as { blocking: number; streamed: boolean };
  told.blocking = 0;
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) told.blocking += Math.max(0, entry.duration - 50);
  }).observe({ entryTypes: ['longtask'] });
  let at = 0;
  const timer = setInterval(() => {
    if (at < text.length)
      host.push(run, {
        type: 'text',
        block: 'long',
        text: text.slice(at, (at += 60)),
        delta: true,
      });
    else {
      clearInterval(timer);
      setTimeout(() => (told.streamed = true), 500);
    }
  }, 10);
}

/** Things that want to run or to fetch, in every place that shows an agent's words. */
function hostile(host: FakeHost): void {
  const bad =
    '<img src="https://evil.test/p.png" onerror="window.ran=1"> ![x](https://evil.test/q.png) <style>@import "https://evil.test/s.css"</style><svg onload="window.ran=1"> [x](javascript:window.ran=1) <iframe src="https://evil.test/"></iframe> <link rel="prefetch" href="https://evil.test/l">';
  main(
    host,
    { phase: 'waiting_permission', title: bad, branch: bad, agent_name: bad, detail: bad },
    [
      { type: 'message', id: 'm9', text: bad, delivery: 'queue' },
      { type: 'text', block: 'h', text: bad },
      { type: 'thinking', block: 'h', text: bad },
      tool('h1', 'run', 'Bash', bad),
      result('h1', bad),
      tool('h2', 'edit', 'Edit', bad),
      result('h2', bad, { hunks: [hunk(1, 1, [`-${bad}`, `+${bad} more`])], path: bad }),
      { type: 'plan', entries: [{ text: bad, state: 'pending' }] },
      { type: 'error', code: 'x', message: bad, hint: bad },
      { type: 'changes', files: [{ path: bad, kind: 'modified', added: 1, removed: 0 }] },
      {
        type: 'question',
        request: 'hq',
        questions: [
          {
            header: bad,
            question: bad,
            multi_select: false,
            options: [{ label: bad, description: bad }],
          },
        ],
      },
      {
        type: 'permission_request',
        request: 'hp',
        tool: 'X',
        kind: 'plan',
        title: bad,
        input: {},
        plan: bad,
      },
    ],
  );
}

const SCENES: Record<string, Scene> = {
  first: () => undefined,
  bare: (host) => (host.runtimesFound = false),
  empty: (host) => {
    host.projects = [
      { id: 'api', name: 'atlas-api', root: '/home/ada/code/atlas-api', added_at: ago(1) },
    ];
  },
  overview: (host) => {
    team(host);
    sessionStorage.removeItem('musher.story');
  },
  running: (host) => {
    team(host);
    const run = main(host, { detail: 'editing src/session/pg.rs' }, [
      {
        type: 'plan',
        entries: [
          { text: 'Add the migration', state: 'done' },
          { text: 'Write PgSessionStore', state: 'in_progress' },
          { text: 'Switch the cleanup job', state: 'pending' },
        ],
      },
      tool('a1', 'agent', 'Task', 'Find every caller of SessionStore'),
      tool('a2', 'search', 'Grep', 'SessionStore', 'a1'),
      result('a2', 'src/http/login.rs\nsrc/http/logout.rs', { parent: 'a1' }),
      { type: 'text', block: 'sub', text: 'Five callers, all through the trait.', parent: 'a1' },
      {
        type: 'rate_limit',
        state: 'warning',
        window: 'five_hour',
        utilization: 0.82,
        using_overage: false,
        resets_at: new Date(Date.now() + 3_600_000).toISOString(),
      },
      tool('e2', 'edit', 'Write', 'src/session/pg.rs'),
    ]);
    stream(host, run);
  },
  permission: (host) => {
    team(host);
    main(
      host,
      { phase: 'waiting_permission', waiting: 1, detail: 'waiting for you: run sqlx migrate run?' },
      ask(),
    );
  },
  question: (host) => {
    team(host);
    main(
      host,
      { phase: 'waiting_answer', waiting: 1, detail: 'asks how many connections it may hold' },
      [QUESTION],
    );
  },
  plan: (host) => {
    team(host);
    main(host, { phase: 'waiting_permission', waiting: 1, detail: 'has a plan for you' }, [
      {
        type: 'permission_request',
        request: 'q3',
        tool: 'ExitPlanMode',
        kind: 'plan',
        title: 'A plan',
        input: {},
        plan: '### Plan\n\n1. Add `migrations/0042_sessions.sql` with the index\n2. Write `PgSessionStore` behind the trait\n3. Switch the cleanup job, measure with 1 M rows\n\nNothing outside `src/session` and `src/jobs` changes.',
      },
    ]);
  },
  finished: (host) => {
    team(host);
    main(host, { phase: 'done', status: 'completed', outcome: { reason: 'completed' } }, [
      ...ask(),
      { type: 'permission_answer', request: 'q1', decision: 'allow', by: 'user' },
      result('c2', 'Applied 42/migrate sessions (18.2ms)'),
      SUMMING,
      { type: 'turn_ended', ok: true },
      { type: 'done', outcome: { reason: 'completed' } },
    ]);
  },
  failed: (host) => {
    team(host);
    const lines = [
      'API Error: 529 {"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}',
      'Request failed after 10 tries.',
    ];
    main(
      host,
      {
        phase: 'done',
        status: 'failed',
        outcome: { reason: 'failed', exit_code: 1, last_lines: lines },
      },
      [
        tool('c3', 'run', 'Bash', 'cargo test --workspace'),
        result(
          'c3',
          'error[E0433]: failed to resolve: use of undeclared crate or module `sqlx`\n --> src/session/pg.rs:3:5\n  |\n3 | use sqlx::PgPool;\n  |     ^^^^ use of undeclared crate or module `sqlx`',
          { is_error: true },
        ),
        { type: 'notice', stream: 'stderr', text: 'warning: retrying in 32 s' },
        {
          type: 'error',
          code: 'overloaded',
          message: 'API Error: 529 Overloaded',
          hint: 'The model is busy. Send a message to go on in the same session.',
        },
        { type: 'done', outcome: { reason: 'failed', exit_code: 1, last_lines: lines } },
      ],
    );
  },
  trust: (host) => {
    SCENES.empty?.(host);
    host.trust = {
      digest: 'd1',
      decision: null,
      changed: ['.claude/settings.json', '.mcp.json', 'git config: core.hooksPath'],
      items: [
        {
          path: '.claude/settings.json',
          what: 'Runs ./scripts/setup.sh before every tool, and allows all of Bash.',
          digest: 'a',
        },
        {
          path: '.mcp.json',
          what: 'Starts the tool server “db” with npx at the start of each session.',
          digest: 'b',
        },
        {
          path: 'git config: core.hooksPath',
          what: 'Runs programs of .githooks on commit and on checkout.',
          digest: 'c',
        },
      ],
    };
  },
  drop: (host) => {
    SCENES.permission?.(host);
    host.folders.set('/home/ada/code/atlas-web-charts', {
      path: '/home/ada/code/atlas-web-charts',
      kind: 'linked_worktree',
      top: '/home/ada/code/atlas-web-charts',
      root: '/home/ada/code/atlas-web',
      branch: 'charts',
      head: 'aa',
      sentence: 'A worktree of atlas-web, on charts.',
      next: 'The next story works in it as it is.',
      project: 'web',
      usable: true,
    });
    host.folders.set('/home/ada/notes.txt', {
      path: '/home/ada/notes.txt',
      kind: 'file',
      top: null,
      root: null,
      branch: null,
      head: null,
      sentence: 'notes.txt is a file.',
      next: 'Drop the folder of a git repository.',
      project: null,
      usable: false,
    });
    setTimeout(
      () =>
        host.drop({
          kind: 'enter',
          paths: [
            '/home/ada/code/billing',
            '/home/ada/code/atlas-web-charts',
            '/home/ada/notes.txt',
          ],
          x: 600,
          y: 400,
        }),
      300,
    );
  },
  refused: (host) => {
    SCENES.permission?.(host);
    const paths = Array.from({ length: 40 }, (_, at) => `/home/ada/notes/folder-${at}`);
    paths.forEach((path, at) => {
      const next = 'Run `git init` in it and make a first commit, or choose another folder.';
      const sentence = `\`${path}\` is not in a git repository.`;
      const known = { path, top: null, root: null, branch: null, head: null, project: null };
      const kind = at === 7 ? 'unusable' : 'plain_folder';
      const words = at === 7 ? 'This link leads nowhere.' : sentence;
      host.folders.set(path, { ...known, kind, sentence: words, next, usable: false });
    });
    setTimeout(() => host.drop({ kind: 'drop', paths, x: 600, y: 400 }), 300);
  },
  big,
  long,
  hostile,
};

export function play(host: FakeHost, name: string): void {
  SCENES[name]?.(host);
}
