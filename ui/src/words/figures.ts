//! Figures in few characters: ages, spans, money, counts, paths.
import type { FileChange, RunSummary, TokenUsage } from '../contract/contract';

/** `now`, `4 m`, `2 h`, `3 d`. */
export function age(iso: string, now: number): string {
  const minutes = Math.floor((now - Date.parse(iso)) / 60_000);
  if (!(minutes >= 1)) return 'now';
  if (minutes < 60) return `${minutes} m`;
  if (minutes < 48 * 60) return `${Math.floor(minutes / 60)} h`;
  return `${Math.floor(minutes / 1440)} d`;
}

/** `0.4 s`, `6.2 s`, `48 s`, `3 min 05 s`, `1 h 02 min`. */
export function span(from: string, to: string): string {
  const seconds = Math.max(0, (Date.parse(to) - Date.parse(from)) / 1000);
  if (!Number.isFinite(seconds)) return '';
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 60) return `${Math.round(seconds)} s`;
  const whole = Math.round(seconds);
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${two(whole % 60)} s`;
  return `${Math.floor(whole / 3600)} h ${two(Math.floor((whole % 3600) / 60))} min`;
}

/** `9:41`; never below `0:00`. */
export function countdown(until: string, now: number): string {
  const left = Math.max(0, Math.ceil((Date.parse(until) - now) / 1000));
  if (left >= 3600)
    return `${Math.floor(left / 3600)}:${two(Math.floor((left % 3600) / 60))}:${two(left % 60)}`;
  return `${Math.floor(left / 60)}:${two(left % 60)}`;
}

function two(value: number): string {
  return String(value).padStart(2, '0');
}

const FIRST_WORD: Partial<Record<TokenUsage['cost_source'], string>> = {
  estimated: 'about ',
  at_least: 'at least ',
};

export function cost(usage: TokenUsage): string {
  if (usage.cost_source === 'unknown') return 'cost unknown';
  // Nothing is known of it yet, which is not nothing.
  if (usage.cost_source === 'at_least' && usage.cost_microdollars === 0) return 'cost unknown';
  // Of a model on this machine: nobody asks for money.
  if (usage.cost_source === 'estimated' && usage.cost_microdollars === 0) return 'no cost';
  const dollars = usage.cost_microdollars / 1_000_000;
  const figure =
    dollars > 0 && dollars < 0.01 ? `$${dollars.toFixed(4)}` : `$${dollars.toFixed(2)}`;
  return `${FIRST_WORD[usage.cost_source] ?? ''}${figure}`;
}

export function tokens(usage: TokenUsage): number {
  return (
    usage.input_tokens +
    usage.output_tokens +
    usage.cache_creation_input_tokens +
    usage.cache_read_input_tokens
  );
}

/** `940`, `12.4 k`, `1.2 M`. */
export function short(count: number): string {
  if (count < 1000) return String(count);
  if (count < 1_000_000) return `${(count / 1000).toFixed(count < 100_000 ? 1 : 0)} k`;
  return `${(count / 1_000_000).toFixed(1)} M`;
}

/** `48 210`, with narrow spaces. */
export function grouped(count: number): string {
  return count < 10_000 ? String(count) : count.toLocaleString('en').replaceAll(',', '\u202f');
}

export function plural(count: number, one: string, many = `${one}s`): string {
  return `${grouped(count)} ${count === 1 ? one : many}`;
}

/** How much differs, by the files when they are known and by the run's own figures before. */
export function totals(
  files: readonly FileChange[] | null,
  run: Pick<RunSummary, 'files_changed' | 'added' | 'removed'>,
): { files: number; added: number; removed: number } {
  if (!files) return { files: run.files_changed, added: run.added, removed: run.removed };
  return {
    files: files.length,
    added: files.reduce((sum, file) => sum + file.added, 0),
    removed: files.reduce((sum, file) => sum + file.removed, 0),
  };
}

export function fileName(path: string): string {
  return path.replace(/\/+$/, '').split('/').pop() ?? path;
}

/** The path with the person's home as `~`, in the form the page can know it. */
export function homely(path: string): string {
  return path.replace(/^\/(?:home\/[^/]+|root|Users\/[^/]+)(?=\/|$)/, '~');
}
