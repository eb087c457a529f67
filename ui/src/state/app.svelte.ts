//! What the window knows: projects, runs, what is chosen, what floats above it. The engine is the
//! truth; this is the last thing it said.
import type {
  ApiError,
  AppInfo,
  News,
  Project,
  RunPlace,
  RunSettings,
  RunSummary,
  TrustReport,
} from '../contract/contract';
import { asApiError, type Host } from '../host';
import { Conversation } from './conversation.svelte';
import { keepDrafts, keptDrafts } from './drafts';
import { Drops } from './drops.svelte';
import { Models } from './models.svelte';
import { plainSettings } from './settings';
import { isLive, needsPerson } from '../words/states';

/** What the middle shows. */
export type Place =
  | { kind: 'overview' }
  | { kind: 'new'; project?: string; worktree?: string }
  /** `write`: the person goes on writing there. */
  | { kind: 'story'; story: string; write?: boolean };

export type Floating =
  | { kind: 'palette' }
  | { kind: 'keys' }
  | { kind: 'list' }
  | { kind: 'folder' }
  | { kind: 'link'; url: string }
  | { kind: 'doctor' }
  | { kind: 'models' }
  | { kind: 'rules'; project: string }
  | { kind: 'remove'; run: RunSummary; owned: boolean }
  | TrustAsk
  | ValuesAsk;

/** What can run by itself in a repository has to be judged before `retry` can go on. */
export interface TrustAsk {
  kind: 'trust';
  project: string;
  worktree: string;
  report: TrustReport;
  retry: () => Promise<void>;
}

/** Values that are kept nowhere and were lost at a restart: a story is not gone on with without them. */
export interface ValuesAsk {
  kind: 'values';
  variables: string[];
  headers: string[];
  retry: (given: Values) => Promise<void>;
}
export interface Values {
  env: Record<string, string>;
  headers: Record<string, string>;
}

/** Something the person should read; stays until it is put away, unless it passes. */
export interface Note {
  id: number;
  level: 'info' | 'error';
  text: string;
  hint?: string | null;
  /** It goes by itself: what it says can be seen elsewhere, or is of no use later. */
  passes?: boolean;
  /** Shown on demand, one a line. */
  details?: string[];
  action?: { label: string; run: () => void };
}

/** A story as the lists show it: its latest run. */
export interface StoryRow {
  story: string;
  run: RunSummary;
  first: string;
}

const KEPT_CONVERSATIONS = 4;

export class AppState {
  info = $state.raw<AppInfo | null>(null);
  projects = $state.raw<Project[]>([]);
  runs = $state.raw<ReadonlyMap<string, RunSummary>>(new Map());
  place = $state.raw<Place>({ kind: 'new' });
  floating = $state.raw<Floating | null>(null);
  notes = $state.raw<Note[]>([]);
  ready = $state(false);
  failure = $state.raw<ApiError | null>(null);
  /** Milliseconds; moves every half minute, for ages only. */
  now = $state(Date.now());
  drafts = $state(keptDrafts());
  readonly drops: Drops;
  readonly models: Models;

  private conversations = new Map<string, Conversation>();
  private noteId = 0;
  /** Why no news come: one sentence for the whole window, until everything could be asked again. */
  lostFor = $state.raw<ApiError | null>(null);
  private off: (() => void)[] = [];

  constructor(readonly host: Host) {
    this.drops = new Drops(this);
    this.models = new Models(this);
  }

  /** One row for each story, the newest story first. */
  stories = $derived.by(() => storyRows(this.runs));
  needing = $derived(this.stories.filter((row) => needsPerson(row.run)));
  live = $derived([...this.runs.values()].filter(isLive).length);
  chosen = $derived.by(() => {
    const place = this.place;
    return place.kind === 'story'
      ? this.stories.find((row) => row.story === place.story)
      : undefined;
  });

  async start(): Promise<void> {
    this.off = [
      this.host.onNews(
        (news) => this.heard(news),
        () => void this.ask(),
        () => void this.lost(),
      ),
      this.host.onFocusRun((run) => void this.openRun(run)),
      this.host.onDrop((note) => void this.drops.take(note)),
    ];
    let before = { ...this.drafts };
    const keep = () => {
      const now = { ...this.drafts };
      keepDrafts(now, before);
      before = now;
    };
    const kept = $effect.root(() => {
      $effect(keep);
    });
    this.off.push(kept);
    const tick = setInterval(() => {
      if (!document.hidden) this.now = Date.now();
    }, 30_000);
    this.off.push(() => clearInterval(tick));
    await this.ask();
    if (this.failure === null) this.firstPlace();
    this.models.recall();
    this.ready = true;
    await this.host.ready?.().catch((thrown: unknown) => this.fail(thrown));
  }

  stop(): void {
    for (const off of this.off) off();
    for (const conversation of this.conversations.values()) conversation.stop();
  }

  /** Asks for everything again: at the start, and when news may have been missed. */
  async ask(): Promise<void> {
    try {
      const [info, projects, runs] = await Promise.all([
        this.host.call('app_info', {}),
        this.host.call('project_list', {}),
        this.host.call('run_list', {}),
      ]);
      this.info = info;
      this.projects = projects;
      this.runs = merged(this.runs, runs);
      for (const run of runs) this.conversations.get(run.story)?.heard(run);
      this.failure = null;
      this.lostFor = null;
      if (!this.ready) for (const text of info.notices) this.note({ level: 'info', text });
    } catch (thrown) {
      this.failure = asApiError(thrown);
    }
  }

  /** News do not come any more. */
  private async lost(): Promise<void> {
    try {
      await this.host.call('app_info', {});
    } catch (thrown) {
      const error = asApiError(thrown);
      // Nothing will be answered any more: one card says it, in place of a dead page.
      const forGood = error.code === 'unauthorized';
      if (forGood) this.failure = error;
      this.lostFor = forGood ? null : error;
    }
  }

  private firstPlace(): void {
    const kept = sessionStorage.getItem('musher.story');
    if (kept && this.stories.some((row) => row.story === kept)) this.openStory(kept);
    else if (this.stories.length > 0) this.go({ kind: 'overview' });
    else this.go({ kind: 'new' });
  }

  private heard(news: News): void {
    this.runs = merged(this.runs, news.runs);
    for (const run of news.runs) this.conversations.get(run.story)?.heard(run);
    this.markSeen();
    // Runtimes become known a moment after the start: whatever is not a run is asked for again.
    if (news.projects) void this.ask();
  }

  async askProjects(): Promise<void> {
    try {
      this.projects = await this.host.call('project_list', {});
    } catch (thrown) {
      this.fail(thrown);
    }
  }

  go(place: Place): void {
    this.place = place;
    this.floating = null;
    if (place.kind === 'story') sessionStorage.setItem('musher.story', place.story);
    else sessionStorage.removeItem('musher.story');
    const story = place.kind === 'story' ? place.story : null;
    // Untold, a person hears of what is in view, too: no reason to trouble anybody.
    this.host.shows?.(story).catch(() => undefined);
    this.markSeen();
  }

  openStory(story: string, write = false): void {
    this.go({ kind: 'story', story, ...(write && { write }) });
  }

  async openRun(run: string): Promise<void> {
    try {
      if (!this.runs.has(run)) this.admit((await this.host.call('run_get', { run })).summary);
    } catch (thrown) {
      return this.fail(thrown);
    }
    const summary = this.runs.get(run);
    if (summary) this.openStory(summary.story);
  }

  /** Chooses the story `step` rows further in the order of the sidebar. */
  move(step: 1 | -1): void {
    const order = this.ordered();
    if (order.length === 0) return;
    const place = this.place;
    const at = place.kind === 'story' ? order.findIndex((row) => row.story === place.story) : -1;
    const next = at === -1 ? (step === 1 ? 0 : order.length - 1) : clamp(at + step, order.length);
    const row = order[next];
    if (row) this.openStory(row.story);
  }

  /** The next story that needs the person, after the chosen one. */
  openNeeding(): void {
    const order = this.ordered();
    const at = order.findIndex((row) => row.story === this.chosen?.story);
    const turned = [...order.slice(at + 1), ...order.slice(0, at + 1)];
    const row = turned.find((one) => needsPerson(one.run));
    if (row) this.openStory(row.story);
  }

  ordered(): StoryRow[] {
    const known = this.projects.flatMap((project) => this.storiesOf(project.id));
    const rest = this.stories.filter((row) => !this.projects.some((p) => p.id === row.run.project));
    return [...known, ...rest];
  }

  storiesOf(project: string): StoryRow[] {
    return this.stories.filter((row) => row.run.project === project);
  }

  conversation(story: string): Conversation {
    const known = this.conversations.get(story);
    const conversation = known ?? new Conversation(this.host, story);
    this.conversations.delete(story);
    this.conversations.set(story, conversation);
    for (const [oldest] of this.conversations) {
      if (this.conversations.size <= KEPT_CONVERSATIONS) break;
      this.conversations.delete(oldest);
    }
    return conversation;
  }

  /** What the person looks at counts as read. */
  markSeen(): void {
    const run = this.chosen?.run;
    if (!run?.unread || document.hidden || !document.hasFocus()) return;
    this.runs = merged(this.runs, [{ ...run, unread: false }]);
    this.host.call('run_mark_read', { run: run.id }).catch(() => undefined);
  }

  /** `write`: who wrote the prompt goes on writing to its agent. */
  async startRun(
    prompt: string,
    place: RunPlace,
    settings: RunSettings,
    write = true,
  ): Promise<RunSummary> {
    const run = await this.host.call('run_start', { prompt, place, settings });
    this.admit(run);
    this.openStory(run.story, write);
    return run;
  }

  /** The demo agent in `repository`, or in a throw-away repository when there is none. */
  async tryDemo(repository: string | null): Promise<void> {
    const place: RunPlace = {
      kind: 'fresh',
      repository: repository ?? 'demo',
      base: null,
      branch: null,
    };
    const prompt = 'Say hello: write a greeting and run it.';
    const chosen = settings(this, 'demo', { permission_mode: 'accept-edits' });
    await this.startRun(prompt, place, chosen, false);
    void this.askProjects();
  }

  /** Runs `action` for a run; what has to be judged or given before is asked first, and it runs then. */
  async judged(
    run: RunSummary,
    action: (given?: Values) => Promise<void>,
    given?: Values,
  ): Promise<void> {
    try {
      await action(given);
    } catch (thrown) {
      const error = asApiError(thrown);
      if (error.code === 'trust_needed') {
        const { project, worktree } = run;
        const report = await this.host.call('trust_get', { project, worktree });
        const retry = () => action(given);
        this.floating = { kind: 'trust', project, worktree, report, retry };
      } else if (error.code === 'values_missing' && !given) {
        await this.askValues(run, (values) => this.judged(run, action, values));
      } else throw thrown;
    }
  }

  private async askValues(run: RunSummary, retry: ValuesAsk['retry']) {
    const { settings } = (await this.host.call('run_get', { run: run.id })).story;
    const variables = settings.env_names ?? [];
    const headers = settings.endpoint.header_names ?? [];
    this.floating = { kind: 'values', variables, headers, retry };
  }

  admit(run: RunSummary): void {
    this.runs = merged(this.runs, [run]);
    this.conversations.get(run.story)?.heard(run);
  }

  note(note: Omit<Note, 'id'>): void {
    if (this.notes.some((known) => known.text === note.text)) return;
    this.notes = [...this.notes, { ...note, id: ++this.noteId }];
  }

  /** Shows an error in its own words with its next step. */
  fail(thrown: unknown, action?: Note['action']): void {
    const error = asApiError(thrown);
    this.note({ level: 'error', text: error.message, hint: error.hint, action });
  }

  /** An error of the page itself, for the log. */
  report(thrown: unknown): void {
    const message = thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown);
    this.host.call('page_log', { message }).catch(() => undefined);
  }

  dismiss(id: number): void {
    this.notes = this.notes.filter((note) => note.id !== id);
  }

  dismissAll(): void {
    this.notes = [];
  }

  /** Opens the folder dialog of the system, or a field for a path where there is none. */
  async addFolder(): Promise<void> {
    if (this.host.kind === 'server') {
      this.floating = { kind: 'folder' };
      return;
    }
    try {
      const { paths } = await this.host.call('folder_pick', {});
      await this.drops.addAll(paths);
    } catch (thrown) {
      if (asApiError(thrown).code === 'unsupported') this.floating = { kind: 'folder' };
      else this.fail(thrown);
    }
  }
}

/** A new run of this window: with what was chosen, and a name that is free. */
export function settings(
  app: AppState,
  runtime: string,
  chosen: Partial<Omit<RunSettings, 'runtime' | 'agent_name'>>,
): RunSettings {
  return { ...plainSettings(runtime, freeAgentName(app)), ...chosen };
}

/** The first `coder-N` that no live run has. */
function freeAgentName(app: AppState): string {
  const taken = new Set([...app.runs.values()].filter(isLive).map((run) => run.agent_name));
  let number = 1;
  while (taken.has(`coder-${number}`)) number += 1;
  return `coder-${number}`;
}

/** A summary that is older than the one known is not taken. */
function merged(
  known: ReadonlyMap<string, RunSummary>,
  news: RunSummary[],
): ReadonlyMap<string, RunSummary> {
  if (news.length === 0) return known;
  const next = new Map(known);
  for (const run of news) {
    const before = next.get(run.id);
    if (!before || run.last_seq >= before.last_seq) next.set(run.id, run);
  }
  return next;
}

function storyRows(runs: ReadonlyMap<string, RunSummary>): StoryRow[] {
  const rows = new Map<string, StoryRow>();
  for (const run of runs.values()) {
    const row = rows.get(run.story);
    if (!row) rows.set(run.story, { story: run.story, run, first: run.created_at });
    else {
      if (run.created_at > row.run.created_at) row.run = run;
      if (run.created_at < row.first) row.first = run.created_at;
    }
  }
  return [...rows.values()].sort((a, b) => (a.first < b.first ? 1 : -1));
}

function clamp(value: number, length: number): number {
  return Math.min(Math.max(value, 0), length - 1);
}
