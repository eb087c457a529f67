//! A host in memory, for tests and for looking at every state of the page without an engine. It is
//! built in only with `--mode fake`. `?fake=NAME` chooses what it plays (see scenes.ts).
import type {
  AgentEvent,
  ApiError,
  DoctorReport,
  EndpointReport,
  EventBatch,
  EventEnvelope,
  FileChange,
  FileDiff,
  FolderReport,
  Hunk,
  KeptIn,
  LocalEndpoint,
  News,
  Project,
  ProjectRule,
  RemovalReport,
  RunDetail,
  RunSummary,
  Story,
  TrustReport,
} from '../../contract/contract';
import type { CommandName, DropNote, Host, Params } from '../host';
import { storyOf, summaryOf } from './make';
import { LOCAL, probed } from './endpoints';
import { play } from './scenes';

export interface FakeRun {
  summary: RunSummary;
  story: Story;
  events: EventEnvelope[];
  ended: boolean;
  diffs: Map<string, FileDiff>;
}

const GONE: RemovalReport = {
  removed: true,
  refusals: [],
  rescue_ref: null,
  sentence: 'The worktree was removed.',
};

type Handler = (params: never) => unknown;

export class FakeHost implements Host {
  readonly kind = 'fake';
  projects: Project[] = [];
  runs = new Map<string, FakeRun>();
  /** Every call that came, for tests. */
  calls: { name: CommandName; params: unknown }[] = [];
  trust: TrustReport | null = null;
  runtimesFound = true;
  /** What a removal answers, and what a forced one does. */
  removals: [RemovalReport, RemovalReport] = [GONE, GONE];
  doctor: DoctorReport = {
    ok: true,
    checks: [
      { name: 'git', state: 'good', sentence: 'git 2.47.1 is installed.', hint: null },
      {
        name: 'PATH',
        state: 'notice',
        sentence: 'PATH is the one Musher was started with: 9 folders.',
        hint: 'The login shell did not answer within 5 seconds.',
      },
    ],
  };
  rules: ProjectRule[] = [];
  folders = new Map<string, FolderReport>();
  /** Whose keys are kept, and where. */
  keys = new Map<string, KeptIn>();
  keychain = true;
  local: LocalEndpoint[] = LOCAL;
  /** What an endpoint answers, by its runtime and address. */
  probed: (params: Params<'endpoint_probe'>) => EndpointReport = probed;
  /** What a start does after the run is there. */
  onStart: (run: FakeRun) => void = () => undefined;

  /** What becomes of a story that is gone on with. */
  resumed: () => void = () => undefined;

  private news = new Set<(news: News) => void>();
  private dropped = new Set<(note: DropNote) => void>();
  private focus = new Set<(run: string) => void>();
  private waiting = new Set<() => void>();

  onNews(call: (news: News) => void) {
    this.news.add(call);
    return () => this.news.delete(call);
  }
  onDrop(call: (note: DropNote) => void) {
    this.dropped.add(call);
    return () => this.dropped.delete(call);
  }
  onFocusRun(call: (run: string) => void) {
    this.focus.add(call);
    return () => this.focus.delete(call);
  }

  drop(note: DropNote) {
    for (const call of this.dropped) call(note);
  }

  add(
    summary: Partial<RunSummary> & { id: string },
    events: AgentEvent[] = [],
    story?: Partial<Story>,
  ): FakeRun {
    const whole = summaryOf(summary);
    const run: FakeRun = {
      summary: whole,
      story: { ...storyOf(whole), ...story },
      events: [],
      ended: false,
      diffs: new Map(),
    };
    this.runs.set(whole.id, run);
    for (const event of events) this.push(run, event, {}, true);
    return run;
  }

  /** Adds an event and says so, as the engine does: stored first, then told. */
  push(
    run: FakeRun,
    event: AgentEvent,
    change: Partial<RunSummary> = {},
    quiet = false,
    at?: string,
  ) {
    const seq = run.events.length + 1;
    const last = run.events[run.events.length - 1];
    const stamp =
      at ??
      new Date(last ? Date.parse(last.at) + 700 : Date.parse(run.summary.created_at)).toISOString();
    run.events.push({ run: run.summary.id, seq, at: stamp, event });
    run.summary = { ...run.summary, ...change, last_seq: seq };
    if (event.type === 'done') run.ended = true;
    if (quiet) return;
    for (const call of this.news) call({ runs: [run.summary], projects: false });
    for (const wake of this.waiting) wake();
  }

  diff(run: FakeRun, change: FileChange, hunks: Hunk[]) {
    run.diffs.set(change.path, { change, hunks, truncated: false });
  }

  async call(name: CommandName, params: unknown): Promise<never> {
    this.calls.push({ name, params });
    const handler = this.handlers[name] as Handler | undefined;
    if (!handler) throw fault('unsupported', `The fake host has no ${name}.`);
    return (await handler(params as never)) as never;
  }

  private run(id: string): FakeRun {
    const run = this.runs.get(id);
    if (!run) throw fault('not_found', `There is no run ${id}.`);
    return run;
  }

  private readonly handlers: { [K in CommandName]?: (params: Params<K>) => unknown } = {
    app_info: () => ({
      version: '0.1.0',
      api_version: 1,
      data_dir: '/home/ada/.local/share/musher',
      host: 'window',
      max_live_runs: 4,
      notices: [],
      runtimes: [
        {
          name: 'claude-code',
          label: 'Claude Code',
          found: this.runtimesFound,
          over_http: false,
          path: '/home/ada/.local/bin/claude',
          version: this.runtimesFound ? '2.1.330' : null,
          hint: this.runtimesFound
            ? null
            : 'Install it with: npm install -g @anthropic-ai/claude-code',
          models: ['claude-opus-4-8', 'claude-sonnet-5'],
        },
        {
          name: 'demo',
          label: 'Demo agent',
          found: true,
          over_http: false,
          path: null,
          version: '0.1.0',
          hint: null,
          models: [],
        },
        {
          name: 'gemini',
          label: 'Gemini',
          found: true,
          over_http: true,
          path: null,
          version: null,
          hint: null,
          models: ['gemini-3.5-flash'],
        },
        {
          name: 'openai',
          label: 'OpenAI',
          found: this.keys.has('openai'),
          over_http: true,
          path: null,
          version: null,
          hint: this.keys.has('openai')
            ? null
            : 'OpenAI needs a key: `musher keys set openai`, or OPENAI_API_KEY where Musher is started.',
          models: ['gpt-5.4'],
        },
      ],
    }),
    doctor: () => this.doctor,
    worktree_remove: ({ force }) => this.removals[force ? 1 : 0],
    project_list: () => this.projects,
    run_list: () => [...this.runs.values()].map((run) => run.summary),
    run_get: ({ run }): RunDetail => this.detail(run),
    run_events: (params) => this.events(params),
    run_send: ({ run, text, delivery }) => {
      const found = this.run(run);
      this.push(found, { type: 'message', id: `m${found.events.length}`, text, delivery });
      return found.summary;
    },
    run_resume: ({ run }) => {
      this.resumed();
      return this.run(run).summary;
    },
    run_answer: ({ run, request, answer }) => {
      const found = this.run(run);
      if (answer.kind === 'answers')
        this.push(
          found,
          { type: 'question_answer', request, answers: answer.answers, by: 'user' },
          RUNNING,
        );
      else
        this.push(
          found,
          {
            type: 'permission_answer',
            request,
            decision: answer.kind,
            by: 'user',
            message: answer.kind === 'deny' ? answer.message : null,
          },
          RUNNING,
        );
      return {};
    },
    run_stop: ({ run }) => {
      const found = this.run(run);
      this.push(
        found,
        { type: 'done', outcome: { reason: 'stopped', by: 'user' } },
        { phase: 'done', status: 'idle', outcome: { reason: 'stopped', by: 'user' } },
      );
      return found.summary;
    },
    run_stop_all: () => ({}),
    run_mark_read: ({ run }) => {
      const found = this.run(run);
      found.summary = { ...found.summary, unread: false };
      return {};
    },
    run_set_model: () => ({}),
    run_set_permission_mode: () => ({}),
    run_start: (params) => this.start(params),
    project_bases: () => [
      {
        name: 'main',
        commit: '9c2e11d0aa',
        subject: 'Sessions: keep the trait small',
        default: true,
        behind: 0,
      },
      {
        name: 'release/2.4',
        commit: '77ab01c2ff',
        subject: 'Version 2.4.1',
        default: false,
        behind: 2,
      },
    ],
    project_worktrees: ({ project }) => {
      const root = this.projects.find((one) => one.id === project)?.root ?? '';
      return [
        {
          path: root,
          branch: 'main',
          head: '9c2e11d',
          main: true,
          owned: false,
          locked: false,
          missing: false,
        },
      ];
    },
    project_add: ({ path }) => this.addProject(path),
    folder_inspect: ({ path }) => this.folders.get(path) ?? folder(path),
    folder_pick: () => {
      throw fault('unsupported', 'This host has no folder dialog.');
    },
    rule_list: () => this.rules,
    rule_add: ({ rule }) => {
      if (rule.includes('[')) throw fault('bad_request', `The rule \`${rule}\` is no rule.`);
      if (this.rules.every((known) => known.rule !== rule))
        this.rules = [...this.rules, fakeRule(rule)];
      return this.rules;
    },
    rule_remove: ({ rule }) => (this.rules = this.rules.filter((known) => known.rule !== rule)),
    trust_get: () => this.trust,
    trust_set: ({ decision }) => (this.trust = this.trust && { ...this.trust, decision }),
    worktree_changes: () => ({ files: [], branch: null, head: null, ahead: 0 }),
    worktree_diff: ({ run, path }) => {
      const diff = this.run(run).diffs.get(path);
      if (!diff) throw fault('not_found', `${path} does not differ from the base.`);
      return diff;
    },
    key_list: () => [...this.keys].map(([place, kept]) => ({ place, kept })),
    key_set: ({ place, file }) => {
      if (!this.keychain && !file)
        throw fault('conflict', 'This system has no keychain that answers (none is installed).');
      const kept = this.keychain ? 'keychain' : 'file';
      this.keys.set(place, kept);
      for (const call of this.news) call({ runs: [], projects: true });
      return { place, kept };
    },
    key_remove: ({ place }) => {
      const was = this.keys.delete(place);
      for (const call of this.news) call({ runs: [], projects: true });
      return { was };
    },
    endpoint_probe: (params) => this.probed(params),
    find_local_endpoints: () => this.local,
    open_external: () => ({}),
    page_log: () => ({}),
  };

  private detail(id: string): RunDetail {
    const { summary, story } = this.run(id);
    const runs = [...this.runs.values()].filter((run) => run.summary.story === summary.story);
    return { summary, story, story_runs: runs.map((run) => run.summary.id) };
  }

  private async events({
    run: id,
    from_seq,
    wait_ms,
    max_bytes,
  }: Params<'run_events'>): Promise<EventBatch> {
    const run = this.run(id);
    if (from_seq > run.events.length && !run.ended) await this.wait(wait_ms ?? 0);
    const events = run.events.slice(
      from_seq - 1,
      from_seq - 1 + Math.ceil((max_bytes ?? 1_000_000) / 2000),
    );
    const next = from_seq + events.length;
    return { events, next_seq: next, end: run.ended && next > run.events.length };
  }

  private wait(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        this.waiting.delete(done);
        resolve();
      };
      const timer = setTimeout(done, ms);
      this.waiting.add(done);
    });
  }

  private start({ prompt, place, settings }: Params<'run_start'>): RunSummary {
    if (this.trust && this.trust.decision === null) {
      throw fault('trust_needed', 'This repository has settings that nobody judged yet.');
    }
    const number = this.runs.size + 1;
    const project =
      this.projects.find((one) => place.kind === 'fresh' && one.root === place.repository) ??
      this.projects[0];
    const run = this.add(
      {
        id: `run-${number}`,
        story: `story-${number}`,
        project: project?.id ?? 'none',
        title: prompt.slice(0, 80),
        runtime: settings?.runtime ?? 'claude-code',
        demo: settings?.runtime === 'demo',
        agent_name: settings?.agent_name ?? 'coder-1',
        phase: 'running',
        status: 'running',
        detail: 'starting the agent',
      },
      [{ type: 'message', id: 'm1', text: prompt, delivery: 'prompt' }],
    );
    this.onStart(run);
    return run.summary;
  }

  private addProject(path: string): Project {
    const known = this.projects.find((one) => one.root === path);
    if (known) return known;
    const project: Project = {
      id: `project-${this.projects.length + 1}`,
      name: path.split('/').pop() ?? path,
      root: path,
      added_at: new Date().toISOString(),
    };
    this.projects = [...this.projects, project];
    return project;
  }
}

const RUNNING = { phase: 'running', status: 'running', detail: null, waiting: 0 } as const;

export function fault(code: ApiError['code'], message: string, hint?: string): ApiError {
  return { code, message, hint };
}

/** As the engine would say it, roughly. */
export function fakeRule(rule: string): ProjectRule {
  const [verdict, about, ...pattern] = rule.split(' ');
  const allow = verdict === 'allow';
  const may = about === 'run' ? 'run' : about === 'read' ? 'be read' : 'be changed';
  const sentence = `\`${pattern.join(' ')}\` ${allow ? `may ${may} unasked` : `may never ${may}`}.`;
  const notes = about === 'fetch' ? [`Claude Code cannot be told \`${rule}\`.`] : [];
  return { rule, allow, sentence, notes };
}

function folder(path: string): FolderReport {
  const name = path.split('/').pop() ?? path;
  return {
    path,
    kind: 'main_checkout',
    top: path,
    root: path,
    branch: 'main',
    head: '9c2e11d',
    sentence: `${name} is a repository, on main.`,
    next: 'It becomes a project; agents work in worktrees of their own.',
    project: null,
    usable: true,
  };
}

export function fakeHost(): FakeHost {
  const host = new FakeHost();
  play(host, new URLSearchParams(location.search).get('fake') ?? 'permission');
  return host;
}
