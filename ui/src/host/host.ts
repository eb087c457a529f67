//! The seam between the page and whoever hosts it. Everything else in the page speaks to the engine
//! through a `Host` and knows nothing of windows, sockets or HTTP.
import type { ApiError, News } from '../contract/contract';
import type { Commands } from '../contract/table';

export type CommandName = keyof Commands;
export type Params<K extends CommandName> = Commands[K]['params'];
export type Reply<K extends CommandName> = Commands[K]['reply'];

/** Something dragged over the window from outside; positions in CSS pixels. */
export interface DropNote {
  kind: 'enter' | 'over' | 'drop' | 'leave';
  /** Absolute; known at `enter` and `drop`, empty otherwise. */
  paths: string[];
  x: number;
  y: number;
}

export type Unsubscribe = () => void;

export interface Host {
  readonly kind: 'window' | 'server' | 'fake';
  /** Rejects with an `ApiError`, whatever went wrong. */
  /** `gone` says that nobody waits for the reply any more; a browser has few connections. */
  call<K extends CommandName>(name: K, params: Params<K>, gone?: AbortSignal): Promise<Reply<K>>;
  /** `onGap` fires when news may have been missed and everything has to be asked again; `onLost`
      each time the engine could not be reached again. */
  onNews(onNews: (news: News) => void, onGap?: () => void, onLost?: () => void): Unsubscribe;
  onDrop(onDrop: (note: DropNote) => void): Unsubscribe;
  /** The person chose a run outside the page: in a notification or in the tray. */
  onFocusRun(onFocus: (run: string) => void): Unsubscribe;
  /** The page is drawn and listens: what came before it may be handed over. */
  ready?(): Promise<void>;
  /** The story on the page, if it shows one: of all others a person is told outside the page. */
  shows?(story: string | null): Promise<void>;
}

/** Makes an `ApiError` of anything thrown. */
export function asApiError(thrown: unknown): ApiError {
  if (typeof thrown === 'object' && thrown !== null && 'code' in thrown && 'message' in thrown) {
    return thrown as ApiError;
  }
  if (typeof thrown === 'string') return fromText(thrown);
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  return { code: 'internal', message };
}

function fromText(text: string): ApiError {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null && 'code' in value) return value as ApiError;
  } catch {
    // Plain words are the message.
  }
  return { code: 'internal', message: text };
}
