//! Why a worktree is not removed, in words, with the names that belong to them.
import type { RemovalRefusal } from '../contract/contract';
import { plural } from './figures';

export interface Reason {
  words: string;
  names: string[];
  /** A rescue ref keeps it: it can be removed all the same. */
  kept: boolean;
}

export function reasonOf(refusal: RemovalRefusal): Reason {
  const kept = (words: string, names: string[]): Reason => ({ words, names, kept: true });
  const firm = (words: string): Reason => ({ words, names: [], kept: false });
  switch (refusal.reason) {
    case 'tracked_changes':
      return kept(`${plural(refusal.files.length, 'changed file')} not committed`, refusal.files);
    case 'untracked_files':
      return kept(`${plural(refusal.files.length, 'file')} that git does not know`, refusal.files);
    case 'unique_commits':
      return kept(
        `${plural(refusal.commits.length, 'commit')} on no other branch`,
        refusal.commits.map((commit) => commit.slice(0, 10)),
      );
    case 'detached_head':
      return kept('No branch is checked out', [refusal.commit.slice(0, 10)]);
    case 'process_inside':
      return firm(
        `The program ${refusal.name} (process ${refusal.pid}) works in it. End it first.`,
      );
    case 'run_uses_it':
      return firm('An agent works in it. Stop it first.');
    case 'main_checkout':
      return firm("It is the project's main checkout, which is never removed.");
    case 'locked':
      return firm(`git has locked it${refusal.why ? `: ${refusal.why}` : ''}. Unlock it first.`);
    default:
      return firm('This version does not know why.');
  }
}
