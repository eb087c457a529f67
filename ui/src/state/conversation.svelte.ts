//! The runs of one story as one conversation. It pulls only while it is open; what it has is kept,
//! so coming back asks only for what is new.
import type {
  ApiError,
  FileChange,
  RunDetail,
  RunSettings,
  RunSummary,
  SessionInfo,
  Story,
} from '../contract/contract';
import { asApiError, type Host } from '../host';
import { placeOf, sameAgent, type Agent } from './agents';
import type { Item, PermissionItem, QuestionItem } from './items';
import { Puller } from './puller';
import { Transcript } from './transcript';
import { remember, usedBy } from './used';

/** An item and the run it belongs to: answers and keys need both. */
export interface Entry {
  key: string;
  run: string;
  item: Item;
}

interface Part {
  run: string;
  transcript: Transcript;
  puller: Puller | null;
  ended: boolean;
  entries: Entry[];
  source: Item[];
}

export class Conversation {
  entries = $state.raw<Entry[]>([]);
  story = $state.raw<Story | null>(null);
  /** What differs from the base, for the header and the list alike; null until it is known. */
  files = $state.raw<FileChange[] | null>(null);
  filesTrouble = $state.raw<ApiError | null>(null);
  /** Why nothing can go on in its worktree: it is not there any more. */
  gone = $state.raw<ApiError | null>(null);
  session = $state.raw<SessionInfo | null>(null);
  context = $state.raw<{ used: number; window: number } | null>(null);
  waiting = $state.raw<{ run: string; item: PermissionItem | QuestionItem }[]>([]);
  trouble = $state<string | null>(null);
  error = $state.raw<ApiError | null>(null);
  /** The agents that it had, the present one included. */
  used = $state.raw<Agent[]>([]);
  loaded = $state(false);

  private parts: Part[] = [];
  private open = false;
  private frame = 0;

  constructor(
    private host: Host,
    readonly id: string,
  ) {
    this.used = usedBy(id);
  }

  /** Begins to pull; `run` is any run of the story. */
  async start(run: string): Promise<void> {
    this.open = true;
    try {
      this.take(await this.host.call('run_get', { run }));
      this.error = null;
    } catch (thrown) {
      this.error = asApiError(thrown);
      return;
    }
    for (const part of this.parts) this.pull(part);
  }

  stop(): void {
    this.open = false;
    for (const part of this.parts) {
      part.puller?.stop();
      part.puller = null;
    }
  }

  /** What the story says of itself has changed: its worktree was made, from a base that is known now. */
  async askStory(run: string): Promise<void> {
    // What is not answered is asked again when it is opened again.
    const detail = await this.host.call('run_get', { run }).catch(() => null);
    if (detail) this.know(detail);
  }

  /** A summary of one of its runs came: a run that is not known yet joins. */
  heard(summary: RunSummary): void {
    if (!this.loaded || this.parts.some((part) => part.run === summary.id)) return;
    this.pull(this.join(summary.id));
    // It may go on with another agent.
    void this.askStory(summary.id);
  }

  /** Asks whether the worktree of a story is there, and for the changes that its runs did not tell. */
  async askWorktree(run: string): Promise<void> {
    try {
      const { files } = await this.host.call('worktree_changes', { run });
      this.files ??= files;
      this.filesTrouble = this.gone = null;
    } catch (thrown) {
      // The figures of its runs stay, and the words say why no more is shown.
      const error = asApiError(thrown);
      this.filesTrouble = error;
      // The run is known, so it is its worktree that is not found.
      this.gone = error.code === 'not_found' ? error : null;
    }
  }

  /** The person chose something for the runs to come; the story says so at once. */
  chose(settings: Partial<RunSettings>): void {
    if (this.story)
      this.story = { ...this.story, settings: { ...this.story.settings, ...settings } };
  }

  /** It stays to be chosen, whatever the story goes on with. */
  had(agent: Agent): void {
    const kept = remember(this.id, agent);
    const unkept = this.used.filter((one) => !kept.some((other) => sameAgent(one, other)));
    this.used = [...unkept, ...kept];
  }

  private know({ story, summary }: RunDetail): void {
    this.story = story;
    const { runtime, endpoint } = story.settings;
    const model = summary.model ?? story.settings.model;
    if (model !== null && summary.runtime === runtime)
      this.had({ runtime, model, place: placeOf(runtime, endpoint) });
  }

  private take(detail: RunDetail): void {
    this.know(detail);
    for (const run of detail.story_runs) this.join(run);
    this.loaded = true;
  }

  private join(run: string): Part {
    const known = this.parts.find((part) => part.run === run);
    if (known) return known;
    const part: Part = {
      run,
      transcript: new Transcript(),
      puller: null,
      ended: false,
      entries: [],
      source: [],
    };
    this.parts.push(part);
    return part;
  }

  private pull(part: Part): void {
    if (!this.open || part.puller || part.ended) return;
    part.puller = new Puller(this.host, part.run, {
      nextSeq: () => part.transcript.nextSeq,
      take: (events) => {
        if (part.transcript.apply(events) !== 'nothing') this.draw();
      },
      trouble: (sentence) => (this.trouble = sentence),
      ended: () => (part.ended = true),
    });
  }

  /** Once a frame at most, whatever number of batches came. */
  private draw(): void {
    if (this.frame !== 0) return;
    this.frame = requestAnimationFrame(() => {
      this.frame = 0;
      this.publish();
    });
  }

  private publish(): void {
    for (const part of this.parts) refresh(part);
    this.entries = this.parts.flatMap((part) => part.entries);
    this.waiting = this.parts.flatMap((part) =>
      part.ended ? [] : part.transcript.waiting().map((item) => ({ run: part.run, item })),
    );
    for (const { transcript } of this.parts) {
      this.files = transcript.files ?? this.files;
      this.session = transcript.session ?? this.session;
      this.context = transcript.context ?? this.context;
    }
  }
}

/** Keeps the entry of each item that did not change, so its row is not drawn again. */
function refresh(part: Part): void {
  const { items } = part.transcript;
  if (items === part.source) return;
  const before = part.entries;
  part.entries = items.map((item, index) => {
    const known = before[index];
    return known?.item === item ? known : { key: `${part.run}/${item.id}`, run: part.run, item };
  });
  part.source = items;
}
