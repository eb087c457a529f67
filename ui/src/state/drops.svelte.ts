//! Folders dragged onto the window: says what will happen while they hover, does it on the drop.
import type { ApiError, FolderReport, Project } from '../contract/contract';
import { asApiError, type DropNote } from '../host';
import { refusal } from '../words/folders';
import type { AppState } from './app.svelte';

/** What a path is, or that it is being looked at. */
export interface Hovering {
  path: string;
  report: FolderReport | null;
}

export class Drops {
  hovering = $state.raw<Hovering[]>([]);
  over = $state(false);
  private turn = 0;

  constructor(private app: AppState) {}

  async take(note: DropNote): Promise<void> {
    if (note.kind === 'enter') return this.enter(note.paths);
    if (note.kind === 'leave') return this.clear();
    if (note.kind !== 'drop') return;
    const paths = note.paths.length > 0 ? note.paths : this.hovering.map((one) => one.path);
    this.clear();
    await this.addAll(paths);
  }

  private async enter(paths: string[]): Promise<void> {
    const turn = ++this.turn;
    this.over = true;
    this.hovering = paths.map((path) => ({ path, report: null }));
    for (const path of paths) {
      const report = await this.inspect(path);
      if (turn !== this.turn) return;
      this.hovering = this.hovering.map((one) => (one.path === path ? { path, report } : one));
    }
  }

  private clear(): void {
    this.turn += 1;
    this.over = false;
    this.hovering = [];
  }

  private async inspect(path: string): Promise<FolderReport> {
    try {
      return await this.app.host.call('folder_inspect', { path });
    } catch (thrown) {
      return refusalOf(path, asApiError(thrown));
    }
  }

  /** Adds what can be added. Why some could not is one note, which goes by itself beside what was added. */
  async addAll(paths: string[]): Promise<void> {
    let last: Place | null = null;
    const refused: FolderReport[] = [];
    for (const path of paths) {
      const added = await this.add(path);
      if ('report' in added) refused.push(added.report);
      else last = added;
    }
    const note = refusal(refused, paths.length);
    if (note) this.app.note({ level: last ? 'info' : 'error', passes: true, ...note });
    if (!last) return;
    await this.app.askProjects();
    this.app.go({ kind: 'new', ...last });
  }

  private async add(path: string): Promise<Place | { report: FolderReport }> {
    const report = await this.inspect(path);
    if (!report.usable) return { report };
    try {
      const project: Project = await this.app.host.call('project_add', {
        path: report.root ?? path,
      });
      if (report.kind !== 'linked_worktree') return { project: project.id };
      return { project: project.id, worktree: report.top ?? path };
    } catch (thrown) {
      return { report: refusalOf(path, asApiError(thrown)) };
    }
  }
}

interface Place {
  project: string;
  worktree?: string;
}

function refusalOf(path: string, error: ApiError): FolderReport {
  return {
    path,
    kind: 'unusable',
    top: null,
    root: null,
    branch: null,
    head: null,
    sentence: error.message,
    next: error.hint ?? '',
    project: null,
    usable: false,
  };
}
