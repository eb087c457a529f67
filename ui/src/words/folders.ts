//! Folders that are dropped: what is told first, and why some were not added: one note, whatever number
//! of folders and reasons there are.
import type { FolderKind, FolderReport } from '../contract/contract';
import { fileName } from './figures';

export interface Refusal {
  text: string;
  hint: string;
  details?: string[];
}

const REASONS: Partial<Record<FolderKind, string>> = {
  bare_repository: 'a bare repository without a commit',
  main_checkout: 'a repository without a commit',
  linked_worktree: 'a worktree without a commit',
  plain_folder: 'not in a git repository',
  file: 'a file, not a folder',
  missing: 'not there',
};

/** What is added first: the rest may not fit. Otherwise as they were dropped. */
export function usableFirst<T extends { report: Pick<FolderReport, 'usable'> | null }>(
  folders: readonly T[],
): T[] {
  const rank = ({ report }: T) => (report?.usable ? 0 : 1);
  return folders.toSorted((a, b) => rank(a) - rank(b));
}

/** `all` is how many were dropped together. */
export function refusal(reports: readonly FolderReport[], all: number): Refusal | null {
  const [first, ...more] = reports;
  if (!first) return null;
  if (more.length === 0) return { text: named(first), hint: first.next };
  const shared = more.every((report) => report.kind === first.kind);
  const reason = shared ? REASONS[first.kind] : undefined;
  return {
    text: `${reports.length} of ${all} folders were not added${reason ? `: ${reason}` : ''}.`,
    hint: shared ? first.next : '',
    details: reports.map((report) => (reason ? report.path : named(report))),
  };
}

/** The sentence, with the folder's name where it says only "this". */
export function named({ path, sentence }: Pick<FolderReport, 'path' | 'sentence'>): string {
  const name = fileName(path) || path;
  if (sentence.includes(`${name}\``) || sentence.startsWith(`${name} `)) return sentence;
  if (/^This (?:folder |repository |link )?is /.test(sentence))
    return sentence.replace(/^This (?:folder |repository |link )?is /, `\`${name}\` is `);
  return `\`${name}\`: ${sentence}`;
}
