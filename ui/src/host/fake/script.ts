//! The story that most scenes show, piece by piece.
import type { AgentEvent, FileChange } from '../../contract/contract';
import { hunk, result, tool } from './make';

export const CLEANUP = [
  hunk(40, 40, [
    ' /// Removes expired sessions in batches.',
    ' pub async fn run(store: &impl SessionStore) -> Result<u64> {',
    '-    let all = store.list().await?;',
    '-    let old = all.into_iter().filter(|s| s.expired());',
    '+    let removed = store.delete_expired(Utc::now(), BATCH).await?;',
    '     metrics::cleaned(removed);',
    '     Ok(removed)',
    ' }',
  ]),
];

export const FILES: FileChange[] = [
  { path: 'migrations/0042_sessions.sql', kind: 'untracked', added: 21, removed: 0 },
  { path: 'src/jobs/cleanup.rs', kind: 'modified', added: 3, removed: 4 },
  { path: 'src/session/mod.rs', kind: 'modified', added: 18, removed: 6 },
  { path: 'src/session/pg.rs', kind: 'untracked', added: 214, removed: 0 },
  { path: 'tests/session.rs', kind: 'modified', added: 156, removed: 12 },
  { path: 'Cargo.lock', kind: 'modified', added: 48_210, removed: 1790 },
];

const usage = (micros: number): AgentEvent => ({
  type: 'usage',
  usage: {
    input_tokens: 18_200,
    output_tokens: 6100,
    cache_creation_input_tokens: 22_000,
    cache_read_input_tokens: 310_400,
    cost_microdollars: micros,
    cost_source: 'reported',
  },
  context_window: 200_000,
  context_used: 96_000,
});

export const BEGIN: AgentEvent[] = [
  {
    type: 'message',
    id: 'm1',
    delivery: 'prompt',
    text: 'Move the session store from the in-memory map to Postgres. Keep the trait, add a migration, and make the cleanup job use the index.',
  },
  {
    type: 'session',
    session_id: 's-1',
    model: 'claude-opus-4-8',
    runtime_version: '2.1.330',
    billing: 'subscription',
  },
  { type: 'thinking', block: 't1', text: 'The trait has five callers.\n', delta: true },
  ...Array.from({ length: 12 }, (): AgentEvent => ({
    type: 'thinking',
    block: 't1',
    text: 'I should look at the cleanup job before I change anything. ',
    delta: true,
  })),
  {
    type: 'text',
    block: 'b1',
    text: 'The trait stays as it is, so callers do not change. I will add `PgSessionStore` beside the map, a migration with an index on `expires_at`, and switch the cleanup job to one delete with a limit.',
  },
  tool('r1', 'read', 'Read', 'src/session/mod.rs'),
  tool('r2', 'read', 'Read', 'src/session/memory.rs'),
  tool('r3', 'read', 'Read', 'src/jobs/cleanup.rs'),
  result('r1', 'line\n'.repeat(180)),
  result('r2', 'line\n'.repeat(140)),
  result('r3', 'line\n'.repeat(92)),
  tool('e1', 'edit', 'Edit', 'src/jobs/cleanup.rs'),
  result('e1', 'The file was updated.', { hunks: CLEANUP, path: 'src/jobs/cleanup.rs' }),
  tool('c1', 'run', 'Bash', 'cargo nextest run -p session'),
  result(
    'c1',
    '    Finished test profile in 4.81s\n    Starting 38 tests across 3 binaries\n        PASS [   0.214s] session pg::expired_rows_go\nSummary [6.201s] 38 tests run: 38 passed, 0 skipped',
  ),
  usage(1_940_000),
  { type: 'changes', files: FILES },
];

export function ask(): AgentEvent[] {
  const command = 'sqlx migrate run --database-url postgres://localhost/atlas_test';
  return [
    tool('c2', 'run', 'Bash', command),
    {
      type: 'permission_request',
      request: 'q1',
      tool_call: 'c2',
      tool: 'Bash',
      kind: 'run',
      title: command,
      input: { command },
      why: 'not covered by a rule',
      expires_at: new Date(Date.now() + 581_000).toISOString(),
    },
  ];
}

export const QUESTION: AgentEvent = {
  type: 'question',
  request: 'q2',
  questions: [
    {
      header: 'Pool',
      question: 'How many connections may the session store hold?',
      multi_select: false,
      options: [
        { label: 'Ten', description: 'as the other stores have' },
        { label: 'Two for each core', description: 'grows with the machine' },
        { label: 'Read it from the settings', description: 'adds a key to config.toml' },
      ],
    },
  ],
  expires_at: new Date(Date.now() + 1_700_000).toISOString(),
};

export const SUMMING: AgentEvent = {
  type: 'text',
  block: 'b9',
  text: '## What changed\n\nThe session store is on Postgres; the trait and its callers are untouched.\n\n- `PgSessionStore` beside the map, **38 tests** pass on both\n- a migration with an index on `expires_at`\n- the cleanup job deletes in batches of 10 000\n\n```sql\nCREATE INDEX sessions_expires_at ON sessions (expires_at);\n```\n\n| step | before | after |\n| --- | --- | --- |\n| cleanup of 1 M rows | 41 s | 3.2 s |\n\nThe plan of the delete is in [the manual](https://www.postgresql.org/docs/current/using-explain.html). Left to decide: whether the old map stays for tests.',
};
